//! Sipward policy `digest-auth`: who is calling, by digest credentials
//! (RFC 3261 section 22, RFC 7616, RFC 8760).
//!
//! See the README for threats, settings, examples and limits.

mod lockout;
mod settings;

use std::net::IpAddr;

use sipward_plugin_sdk::credentials::{Verification, verify};
use sipward_plugin_sdk::prelude::*;
use sipward_plugin_sdk::{DigestAlgorithm, NetworkMap, decode_escapes};

use lockout::{Failure, Lockout};
use settings::MatchFrom;
pub use settings::Settings;

/// Bytes of a realm: what the host accepts in a challenge.
const REALM_BYTES: usize = 128;

/// The configured policy.
pub struct DigestAuth {
    realm: String,
    algorithms: Vec<DigestAlgorithm>,
    methods: Vec<Vec<u8>>,
    methods_in_dialog: Vec<Vec<u8>>,
    as_registrar: Vec<Vec<u8>>,
    match_from: bool,
    exempt_inside: bool,
    exempt_outside: bool,
    exempt_networks: NetworkMap<()>,
    exempt_peers: Vec<String>,
    lockout: Lockout,
}

#[policy]
impl Policy for DigestAuth {
    type Settings = Settings;

    const CAPABILITIES: &'static [Capability] = &[
        Capability::Counters,
        Capability::KeyValue,
        Capability::Credentials,
    ];

    fn configure(settings: Settings) -> Result<Self, SettingsError> {
        check(&settings)?;
        let bytes = |methods: Vec<String>| methods.into_iter().map(String::into_bytes).collect();
        let exempt = settings.exempt;
        Ok(Self {
            realm: settings.realm,
            algorithms: settings.algorithms.into_iter().map(Into::into).collect(),
            methods: bytes(settings.methods),
            methods_in_dialog: bytes(settings.methods_in_dialog),
            as_registrar: bytes(settings.as_registrar),
            match_from: settings.match_from == MatchFrom::User,
            exempt_inside: exempt.zones.contains(&settings::Zone::Inside),
            exempt_outside: exempt.zones.contains(&settings::Zone::Outside),
            exempt_networks: exempt.networks.into_iter().collect(),
            exempt_peers: exempt.peers,
            lockout: Lockout::new(settings.lockout),
        })
    }

    fn on_request(&self, request: &Request<'_>) -> Outcome {
        if !self.asks(request) {
            return Outcome::next();
        }
        let address = request.peer().address();
        match verify(request, &self.realm, &self.algorithms) {
            Verification::Missing => self.challenge(request).because("no credentials"),
            Verification::Malformed => self
                .challenge(request)
                .because("credentials are malformed or over a foreign nonce"),
            Verification::AlgorithmRefused => self
                .challenge(request)
                .because("credentials use an algorithm that is not offered"),
            Verification::Ok(user) => self.right(request, &user, address),
            // Answered alike for a source that is locked out: only `Ok` admits.
            Verification::Stale(user) => self.again(request, &user, address, "nonce has expired"),
            Verification::Replayed(user) => {
                self.again(request, &user, address, "nonce count was used before")
            }
            Verification::Wrong(user) => self.wrong(request, &user, address),
        }
    }
}

impl DigestAuth {
    /// Whether this request needs credentials.
    fn asks(&self, request: &Request<'_>) -> bool {
        let peer = request.peer();
        let methods = match request.dialog() {
            Dialog::None => &self.methods,
            Dialog::Early | Dialog::Confirmed => &self.methods_in_dialog,
        };
        let exempt_zone = match peer.zone() {
            Zone::Inside => self.exempt_inside,
            Zone::Outside => self.exempt_outside,
        };
        let name = peer.name();
        methods.iter().any(|method| method == request.method_name())
            && !exempt_zone
            && !self
                .exempt_peers
                .iter()
                .any(|exempt| Some(exempt.as_str()) == name)
            && !self.exempt_networks.contains(peer.address())
    }

    fn challenge(&self, request: &Request<'_>) -> Outcome {
        let as_registrar = self
            .as_registrar
            .iter()
            .any(|method| method == request.method_name());
        Outcome::challenge(&self.realm)
            .algorithms(&self.algorithms)
            .as_registrar(as_registrar)
    }

    fn right(&self, request: &Request<'_>, user: &str, address: IpAddr) -> Outcome {
        let attempt = self.lockout.attempt(user, address);
        if self.lockout.is_locked(&attempt) {
            return locked(user, &attempt.source_name());
        }
        self.lockout.succeeded(&attempt);
        if self.match_from && !names_match(request, user) {
            return Outcome::reject(403).because(format!(
                "{user} authenticated, but From or To names somebody else"
            ));
        }
        Outcome::next()
            .identify(user)
            .because([user, " authenticated"].concat())
    }

    /// The password was right, so a new nonce is all that is missing.
    fn again(&self, request: &Request<'_>, user: &str, address: IpAddr, why: &str) -> Outcome {
        let attempt = self.lockout.attempt(user, address);
        if self.lockout.is_locked(&attempt) {
            return locked(user, &attempt.source_name());
        }
        self.challenge(request)
            .stale(true)
            .because(format!("{user}: {why}"))
    }

    /// Answers with the same challenge as for no credentials at all, and for an
    /// unknown user as for a wrong password.
    fn wrong(&self, request: &Request<'_>, user: &str, address: IpAddr) -> Outcome {
        let attempt = self.lockout.attempt(user, address);
        let source = attempt.source_name();
        if self.lockout.is_locked(&attempt) {
            return locked(user, &source);
        }
        let challenge = self.challenge(request);
        match self.lockout.failed(&attempt) {
            Failure::Counted => challenge.because(format!("{user}: wrong user or password")),
            Failure::LockedUser(seconds) => {
                let text = format!("{user} is locked out at {source} for {seconds} s");
                challenge
                    .alert(Severity::Warning, text.as_str())
                    .because(text)
            }
            Failure::LockedSource(seconds) => {
                let text = format!("{source} is locked out for {seconds} s, last tried as {user}");
                challenge
                    .alert(Severity::Warning, text.as_str())
                    .because(text)
            }
        }
    }
}

fn locked(user: &str, source: &str) -> Outcome {
    Outcome::reject(403).because(format!("{user} is locked out at {source}"))
}

/// Whether From, and To of a REGISTER, name the authenticated user.
fn names_match(request: &Request<'_>, user: &str) -> bool {
    let names = |party: &[u8]| decode_escapes(party).is_some_and(|name| *name == *user.as_bytes());
    let from = request.from().uri().user().is_some_and(names);
    let registers = request.method() == Method::Register;
    from && (!registers || request.to().uri().user().is_some_and(names))
}

fn check(settings: &Settings) -> Result<(), SettingsError> {
    let wrong = |key: &str, message: String| Err(SettingsError::new(key, message));
    let realm = &settings.realm;
    if realm.is_empty() || realm.len() > REALM_BYTES || realm.chars().any(char::is_control) {
        return wrong(
            "realm",
            format!("has to be one line of 1 to {REALM_BYTES} bytes"),
        );
    }
    if settings.algorithms.is_empty() {
        return wrong("algorithms", "is empty; offer at least SHA-256".to_owned());
    }
    for (index, algorithm) in settings.algorithms.iter().enumerate() {
        if settings
            .algorithms
            .iter()
            .take(index)
            .any(|earlier| earlier == algorithm)
        {
            return wrong(
                &format!("algorithms[{index}]"),
                "stands there twice".to_owned(),
            );
        }
    }
    for (key, methods) in [
        ("methods", &settings.methods),
        ("methods_in_dialog", &settings.methods_in_dialog),
        ("as_registrar", &settings.as_registrar),
    ] {
        for (index, method) in methods.iter().enumerate() {
            check_method(&format!("{key}[{index}]"), method)?;
        }
    }
    let lockout = &settings.lockout;
    for (key, value, most) in [
        ("user_failures", lockout.user_failures, 1_000),
        ("source_failures", lockout.source_failures, 100_000),
        (
            "user_failures_everywhere",
            lockout.user_failures_everywhere,
            1_000_000,
        ),
        ("first_s", lockout.first_s, 86_400),
        ("longest_s", lockout.longest_s, 2_592_000),
        ("forget_s", lockout.forget_s, 2_592_000),
        ("ipv6_prefix", lockout.ipv6_prefix.into(), 128),
    ] {
        if !(1..=most).contains(&value) {
            return wrong(
                &format!("lockout.{key}"),
                format!("is {value}; 1 to {most} is possible"),
            );
        }
    }
    if lockout.longest_s < lockout.first_s {
        return wrong(
            "lockout.longest_s",
            format!("is less than first_s, {}", lockout.first_s),
        );
    }
    if lockout.forget_s < lockout.longest_s {
        let message = format!(
            "is less than longest_s, {}: a lockout would be forgotten before it ends",
            lockout.longest_s
        );
        return wrong("lockout.forget_s", message);
    }
    Ok(())
}

fn check_method(key: &str, method: &str) -> Result<(), SettingsError> {
    let message = match method {
        "ACK" | "CANCEL" => "cannot be challenged (RFC 3261 section 22.1); remove it",
        _ if method.is_empty() || method.bytes().any(|byte| !byte.is_ascii_uppercase()) => {
            "is no method; write it in upper case, as in INVITE"
        }
        _ => return Ok(()),
    };
    Err(SettingsError::new(key, message))
}
