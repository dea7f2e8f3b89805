//! Digest verification against the accounts in use, and their dialled codes.
//!
//! The right password of a closed account is wrong for everybody but the operator, who
//! finds it in the log: a phone that nobody gave its new password would otherwise look
//! like somebody who guesses.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use policy::DigestAlgorithm;
use sip_message::{HeaderKind, Message};
use state::digest::{Accounts, Algorithm, Lapse, Nonces};

use crate::services::{CodeVerification, Credentials, Verification};

/// Authorization headers of one request that are looked at. 16: one for each
/// realm on a long path; verification costs hashing, so a peer shall not choose
/// how much.
const AUTHORIZATIONS: usize = 16;

/// Closed accounts whose last log line is remembered. Only who knows the password of
/// one gets it in here; beyond, some are told twice.
const LAPSES: usize = 1_024;

/// Milliseconds between two log lines about one closed account. An hour: its phone
/// tries again every minute.
const LAPSE_QUIET_MS: u64 = 3_600_000;

/// Codes that the holders of accounts dial.
pub trait Codes: Send + Sync {
    /// Checks one. Takes as long for an account that does not exist.
    fn check(&self, account: &str, code: &str, now_ms: u64) -> CodeVerification;
}

/// Where no account has a code.
struct NoCodes;

impl Codes for NoCodes {
    fn check(&self, _account: &str, _code: &str, _now_ms: u64) -> CodeVerification {
        CodeVerification::Wrong
    }
}

/// Digest verification against the accounts of the running config. Clones share
/// everything.
#[derive(Clone)]
pub struct DigestCredentials {
    accounts: Arc<ArcSwap<Accounts>>,
    nonces: Arc<Nonces>,
    codes: Arc<dyn Codes>,
    lapses: Arc<Lapses>,
}

impl DigestCredentials {
    /// Of accounts without codes. A reload swaps the accounts; `nonces` makes and
    /// recognises nonces.
    pub fn new(accounts: Arc<ArcSwap<Accounts>>, nonces: Arc<Nonces>) -> Self {
        Self {
            accounts,
            nonces,
            codes: Arc::new(NoCodes),
            lapses: Arc::default(),
        }
    }

    /// With these codes.
    #[must_use]
    pub fn with_codes(mut self, codes: Arc<dyn Codes>) -> Self {
        self.codes = codes;
        self
    }
}

/// When the operator was last told of a closed account.
#[derive(Default)]
struct Lapses(Mutex<HashMap<String, u64>>);

impl Lapses {
    fn tell(&self, user: &str, lapse: Lapse, source: IpAddr, now_ms: u64) {
        if !self.is_news(user, now_ms) {
            return;
        }
        let remedy = match lapse {
            Lapse::Disabled => "the account is disabled; `sipward credential enable` opens it",
            Lapse::Expired => {
                "the password has expired; `sipward credential rotate` makes a new one"
            }
        };
        tracing::warn!(target: "sipward::credentials", user, %source, "the right password was refused: {remedy}");
    }

    fn is_news(&self, user: &str, now_ms: u64) -> bool {
        let mut told = self.0.lock();
        let recent = |told_ms: u64| now_ms.saturating_sub(told_ms) < LAPSE_QUIET_MS;
        if told.get(user).is_some_and(|told_ms| recent(*told_ms)) {
            return false;
        }
        if told.len() >= LAPSES {
            told.retain(|_, told_ms| recent(*told_ms));
        }
        if told.len() < LAPSES {
            told.insert(user.to_owned(), now_ms);
        }
        true
    }
}

/// How much of a verification stays.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trace {
    /// The nonce count is used up, and the operator is told of closed accounts.
    Left,
    /// Nothing.
    None,
}

impl DigestCredentials {
    fn examine(
        &self,
        request: &Message,
        source: IpAddr,
        realm: &str,
        allowed: &[DigestAlgorithm],
        now_ms: u64,
        trace: Trace,
    ) -> Verification {
        let headers = request
            .values(HeaderKind::ProxyAuthorization)
            .chain(request.values(HeaderKind::Authorization))
            .take(AUTHORIZATIONS);
        let allowed: Vec<Algorithm> = allowed
            .iter()
            .map(|algorithm| match algorithm {
                DigestAlgorithm::Md5 => Algorithm::Md5,
                DigestAlgorithm::Sha256 => Algorithm::Sha256,
                DigestAlgorithm::Sha512_256 => Algorithm::Sha512_256,
            })
            .collect();
        let accounts = self.accounts.load();
        let (method, uri) = (request.method_name(), request.request_uri().raw);
        let body = request.body();
        let verification = match trace {
            Trace::Left => self.nonces.verify(
                &accounts, method, uri, body, headers, source, realm, &allowed, now_ms,
            ),
            Trace::None => self.nonces.look_at(
                &accounts, method, uri, body, headers, source, realm, &allowed, now_ms,
            ),
        };
        match verification {
            state::digest::Verification::Missing => Verification::Missing,
            state::digest::Verification::Ok(user) => Verification::Ok(user),
            state::digest::Verification::Stale(user) => Verification::Stale(user),
            state::digest::Verification::Replayed(user) => Verification::Replayed(user),
            state::digest::Verification::Wrong(user) => Verification::Wrong(user),
            state::digest::Verification::Lapsed(user, lapse) => {
                if trace == Trace::Left {
                    self.lapses.tell(&user, lapse, source, now_ms);
                }
                Verification::Wrong(user)
            }
            state::digest::Verification::Malformed => Verification::Malformed,
            state::digest::Verification::AlgorithmRefused => Verification::AlgorithmRefused,
        }
    }
}

impl Credentials for DigestCredentials {
    fn verify(
        &self,
        request: &Message,
        source: IpAddr,
        realm: &str,
        allowed: &[DigestAlgorithm],
        now_ms: u64,
    ) -> Verification {
        self.examine(request, source, realm, allowed, now_ms, Trace::Left)
    }

    fn look_at(
        &self,
        request: &Message,
        source: IpAddr,
        realm: &str,
        allowed: &[DigestAlgorithm],
        now_ms: u64,
    ) -> Verification {
        self.examine(request, source, realm, allowed, now_ms, Trace::None)
    }

    fn check_code(&self, account: &str, code: &str, now_ms: u64) -> CodeVerification {
        self.codes.check(account, code, now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_account_is_told_once_an_hour() {
        let lapses = Lapses::default();
        assert!(lapses.is_news("alice", 0));
        assert!(lapses.is_news("bob", 0));
        assert!(!lapses.is_news("alice", LAPSE_QUIET_MS - 1));
        assert!(lapses.is_news("alice", LAPSE_QUIET_MS));
        assert!(!lapses.is_news("alice", LAPSE_QUIET_MS + 1));
    }

    #[test]
    fn what_is_remembered_has_a_ceiling() {
        let lapses = Lapses::default();
        for number in 0..LAPSES + 10 {
            assert!(lapses.is_news(&number.to_string(), 0));
        }
        assert_eq!(lapses.0.lock().len(), LAPSES);
        assert!(!lapses.is_news("0", 1));
        assert!(lapses.is_news("new", LAPSE_QUIET_MS));
        assert_eq!(lapses.0.lock().len(), 1);
    }
}
