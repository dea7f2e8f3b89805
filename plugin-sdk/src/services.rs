//! What the host offers. Natively every call goes to the test harness instead.

/// Time, as the host sees it; virtual in tests and replays.
pub mod clock {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    ///
    /// ```no_run
    /// let today = sipward_plugin_sdk::clock::now_ms() / 86_400_000;
    /// # let _ = today;
    /// ```
    #[must_use]
    pub fn now_ms() -> u64 {
        #[cfg(target_arch = "wasm32")]
        return crate::bindings::clock::now_ms();
        #[cfg(not(target_arch = "wasm32"))]
        return crate::testing::world::with(|world| world.now_ms);
    }
}

/// Randomness from the host; repeatable in tests and replays.
pub mod random {
    /// 64 uniformly distributed bits, fit for secrets.
    ///
    /// ```no_run
    /// let one_in_four = sipward_plugin_sdk::random::next_u64() % 4 == 0;
    /// # let _ = one_in_four;
    /// ```
    #[must_use]
    pub fn next_u64() -> u64 {
        #[cfg(target_arch = "wasm32")]
        return crate::bindings::random::next_u64();
        #[cfg(not(target_arch = "wasm32"))]
        return crate::testing::world::with(crate::testing::world::World::next_random);
    }
}

/// Counters that many calls and all workers share. Needs
/// [`Capability::Counters`](crate::Capability::Counters).
///
/// Names are 1 to 64 bytes, keys 0 to 256. They belong to the plugin in its
/// pipeline: two plugins never see each other's counters.
pub mod counters {
    pub use crate::bindings::counters::{CounterError, Durability, Grant};

    #[cfg(target_arch = "wasm32")]
    use crate::bindings::counters as host;
    #[cfg(not(target_arch = "wasm32"))]
    use crate::testing::counters as host;

    /// A sliding window: how much was added for a key within the last so many
    /// milliseconds. The count is exact until one window after the first
    /// addition and an estimate, never too low for a steady rate, later.
    ///
    /// ```no_run
    /// use sipward_plugin_sdk::counters::Window;
    /// const FAILURES: Window = Window::new("failures", 60_000).durable();
    /// if FAILURES.add(b"alice", 1).is_ok_and(|count| count > 5) { /* refuse */ }
    /// ```
    #[derive(Clone, Copy, Debug)]
    pub struct Window {
        name: &'static str,
        window_ms: u64,
        durability: Durability,
    }

    impl Window {
        /// A window in memory only. `window_ms` is at least 1.
        #[must_use]
        pub const fn new(name: &'static str, window_ms: u64) -> Self {
            Self {
                name,
                window_ms,
                durability: Durability::Volatile,
            }
        }

        /// The same window, written before each addition returns, so that it
        /// survives a crash. Dearer: use it for what is rare.
        #[must_use]
        pub const fn durable(self) -> Self {
            Self {
                durability: Durability::Durable,
                ..self
            }
        }

        /// Adds and returns the count, the addition included.
        ///
        /// # Errors
        /// [`CounterError::Full`]: treat it as the limit reached.
        /// [`CounterError::Invalid`]: name, key or window is out of bounds.
        pub fn add(&self, key: &[u8], amount: u32) -> Result<u64, CounterError> {
            host::add(self.name, key, amount, self.window_ms, self.durability)
        }

        /// The count, without adding.
        ///
        /// # Errors
        /// As [`Window::add`].
        pub fn count(&self, key: &[u8]) -> Result<u64, CounterError> {
            host::add(self.name, key, 0, self.window_ms, Durability::Volatile)
        }

        /// Forgets what was counted.
        ///
        /// # Errors
        /// [`CounterError::Invalid`]: name or key is out of bounds.
        pub fn reset(&self, key: &[u8]) -> Result<(), CounterError> {
            host::reset(self.name, key)
        }
    }

    /// A token bucket. A key that was never seen has a full one.
    ///
    /// ```no_run
    /// use sipward_plugin_sdk::counters::Bucket;
    /// // Bursts of 20, 5 a second in the long run.
    /// const CALLS: Bucket = Bucket::new("calls", 20, 5_000);
    /// let refused = CALLS.take(b"192.0.2.1", 1).is_ok_and(|grant| !grant.taken);
    /// # let _ = refused;
    /// ```
    #[derive(Clone, Copy, Debug)]
    pub struct Bucket {
        name: &'static str,
        capacity: u32,
        refill_per_second_milli: u32,
    }

    impl Bucket {
        /// A bucket of `capacity` tokens that gains `refill_per_second_milli`
        /// thousandths of a token each second.
        #[must_use]
        pub const fn new(name: &'static str, capacity: u32, refill_per_second_milli: u32) -> Self {
            Self {
                name,
                capacity,
                refill_per_second_milli,
            }
        }

        /// Takes tokens if all of them are there.
        ///
        /// # Errors
        /// As [`Window::add`].
        pub fn take(&self, key: &[u8], tokens: u32) -> Result<Grant, CounterError> {
            host::take(
                self.name,
                key,
                tokens,
                self.capacity,
                self.refill_per_second_milli,
            )
        }
    }
}

/// Small values that outlive a call and a restart. Needs
/// [`Capability::KeyValue`](crate::Capability::KeyValue).
///
/// A value is durable when [`set`](keyvalue::set) returns. Keys are 1 to 512
/// bytes, values up to 64 KiB, and belong to the plugin.
pub mod keyvalue {
    pub use crate::bindings::keyvalue::KvError;

    #[cfg(target_arch = "wasm32")]
    use crate::bindings::keyvalue as host;
    #[cfg(not(target_arch = "wasm32"))]
    use crate::testing::keyvalue as host;

    /// Reads a value.
    ///
    /// # Errors
    /// [`KvError::Invalid`]: the key is out of bounds. [`KvError::Failed`]: the
    /// store failed.
    pub fn get(key: &str) -> Result<Option<Vec<u8>>, KvError> {
        host::get(key)
    }

    /// Writes a value; `ttl_ms` 0 keeps it for ever.
    ///
    /// # Errors
    /// As [`get`], and [`KvError::Full`]: the plugin's share is used up.
    pub fn set(key: &str, value: &[u8], ttl_ms: u64) -> Result<(), KvError> {
        host::set(key, value, ttl_ms)
    }

    /// Removes a value; true if there was one.
    ///
    /// # Errors
    /// As [`get`].
    pub fn delete(key: &str) -> Result<bool, KvError> {
        host::delete(key)
    }
}

/// Digest verification. Passwords and their hashes never enter a plugin. Needs
/// [`Capability::Credentials`](crate::Capability::Credentials).
pub mod credentials {
    pub use crate::bindings::credentials::Verification;

    use crate::{DigestAlgorithm, Request};

    #[cfg(target_arch = "wasm32")]
    use crate::bindings::credentials as host;
    #[cfg(not(target_arch = "wasm32"))]
    use crate::testing::credentials as host;

    /// Verifies the Authorization or Proxy-Authorization header of a request for
    /// a realm, for one of these algorithms (RFC 7616, RFC 8760).
    ///
    /// A nonce is good only for the source that was challenged with it, an IPv4
    /// address or an IPv6 /64; from elsewhere it is
    /// [`Malformed`](Verification::Malformed), which is no guess. So
    /// [`Wrong`](Verification::Wrong) never comes from a forged UDP source.
    ///
    /// ```no_run
    /// # use sipward_plugin_sdk::{DigestAlgorithm, Outcome, Request};
    /// use sipward_plugin_sdk::credentials::{Verification, verify};
    /// fn on_request(request: &Request<'_>) -> Outcome {
    ///     match verify(request, "example.com", &[DigestAlgorithm::Sha256]) {
    ///         Verification::Ok(user) => Outcome::next().identify(user),
    ///         _ => Outcome::challenge("example.com"),
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn verify(
        request: &Request<'_>,
        realm: &str,
        algorithms: &[DigestAlgorithm],
    ) -> Verification {
        host::verify(request.message(), realm, algorithms)
    }
}
