//! What a call holds of what calls share. Who lends it is not known here: a pass
//! carries it through the call and says when the call is over.

use std::fmt;
use std::sync::Arc;

/// A wish to hold something: `leases.hold` of the policy interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseWish<'a> {
    /// The plugin.
    pub scope: &'a str,
    /// Name of the lease.
    pub name: &'a str,
    /// Whose it is.
    pub key: &'a [u8],
    /// How much; at least 1.
    pub amount: u64,
    /// What all calls together may hold of this key.
    pub limit: u64,
}

/// What became of a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding {
    /// It is held now.
    pub granted: bool,
    /// What all calls hold together, this wish included if it was granted.
    pub held: u64,
}

/// Why nothing can be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseError {
    /// The table is full; to be treated as the limit reached.
    Full,
    /// Name, key or amount outside its bounds.
    Invalid,
    /// There is no call, or it is over.
    NoCall,
}

/// What one call holds. Dropping the last reference gives it back at the latest.
pub trait Holdings: fmt::Debug + Send + Sync {
    /// Holds more.
    ///
    /// # Errors
    /// See [`LeaseError`].
    fn hold(&self, wish: LeaseWish<'_>) -> Result<Holding, LeaseError>;

    /// The call is over: gives everything back. The second time, nothing happens.
    fn release(&self);

    /// What the shadow run of a plugin holds beside it, of which nothing else knows. It is
    /// given back with this.
    fn understudy(&self, plugin: &str) -> Option<Arc<dyn Holdings>> {
        let _none = plugin;
        None
    }
}
