//! A configuration's pipelines as `run` would put them together, on scratch state.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ::media::MediaLimits;
use anyhow::Context;
use clap::ValueEnum;
use policy_wasm::{Credentials, Lookups, Numbers};
use rehearsal::{Rehearsal, SeededRandomness, Standpoint, Trace, VirtualClock, traced};
use sip_proxy::OfferReader;
use state::State;
use state::digest::Nonces;
use tempfile::TempDir;

use crate::assemble::{self, ListenerBook, LookupShelf, MediaBook, PluginShelf};
use crate::config::Config;
use crate::control;
use crate::snapshot::Snapshot;

/// Milliseconds that a plugin gets here at least. Nobody waits for a response, and a busy
/// machine shall not change a decision.
const DEADLINE_MS: u32 = 10_000;

/// Bytes of a state that is copied. 4 GiB: a full one has less.
const STATE_BYTES: u64 = 4 << 30;

/// What the state is at the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StateWish {
    /// Counters, values and nonces as the running proxy has them, in a copy.
    Copy,
    /// Nothing has been counted yet.
    Empty,
}

/// Wraps the credentials of the configuration.
pub(crate) type Wrap<'w> = dyn Fn(Arc<dyn Credentials>) -> Arc<dyn Credentials> + 'w;

/// How the pipelines shall be put together.
pub(crate) struct Wish<'w> {
    pub(crate) config: &'w Config,
    pub(crate) at_ms: u64,
    pub(crate) state: StateWish,
    pub(crate) seed: u64,
    pub(crate) credentials: &'w Wrap<'w>,
}

/// The pipelines, ready to be asked.
pub(crate) struct Scratch {
    pub(crate) standpoint: Standpoint,
    pub(crate) rehearsal: Rehearsal,
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) numbers: Arc<dyn Numbers>,
    /// What the reader should know of how it was put together.
    pub(crate) notes: Vec<String>,
    /// Its last reference closes the files that the folder below holds.
    _state: State,
    _folder: Option<TempDir>,
}

impl Scratch {
    /// Put the pipelines together.
    ///
    /// # Errors
    /// What `sipward check` would say, or no memory.
    pub(crate) fn new(wish: &Wish<'_>) -> anyhow::Result<Self> {
        let mut config = wish.config.clone();
        for plugin in &mut config.plugins {
            let limits = &mut plugin.limits;
            limits.deadline_ms = Some(limits.deadline_ms.unwrap_or(0).max(DEADLINE_MS));
        }
        let clock = Arc::new(VirtualClock::at(wish.at_ms));
        let (state, folder, note) = open(&config, wish)?;
        let secret = state.secret(control::NONCE_SECRET, wish.at_ms)?;
        let lifetime = Duration::from_secs(config.server.nonce_seconds);
        let nonces = Arc::new(Nonces::new(secret, lifetime));
        let engine = control::engine(&config)?;
        let roster = assemble::roster(&config, wish.at_ms)?;
        let (book, _) = LookupShelf::default().book(&config, &roster.members)?;
        let accounts = control::accounts(&config, roster, &state, wish.at_ms)?;
        let lookups = Arc::new(Lookups::new(book));
        let mut services = control::services(&state, &accounts, &nonces, &lookups)?;
        services.clock = Arc::clone(&clock) as _;
        services.random = Arc::new(SeededRandomness::new(wish.seed));
        services.credentials = (wish.credentials)(services.credentials);
        let numbers = Arc::clone(&services.numbers);
        let trace = Trace::new();
        let services = traced(services, &trace);
        let listeners = ListenerBook::default().prepare(&config)?;
        let media = config.media.as_ref();
        let media = media.map(|media| MediaBook::new(media, config.workers()));
        let media = media.transpose()?;
        let routing = assemble::routing(&config, &listeners.book, media.as_ref())?;
        let (generation, _) = PluginShelf::default().generation(1, &config, &engine, &services)?;
        let snapshot = Snapshot::new(1, routing, generation);
        let rehearsal = Rehearsal::new(snapshot.policy, trace).map_err(|(plugin, failure)| {
            anyhow::anyhow!("plugin `{plugin}` gives no instance: {failure}")
        })?;
        Ok(Self {
            standpoint: Standpoint {
                routing: snapshot.routing,
                offers: match &media {
                    Some(book) => book.offers(),
                    None => OfferReader::new(&MediaLimits::default(), &[]),
                },
                limits: assemble::message_limits(&config),
            },
            rehearsal,
            clock,
            numbers,
            notes: vec![note],
            _state: state,
            _folder: folder,
        })
    }
}

/// The state, the folder that it is in, and what the reader should know of it.
fn open(config: &Config, wish: &Wish<'_>) -> anyhow::Result<(State, Option<TempDir>, String)> {
    let open =
        |directory: Option<&Path>| State::open(directory, state::Limits::default(), wish.at_ms);
    let empty = |why: &str| anyhow::Ok((open(None)?, None, format!("state: empty{why}")));
    let directory = match (wish.state, &config.server.state_dir) {
        (StateWish::Empty, _) => return empty(""),
        (StateWish::Copy, None) => return empty("; the configuration has no `server.state_dir`"),
        (StateWish::Copy, Some(directory)) if !directory.exists() => {
            return empty("; `server.state_dir` does not exist yet");
        }
        (StateWish::Copy, Some(directory)) => directory,
    };
    let failed = || {
        format!(
            "failed to copy the state in {}; `--state empty` does without",
            directory.display()
        )
    };
    let folder = copy(directory).with_context(failed)?;
    let state = open(Some(folder.path())).with_context(failed)?;
    let note = "state: a copy of what is durable; leases are none, and counters that are not \
                durable begin at 0"
        .to_owned();
    Ok((state, Some(folder), note))
}

/// Copies what the state consists of: journals first, so that a checkpoint in between
/// leaves one that is older than the snapshot, and none that is missing.
fn copy(directory: &Path) -> anyhow::Result<TempDir> {
    let folder = TempDir::with_prefix("sipward-")?;
    let mut files: Vec<_> = std::fs::read_dir(directory)?
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .filter(|file| is_state(&file.file_name().to_string_lossy()))
        .collect();
    files.sort_by_key(std::fs::DirEntry::file_name);
    let mut left = STATE_BYTES;
    for file in files {
        let size = file.metadata()?.len();
        anyhow::ensure!(size <= left, "it has more than {STATE_BYTES} bytes");
        left -= size;
        std::fs::copy(file.path(), folder.path().join(file.file_name()))?;
    }
    Ok(folder)
}

/// Journals and the snapshot; not the lock, the records or compiled plugins.
fn is_state(name: &str) -> bool {
    name == "state.redb" || name.starts_with("journal.")
}
