//! Digest verification and dialled codes. Passwords, their hashes and the secrets of
//! codes never enter a plugin. Needs
//! [`Capability::Credentials`](crate::Capability::Credentials).

pub use crate::bindings::credentials::{CodeVerification, Verification};

use crate::{DigestAlgorithm, Request};

#[cfg(target_arch = "wasm32")]
use crate::bindings::credentials as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::credentials as host;

/// Verifies the Authorization or Proxy-Authorization header of a request for
/// a realm, for one of these algorithms (RFC 7616, RFC 8760).
///
/// A nonce is good only for the source that was challenged with it, an IPv4
/// address or an IPv6 /64; from elsewhere it is
/// [`Malformed`](Verification::Malformed), which is no guess. So
/// [`Wrong`](Verification::Wrong) never comes from a forged UDP source.
///
/// ```no_run
/// # use sipward_plugin_sdk::{DigestAlgorithm, Outcome, Request};
/// use sipward_plugin_sdk::credentials::{Verification, verify};
/// fn on_request(request: &Request<'_>) -> Outcome {
///     match verify(request, "example.com", &[DigestAlgorithm::Sha256]) {
///         Verification::Ok(user) => Outcome::next().identify(user),
///         _ => Outcome::challenge("example.com"),
///     }
/// }
/// ```
#[must_use]
pub fn verify(request: &Request<'_>, realm: &str, algorithms: &[DigestAlgorithm]) -> Verification {
    host::verify(request.message(), realm, algorithms)
}

/// Checks a code that the holder of an account dialled: its PIN, or a one-time code
/// of its secret (RFC 6238, SHA-1, six or eight digits, 30 seconds, one step of
/// tolerance either way). The host does not count failures: a policy that asks does,
/// and [conceals](crate::Outcome::conceal) the code from whatever is written.
///
/// ```no_run
/// # use sipward_plugin_sdk::Outcome;
/// use sipward_plugin_sdk::credentials::{CodeVerification, check_code};
/// fn second_factor(account: &str, code: &str) -> Outcome {
///     let outcome = match check_code(account, code) {
///         CodeVerification::Ok => Outcome::next(),
///         CodeVerification::Wrong | CodeVerification::Replayed => Outcome::reject(403),
///     };
///     outcome.conceal(code)
/// }
/// ```
#[must_use]
pub fn check_code(account: &str, code: &str) -> CodeVerification {
    host::check_code(account, code)
}
