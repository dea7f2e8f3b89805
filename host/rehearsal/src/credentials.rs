//! Credentials that are taken for granted: whoever explains a decision has no password
//! to show.

use std::net::IpAddr;
use std::sync::Arc;

use policy::DigestAlgorithm;
use policy_wasm::{CodeVerification, Credentials, Verification};
use sip_message::Message;

/// Answers as if this user had shown the right password. Codes are checked as ever.
#[derive(Clone)]
pub struct AsIf {
    user: String,
    inner: Arc<dyn Credentials>,
}

impl AsIf {
    /// Of this user.
    pub fn new(user: impl Into<String>, inner: Arc<dyn Credentials>) -> Self {
        let user = user.into();
        Self { user, inner }
    }
}

impl std::fmt::Debug for AsIf {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("AsIf")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl Credentials for AsIf {
    fn verify(
        &self,
        _request: &Message,
        _source: IpAddr,
        _realm: &str,
        _allowed: &[DigestAlgorithm],
        _now_ms: u64,
    ) -> Verification {
        Verification::Ok(self.user.clone())
    }

    fn check_code(&self, account: &str, code: &str, now_ms: u64) -> CodeVerification {
        self.inner.check_code(account, code, now_ms)
    }
}
