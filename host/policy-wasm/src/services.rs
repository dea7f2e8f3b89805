//! What host functions are made of, one trait for each capability, so that a
//! test, a replay or a shadow run can put something else in its place.

use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use policy::{DigestAlgorithm, Holdings, LeaseError};

mod digest;
mod embedded;
mod lookups;
mod numbers;
mod observer;
pub(crate) mod overlay;

pub use digest::{Codes, DigestCredentials};
pub use embedded::{StateCounters, StateKeyvalue, StateLeases};
pub use lookups::{
    Asking, Geo, GroupBook, Groups, Lists, LookupBook, Lookups, NoSuchList, Numbers, Trial,
};
pub use numbers::RecentNumbers;
pub use observer::{Observer, Reading, Spending};

/// Milliseconds since 1970-01-01T00:00:00Z.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now_ms(&self) -> u64;
}

/// Why a counter cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CounterError {
    /// The table is full.
    Full,
    /// Name, key, window or amount outside its bounds.
    Invalid,
}

/// What a token bucket said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenGrant {
    /// The tokens were there and have been taken.
    pub taken: bool,
    /// Whole tokens left.
    pub remaining: u32,
    /// Milliseconds until the same request could succeed; 0 if it did.
    pub retry_after_ms: u32,
}

/// One addition to a sliding window.
#[derive(Clone, Copy, Debug)]
pub struct Addition<'a> {
    /// The plugin.
    pub scope: &'a str,
    /// Name of the counter.
    pub name: &'a str,
    /// What is counted.
    pub key: &'a [u8],
    /// How many; 0 reads.
    pub amount: u32,
    /// Length of the window in milliseconds.
    pub window_ms: u64,
    /// Must survive `kill -9` when the call returns.
    pub durable: bool,
    /// The time now.
    pub now_ms: u64,
}

/// One request for tokens.
#[derive(Clone, Copy, Debug)]
pub struct TokenRequest<'a> {
    /// The plugin.
    pub scope: &'a str,
    /// Name of the bucket.
    pub name: &'a str,
    /// Whose tokens.
    pub key: &'a [u8],
    /// How many.
    pub tokens: u32,
    /// What the bucket holds.
    pub capacity: u32,
    /// Thousandths of a token that flow in per second.
    pub refill_per_second_milli: u32,
    /// The time now.
    pub now_ms: u64,
}

/// Sliding windows and token buckets.
pub trait Counters: Send + Sync {
    /// Adds to a window and returns the count within it.
    ///
    /// # Errors
    /// See [`CounterError`].
    fn add(&self, addition: Addition<'_>) -> Result<u64, CounterError>;
    /// Forgets a window.
    ///
    /// # Errors
    /// See [`CounterError`].
    fn reset(&self, scope: &str, name: &str, key: &[u8], now_ms: u64) -> Result<(), CounterError>;
    /// Takes tokens.
    ///
    /// # Errors
    /// See [`CounterError`].
    fn take(&self, request: TokenRequest<'_>) -> Result<TokenGrant, CounterError>;
}

/// Why a value cannot be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyvalueError {
    /// The plugin's share is used up.
    Full,
    /// Key or value outside its bounds.
    Invalid,
    /// The store failed.
    Failed,
}

/// Small values that outlive a call and a restart.
pub trait Keyvalue: Send + Sync {
    /// Reads a value.
    ///
    /// # Errors
    /// See [`KeyvalueError`].
    fn get(&self, scope: &str, key: &str, now_ms: u64) -> Result<Option<Vec<u8>>, KeyvalueError>;
    /// Writes a value; a `ttl_ms` of 0 keeps it for ever.
    ///
    /// # Errors
    /// See [`KeyvalueError`].
    fn set(
        &self,
        scope: &str,
        key: &str,
        value: &[u8],
        ttl_ms: u64,
        now_ms: u64,
    ) -> Result<(), KeyvalueError>;
    /// Removes a value; true if there was one.
    ///
    /// # Errors
    /// See [`KeyvalueError`].
    fn delete(&self, scope: &str, key: &str, now_ms: u64) -> Result<bool, KeyvalueError>;
}

/// What calls hold.
pub trait Leases: Send + Sync {
    /// Whoever holds leases for a new call.
    fn open(&self) -> Arc<dyn Holdings>;
    /// What all calls hold of a key.
    ///
    /// # Errors
    /// See [`LeaseError`].
    fn held(&self, scope: &str, name: &str, key: &[u8]) -> Result<u64, LeaseError>;
}

/// How digest verification went: RFC 7616 and RFC 8760.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verification {
    /// No credentials for this realm.
    Missing,
    /// Right; the user name.
    Ok(String),
    /// Right, but the nonce has expired.
    Stale(String),
    /// The nonce count was seen before.
    Replayed(String),
    /// Wrong password or no such user.
    Wrong(String),
    /// The header cannot be understood, or its nonce is not ours or was made for
    /// another source. Not a guess.
    Malformed,
    /// The algorithm is not among those allowed.
    AlgorithmRefused,
}

/// How a dialled code went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeVerification {
    /// Right.
    Ok,
    /// Wrong, or the account has no code.
    Wrong,
    /// A one-time code that was used before.
    Replayed,
}

/// Digest verification, and dialled codes. Passwords, PINs and secrets stay behind it.
pub trait Credentials: Send + Sync {
    /// Verifies the request's credentials for a realm. The nonce must have been
    /// made for the address that the request came from.
    fn verify(
        &self,
        request: &sip_message::Message,
        source: IpAddr,
        realm: &str,
        allowed: &[DigestAlgorithm],
        now_ms: u64,
    ) -> Verification;

    /// The same without using anything up, for a shadow run: the credentials are good
    /// however often they were seen. Where nothing can be looked at, there are none.
    fn look_at(
        &self,
        request: &sip_message::Message,
        source: IpAddr,
        realm: &str,
        allowed: &[DigestAlgorithm],
        now_ms: u64,
    ) -> Verification {
        let _nothing = (request, source, realm, allowed, now_ms);
        Verification::Missing
    }

    /// Checks a PIN or one-time code (RFC 6238) of an account.
    fn check_code(&self, account: &str, code: &str, now_ms: u64) -> CodeVerification;
}

/// Randomness fit for secrets; repeatable in tests and replays.
pub trait Randomness: Send + Sync {
    /// 64 uniformly distributed bits.
    fn next_u64(&self) -> u64;
}

/// How loud a plugin's log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// For the author of the plugin.
    Debug,
    /// For the operator.
    Info,
    /// Something is wrong.
    Warn,
    /// The plugin cannot do its work.
    Error,
}

/// Where plugins' log lines go.
pub trait LogSink: Send + Sync {
    /// One line, bounded and without control characters.
    fn write(&self, plugin: &str, level: LogLevel, text: &str);
}

/// Everything that host functions need. Clones share it.
#[derive(Clone)]
pub struct HostServices {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub counters: Arc<dyn Counters>,
    /// Values.
    pub keyvalue: Arc<dyn Keyvalue>,
    /// Leases.
    pub leases: Arc<dyn Leases>,
    /// Digest verification.
    pub credentials: Arc<dyn Credentials>,
    /// Places of addresses.
    pub geo: Arc<dyn Geo>,
    /// Telephone numbers.
    pub numbers: Arc<dyn Numbers>,
    /// Lists.
    pub lists: Arc<dyn Lists>,
    /// Groups of identities.
    pub groups: Arc<dyn Groups>,
    /// Randomness.
    pub random: Arc<dyn Randomness>,
    /// Log lines.
    pub log: Arc<dyn LogSink>,
    /// Who watches, if anybody does.
    pub observer: Option<Arc<dyn Observer>>,
}

impl std::fmt::Debug for HostServices {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("HostServices")
            .finish_non_exhaustive()
    }
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> u64 {
        // A clock before 1970 reads as 1970: windows then never expire, and
        // every limit stays in force.
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| {
                u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
            })
    }
}

/// Words fetched from the system at once. 64: one system call in 64, and little
/// to leak from memory.
const RANDOM_WORDS: usize = 64;

/// The system's randomness, fetched some words at a time; each is used once.
#[derive(Debug, Default)]
pub struct SystemRandomness {
    words: Mutex<Vec<u64>>,
}

impl Randomness for SystemRandomness {
    #[expect(
        clippy::expect_used,
        reason = "without randomness no secret can be made; going on would be worse than stopping"
    )]
    fn next_u64(&self) -> u64 {
        let mut words = self.words.lock();
        if let Some(word) = words.pop() {
            return word;
        }
        let mut bytes = [0u8; RANDOM_WORDS * 8];
        getrandom::fill(&mut bytes).expect("the system gives randomness");
        let (chunks, _) = bytes.as_chunks::<8>();
        words.extend(chunks.iter().map(|chunk| u64::from_le_bytes(*chunk)));
        words.pop().expect("a refilled buffer is not empty")
    }
}

/// Plugins' log lines as tracing events with the field `plugin`.
#[derive(Clone, Copy, Debug, Default)]
pub struct TracingLog;

impl LogSink for TracingLog {
    fn write(&self, plugin: &str, level: LogLevel, text: &str) {
        match level {
            LogLevel::Debug => tracing::debug!(target: "sipward::plugin", plugin, "{text}"),
            LogLevel::Info => tracing::info!(target: "sipward::plugin", plugin, "{text}"),
            LogLevel::Warn => tracing::warn!(target: "sipward::plugin", plugin, "{text}"),
            LogLevel::Error => tracing::error!(target: "sipward::plugin", plugin, "{text}"),
        }
    }
}
