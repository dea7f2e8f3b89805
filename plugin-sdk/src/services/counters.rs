//! Counters that many calls and all workers share. Needs
//! [`Capability::Counters`](crate::Capability::Counters).
//!
//! Names are 1 to 64 bytes, keys 0 to 256. They belong to the plugin in its
//! pipeline: two plugins never see each other's counters.
//!
//! ```
//! use sipward_plugin_sdk::counters::{Bucket, Window};
//! const CALLS: Bucket = Bucket::new("calls", 20, 5_000);
//! const GUESSES: Window = Window::new("guesses", 60_000);
//! # sipward_plugin_sdk::testing::inside(|| {
//! assert!(CALLS.take(b"alice", 1).is_ok_and(|grant| grant.taken));
//! assert_eq!(GUESSES.add(b"alice", 1), Ok(1));
//! # });
//! ```

use alloc::vec::Vec;

/// Why a counter cannot be used.
///
/// ```
/// use sipward_plugin_sdk::counters::{CounterError, Window};
/// # sipward_plugin_sdk::testing::inside(|| {
/// assert_eq!(Window::new("", 1_000).add(b"alice", 1), Err(CounterError::Invalid));
/// # });
/// ```
pub use crate::bindings::counters::CounterError;
/// What survives a restart.
///
/// ```
/// use sipward_plugin_sdk::counters::Durability;
/// assert_ne!(Durability::Volatile, Durability::Durable);
/// ```
pub use crate::bindings::counters::Durability;
/// What a token bucket said.
///
/// ```
/// use sipward_plugin_sdk::counters::Bucket;
/// # sipward_plugin_sdk::testing::inside(|| {
/// let grant = Bucket::new("calls", 1, 1_000).take(b"alice", 2).unwrap();
/// assert!(!grant.taken && grant.remaining == 1 && grant.retry_after_ms == 1_000);
/// # });
/// ```
pub use crate::bindings::counters::Grant;

#[cfg(target_arch = "wasm32")]
use crate::bindings::counters as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::counters as host;

/// A sliding window: how much was added for a key within the last so many
/// milliseconds. The count is exact until one window after the first
/// addition and an estimate, never too low for a steady rate, later.
///
/// ```
/// use sipward_plugin_sdk::counters::Window;
/// const FAILURES: Window = Window::new("failures", 60_000).durable();
/// # sipward_plugin_sdk::testing::inside(|| {
/// let guesses = FAILURES.add(b"alice", 1).is_ok_and(|count| count > 5);
/// assert!(!guesses);
/// # });
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Window {
    name: &'static str,
    window_ms: u64,
    durability: Durability,
}

impl Window {
    /// A window in memory only. `window_ms` is at least 1.
    ///
    /// ```
    /// use sipward_plugin_sdk::counters::Window;
    /// const GUESSES: Window = Window::new("guesses", 60_000);
    /// # sipward_plugin_sdk::testing::inside(|| {
    /// assert_eq!(GUESSES.add(b"192.0.2.1", 1), Ok(1));
    /// # });
    /// ```
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
    ///
    /// ```
    /// use sipward_plugin_sdk::counters::Window;
    /// const SPENT: Window = Window::new("spent", 30 * 86_400_000).durable();
    /// # sipward_plugin_sdk::testing::inside(|| {
    /// assert_eq!(SPENT.add(b"alice", 250), Ok(250));
    /// # });
    /// ```
    #[must_use]
    pub const fn durable(self) -> Self {
        Self {
            durability: Durability::Durable,
            ..self
        }
    }

    /// The same with another length, at least 1 millisecond.
    ///
    /// ```
    /// use sipward_plugin_sdk::counters::Window;
    /// const GUESSES: Window = Window::new("guesses", 60_000);
    /// # sipward_plugin_sdk::testing::inside(|| {
    /// let window_ms_of_settings = 5_000;
    /// let guesses = GUESSES.of_length(window_ms_of_settings);
    /// assert_eq!(guesses.add(b"192.0.2.1", 1), Ok(1));
    /// # });
    /// ```
    #[must_use]
    pub const fn of_length(self, window_ms: u64) -> Self {
        Self { window_ms, ..self }
    }

    /// Adds and returns the count, the addition included.
    ///
    /// ```
    /// # use sipward_plugin_sdk::counters::Window;
    /// # const GUESSES: Window = Window::new("guesses", 60_000);
    /// # sipward_plugin_sdk::testing::inside(|| {
    /// GUESSES.add(b"192.0.2.1", 1)?;
    /// assert_eq!(GUESSES.add(b"192.0.2.1", 2)?, 3);
    /// # Ok::<(), sipward_plugin_sdk::counters::CounterError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`CounterError::Full`]: treat it as the limit reached.
    /// [`CounterError::Invalid`]: name, key or window is out of bounds.
    pub fn add(&self, key: &[u8], amount: u32) -> Result<u64, CounterError> {
        host::add(self.name, key, amount, self.window_ms, self.durability)
    }

    /// The count, without adding.
    ///
    /// ```
    /// # use sipward_plugin_sdk::counters::Window;
    /// # const GUESSES: Window = Window::new("guesses", 60_000);
    /// # sipward_plugin_sdk::testing::inside(|| {
    /// GUESSES.add(b"192.0.2.1", 4)?;
    /// assert_eq!(GUESSES.count(b"192.0.2.1")?, 4);
    /// assert_eq!(GUESSES.count(b"192.0.2.2")?, 0);
    /// # Ok::<(), sipward_plugin_sdk::counters::CounterError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`Window::add`].
    pub fn count(&self, key: &[u8]) -> Result<u64, CounterError> {
        host::add(self.name, key, 0, self.window_ms, Durability::Volatile)
    }

    /// Forgets what was counted.
    ///
    /// ```
    /// # use sipward_plugin_sdk::counters::Window;
    /// # const GUESSES: Window = Window::new("guesses", 60_000);
    /// # sipward_plugin_sdk::testing::inside(|| {
    /// GUESSES.add(b"alice", 4)?;
    /// GUESSES.reset(b"alice")?;
    /// assert_eq!(GUESSES.count(b"alice")?, 0);
    /// # Ok::<(), sipward_plugin_sdk::counters::CounterError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`CounterError::Invalid`]: name or key is out of bounds.
    pub fn reset(&self, key: &[u8]) -> Result<(), CounterError> {
        host::reset(self.name, key)
    }
}

/// A token bucket. A key that was never seen has a full one.
///
/// ```
/// use sipward_plugin_sdk::counters::Bucket;
/// // Bursts of 20, 5 a second in the long run.
/// const CALLS: Bucket = Bucket::new("calls", 20, 5_000);
/// # sipward_plugin_sdk::testing::inside(|| {
/// let refused = CALLS.take(b"192.0.2.1", 1).is_ok_and(|grant| !grant.taken);
/// assert!(!refused);
/// # });
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
    ///
    /// ```
    /// use sipward_plugin_sdk::counters::Bucket;
    /// // Three calls at once, then one in two seconds.
    /// const CALLS: Bucket = Bucket::new("calls", 3, 500);
    /// # sipward_plugin_sdk::testing::inside(|| {
    /// assert!(CALLS.take(b"alice", 3).unwrap().taken);
    /// assert_eq!(CALLS.take(b"alice", 1).unwrap().retry_after_ms, 2_000);
    /// # });
    /// ```
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
    /// ```
    /// use sipward_plugin_sdk::counters::Bucket;
    /// const CALLS: Bucket = Bucket::new("calls", 3, 500);
    /// # sipward_plugin_sdk::testing::inside(|| {
    /// let grant = CALLS.take(b"alice", 1)?;
    /// assert!(grant.taken && grant.remaining == 2);
    /// # Ok::<(), sipward_plugin_sdk::counters::CounterError>(())
    /// # }).unwrap();
    /// ```
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

/// Bytes of a key: what the host accepts.
const KEY_BYTES: usize = 256;

/// A key made of parts, for counters and leases: different parts make different keys,
/// whatever they hold. What does not fit is told apart by a hash.
///
/// ```
/// use sipward_plugin_sdk::counters::key;
/// assert_ne!(key(&[b"ab", b"c"]), key(&[b"a", b"bc"]));
/// assert!(key(&[&[b'x'; 999]]).len() <= 256);
/// ```
#[must_use]
pub fn key(parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len() + 2).sum();
    let mut key = Vec::with_capacity(length);
    for part in parts {
        // Lengths beyond 16 bits are cut off below in any case.
        let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
        key.extend_from_slice(&length.to_be_bytes());
        key.extend_from_slice(part);
    }
    if key.len() > KEY_BYTES {
        // FNV-1a. A collision needs the same first bytes, and counts two together.
        let hash = key.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        key.truncate(KEY_BYTES - 8);
        key.extend_from_slice(&hash.to_be_bytes());
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_bounded_and_tell_apart() {
        let long = |last: u8| {
            let mut part = vec![b'x'; 300];
            part.push(last);
            key(&[&part])
        };
        assert_eq!(long(1).len(), KEY_BYTES);
        assert_ne!(long(1), long(2));
        assert_eq!(key(&[&[0; 254]]).len(), KEY_BYTES);
        assert_eq!(key(&[&[0; 254]]).last(), Some(&0));
        assert_ne!(key(&[b"", b"a"]), key(&[b"a", b""]));
    }
}
