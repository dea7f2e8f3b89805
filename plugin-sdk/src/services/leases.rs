//! What a call holds: a place among so many calls, or money. Needs
//! [`Capability::Leases`](crate::Capability::Leases).
//!
//! The host gives back what a call held on every way it can end, and keeps it only
//! if the whole pipeline admits the request: a policy never counts down. Names are 1
//! to 64 bytes, keys 0 to 256, and belong to the plugin in its pipeline.

pub use crate::bindings::leases::{Holding, LeaseError};

#[cfg(target_arch = "wasm32")]
use crate::bindings::leases as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::leases as host;

/// Something that calls hold shares of.
///
/// ```no_run
/// # use sipward_plugin_sdk::Outcome;
/// use sipward_plugin_sdk::leases::Lease;
/// const CALLS: Lease = Lease::new("calls");
/// fn at_most_two(user: &str) -> Outcome {
///     // An error is no place: `Full` is the limit reached.
///     match CALLS.hold(user.as_bytes(), 1, 2) {
///         Ok(holding) if holding.granted => Outcome::next(),
///         _ => Outcome::reject(486).because(format!("{user} has two calls")),
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    name: &'static str,
}

impl Lease {
    /// A lease of this name.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name }
    }

    /// Holds `amount` more under the key for this call, if all calls together then
    /// hold no more than `limit`. A call that asks again under the same key holds
    /// the sum.
    ///
    /// # Errors
    /// [`LeaseError::Full`]: treat it as the limit reached. [`LeaseError::Invalid`]:
    /// name or key is out of bounds, or the amount is 0. [`LeaseError::NoCall`]: only
    /// an INVITE outside a dialog and the events of a call can hold.
    pub fn hold(&self, key: &[u8], amount: u64, limit: u64) -> Result<Holding, LeaseError> {
        host::hold(self.name, key, amount, limit)
    }

    /// What all calls hold under the key now.
    ///
    /// # Errors
    /// [`LeaseError::Invalid`]: name or key is out of bounds.
    pub fn held(&self, key: &[u8]) -> Result<u64, LeaseError> {
        host::held(self.name, key)
    }
}
