//! Completing a plugin's challenge with a nonce: RFC 7616, RFC 8760.

use std::net::IpAddr;
use std::sync::Arc;

use policy::{ChallengeSpec, DigestAlgorithm};
use policy_wasm::Clock;
use state::digest::{Algorithm, Nonces, challenge_value};

/// Makes challenge headers.
#[derive(Clone)]
pub(crate) struct Challenger {
    nonces: Arc<Nonces>,
    clock: Arc<dyn Clock>,
}

impl Challenger {
    pub(crate) fn new(nonces: Arc<Nonces>, clock: Arc<dyn Clock>) -> Self {
        Self { nonces, clock }
    }

    /// One header for each algorithm, best first, as RFC 8760 section 2.4 asks,
    /// with nonces for the source that the request came from.
    pub(crate) fn headers(
        &self,
        challenge: &ChallengeSpec,
        source: IpAddr,
    ) -> Vec<(String, String)> {
        let name = if challenge.as_registrar {
            "WWW-Authenticate"
        } else {
            "Proxy-Authenticate"
        };
        let now_ms = self.clock.now_ms();
        let value = |algorithm: &DigestAlgorithm| {
            let nonce = self.nonces.issue(now_ms, &challenge.realm, source);
            challenge_value(
                &challenge.realm,
                hash_of(*algorithm),
                &nonce,
                challenge.stale,
            )
        };
        challenge
            .algorithms
            .iter()
            .map(|algorithm| (name.to_owned(), value(algorithm)))
            .collect()
    }
}

fn hash_of(algorithm: DigestAlgorithm) -> Algorithm {
    match algorithm {
        DigestAlgorithm::Md5 => Algorithm::Md5,
        DigestAlgorithm::Sha256 => Algorithm::Sha256,
        DigestAlgorithm::Sha512_256 => Algorithm::Sha512_256,
    }
}
