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
//! - `testing`: the native harness (absent on wasm32).

extern crate self as sipward_plugin_sdk;

#[cfg(all(
    feature = "arena",
    any(test, all(target_arch = "wasm32", not(target_feature = "atomics")))
))]
mod arena;
mod bindings;
mod call;
#[doc(hidden)]
pub mod glue;
mod lifecycle;
pub mod log;
mod network;
mod outcome;
mod request;
mod response;
mod services;
mod source;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod uri;

pub use bindings::outcomes::{
    Alert, Annotation, Challenge, DigestAlgorithm, Effect, HeaderValue, MediaRequirement, Points,
    Rejection, Severity, Verdict,
};
pub use bindings::types::{AddressKind, Anomalies, Dialog, Method, Scheme, Transport, Zone};
pub use call::{Call, CallEnd, CallEvent, MediaFigures};
pub use lifecycle::{Capability, Policy, SettingsError};
pub use network::{Network, NetworkError, NetworkMap};
pub use outcome::Outcome;
pub use request::{Annotations, MediaStream, Offer, Party, Request};
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
pub use sipward_plugin_sdk_macros::policy;
pub use source::{Certificate, Peer};
pub use uri::{Uri, decode_escapes};

/// What nearly every policy needs.
pub mod prelude {
    pub use crate::{
        Call, CallEvent, Capability, Dialog, MediaRequirement, Method, Outcome, Policy, Request,
        Response, SettingsError, Severity, Transport, Zone, policy,
    };
}
