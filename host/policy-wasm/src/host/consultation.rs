//! What all plugins that are asked about one thing share, while they are asked.

use std::sync::Arc;

use policy::{Holdings, TlsSession};

use crate::host::credentials::Verified;

/// Lent to each instance in turn.
#[derive(Debug, Default)]
pub(crate) struct Consultation {
    /// Digest verifications of the request.
    pub(crate) verified: Verified,
    /// Who holds leases: the call that the request would begin, or the call that
    /// something happened to. None for anything else.
    pub(crate) holdings: Option<Arc<dyn Holdings>>,
    /// TLS session that the request came by.
    pub(crate) tls: Option<TlsSession>,
}

impl Consultation {
    /// Something else is asked about.
    pub(crate) fn begin(&mut self, holdings: Option<Arc<dyn Holdings>>, tls: Option<TlsSession>) {
        self.verified.clear();
        self.holdings = holdings;
        self.tls = tls;
    }
}
