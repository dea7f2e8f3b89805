//! The virtual host: what the host interfaces do natively.

pub(crate) mod counters;
pub(crate) mod credentials;
pub(crate) mod geo;
pub(crate) mod identity;
pub(crate) mod keyvalue;
pub(crate) mod leases;
pub(crate) mod lists;
pub(crate) mod numbers;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::bindings::geo::Place;
use crate::bindings::identity::{DigestUser, TlsSession};
use crate::log::Level;
use crate::{Capability, Network};

use counters::{Bucket, Window};
use credentials::Code;
use leases::Leases;

/// State that a harness keeps between calls.
pub(crate) struct World {
    pub(crate) capabilities: &'static [Capability],
    /// While `configure` runs, state is out of reach.
    pub(crate) configuring: bool,
    pub(crate) now_ms: u64,
    pub(crate) random: u64,
    pub(crate) logs: Vec<(Level, String)>,
    pub(crate) users: HashMap<String, String>,
    pub(crate) counters_full: bool,
    pub(crate) keyvalue_fails: bool,
    pub(crate) host_calls: usize,
    pub(crate) leases: Leases,
    pub(crate) codes: HashMap<String, Vec<Code>>,
    pub(crate) places: Vec<(Network, Place)>,
    pub(crate) lists: HashMap<String, BTreeMap<String, String>>,
    pub(crate) groups: BTreeMap<String, BTreeSet<String>>,
    pub(crate) request: RequestContext,
    pub(crate) tls: TlsSession,
    windows: HashMap<(String, Vec<u8>), Window>,
    buckets: HashMap<(String, Vec<u8>), Bucket>,
    values: HashMap<String, (Vec<u8>, u64)>,
}

/// What the host knows about the request in hand beyond its facts.
#[derive(Default)]
pub(crate) struct RequestContext {
    pub(crate) tls: Option<TlsSession>,
    pub(crate) verified: Vec<DigestUser>,
}

thread_local! {
    static CURRENT: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// Lets a host call reach the world of the harness that is running.
///
/// # Panics
/// Outside a harness: there is no host natively.
pub(crate) fn with<T>(action: impl FnOnce(&mut World) -> T) -> T {
    CURRENT.with_borrow_mut(|current| match current {
        Some(world) => {
            world.host_calls += 1;
            action(world)
        }
        None => panic!("host interfaces work inside testing::Harness only"),
    })
}

/// Runs something with a world as the host.
pub(crate) fn enter<T>(world: &mut Option<World>, action: impl FnOnce() -> T) -> T {
    /// Puts the worlds back, also when the policy panics.
    struct Swapped<'a>(&'a mut Option<World>);
    impl Drop for Swapped<'_> {
        fn drop(&mut self) {
            CURRENT.with_borrow_mut(|current| std::mem::swap(current, self.0));
        }
    }
    CURRENT.with_borrow_mut(|current| std::mem::swap(current, world));
    let _swapped = Swapped(world);
    action()
}

impl World {
    pub(crate) fn new(capabilities: &'static [Capability]) -> Self {
        Self {
            capabilities,
            configuring: false,
            now_ms: 0,
            random: 0x9e37_79b9_7f4a_7c15,
            logs: Vec::new(),
            users: HashMap::new(),
            counters_full: false,
            keyvalue_fails: false,
            host_calls: 0,
            leases: Leases::default(),
            codes: HashMap::new(),
            places: Vec::new(),
            lists: HashMap::new(),
            groups: BTreeMap::new(),
            request: RequestContext::default(),
            tls: TlsSession {
                version: "TLSv1.3".to_owned(),
                cipher: "TLS_AES_256_GCM_SHA384".to_owned(),
            },
            windows: HashMap::new(),
            buckets: HashMap::new(),
            values: HashMap::new(),
        }
    }

    /// SplitMix64: repeatable, and good enough to stand for randomness.
    pub(crate) fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.random;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A restart of the host: what is volatile is gone, and so are the calls with
    /// all that they held.
    pub(crate) fn restart(&mut self) {
        self.windows.retain(|_, window| window.durable);
        self.buckets.clear();
        self.leases.forget_calls();
    }

    /// An interface that needs a grant.
    ///
    /// # Panics
    /// If the policy does not name it: the host would not lend it.
    fn demand(&self, capability: Capability) {
        assert!(
            self.capabilities.contains(&capability),
            "the policy calls `{0}` without naming it in CAPABILITIES",
            capability.name()
        );
    }

    /// An interface that needs a grant and has state.
    ///
    /// # Panics
    /// As [`World::demand`], and in `configure`: instances are made at any time.
    fn demand_state(&self, capability: Capability) {
        self.demand(capability);
        assert!(
            !self.configuring,
            "{} cannot be used in configure",
            capability.name()
        );
    }
}
