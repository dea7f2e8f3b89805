//! Sipward policy `business-hours`: who may call where at which hours.
//!
//! See the README for threats, settings, examples and limits.

mod destination;
mod rules;
mod schedule;
mod settings;

use std::collections::{BTreeMap, BTreeSet};

use sipward_plugin_sdk::prelude::*;
use sipward_plugin_sdk::{Uri, clock};

use destination::Plan;
use rules::{Caller, Rules, When};
use schedule::{Hours, Schedule};
pub use settings::Settings;

/// Schedules of one instance. 64: a department each, in several time zones.
const SCHEDULES: usize = 64;

/// Emergency numbers. 64: those of several countries, with and without prefixes.
const EMERGENCY: usize = 64;

/// The configured policy.
pub struct BusinessHours {
    plan: Plan,
    rules: Rules,
    schedules: Vec<(String, Schedule)>,
    inside: bool,
    outside: bool,
    identified: bool,
    exempt_peers: Vec<String>,
    methods: Vec<Vec<u8>>,
    status: u16,
}

#[policy]
impl Policy for BusinessHours {
    type Settings = Settings;

    fn configure(settings: Settings) -> Result<Self, SettingsError> {
        check(&settings)?;
        let emergency = emergency(&settings.emergency)?;
        let understands = rules::need_numbers(&settings.rules);
        let mut schedules = Vec::with_capacity(settings.schedules.len());
        for (name, schedule) in &settings.schedules {
            let read = Schedule::new(schedule, &settings.time_zone, &settings.holidays);
            let read = read.map_err(|(field, message)| {
                // What a schedule took over is wrong where it stands.
                let common = match field.as_str() {
                    "time_zone" => schedule.time_zone.is_none(),
                    field => field.starts_with("holidays") && schedule.holidays.is_none(),
                };
                let key = match common {
                    true => field,
                    false => format!("schedules.{name}.{field}"),
                };
                SettingsError::new(key, message)
            })?;
            schedules.push((name.clone(), read));
        }
        let places = settings.schedules.keys().enumerate();
        let places: BTreeMap<&str, usize> =
            places.map(|(place, name)| (name.as_str(), place)).collect();
        let rules = Rules::new(settings.rules, &settings.default, &places)?;
        Ok(Self {
            plan: Plan::new(
                emergency,
                settings.region,
                settings.local_digits.into(),
                understands,
            ),
            rules,
            schedules,
            inside: settings.zones.contains(&settings::Zone::Inside),
            outside: settings.zones.contains(&settings::Zone::Outside),
            identified: settings.identified,
            exempt_peers: settings.exempt_peers,
            methods: settings
                .methods
                .into_iter()
                .map(String::into_bytes)
                .collect(),
            status: settings.status,
        })
    }

    fn on_request(&self, request: &Request<'_>) -> Outcome {
        if !self.concerns(request) {
            return Outcome::next();
        }
        let caller = self.rules.caller(request);
        // Inside a dialog the Request-URI is a Contact that was learnt.
        if request.dialog() == Dialog::None
            && let Err(refusal) = self.judge(request, &caller, &request.request_uri())
        {
            return refusal;
        }
        if request.method() == Method::Refer {
            let targets = request.headers("Refer-To");
            let target = match targets.as_slice() {
                [value] => Uri::parse_address(value),
                _ => None,
            };
            return match target {
                Some(target) => self
                    .judge(request, &caller, &target)
                    .err()
                    .unwrap_or_else(Outcome::next),
                None => Outcome::reject(400).because("no single, well-formed Refer-To"),
            };
        }
        Outcome::next()
    }
}

impl BusinessHours {
    /// Whether the request is looked at.
    fn concerns(&self, request: &Request<'_>) -> bool {
        let peer = request.peer();
        let zone = match peer.zone() {
            Zone::Inside => self.inside,
            Zone::Outside => self.outside,
        };
        let name = peer.name();
        (zone || (self.identified && request.identity().is_some()))
            && self
                .methods
                .iter()
                .any(|method| method == request.method_name())
            && !self
                .exempt_peers
                .iter()
                .any(|exempt| Some(exempt.as_str()) == name)
    }

    /// Every reading of an address has to be possible now.
    fn judge(
        &self,
        request: &Request<'_>,
        caller: &Caller<'_>,
        uri: &Uri<'_>,
    ) -> Result<(), Outcome> {
        if self.plan.is_emergency(uri) {
            return Ok(());
        }
        for destination in self.plan.readings(uri) {
            let why = match self.rules.when(caller, &destination) {
                When::Always => continue,
                When::Never => "at any time".to_owned(),
                When::During(place) => match self.schedules.get(place) {
                    Some((name, schedule)) => match schedule.at(clock::now_ms()) {
                        Hours::Open => continue,
                        Hours::Closed(moment) => format!("at {moment}, by schedule {name}"),
                    },
                    None => "without a schedule".to_owned(),
                },
            };
            let peer = request.peer();
            let who = request.identity().or(peer.name()).unwrap_or("the caller");
            let number = &destination.text;
            let reason = format!("{who} may not call {number} {why}");
            return Err(Outcome::reject(self.status).because(reason));
        }
        Ok(())
    }
}

/// Emergency numbers, without separators.
fn emergency(numbers: &[String]) -> Result<BTreeSet<String>, SettingsError> {
    let count = numbers.len();
    if !(1..=EMERGENCY).contains(&count) {
        let message = format!("has {count} numbers; 1 to {EMERGENCY} are possible");
        return Err(SettingsError::new("emergency", message));
    }
    let numbers = numbers.iter().enumerate().map(|(index, number)| {
        let digits = number.strip_prefix('+').unwrap_or(number);
        let dialled = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'*' | b'#');
        match !digits.is_empty() && digits.len() <= 15 && digits.bytes().all(dialled) {
            true => Ok(number.clone()),
            false => Err(SettingsError::new(
                format!("emergency[{index}]"),
                format!("`{number}` is no number; write 1 to 15 digits, as in 112"),
            )),
        }
    });
    numbers.collect()
}

fn check(settings: &Settings) -> Result<(), SettingsError> {
    let wrong = |key: String, message: String| Err(SettingsError::new(key, message));
    let count = settings.schedules.len();
    if !(1..=SCHEDULES).contains(&count) {
        let message = format!("has {count} schedules; 1 to {SCHEDULES} are possible");
        return wrong("schedules".to_owned(), message);
    }
    for name in settings.schedules.keys() {
        if name.is_empty() || matches!(name.as_str(), "always" | "never") {
            let message = "means something else in rules; choose another name".to_owned();
            return wrong(format!("schedules.{name}"), message);
        }
    }
    // A zone that every schedule overrides has to be one all the same.
    if let Err(message) = schedule::time_zone(&settings.time_zone) {
        return wrong("time_zone".to_owned(), message);
    }
    let region = &settings.region;
    if region.len() != 2 || !region.bytes().all(|byte| byte.is_ascii_uppercase()) {
        let message = format!("`{region}` is no country; write two upper-case letters, as in DE");
        return wrong("region".to_owned(), message);
    }
    for (index, method) in settings.methods.iter().enumerate() {
        if !["INVITE", "REFER", "MESSAGE"].contains(&method.as_str()) {
            let message = format!("is `{method}`; INVITE, REFER and MESSAGE are possible");
            return wrong(format!("methods[{index}]"), message);
        }
    }
    if settings.local_digits > 15 {
        let message = format!("is {}; 0 to 15 is possible", settings.local_digits);
        return wrong("local_digits".to_owned(), message);
    }
    if ![403, 480, 603].contains(&settings.status) {
        let message = format!("is {}; 403, 480 or 603 is possible", settings.status);
        return wrong("status".to_owned(), message);
    }
    Ok(())
}
