//! `credentials`: digest verification (RFC 7616, RFC 8760). Passwords and HA1
//! stay in the host. Limit: `host_calls`.

use policy::DigestAlgorithm;
use wasmtime::component::Resource;

use crate::bindings::credentials::{CodeVerification, Host, Verification};
use crate::bindings::outcomes;
use crate::host::{HostState, LentMessage};
use crate::services;

/// Verifications of one consult, by realm and algorithms.
///
/// Verifying uses up the nonce count, so a second plugin that asks the same of
/// the same request is given the same answer; else it would be called replayed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verified(Vec<(String, Vec<DigestAlgorithm>, services::Verification)>);

impl Verified {
    /// Another request begins.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Users whose credentials were right, each with the realm.
    pub(super) fn users(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .filter_map(|(realm, _, verification)| match verification {
                services::Verification::Ok(user) => Some((user.as_str(), realm.as_str())),
                _ => None,
            })
    }

    fn find(&self, realm: &str, allowed: &[DigestAlgorithm]) -> Option<&services::Verification> {
        let known = self
            .0
            .iter()
            .find(|(of, among, _)| of == realm && among == allowed);
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
        self.charge_decision("credentials", realm.len().saturating_add(algorithms.len()))?;
        let allowed: Vec<_> = algorithms.into_iter().map(algorithm).collect();
        let now_ms = self.now_ms();
        let message = self.lent(&request)?;
        // A response carries no credentials to verify.
        let Some(source) = self.source else {
            return Ok(Verification::Missing);
        };
        let verification = match self.consultation.verified.find(&realm, &allowed) {
            Some(known) => known.clone(),
            None => self
                .services
                .credentials
                .verify(message, source, &realm, &allowed, now_ms),
        };
        if matches!(verification, services::Verification::Ok(_)) {
            self.verified_realm = Some(realm.clone());
        }
        if self.consultation.verified.find(&realm, &allowed).is_none() {
            self.consultation
                .verified
                .0
                .push((realm, allowed, verification.clone()));
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

    fn check_code(&mut self, account: String, code: String) -> wasmtime::Result<CodeVerification> {
        self.charge_decision("credentials", account.len().saturating_add(code.len()))?;
        let now_ms = self.now_ms();
        let verification = self
            .services
            .credentials
            .check_code(&account, &code, now_ms);
        let asked = services::overlay::code_key(&account, &code);
        self.consultation.codes.push((asked, verification));
        Ok(match verification {
            services::CodeVerification::Ok => CodeVerification::Ok,
            services::CodeVerification::Wrong => CodeVerification::Wrong,
            services::CodeVerification::Replayed => CodeVerification::Replayed,
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

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;
    use std::time::Duration;

    use arc_swap::ArcSwap;
    use bytes::Bytes;
    use sip_message::{Limits, Message};
    use state::State;
    use state::digest::{Accounts, Nonces, challenge_value};

    use super::*;
    use crate::host::{Consultation, Occasion};
    use crate::limits::PluginLimits;
    use crate::services::{Clock as _, HostServices, RecentNumbers, SystemClock};

    const HOME: &str = "192.0.2.10";

    fn at(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    fn services(nonces: &Arc<Nonces>) -> HostServices {
        let now_ms = SystemClock.now_ms();
        let state = State::open(None, state::Limits::default(), now_ms).unwrap();
        let accounts = Arc::new(ArcSwap::from_pointee(Accounts::empty()));
        let numbers = Arc::new(RecentNumbers::new().unwrap());
        HostServices::embedded(state, accounts, Arc::clone(nonces), Arc::default(), numbers)
    }

    fn host(services: HostServices) -> HostState {
        HostState::new(Arc::new(services), "test".into(), PluginLimits::default())
    }

    /// A request with a guess over this nonce.
    fn guess(nonce: &str) -> Arc<Message> {
        let challenge = challenge_value("r", state::digest::Algorithm::Sha256, nonce, false);
        let text = format!(
            "INVITE sip:bob@h SIP/2.0\r\n\
             Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1\r\n\
             From: <sip:alice@h>;tag=1\r\nTo: <sip:bob@h>\r\nCall-ID: 1\r\n\
             CSeq: 1 INVITE\r\nMax-Forwards: 70\r\n\
             Proxy-Authorization: {}, username=\"alice\", uri=\"sip:bob@h\", \
             response=\"{:064x}\", nc=00000001, cnonce=\"c0ffee\"\r\n\
             Content-Length: 0\r\n\r\n",
            challenge.replace("qop=\"auth\"", "qop=auth"),
            7
        );
        Arc::new(Message::parse_datagram(Bytes::from(text), &Limits::default()).unwrap())
    }

    fn verify(
        host: &mut HostState,
        message: &Arc<Message>,
        source: Option<IpAddr>,
    ) -> Verification {
        let ticket = host.begin_call(match source {
            Some(source) => Occasion::Request(message, source),
            None => Occasion::Response(message),
        });
        let lent = Resource::new_borrow(ticket);
        let algorithms = vec![outcomes::DigestAlgorithm::Sha256];
        let verification = Host::verify(host, lent, "r".to_owned(), algorithms).unwrap();
        host.end_call(None);
        verification
    }

    #[test]
    fn a_guess_counts_only_from_the_source_that_was_challenged() {
        let nonces = Arc::new(Nonces::new([7; 32], Duration::from_secs(60)));
        let mut host = host(services(&nonces));
        let message = guess(&nonces.issue(SystemClock.now_ms(), "r", at(HOME)));
        let elsewhere = verify(&mut host, &message, Some(at("203.0.113.66")));
        assert!(
            matches!(elsewhere, Verification::Malformed),
            "{elsewhere:?}"
        );
        host.swap(&mut Consultation::default());
        let home = verify(&mut host, &message, Some(at(HOME)));
        assert!(
            matches!(&home, Verification::Wrong(user) if user == "alice"),
            "{home:?}"
        );
    }

    /// One account, one code.
    struct OneCode;

    impl services::Codes for OneCode {
        fn check(&self, account: &str, code: &str, _: u64) -> services::CodeVerification {
            match (account, code) {
                ("alice", "492817") => services::CodeVerification::Ok,
                ("alice", "492816") => services::CodeVerification::Replayed,
                _ => services::CodeVerification::Wrong,
            }
        }
    }

    #[test]
    fn codes_are_checked_where_accounts_have_some() {
        let nonces = Arc::new(Nonces::new([7; 32], Duration::from_secs(60)));
        let mut services = services(&nonces);
        let message = guess(&nonces.issue(SystemClock.now_ms(), "r", at(HOME)));
        let check = |services: &HostServices, code: &str| {
            let mut host = host(services.clone());
            host.begin_call(Occasion::Request(&message, at(HOME)));
            host.check_code("alice".to_owned(), code.to_owned())
                .unwrap()
        };
        let none = check(&services, "492817");
        assert!(matches!(none, CodeVerification::Wrong), "nobody has codes");
        let accounts = Arc::new(ArcSwap::from_pointee(Accounts::empty()));
        let credentials = services::DigestCredentials::new(accounts, Arc::clone(&nonces));
        services.credentials = Arc::new(credentials.with_codes(Arc::new(OneCode)));
        assert!(matches!(check(&services, "492817"), CodeVerification::Ok));
        assert!(matches!(
            check(&services, "492816"),
            CodeVerification::Replayed
        ));
        assert!(matches!(
            check(&services, "492818"),
            CodeVerification::Wrong
        ));
    }

    #[test]
    fn a_response_has_no_credentials_and_leaves_nothing_behind() {
        let nonces = Arc::new(Nonces::new([7; 32], Duration::from_secs(60)));
        let mut host = host(services(&nonces));
        let message = guess(&nonces.issue(SystemClock.now_ms(), "r", at(HOME)));
        let response = verify(&mut host, &message, None);
        assert!(matches!(response, Verification::Missing), "{response:?}");
        assert!(host.consultation.verified.0.is_empty());
    }
}
