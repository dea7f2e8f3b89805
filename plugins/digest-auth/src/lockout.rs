//! Counts failures and says who may not try again yet.
//!
//! Three counts, all durable:
//! - `pair`: one user from one source. Its limit locks that user out there, for
//!   a time that doubles with each further failure. An attacker elsewhere never
//!   reaches the real user's own source.
//! - `source`: all users from one source. Its limit locks out everybody there
//!   who has not succeeded from it before: one mistyped phone in an office does
//!   not silence the others.
//! - `user`: one user from everywhere. Its limit locks nobody out; it leaves
//!   sources that the user never succeeded from one attempt instead of several.

use std::cell::OnceCell;
use std::fmt::Write as _;
use std::net::IpAddr;

use sipward_plugin_sdk::counters::{CounterError, Window};
use sipward_plugin_sdk::{Network, clock, keyvalue, warn};

use crate::settings;

/// How long a success makes a source the user's own: 30 days, as long as a
/// phone may be switched off.
const PROVEN_MS: u64 = 30 * 24 * 3_600_000;

/// Bytes of a user name that become part of a key as they are. Longer names
/// are cut and told apart by a hash; counter keys have at most 256 bytes.
const NAME_BYTES: usize = 96;

/// The configured counts.
pub(crate) struct Lockout {
    pair_limit: u64,
    source_limit: u64,
    everywhere_limit: u64,
    first_ms: u64,
    longest_ms: u64,
    ipv6_prefix: u8,
    pair: Window,
    source: Window,
    user: Window,
    /// Stands in for a lock that the key-value store did not take.
    held: Window,
    proven: Window,
}

/// One attempt: the keys of its counts.
pub(crate) struct Attempt {
    user: Vec<u8>,
    source: [u8; 18],
    pair: Vec<u8>,
    network: Network,
    /// What was counted of the pair, once somebody has asked.
    failures: OnceCell<Result<u64, CounterError>>,
}

/// What a failure led to.
pub(crate) enum Failure {
    /// It was counted.
    Counted,
    /// It locked the user out at this source, for so many seconds.
    LockedUser(u64),
    /// It locked the source out, for so many seconds.
    LockedSource(u64),
}

impl Lockout {
    pub(crate) fn new(settings: settings::Lockout) -> Self {
        let forget_ms = u64::from(settings.forget_s) * 1_000;
        let longest_ms = u64::from(settings.longest_s) * 1_000;
        Self {
            pair_limit: settings.user_failures.into(),
            source_limit: settings.source_failures.into(),
            everywhere_limit: settings.user_failures_everywhere.into(),
            first_ms: u64::from(settings.first_s) * 1_000,
            longest_ms,
            ipv6_prefix: settings.ipv6_prefix,
            pair: Window::new("pair", forget_ms).durable(),
            source: Window::new("source", forget_ms).durable(),
            user: Window::new("user", forget_ms).durable(),
            held: Window::new("held", longest_ms),
            proven: Window::new("proven", PROVEN_MS).durable(),
        }
    }

    /// The keys for a user at an address.
    pub(crate) fn attempt(&self, user: &str, address: IpAddr) -> Attempt {
        let prefix = if address.is_ipv4() {
            32
        } else {
            self.ipv6_prefix
        };
        let network = Network::around(address, prefix);
        let source = network.key();
        let user = user_key(user);
        let pair = [&source[..], &user].concat();
        Attempt {
            user,
            source,
            pair,
            network,
            failures: OnceCell::new(),
        }
    }

    /// Whether the attempt comes too early. Asks as often for a right password
    /// as for a wrong one and for an unknown user: all three are equal to it.
    pub(crate) fn is_locked(&self, attempt: &Attempt) -> bool {
        if self.is_held("pair", &attempt.pair, self.failures(attempt)) {
            return true;
        }
        self.is_held(
            "source",
            &attempt.source,
            self.source.count(&attempt.source),
        ) && !self.is_proven(attempt)
    }

    /// Whether a key is locked. Locks can be there only once something was
    /// counted, so that honest callers cost no look-up.
    fn is_held(&self, name: &str, key: &[u8], failures: Result<u64, CounterError>) -> bool {
        match failures {
            Ok(0) => return false,
            Ok(_) => {}
            // Nobody knows how often this was tried: the limit counts as reached.
            Err(_) => return true,
        }
        match keyvalue::get(&lock_key(name, key)) {
            Ok(Some(until)) => {
                let until = until.try_into().map_or(u64::MAX, u64::from_be_bytes);
                clock::now_ms() < until
            }
            Ok(None) => self
                .held
                .count(&held_key(name, key))
                .map_or(true, |held| held > 0),
            Err(_) => true,
        }
    }

    /// Failures of the user there before this attempt.
    fn failures(&self, attempt: &Attempt) -> Result<u64, CounterError> {
        let count = || self.pair.count(&attempt.pair);
        *attempt.failures.get_or_init(count)
    }

    fn is_proven(&self, attempt: &Attempt) -> bool {
        self.proven
            .count(&attempt.pair)
            .is_ok_and(|successes| successes > 0)
    }

    /// Counts a failure. Only for sources that proved themselves by answering a
    /// nonce that was made for them.
    pub(crate) fn failed(&self, attempt: &Attempt) -> Failure {
        let full = u64::MAX;
        let pair = self.pair.add(&attempt.pair, 1).unwrap_or(full);
        let source = self.source.add(&attempt.source, 1).unwrap_or(full);
        let everywhere = self.user.add(&attempt.user, 1).unwrap_or(full);
        let proven = self.is_proven(attempt);
        let under_attack = everywhere > self.everywhere_limit && !proven;
        let pair_limit = if under_attack { 1 } else { self.pair_limit };
        if pair >= pair_limit {
            return Failure::LockedUser(self.lock("pair", &attempt.pair, pair - pair_limit));
        }
        if source >= self.source_limit && !proven {
            let excess = source - self.source_limit;
            return Failure::LockedSource(self.lock("source", &attempt.source, excess));
        }
        Failure::Counted
    }

    /// Locks a key for a time that doubles with each failure beyond the limit;
    /// returns the seconds.
    fn lock(&self, name: &str, key: &[u8], excess: u64) -> u64 {
        let doublings = u32::try_from(excess).unwrap_or(u32::MAX).min(32);
        let lock_ms = self
            .first_ms
            .saturating_mul(1 << doublings)
            .min(self.longest_ms);
        let until = clock::now_ms().saturating_add(lock_ms);
        if keyvalue::set(&lock_key(name, key), &until.to_be_bytes(), lock_ms).is_err() {
            warn!("the key-value store did not take a lockout; held in memory, longer than needed");
            // A failure here is seen by `is_held` as well, and locks.
            _ = self.held.add(&held_key(name, key), 1);
        }
        lock_ms / 1_000
    }

    /// Makes the source the user's own and forgets typing errors there.
    pub(crate) fn succeeded(&self, attempt: &Attempt) {
        if self.failures(attempt) != Ok(0) {
            _ = self.pair.reset(&attempt.pair);
        }
        if self.proven.count(&attempt.pair) == Ok(0) {
            _ = self.proven.add(&attempt.pair, 1);
        }
    }
}

impl Attempt {
    /// The source, for operators.
    pub(crate) fn source_name(&self) -> String {
        self.network.to_string()
    }
}

/// A user name as a bounded key.
fn user_key(user: &str) -> Vec<u8> {
    let user = user.as_bytes();
    match user.split_at_checked(NAME_BYTES) {
        None => user.to_vec(),
        Some((head, tail)) => [head, &fnv1a(tail).to_be_bytes()].concat(),
    }
}

/// FNV-1a. Collisions are no danger: keys hold the start of the name and the
/// source as well, and a collision locks out more, never less.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn lock_key(name: &str, key: &[u8]) -> String {
    let mut text = format!("lock/{name}/");
    for byte in key {
        _ = write!(text, "{byte:02x}");
    }
    text
}

fn held_key(name: &str, key: &[u8]) -> Vec<u8> {
    [name.as_bytes(), b"/", key].concat()
}
