//! What a connection proves about whoever sends by it.

use std::sync::Arc;

use policy::Certificate;
use sip_proxy::Proof;
use transport::{PeerCertificate, TlsSession};

use super::Shard;

impl Shard {
    /// What the connection proves about the sender.
    pub(super) fn proof(
        &mut self,
        certificate: Option<&Arc<PeerCertificate>>,
        tls: Option<TlsSession>,
    ) -> Option<Proof> {
        let tls = tls.map(|TlsSession { version, cipher }| policy::TlsSession { version, cipher });
        let certificate = certificate.map(|peer| self.certificate(peer));
        (certificate.is_some() || tls.is_some()).then_some(Proof { certificate, tls })
    }

    /// The certificate as policies see it. Messages of one connection come in
    /// runs, so the last one is kept.
    fn certificate(&mut self, peer: &Arc<PeerCertificate>) -> Arc<Certificate> {
        match &self.last_certificate {
            Some((known, seen)) if Arc::ptr_eq(known, peer) => Arc::clone(seen),
            _ => {
                let seen = Arc::new(Certificate {
                    names: peer.names.clone(),
                    fingerprint: peer.fingerprint.clone(),
                    issuer: peer.issuer.clone(),
                });
                self.last_certificate = Some((Arc::clone(peer), Arc::clone(&seen)));
                seen
            }
        }
    }
}
