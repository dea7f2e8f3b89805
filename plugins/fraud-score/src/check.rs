//! Bounds of the settings; errors name the wrong key.

use sipward_plugin_sdk::SettingsError;

use crate::settings::{Settings, Signs, Thresholds};

/// Most points of one sign. 10,000: a hundred times what refuses by default.
pub(crate) const POINTS: u32 = 10_000;

/// Highest threshold. 1,000,000: a hundred of the dearest signs.
const THRESHOLD: u32 = 1_000_000;

/// Most rules. 1,000: every country several times; they are looked through one by one.
const RULES: usize = 1_000;

/// Most home countries and emergency numbers. 64: more would be a list of their own.
const NAMES: usize = 64;

/// Seconds of 30 days.
const MONTH_S: u32 = 2_592_000;

type Checked = Result<(), SettingsError>;

fn wrong<T>(key: impl Into<String>, message: impl Into<String>) -> Result<T, SettingsError> {
    Err(SettingsError::new(key, message))
}

fn within(key: &str, value: u32, least: u32, most: u32) -> Checked {
    match (least..=most).contains(&value) {
        true => Ok(()),
        false => wrong(key, format!("is {value}; {least} to {most} is possible")),
    }
}

fn between(key: &str, value: f64, least: f64, most: f64) -> Checked {
    match (least..=most).contains(&value) {
        true => Ok(()),
        false => wrong(key, format!("is {value}; {least} to {most} is possible")),
    }
}

fn country(key: &str, text: &str) -> Checked {
    match text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        true => Ok(()),
        false => wrong(
            key,
            format!("`{text}` is no country; write two letters as in DE"),
        ),
    }
}

/// All but the rules and hours, which are checked where they are read.
pub(crate) fn settings(settings: &Settings) -> Checked {
    country("region", &settings.region)?;
    for (index, home) in settings.home.iter().enumerate() {
        country(&format!("home[{index}]"), home)?;
    }
    if settings.home.len() > NAMES {
        let count = settings.home.len();
        return wrong("home", format!("has {count}; at most {NAMES} are possible"));
    }
    thresholds(&settings.thresholds)?;
    within("forget_s", settings.forget_s, 60, MONTH_S)?;
    within("lock_s", settings.lock_s, 60, 31_536_000)?;
    if settings.challenge_realm.len() > 128 {
        return wrong("challenge_realm", "is longer than 128 bytes");
    }
    if settings.recheck_s != 0 {
        within("recheck_s", settings.recheck_s, 10, 3_600)?;
    }
    let offset = settings.clock.utc_offset_minutes;
    if !(-720..=840).contains(&offset) {
        return wrong(
            "clock.utc_offset_minutes",
            format!("is {offset}; -720 to 840 is possible"),
        );
    }
    points(&settings.signs)?;
    counts(&settings.signs)?;
    ratios(&settings.signs)?;
    if settings.rules.len() > RULES {
        let count = settings.rules.len();
        return wrong(
            "rules",
            format!("has {count}; at most {RULES} are possible"),
        );
    }
    emergency(&settings.emergency)
}

fn thresholds(thresholds: &Thresholds) -> Checked {
    let mut highest = 0;
    for (field, value) in [
        ("warn", thresholds.warn),
        ("challenge", thresholds.challenge),
        ("reject", thresholds.reject),
        ("lock", thresholds.lock),
    ] {
        let key = format!("thresholds.{field}");
        within(&key, value, 0, THRESHOLD)?;
        if value == 0 {
            continue;
        }
        if value < highest {
            return wrong(key, format!("is {value}, below the threshold before it"));
        }
        highest = value;
    }
    Ok(())
}

fn points(signs: &Signs) -> Checked {
    for (name, points) in [
        ("rate", signs.rate.points),
        ("repeated", signs.repeated.points),
        ("sequential", signs.sequential.points),
        ("short", signs.short.points),
        ("duration", signs.duration.points),
        ("concurrency", signs.concurrency.points),
        ("new_country", signs.new_country.points),
        ("off_hours", signs.off_hours.points),
        ("high_cost", signs.high_cost.points),
        ("failed", signs.failed.points),
        ("new_origin", signs.new_origin.points),
        ("call_back", signs.call_back.points),
        ("wrong_answer", signs.wrong_answer.points),
    ] {
        within(&format!("signs.{name}.points"), points, 0, POINTS)?;
    }
    Ok(())
}

fn counts(signs: &Signs) -> Checked {
    for (key, value, least, most) in [
        (
            "rate.calls_per_minute",
            signs.rate.calls_per_minute,
            1,
            100_000,
        ),
        ("repeated.calls", signs.repeated.calls, 2, 100_000),
        ("repeated.within_s", signs.repeated.within_s, 1, MONTH_S),
        ("sequential.numbers", signs.sequential.numbers, 2, 100),
        ("sequential.within_s", signs.sequential.within_s, 1, MONTH_S),
        ("short.shorter_than_s", signs.short.shorter_than_s, 1, 3_600),
        ("short.calls", signs.short.calls, 1, 100_000),
        ("short.within_s", signs.short.within_s, 1, MONTH_S),
        ("duration.at_least_s", signs.duration.at_least_s, 60, 86_400),
        (
            "duration.unlearned_s",
            signs.duration.unlearned_s,
            60,
            86_400,
        ),
        (
            "concurrency.at_least",
            signs.concurrency.at_least,
            2,
            100_000,
        ),
        (
            "concurrency.unlearned",
            signs.concurrency.unlearned,
            2,
            100_000,
        ),
        ("learning.calls", signs.learning.calls, 1, 10_000),
        (
            "new_country.forget_days",
            signs.new_country.forget_days,
            1,
            200,
        ),
        (
            "high_cost.share_percent",
            signs.high_cost.share_percent,
            1,
            100,
        ),
        ("high_cost.at_least", signs.high_cost.at_least, 1, 100_000),
        ("high_cost.within_s", signs.high_cost.within_s, 60, MONTH_S),
        ("failed.at_least", signs.failed.at_least, 1, 100_000),
        ("failed.within_s", signs.failed.within_s, 60, MONTH_S),
        (
            "new_origin.forget_days",
            signs.new_origin.forget_days,
            1,
            200,
        ),
        (
            "call_back.rang_at_most_s",
            signs.call_back.rang_at_most_s,
            1,
            60,
        ),
        ("call_back.within_s", signs.call_back.within_s, 60, MONTH_S),
    ] {
        within(&format!("signs.{key}"), value, least, most)?;
    }
    Ok(())
}

fn ratios(signs: &Signs) -> Checked {
    for (key, value, least, most) in [
        ("duration.deviations", signs.duration.deviations, 0.5, 100.0),
        (
            "concurrency.deviations",
            signs.concurrency.deviations,
            0.5,
            100.0,
        ),
        ("learning.weight", signs.learning.weight, 0.001, 0.5),
        ("failed.ratio", signs.failed.ratio, 0.1, 1_000.0),
    ] {
        between(&format!("signs.{key}"), value, least, most)?;
    }
    Ok(())
}

fn emergency(numbers: &[String]) -> Checked {
    if numbers.len() > NAMES {
        let count = numbers.len();
        return wrong(
            "emergency",
            format!("has {count}; at most {NAMES} are possible"),
        );
    }
    let dialled = |byte: u8| matches!(byte, b'0'..=b'9' | b'+' | b'*' | b'#');
    for (index, number) in numbers.iter().enumerate() {
        if number.is_empty() || !number.bytes().all(dialled) {
            return wrong(
                format!("emergency[{index}]"),
                format!("`{number}` is nothing to dial"),
            );
        }
    }
    Ok(())
}
