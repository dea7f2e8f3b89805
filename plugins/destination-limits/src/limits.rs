//! What one sort of callers may dial: lists, prefixes, classes and countries.

use std::rc::Rc;

use sipward_plugin_sdk::SettingsError;
use sipward_plugin_sdk::lists;
use sipward_plugin_sdk::numbers::{self, NumberClass, NumberError};

use crate::rules::{Rules, Say};
use crate::settings::{Default, Keys, List};

/// Lists that are looked up. 16: each is a host call for every number.
const LISTS: usize = 16;

/// Numbers of no country: ITU-T E.164 section 6.2.
const NO_COUNTRY: &str = "001";

/// A number by which a country is asked for, and the region that international
/// numbers are understood in; any would do.
const ANY_NUMBER: &str = "+12125550123";
const ANY_REGION: &str = "US";

/// What some callers may dial.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) default_allows: bool,
    pub(crate) prefixes: Rc<Rules>,
    pub(crate) deny_classes: Rc<[NumberClass]>,
    pub(crate) allow_countries: Rc<[String]>,
    pub(crate) deny_countries: Rc<[String]>,
    /// Those that deny come first.
    pub(crate) lists: Rc<[List]>,
}

impl Limits {
    /// Whether a number may be dialled; what denies it otherwise.
    pub(crate) fn judge(&self, number: &str) -> Result<(), String> {
        let written = self.look_up(number)?;
        if !number.starts_with('+') {
            return match written {
                Some(_) => Ok(()),
                None => self.by_default(),
            };
        }
        let known = numbers::parse(number, ANY_REGION).ok();
        let (class, country) = known.as_ref().map_or((NumberClass::Unknown, ""), |known| {
            (known.class, known.region.as_str())
        });
        // A gateway may drop the national prefix out of +49 (0) 30.
        let say = match &known {
            Some(known) if known.e164 != number => written.min(self.look_up(&known.e164)?),
            _ => written,
        };
        if say == Some(Say::Except) {
            return Ok(());
        }
        if self.deny_classes.contains(&class) {
            return Err(format!("class {class}"));
        }
        let is_country = |listed: &String| listed == country;
        if self.deny_countries.iter().any(is_country) {
            return Err(format!("country {country}"));
        }
        if say.is_some() || self.allow_countries.iter().any(is_country) {
            return Ok(());
        }
        self.by_default()
    }

    fn by_default(&self) -> Result<(), String> {
        match self.default_allows {
            true => Ok(()),
            false => Err("default".to_owned()),
        }
    }

    /// What lists and prefixes say; an error if that is no.
    fn look_up(&self, number: &str) -> Result<Option<Say>, String> {
        for list in self.lists.iter() {
            if let Some(key) = entry(list, number)? {
                return match list.action {
                    Default::Allow => Ok(Some(Say::Except)),
                    Default::Deny => Err(format!("{key} in list {}", list.name)),
                };
            }
        }
        match self.prefixes.longest(number) {
            Some((prefix, Say::Deny)) => Err(prefix.to_owned()),
            Some((_, say)) => Ok(Some(say)),
            None => Ok(None),
        }
    }
}

/// The key of a list that a number has. A list that is gone denies everything:
/// nobody knows what stood in it.
fn entry(list: &List, number: &str) -> Result<Option<String>, String> {
    let found = match list.keys {
        Keys::Exact => {
            lists::find(&list.name, number).map(|value| value.map(|_| number.to_owned()))
        }
        Keys::Prefix => {
            lists::longest_prefix(&list.name, number).map(|entry| entry.map(|entry| entry.key))
        }
    };
    found.map_err(|_| format!("list {}, which is gone", list.name))
}

/// Checks a country.
pub(crate) fn check_country(key: &str, country: &str) -> Result<(), SettingsError> {
    let is_code = country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase());
    let known = is_code && numbers::parse(ANY_NUMBER, country) != Err(NumberError::NoSuchRegion);
    match known {
        true => Ok(()),
        false => Err(SettingsError::new(
            key,
            format!("`{country}` is no country; write its two letters, as in DE"),
        )),
    }
}

/// Checks countries.
pub(crate) fn countries(key: &str, list: &[String]) -> Result<Rc<[String]>, SettingsError> {
    for (index, country) in list.iter().enumerate() {
        if country != NO_COUNTRY {
            check_country(&format!("{key}[{index}]"), country)?;
        }
    }
    Ok(list.into())
}

/// Checks lists and puts those that deny first.
pub(crate) fn known_lists(key: &str, settings: &[List]) -> Result<Rc<[List]>, SettingsError> {
    if settings.len() > LISTS {
        let message = format!("has {} lists; at most {LISTS} are possible", settings.len());
        return Err(SettingsError::new(key, message));
    }
    for (index, list) in settings.iter().enumerate() {
        if lists::find(&list.name, "+").is_err() {
            let message = format!("the config has no list `{}`", list.name);
            return Err(SettingsError::new(format!("{key}[{index}].name"), message));
        }
    }
    let mut sorted = settings.to_vec();
    sorted.sort_by_key(|list| list.action == Default::Allow);
    Ok(sorted.into())
}
