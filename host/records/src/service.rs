//! The threads behind a [`Recorder`]: start, change, figures, stop.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::alert::AlertDesk;
use crate::lines::{Lines, LinesConfig};
use crate::recorder::{Receipt, Recorder};
use crate::spool::{Prepared, WebhookConfig, WebhookCounts, WebhookError};
use crate::sqlite::{Store, StoreError};
use crate::writer::{Kept, Sinks, Writer};

/// Records that may wait for the writer: 16,000 are some seconds of a busy host and
/// about 16 MB.
pub const QUEUE: usize = 16_384;

/// Where records go.
#[derive(Clone, Debug)]
pub struct RecordConfig {
    /// Records that may wait for the writer; at least 1.
    pub queue: usize,
    /// SQLite.
    pub sqlite: Option<SqliteConfig>,
    /// JSON lines.
    pub lines: Option<LinesConfig>,
    /// Webhook.
    pub webhook: Option<WebhookConfig>,
}

/// The SQLite file and how much of it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqliteConfig {
    /// The file.
    pub path: PathBuf,
    /// How long records are kept; none for as long as there is room.
    pub keep: Option<Duration>,
    /// Records kept, about; the oldest go first.
    pub keep_records: u64,
}

/// What became of records, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RecordFigures {
    /// Finished records that are committed.
    pub written: u64,
    /// Records that wait for the writer.
    pub queued: u64,
    /// Writes that failed; what they held was kept and tried again.
    pub failed: u64,
    /// Finished records that are lost.
    pub lost: u64,
    /// Records in the webhook's spool.
    pub webhook_waiting: u64,
    /// Records that the webhook took.
    pub webhook_posted: u64,
    /// POSTs that failed; what they held is tried again.
    pub webhook_failed: u64,
    /// Records that the webhook refused for good.
    pub webhook_refused: u64,
    /// Records that found the spool full.
    pub webhook_lost: u64,
}

/// Why records cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// SQLite.
    #[error("records.sqlite: {0}")]
    Sqlite(#[from] StoreError),
    /// JSON lines.
    #[error("records.lines: {}: {source}", path.display())]
    Lines {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The webhook.
    #[error("records.webhook: {0}")]
    Webhook(#[from] WebhookError),
    /// A thread.
    #[error("failed to start a thread for records: {0}")]
    Thread(#[from] std::io::Error),
}

/// The running threads.
pub struct RecordService {
    recorder: Recorder,
    changes: mpsc::Sender<Sinks>,
    webhook: Arc<WebhookCounts>,
    desk: AlertDesk,
    writer: Option<JoinHandle<()>>,
    postman: Option<JoinHandle<()>>,
}

impl RecordService {
    /// Open the files and start writing. `confirm` is told, on the writer's thread,
    /// which receipts are committed; it must not block.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn start(
        config: RecordConfig,
        desk: AlertDesk,
        confirm: impl Fn(&[Receipt]) + Send + 'static,
    ) -> Result<Self, RecordError> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let recorder = Recorder::new(config.queue.max(1), now_ms);
        let (changes, changed) = mpsc::channel();
        let mut service = Self {
            recorder,
            changes,
            webhook: Arc::default(),
            desk,
            writer: None,
            postman: None,
        };
        let prepared = service.prepare(config)?;
        let sinks = service.ready(prepared)?;
        let writer = Writer {
            shared: Arc::clone(&service.recorder.0),
            sinks,
            changes: changed,
            confirm: Box::new(confirm),
            desk: service.desk.clone(),
            lost_told: 0,
            trimmed: Instant::now(),
        };
        let thread = std::thread::Builder::new()
            .name("records".to_owned())
            .spawn(move || {
                // It writes what waits as one, so with less of a core it writes more at once.
                scheduling::patient();
                writer.run();
            })?;
        service.writer = Some(thread);
        Ok(service)
    }

    /// The way in.
    pub fn recorder(&self) -> Recorder {
        self.recorder.clone()
    }

    /// Check a configuration and open its files; nothing changes before
    /// [`RecordService::change`].
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn prepare(&self, config: RecordConfig) -> Result<RecordChange, RecordError> {
        let store = config.sqlite.map(|sqlite| {
            let mut store = Store::open(&sqlite.path)?;
            let interrupted = store.settle_interrupted(&self.recorder.0.own)?;
            if interrupted > 0 {
                tracing::warn!(
                    interrupted,
                    "calls were under way when the last process ended"
                );
            }
            Ok::<_, StoreError>(Kept {
                store,
                keep: sqlite.keep,
                keep_records: sqlite.keep_records,
            })
        });
        let lines = config.lines.map(|config| {
            let path = config.path.clone();
            Lines::new(config).map_err(|source| RecordError::Lines { path, source })
        });
        let webhook = config
            .webhook
            .map(|webhook| Prepared::new(webhook, Arc::clone(&self.webhook), self.desk.clone()));
        Ok(RecordChange {
            queue: config.queue.max(1),
            sinks: Sinks {
                store: store.transpose()?,
                lines: lines.transpose()?,
                outbox: None,
            },
            webhook: webhook.transpose()?,
        })
    }

    /// Write to other places from the next batch on.
    ///
    /// # Errors
    /// No thread could be started; nothing has changed.
    pub fn change(&mut self, change: RecordChange) -> Result<(), RecordError> {
        let queue = change.queue;
        let sinks = self.ready(change)?;
        self.recorder.0.room.store(queue, Ordering::Relaxed);
        // An error means that the writer has stopped.
        let _stopped = self.changes.send(sinks);
        self.recorder.0.nudge();
        Ok(())
    }

    fn ready(&mut self, change: RecordChange) -> Result<Sinks, RecordError> {
        let mut sinks = change.sinks;
        if let Some(webhook) = change.webhook {
            let (outbox, postman) = webhook.start(self.postman.take())?;
            sinks.outbox = Some(outbox);
            self.postman = Some(postman);
        }
        Ok(sinks)
    }

    /// What became of records so far.
    pub fn figures(&self) -> RecordFigures {
        let shared = &self.recorder.0;
        let webhook = &self.webhook;
        RecordFigures {
            written: shared.written.load(Ordering::Relaxed),
            queued: self.recorder.waiting() as u64,
            failed: shared.failed.load(Ordering::Relaxed),
            lost: shared.lost.load(Ordering::Relaxed),
            webhook_waiting: webhook.waiting.load(Ordering::Relaxed),
            webhook_posted: webhook.posted.load(Ordering::Relaxed),
            webhook_failed: webhook.failed.load(Ordering::Relaxed),
            webhook_refused: webhook.refused.load(Ordering::Relaxed),
            webhook_lost: webhook.lost.load(Ordering::Relaxed),
        }
    }

    /// Write what waits and end. What the webhook has not taken stays in its spool.
    pub fn stop(&mut self) {
        self.recorder.0.closed.store(true, Ordering::Relaxed);
        self.recorder.0.nudge();
        if self
            .writer
            .take()
            .is_some_and(|writer| writer.join().is_err())
        {
            tracing::error!("the thread of records panicked");
        }
    }
}

impl Drop for RecordService {
    /// The threads end by themselves; [`RecordService::stop`] waits for them.
    fn drop(&mut self) {
        self.recorder.0.closed.store(true, Ordering::Relaxed);
        self.recorder.0.nudge();
    }
}

/// Other places for records, opened and checked.
pub struct RecordChange {
    queue: usize,
    sinks: Sinks,
    webhook: Option<Prepared>,
}
