//! The way in for alerts, which never blocks, and the thread that decides who is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use policy::Severity;
use serde::Serialize;

use super::sieve::Sieve;
use super::webhook::WebhookError;
use super::{Alarm, AlertConfig, Told, command, webhook};

/// Alarms that wait for the thread, which takes microseconds for each. Beyond, they are
/// lost and counted.
pub const WAITING_MAX: usize = 4_096;

/// How long a proxy that stops waits for alerts that are on their way.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What became of alerts, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AlertFigures {
    /// Raised by plugins and the host.
    pub raised: u64,
    /// Told, each counted once.
    pub told: u64,
    /// Held back, as repetitions or by the rate.
    pub held_back: u64,
    /// Taken by a webhook or a command, counted for each.
    pub delivered: u64,
    /// Not taken by a webhook or a command.
    pub failed: u64,
    /// Lost because too many waited: for the desk, or for a webhook or command.
    pub lost: u64,
}

#[derive(Debug, Default)]
pub(super) struct AlertCounts {
    raised: AtomicU64,
    told: AtomicU64,
    held_back: AtomicU64,
    handed_over: AtomicU64,
    pub(super) delivered: AtomicU64,
    pub(super) failed: AtomicU64,
    lost: AtomicU64,
}

/// Why alerts cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum AlertError {
    /// A webhook.
    #[error("alerts.webhook[{0}]: {1}")]
    Webhook(usize, WebhookError),
    /// A thread.
    #[error("failed to start a thread for alerts: {0}")]
    Thread(#[from] std::io::Error),
}

/// The way in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AlertDesk {
    orders: SyncSender<Order>,
    counts: Arc<AlertCounts>,
}

enum Order {
    Alarm(Box<Alarm>),
    Change(Box<Rules>),
    Stop,
}

/// Who is told and how often, ready to work.
struct Rules {
    config: AlertConfig,
    receivers: Vec<(Severity, SyncSender<Arc<Told>>)>,
}

/// Threads behind a desk.
#[derive(Debug)]
pub struct AlertService {
    desk: AlertDesk,
    thread: Option<JoinHandle<()>>,
}

impl AlertDesk {
    /// Raise an alarm. Never blocks: when too many wait it is lost and counted.
    pub fn raise(&self, alarm: Alarm) {
        self.counts.raised.fetch_add(1, Ordering::Relaxed);
        if self.orders.try_send(Order::Alarm(Box::new(alarm))).is_err() {
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What became of alerts so far.
    pub fn figures(&self) -> AlertFigures {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = &self.counts;
        AlertFigures {
            raised: read(&counts.raised),
            told: read(&counts.told),
            held_back: read(&counts.held_back),
            delivered: read(&counts.delivered),
            failed: read(&counts.failed),
            lost: read(&counts.lost),
        }
    }
}

impl AlertService {
    /// Start the threads.
    ///
    /// # Errors
    /// See [`AlertError`].
    pub fn start(config: AlertConfig) -> Result<Self, AlertError> {
        let (orders, received) = mpsc::sync_channel(WAITING_MAX);
        let counts = Arc::new(AlertCounts::default());
        let rules = Rules::new(config, &counts)?;
        let desk = AlertDesk {
            orders,
            counts: Arc::clone(&counts),
        };
        let thread = std::thread::Builder::new()
            .name("alerts".to_owned())
            .spawn(move || {
                scheduling::patient();
                attend(&received, rules, &counts);
            })?;
        Ok(Self {
            desk,
            thread: Some(thread),
        })
    }

    /// The way in.
    pub fn desk(&self) -> AlertDesk {
        self.desk.clone()
    }

    /// Check a configuration and make what it needs; nothing changes before
    /// [`AlertChange::apply`].
    ///
    /// # Errors
    /// See [`AlertError`].
    pub fn prepare(&self, config: AlertConfig) -> Result<AlertChange, AlertError> {
        let rules = Rules::new(config, &self.desk.counts)?;
        Ok(AlertChange {
            orders: self.desk.orders.clone(),
            rules: Box::new(rules),
        })
    }

    /// Tell what waits, and wait a moment for what is on its way.
    pub fn stop(&mut self) {
        let Some(thread) = self.thread.take() else {
            return;
        };
        // An error means that it has ended by itself.
        let _ended = self.desk.orders.send(Order::Stop);
        if thread.join().is_err() {
            tracing::error!("the thread of alerts panicked");
        }
        let until = Instant::now() + LAST_WORDS;
        let counts = &self.desk.counts;
        let under_way = || {
            let done =
                counts.delivered.load(Ordering::Relaxed) + counts.failed.load(Ordering::Relaxed);
            done < counts.handed_over.load(Ordering::Relaxed)
        };
        while under_way() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Another configuration, ready to be used.
pub struct AlertChange {
    orders: SyncSender<Order>,
    rules: Box<Rules>,
}

impl AlertChange {
    /// Use it for the next alarm. What waits for the receivers that were is still told.
    pub fn apply(self) {
        // An error means that the process stops.
        let _stopped = self.orders.send(Order::Change(self.rules));
    }
}

impl Rules {
    fn new(config: AlertConfig, counts: &Arc<AlertCounts>) -> Result<Self, AlertError> {
        let mut receivers = Vec::new();
        for (number, config) in config.webhooks.iter().cloned().enumerate() {
            let severity = config.severity;
            let started = webhook::start(config, Arc::clone(counts));
            receivers.push((
                severity,
                started.map_err(|error| AlertError::Webhook(number, error))?,
            ));
        }
        for config in &config.commands {
            receivers.push((config.severity, command::start(config, counts)?));
        }
        Ok(Self { config, receivers })
    }

    fn tell(&self, told: Told, counts: &AlertCounts) {
        if self.config.log {
            log(&told);
        }
        let told = Arc::new(told);
        for (severity, receiver) in &self.receivers {
            if told.alarm.severity < *severity {
                continue;
            }
            match receiver.try_send(Arc::clone(&told)) {
                Ok(()) => counts.handed_over.fetch_add(1, Ordering::Relaxed),
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                    counts.lost.fetch_add(1, Ordering::Relaxed)
                }
            };
        }
    }
}

fn attend(orders: &Receiver<Order>, mut rules: Rules, counts: &AlertCounts) {
    let started = Instant::now();
    let mut sieve = Sieve::new(rules.config.sieve, 0);
    while let Ok(order) = orders.recv() {
        match order {
            Order::Alarm(alarm) => {
                let now = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                let key = match alarm.key.as_str() {
                    "" => &alarm.text,
                    key => key,
                };
                match sieve.judge(now, alarm.severity, &alarm.plugin, key) {
                    Some(held_back) => {
                        counts.told.fetch_add(1, Ordering::Relaxed);
                        let alarm = *alarm;
                        rules.tell(Told { alarm, held_back }, counts);
                    }
                    None => {
                        counts.held_back.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
            Order::Change(change) => {
                rules = *change;
                sieve.set_config(rules.config.sieve);
            }
            Order::Stop => return,
        }
    }
}

fn log(told: &Told) {
    let Told { alarm, held_back } = told;
    let Alarm {
        plugin,
        key,
        text,
        call_id: call,
        peer,
        identity,
        ..
    } = alarm;
    match alarm.severity {
        Severity::Info => {
            tracing::info!(%call, %peer, %identity, %plugin, %key, held_back, %text, "alert")
        }
        Severity::Warning => {
            tracing::warn!(%call, %peer, %identity, %plugin, %key, held_back, %text, "alert")
        }
        Severity::Critical => {
            tracing::error!(%call, %peer, %identity, %plugin, %key, held_back, %text, "alert")
        }
    }
}
