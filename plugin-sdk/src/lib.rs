//! Write SIP policies for [Sipward](https://sipward.dev) in Rust.
//!
//! A policy is a function from facts about a SIP request, and a little state
//! that the host keeps, to an [`Outcome`]. It performs nothing itself: the host
//! checks what it answered and does it.
//!
//! ```
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//! use sipward_plugin_sdk::prelude::*;
//!
//! /// Refuses callers by the user part of their From header.
//! struct Blocklist {
//!     users: Vec<String>,
//! }
//!
//! #[derive(Deserialize, JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Settings {
//!     /// User parts that are refused.
//!     users: Vec<String>,
//! }
//!
//! #[policy]
//! impl Policy for Blocklist {
//!     type Settings = Settings;
//!
//!     fn configure(settings: Settings) -> Result<Self, SettingsError> {
//!         if settings.users.is_empty() {
//!             return Err(SettingsError::new("users", "is empty; name at least one"));
//!         }
//!         Ok(Self { users: settings.users })
//!     }
//!
//!     fn on_request(&self, request: &Request<'_>) -> Outcome {
//!         let user = request.from().uri().user().unwrap_or_default();
//!         if self.users.iter().any(|blocked| blocked.as_bytes() == user) {
//!             return Outcome::reject(403).because("From user is on the list");
//!         }
//!         Outcome::next()
//!     }
//! }
//!
//! # fn main() {
//! // The same code runs natively, against a virtual clock and virtual state.
//! use sipward_plugin_sdk::testing::{Harness, Request as Call, json};
//! let harness = Harness::<Blocklist>::new(json!({ "users": ["mallory"] }));
//! let call = Call::invite("sip:bob@example.com").from_uri("sip:mallory@example.org");
//! assert_eq!(harness.call(&call).status(), Some(403));
//! # }
//! ```
//!
//! Build it with `crate-type = ["cdylib"]` for `wasm32-unknown-unknown`: the
//! [`macro@policy`] attribute exports exactly the hooks that were written, so the
//! host never calls one that was not.
//!
//! # Where things are
//!
//! - [`Policy`], [`SettingsError`], [`Capability`]: what an author implements.
//! - [`Request`], [`Response`], [`Call`], [`CallEvent`], [`Uri`]: what the host tells.
//! - [`Outcome`]: what the policy answers.
//! - [`clock`], [`counters`], [`keyvalue`], [`credentials`], [`identity`],
//!   [`leases`], [`geo`], [`numbers`], [`lists`], [`random`], [`log`]: what the
//!   host offers.
//! - [`Network`], [`NetworkMap`]: CIDR lists for settings.
//! - `testing`: the native harness (absent on wasm32), with strategies for property
//!   tests behind the feature `proptest`.
//! - `cookbook`: ten policies, each with a test.
//!
//! # Without the standard library
//!
//! With `default-features = false` a guest for `wasm32-unknown-unknown` is `no_std`: it
//! names an allocator and says [`panic_handler!`]. Native tests are as before. The
//! compiler is Rust 1.95 or later.

#![cfg_attr(all(target_arch = "wasm32", not(feature = "std")), no_std)]

extern crate alloc;
extern crate self as sipward_plugin_sdk;

#[cfg(all(target_arch = "wasm32", target_feature = "atomics"))]
compile_error!("a policy has one thread: leave out the target feature `atomics`");

mod abi;
#[cfg(all(feature = "arena", any(test, target_arch = "wasm32")))]
mod arena;
mod bindings;
mod call;
#[cfg(not(target_arch = "wasm32"))]
#[doc = include_str!("../docs/cookbook.md")]
pub mod cookbook {}
#[doc(hidden)]
pub mod glue;
mod guest;
mod lifecycle;
pub mod log;
mod network;
mod offer;
mod outcome;
mod request;
mod response;
mod services;
mod source;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod uri;

/// A message to the operator.
///
/// ```
/// use sipward_plugin_sdk::{Alert, Effect, Outcome, Severity};
/// let alert = Alert { severity: Severity::Info, key: "day".to_owned(), text: "first call".to_owned() };
/// assert_eq!(Outcome::next().effect(Effect::Alert(alert)).alerts().count(), 1);
/// ```
pub use bindings::outcomes::Alert;
/// A key and a value.
///
/// ```
/// use sipward_plugin_sdk::{Annotation, Effect, Outcome};
/// let note = Annotation { key: "price".to_owned(), value: "2".to_owned() };
/// assert_eq!(Outcome::next().effect(Effect::Annotate(note)).annotation("price"), Some("2"));
/// ```
pub use bindings::outcomes::Annotation;
/// Asks for digest credentials. The host makes the nonce.
///
/// ```
/// use sipward_plugin_sdk::Outcome;
/// let outcome = Outcome::challenge("example.com");
/// assert!(outcome.challenged().is_some_and(|challenge| !challenge.stale));
/// ```
pub use bindings::outcomes::Challenge;
/// Digest algorithms: RFC 7616 and RFC 8760.
///
/// ```
/// use sipward_plugin_sdk::{DigestAlgorithm, Outcome};
/// let outcome = Outcome::challenge("example.com").algorithms(&[DigestAlgorithm::Sha512256]);
/// # let _ = outcome;
/// ```
pub use bindings::outcomes::DigestAlgorithm;
/// Something that shall happen if the whole pipeline admits the request.
///
/// ```
/// use sipward_plugin_sdk::{Effect, Outcome};
/// let outcome = Outcome::next().effect(Effect::RemoveHeader("Alert-Info".to_owned()));
/// assert_eq!(outcome, Outcome::next().remove_header("Alert-Info"));
/// ```
pub use bindings::outcomes::Effect;
/// A header line to write.
///
/// ```
/// use sipward_plugin_sdk::{Effect, HeaderValue, Outcome};
/// let line = HeaderValue { name: "Privacy".to_owned(), value: b"id".to_vec() };
/// assert_eq!(Outcome::next().effect(Effect::SetHeader(line)).header("privacy"), [b"id"]);
/// ```
pub use bindings::outcomes::HeaderValue;
/// What the media of a call must be.
///
/// ```
/// use sipward_plugin_sdk::{MediaRequirement, Outcome};
/// let outcome = Outcome::next().require_media(MediaRequirement::EncryptedBoth);
/// assert_eq!(outcome.media_requirement(), MediaRequirement::EncryptedBoth);
/// ```
pub use bindings::outcomes::MediaRequirement;
/// Points towards a threshold, with the reason for them.
///
/// ```
/// use sipward_plugin_sdk::{Effect, Outcome, Points};
/// let points = Points { amount: 30, reason: "from abroad".to_owned() };
/// assert_eq!(Outcome::next().effect(Effect::Score(points)).points(), 30);
/// ```
pub use bindings::outcomes::Points;
/// Refuses the request with a final response.
///
/// ```
/// use sipward_plugin_sdk::{Outcome, Verdict};
/// let outcome = Outcome::reject(486).retry_after(30);
/// assert!(matches!(outcome.verdict(), Verdict::Reject(rejection) if rejection.retry_after == 30));
/// ```
pub use bindings::outcomes::Rejection;
/// How loud an alert is.
///
/// ```
/// use sipward_plugin_sdk::{Outcome, Severity};
/// let outcome = Outcome::next().alert(Severity::Warning, "the list is old");
/// assert_eq!(outcome.alerts().next().unwrap().severity, Severity::Warning);
/// ```
pub use bindings::outcomes::Severity;
/// What becomes of the request. Closed: no case will be added.
///
/// ```
/// use sipward_plugin_sdk::{Outcome, Verdict};
/// fn is_refusal(outcome: &Outcome) -> bool {
///     match outcome.verdict() {
///         Verdict::Next => false,
///         Verdict::Reject(_) | Verdict::Challenge(_) | Verdict::Redirect(_) | Verdict::Drop => true,
///     }
/// }
/// assert!(is_refusal(&Outcome::silence()));
/// ```
pub use bindings::outcomes::Verdict;
/// What sort of address a media stream asks to be sent to.
///
/// ```
/// use sipward_plugin_sdk::AddressKind;
/// fn is_followed(kind: AddressKind) -> bool {
///     kind == AddressKind::Public
/// }
/// assert!(!is_followed(AddressKind::Loopback));
/// ```
pub use bindings::types::AddressKind;
/// Oddities that the host saw and has already made harmless.
///
/// ```
/// use sipward_plugin_sdk::Anomalies;
/// let odd = Anomalies::FOLDED_HEADER | Anomalies::CONTROL_CHARACTER;
/// assert!(odd.contains(Anomalies::CONTROL_CHARACTER));
/// ```
pub use bindings::types::Anomalies;
/// Where a request stands in a dialog: RFC 3261 section 12.
///
/// ```
/// use sipward_plugin_sdk::{Dialog, testing::Request};
/// let call = Request::invite("sip:bob@example.com");
/// assert_eq!(call.seen(|request| request.dialog()), Dialog::None);
/// ```
pub use bindings::types::Dialog;
/// A SIP method. One without a name is [`Method::Other`]: see [`Request::method_name`].
///
/// ```
/// use sipward_plugin_sdk::{Method, testing::Request};
/// let text = Request::new("MESSAGE", "sip:bob@example.com");
/// assert_eq!(text.seen(|request| request.method()), Method::Message);
/// ```
pub use bindings::types::Method;
/// URI schemes that the host understands.
///
/// ```
/// use sipward_plugin_sdk::{Scheme, Uri};
/// assert_eq!(Uri::parse(b"urn:service:sos").unwrap().scheme(), Scheme::Other);
/// ```
pub use bindings::types::Scheme;
/// The transport a request arrived on.
///
/// ```
/// use sipward_plugin_sdk::{Transport, testing::Request};
/// let call = Request::invite("sip:bob@example.com").transport(Transport::Tls);
/// assert!(call.seen(|request| request.peer().is_encrypted()));
/// ```
pub use bindings::types::Transport;
/// Which side of Sipward a peer is on.
///
/// ```
/// use sipward_plugin_sdk::{Zone, testing::Request};
/// let call = Request::invite("sip:bob@example.com").zone(Zone::Inside);
/// assert!(call.seen(|request| request.peer().zone() == Zone::Inside));
/// ```
pub use bindings::types::Zone;
pub use call::{Call, CallEnd, CallEvent, MediaFigures};
pub use lifecycle::{Capability, Policy, SettingsError};
pub use network::{Network, NetworkError, NetworkMap};
pub use offer::{MediaStream, Offer};
pub use outcome::Outcome;
pub use request::{Annotations, Party, Request};
pub use response::Response;
pub use services::{
    clock, counters, credentials, geo, identity, keyvalue, leases, lists, numbers, random,
};
/// Implements [`Policy`] and exports its hooks from the component.
///
/// Put it on `impl Policy for X`. Name, version and description come from the
/// crate's Cargo.toml unless the impl states `NAME`, `VERSION` or `DESCRIPTION`.
/// Of `on_request`, `on_response` and `on_call_event` those that are written are
/// exported; none at all is a compile error. One policy a crate.
///
/// ```
/// use sipward_plugin_sdk::prelude::*;
///
/// struct Closed;
///
/// #[policy]
/// impl Policy for Closed {
///     type Settings = ();
///
///     const NAME: &'static str = "closed";
///
///     fn configure((): ()) -> Result<Self, SettingsError> {
///         Ok(Self)
///     }
///
///     fn on_request(&self, _: &Request<'_>) -> Outcome {
///         Outcome::reject(480).because("closed for ever")
///     }
/// }
///
/// # fn main() {
/// assert_eq!(Closed::NAME, "closed");
/// # }
/// ```
pub use sipward_plugin_sdk_macros::policy;
pub use source::{Certificate, Peer};
pub use uri::{Uri, decode_escapes};

/// What nearly every policy needs.
///
/// ```
/// use sipward_plugin_sdk::prelude::*;
/// assert!(Outcome::next().is_next());
/// ```
pub mod prelude {
    pub use crate::{
        Call, CallEvent, Capability, Dialog, MediaRequirement, Method, Outcome, Policy, Request,
        Response, SettingsError, Severity, Transport, Zone, policy,
    };
}
