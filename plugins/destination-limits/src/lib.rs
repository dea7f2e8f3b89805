//! Sipward policy `destination-limits`: which numbers may be called.
//!
//! See the README for threats, settings, examples and limits.

mod callers;
mod limits;
mod plan;
mod rules;
mod settings;

use sipward_plugin_sdk::Uri;
use sipward_plugin_sdk::numbers::{self, NumberClass};
use sipward_plugin_sdk::prelude::*;

use callers::Callers;
use limits::Limits;
use plan::{Fault, Plan};
use settings::Redirects;
pub use settings::Settings;

/// Targets of one redirection, or routes of one request, that are looked at; what has
/// more is refused. 16: more than any PBX names.
const TARGETS: usize = 16;

/// The configured policy.
pub struct DestinationLimits {
    callers: Callers,
    plan: Plan,
    region: Option<String>,
    methods: Vec<Vec<u8>>,
    checks_redirects: bool,
}

#[policy]
impl Policy for DestinationLimits {
    type Settings = Settings;

    const CAPABILITIES: &'static [Capability] = &[Capability::Lists];

    fn configure(settings: Settings) -> Result<Self, SettingsError> {
        for (index, method) in settings.methods.iter().enumerate() {
            if method.is_empty() || method.bytes().any(|byte| !byte.is_ascii_uppercase()) {
                let message = format!("`{method}` is no method; write upper case, as in INVITE");
                return Err(SettingsError::new(format!("methods[{index}]"), message));
            }
        }
        if let Some(region) = &settings.region {
            limits::check_country("region", region)?;
        }
        let invites = settings.methods.iter().any(|method| method == "INVITE");
        Ok(Self {
            plan: Plan::new(&settings)?,
            callers: Callers::new(&settings)?,
            region: settings.region,
            checks_redirects: invites && settings.redirects == Redirects::Check,
            methods: settings
                .methods
                .into_iter()
                .map(String::into_bytes)
                .collect(),
        })
    }

    fn on_request(&self, request: &Request<'_>) -> Outcome {
        if !self
            .methods
            .iter()
            .any(|method| method == request.method_name())
        {
            return Outcome::next();
        }
        let limits = self.callers.limits(request.identity());
        // Inside a dialog the Request-URI is a Contact that was learnt, nothing
        // that anybody dialled.
        if request.dialog() == Dialog::None
            && let Err(refusal) = self
                .judge(limits, "Request-URI", &request.request_uri())
                .and_then(|()| self.judge_routes(limits, request))
        {
            return refusal;
        }
        if request.method() == Method::Refer
            && let Err(refusal) = self.judge_transfer(limits, request)
        {
            return refusal;
        }
        Outcome::next()
    }

    fn on_response(&self, response: &Response<'_>) -> Outcome {
        let redirects = (300..400).contains(&response.status());
        if !redirects || !self.checks_redirects || response.method() != Method::Invite {
            return Outcome::next();
        }
        match self.judge_redirection(response) {
            Ok(()) => Outcome::next(),
            Err(reason) => Outcome::reject(403).because(reason),
        }
    }
}

impl DestinationLimits {
    /// Judges the way that the caller wants: a strict router puts a Route into the
    /// Request-URI, which then is dialled (RFC 3261 section 16.6 step 6).
    fn judge_routes(&self, limits: &Limits, request: &Request<'_>) -> Result<(), Outcome> {
        let routes = request.headers("Route");
        if routes.len() > TARGETS {
            return Err(Outcome::reject(403).because(format!("{} routes", routes.len())));
        }
        for route in &routes {
            let Some(uri) = Uri::parse_address(route) else {
                return Err(Outcome::reject(400).because("a malformed Route"));
            };
            if uri.user().is_some() {
                self.judge(limits, "Route", &uri)?;
            }
        }
        Ok(())
    }

    /// Judges where a REFER sends the call: RFC 3515 section 2.4.2.
    fn judge_transfer(&self, limits: &Limits, request: &Request<'_>) -> Result<(), Outcome> {
        let values = request.headers("Refer-To");
        let uri = match values.as_slice() {
            [value] => Uri::parse_address(value),
            _ => None,
        };
        match uri {
            Some(uri) => self.judge(limits, "Refer-To", &uri),
            None => Err(Outcome::reject(400).because("no single, well-formed Refer-To")),
        }
    }

    /// Judges where an answer sends the caller: RFC 3261 section 8.1.3.4.
    fn judge_redirection(&self, response: &Response<'_>) -> Result<(), String> {
        let limits = self.callers.limits(response.identity());
        let contacts = response.headers("Contact");
        if contacts.len() > TARGETS {
            return Err(format!("a redirection to {} targets", contacts.len()));
        }
        for contact in &contacts {
            let Some(uri) = Uri::parse_address(contact) else {
                return Err("a redirection to a malformed Contact".to_owned());
            };
            if let Err(refusal) = self.judge(limits, "Contact", &uri) {
                return Err(format!("a redirection: {}", refusal.reason()));
            }
        }
        Ok(())
    }

    /// Every reading of an address has to be allowed.
    fn judge(&self, limits: &Limits, place: &str, uri: &Uri<'_>) -> Result<(), Outcome> {
        let readings = self.plan.readings(uri).map_err(|fault| {
            let (status, what) = match fault {
                Fault::Unlisted(what) => (403, what),
                Fault::Incomplete(what) => (484, what),
                Fault::Impossible(what) => (604, what),
            };
            let user = String::from_utf8_lossy(uri.user().unwrap_or_default());
            Outcome::reject(status).because(format!("{place} `{user}`: {what}"))
        })?;
        let denied = |number: &str, rule: String| {
            let reason = format!("{place} {number} is denied by {rule}");
            Outcome::reject(403).because(reason)
        };
        for number in readings {
            limits
                .judge(&number)
                .map_err(|rule| denied(&number, rule))?;
            if let Some(abroad) = self.in_region(&number) {
                limits
                    .judge(&abroad)
                    .map_err(|rule| denied(&abroad, rule))?;
            }
        }
        Ok(())
    }

    /// What a local number would be as dialled in the region, if its plan has it.
    fn in_region(&self, number: &str) -> Option<String> {
        let region = self.region.as_deref()?;
        if number.starts_with('+') || self.plan.is_short(number) {
            return None;
        }
        let number = numbers::parse(number, region).ok()?;
        (number.valid || number.class != NumberClass::Unknown).then_some(number.e164)
    }
}
