//! Sipward policy `tls-identity`: who somebody is by their certificate.
//!
//! See the README for threats, settings, examples and limits.

mod names;
mod rules;
mod settings;

use sipward_plugin_sdk::prelude::*;

use rules::{Holder, Rules};
pub use settings::Settings;
use settings::{Answer, OtherIdentity, Unknown};

/// Rules of one instance. 1,024: a branch each; configured in a few milliseconds.
const CERTIFICATES: usize = 1_024;

/// Peers that need a certificate. 1,024: more than a configuration has.
const PEERS: usize = 1_024;

/// The configured policy.
pub struct TlsIdentity {
    rules: Rules,
    unknown: Unknown,
    required_inside: bool,
    required_outside: bool,
    required_peers: Vec<String>,
    other_identity: OtherIdentity,
    answer: Answer,
}

#[policy]
impl Policy for TlsIdentity {
    type Settings = Settings;

    fn configure(settings: Settings) -> Result<Self, SettingsError> {
        let count = settings.certificates.len();
        if !(1..=CERTIFICATES).contains(&count) {
            let message = format!("has {count} rules; 1 to {CERTIFICATES} are possible");
            return Err(SettingsError::new("certificates", message));
        }
        let required = settings.required;
        let peers = required.peers.len();
        if peers > PEERS {
            let message = format!("has {peers} entries; at most {PEERS} are possible");
            return Err(SettingsError::new("required.peers", message));
        }
        Ok(Self {
            rules: Rules::new(settings.certificates)?,
            unknown: settings.unknown,
            required_inside: required.zones.contains(&settings::Zone::Inside),
            required_outside: required.zones.contains(&settings::Zone::Outside),
            required_peers: required.peers,
            other_identity: settings.other_identity,
            answer: settings.answer,
        })
    }

    fn on_request(&self, request: &Request<'_>) -> Outcome {
        let peer = request.peer();
        let Some(certificate) = peer.certificate() else {
            return match self.requires(request) {
                true => self.refuse(format!("{} shows no certificate", peer.address())),
                false => Outcome::next(),
            };
        };
        match self.rules.holder(&certificate) {
            Some(holder) => self.admit(request, &holder),
            None if self.unknown == Unknown::Refuse || self.requires(request) => {
                let name = certificate.names().next().unwrap_or("without a name");
                let fingerprint = certificate.fingerprint();
                self.refuse(format!(
                    "no rule for the certificate {name}, fingerprint {fingerprint}, of {}",
                    certificate.issuer()
                ))
            }
            None => Outcome::next(),
        }
    }
}

impl TlsIdentity {
    /// Whether the sender has to show a certificate that a rule matches.
    fn requires(&self, request: &Request<'_>) -> bool {
        let peer = request.peer();
        let zone = match peer.zone() {
            Zone::Inside => self.required_inside,
            Zone::Outside => self.required_outside,
        };
        let name = peer.name();
        zone || self
            .required_peers
            .iter()
            .any(|required| Some(required.as_str()) == name)
    }

    fn admit(&self, request: &Request<'_>, holder: &Holder<'_>) -> Outcome {
        let identity = &*holder.identity;
        if let Some(objection) = holder.rights.objection(request) {
            return self.refuse(format!("{identity} {objection}"));
        }
        match (request.identity(), self.other_identity) {
            (Some(other), OtherIdentity::Refuse) if other != identity => self.refuse(format!(
                "the certificate is {identity}'s, the request {other}'s"
            )),
            // Later plugins can still tell who vouches for the user.
            (Some(_), OtherIdentity::Keep) => Outcome::next().annotate("tls-identity", identity),
            _ => Outcome::next()
                .identify(identity)
                .because(format!("{identity} by certificate")),
        }
    }

    fn refuse(&self, reason: String) -> Outcome {
        match self.answer {
            Answer::Reject => Outcome::reject(403).because(reason),
            Answer::Silence => Outcome::silence().because(reason),
        }
    }
}
