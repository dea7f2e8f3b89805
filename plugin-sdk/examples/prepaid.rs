//! A policy that follows calls: each user has so much money and so many calls at once.
//!
//! It has all three hooks and uses nearly every interface of the host. What a call may
//! cost is held before it is spent, minute by minute, so that a user with two phones
//! cannot spend the same money twice; the host gives back what is held when the call
//! ends, in whatever way.

use schemars::JsonSchema;
use serde::Deserialize;
use sipward_plugin_sdk::counters::Window;
use sipward_plugin_sdk::credentials::{CodeVerification, check_code};
use sipward_plugin_sdk::leases::Lease;
use sipward_plugin_sdk::numbers::{self, Number, NumberClass};
use sipward_plugin_sdk::{CallEnd, Uri, decode_escapes, geo, identity, lists, prelude::*};

/// Calls of a user.
const CALLS: Lease = Lease::new("calls");
/// Cents that the calls of a user may still cost.
const RESERVED: Lease = Lease::new("reserved");
/// Cents that a user spent within the last 30 days.
const SPENT: Window = Window::new("spent", 30 * 86_400_000).durable();

/// Seconds that are paid at once.
const MINUTE: u32 = 60;
/// Digits of the code that is dialled before a dear number.
const CODE_DIGITS: usize = 4;

/// What the operator writes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Country that users are at home in, as `DE`.
    region: String,
    /// Cents that a user may spend within 30 days.
    budget: u64,
    /// Calls that a user may have at once.
    calls: u64,
    /// Classes of numbers for the group `managers` alone, after a code.
    dear: Vec<NumberClass>,
}

/// The configured policy.
pub struct Prepaid(Settings);

#[policy]
impl Policy for Prepaid {
    type Settings = Settings;

    const NAME: &'static str = "prepaid";
    const DESCRIPTION: &'static str = "Calls as long as there is money";
    const CAPABILITIES: &'static [Capability] = &[
        Capability::Counters,
        Capability::Credentials,
        Capability::Leases,
        Capability::Geo,
        Capability::Lists,
        Capability::EditHeaders,
    ];

    fn configure(settings: Settings) -> Result<Self, SettingsError> {
        let is_country =
            |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase());
        if !is_country(&settings.region) {
            return Err(SettingsError::new("region", "is no country; write DE"));
        }
        Ok(Self(settings))
    }

    fn on_request(&self, request: &Request<'_>) -> Outcome {
        if request.method() != Method::Invite || request.dialog() != Dialog::None {
            return Outcome::next();
        }
        let Some(user) = request.identity() else {
            return Outcome::reject(403).because("nobody knows who calls");
        };
        let place = geo::locate(request.peer().address());
        if place.is_ok_and(|place| ![self.0.region.as_str(), ""].contains(&place.country.as_str()))
        {
            return Outcome::reject(403).because("calls from abroad");
        }
        let (number, code) = match self.understood(user, &dialled(request.request_uri())) {
            Ok(understood) => understood,
            Err(refusal) => return refusal,
        };
        if code.is_none() && self.0.dear.contains(&number.class) {
            return Outcome::reject(403).because(format!("{} needs a code", number.class));
        }
        let Some(price) = price(&number) else {
            return Outcome::reject(403).because("the number has no price");
        };
        if !CALLS
            .hold(user.as_bytes(), 1, self.0.calls)
            .is_ok_and(|holding| holding.granted)
        {
            return Outcome::reject(486).because("has all the calls that it may have");
        }
        if !self.pays(user, price) {
            return Outcome::reject(402).because("has spent its money");
        }
        let outcome = Outcome::next()
            .annotate("price", price.to_string())
            .tick_after(MINUTE);
        match code {
            Some(code) => outcome
                .conceal(code)
                .set_request_uri(format!("sip:{}@example.com", number.e164)),
            None => outcome,
        }
    }

    fn on_response(&self, response: &Response<'_>) -> Outcome {
        match (response.status(), response.identity()) {
            (402, Some(user)) => Outcome::next().alert_about(
                Severity::Warning,
                "trunk-without-money",
                format!("the trunk refuses {user} a call for want of money"),
            ),
            _ => Outcome::next(),
        }
    }

    fn on_call_event(&self, call: &Call<'_>, event: &CallEvent<'_>) -> Outcome {
        let price = call.annotation("price").and_then(|text| text.parse().ok());
        let (Some(user), Some(price)) = (call.identity(), price) else {
            return Outcome::next();
        };
        match event {
            CallEvent::Tick(seconds) if self.pays(user, price) => {
                Outcome::next().tick_after(seconds.saturating_add(MINUTE))
            }
            CallEvent::Tick(_) => Outcome::reject(402).because("has spent its money"),
            CallEvent::ForeignMedia { source, cause, .. } => Outcome::next().alert_about(
                Severity::Warning,
                format!("foreign-media/{user}"),
                format!("media from {source} was dropped: {cause}"),
            ),
            CallEvent::Ended(end) => {
                // If it cannot be counted, the host's log has why.
                let _ = SPENT.add(user.as_bytes(), cost(end, price));
                Outcome::next()
            }
            CallEvent::Started | CallEvent::Answered => Outcome::next(),
        }
    }
}

impl Prepaid {
    /// Holds the price of one more minute.
    fn pays(&self, user: &str, price: u32) -> bool {
        let spent = SPENT.count(user.as_bytes()).unwrap_or(u64::MAX);
        let left = self.0.budget.saturating_sub(spent);
        price == 0
            || RESERVED
                .hold(user.as_bytes(), u64::from(price), left)
                .is_ok_and(|holding| holding.granted)
    }

    /// The number that was dialled, and the code before it, if there is one.
    fn understood(&self, user: &str, dialled: &str) -> Result<(Number, Option<String>), Outcome> {
        let parse = |text: &str| numbers::parse(text, &self.0.region).ok();
        if let Some(number) = parse(dialled).filter(|number| number.valid) {
            return Ok((number, None));
        }
        let split = dialled.split_at_checked(CODE_DIGITS);
        let Some((code, Some(number))) = split.map(|(code, rest)| (code, parse(rest))) else {
            return Err(Outcome::reject(404).because("is no number"));
        };
        let refused = |why: &str| Err(Outcome::reject(403).because(why).conceal(code));
        if !identity::groups(user)
            .iter()
            .any(|group| group == "managers")
        {
            return refused("is no manager");
        }
        match check_code(user, code) {
            CodeVerification::Ok => Ok((number, Some(code.to_owned()))),
            CodeVerification::Wrong => refused("wrong code"),
            CodeVerification::Replayed => refused("used code"),
        }
    }
}

/// What was dialled, without escapes; nothing if it is no text.
fn dialled(uri: Uri<'_>) -> String {
    let user = uri.user().and_then(decode_escapes).unwrap_or_default();
    String::from_utf8(user.into_owned()).unwrap_or_default()
}

/// Cents for a minute, by the operator's list.
fn price(number: &Number) -> Option<u32> {
    let entry = lists::longest_prefix("prices", &number.e164).ok()??;
    entry.value.parse().ok()
}

/// Each minute that began is paid.
fn cost(end: &CallEnd<'_>, price: u32) -> u32 {
    let minutes = end.lasted_ms.div_ceil(u64::from(MINUTE) * 1000);
    u32::try_from(minutes).map_or(u32::MAX, |minutes| minutes.saturating_mul(price))
}
