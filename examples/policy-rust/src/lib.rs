//! Sipward policy `night-guard`: no foreign calls while nobody watches.
//!
//! The same policy as in `examples/policy-js` and `examples/policy-python`.

mod settings;

use sipward_plugin_sdk::counters::Window;
use sipward_plugin_sdk::numbers::{self, NumberError};
use sipward_plugin_sdk::prelude::*;
use sipward_plugin_sdk::{clock, decode_escapes, log};

use settings::Day;
pub use settings::Settings;

/// Dialled texts up to this length are extensions, whatever they say.
const LOCAL_DIGITS: usize = 6;

/// Foreign calls of one caller at night.
const CALLS: Window = Window::new("night", 3_600_000);

/// The configured policy.
pub struct NightGuard(Settings);

#[policy]
impl Policy for NightGuard {
    type Settings = Settings;

    const METHODS: &'static [&'static str] = &["INVITE"];
    const CAPABILITIES: &'static [Capability] = &[Capability::Counters];

    fn configure(settings: Settings) -> Result<Self, SettingsError> {
        settings::check(&settings)?;
        Ok(Self(settings))
    }

    fn on_request(&self, request: &Request<'_>) -> Outcome {
        if request.dialog() != Dialog::None {
            return Outcome::next().because("belongs to a call");
        }
        if request.peer().zone() == Zone::Outside {
            return Outcome::next().because("comes from outside");
        }
        let (open, shown) = self.local();
        if open {
            return Outcome::next().because("within office hours");
        }
        let callee = dialled(request);
        if !self.is_foreign(&callee) {
            return Outcome::next().because("no foreign number");
        }
        let caller = who(request);
        if self.has_one_left(&caller) {
            return Outcome::next()
                .annotate("night-guard", "counted")
                .because(format!("{caller} may still call {callee} at {shown}"));
        }
        let reason = format!("{caller} may not call {callee} at {shown}");
        Outcome::reject(self.0.status)
            .alert_about(Severity::Warning, format!("night/{caller}"), reason.clone())
            .because(reason)
    }
}

impl NightGuard {
    /// Whether the office is open, and the local time for people.
    fn local(&self) -> (bool, String) {
        let now = i64::try_from(clock::now_ms() / 60_000).unwrap_or(i64::MAX);
        let minutes = now.saturating_add(i64::from(self.0.utc_offset_minutes));
        let day = Day::after_epoch(minutes.div_euclid(24 * 60));
        let minute = minutes.rem_euclid(24 * 60);
        let hour = minute / 60;
        let hours = i64::from(self.0.open)..i64::from(self.0.close);
        let open = self.0.days.contains(&day) && hours.contains(&hour);
        (open, format!("{} {hour:02}:{:02}", day.name(), minute % 60))
    }

    /// What has the length of a number counts as foreign unless it is surely not, and
    /// so does one with parameters, which may lead elsewhere.
    fn is_foreign(&self, digits: &str) -> bool {
        if digits.contains(';') {
            return true;
        }
        if digits.len() <= LOCAL_DIGITS {
            return false;
        }
        match numbers::parse(digits, &self.0.region) {
            Ok(number) => number.region != self.0.region,
            Err(error) => error != NumberError::NotANumber,
        }
    }

    /// Whether the caller has a call of this hour left. A full table means no.
    fn has_one_left(&self, caller: &str) -> bool {
        if self.0.per_hour == 0 {
            return false;
        }
        match CALLS.add(caller.as_bytes(), 1) {
            Ok(made) => made <= u64::from(self.0.per_hour),
            Err(error) => {
                log::warn(&format!("foreign calls cannot be counted: {error:?}"));
                false
            }
        }
    }
}

/// What was dialled, without escapes.
fn dialled(request: &Request<'_>) -> String {
    let uri = request.request_uri();
    let user = uri.user().unwrap_or_default();
    let decoded = decode_escapes(user).unwrap_or(user.into());
    String::from_utf8_lossy(&decoded).into_owned()
}

/// The caller: identity, else peer, else address.
fn who(request: &Request<'_>) -> String {
    let peer = request.peer();
    match request.identity().or(peer.name()) {
        Some(name) => name.to_owned(),
        None => peer.address().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sipward_plugin_sdk::testing::{Harness, Request, json};

    use super::*;

    #[test]
    fn the_night_is_for_calls_within_the_country() {
        let settings = json!({ "region": "DE", "open": 8, "close": 18 });
        let harness = Harness::<NightGuard>::new(settings);
        let abroad = Request::invite("sip:+442079460018@example.com").zone(Zone::Inside);
        // 1970 began on a Thursday, at midnight.
        let night = harness.call(&abroad);
        assert_eq!(night.status(), Some(403));
        assert!(night.reason().ends_with("+442079460018 at thu 00:00"));
        let at_home = Request::invite("sip:+4930123456@example.com").zone(Zone::Inside);
        assert!(harness.call(&at_home).is_next());
        harness.advance(Duration::from_secs(8 * 3600));
        assert!(harness.call(&abroad).is_next());
    }
}
