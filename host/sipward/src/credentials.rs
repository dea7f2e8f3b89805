//! The accounts in use, replaced as a whole by a reload.

use std::sync::Arc;

use arc_swap::ArcSwap;
use policy_wasm::{Credentials, DigestCredentials};
use state::digest::{Accounts, Nonces};

/// Who may authenticate now.
#[derive(Clone)]
pub(crate) struct AccountsInUse(Arc<ArcSwap<Accounts>>);

impl AccountsInUse {
    pub(crate) fn new(accounts: Accounts) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(accounts)))
    }

    /// Verification for plugins, always against the newest accounts.
    pub(crate) fn verifier(&self, nonces: Arc<Nonces>) -> Arc<dyn Credentials> {
        Arc::new(DigestCredentials::new(Arc::clone(&self.0), nonces))
    }

    pub(crate) fn replace(&self, accounts: Accounts) {
        self.0.store(Arc::new(accounts));
    }
}
