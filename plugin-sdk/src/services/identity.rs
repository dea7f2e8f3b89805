//! What is proved about whoever sent the request, beyond the facts. Needs no grant.
//!
//! ```
//! use sipward_plugin_sdk::{identity, testing};
//! assert!(testing::inside(|| identity::groups("nobody")).is_empty());
//! ```

use alloc::string::String;
use alloc::vec::Vec;

/// A user whose digest credentials were right.
///
/// ```
/// use sipward_plugin_sdk::identity::DigestUser;
/// let who = DigestUser { user: "alice".to_owned(), realm: "example.com".to_owned() };
/// # let _ = who;
/// ```
pub use crate::bindings::identity::DigestUser;
/// The TLS session that a request came by.
///
/// ```
/// use sipward_plugin_sdk::identity::TlsSession;
/// fn is_modern(session: &TlsSession) -> bool {
///     session.version == "TLSv1.3" && session.cipher.ends_with("GCM_SHA384")
/// }
/// # let _ = is_modern;
/// ```
pub use crate::bindings::identity::TlsSession;

#[cfg(target_arch = "wasm32")]
use crate::bindings::identity as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::identity as host;

/// The TLS session of the request's connection; none over UDP and TCP, and none in
/// other hooks than `on_request`.
///
/// ```
/// use sipward_plugin_sdk::identity;
/// # sipward_plugin_sdk::testing::inside(|| {
/// let modern = identity::tls().is_some_and(|session| session.version == "TLSv1.3");
/// assert!(!modern, "no connection, no session");
/// # });
/// ```
#[must_use]
pub fn tls() -> Option<TlsSession> {
    host::tls()
}

/// Users that this or an earlier plugin of the pipeline verified by digest for this
/// request.
///
/// ```
/// use sipward_plugin_sdk::identity;
/// # sipward_plugin_sdk::testing::inside(|| {
/// let alice = identity::verified().iter().any(|who| who.user == "alice");
/// assert!(!alice);
/// # });
/// ```
#[must_use]
pub fn verified() -> Vec<DigestUser> {
    host::verified()
}

/// Groups that the config's `[groups]` and the account store name an identity in, in
/// alphabetical order; empty for one that nobody knows.
///
/// ```
/// # use sipward_plugin_sdk::{Request, testing};
/// use sipward_plugin_sdk::identity;
/// fn sells(request: &Request<'_>) -> bool {
///     let groups = request.identity().map(identity::groups);
///     groups.is_some_and(|groups| groups.iter().any(|group| group == "sales"))
/// }
/// # let call = testing::Request::invite("sip:bob@example.com").identity("alice");
/// # assert!(!testing::inside(|| call.seen(sells)));
/// ```
#[must_use]
pub fn groups(identity: &str) -> Vec<String> {
    host::groups(identity)
}
