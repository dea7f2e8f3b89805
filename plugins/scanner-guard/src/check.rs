//! Bounds of the settings.

use sipward_plugin_sdk::SettingsError;

use crate::settings::Settings;

/// Texts of one list of signatures. 256: each is looked for in every User-Agent.
const SIGNATURES: usize = 256;

/// Bytes of a signature. At least 3, because shorter ones are found everywhere.
const SIGNATURE_BYTES: std::ops::RangeInclusive<usize> = 3..=64;

/// Says which setting is out of bounds.
pub(crate) fn check(settings: &Settings) -> Result<(), SettingsError> {
    let signatures = &settings.signatures;
    for (key, list) in [
        ("user_agents", &signatures.user_agents),
        ("more_user_agents", &signatures.more_user_agents),
        ("names", &signatures.names),
    ] {
        check_signatures(&format!("signatures.{key}"), list)?;
    }
    let (enumeration, points, limits) = (&settings.enumeration, &settings.points, &settings.limits);
    for (key, value, least, most) in [
        ("enumeration.callers", enumeration.callers, 0, 100_000),
        ("enumeration.targets", enumeration.targets, 0, 100_000),
        ("enumeration.window_s", enumeration.window_s, 10, 7_200),
        ("points.signature", points.signature, 0, 1_000),
        ("points.injection", points.injection, 0, 1_000),
        ("points.enumeration", points.enumeration, 0, 1_000),
        ("points.probe", points.probe, 0, 1_000),
        ("points.unknown_method", points.unknown_method, 0, 1_000),
        ("points.malformed", points.malformed, 0, 1_000),
        ("points.odd", points.odd, 0, 1_000),
        ("limits.silence_at", limits.silence_at, 1, 100_000),
        ("limits.ban_at", limits.ban_at, limits.silence_at, 1_000_000),
        ("limits.forget_s", limits.forget_s, 10, 2_592_000),
        ("limits.unproved_percent", limits.unproved_percent, 0, 100),
        ("limits.ipv6_prefix", limits.ipv6_prefix.into(), 1, 128),
    ] {
        if !(least..=most).contains(&value) {
            let message = format!("is {value}; {least} to {most} is possible");
            return Err(SettingsError::new(key, message));
        }
    }
    Ok(())
}

fn check_signatures(key: &str, list: &[String]) -> Result<(), SettingsError> {
    if list.len() > SIGNATURES {
        let message = format!(
            "has {} texts; at most {SIGNATURES} are possible",
            list.len()
        );
        return Err(SettingsError::new(key, message));
    }
    let (least, most) = (SIGNATURE_BYTES.start(), SIGNATURE_BYTES.end());
    for (index, text) in list.iter().enumerate() {
        if !SIGNATURE_BYTES.contains(&text.len()) {
            let message = format!("`{text}` has to be {least} to {most} bytes");
            return Err(SettingsError::new(format!("{key}[{index}]"), message));
        }
    }
    Ok(())
}
