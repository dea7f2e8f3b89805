//! `credentials`: digest verification (RFC 7616, RFC 8760). Passwords and HA1
//! stay in the host. Limit: `host_calls`.

use policy::DigestAlgorithm;
use wasmtime::component::Resource;

use crate::bindings::credentials::{Host, Verification};
use crate::bindings::outcomes;
use crate::host::{HostState, LentMessage};
use crate::services;

/// Verifications of one consult, by realm and algorithms.
///
/// Verifying uses up the nonce count, so a second plugin that asks the same of
/// the same request is given the same answer; else it would be called replayed.
#[derive(Debug, Default)]
pub(crate) struct Verified(Vec<(String, Vec<DigestAlgorithm>, services::Verification)>);

impl Verified {
    /// Another request begins.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    fn find(&self, realm: &str, allowed: &[DigestAlgorithm]) -> Option<&services::Verification> {
        let known = self.0.iter().find(|(of, among, _)| of == realm && among == allowed);
        known.map(|(_, _, verification)| verification)
    }
}

impl Host for HostState {
    fn verify(
        &mut self,
        request: Resource<LentMessage>,
        realm: String,
        algorithms: Vec<outcomes::DigestAlgorithm>,
    ) -> wasmtime::Result<Verification> {
        self.require_decision("credentials")?;
        self.charge_call(realm.len().saturating_add(algorithms.len()))?;
        let allowed: Vec<_> = algorithms.into_iter().map(algorithm).collect();
        let now_ms = self.services.clock.now_ms();
        let message = self.lent(&request)?;
        let verification = match self.verified.find(&realm, &allowed) {
            Some(known) => known.clone(),
            None => self.services.credentials.verify(message, &realm, &allowed, now_ms),
        };
        if matches!(verification, services::Verification::Ok(_)) {
            self.verified_realm = Some(realm.clone());
        }
        if self.verified.find(&realm, &allowed).is_none() {
            self.verified.0.push((realm, allowed, verification.clone()));
        }
        Ok(match verification {
            services::Verification::Missing => Verification::Missing,
            services::Verification::Ok(user) => Verification::Ok(user),
            services::Verification::Stale(user) => Verification::Stale(user),
            services::Verification::Replayed(user) => Verification::Replayed(user),
            services::Verification::Wrong(user) => Verification::Wrong(user),
            services::Verification::Malformed => Verification::Malformed,
            services::Verification::AlgorithmRefused => Verification::AlgorithmRefused,
        })
    }
}

pub(crate) fn algorithm(algorithm: outcomes::DigestAlgorithm) -> DigestAlgorithm {
    match algorithm {
        outcomes::DigestAlgorithm::Md5 => DigestAlgorithm::Md5,
        outcomes::DigestAlgorithm::Sha256 => DigestAlgorithm::Sha256,
        outcomes::DigestAlgorithm::Sha512256 => DigestAlgorithm::Sha512_256,
    }
}
