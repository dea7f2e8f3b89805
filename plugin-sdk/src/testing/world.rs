//! The virtual host: what the host interfaces do natively.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::Capability;
use crate::log::Level;

/// State that a harness keeps between calls.
pub(crate) struct World {
    pub(crate) capabilities: &'static [Capability],
    pub(crate) now_ms: u64,
    pub(crate) random: u64,
    pub(crate) logs: Vec<(Level, String)>,
    pub(crate) users: HashMap<String, String>,
    pub(crate) counters_full: bool,
    pub(crate) keyvalue_fails: bool,
    pub(crate) host_calls: usize,
    windows: HashMap<(String, Vec<u8>), Window>,
    buckets: HashMap<(String, Vec<u8>), Bucket>,
    values: HashMap<String, (Vec<u8>, u64)>,
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
            now_ms: 0,
            random: 0x9e37_79b9_7f4a_7c15,
            logs: Vec::new(),
            users: HashMap::new(),
            counters_full: false,
            keyvalue_fails: false,
            host_calls: 0,
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

    /// A restart of the host: what is volatile is gone.
    pub(crate) fn restart(&mut self) {
        self.windows.retain(|_, window| window.durable);
        self.buckets.clear();
    }

    fn demand(&self, capability: Capability) {
        assert!(
            self.capabilities.contains(&capability),
            "the policy calls `{0}` without naming it in CAPABILITIES",
            capability.name()
        );
    }
}

/// Two counts, as the host keeps them: the estimate is the current span plus
/// the share of the previous one that is still within the window.
struct Window {
    window_ms: u64,
    start_ms: u64,
    previous: u64,
    current: u64,
    durable: bool,
}

impl Window {
    fn estimate(&mut self, now_ms: u64) -> u64 {
        let elapsed = now_ms.saturating_sub(self.start_ms);
        match elapsed / self.window_ms {
            0 => {}
            1 => {
                (self.previous, self.current) = (self.current, 0);
                self.start_ms += self.window_ms;
            }
            _ => (self.previous, self.current, self.start_ms) = (0, 0, now_ms),
        }
        let left = self.window_ms - now_ms.saturating_sub(self.start_ms).min(self.window_ms);
        self.current + (self.previous * left).div_ceil(self.window_ms)
    }
}

/// Level in millionths of a token.
struct Bucket {
    level: u64,
    touched_ms: u64,
}

/// The interface `counters`.
pub(crate) mod counters {
    use super::{Bucket, Capability, Window, World, with};
    use crate::bindings::counters::{CounterError, Durability, Grant};

    fn check(world: &World, name: &str, key: &[u8]) -> Result<(), CounterError> {
        world.demand(Capability::Counters);
        if !(1..=64).contains(&name.len()) || key.len() > 256 {
            return Err(CounterError::Invalid);
        }
        if world.counters_full {
            Err(CounterError::Full)
        } else {
            Ok(())
        }
    }

    pub(crate) fn add(
        name: &str,
        key: &[u8],
        amount: u32,
        window_ms: u64,
        durability: Durability,
    ) -> Result<u64, CounterError> {
        with(|world| {
            check(world, name, key)?;
            if window_ms == 0 {
                return Err(CounterError::Invalid);
            }
            let entry = (name.to_owned(), key.to_owned());
            if amount == 0 && !world.windows.contains_key(&entry) {
                return Ok(0);
            }
            let fresh = Window {
                window_ms,
                start_ms: world.now_ms,
                previous: 0,
                current: 0,
                durable: false,
            };
            let window = world.windows.entry(entry).or_insert(fresh);
            let before = window.estimate(world.now_ms);
            if window.window_ms != window_ms {
                let durable = window.durable;
                *window = Window {
                    window_ms,
                    start_ms: world.now_ms,
                    previous: 0,
                    current: before,
                    durable,
                };
            }
            window.durable |= durability == Durability::Durable;
            window.current += u64::from(amount);
            Ok(window.estimate(world.now_ms))
        })
    }

    pub(crate) fn reset(name: &str, key: &[u8]) -> Result<(), CounterError> {
        with(|world| {
            world.demand(Capability::Counters);
            world.windows.remove(&(name.to_owned(), key.to_owned()));
            Ok(())
        })
    }

    pub(crate) fn take(
        name: &str,
        key: &[u8],
        tokens: u32,
        capacity: u32,
        refill_per_second: u32,
    ) -> Result<Grant, CounterError> {
        with(|world| {
            check(world, name, key)?;
            let (now_ms, rate) = (world.now_ms, u64::from(refill_per_second));
            let full = u64::from(capacity) * 1_000_000;
            let bucket = world
                .buckets
                .entry((name.to_owned(), key.to_owned()))
                .or_insert(Bucket {
                    level: full,
                    touched_ms: now_ms,
                });
            let gained = now_ms
                .saturating_sub(bucket.touched_ms)
                .saturating_mul(rate);
            bucket.level = bucket.level.saturating_add(gained).min(full);
            bucket.touched_ms = now_ms;
            let wanted = u64::from(tokens) * 1_000_000;
            let missing = wanted.saturating_sub(bucket.level);
            if missing == 0 {
                bucket.level -= wanted;
            }
            let wait = if missing == 0 {
                0
            } else {
                missing
                    .checked_div(rate)
                    .map_or(u64::MAX, |_| missing.div_ceil(rate))
            };
            Ok(Grant {
                taken: missing == 0,
                remaining: u32::try_from(bucket.level / 1_000_000).unwrap_or(u32::MAX),
                retry_after_ms: u32::try_from(wait).unwrap_or(u32::MAX),
            })
        })
    }
}

/// The interface `keyvalue`.
pub(crate) mod keyvalue {
    use super::{Capability, World, with};
    use crate::bindings::keyvalue::KvError;

    fn check(world: &World, key: &str) -> Result<(), KvError> {
        world.demand(Capability::KeyValue);
        match (world.keyvalue_fails, (1..=512).contains(&key.len())) {
            (true, _) => Err(KvError::Failed),
            (false, false) => Err(KvError::Invalid),
            (false, true) => Ok(()),
        }
    }

    pub(crate) fn get(key: &str) -> Result<Option<Vec<u8>>, KvError> {
        with(|world| {
            check(world, key)?;
            let value = world
                .values
                .get(key)
                .filter(|(_, until)| *until > world.now_ms);
            Ok(value.map(|(value, _)| value.clone()))
        })
    }

    pub(crate) fn set(key: &str, value: &[u8], ttl_ms: u64) -> Result<(), KvError> {
        with(|world| {
            check(world, key)?;
            if value.len() > 65_536 {
                return Err(KvError::Invalid);
            }
            let until = if ttl_ms == 0 {
                u64::MAX
            } else {
                world.now_ms.saturating_add(ttl_ms)
            };
            world
                .values
                .insert(key.to_owned(), (value.to_owned(), until));
            Ok(())
        })
    }

    pub(crate) fn delete(key: &str) -> Result<bool, KvError> {
        with(|world| {
            check(world, key)?;
            let now_ms = world.now_ms;
            Ok(world
                .values
                .remove(key)
                .is_some_and(|(_, until)| until > now_ms))
        })
    }
}

/// The interface `credentials`.
pub(crate) mod credentials {
    use super::{Capability, with};
    use crate::DigestAlgorithm;
    use crate::bindings::credentials::Verification;
    use crate::testing::{Message, Nonce};

    pub(crate) fn verify(
        message: &Message,
        realm: &str,
        algorithms: &[DigestAlgorithm],
    ) -> Verification {
        with(|world| {
            world.demand(Capability::Credentials);
            let Some(given) = message
                .credentials
                .as_ref()
                .filter(|given| given.realm == realm)
            else {
                return Verification::Missing;
            };
            if !algorithms.contains(&given.algorithm) {
                return Verification::AlgorithmRefused;
            }
            let user = given.user.clone();
            match given.nonce {
                Nonce::Forged => Verification::Malformed,
                _ if world.users.get(&user) != Some(&given.password) => Verification::Wrong(user),
                Nonce::Fresh => Verification::Ok(user),
                Nonce::Stale => Verification::Stale(user),
                Nonce::Replayed => Verification::Replayed(user),
            }
        })
    }
}
