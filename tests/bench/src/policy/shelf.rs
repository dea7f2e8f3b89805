//! Plugins with the settings of a small site, loaded as the proxy loads them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use arc_swap::ArcSwap;
use policy::{Capability, Grants};
use policy_wasm::{
    Clock, Engine, EngineConfig, HostServices, Isolation, LookupBook, Lookups, Plugin,
    PluginSource, RecentNumbers, SystemClock,
};
use serde_json::{Value, json};
use state::State;
use state::digest::{Accounts, Nonces};

use crate::credentials::{ALICE, PBX};

/// Longer than any run, so that no nonce goes stale in the middle.
const NONCE_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// A built guest, and how it is configured.
#[derive(Debug)]
pub(crate) struct Guest {
    /// The name of the plugin.
    pub(crate) name: String,
    /// Its file among the built ones.
    pub(crate) file: String,
    pub(crate) grants: Grants,
    pub(crate) settings: Value,
}

/// The guests of the small site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The hook of the SDK and nothing in it.
    Empty,
    IpAcl,
    RateLimit,
    DigestAuth,
    DestinationLimits,
}

impl Kind {
    /// The name of the plugin.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::IpAcl => "ip-acl",
            Self::RateLimit => "rate-limit",
            Self::DigestAuth => "digest-auth",
            Self::DestinationLimits => "destination-limits",
        }
    }

    fn file(self) -> &'static str {
        match self {
            // Misbehaves in the hook that it is told to, which is not asked here.
            Self::Empty => "hostile-plugins.wasm",
            Self::IpAcl => "ip-acl.wasm",
            Self::RateLimit => "rate-limit.wasm",
            Self::DigestAuth => "digest-auth.wasm",
            Self::DestinationLimits => "destination-limits.wasm",
        }
    }

    /// The guest.
    pub(crate) fn guest(self) -> Guest {
        Guest {
            name: self.name().to_owned(),
            file: self.file().to_owned(),
            grants: self.grants(),
            settings: self.settings(),
        }
    }

    fn grants(self) -> Grants {
        match self {
            Self::Empty => Grants::NONE.with(Capability::EditHeaders),
            Self::IpAcl => Grants::NONE,
            Self::DestinationLimits => Grants::NONE.with(Capability::Lists),
            Self::RateLimit => Grants::NONE.with(Capability::Counters),
            Self::DigestAuth => Grants::NONE
                .with(Capability::Credentials)
                .with(Capability::Counters)
                .with(Capability::Keyvalue),
        }
    }

    fn settings(self) -> Value {
        match self {
            Self::Empty => json!({ "behaviour": "none", "hook": "response" }),
            Self::IpAcl => json!({
                "inside": {
                    "default": "deny",
                    "allow": ["192.0.2.0/24", "198.51.100.0/24", "2001:db8::/32"],
                    "deny": ["192.0.2.128/25"],
                },
                "outside": { "default": "deny", "allow": ["203.0.113.0/24"] },
            }),
            // Rules that are asked on every request and never reached.
            Self::RateLimit => json!({
                "rules": [
                    { "name": "source", "per": "source", "per_second": 1e6, "burst": 1_000_000 },
                    { "name": "network", "per": "network", "per_second": 1e6, "burst": 1_000_000 },
                ],
            }),
            Self::DigestAuth => json!({ "realm": PBX.realm, "algorithms": ["SHA-256", "MD5"] }),
            Self::DestinationLimits => json!({
                "default": "deny",
                "allow": ["+49", "+1", "+44", "+33", "+39"],
                "deny": ["+49900", "+882", "+979"],
            }),
        }
    }
}

/// The engine, the services behind the host functions, and the guests' files.
pub(crate) struct Shelf {
    engine: Engine,
    services: HostServices,
    folder: PathBuf,
    pub(crate) accounts: Arc<ArcSwap<Accounts>>,
    pub(crate) nonces: Arc<Nonces>,
}

impl Shelf {
    /// An engine with its cache, and state with its journal, in this folder; guests look
    /// things up in this book.
    pub(crate) fn open(folder: &Path, book: LookupBook) -> Result<Self> {
        let now_ms = SystemClock.now_ms();
        let state = State::open(
            Some(&folder.join("state")),
            state::Limits::default(),
            now_ms,
        )?;
        let nonces = Nonces::new(state.secret("nonces", now_ms)?, NONCE_LIFETIME);
        let nonces = Arc::new(nonces);
        let mut accounts = Accounts::builder();
        for account in [&PBX, &ALICE] {
            accounts.password(account.user, account.realm, account.password.as_bytes())?;
        }
        let accounts = Arc::new(ArcSwap::from_pointee(accounts.build()));
        let engine = Engine::new(EngineConfig {
            cache_dir: Some(folder.join("cache")),
            // All cases have their instances ready at the same time.
            instances: 1024,
            ..EngineConfig::default()
        })?;
        Ok(Self {
            engine,
            services: HostServices::embedded(
                state,
                Arc::clone(&accounts),
                Arc::clone(&nonces),
                Arc::new(Lookups::new(book)),
                Arc::new(RecentNumbers::new()?),
            ),
            folder: plugin_folder(),
            accounts,
            nonces,
        })
    }

    /// Loads a guest under a name.
    pub(crate) fn load(
        &self,
        guest: &Guest,
        name: &str,
        isolation: Isolation,
    ) -> Result<Arc<Plugin>> {
        let path = self.folder.join(&guest.file);
        let wasm = std::fs::read(&path).with_context(|| {
            format!(
                "failed to read {}; `cargo xtask plugins` makes it",
                path.display()
            )
        })?;
        let mut source = PluginSource::new(name, wasm);
        source.settings = guest.settings.clone();
        source.capabilities = guest.grants;
        source.isolation = isolation;
        let loaded = self.engine.load(source, self.services.clone());
        loaded.with_context(|| format!("failed to load {}", path.display()))
    }
}

/// Where `cargo xtask plugins` puts them, unless the environment says otherwise.
fn plugin_folder() -> PathBuf {
    std::env::var_os("SIPWARD_PLUGINS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/plugins"),
        PathBuf::from,
    )
}
