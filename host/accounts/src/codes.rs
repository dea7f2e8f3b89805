//! Checking a code that the holder of an account dialled.
//!
//! An account that does not exist, one without a code, one that is closed and a wrong
//! code look alike, in the answer and in the work that is done for it: every check
//! computes one slow hash and three one-time codes, if need be against stand-ins.
//!
//! A one-time code is good once. The step of the last one that was taken is kept in
//! [`State`], so that neither a restart nor another worker takes it again; that or an
//! earlier step is `replayed`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use state::State;
use subtle::{Choice, ConstantTimeEq};

use crate::NoRandomness;
use crate::pin::Pin;
use crate::totp::{Digits, Totp, step};

/// Checks in a second over all accounts. Each costs about a millisecond of the
/// thread that decides about calls, so this is a twentieth of one core.
pub const CHECKS_PER_SECOND: u32 = 50;

/// Checks at once over all accounts, before that rate counts.
pub const CHECKS_BURST: u32 = 100;

/// Checks of one account at once. From then on there are as many in a minute: enough
/// for a PBX whose users share an account, and 17 days for all PINs of six digits even
/// without the lockout that a policy adds.
pub const GUESSES_BURST: u32 = 40;

/// Thousandths of a check that an account regains in a second.
const GUESSES_REFILL_MILLI: u32 = GUESSES_BURST * 1_000 / 60;

/// Whose entries these are in the state. No plugin's scope begins with NUL.
const SCOPE: &str = "\0codes";

/// Bytes of an account's name that guesses are counted by.
const NAME_BYTES: usize = 256;

/// Bytes of a code that are looked at; a PIN has twelve digits at most.
const CODE_BYTES: usize = 16;

/// Time for which the last used step is remembered, in milliseconds. It is of use for
/// 90 seconds; a day lets the clock be set back.
const REMEMBERED_MS: u64 = 86_400_000;

/// Milliseconds between two log lines about too many checks.
const QUIET_MS: u64 = 60_000;

/// How a dialled code went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialled {
    /// Right.
    Ok,
    /// Wrong; or there is no such account, it has no code, it is closed, or too many
    /// codes were checked already.
    Wrong,
    /// A one-time code that was used before.
    Replayed,
}

/// What codes are checked against.
#[derive(Debug, Default)]
pub struct CodeTable(HashMap<Box<str>, Holder>);

#[derive(Debug)]
struct Holder {
    pin: Option<Pin>,
    totp: Option<Totp>,
    closes_ms: u64,
}

impl CodeTable {
    pub(crate) fn insert(
        &mut self,
        user: &str,
        pin: Option<Pin>,
        totp: Option<Totp>,
        closes_ms: u64,
    ) {
        if pin.is_some() || totp.is_some() {
            let holder = Holder {
                pin,
                totp,
                closes_ms,
            };
            self.0.insert(user.into(), holder);
        }
    }

    /// Accounts that have a code.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no account has a code.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Checks codes, for all workers.
pub struct Codes {
    table: RwLock<Arc<CodeTable>>,
    state: State,
    /// One-time codes of this step and of earlier ones count as used.
    used_before: Option<u64>,
    nobodys_pin: Pin,
    nobodys_totp: Totp,
    /// Held from looking whether a one-time code was used until it counts as used.
    using: Mutex<()>,
    told_ms: AtomicU64,
}

impl Codes {
    /// Checks nobody's codes yet. A `state` that is `forgetful` (it has no directory)
    /// does not know what was used before the start, so every one-time code that could
    /// have been counts as used: for up to a minute none is taken.
    ///
    /// # Errors
    /// No randomness for the stand-ins.
    pub fn new(state: State, forgetful: bool, now_ms: u64) -> Result<Self, NoRandomness> {
        Ok(Self {
            table: RwLock::default(),
            state,
            used_before: forgetful.then(|| step(now_ms).saturating_add(1)),
            nobodys_pin: Pin::nobody()?,
            nobodys_totp: Totp::generate(Digits::Six, now_ms)?,
            using: Mutex::default(),
            told_ms: AtomicU64::new(0),
        })
    }

    /// Checks against these from now on.
    pub fn replace(&self, table: CodeTable) {
        *self.table.write() = Arc::new(table);
    }

    /// Checks a code. Takes about a millisecond, unless too many were checked.
    #[must_use]
    pub fn check(&self, account: &str, code: &str, now_ms: u64) -> Dialled {
        if !self.may_check(account, now_ms) {
            return Dialled::Wrong;
        }
        let table = Arc::clone(&self.table.read());
        let holder = table
            .0
            .get(account)
            .filter(|holder| now_ms < holder.closes_ms);
        let pin = holder.and_then(|holder| holder.pin.as_ref());
        let totp = holder.and_then(|holder| holder.totp.as_ref());
        let shown = code.get(..CODE_BYTES.min(code.len())).unwrap_or_default();
        let is_pin = pin.unwrap_or(&self.nobodys_pin).matches(shown);
        let step = totp.unwrap_or(&self.nobodys_totp).step_of(shown, now_ms);
        let whole = code.len().ct_eq(&shown.len());
        let is_pin = Choice::from(u8::from(is_pin)) & Choice::from(u8::from(pin.is_some())) & whole;
        if bool::from(is_pin) {
            return Dialled::Ok;
        }
        match (totp, step) {
            (Some(totp), Some(step)) if bool::from(whole) => {
                self.use_up(account, totp, step, now_ms)
            }
            _ => Dialled::Wrong,
        }
    }

    /// Remembers a step, unless it or a later one was used.
    fn use_up(&self, account: &str, totp: &Totp, step: u64, now_ms: u64) -> Dialled {
        if self.used_before.is_some_and(|used| step <= used) {
            return Dialled::Replayed;
        }
        let key = format!("{}/{account}", totp.made_ms);
        let _using = self.using.lock();
        let last = match self.state.get(SCOPE, &key, now_ms) {
            Ok(Some(bytes)) => <[u8; 8]>::try_from(&*bytes).map(u64::from_be_bytes).ok(),
            Ok(None) => None,
            Err(_) => return Dialled::Wrong,
        };
        if last.is_some_and(|last| step <= last) {
            return Dialled::Replayed;
        }
        let step = step.to_be_bytes();
        match self.state.set(SCOPE, &key, &step, REMEMBERED_MS, now_ms) {
            Ok(()) => Dialled::Ok,
            // What cannot be remembered could be used twice.
            Err(error) => {
                tracing::error!(%error, "a one-time code is refused, as its use cannot be remembered");
                Dialled::Wrong
            }
        }
    }

    /// Whether there is time for one more. Counted by name, known or not.
    fn may_check(&self, account: &str, now_ms: u64) -> bool {
        let name = account.as_bytes();
        let name = name.get(..NAME_BYTES.min(name.len())).unwrap_or_default();
        let take = |of: &str, key: &[u8], capacity, refill_milli| {
            let grant = self
                .state
                .take(SCOPE, of, key, 1, capacity, refill_milli, now_ms);
            grant.is_ok_and(|grant| grant.taken)
        };
        if !take("guesses", name, GUESSES_BURST, GUESSES_REFILL_MILLI) {
            return false;
        }
        let may = take("checks", b"", CHECKS_BURST, CHECKS_PER_SECOND * 1_000);
        if !may {
            let told = self.told_ms.load(Ordering::Relaxed);
            if now_ms.saturating_sub(told) >= QUIET_MS || told > now_ms {
                self.told_ms.store(now_ms, Ordering::Relaxed);
                tracing::warn!(
                    per_second = CHECKS_PER_SECOND,
                    "too many dialled codes; further ones count as wrong"
                );
            }
        }
        may
    }
}

impl std::fmt::Debug for Codes {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Codes")
            .field("accounts", &self.table.read().len())
            .finish_non_exhaustive()
    }
}
