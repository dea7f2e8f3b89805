//! What all plugins that are asked about one thing share, while they are asked.

use std::sync::Arc;

use policy::{Holdings, TlsSession};

use crate::host::credentials::Verified;
use crate::services::CodeVerification;

/// Lent to each instance in turn.
#[derive(Clone, Debug, Default)]
pub(crate) struct Consultation {
    /// Digest verifications of the request.
    pub(crate) verified: Verified,
    /// Who holds leases: the call that the request would begin, or the call that
    /// something happened to. None for anything else.
    pub(crate) holdings: Option<Arc<dyn Holdings>>,
    /// Answers about dialled codes, for those who must not ask again.
    pub(crate) codes: Vec<([u8; 32], CodeVerification)>,
    /// TLS session that the request came by.
    pub(crate) tls: Option<TlsSession>,
}

impl Consultation {
    /// Something else is asked about.
    pub(crate) fn begin(&mut self, holdings: Option<Arc<dyn Holdings>>, tls: Option<TlsSession>) {
        self.verified.clear();
        self.codes.clear();
        self.holdings = holdings;
        self.tls = tls;
    }
}
