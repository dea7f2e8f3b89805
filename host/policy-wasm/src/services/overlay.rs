//! What a shadow run sees in place of the services: the live state as it is, what the
//! shadow itself has written over it, and nothing that it does reaches the live one.
//!
//! The version in use runs first and has already counted and taken what the request
//! asks for. So the shadow is shown of a counter the larger of the live count and its
//! own, and of a lease what all other calls hold. A value that it wrote hides the live
//! one. Near a limit both are a few calls off, because live traffic goes on meanwhile.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use policy::{DigestAlgorithm, Holding, Holdings, LeaseError, LeaseWish};
use sip_message::Message;
use state::State;

use crate::services::{
    Addition, Clock, CodeVerification, CounterError, Counters, Credentials, HostServices, Keyvalue,
    KeyvalueError, Leases, LogLevel, LogSink, StateCounters, StateKeyvalue, StateLeases,
    TokenGrant, TokenRequest, Verification,
};

/// Ceilings of what one shadow writes: an eighth of what live policies share. It is in
/// memory only.
const LIMITS: state::Limits = state::Limits {
    windows: 32_768,
    windows_per_scope: 32_768,
    buckets: 32_768,
    buckets_per_scope: 32_768,
    values: 8_192,
    values_per_scope: 8_192,
    // A mark goes before each value.
    value_bytes: 65_537,
    values_total_bytes: 8 << 20,
    values_per_scope_bytes: 8 << 20,
    leases: 32_768,
    leases_per_scope: 32_768,
    scopes: 16,
    window_ms: 400 * 24 * 3_600_000,
    bucket_idle_ms: 3_600_000,
    journal_bytes: 0,
    sweep_shards: 8,
    durability: state::Durability::Process,
};

/// Counters that the shadow has reset and whose live count it is therefore not shown.
/// 4096; beyond, all are forgotten, and it sees the live counts again.
const RESETS: usize = 4_096;

/// Runs between two sweeps of what has expired. 64: a sweep looks through an eighth of the
/// tables.
const SWEEP_RUNS: u64 = 64;

/// Before a value that the shadow wrote.
const WRITTEN: u8 = 1;
/// In the place of a value that the shadow deleted.
const DELETED: u8 = 0;

/// What the live run of the same request left, which the shadow run must allow for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Precedent {
    /// When it was.
    pub(crate) at_ms: u64,
    /// What the request's call holds by it.
    pub(crate) held: Vec<Held>,
    /// Answers about dialled codes, by [`code_key`].
    pub(crate) codes: Vec<([u8; 32], CodeVerification)>,
}

/// A lease that was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) scope: String,
    pub(crate) name: String,
    pub(crate) key: Vec<u8>,
    pub(crate) amount: u64,
}

impl Held {
    fn is_of(&self, scope: &str, name: &str, key: &[u8]) -> bool {
        self.scope == scope && self.name == name && self.key == key
    }
}

/// Names a question about a code without keeping the code.
pub(crate) fn code_key(account: &str, code: &str) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(account.len() as u64).to_le_bytes());
    hasher.update(account.as_bytes());
    hasher.update(code.as_bytes());
    *hasher.finalize().as_bytes()
}

/// The live services with what one shadow has written over them. Runs follow each other
/// on one thread.
pub(crate) struct Overlay {
    live: HostServices,
    own: State,
    counters: StateCounters,
    values: StateKeyvalue,
    leases: StateLeases,
    resets: Mutex<HashSet<(String, Vec<u8>)>>,
    precedent: Mutex<Precedent>,
    runs: AtomicU64,
}

impl Overlay {
    /// Nothing is written yet.
    pub(crate) fn over(live: HostServices) -> Result<Arc<Self>, state::StateError> {
        let at_ms = live.clock.now_ms();
        let own = State::open(None, LIMITS, at_ms)?;
        Ok(Arc::new(Self {
            counters: StateCounters(own.clone()),
            values: StateKeyvalue(own.clone()),
            leases: StateLeases(state::Leases::new(&LIMITS)),
            own,
            live,
            resets: Mutex::default(),
            precedent: Mutex::new(Precedent {
                at_ms,
                ..Precedent::default()
            }),
            runs: AtomicU64::new(0),
        }))
    }

    /// The services for the shadow.
    pub(crate) fn services(self: &Arc<Self>) -> HostServices {
        HostServices {
            clock: Arc::clone(self) as _,
            counters: Arc::clone(self) as _,
            keyvalue: Arc::clone(self) as _,
            leases: Arc::new(OverlayLeases(Arc::clone(self))),
            credentials: Arc::clone(self) as _,
            log: Arc::clone(self) as _,
            ..self.live.clone()
        }
    }

    /// The next run is about this.
    pub(crate) fn begin(&self, precedent: Precedent) {
        let at_ms = precedent.at_ms;
        *self.precedent.lock() = precedent;
        let runs = self.runs.fetch_add(1, Ordering::Relaxed);
        if runs.is_multiple_of(SWEEP_RUNS) {
            self.own.sweep(at_ms);
        }
    }

    /// Whoever holds leases in the shadow of a new call.
    pub(crate) fn open(self: &Arc<Self>) -> Arc<dyn Holdings> {
        Arc::new(ShadowHoldings {
            overlay: Arc::clone(self),
            own: self.leases.open(),
        })
    }

    /// What other calls hold of a key, the live ones or those of the shadow.
    fn held_by_others(&self, scope: &str, name: &str, key: &[u8]) -> Result<u64, LeaseError> {
        let live = self.live.leases.held(scope, name, key)?;
        let own = self.leases.held(scope, name, key)?;
        let precedent = self.precedent.lock();
        let mine = precedent.held.iter().find(|it| it.is_of(scope, name, key));
        Ok(live.saturating_sub(mine.map_or(0, |it| it.amount)).max(own))
    }

    /// The shadow holds what the live version held already.
    fn follows(&self, wish: &LeaseWish<'_>) {
        let mut precedent = self.precedent.lock();
        let mut held = precedent.held.iter_mut();
        if let Some(held) = held.find(|it| it.is_of(wish.scope, wish.name, wish.key)) {
            held.amount = held.amount.saturating_sub(wish.amount);
        }
    }
}

/// Scope and name, and key, of a counter that was reset.
fn reset_key(scope: &str, name: &str, key: &[u8]) -> (String, Vec<u8>) {
    (format!("{scope}\0{name}"), key.to_vec())
}

impl Clock for Overlay {
    fn now_ms(&self) -> u64 {
        self.precedent.lock().at_ms
    }
}

impl Counters for Overlay {
    fn add(&self, addition: Addition<'_>) -> Result<u64, CounterError> {
        let own = self.counters.add(Addition {
            durable: false,
            ..addition
        })?;
        let Addition {
            scope, name, key, ..
        } = addition;
        let resets = self.resets.lock();
        if !resets.is_empty() && resets.contains(&reset_key(scope, name, key)) {
            return Ok(own);
        }
        drop(resets);
        let live = self.live.counters.add(Addition {
            amount: 0,
            durable: false,
            ..addition
        })?;
        Ok(live.max(own))
    }

    fn reset(&self, scope: &str, name: &str, key: &[u8], now_ms: u64) -> Result<(), CounterError> {
        self.counters.reset(scope, name, key, now_ms)?;
        let mut resets = self.resets.lock();
        if resets.len() >= RESETS {
            resets.clear();
        }
        resets.insert(reset_key(scope, name, key));
        Ok(())
    }

    /// A live bucket cannot be looked into; the shadow's own begins full.
    fn take(&self, request: TokenRequest<'_>) -> Result<TokenGrant, CounterError> {
        self.counters.take(request)
    }
}

impl Keyvalue for Overlay {
    fn get(&self, scope: &str, key: &str, now_ms: u64) -> Result<Option<Vec<u8>>, KeyvalueError> {
        match self.values.get(scope, key, now_ms)?.as_deref() {
            Some([WRITTEN, value @ ..]) => Ok(Some(value.to_vec())),
            Some(_) => Ok(None),
            None => self.live.keyvalue.get(scope, key, now_ms),
        }
    }

    fn set(
        &self,
        scope: &str,
        key: &str,
        value: &[u8],
        ttl_ms: u64,
        now_ms: u64,
    ) -> Result<(), KeyvalueError> {
        let mut marked = Vec::with_capacity(value.len() + 1);
        marked.push(WRITTEN);
        marked.extend_from_slice(value);
        self.values.set(scope, key, &marked, ttl_ms, now_ms)
    }

    fn delete(&self, scope: &str, key: &str, now_ms: u64) -> Result<bool, KeyvalueError> {
        let was_there = self.get(scope, key, now_ms)?.is_some();
        self.values.set(scope, key, &[DELETED], 0, now_ms)?;
        Ok(was_there)
    }
}

impl Credentials for Overlay {
    /// What the live run verified is known already and not asked again. For the rest, the
    /// credentials are looked at, and none is used up.
    fn verify(
        &self,
        request: &Message,
        source: IpAddr,
        realm: &str,
        allowed: &[DigestAlgorithm],
        now_ms: u64,
    ) -> Verification {
        let credentials = &self.live.credentials;
        credentials.look_at(request, source, realm, allowed, now_ms)
    }

    fn look_at(
        &self,
        request: &Message,
        source: IpAddr,
        realm: &str,
        allowed: &[DigestAlgorithm],
        now_ms: u64,
    ) -> Verification {
        self.verify(request, source, realm, allowed, now_ms)
    }

    /// A code that the live run did not check is wrong: looking would count as a guess.
    fn check_code(&self, account: &str, code: &str, _now_ms: u64) -> CodeVerification {
        let asked = code_key(account, code);
        let precedent = self.precedent.lock();
        let mut known = precedent.codes.iter();
        let known = known.find(|(key, _)| *key == asked);
        known.map_or(CodeVerification::Wrong, |(_, answer)| *answer)
    }
}

impl LogSink for Overlay {
    fn write(&self, plugin: &str, level: LogLevel, text: &str) {
        let plugin = format!("{plugin} (shadow)");
        self.live.log.write(&plugin, level, text);
    }
}

struct OverlayLeases(Arc<Overlay>);

impl Leases for OverlayLeases {
    fn open(&self) -> Arc<dyn Holdings> {
        self.0.open()
    }

    fn held(&self, scope: &str, name: &str, key: &[u8]) -> Result<u64, LeaseError> {
        self.0.held_by_others(scope, name, key)
    }
}

/// What one call holds in the shadow.
struct ShadowHoldings {
    overlay: Arc<Overlay>,
    own: Arc<dyn Holdings>,
}

impl std::fmt::Debug for ShadowHoldings {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("ShadowHoldings");
        shown.field("own", &self.own).finish_non_exhaustive()
    }
}

impl Holdings for ShadowHoldings {
    fn hold(&self, wish: LeaseWish<'_>) -> Result<Holding, LeaseError> {
        let others = self
            .overlay
            .held_by_others(wish.scope, wish.name, wish.key)?;
        let held = others.saturating_add(wish.amount);
        if held > wish.limit {
            return Ok(Holding {
                granted: false,
                held: others,
            });
        }
        let own = self.own.hold(wish)?;
        if own.granted {
            self.overlay.follows(&wish);
        }
        Ok(Holding {
            granted: own.granted,
            held: if own.granted { held } else { others },
        })
    }

    fn release(&self) {
        self.own.release();
    }
}

/// Leases of one call that are noted, so that shadow runs can allow for them, and what
/// those hold beside them. All of it ends with the call.
#[derive(Debug)]
pub(crate) struct WatchedHoldings {
    live: Arc<dyn Holdings>,
    granted: Mutex<Vec<Held>>,
    understudies: Vec<(Arc<str>, Arc<dyn Holdings>)>,
}

/// Leases of one call that are noted. 64; beyond, a shadow sees more held than it should.
const NOTED: usize = 64;

impl WatchedHoldings {
    pub(crate) fn new(
        live: Arc<dyn Holdings>,
        understudies: Vec<(Arc<str>, Arc<dyn Holdings>)>,
    ) -> Arc<Self> {
        Arc::new(Self {
            live,
            granted: Mutex::default(),
            understudies,
        })
    }

    /// What the live run was granted.
    pub(crate) fn granted(&self) -> Vec<Held> {
        self.granted.lock().clone()
    }
}

impl Holdings for WatchedHoldings {
    fn hold(&self, wish: LeaseWish<'_>) -> Result<Holding, LeaseError> {
        let holding = self.live.hold(wish)?;
        let mut granted = self.granted.lock();
        if holding.granted && granted.len() < NOTED {
            let LeaseWish {
                scope,
                name,
                key,
                amount,
                ..
            } = wish;
            let known = granted.iter_mut().find(|it| it.is_of(scope, name, key));
            match known {
                Some(known) => known.amount = known.amount.saturating_add(amount),
                None => granted.push(Held {
                    scope: scope.to_owned(),
                    name: name.to_owned(),
                    key: key.to_vec(),
                    amount,
                }),
            }
        }
        Ok(holding)
    }

    fn release(&self) {
        self.live.release();
        for (_, understudy) in &self.understudies {
            understudy.release();
        }
    }

    fn understudy(&self, plugin: &str) -> Option<Arc<dyn Holdings>> {
        let mut understudies = self.understudies.iter();
        let (_, understudy) = understudies.find(|(of, _)| **of == *plugin)?;
        Some(Arc::clone(understudy))
    }
}

#[cfg(test)]
#[path = "overlay_tests.rs"]
mod tests;
