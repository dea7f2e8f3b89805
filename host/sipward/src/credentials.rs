//! The accounts in use, replaced as a whole by a reload.

use std::sync::Arc;

use arc_swap::ArcSwap;
use state::digest::Accounts;

/// Who may authenticate now.
#[derive(Clone)]
pub(crate) struct AccountsInUse(Arc<ArcSwap<Accounts>>);

impl AccountsInUse {
    pub(crate) fn new(accounts: Accounts) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(accounts)))
    }

    /// For verification, which always looks at the newest accounts.
    pub(crate) fn shared(&self) -> Arc<ArcSwap<Accounts>> {
        Arc::clone(&self.0)
    }

    pub(crate) fn replace(&self, accounts: Accounts) {
        self.0.store(Arc::new(accounts));
    }
}
