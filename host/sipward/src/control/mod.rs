//! The main thread: start, reload, drain, stop.
//!
//! It owns no call. Everything that can fail is done before the first shard is told
//! what changes.

mod candidates;
mod leases;
mod lookups;
mod media;
mod plugins;
mod records;
mod reload;
mod report;
mod start;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use policy_wasm::{Engine, HostServices, Lookups};
use state::State;
use tokio::signal::unix::{SignalKind, signal};
use transport::SharedTransport;

use self::media::MediaService;
use self::records::Archive;
use crate::admin::{AdminSocket, Answer, Asked, Command};
use crate::assemble::{ListenerBook, LookupShelf, PluginShelf};
use crate::candidates::Decisions;
use crate::config::{self, Config};
use crate::credentials::AccountsInUse;
use crate::shadow::ShadowRuns;
use crate::shards::Shards;
use crate::status::ShardFigures;
use crate::watch::FileWatch;
use crate::worker::Running;

pub(crate) use self::start::{NONCE_SECRET, accounts, engine, services};

/// How often a drain looks whether calls are left, and how often state that has
/// expired is swept.
const HOUSEKEEPING: Duration = Duration::from_millis(250);

/// A running proxy, seen from the main thread.
pub(crate) struct Control {
    file: PathBuf,
    config: Config,
    number: u64,
    engine: Engine,
    services: HostServices,
    state: State,
    accounts: AccountsInUse,
    shelf: PluginShelf,
    decisions: Decisions,
    shadow: ShadowRuns,
    lookups: Arc<Lookups>,
    lookup_shelf: LookupShelf,
    book: ListenerBook,
    shared: Arc<SharedTransport>,
    shards: Arc<Shards>,
    workers: Vec<Running>,
    media: Option<MediaService>,
    archive: Archive,
    draining: Option<std::time::Instant>,
    started: std::time::Instant,
    last_reload: String,
}

/// Run the proxy until it is told to stop.
///
/// # Errors
/// It cannot start: the configuration, a plugin, a socket or a file.
pub(crate) fn run(file: &Path) -> anyhow::Result<()> {
    let loaded = config::load(file)?;
    start::logging(&loaded.config)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let socket = AdminSocket::open(&loaded.config.server.admin_socket)
            .await
            .with_context(|| {
                format!(
                    "failed to open the admin socket {}",
                    loaded.config.server.admin_socket.display()
                )
            })?;
        let mut control = Control::start(file, loaded)?;
        control.announce();
        control.attend(socket).await
    })
}

/// Check a configuration as `run` and `reload` would, without opening a socket.
///
/// # Errors
/// What is wrong.
pub(crate) fn check(file: &Path) -> anyhow::Result<String> {
    start::check(file)
}

impl Control {
    fn announce(&self) {
        for listener in &self.config.listeners {
            tracing::info!(
                listener = %listener.name, transport = ?listener.transport, bind = %listener.bind, "listening"
            );
        }
        tracing::info!(
            workers = self.workers.len(),
            plugins = self.config.plugins.len(),
            pipelines = self.config.pipelines.len(),
            generation = self.number,
            "ready"
        );
    }

    /// Attend to commands, signals and files until the end.
    async fn attend(&mut self, mut socket: AdminSocket) -> anyhow::Result<()> {
        // Whoever calls does not wait for reloads. Workers run by now and keep their place.
        scheduling::patient();
        let mut hangup = signal(SignalKind::hangup())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut watch = self.watch();
        let mut housekeeping = tokio::time::interval(HOUSEKEEPING);
        loop {
            tokio::select! {
                Some(asked) = socket.next() => self.answer(asked, &mut watch).await,
                _ = hangup.recv() => { self.reload_and_log("SIGHUP", &mut watch).await; }
                () = changed(watch.as_ref()) => { self.reload_and_log("a file changed", &mut watch).await; }
                _ = terminate.recv() => self.drain(),
                _ = interrupt.recv() => {
                    // The second interrupt does not wait for calls.
                    if self.draining.is_some() {
                        break;
                    }
                    self.drain();
                }
                _ = housekeeping.tick() => {
                    let now_ms = self.services.clock.now_ms();
                    self.state.sweep(now_ms);
                    self.accounts.warn_daily(now_ms);
                    self.tend_candidates();
                    if self.drained() {
                        break;
                    }
                }
            }
        }
        self.stop();
        Ok(())
    }

    fn watch(&self) -> Option<FileWatch> {
        if !self.config.server.watch {
            return None;
        }
        match FileWatch::new() {
            Ok(mut watch) => {
                watch.set(self.files());
                Some(watch)
            }
            Err(error) => {
                tracing::warn!(%error, "cannot watch files; reload by signal or command");
                None
            }
        }
    }

    /// Every file that the configuration is made of.
    fn files(&self) -> Vec<PathBuf> {
        let mut files = vec![self.file.clone()];
        files.extend(self.config.files());
        files
    }

    async fn answer(&mut self, asked: Asked, watch: &mut Option<FileWatch>) {
        let answer = match asked.command {
            Command::Reload => self.reload_and_log("admin socket", watch).await,
            Command::Status => self.status(),
            Command::Candidate(order) => self.candidate(&order),
            Command::Drain => {
                self.drain();
                said(
                    true,
                    "draining: no new calls; stopping when the last one ends",
                )
            }
        };
        // A client that left does not want its answer.
        let _left = asked.answer.send(answer);
    }

    async fn reload_and_log(&mut self, cause: &str, watch: &mut Option<FileWatch>) -> Answer {
        let answer = match self.reload().await {
            Ok(summary) => {
                tracing::info!(cause, generation = self.number, "{summary}");
                said(true, summary)
            }
            Err(error) => {
                tracing::error!(
                    cause,
                    generation = self.number,
                    "reload refused, nothing has changed: {error:#}"
                );
                said(
                    false,
                    format!("reload refused, nothing has changed:\n{error:#}"),
                )
            }
        };
        self.last_reload = answer.message.clone();
        if let Some(watch) = watch {
            watch.set(self.files());
        }
        answer
    }

    fn figures(&self) -> Vec<ShardFigures> {
        self.shards.each(|shard| shard.figures())
    }

    fn drain(&mut self) {
        if self.draining.is_some() {
            return;
        }
        tracing::info!(
            seconds = self.config.server.drain_seconds,
            "draining: no new calls"
        );
        self.draining = Some(std::time::Instant::now());
        self.shards.each(crate::shard::Shard::drain);
    }

    /// Whether a drain has come to its end.
    fn drained(&self) -> bool {
        let Some(since) = self.draining else {
            return false;
        };
        let total = ShardFigures::total(&self.figures());
        let waited = since.elapsed() >= Duration::from_secs(self.config.server.drain_seconds);
        if waited && total.calls > 0 {
            tracing::warn!(
                calls = total.calls,
                "the time to drain is over; calls are left"
            );
        }
        // A call that has ended has its record when its media is closed.
        let silent = total.media.sessions == 0 && total.media.closing == 0;
        let acknowledged = total.held_responses == 0;
        waited || (total.calls == 0 && total.pending_consults == 0 && silent && acknowledged)
    }

    fn stop(&mut self) {
        for worker in self.workers.drain(..) {
            // It may have ended by itself.
            let _ended = worker.stop.send(());
            if worker.thread.join().is_err() {
                tracing::error!("a worker thread panicked");
            }
        }
        self.stop_media();
        self.shards.each(crate::shard::Shard::stop);
        self.archive.stop();
        if let Err(error) = self.state.checkpoint() {
            tracing::error!(%error, "the last checkpoint failed; the journal has everything");
        }
        let held = leases::figures(self.state.leases());
        tracing::info!(
            leases_held = held.units,
            leases_conserved = held.conserved(),
            "stopped"
        );
    }

    /// Close every media port. Calls that are left have their records now.
    fn stop_media(&mut self) {
        let Some(media) = self.media.take() else {
            return;
        };
        let relay = media.handle();
        for session in relay.sessions(usize::MAX) {
            if let Some(figures) = relay.figures(session) {
                self.shards
                    .with(session.shard(), |shard| shard.abandon(session, &figures));
            }
        }
    }
}

fn said(ok: bool, message: impl Into<String>) -> Answer {
    Answer {
        ok,
        message: message.into(),
        data: serde_json::Value::Null,
    }
}

async fn changed(watch: Option<&FileWatch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}
