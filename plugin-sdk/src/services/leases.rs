//! What a call holds: a place among so many calls, or money. Needs
//! [`Capability::Leases`](crate::Capability::Leases).
//!
//! The host gives back what a call held on every way it can end, and keeps it only
//! if the whole pipeline admits the request: a policy never counts down. Names are 1
//! to 64 bytes, keys 0 to 256, and belong to the plugin in its pipeline.
//!
//! ```
//! use sipward_plugin_sdk::leases::Lease;
//! const CALLS: Lease = Lease::new("calls");
//! # sipward_plugin_sdk::testing::inside(|| {
//! assert!(CALLS.hold(b"alice", 1, 2).is_ok_and(|holding| holding.granted));
//! # });
//! ```

/// What became of a wish.
///
/// ```
/// use sipward_plugin_sdk::leases::Lease;
/// # sipward_plugin_sdk::testing::inside(|| {
/// let holding = Lease::new("calls").hold(b"alice", 1, 2).unwrap();
/// assert!(holding.granted && holding.held == 1);
/// # });
/// ```
pub use crate::bindings::leases::Holding;
/// Why nothing can be held.
///
/// ```
/// use sipward_plugin_sdk::leases::{Lease, LeaseError};
/// # sipward_plugin_sdk::testing::inside(|| {
/// assert_eq!(Lease::new("calls").hold(b"alice", 0, 2), Err(LeaseError::Invalid));
/// # });
/// ```
pub use crate::bindings::leases::LeaseError;

#[cfg(target_arch = "wasm32")]
use crate::bindings::leases as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::leases as host;

/// Something that calls hold shares of.
///
/// ```
/// # use sipward_plugin_sdk::{Outcome, testing};
/// use sipward_plugin_sdk::leases::Lease;
/// const CALLS: Lease = Lease::new("calls");
/// fn at_most_two(user: &str) -> Outcome {
///     // An error is no place: `Full` is the limit reached.
///     match CALLS.hold(user.as_bytes(), 1, 2) {
///         Ok(holding) if holding.granted => Outcome::next(),
///         _ => Outcome::reject(486).because(format!("{user} has two calls")),
///     }
/// }
/// # assert!(testing::inside(|| at_most_two("alice")).is_next());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    name: &'static str,
}

impl Lease {
    /// A lease of this name.
    ///
    /// ```
    /// use sipward_plugin_sdk::leases::Lease;
    /// const MONEY: Lease = Lease::new("money");
    /// # sipward_plugin_sdk::testing::inside(|| {
    /// assert_eq!(MONEY.held(b"alice"), Ok(0));
    /// # });
    /// ```
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name }
    }

    /// Holds `amount` more under the key for this call, if all calls together then
    /// hold no more than `limit`. A call that asks again under the same key holds
    /// the sum.
    ///
    /// ```
    /// # use sipward_plugin_sdk::leases::Lease;
    /// const MONEY: Lease = Lease::new("money");
    /// # sipward_plugin_sdk::testing::inside(|| {
    /// assert!(MONEY.hold(b"alice", 60, 100)?.granted);
    /// let second = MONEY.hold(b"alice", 60, 100)?;
    /// assert!(!second.granted && second.held == 60);
    /// # Ok::<(), sipward_plugin_sdk::leases::LeaseError>(())
    /// # }).unwrap();
    /// ```
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
    /// ```
    /// # use sipward_plugin_sdk::leases::Lease;
    /// const MONEY: Lease = Lease::new("money");
    /// # sipward_plugin_sdk::testing::inside(|| {
    /// MONEY.hold(b"alice", 60, 100)?;
    /// assert_eq!(MONEY.held(b"alice")?, 60);
    /// # Ok::<(), sipward_plugin_sdk::leases::LeaseError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`LeaseError::Invalid`]: name or key is out of bounds.
    pub fn held(&self, key: &[u8]) -> Result<u64, LeaseError> {
        host::held(self.name, key)
    }
}
