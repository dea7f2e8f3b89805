//! Sipward policy `caller-identity`: which numbers and names callers show.
//!
//! See the README for threats, settings, examples and limits.

mod address;
mod callers;
mod check;
mod settings;

use sipward_plugin_sdk::prelude::*;

use address::{Address, Plan};
use callers::Callers;
use check::Check;
pub use settings::Settings;
use settings::{Answer, Assert, OwnNumbers, Unlisted, UnlistedZones};

/// Headers that say who calls: RFC 3325, draft-ietf-sip-privacy-04, RFC 5806.
const IDENTITY_HEADERS: [&str; 4] = [
    "P-Asserted-Identity",
    "P-Preferred-Identity",
    "Remote-Party-ID",
    "Diversion",
];

/// Trusted peers. 256: a trust domain of more has groups of its own.
const TRUSTED_PEERS: usize = 256;
/// Further headers to remove. 16: each is a host call for each request.
const STRIP_ALSO: usize = 16;
/// Domains of From. 256.
const DOMAINS: usize = 256;
/// Methods. 32: there are 15.
const METHODS: usize = 32;

/// The configured policy.
pub struct CallerIdentity {
    callers: Callers,
    plan: Plan,
    rewrites: bool,
    unlisted: UnlistedZones,
    own_numbers: OwnNumbers,
    trusted_peers: Vec<String>,
    strip_also: Vec<String>,
    assert: Assert,
    trusted_next: bool,
    check_contact: bool,
    domains: Vec<String>,
    methods: Vec<Vec<u8>>,
}

#[policy]
impl Policy for CallerIdentity {
    type Settings = Settings;

    const CAPABILITIES: &'static [Capability] = &[Capability::EditHeaders];

    fn configure(settings: Settings) -> Result<Self, SettingsError> {
        check_settings(&settings)?;
        Ok(Self {
            callers: Callers::new(settings.callers, &settings.domain)?,
            plan: Plan {
                region: settings.region,
                local_digits: settings.local_digits.into(),
            },
            rewrites: settings.answer == Answer::Rewrite,
            unlisted: settings.unlisted,
            own_numbers: settings.own_numbers,
            trusted_peers: settings.trusted_peers,
            strip_also: settings.strip_also,
            assert: settings.assert,
            trusted_next: settings.trusted_next,
            check_contact: settings.check_contact,
            domains: settings.domains,
            methods: settings
                .methods
                .into_iter()
                .map(String::into_bytes)
                .collect(),
        })
    }

    fn on_request(&self, request: &Request<'_>) -> Outcome {
        // These say nothing about a caller that was not said before.
        if matches!(
            request.method(),
            Method::Ack | Method::Bye | Method::Cancel | Method::Prack | Method::Register
        ) {
            return Outcome::next();
        }
        if let Some(entry) = self.callers.entry(request) {
            return match Check::new(self, request, entry).run() {
                Ok(outcome) => self.strip(request, outcome, &[]),
                Err(refusal) => refusal,
            };
        }
        self.judge_unlisted(request)
    }
}

impl CallerIdentity {
    /// Whether From is judged: what a dialog shows was judged when it began.
    fn checks_from(&self, request: &Request<'_>) -> bool {
        request.dialog() == Dialog::None
            && self
                .methods
                .iter()
                .any(|method| method == request.method_name())
    }

    /// A caller that no entry names.
    fn judge_unlisted(&self, request: &Request<'_>) -> Outcome {
        let peer = request.peer();
        let trusted = peer
            .name()
            .is_some_and(|name| self.trusted_peers.iter().any(|trusted| trusted == name));
        let (outside, unlisted) = match peer.zone() {
            Zone::Inside => (false, self.unlisted.inside),
            Zone::Outside => (true, self.unlisted.outside),
        };
        let strips = !trusted && unlisted == Unlisted::Strip;
        if outside
            && self.own_numbers == OwnNumbers::Reject
            && self.checks_from(request)
            && let Some(number) = self.shows_our_number(request, strips)
        {
            let address = peer.address();
            let reason = format!("{address} shows {number}, a number of ours");
            return Outcome::reject(403).because(reason);
        }
        match unlisted {
            _ if trusted => Outcome::next(),
            Unlisted::Ignore => Outcome::next(),
            Unlisted::Strip => self.strip(request, Outcome::next(), &IDENTITY_HEADERS),
            Unlisted::Reject => {
                let who = request.identity().or(peer.name()).unwrap_or("the caller");
                let address = peer.address();
                let reason = format!("{who} at {address} is in no entry of `callers`");
                Outcome::reject(403).because(reason)
            }
        }
    }

    /// The number of an entry that a request shows, in From or in what is believed.
    fn shows_our_number(&self, request: &Request<'_>, strips: bool) -> Option<String> {
        let ours = |number: &String| self.callers.owns(number);
        let from = self.plan.number(&request.from().uri()).filter(ours);
        if from.is_some() || strips {
            return from;
        }
        let asserted = request.headers("P-Asserted-Identity");
        asserted.iter().find_map(|value| {
            let uri = Address::parse(value)?.uri;
            self.plan.number(&uri).filter(ours)
        })
    }

    /// Removes headers that are there, and those of `strip_also`.
    fn strip(&self, request: &Request<'_>, outcome: Outcome, headers: &[&str]) -> Outcome {
        let also = self.strip_also.iter().map(String::as_str);
        let there = headers
            .iter()
            .copied()
            .chain(also)
            .filter(|name| request.header(name).is_some());
        there.fold(outcome, Outcome::remove_header)
    }
}

fn check_settings(settings: &Settings) -> Result<(), SettingsError> {
    let wrong = |key: &str, message: String| Err(SettingsError::new(key, message));
    let is_domain = |domain: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte);
        !domain.is_empty() && domain.len() <= 253 && domain.bytes().all(plain)
    };
    if !is_domain(&settings.domain) {
        let message = format!("`{}` is no domain; write sip.example.com", settings.domain);
        return wrong("domain", message);
    }
    let region = &settings.region;
    if region.len() != 2 || !region.bytes().all(|byte| byte.is_ascii_uppercase()) {
        let message = format!("`{region}` is no country; write two upper-case letters, as in DE");
        return wrong("region", message);
    }
    for (key, length, most) in [
        ("trusted_peers", settings.trusted_peers.len(), TRUSTED_PEERS),
        ("strip_also", settings.strip_also.len(), STRIP_ALSO),
        ("domains", settings.domains.len(), DOMAINS),
        ("methods", settings.methods.len(), METHODS),
    ] {
        if length > most {
            let message = format!("has {length} entries; at most {most} are possible");
            return wrong(key, message);
        }
    }
    for (index, domain) in settings.domains.iter().enumerate() {
        if !is_domain(domain) {
            let message = format!("`{domain}` is no domain; write sip.example.com");
            return wrong(&format!("domains[{index}]"), message);
        }
    }
    for (index, header) in settings.strip_also.iter().enumerate() {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if header.len() < 2 || header.len() > 64 || !header.bytes().all(token) {
            let message = format!("`{header}` is no name of a header; write P-Charge-Info");
            return wrong(&format!("strip_also[{index}]"), message);
        }
        if ESSENTIAL
            .iter()
            .any(|name| name.eq_ignore_ascii_case(header))
        {
            let message = format!("`{header}` belongs to the proxy and cannot be removed");
            return wrong(&format!("strip_also[{index}]"), message);
        }
    }
    for (index, method) in settings.methods.iter().enumerate() {
        let never = ["ACK", "BYE", "CANCEL", "PRACK", "REGISTER"];
        if method.is_empty() || method.bytes().any(|byte| !byte.is_ascii_uppercase()) {
            let message = format!("`{method}` is no method; write upper case, as in INVITE");
            return wrong(&format!("methods[{index}]"), message);
        }
        if never.contains(&method.as_str()) {
            let message = format!("`{method}` is never looked at; remove it");
            return wrong(&format!("methods[{index}]"), message);
        }
    }
    if settings.local_digits > 15 {
        let message = format!("is {}; 0 to 15 is possible", settings.local_digits);
        return wrong("local_digits", message);
    }
    Ok(())
}

/// Headers that no policy removes: the host would refuse the outcome.
const ESSENTIAL: [&str; 19] = [
    "Via",
    "CSeq",
    "Call-ID",
    "Content-Length",
    "Max-Forwards",
    "Route",
    "Record-Route",
    "From",
    "To",
    "Contact",
    "Content-Type",
    "Content-Encoding",
    "Content-Disposition",
    "MIME-Version",
    "Authorization",
    "Proxy-Authorization",
    "Require",
    "Proxy-Require",
    "Privacy",
];
