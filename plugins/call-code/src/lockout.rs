//! Counts wrong codes and says who may not try again yet.
//!
//! A right code forgets nothing: whoever has a stolen password could otherwise guess
//! on each time its owner has dialled the right one.

use sipward_plugin_sdk::counters::{Window, key};
use sipward_plugin_sdk::{clock, keyvalue, warn};

use crate::settings;

/// The configured lockout.
pub(crate) struct Lockout {
    limit: u64,
    first_ms: u64,
    longest_ms: u64,
    failures: Window,
    /// Stands in for a lock that the key-value store did not take.
    held: Window,
}

/// What a wrong code led to.
pub(crate) enum Failure {
    /// It was counted.
    Counted,
    /// It locked the user out, for so many seconds.
    Locked(u64),
}

impl Lockout {
    pub(crate) fn new(settings: settings::Lockout) -> Self {
        let longest_ms = u64::from(settings.longest_s) * 1_000;
        let forget_ms = u64::from(settings.forget_s) * 1_000;
        Self {
            limit: settings.failures.into(),
            first_ms: u64::from(settings.first_s) * 1_000,
            longest_ms,
            failures: Window::new("failures", forget_ms).durable(),
            held: Window::new("held", longest_ms),
        }
    }

    /// Whether no code of a user is looked at now.
    pub(crate) fn is_locked(&self, user: &str) -> bool {
        let held = self.held.count(&key(&[user.as_bytes()]));
        if held != Ok(0) {
            return true;
        }
        match keyvalue::get(&place(user)) {
            Ok(None) => false,
            Ok(Some(until)) => {
                let until = until.try_into().map_or(u64::MAX, u64::from_be_bytes);
                clock::now_ms() < until
            }
            // Nobody knows: it counts as locked.
            Err(_) => true,
        }
    }

    /// Counts a wrong code.
    pub(crate) fn failed(&self, user: &str) -> Failure {
        let own = key(&[user.as_bytes()]);
        // Nobody knows how often this was tried: the limit counts as reached.
        let count = self.failures.add(&own, 1).unwrap_or(u64::MAX);
        let Some(excess) = count.checked_sub(self.limit) else {
            return Failure::Counted;
        };
        let doublings = u32::try_from(excess).unwrap_or(u32::MAX).min(32);
        let lock_ms = self
            .first_ms
            .saturating_mul(1 << doublings)
            .min(self.longest_ms);
        let until = clock::now_ms().saturating_add(lock_ms);
        if keyvalue::set(&place(user), &until.to_be_bytes(), lock_ms).is_err() {
            warn!("the key-value store did not take a lockout; held in memory, longer than needed");
            // A failure here is seen by `is_locked` as well, and locks.
            _ = self.held.add(&own, 1);
        }
        Failure::Locked(lock_ms / 1_000)
    }
}

/// Identities have at most 256 bytes, and keys of values 512.
fn place(user: &str) -> String {
    format!("lock/{user}")
}
