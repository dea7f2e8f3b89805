//! What is proved about whoever sent the request, beyond the facts. Needs no grant.

pub use crate::bindings::identity::{DigestUser, TlsSession};

#[cfg(target_arch = "wasm32")]
use crate::bindings::identity as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::identity as host;

/// The TLS session of the request's connection; none over UDP and TCP, and none in
/// other hooks than `on_request`.
///
/// ```no_run
/// use sipward_plugin_sdk::identity;
/// let modern = identity::tls().is_some_and(|session| session.version == "TLSv1.3");
/// # let _ = modern;
/// ```
#[must_use]
pub fn tls() -> Option<TlsSession> {
    host::tls()
}

/// Users that this or an earlier plugin of the pipeline verified by digest for this
/// request.
///
/// ```no_run
/// use sipward_plugin_sdk::identity;
/// let alice = identity::verified().iter().any(|who| who.user == "alice");
/// # let _ = alice;
/// ```
#[must_use]
pub fn verified() -> Vec<DigestUser> {
    host::verified()
}

/// Groups that the config's `[groups]` and the account store name an identity in, in
/// alphabetical order; empty for one that nobody knows.
///
/// ```no_run
/// # use sipward_plugin_sdk::Request;
/// use sipward_plugin_sdk::identity;
/// fn sells(request: &Request<'_>) -> bool {
///     let groups = request.identity().map(identity::groups);
///     groups.is_some_and(|groups| groups.iter().any(|group| group == "sales"))
/// }
/// ```
#[must_use]
pub fn groups(identity: &str) -> Vec<String> {
    host::groups(identity)
}
