//! Bounds of the settings; errors name the wrong key.

use sipward_plugin_sdk::SettingsError;

use crate::price;
use crate::settings::{Limit, Per, Prices, Settings};

/// Limits of one instance. 32: each takes a few host calls for each call.
const LIMITS: usize = 32;

/// Emergency numbers. 64: those of every country have fewer kinds.
const EMERGENCY: usize = 64;

type Checked = Result<(), SettingsError>;

fn wrong<T>(key: impl Into<String>, message: impl Into<String>) -> Result<T, SettingsError> {
    Err(SettingsError::new(key, message))
}

/// All of them.
pub(crate) fn settings(settings: &Settings) -> Checked {
    let is_country = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase());
    if !is_country(&settings.region) {
        let region = &settings.region;
        let message = format!("`{region}` is no country; write two letters as in DE");
        return wrong("region", message);
    }
    let count = settings.limits.len();
    if !(1..=LIMITS).contains(&count) {
        return wrong("limits", format!("has {count}; 1 to {LIMITS} are possible"));
    }
    for (index, one) in settings.limits.iter().enumerate() {
        limit(one, index)?;
        let mut earlier = settings.limits.iter().take(index);
        if earlier.any(|other| other.name == one.name) {
            let message = format!("`{}` is the name of an earlier limit", one.name);
            return wrong(format!("limits[{index}].name"), message);
        }
    }
    prices(&settings.prices)?;
    for (key, value, least, most) in [
        (
            "utc_offset_minutes",
            i64::from(settings.utc_offset_minutes),
            -720,
            840,
        ),
        ("charge_every_s", settings.charge_every_s.into(), 6, 3_600),
        ("warn_percent", settings.warn_percent.into(), 1, 100),
    ] {
        if !(least..=most).contains(&value) {
            return wrong(key, format!("is {value}; {least} to {most} is possible"));
        }
    }
    emergency(&settings.emergency)
}

fn prices(prices: &Prices) -> Checked {
    if prices.list.is_empty() {
        return wrong("prices.list", "is empty; name a list of the config");
    }
    let default = prices.default_per_minute;
    if !(0.0..=f64::from(price::MOST)).contains(&default) {
        let message = format!("is {default}; 0 to {} is possible", price::MOST);
        return wrong("prices.default_per_minute", message);
    }
    let digits = prices.internal_digits;
    if digits > 10 {
        let message = format!("is {digits}; 0 to 10 is possible");
        return wrong("prices.internal_digits", message);
    }
    Ok(())
}

fn emergency(numbers: &[String]) -> Checked {
    let count = numbers.len();
    if count > EMERGENCY {
        return wrong(
            "emergency",
            format!("has {count}; at most {EMERGENCY} are possible"),
        );
    }
    let dialled = |byte: u8| matches!(byte, b'0'..=b'9' | b'+' | b'*' | b'#');
    for (index, number) in numbers.iter().enumerate() {
        if number.is_empty() || !number.bytes().all(dialled) {
            let message = format!("`{number}` is nothing to dial");
            return wrong(format!("emergency[{index}]"), message);
        }
    }
    Ok(())
}

/// One limit; `index` is its place in the settings.
fn limit(limit: &Limit, index: usize) -> Checked {
    let wrong = |field: &str, message: String| wrong(format!("limits[{index}].{field}"), message);
    let named = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !(1..=32).contains(&limit.name.len()) || !limit.name.bytes().all(named) {
        let message = "has to be 1 to 32 letters, digits, `-` and `_`".to_owned();
        return wrong("name", message);
    }
    if limit.per == Per::All && !limit.of.is_empty() {
        return wrong("of", "names nobody if all are counted together".to_owned());
    }
    if limit.rest && limit.per == Per::All {
        return wrong("rest", "is nobody if all are counted together".to_owned());
    }
    if limit.rest && !limit.of.is_empty() {
        let message = "is for those that no limit names, and `of` names some".to_owned();
        return wrong("rest", message);
    }
    if limit.of.iter().any(String::is_empty) {
        return wrong("of", "holds an empty name".to_owned());
    }
    let present = amounts(limit).map_err(|(field, message)| {
        SettingsError::new(format!("limits[{index}].{field}"), message)
    })?;
    if !present {
        let message = "is missing, and so is all else that it could limit".to_owned();
        return wrong("calls", message);
    }
    let rates = [
        ("calls_per_second", limit.calls_per_second.is_some()),
        ("calls_per_hour", limit.calls_per_hour.is_some()),
    ];
    match rates.iter().find(|(_, present)| *present) {
        Some((field, _)) if limit.per == Per::Trunk => wrong(
            field,
            "cannot be limited by trunk: who answers is known after the answer only".to_owned(),
        ),
        _ => Ok(()),
    }
}

/// Whether there is anything that it limits; names the wrong field.
fn amounts(limit: &Limit) -> Result<bool, (&'static str, String)> {
    let whole = [
        ("calls", limit.calls, 1_000_000),
        ("calls_per_hour", limit.calls_per_hour, 1_000_000),
        ("longest_s", limit.longest_s, 86_400),
        ("minutes_per_day", limit.minutes_per_day, 100_000_000),
        ("minutes_per_month", limit.minutes_per_month, 100_000_000),
    ];
    for (field, value, most) in whole {
        if let Some(value) = value.filter(|value| !(1..=most).contains(value)) {
            return Err((field, format!("is {value}; 1 to {most} is possible")));
        }
    }
    let amounts = [
        ("calls_per_second", limit.calls_per_second, 0.001, 10_000.0),
        ("cost_per_day", limit.cost_per_day, 0.0001, 100_000_000.0),
        (
            "cost_per_month",
            limit.cost_per_month,
            0.0001,
            100_000_000.0,
        ),
    ];
    for (field, value, least, most) in amounts {
        if let Some(value) = value.filter(|value| !(least..=most).contains(value)) {
            return Err((field, format!("is {value}; {least} to {most} is possible")));
        }
    }
    Ok(whole.iter().any(|(_, value, _)| value.is_some())
        || amounts.iter().any(|(_, value, ..)| value.is_some()))
}
