//! Sipward policy `call-code`: a second factor that is dialled before a number.
//!
//! See the README for threats, settings, examples and limits.

mod destinations;
mod lockout;
mod pattern;
mod settings;

use sipward_plugin_sdk::counters::{Window, key};
use sipward_plugin_sdk::credentials::{CodeVerification, check_code};
use sipward_plugin_sdk::{Uri, identity, prelude::*};

use destinations::Destinations;
use lockout::{Failure, Lockout};
use pattern::{Coded, Pattern, Shape};
pub use settings::Settings;
use settings::Transfers;

/// Headers that no policy may edit. If the code stands in one of them, the call is
/// refused; Request-URI, To and credentials are looked at apart.
const FIXED: [&str; 7] = [
    "From",
    "Contact",
    "Call-ID",
    "Route",
    "Record-Route",
    "Via",
    "Path",
];

/// Headers that have been cleaned or cannot hold what was dialled.
const PASSED: [&str; 12] = [
    "To",
    "CSeq",
    "Max-Forwards",
    "Content-Length",
    "Content-Type",
    "Content-Disposition",
    "Content-Encoding",
    "Allow",
    "Supported",
    "Require",
    "Authorization",
    "Proxy-Authorization",
];

/// Header lines that are removed for the code. 8: an outcome holds 32 effects, and an
/// honest request has one or two.
const REMOVED: usize = 8;

/// Secrets of one request. 8: what a whole pipeline hides. The code comes first, as it
/// is and as it was written.
const SECRETS: usize = 8;

/// Milliseconds within which calls without a code are counted: ten minutes.
const MISSING_MS: u64 = 600_000;

/// The configured policy.
pub struct CallCode {
    pattern: Pattern,
    hide_only: bool,
    destinations: Destinations,
    lockout: Lockout,
    exempt_users: Vec<String>,
    exempt_groups: Vec<String>,
    transfers: Transfers,
    tell_after: u32,
    missing: Window,
}

#[policy]
impl Policy for CallCode {
    type Settings = Settings;

    const METHODS: &'static [&'static str] = &["INVITE", "REFER"];
    const CAPABILITIES: &'static [Capability] = &[
        Capability::Counters,
        Capability::KeyValue,
        Capability::Credentials,
        Capability::Lists,
        Capability::EditHeaders,
    ];

    fn configure(settings: Settings) -> Result<Self, SettingsError> {
        check(&settings.lockout)?;
        if settings.tell_after > 1_000 {
            let message = format!("is {}; 0 to 1000 is possible", settings.tell_after);
            return Err(SettingsError::new("tell_after", message));
        }
        Ok(Self {
            pattern: Pattern::new(&settings.pattern, settings.min_digits, settings.max_digits)?,
            hide_only: settings.hide_only,
            destinations: Destinations::new(
                settings.region,
                settings.destinations,
                settings.emergency,
            )?,
            lockout: Lockout::new(settings.lockout),
            exempt_users: settings.exempt_users,
            exempt_groups: settings.exempt_groups,
            transfers: settings.transfers,
            tell_after: settings.tell_after,
            missing: Window::new("missing", MISSING_MS),
        })
    }

    fn on_request(&self, request: &Request<'_>) -> Outcome {
        if self.hide_only {
            return self.hide(request);
        }
        match (request.method(), request.dialog()) {
            (Method::Refer, _) => self.transfer(request),
            (Method::Invite, Dialog::None) => self.call(request),
            _ => Outcome::next(),
        }
    }
}

impl CallCode {
    /// Whatever becomes of the request, codes in it are not shown.
    fn hide(&self, request: &Request<'_>) -> Outcome {
        let secrets = |uri: &Uri<'_>| shown_secrets(&self.pattern.read(uri));
        let mut hidden = secrets(&request.request_uri());
        hidden.extend(secrets(&request.to().uri()));
        if request.method() == Method::Refer {
            for value in request.headers("Refer-To") {
                hidden.extend(Uri::parse_address(&value).iter().flat_map(secrets));
            }
        }
        conceal(Outcome::next(), &hidden)
    }

    fn call(&self, request: &Request<'_>) -> Outcome {
        let uri = request.request_uri();
        let to = self.pattern.read(&request.to().uri());
        match self.pattern.read(&uri) {
            Shape::Coded(coded) => {
                let hidden = [coded.secrets.clone(), shown_secrets(&to)].concat();
                conceal(self.coded_call(request, &coded, &to), &hidden)
            }
            Shape::Broken { secrets } => {
                let hidden = [secrets, shown_secrets(&to)].concat();
                let outcome = Outcome::reject(484).because("a code in the wrong form");
                conceal(outcome, &hidden)
            }
            Shape::Plain => self.plain_call(request, &to),
        }
    }

    /// A call without a code.
    fn plain_call(&self, request: &Request<'_>, to: &Shape) -> Outcome {
        if *to != Shape::Plain {
            let outcome = Outcome::reject(400).because("a code in To and none in the Request-URI");
            return conceal(outcome, &shown_secrets(to));
        }
        // A trunk's call for us dials nothing.
        if request.peer().zone() == Zone::Outside && request.identity().is_none() {
            return Outcome::next();
        }
        match self.destinations.need(&request.request_uri()) {
            Some(destination) if !self.is_exempt(request.identity()) => {
                let outcome = Outcome::reject(403).because(format!("{destination} needs a code"));
                self.tell_of_missing(outcome, request.identity(), &destination)
            }
            _ => Outcome::next(),
        }
    }

    /// Tells the operator of somebody who tries one destination after another.
    fn tell_of_missing(&self, outcome: Outcome, user: Option<&str>, last: &str) -> Outcome {
        let Some(user) = user.filter(|_| self.tell_after > 0) else {
            return outcome;
        };
        // A full table costs an alert and lets nothing through.
        let counted = self.missing.add(&key(&[user.as_bytes()]), 1);
        match counted.ok().filter(|count| *count >= self.tell_after.into()) {
            Some(count) => outcome.alert_about(
                Severity::Warning,
                format!("call-code/missing/{user}"),
                format!("{user} has made {count} calls without a code to what needs one, the last to {last}"),
            ),
            None => outcome,
        }
    }

    /// A call with a code. What it answers is concealed by the caller.
    fn coded_call(&self, request: &Request<'_>, coded: &Coded, to: &Shape) -> Outcome {
        let Some(user) = request.identity() else {
            return Outcome::reject(403).because("a code, and nobody knows whose");
        };
        if self.lockout.is_locked(user) {
            let reason = format!("{user} has dialled too many wrong codes");
            return Outcome::reject(403).because(reason);
        }
        match check_code(user, &coded.code) {
            CodeVerification::Ok => self.cleaned(request, user, coded, to),
            CodeVerification::Replayed => Outcome::reject(403)
                .because(format!("{user} has dialled a code that was used before"))
                .alert_about(
                    Severity::Info,
                    format!("call-code/replayed/{user}"),
                    format!("{user} has dialled a code that was used before"),
                ),
            CodeVerification::Wrong => self.wrong(user),
        }
    }

    fn wrong(&self, user: &str) -> Outcome {
        let outcome = Outcome::reject(403).because(format!("{user} has dialled a wrong code"));
        match self.lockout.failed(user) {
            Failure::Counted => outcome,
            Failure::Locked(seconds) => outcome.alert_about(
                Severity::Critical,
                format!("call-code/locked/{user}"),
                format!(
                    "{user} has dialled too many wrong codes; none is looked at for {seconds} s"
                ),
            ),
        }
    }

    /// The code is right: the call goes on without it.
    fn cleaned(&self, request: &Request<'_>, user: &str, coded: &Coded, to: &Shape) -> Outcome {
        let refused = |why: &str| Outcome::reject(400).because(format!("{user}: {why}"));
        let Some(uri) = coded.clean(&request.request_uri()) else {
            return refused("the Request-URI cannot be written without the code");
        };
        let mut outcome = Outcome::next()
            .set_request_uri(uri)
            .annotate("call-code", "verified");
        match to {
            Shape::Plain => {}
            Shape::Coded(shown) => match shown.clean(&request.to().uri()) {
                Some(to) => outcome = outcome.set_to(format!("<{to}>")),
                None => return refused("To cannot be written without the code"),
            },
            Shape::Broken { .. } => return refused("a code in the wrong form in To"),
        }
        match self.other_headers(request, coded) {
            Ok(names) => names
                .into_iter()
                .fold(outcome, |outcome, name| outcome.remove_header(name)),
            Err(why) => refused(&why),
        }
    }

    /// Headers that show the code and are left out; an error if it cannot be.
    fn other_headers(&self, request: &Request<'_>, coded: &Coded) -> Result<Vec<String>, String> {
        let shows = |value: &Vec<u8>| self.pattern.stands_in(&coded.code, value);
        for name in ["Authorization", "Proxy-Authorization"] {
            // The host leaves out what was verified here; other realms are not ours.
            let ours = identity::verified();
            let is_ours = |value: &[u8]| {
                ours.iter().any(|who| {
                    let realm = format!("realm=\"{}\"", who.realm);
                    value
                        .windows(realm.len())
                        .any(|part| part == realm.as_bytes())
                })
            };
            let values = request.headers(name);
            if values.iter().any(|value| shows(value) && !is_ours(value)) {
                return Err(format!(
                    "the code stands in {name} for another realm as well"
                ));
            }
        }
        let mut removed: Vec<String> = Vec::new();
        for written in request.header_names() {
            let name = long_name(&written);
            let is_known = |known: &&str| known.eq_ignore_ascii_case(name);
            let again = removed.iter().any(|other| is_known(&other.as_str()));
            if again || PASSED.iter().any(is_known) || !request.headers(name).iter().any(shows) {
                continue;
            }
            if FIXED.iter().any(is_known) || removed.len() == REMOVED {
                return Err(format!("the code stands in {name} as well"));
            }
            removed.push(name.to_owned());
        }
        Ok(removed)
    }

    /// A transfer carries no code, so it reaches nothing that needs one.
    fn transfer(&self, request: &Request<'_>) -> Outcome {
        let values = request.headers("Refer-To");
        let uri = match values.as_slice() {
            [value] => Uri::parse_address(value),
            _ => None,
        };
        let Some(uri) = uri else {
            return Outcome::reject(400).because("no single, well-formed Refer-To");
        };
        match self.pattern.read(&uri) {
            Shape::Coded(coded) => {
                let outcome = Outcome::reject(403).because("a transfer with a code");
                return conceal(outcome, &coded.secrets);
            }
            Shape::Broken { secrets } => {
                let outcome = Outcome::reject(403).because("a transfer with something like a code");
                return conceal(outcome, &secrets);
            }
            Shape::Plain => {}
        }
        if self.transfers == Transfers::Allow {
            return Outcome::next();
        }
        match self.destinations.need(&uri) {
            Some(destination) if !self.is_exempt(request.identity()) => Outcome::reject(403)
                .because(format!(
                    "{destination} needs a code, which no transfer can carry"
                )),
            _ => Outcome::next(),
        }
    }

    fn is_exempt(&self, user: Option<&str>) -> bool {
        let Some(user) = user else { return false };
        if self.exempt_users.iter().any(|exempt| exempt == user) {
            return true;
        }
        !self.exempt_groups.is_empty()
            && identity::groups(user)
                .iter()
                .any(|group| self.exempt_groups.contains(group))
    }
}

/// The long form of a header's name: RFC 3261 section 7.3.3, RFC 3515, RFC 3892, RFC 6665,
/// RFC 8224, RFC 3841.
fn long_name(name: &str) -> &str {
    const COMPACT: [(&str, &str); 16] = [
        ("a", "Accept-Contact"),
        ("b", "Referred-By"),
        ("c", "Content-Type"),
        ("d", "Request-Disposition"),
        ("e", "Content-Encoding"),
        ("f", "From"),
        ("i", "Call-ID"),
        ("j", "Reject-Contact"),
        ("k", "Supported"),
        ("l", "Content-Length"),
        ("m", "Contact"),
        ("o", "Event"),
        ("r", "Refer-To"),
        ("s", "Subject"),
        ("t", "To"),
        ("v", "Via"),
    ];
    let long = COMPACT
        .iter()
        .find(|(short, _)| short.eq_ignore_ascii_case(name));
    long.map_or(name, |(_, long)| long)
}

/// What an address shows of a code.
fn shown_secrets(shape: &Shape) -> Vec<String> {
    match shape {
        Shape::Plain => Vec::new(),
        Shape::Coded(coded) => coded.secrets.clone(),
        Shape::Broken { secrets } => secrets.clone(),
    }
}

/// Hides what must not be shown, each once.
fn conceal(outcome: Outcome, secrets: &[String]) -> Outcome {
    let first =
        |(index, secret): &(usize, &String)| !secrets.iter().take(*index).any(|one| one == *secret);
    let once = secrets.iter().enumerate().filter(first).take(SECRETS);
    once.fold(outcome, |outcome, (_, secret)| {
        outcome.conceal(secret.as_str())
    })
}

fn check(lockout: &settings::Lockout) -> Result<(), SettingsError> {
    let month = 2_592_000;
    for (field, value, least, most) in [
        ("failures", lockout.failures, 1, 1_000),
        ("first_s", lockout.first_s, 1, 86_400),
        ("longest_s", lockout.longest_s, lockout.first_s, month),
        ("forget_s", lockout.forget_s, 1, month),
    ] {
        if !(least..=most).contains(&value) {
            let message = format!("is {value}; {least} to {most} is possible");
            return Err(SettingsError::new(format!("lockout.{field}"), message));
        }
    }
    Ok(())
}
