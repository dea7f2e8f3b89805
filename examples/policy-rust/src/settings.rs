//! Settings of `night-guard`, as the operator writes them.

use schemars::JsonSchema;
use serde::Deserialize;
use sipward_plugin_sdk::SettingsError;
use sipward_plugin_sdk::numbers::{self, NumberError};

/// Office hours, and what is possible outside them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Country that numbers are dialled in, as DE.
    pub region: String,
    /// First hour of the office. 0 to 23.
    #[schemars(range(max = 23))]
    pub open: u8,
    /// First hour after it. 1 to 24.
    #[schemars(range(min = 1, max = 24))]
    pub close: u8,
    /// Days with office hours.
    #[serde(default = "weekdays")]
    pub days: Vec<Day>,
    /// Local time less UTC. -720 to 840.
    #[serde(default)]
    #[schemars(range(min = -720, max = 840))]
    pub utc_offset_minutes: i16,
    /// Foreign calls that a caller may make in an hour of the night. 0 to 1,000.
    #[serde(default)]
    #[schemars(range(max = 1000))]
    pub per_hour: u16,
    /// Answer to the others: 403, 480 or 603.
    #[serde(default = "forbidden")]
    pub status: u16,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl Day {
    /// The day that lies so many days after 1970-01-01, which was a Thursday.
    pub(crate) const fn after_epoch(days: i64) -> Self {
        match days.rem_euclid(7) {
            0 => Self::Thu,
            1 => Self::Fri,
            2 => Self::Sat,
            3 => Self::Sun,
            4 => Self::Mon,
            5 => Self::Tue,
            _ => Self::Wed,
        }
    }

    /// The name in settings and reasons.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Mon => "mon",
            Self::Tue => "tue",
            Self::Wed => "wed",
            Self::Thu => "thu",
            Self::Fri => "fri",
            Self::Sat => "sat",
            Self::Sun => "sun",
        }
    }
}

fn weekdays() -> Vec<Day> {
    vec![Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri]
}

const fn forbidden() -> u16 {
    403
}

pub(crate) fn check(settings: &Settings) -> Result<(), SettingsError> {
    for (key, value, least, most) in [
        ("open", i64::from(settings.open), 0, 23),
        ("close", i64::from(settings.close), 1, 24),
        (
            "utc_offset_minutes",
            i64::from(settings.utc_offset_minutes),
            -720,
            840,
        ),
        ("per_hour", i64::from(settings.per_hour), 0, 1000),
    ] {
        if !(least..=most).contains(&value) {
            let message = format!("has to be a whole number from {least} to {most}");
            return Err(SettingsError::new(key, message));
        }
    }
    if settings.open >= settings.close {
        return Err(SettingsError::new("close", "has to be after `open`"));
    }
    if !matches!(settings.status, 403 | 480 | 603) {
        return Err(SettingsError::new("status", "has to be 403, 480 or 603"));
    }
    let any = numbers::parse("0123456789", &settings.region);
    if any == Err(NumberError::NoSuchRegion) {
        let message = "is no country; write two letters, as DE";
        return Err(SettingsError::new("region", message));
    }
    Ok(())
}
