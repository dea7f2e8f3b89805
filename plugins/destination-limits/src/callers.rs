//! Whose rules are used: the first that names the caller or a group of theirs.

use std::rc::Rc;

use sipward_plugin_sdk::{SettingsError, identity};

use crate::limits::{self, Limits};
use crate::rules::Rules;
use crate::settings::{Default, Rule, Settings};

/// Rules for some callers. 64: they are gone through in order.
const RULES: usize = 64;

/// The configured rules.
pub(crate) struct Callers {
    everybody: Limits,
    some: Vec<Group>,
    asks_for_groups: bool,
}

/// Some callers and their rule.
struct Group {
    identities: Vec<String>,
    groups: Vec<String>,
    limits: Limits,
}

impl Callers {
    pub(crate) fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let everybody = Limits {
            default_allows: settings.default == Default::Allow,
            prefixes: Rc::new(Rules::new(
                "",
                &settings.allow,
                &settings.deny,
                &settings.exceptions,
            )?),
            deny_classes: settings.deny_classes.as_slice().into(),
            allow_countries: limits::countries("allow_countries", &settings.allow_countries)?,
            deny_countries: limits::countries("deny_countries", &settings.deny_countries)?,
            lists: limits::known_lists("lists", &settings.lists)?,
        };
        let count = settings.rules.len();
        if count > RULES {
            let message = format!("has {count} rules; at most {RULES} are possible");
            return Err(SettingsError::new("rules", message));
        }
        let rules = settings.rules.iter().enumerate();
        let some = rules
            .map(|(index, rule)| some(&format!("rules[{index}]"), rule, settings, &everybody))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            asks_for_groups: some.iter().any(|rule| !rule.groups.is_empty()),
            everybody,
            some,
        })
    }

    /// What a caller may dial. Whoever has no identity is everybody.
    pub(crate) fn limits(&self, identity: Option<&str>) -> &Limits {
        let Some(identity) = identity.filter(|_| !self.some.is_empty()) else {
            return &self.everybody;
        };
        let groups = match self.asks_for_groups {
            true => identity::groups(identity),
            false => Vec::new(),
        };
        let fits = |rule: &&Group| {
            rule.identities.iter().any(|named| named == identity)
                || rule.groups.iter().any(|named| groups.contains(named))
        };
        match self.some.iter().find(fits) {
            Some(rule) => &rule.limits,
            None => &self.everybody,
        }
    }
}

/// A rule, with what it does not say taken over from everybody's.
fn some(
    path: &str,
    rule: &Rule,
    settings: &Settings,
    everybody: &Limits,
) -> Result<Group, SettingsError> {
    if rule.identities.is_empty() && rule.groups.is_empty() {
        let message = "fits nobody; name `identities` or `groups`";
        return Err(SettingsError::new(path, message));
    }
    let mut limits = everybody.clone();
    if let Some(default) = rule.default {
        limits.default_allows = default == Default::Allow;
    }
    let (allow, deny, exceptions) = (&rule.allow, &rule.deny, &rule.exceptions);
    if allow.is_some() || deny.is_some() || exceptions.is_some() {
        limits.prefixes = Rc::new(Rules::new(
            &format!("{path}."),
            allow.as_ref().unwrap_or(&settings.allow),
            deny.as_ref().unwrap_or(&settings.deny),
            exceptions.as_ref().unwrap_or(&settings.exceptions),
        )?);
    }
    if let Some(classes) = &rule.deny_classes {
        limits.deny_classes = classes.as_slice().into();
    }
    if let Some(list) = &rule.allow_countries {
        limits.allow_countries = limits::countries(&format!("{path}.allow_countries"), list)?;
    }
    if let Some(list) = &rule.deny_countries {
        limits.deny_countries = limits::countries(&format!("{path}.deny_countries"), list)?;
    }
    if let Some(lists) = &rule.lists {
        limits.lists = limits::known_lists(&format!("{path}.lists"), lists)?;
    }
    Ok(Group {
        identities: rule.identities.clone(),
        groups: rule.groups.clone(),
        limits,
    })
}
