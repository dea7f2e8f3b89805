//! Digest credentials that a request of a test carries.

use crate::DigestAlgorithm;

/// Digest credentials that a request carries, for the virtual host to verify.
///
/// ```
/// use sipward_plugin_sdk::testing::{Credentials, Request};
/// let call = Request::invite("sip:bob@example.com")
///     .credentials(Credentials::new("example.com", "alice", "secret"));
/// # let _ = call;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The realm they are for.
    pub realm: String,
    /// User name.
    pub user: String,
    /// What the user typed.
    pub password: String,
    /// Algorithm of the response.
    pub algorithm: DigestAlgorithm,
    /// What is the matter with the nonce.
    pub nonce: Nonce,
}

impl Credentials {
    /// Credentials over a fresh nonce with SHA-256.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::{Credentials, Nonce};
    /// assert_eq!(Credentials::new("example.com", "alice", "secret").nonce, Nonce::Fresh);
    /// ```
    #[must_use]
    pub fn new(realm: &str, user: &str, password: &str) -> Self {
        Self {
            realm: realm.to_owned(),
            user: user.to_owned(),
            password: password.to_owned(),
            algorithm: DigestAlgorithm::Sha256,
            nonce: Nonce::Fresh,
        }
    }

    /// The same with another algorithm.
    ///
    /// ```
    /// use sipward_plugin_sdk::{DigestAlgorithm, testing::Credentials};
    /// let weak = Credentials::new("example.com", "alice", "secret").algorithm(DigestAlgorithm::Md5);
    /// assert_eq!(weak.algorithm, DigestAlgorithm::Md5);
    /// ```
    #[must_use]
    pub fn algorithm(self, algorithm: DigestAlgorithm) -> Self {
        Self { algorithm, ..self }
    }

    /// The same over another nonce.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::{Credentials, Nonce};
    /// let late = Credentials::new("example.com", "alice", "secret").nonce(Nonce::Stale);
    /// assert_eq!(late.nonce, Nonce::Stale);
    /// ```
    #[must_use]
    pub fn nonce(self, nonce: Nonce) -> Self {
        Self { nonce, ..self }
    }
}

/// What is the matter with a nonce.
///
/// ```
/// # use sipward_plugin_sdk::testing::{Credentials, Harness, Nonce, Passing, Request, json};
/// use sipward_plugin_sdk::DigestAlgorithm;
/// use sipward_plugin_sdk::credentials::{Verification, verify};
/// let harness = Harness::<Passing>::new(json!(null)).with_user("alice", "secret");
/// let old = Credentials::new("example.com", "alice", "secret").nonce(Nonce::Stale);
/// let call = Request::invite("sip:bob@example.com").credentials(old);
/// let algorithms = [DigestAlgorithm::Sha256];
/// let verified = harness.inside(|| call.seen(|it| verify(it, "example.com", &algorithms)));
/// assert_eq!(verified, Verification::Stale("alice".to_owned()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nonce {
    /// Made by the host for this source, and still good.
    Fresh,
    /// Made by the host, and expired.
    Stale,
    /// Its count was used before.
    Replayed,
    /// Not made by the host, or made for another source.
    Forged,
}
