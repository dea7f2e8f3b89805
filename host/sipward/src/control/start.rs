//! Building everything for the first time.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::media::MediaLimits;
use anyhow::Context;
use policy_wasm::{Clock, Engine, EngineConfig, HostServices, Lookups, RecentNumbers, SystemClock};
use sip_proxy::{MediaConfig, OfferReader, ProxyConfig, ProxyCore};
use state::State;
use state::digest::Nonces;
use transport::{ListenerConfig, SharedTransport};

use super::Control;
use super::media::{MediaService, Recipients};
use super::records::Archive;
use crate::assemble::{self, ListenerBook, LookupShelf, MediaBook, PluginShelf, Roster};
use crate::challenge::Challenger;
use crate::config::{self, Config, Loaded};
use crate::credentials::AccountsInUse;
use crate::shard::{Shard, ShardParts};
use crate::shards::Shards;
use crate::snapshot::Snapshot;
use crate::telemetry::{self, Style};
use crate::worker::{self, StartError};

/// Name of the secret that nonces are made with.
const NONCE_SECRET: &str = "digest-nonce";

pub(super) fn logging(config: &Config) -> anyhow::Result<()> {
    let style = match config.server.log_format {
        config::LogFormat::Human => Style::Human,
        config::LogFormat::Json => Style::Json,
    };
    telemetry::start(style, &config.server.log_level)
        .context("server.log_level is not a filter; write `info`")
}

pub(super) fn check(file: &Path) -> anyhow::Result<String> {
    let loaded = config::load(file)?;
    let config = &loaded.config;
    let engine = engine(config)?;
    let state = State::open(None, state::Limits::default(), SystemClock.now_ms())?;
    let nonces = Arc::new(Nonces::new(
        random()?,
        Duration::from_secs(config.server.nonce_seconds),
    ));
    let now_ms = SystemClock.now_ms();
    let roster = assemble::roster(config, now_ms)?;
    let (book, _) = LookupShelf::default().book(config, &roster.members)?;
    let accounts = accounts(config, roster, &state, now_ms)?;
    let lookups = Arc::new(Lookups::new(book));
    let services = services(&state, &accounts, &nonces, &lookups)?;
    let listeners = ListenerBook::default().prepare(config)?;
    let media = config.media.as_ref();
    let media = media.map(|media| MediaBook::new(media, config.workers()));
    assemble::routing(config, &listeners.book, media.transpose()?.as_ref())?;
    PluginShelf::default().generation(1, config, &engine, &services)?;
    Archive::check(config)?;
    let mut lines = loaded
        .warnings
        .iter()
        .map(|warning| format!("warning: {warning}"))
        .collect::<Vec<_>>();
    lines.push(format!(
        "{}: good; {} listeners, {} peers, {} plugins, {} pipelines",
        file.display(),
        config.listeners.len(),
        config.pbxs.len() + config.trunks.len(),
        config.plugins.len(),
        config.pipelines.len()
    ));
    Ok(lines.join("\n"))
}

impl Control {
    pub(super) fn start(file: &Path, loaded: Loaded) -> anyhow::Result<Self> {
        let config = loaded.config;
        let engine = engine(&config)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let now_ms = clock.now_ms();
        let (state, nonces) = open_state(&config, now_ms)?;
        let roster = assemble::roster(&config, now_ms)?;
        let (book, lookup_shelf) = LookupShelf::default().book(&config, &roster.members)?;
        let accounts = accounts(&config, roster, &state, now_ms)?;
        accounts.warn(now_ms);
        let lookups = Arc::new(Lookups::new(book));
        let services = services(&state, &accounts, &nonces, &lookups)?;
        let mut listeners = ListenerBook::default().prepare(&config)?;
        let recipients = Recipients::default();
        let media = config.media.as_ref();
        let media = media
            .map(|media| MediaService::start(media, config.workers(), &recipients))
            .transpose()?;
        let book = media.as_ref().map(|media| &media.book);
        let routing = assemble::routing(&config, &listeners.book, book)?;
        let (generation, shelf) =
            PluginShelf::default().generation(1, &config, &engine, &services)?;
        let snapshot = Arc::new(Snapshot::new(1, routing, generation));
        let shared = SharedTransport::new(assemble::transport_config(
            &config,
            listeners.book.outbound_tls(),
        ));
        let challenger = Challenger::new(nonces, Arc::clone(&clock));
        let waiting = (0..config.workers())
            .map(|index| worker::prepare(index, &shared))
            .collect::<Result<Vec<_>, _>>()?;
        let archive = Archive::start(&config, &recipients)?;
        let shards = shards(
            &config,
            &snapshot,
            &waiting,
            &challenger,
            &clock,
            media.as_ref(),
            &archive,
        )?;
        let shards = Arc::new(Shards::new(shards, u64::from_le_bytes(random()?)));
        recipients.set(&shards);
        let workers = begin(waiting, &shards, &listeners.added)?;
        Ok(Self {
            file: file.to_owned(),
            number: 1,
            engine,
            services,
            state,
            accounts,
            shelf,
            lookups,
            lookup_shelf,
            book: std::mem::take(&mut listeners.book),
            shared,
            shards,
            workers,
            media,
            archive,
            draining: None,
            started: Instant::now(),
            last_reload: "none".to_owned(),
            config,
        })
    }
}

/// The state, and nonces that go on being good after a restart.
fn open_state(config: &Config, now_ms: u64) -> anyhow::Result<(State, Arc<Nonces>)> {
    let state = State::open(
        config.server.state_dir.as_deref(),
        state::Limits::default(),
        now_ms,
    )
    .context("failed to open the state")?;
    let secret = state
        .secret(NONCE_SECRET, now_ms)
        .context("failed to make the nonce secret")?;
    let lifetime = Duration::from_secs(config.server.nonce_seconds);
    let nonces = Arc::new(Nonces::new(secret, lifetime).not_before(now_ms));
    Ok((state, nonces))
}

/// Who may authenticate at the start.
fn accounts(
    config: &Config,
    roster: Roster,
    state: &State,
    now_ms: u64,
) -> anyhow::Result<AccountsInUse> {
    let forgetful = config.server.state_dir.is_none();
    Ok(AccountsInUse::new(roster, state, forgetful, now_ms)?)
}

/// What plugins are served with.
fn services(
    state: &State,
    accounts: &AccountsInUse,
    nonces: &Arc<Nonces>,
    lookups: &Arc<Lookups>,
) -> anyhow::Result<HostServices> {
    let numbers = RecentNumbers::new()?;
    let mut services = HostServices::embedded(
        state.clone(),
        accounts.digest(),
        Arc::clone(nonces),
        Arc::clone(lookups),
        Arc::new(numbers),
    );
    services.credentials = Arc::new(accounts.credentials(nonces));
    Ok(services)
}

/// Open the listeners of every worker.
fn begin(
    waiting: Vec<worker::Waiting>,
    shards: &Arc<Shards>,
    listeners: &[ListenerConfig],
) -> Result<Vec<worker::Running>, StartError> {
    let waiting = waiting.into_iter().enumerate();
    waiting
        .map(|(index, worker)| worker.begin(index, shards, listeners))
        .collect()
}

/// One shard for each worker.
fn shards(
    config: &Config,
    snapshot: &Arc<Snapshot>,
    workers: &[worker::Waiting],
    challenger: &Challenger,
    clock: &Arc<dyn Clock>,
    media: Option<&MediaService>,
    archive: &Archive,
) -> anyhow::Result<Vec<Shard>> {
    let rules = archive.rules(config);
    let offers = match media {
        Some(service) => service.book.offers(),
        None => OfferReader::new(&MediaLimits::default(), &[]),
    };
    let shard = |(index, worker): (usize, &worker::Waiting)| {
        let mut proxy = proxy_config(config, snapshot)?;
        if let (Some(service), Some(media)) = (media, &config.media) {
            proxy.media = Some(MediaConfig {
                anchor: service.book.anchor(media, index),
                seed: random()?,
            });
        }
        Ok(Shard::new(ShardParts {
            index,
            clock: Arc::clone(clock),
            core: ProxyCore::new(proxy),
            snapshot: Arc::clone(snapshot),
            sender: worker.sender.clone(),
            rules: Arc::clone(&rules),
            desk: archive.desk(),
            challenger: challenger.clone(),
            relay: media.map(MediaService::handle),
            offers: offers.clone(),
        }))
    };
    workers.iter().enumerate().map(shard).collect()
}

fn proxy_config(config: &Config, snapshot: &Snapshot) -> anyhow::Result<ProxyConfig> {
    let mut proxy = ProxyConfig::new(random()?, Arc::clone(&snapshot.routing));
    proxy.transaction_timers = assemble::transaction_timers(config);
    proxy.transaction_limits = assemble::transaction_limits(config);
    proxy.message_limits = assemble::message_limits(config);
    Ok(proxy)
}

fn engine(config: &Config) -> anyhow::Result<Engine> {
    let defaults = EngineConfig::default();
    let kept = u32::try_from(config.plugins.len() * config.workers()).unwrap_or(u32::MAX);
    Ok(Engine::new(EngineConfig {
        cache_dir: config
            .server
            .cache_dir
            .clone()
            .or_else(|| cache_in(config.server.state_dir.as_deref())),
        // Two generations at once during a reload, and one trial.
        instances: defaults
            .instances
            .max(kept.saturating_mul(2).saturating_add(16)),
        ..defaults
    })?)
}

fn cache_in(state: Option<&Path>) -> Option<PathBuf> {
    state.map(|folder| folder.join("compiled"))
}

fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| anyhow::anyhow!("the system gives no randomness: {error}"))?;
    Ok(bytes)
}
