//! Whose credentials were right, as the capture tells: the nonces in it were made
//! elsewhere and long ago, so nobody can verify them again.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use policy::DigestAlgorithm;
use policy_wasm::{CodeVerification, Credentials, Verification};
use sip_message::{HeaderKind, Message};
use state::digest::claimed;

use super::fingerprint;
use crate::capture::Captured;

/// Requests whose answers are remembered. Four million, in some 150 MB.
const FINALS: usize = 4_000_000;

/// How a request with credentials was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answered {
    Challenged,
    ChallengedStale,
    Otherwise,
}

/// The first final response to each request of a capture.
#[derive(Debug, Default)]
pub struct Finals(HashMap<[u8; 16], Answered>);

impl Finals {
    /// Takes the next message.
    pub fn hear(&mut self, captured: &Captured) {
        let message = &captured.message;
        let Some(status) = message.status().filter(|status| *status >= 200) else {
            return;
        };
        if self.0.len() >= FINALS {
            return;
        }
        let answered = match status {
            401 | 407 => {
                let challenges = message
                    .values(HeaderKind::ProxyAuthenticate)
                    .chain(message.values(HeaderKind::WwwAuthenticate));
                match challenges.into_iter().any(is_stale) {
                    true => Answered::ChallengedStale,
                    false => Answered::Challenged,
                }
            }
            _ => Answered::Otherwise,
        };
        self.0.entry(name(message)).or_insert(answered);
    }
}

fn is_stale(challenge: &[u8]) -> bool {
    let text = String::from_utf8_lossy(challenge).to_ascii_lowercase();
    text.replace([' ', '"'], "").contains("stale=true")
}

fn name(message: &Message) -> [u8; 16] {
    let cseq = message.cseq();
    fingerprint(&[
        message.call_id(),
        message.from_tag().unwrap_or_default(),
        &cseq.number.to_be_bytes(),
        cseq.method_name,
    ])
}

/// Credentials that are right if the capture shows that they were taken: a request that
/// was challenged again had wrong or stale ones. Codes are checked against the accounts of
/// the configuration, at the capture's time.
#[derive(Clone)]
pub struct CapturedCredentials {
    finals: Arc<Finals>,
    inner: Arc<dyn Credentials>,
}

impl CapturedCredentials {
    /// By these answers.
    pub fn new(finals: Arc<Finals>, inner: Arc<dyn Credentials>) -> Self {
        Self { finals, inner }
    }
}

impl std::fmt::Debug for CapturedCredentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("CapturedCredentials")
            .finish_non_exhaustive()
    }
}

impl Credentials for CapturedCredentials {
    fn verify(
        &self,
        request: &Message,
        _source: IpAddr,
        realm: &str,
        _allowed: &[DigestAlgorithm],
        _now_ms: u64,
    ) -> Verification {
        let headers = request
            .values(HeaderKind::ProxyAuthorization)
            .chain(request.values(HeaderKind::Authorization));
        let shown = headers
            .filter_map(claimed)
            .find(|(_, of)| of == realm.as_bytes());
        let Some((user, _)) = shown else {
            return Verification::Missing;
        };
        let Ok(user) = String::from_utf8(user) else {
            return Verification::Malformed;
        };
        match self.finals.0.get(&name(request)) {
            Some(Answered::Challenged) => Verification::Wrong(user),
            Some(Answered::ChallengedStale) => Verification::Stale(user),
            Some(Answered::Otherwise) | None => Verification::Ok(user),
        }
    }

    fn check_code(&self, account: &str, code: &str, now_ms: u64) -> CodeVerification {
        self.inner.check_code(account, code, now_ms)
    }
}
