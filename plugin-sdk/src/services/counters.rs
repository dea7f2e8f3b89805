//! Counters that many calls and all workers share. Needs
//! [`Capability::Counters`](crate::Capability::Counters).
//!
//! Names are 1 to 64 bytes, keys 0 to 256. They belong to the plugin in its
//! pipeline: two plugins never see each other's counters.

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

    /// The same with another length, at least 1 millisecond.
    #[must_use]
    pub const fn of_length(self, window_ms: u64) -> Self {
        Self { window_ms, ..self }
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
