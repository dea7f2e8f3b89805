//! What is told and what is held back.
//!
//! An alarm is told unless the same, as loud, was told less than `repeat` ago; the next
//! one that is told says how many were held back. One that has become louder is told. Whatever is left, no more than `burst` at once
//! and `per_minute` in the long run are told of each severity: each has a bucket of its
//! own, so that whoever can cause warnings cannot drown what is critical.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use policy::Severity;

/// Keys remembered: more than a host tells in `repeat` with the shipped rates. Beyond,
/// the one that was told longest ago is forgotten, and may be told once too often.
pub const KEYS_MAX: usize = 4_096;

/// How often alerts are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SieveConfig {
    /// Milliseconds in which the same alert is told once; 0 tells each.
    pub repeat_ms: u64,
    /// Alerts of one severity in a minute, in the long run; at least 1.
    pub per_minute: u32,
    /// Alerts of one severity at once; at least 1.
    pub burst: u32,
}

impl Default for SieveConfig {
    /// The same once in five minutes. Ten at once and then ten a minute: what one
    /// person can still read.
    fn default() -> Self {
        Self {
            repeat_ms: 300_000,
            per_minute: 10,
            burst: 10,
        }
    }
}

/// Remembers what was told.
#[derive(Debug)]
pub struct Sieve {
    config: SieveConfig,
    keys: HashMap<Key, Seen>,
    /// The same by the time at which they were told, oldest first.
    by_time: BTreeMap<(u64, u64), Key>,
    next: u64,
    buckets: [Bucket; 3],
}

type Key = (Severity, String, String);

#[derive(Debug)]
struct Seen {
    /// When it was last told, and its place in `by_time`; the time is none if the rate
    /// held back all so far.
    told_ms: Option<u64>,
    place: (u64, u64),
    held_back: u64,
}

#[derive(Debug)]
struct Bucket {
    /// Thousandths of an alert, so that slow rates fill it too.
    tokens: u64,
    filled_ms: u64,
}

/// Thousandths, times milliseconds of a minute.
const ONE: u64 = 60_000;

impl Sieve {
    /// A sieve that has seen nothing, with full buckets.
    pub fn new(config: SieveConfig, now_ms: u64) -> Self {
        let bucket = || Bucket {
            tokens: u64::from(config.burst) * ONE,
            filled_ms: now_ms,
        };
        Self {
            config,
            keys: HashMap::new(),
            by_time: BTreeMap::new(),
            next: 0,
            buckets: [bucket(), bucket(), bucket()],
        }
    }

    /// Other times and rates from now on; what was told stays told.
    pub fn set_config(&mut self, config: SieveConfig) {
        self.config = config;
        for bucket in &mut self.buckets {
            bucket.tokens = bucket.tokens.min(u64::from(config.burst) * ONE);
        }
    }

    /// Whether an alarm is told now: then how many of its key were held back before it.
    /// `now_ms` does not go back. The key is `key`, or the text where that is empty.
    pub fn judge(
        &mut self,
        now_ms: u64,
        severity: Severity,
        plugin: &str,
        key: &str,
    ) -> Option<u64> {
        let id = (severity, plugin.to_owned(), key.to_owned());
        let repeat = self.config.repeat_ms;
        if let Some(seen) = self.keys.get_mut(&id)
            && seen
                .told_ms
                .is_some_and(|told| now_ms.saturating_sub(told) < repeat)
        {
            seen.held_back = seen.held_back.saturating_add(1);
            return None;
        }
        let told = self.take(now_ms, severity);
        let before = self.keys.remove(&id);
        if let Some(seen) = &before {
            self.by_time.remove(&seen.place);
        }
        let held_back = before.as_ref().map_or(0, |seen| seen.held_back);
        let seen = match told {
            true => (Some(now_ms), 0),
            false => (
                before.and_then(|seen| seen.told_ms),
                held_back.saturating_add(1),
            ),
        };
        self.remember(now_ms, id, seen);
        told.then_some(held_back)
    }

    fn remember(&mut self, now_ms: u64, id: Key, (told_ms, held_back): (Option<u64>, u64)) {
        if self.keys.len() >= KEYS_MAX
            && let Some((_, oldest)) = self.by_time.pop_first()
        {
            self.keys.remove(&oldest);
        }
        let place = (now_ms, self.next);
        self.next += 1;
        self.by_time.insert(place, id.clone());
        let seen = Seen {
            told_ms,
            place,
            held_back,
        };
        self.keys.insert(id, seen);
    }

    fn take(&mut self, now_ms: u64, severity: Severity) -> bool {
        let [info, warning, critical] = &mut self.buckets;
        let bucket = match severity {
            Severity::Info => info,
            Severity::Warning => warning,
            Severity::Critical => critical,
        };
        let passed = now_ms.saturating_sub(bucket.filled_ms);
        bucket.filled_ms = bucket.filled_ms.max(now_ms);
        bucket.tokens = passed
            .saturating_mul(self.config.per_minute.into())
            .saturating_add(bucket.tokens)
            .min(u64::from(self.config.burst) * ONE);
        match bucket.tokens.checked_sub(ONE) {
            Some(left) => {
                bucket.tokens = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Severity::{Critical, Info, Warning};

    const MINUTE: u64 = 60_000;

    fn sieve(repeat_ms: u64, per_minute: u32, burst: u32) -> Sieve {
        let config = SieveConfig {
            repeat_ms,
            per_minute,
            burst,
        };
        Sieve::new(config, 0)
    }

    #[test]
    fn the_same_is_told_once_in_a_while_and_the_next_tells_how_many() {
        let mut sieve = sieve(5 * MINUTE, 100, 100);
        let mut at = |now, key| sieve.judge(now, Warning, "fraud", key);
        assert_eq!(at(0, "alice"), Some(0));
        assert_eq!(at(1, "alice"), None);
        assert_eq!(at(1, "bob"), Some(0), "another key");
        assert_eq!(at(5 * MINUTE - 1, "alice"), None);
        assert_eq!(at(5 * MINUTE, "alice"), Some(2));
        assert_eq!(
            at(10 * MINUTE - 1, "alice"),
            None,
            "counted from when it was told"
        );
        assert_eq!(at(10 * MINUTE, "alice"), Some(1));
        assert_eq!(at(15 * MINUTE, "alice"), Some(0));
    }

    #[test]
    fn what_becomes_louder_is_told() {
        let mut sieve = sieve(MINUTE, 100, 100);
        assert_eq!(sieve.judge(0, Warning, "p", "alice"), Some(0));
        assert_eq!(sieve.judge(1, Critical, "p", "alice"), Some(0));
        assert_eq!(sieve.judge(2, Critical, "p", "alice"), None);
        assert_eq!(sieve.judge(3, Warning, "p", "alice"), None);
    }

    #[test]
    fn plugins_do_not_share_keys() {
        let mut sieve = sieve(MINUTE, 100, 100);
        assert_eq!(sieve.judge(0, Info, "one", "key"), Some(0));
        assert_eq!(sieve.judge(0, Info, "two", "key"), Some(0));
    }

    #[test]
    fn the_rate_is_held_by_each_severity_alone() {
        let mut sieve = sieve(MINUTE, 2, 3);
        for (key, told) in [("1", true), ("2", true), ("3", true), ("4", false)] {
            assert_eq!(sieve.judge(0, Warning, "p", key).is_some(), told, "{key}");
        }
        assert_eq!(
            sieve.judge(0, Critical, "p", "1"),
            Some(0),
            "a bucket of its own"
        );
        assert_eq!(sieve.judge(29_999, Warning, "p", "4"), None);
        assert_eq!(
            sieve.judge(30_000, Warning, "p", "4"),
            Some(2),
            "held back by the rate"
        );
        assert_eq!(sieve.judge(30_001, Warning, "p", "5"), None);
        for key in ["6", "7", "8", "9"] {
            let told = sieve.judge(60 * MINUTE, Warning, "p", key).is_some();
            assert_eq!(told, key != "9", "no more than the burst");
        }
    }

    #[test]
    fn a_rate_that_holds_back_does_not_count_as_told() {
        let mut sieve = sieve(5 * MINUTE, 1, 1);
        assert_eq!(sieve.judge(0, Warning, "p", "a"), Some(0));
        assert_eq!(sieve.judge(0, Warning, "p", "b"), None);
        assert_eq!(sieve.judge(MINUTE, Warning, "p", "b"), Some(1));
    }

    #[test]
    fn repeats_of_zero_tell_each_within_the_rate() {
        let mut sieve = sieve(0, 1, 2);
        assert_eq!(sieve.judge(0, Warning, "p", "a"), Some(0));
        assert_eq!(sieve.judge(0, Warning, "p", "a"), Some(0));
        assert_eq!(sieve.judge(0, Warning, "p", "a"), None);
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_is_forgotten() {
        let mut sieve = sieve(u64::MAX, u32::MAX, u32::MAX);
        for key in 0..KEYS_MAX {
            assert!(
                sieve
                    .judge(key as u64, Warning, "p", &key.to_string())
                    .is_some()
            );
        }
        let now = KEYS_MAX as u64;
        assert_eq!(sieve.judge(now, Warning, "p", "0"), None, "all are known");
        assert_eq!(sieve.judge(now, Warning, "p", "one more"), Some(0));
        assert_eq!(
            (sieve.keys.len(), sieve.by_time.len()),
            (KEYS_MAX, KEYS_MAX)
        );
        assert_eq!(sieve.judge(now, Warning, "p", "1"), None, "still known");
        assert_eq!(sieve.judge(now, Warning, "p", "0"), Some(0), "forgotten");
    }

    #[test]
    fn time_that_goes_back_changes_nothing() {
        let mut sieve = sieve(MINUTE, 1, 1);
        assert_eq!(sieve.judge(MINUTE, Warning, "p", "a"), Some(0));
        assert_eq!(sieve.judge(0, Warning, "p", "a"), None);
        assert_eq!(sieve.judge(0, Warning, "p", "b"), None);
    }
}
