//! Runs a policy natively, against a virtual clock and virtual state.
//!
//! ```
//! # use sipward_plugin_sdk::prelude::*;
//! # struct Nightly;
//! # #[policy]
//! # impl Policy for Nightly {
//! #     type Settings = ();
//! #     fn configure(_: ()) -> Result<Self, SettingsError> { Ok(Self) }
//! #     fn on_request(&self, _: &Request<'_>) -> Outcome {
//! #         match sipward_plugin_sdk::clock::now_ms() / 3_600_000 % 24 {
//! #             0..6 => Outcome::reject(480).because("night"),
//! #             _ => Outcome::next(),
//! #         }
//! #     }
//! # }
//! # fn main() {
//! use std::time::Duration;
//! use sipward_plugin_sdk::testing::{Harness, Request, json};
//!
//! let harness = Harness::<Nightly>::new(json!(null));
//! let call = Request::invite("sip:bob@example.com").from_address("192.0.2.7");
//! assert_eq!(harness.call(&call).status(), Some(480));
//! harness.advance(Duration::from_secs(6 * 3600));
//! assert!(harness.call(&call).is_next());
//! # }
//! ```

#![expect(clippy::panic, reason = "a harness fails a test by panicking")]

#[cfg(feature = "proptest")]
pub mod any;
mod call;
mod checks;
mod facts;
mod harness;
mod message;
mod passing;
mod request;
mod response;
mod surroundings;
pub(crate) mod world;

pub(crate) use world::{counters, credentials, geo, identity, keyvalue, leases, lists, numbers};

pub use call::{CallHandle, CallStep, End, Happened};
pub use harness::Harness;
pub use message::Message;
pub use passing::{Passing, inside};
pub use request::{Credentials, Nonce, Request};
pub use response::Response;
/// What settings are in tests.
///
/// ```
/// use sipward_plugin_sdk::testing::{Value, json};
/// let settings: Value = json!({ "open": 8 });
/// assert_eq!(settings["open"], 8);
/// ```
pub use serde_json::Value;
/// Settings as an operator would write them.
///
/// ```
/// use sipward_plugin_sdk::testing::json;
/// assert_eq!(json!({ "open": 8 })["open"], 8);
/// ```
pub use serde_json::json;
