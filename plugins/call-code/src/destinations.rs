//! Which destinations need a code.

use sipward_plugin_sdk::numbers::NumberClass;
use sipward_plugin_sdk::{SettingsError, Uri, decode_escapes, lists, numbers, warn};

use crate::settings;

/// Prefixes. 1,000: more belong into a list.
const PREFIXES: usize = 1_000;

/// Home countries and emergency numbers. 64: more would be a list of their own.
const NAMES: usize = 64;

/// The configured destinations.
pub(crate) struct Destinations {
    region: String,
    foreign: bool,
    home: Vec<String>,
    classes: Vec<NumberClass>,
    prefixes: Vec<String>,
    list: String,
    internal_digits: usize,
    emergency: Vec<String>,
}

impl Destinations {
    pub(crate) fn new(
        region: String,
        settings: settings::Destinations,
        emergency: Vec<String>,
    ) -> Result<Self, SettingsError> {
        check(&region, &settings, &emergency)?;
        Ok(Self {
            region,
            foreign: settings.foreign,
            home: settings.home,
            classes: settings.classes,
            prefixes: settings.prefixes,
            list: settings.list,
            internal_digits: settings.internal_digits.into(),
            emergency,
        })
    }

    /// Why a destination needs a code, if it does.
    pub(crate) fn need(&self, uri: &Uri<'_>) -> Option<String> {
        let Some(dialled) = uri.dialled() else {
            let decoded = decode_escapes(uri.user().unwrap_or_default());
            let digit = |byte: &u8| byte.is_ascii_digit() || !byte.is_ascii();
            // No gateway makes a number of letters alone.
            let named = decoded.is_some_and(|user| !user.iter().any(digit));
            return (!named).then(|| "what is no plain number".to_owned());
        };
        self.need_of(&dialled)
    }

    /// The same for what [`Uri::dialled`] says.
    pub(crate) fn need_of(&self, dialled: &str) -> Option<String> {
        if self.emergency.iter().any(|number| number == dialled) {
            return None;
        }
        let digits = dialled.bytes().filter(u8::is_ascii_digit).count();
        if digits <= self.internal_digits && !dialled.starts_with('+') {
            return None;
        }
        let Ok(number) = numbers::parse(dialled, &self.region) else {
            return Some("what is no number".to_owned());
        };
        let e164 = number.e164.as_str();
        if self.classes.contains(&number.class) {
            return Some(format!("{e164} ({})", number.class));
        }
        if self.foreign && number.region != self.region && !self.home.contains(&number.region) {
            return Some(format!("{e164} in {}", number.region));
        }
        let listed = self
            .prefixes
            .iter()
            .any(|prefix| e164.starts_with(prefix.as_str()));
        (listed || self.is_listed(e164)).then(|| e164.to_owned())
    }

    /// Whether the operator's list names a number; if there is no such list, it does.
    fn is_listed(&self, e164: &str) -> bool {
        if self.list.is_empty() {
            return false;
        }
        lists::longest_prefix(&self.list, e164).map_or_else(
            |_| {
                warn!(
                    "the config has no list `{}`: all numbers need a code",
                    self.list
                );
                true
            },
            |entry| entry.is_some(),
        )
    }
}

fn check(
    region: &str,
    settings: &settings::Destinations,
    emergency: &[String],
) -> Result<(), SettingsError> {
    let wrong = |key: String, message: String| Err(SettingsError::new(key, message));
    let is_country = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase());
    if !is_country(region) {
        let message = format!("`{region}` is no country; write two letters as in DE");
        return wrong("region".to_owned(), message);
    }
    for (index, home) in settings.home.iter().enumerate() {
        if !is_country(home) {
            let message = format!("`{home}` is no country; write two letters as in DE");
            return wrong(format!("destinations.home[{index}]"), message);
        }
    }
    for (key, count, most) in [
        ("destinations.home", settings.home.len(), NAMES),
        ("destinations.prefixes", settings.prefixes.len(), PREFIXES),
        ("emergency", emergency.len(), NAMES),
    ] {
        if count > most {
            return wrong(
                key.to_owned(),
                format!("has {count}; at most {most} are possible"),
            );
        }
    }
    for (index, prefix) in settings.prefixes.iter().enumerate() {
        let digits = prefix.strip_prefix('+').unwrap_or_default();
        if !(1..=15).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
            let message = format!("`{prefix}` has to be `+` and 1 to 15 digits");
            return wrong(format!("destinations.prefixes[{index}]"), message);
        }
    }
    if settings.internal_digits > 10 {
        let message = format!("is {}; 0 to 10 is possible", settings.internal_digits);
        return wrong("destinations.internal_digits".to_owned(), message);
    }
    let dialled = |byte: u8| matches!(byte, b'0'..=b'9' | b'+' | b'*' | b'#');
    for (index, number) in emergency.iter().enumerate() {
        if number.is_empty() || !number.bytes().all(dialled) {
            let message = format!("`{number}` is nothing to dial");
            return wrong(format!("emergency[{index}]"), message);
        }
    }
    Ok(())
}
