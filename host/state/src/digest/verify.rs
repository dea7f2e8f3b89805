//! The order of checks: RFC 7616 section 3.4.6, RFC 3261 section 22.
//!
//! Cheap ones come first, then the hash, and what depends on knowing the password
//! last: a closed account, a stale nonce or a replay is only ever reported to somebody
//! who knows it.
//! An unknown user goes the same way as a known one, against a stand-in.

use std::net::IpAddr;

use subtle::{Choice, ConstantTimeEq};

use super::{
    Accounts, Algorithm, Lapse, Nonces,
    credentials::{Credentials, Parsed, parse},
    hash::Question,
    nonce::Stamp,
    replay::Use,
    request_uri,
};

/// Header values that are looked at. A request carries one for each proxy on its
/// way that asked.
const VALUES: usize = 8;

/// How verification went: `verification` of the policy interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verification {
    /// No credentials for this realm were in the request.
    Missing,
    /// Right; the user name.
    Ok(String),
    /// Right, but the nonce has expired: challenge again with `stale`.
    Stale(String),
    /// The nonce count was seen before.
    Replayed(String),
    /// User and password do not match, or there is no such user.
    Wrong(String),
    /// Right, but the account is closed. To be told to the operator, and to everybody
    /// else as [`Wrong`](Self::Wrong).
    Lapsed(String, Lapse),
    /// The header cannot be understood, its nonce is not ours or was made for
    /// another source, or it was made for another Request-URI. Says nothing about
    /// the password, so it is not to be counted as a guess.
    Malformed,
    /// The algorithm is not among those allowed.
    AlgorithmRefused,
}

/// What a request is verified by.
#[derive(Clone, Copy, Debug)]
struct Request<'a> {
    /// The method as written.
    method: &'a [u8],
    /// The Request-URI as written.
    request_uri: &'a [u8],
    /// The body, for `auth-int`.
    body: &'a [u8],
    /// Who sent it.
    source: IpAddr,
}

/// What credentials are, before their nonce count is used up.
enum Found {
    /// Good, with this user, nonce and count.
    Right(String, Stamp, u32),
    /// Something else.
    Otherwise(Verification),
}

impl Nonces {
    /// Verifies the values of a request's Authorization or Proxy-Authorization
    /// headers for a realm. The nonce must have been made for `source`, see
    /// [`issue`](Self::issue).
    ///
    /// An [`Ok`](Verification::Ok) uses up the nonce count: verify a request once
    /// and keep the answer.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of a request, borrowed apart"
    )]
    pub fn verify<'v>(
        &self,
        accounts: &Accounts,
        method: &[u8],
        request_uri: &[u8],
        body: &[u8],
        values: impl IntoIterator<Item = &'v [u8]>,
        source: IpAddr,
        realm: &str,
        allowed: &[Algorithm],
        now_ms: u64,
    ) -> Verification {
        let request = Request {
            method,
            request_uri,
            body,
            source,
        };
        let credentials = match choose(values, realm.as_bytes(), allowed) {
            Ok(credentials) => credentials,
            Err(verification) => return verification,
        };
        let found = self.verify_credentials(accounts, request, &credentials, now_ms);
        match found {
            Some(Found::Right(user, stamp, count)) => self.use_up(user, stamp, count, now_ms),
            Some(Found::Otherwise(verification)) => verification,
            None => Verification::Malformed,
        }
    }

    /// As [`verify`](Self::verify), but uses nothing up and does not ask how often the
    /// nonce count was seen.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of a request, borrowed apart"
    )]
    pub fn look_at<'v>(
        &self,
        accounts: &Accounts,
        method: &[u8],
        request_uri: &[u8],
        body: &[u8],
        values: impl IntoIterator<Item = &'v [u8]>,
        source: IpAddr,
        realm: &str,
        allowed: &[Algorithm],
        now_ms: u64,
    ) -> Verification {
        let request = Request {
            method,
            request_uri,
            body,
            source,
        };
        let credentials = match choose(values, realm.as_bytes(), allowed) {
            Ok(credentials) => credentials,
            Err(verification) => return verification,
        };
        match self.verify_credentials(accounts, request, &credentials, now_ms) {
            Some(Found::Right(user, ..)) => Verification::Ok(user),
            Some(Found::Otherwise(verification)) => verification,
            None => Verification::Malformed,
        }
    }

    /// `None`: malformed.
    fn verify_credentials(
        &self,
        accounts: &Accounts,
        request: Request<'_>,
        credentials: &Credentials<'_>,
        now_ms: u64,
    ) -> Option<Found> {
        let algorithm = credentials.algorithm?;
        let user = std::str::from_utf8(&credentials.user).ok()?;
        let stamp = self.read(&credentials.nonce, &credentials.realm, request.source)?;
        let given = credentials.response(algorithm)?;
        // Without a count a nonce is good once, as if each answer were the first.
        let count = match credentials.count() {
            Some(count) => count,
            None if credentials.is_legacy() && self.permits_legacy => 1,
            None => return None,
        };
        if !request_uri::is_same(&credentials.uri, request.request_uri) {
            return None;
        }
        let found = accounts.lookup(&credentials.user, &credentials.realm, algorithm);
        let expected = Question {
            algorithm,
            method: request.method,
            uri: &credentials.uri,
            body: request.body,
            nonce: &credentials.nonce,
            quality: credentials.quality(),
        }
        .response(found.hash);
        let right =
            expected.as_bytes().ct_eq(given.as_bytes()) & Choice::from(u8::from(found.known));
        let user = user.to_owned();
        if !bool::from(right) {
            return Some(Found::Otherwise(Verification::Wrong(user)));
        }
        if let Some(lapse) = found.lapse(now_ms) {
            return Some(Found::Otherwise(Verification::Lapsed(user, lapse)));
        }
        if self.is_stale(&stamp, now_ms) {
            return Some(Found::Otherwise(Verification::Stale(user)));
        }
        Some(Found::Right(user, stamp, count))
    }

    fn use_up(&self, user: String, stamp: Stamp, count: u32, now_ms: u64) -> Verification {
        let expired_ms = now_ms.saturating_sub(self.lifetime_ms);
        match self.replays.use_count(stamp, count, expired_ms) {
            Use::Fresh => Verification::Ok(user),
            Use::Replayed => Verification::Replayed(user),
            Use::Forgotten => Verification::Stale(user),
        }
    }
}

/// The first value of the realm whose algorithm is allowed.
fn choose<'v>(
    values: impl IntoIterator<Item = &'v [u8]>,
    realm: &[u8],
    allowed: &[Algorithm],
) -> Result<Box<Credentials<'v>>, Verification> {
    let mut otherwise = Verification::Missing;
    for value in values.into_iter().take(VALUES) {
        match parse(value) {
            Parsed::OtherScheme => {}
            Parsed::Malformed => {
                if otherwise == Verification::Missing {
                    otherwise = Verification::Malformed;
                }
            }
            Parsed::Digest(credentials) if *credentials.realm != *realm => {}
            Parsed::Digest(credentials) => {
                if credentials
                    .algorithm
                    .is_some_and(|algorithm| allowed.contains(&algorithm))
                {
                    return Ok(credentials);
                }
                otherwise = Verification::AlgorithmRefused;
            }
        }
    }
    Err(otherwise)
}
