//! Sipward policy `scanner-guard`: scanners, probes, injections and guesses at
//! extensions hear nothing.
//!
//! See the README for threats, settings, examples and limits.

mod check;
mod evidence;
mod injection;
mod sender;
mod settings;
mod signature;

use sipward_plugin_sdk::prelude::*;
use sipward_plugin_sdk::{Anomalies, NetworkMap, Peer};

use evidence::{Evidence, Findings, Judgement};
use sender::{Key, Sender};
pub use settings::Settings;
use settings::{Injection, Options, Points};
use signature::Signatures;

/// Oddities that no telephone has.
const MALFORMED: Anomalies = Anomalies::CONTROL_CHARACTER.union(Anomalies::BARE_LINE_FEED);

/// Oddities that are allowed or that address translation makes.
const ORDINARY: Anomalies = Anomalies::COMPACT_FORM
    .union(Anomalies::FOLDED_HEADER)
    .union(Anomalies::VIA_MISMATCH)
    .union(Anomalies::MISSING_CONTENT_LENGTH);

/// The configured policy.
pub struct ScannerGuard {
    exempt_configured: bool,
    exempt_peers: Vec<String>,
    exempt_networks: NetworkMap<()>,
    signatures: Signatures,
    options: Options,
    detects_injection: bool,
    points: Points,
    unproved_percent: u32,
    ipv6_prefix: u8,
    evidence: Evidence,
}

#[policy]
impl Policy for ScannerGuard {
    type Settings = Settings;

    const CAPABILITIES: &'static [Capability] = &[Capability::Counters];

    fn configure(settings: Settings) -> Result<Self, SettingsError> {
        check::check(&settings)?;
        Ok(Self {
            signatures: Signatures::new(&settings.signatures),
            evidence: Evidence::new(&settings),
            exempt_configured: settings.exempt.configured_peers,
            exempt_peers: settings.exempt.peers,
            exempt_networks: settings.exempt.networks.into_iter().collect(),
            options: settings.options,
            detects_injection: settings.injection == Injection::Detect,
            points: settings.points,
            unproved_percent: settings.limits.unproved_percent,
            ipv6_prefix: settings.limits.ipv6_prefix,
        })
    }

    fn on_request(&self, request: &Request<'_>) -> Outcome {
        // Inside a dialog of an admitted call the sender has been judged.
        if request.dialog() != Dialog::None || self.exempts(&request.peer()) {
            return Outcome::next();
        }
        let sender = Sender::new(request, self.ipv6_prefix);
        let key = sender.key();
        if self.evidence.is_banned(&sender, &key) {
            let reason = format!("{} is banned for scanning", sender.describe());
            return Outcome::silence().because(reason);
        }
        let mut findings = Findings::default();
        let probes = self.read(request, &sender, &key, &mut findings);
        if findings.points() == 0 && !probes {
            return Outcome::next();
        }
        let reason = format!("{}: {}", sender.describe(), findings.reasons());
        match self.evidence.judge(&sender, &key, &findings) {
            Judgement::Banned => {
                let text = format!("{reason}; nothing from there is answered for a while");
                Outcome::silence()
                    .alert_about(Severity::Warning, alert_key(&sender), text)
                    .because(reason)
            }
            Judgement::Silenced => Outcome::silence().because(reason),
            Judgement::Tolerated if probes => Outcome::silence()
                .because(format!("{}: OPTIONS from a stranger", sender.describe())),
            Judgement::Tolerated => {
                let points = self.weighed(&sender, findings.points());
                Outcome::next()
                    .score(points, "scanner-guard")
                    .because(reason)
            }
        }
    }
}

impl ScannerGuard {
    fn exempts(&self, peer: &Peer<'_>) -> bool {
        let named = peer.name().is_some_and(|name| {
            self.exempt_configured || self.exempt_peers.iter().any(|exempt| exempt == name)
        });
        named || self.exempt_networks.contains(peer.address())
    }

    /// Looks for all that a scanner does; true if the request shall not be answered
    /// whatever it weighs. Stops looking once nothing could change the judgement.
    fn read(
        &self,
        request: &Request<'_>,
        sender: &Sender,
        key: &Key,
        findings: &mut Findings,
    ) -> bool {
        let points = &self.points;
        let contact = request.header("Contact");
        let contact = contact.as_deref();
        if points.signature > 0
            && let Some(reason) = self.signatures.find(request, contact)
        {
            findings.add(points.signature, &reason);
            return false;
        }
        let credentials = Credentials::of(request);
        if self.detects_injection
            && points.injection > 0
            && let Some(place) = injection_in(request, contact, &credentials)
        {
            findings.add(points.injection, &format!("SQL in {place}"));
            return false;
        }
        self.read_form(request, findings);
        if !sender.is_verified() {
            self.read_names(request, sender, findings);
        }
        if !findings.are_kept() && credentials.any() && self.options == Options::Acquainted {
            self.evidence.acquaint(key);
        }
        request.method() == Method::Options && self.probes(sender, key, findings)
    }

    /// Malformed messages and methods that nobody knows.
    fn read_form(&self, request: &Request<'_>, findings: &mut Findings) {
        let points = &self.points;
        let anomalies = request.anomalies().difference(ORDINARY);
        if anomalies.intersects(MALFORMED) {
            findings.add(points.malformed, "malformed message");
        }
        let odd = anomalies.difference(MALFORMED).bits().count_ones();
        if odd > 0 {
            findings.add_passing(points.odd.saturating_mul(odd), "odd message");
        }
        if request.method() == Method::Other {
            findings.add(points.unknown_method, "unknown method");
        }
    }

    /// Users that a source counts up.
    fn read_names(&self, request: &Request<'_>, sender: &Sender, findings: &mut Findings) {
        let (from, to) = (request.from().uri(), request.to().uri());
        let registers = request.method() == Method::Register;
        // Who registers somebody else writes himself into From: RFC 3261 section 10.2.
        let caller = if registers { to } else { from };
        let caller = caller.user().unwrap_or_default();
        if self.evidence.calls_as_too_many(sender, caller) {
            findings.add(
                self.points.enumeration,
                "registers or calls as too many users",
            );
        } else if !registers
            && self
                .evidence
                .calls_too_many(sender, to.user().unwrap_or_default())
        {
            findings.add(self.points.enumeration, "calls too many users");
        }
    }

    /// OPTIONS: RFC 3261 section 11.
    fn probes(&self, sender: &Sender, key: &Key, findings: &mut Findings) -> bool {
        let silent = match self.options {
            Options::Allow => return false,
            Options::Score => false,
            Options::Silence => true,
            Options::Acquainted if sender.is_verified() => return false,
            Options::Acquainted if self.evidence.is_acquainted(key) => return false,
            Options::Acquainted => true,
        };
        findings.add(self.points.probe, "OPTIONS from a stranger");
        silent
    }

    /// What later plugins see in the score.
    fn weighed(&self, sender: &Sender, points: u32) -> i32 {
        let points = match sender.is_proved() {
            true => points,
            false => points.saturating_mul(self.unproved_percent) / 100,
        };
        i32::try_from(points).unwrap_or(i32::MAX)
    }
}

/// One alert for each source, however many users it has tried.
fn alert_key(sender: &Sender) -> String {
    format!("scanner/{}", sender.describe())
}

/// What a request carries of RFC 7616.
struct Credentials {
    headers: Vec<Vec<u8>>,
}

impl Credentials {
    fn of(request: &Request<'_>) -> Self {
        const NAMES: [&str; 2] = ["Authorization", "Proxy-Authorization"];
        let there = NAMES.iter().zip(request.present(NAMES));
        let there = there.filter(|(_, is_there)| *is_there);
        let headers = there.flat_map(|(name, _)| request.headers(name));
        Self {
            headers: headers.collect(),
        }
    }

    fn any(&self) -> bool {
        !self.headers.is_empty()
    }

    fn users(&self) -> impl Iterator<Item = Vec<u8>> {
        self.headers
            .iter()
            .filter_map(|header| injection::user_of(header))
    }
}

/// The first place that has SQL.
fn injection_in(
    request: &Request<'_>,
    contact: Option<&[u8]>,
    credentials: &Credentials,
) -> Option<&'static str> {
    let (from, to) = (request.from(), request.to());
    let (from_uri, to_uri, request_uri) = (from.uri(), to.uri(), request.request_uri());
    let (display, address) = contact.map(parted).unwrap_or_default();
    let places = [
        ("From", from_uri.user()),
        ("From", from.display()),
        ("To", to_uri.user()),
        ("To", to.display()),
        ("the Request-URI", request_uri.user()),
        ("User-Agent", request.user_agent()),
        ("Contact", Some(display)),
        ("Contact", Some(address)),
    ];
    let found = places
        .into_iter()
        .find(|(_, text)| text.is_some_and(injection::is_injection));
    match found {
        Some((place, _)) => Some(place),
        None => credentials
            .users()
            .any(|user| injection::is_injection(&user))
            .then_some("the user name of credentials"),
    }
}

/// Display name and address of a Contact, without its parameters: those are quoted
/// as a matter of course.
fn parted(contact: &[u8]) -> (&[u8], &[u8]) {
    let at = |byte: u8| contact.iter().position(|other| *other == byte);
    let (Some(start), Some(end)) = (at(b'<'), at(b'>')) else {
        return (b"", contact);
    };
    let display = contact.get(..start).unwrap_or_default().trim_ascii();
    let bare = display
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""));
    let address = contact.get(start..end).unwrap_or_default();
    (bare.unwrap_or(display), address)
}
