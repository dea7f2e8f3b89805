//! Sipward policy `destination-limits`: which numbers may be called.
//!
//! See the README for threats, settings, examples and limits.

mod plan;
mod rules;
mod settings;

use sipward_plugin_sdk::Uri;
use sipward_plugin_sdk::prelude::*;

use plan::{Fault, Plan};
use rules::Rules;
pub use settings::Settings;

/// The configured policy.
pub struct DestinationLimits {
    default_allows: bool,
    rules: Rules,
    plan: Plan,
    methods: Vec<Vec<u8>>,
}

#[policy]
impl Policy for DestinationLimits {
    type Settings = Settings;

    fn configure(settings: Settings) -> Result<Self, SettingsError> {
        for (index, method) in settings.methods.iter().enumerate() {
            if method.is_empty() || method.bytes().any(|byte| !byte.is_ascii_uppercase()) {
                let message = format!("`{method}` is no method; write upper case, as in INVITE");
                return Err(SettingsError::new(format!("methods[{index}]"), message));
            }
        }
        Ok(Self {
            default_allows: settings.default == settings::Default::Allow,
            rules: Rules::new(&settings.allow, &settings.deny)?,
            plan: Plan::new(&settings)?,
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
        // Inside a dialog the Request-URI is a Contact that was learnt, nothing
        // that anybody dialled.
        if request.dialog() == Dialog::None
            && let Err(refusal) = self.judge("Request-URI", &request.request_uri())
        {
            return refusal;
        }
        if request.method() == Method::Refer
            && let Err(refusal) = self.judge_transfer(request)
        {
            return refusal;
        }
        Outcome::next()
    }
}

impl DestinationLimits {
    /// Judges where a REFER sends the call: RFC 3515 section 2.4.2.
    fn judge_transfer(&self, request: &Request<'_>) -> Result<(), Outcome> {
        let values = request.headers("Refer-To");
        let uri = match values.as_slice() {
            [value] => Uri::parse_address(value),
            _ => None,
        };
        match uri {
            Some(uri) => self.judge("Refer-To", &uri),
            None => Err(Outcome::reject(400).because("no single, well-formed Refer-To")),
        }
    }

    /// Every reading of an address has to be allowed.
    fn judge(&self, place: &str, uri: &Uri<'_>) -> Result<(), Outcome> {
        let readings = self.plan.readings(uri).map_err(|fault| {
            let (status, what) = match fault {
                Fault::Unlisted(what) => (403, what),
                Fault::Incomplete(what) => (484, what),
                Fault::Impossible(what) => (604, what),
            };
            let user = String::from_utf8_lossy(uri.user().unwrap_or_default());
            Outcome::reject(status).because(format!("{place} `{user}`: {what}"))
        })?;
        for number in readings {
            let (rule, allowed) = match self.rules.longest(&number) {
                Some((prefix, allowed)) => (prefix, allowed),
                None => ("default", self.default_allows),
            };
            if !allowed {
                let reason = format!("{place} {number} is denied by {rule}");
                return Err(Outcome::reject(403).because(reason));
            }
        }
        Ok(())
    }
}
