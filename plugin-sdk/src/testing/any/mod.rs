//! Strategies for property tests with `proptest`: requests as decent phones send them,
//! requests as attackers do, and the many ways to write one number.
//!
//! ```
//! use proptest::prelude::*;
//! use sipward_plugin_sdk::testing::{Harness, Passing, any, json};
//!
//! proptest!(|(request in any::hostile_request())| {
//!     let harness = Harness::<Passing>::new(json!(null));
//!     // The harness panics where the host would call the policy failed.
//!     let outcome = harness.call(&request);
//!     prop_assert!(outcome.reason().len() <= 512);
//! });
//! ```
//!
//! Needs the feature `proptest`, and the crate beside it: `any` makes what a host hands
//! over, so that a URI that no host accepts does not occur as one of the facts. It can
//! well stand in a header.

mod numbers;
mod requests;
mod uris;

pub use numbers::{number, spelling};
pub use requests::{hostile_request, request};
pub use uris::{hostile_uri, hostile_value, uri};
