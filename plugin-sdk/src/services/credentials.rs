//! Digest verification and dialled codes. Passwords, their hashes and the secrets of
//! codes never enter a plugin. Needs
//! [`Capability::Credentials`](crate::Capability::Credentials).
//!
//! ```
//! use sipward_plugin_sdk::credentials::{CodeVerification, check_code};
//! # sipward_plugin_sdk::testing::inside(|| {
//! assert_eq!(check_code("alice", "0000"), CodeVerification::Wrong);
//! # });
//! ```

/// How a code went.
///
/// ```
/// use sipward_plugin_sdk::Outcome;
/// use sipward_plugin_sdk::credentials::CodeVerification;
/// fn answer(verified: CodeVerification) -> Outcome {
///     match verified {
///         CodeVerification::Ok => Outcome::next(),
///         CodeVerification::Wrong => Outcome::reject(403).because("wrong code"),
///         CodeVerification::Replayed => Outcome::reject(403).because("used code"),
///     }
/// }
/// assert!(answer(CodeVerification::Ok).is_next());
/// ```
pub use crate::bindings::credentials::CodeVerification;
/// How verification went.
///
/// ```
/// use sipward_plugin_sdk::Outcome;
/// use sipward_plugin_sdk::credentials::Verification;
/// fn answer(verified: Verification) -> Outcome {
///     match verified {
///         Verification::Ok(user) => Outcome::next().identify(user),
///         Verification::Stale(_) => Outcome::challenge("example.com").stale(true),
///         Verification::Wrong(user) => {
///             Outcome::challenge("example.com").because(format!("{user}: wrong password"))
///         }
///         _ => Outcome::challenge("example.com"),
///     }
/// }
/// assert!(answer(Verification::Missing).challenged().is_some());
/// ```
pub use crate::bindings::credentials::Verification;

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
/// ```
/// # use sipward_plugin_sdk::{DigestAlgorithm, Outcome, Request, testing};
/// use sipward_plugin_sdk::credentials::{Verification, verify};
/// fn on_request(request: &Request<'_>) -> Outcome {
///     match verify(request, "example.com", &[DigestAlgorithm::Sha256]) {
///         Verification::Ok(user) => Outcome::next().identify(user),
///         _ => Outcome::challenge("example.com"),
///     }
/// }
/// # let call = testing::Request::invite("sip:bob@example.com");
/// # assert!(testing::inside(|| call.seen(on_request)).challenged().is_some());
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
/// ```
/// # use sipward_plugin_sdk::{Outcome, testing};
/// use sipward_plugin_sdk::credentials::{CodeVerification, check_code};
/// fn second_factor(account: &str, code: &str) -> Outcome {
///     let outcome = match check_code(account, code) {
///         CodeVerification::Ok => Outcome::next(),
///         CodeVerification::Wrong | CodeVerification::Replayed => Outcome::reject(403),
///     };
///     outcome.conceal(code)
/// }
/// # assert!(!testing::inside(|| second_factor("alice", "7391")).is_next());
/// ```
#[must_use]
pub fn check_code(account: &str, code: &str) -> CodeVerification {
    host::check_code(account, code)
}
