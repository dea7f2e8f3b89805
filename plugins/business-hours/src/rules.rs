//! Who may call where, and when: the first rule that is for both counts.

use std::collections::{BTreeMap, BTreeSet};

use sipward_plugin_sdk::identity;
use sipward_plugin_sdk::numbers::NumberClass;
use sipward_plugin_sdk::prelude::*;

use crate::destination::Destination;
use crate::settings;

/// Schedules, rules, and what they are made of; each in the documentation of its
/// setting.
const RULES: usize = 256;
const USERS: usize = 1_024;
const GROUPS: usize = 64;
const PREFIXES: usize = 1_024;
const COUNTRIES: usize = 256;

/// All rules.
pub(crate) struct Rules {
    rules: Vec<Rule>,
    default: When,
    /// Whether any rule asks for groups, which costs a host call.
    groups_matter: bool,
}

/// When something is possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Always,
    Never,
    /// The place of the schedule.
    During(usize),
}

struct Rule {
    everybody: bool,
    users: BTreeSet<String>,
    groups: BTreeSet<String>,
    peers: BTreeSet<String>,
    everywhere: bool,
    prefixes: BTreeSet<String>,
    classes: Vec<NumberClass>,
    countries: BTreeSet<String>,
    foreign: bool,
    when: When,
}

/// Who calls.
pub(crate) struct Caller<'a> {
    identity: Option<&'a str>,
    peer: Option<&'a str>,
    groups: Vec<String>,
}

impl Rules {
    /// `schedules` gives the place of each name.
    pub(crate) fn new(
        rules: Vec<settings::Rule>,
        default: &str,
        schedules: &BTreeMap<&str, usize>,
    ) -> Result<Self, SettingsError> {
        if rules.len() > RULES {
            let message = format!("has {} rules; at most {RULES} are possible", rules.len());
            return Err(SettingsError::new("rules", message));
        }
        let rules = rules.into_iter().enumerate().map(|(index, rule)| {
            Rule::new(rule, schedules).map_err(|(field, message)| {
                SettingsError::new(format!("rules[{index}].{field}"), message)
            })
        });
        let rules: Vec<Rule> = rules.collect::<Result<_, _>>()?;
        let default = When::new(default, schedules);
        Ok(Self {
            groups_matter: rules.iter().any(|rule| !rule.groups.is_empty()),
            default: default.map_err(|message| SettingsError::new("default", message))?,
            rules,
        })
    }

    pub(crate) fn caller<'a>(&self, request: &Request<'a>) -> Caller<'a> {
        let identity = request.identity();
        Caller {
            identity,
            peer: request.peer().name(),
            groups: match identity {
                Some(identity) if self.groups_matter => identity::groups(identity),
                _ => Vec::new(),
            },
        }
    }

    /// When a caller may call a destination.
    pub(crate) fn when(&self, caller: &Caller<'_>, destination: &Destination) -> When {
        let rule = self
            .rules
            .iter()
            .find(|rule| rule.is_for(caller) && rule.leads_to(destination));
        rule.map_or(self.default, |rule| rule.when)
    }
}

impl When {
    fn new(name: &str, schedules: &BTreeMap<&str, usize>) -> Result<Self, String> {
        match (name, schedules.get(name)) {
            ("always", _) => Ok(Self::Always),
            ("never", _) => Ok(Self::Never),
            (_, Some(place)) => Ok(Self::During(*place)),
            (_, None) => {
                let known: Vec<_> = schedules.keys().copied().collect();
                let known = known.join(", ");
                Err(format!(
                    "`{name}` is no schedule; write always, never or one of {known}"
                ))
            }
        }
    }
}

impl Rule {
    fn new(
        rule: settings::Rule,
        schedules: &BTreeMap<&str, usize>,
    ) -> Result<Self, (String, String)> {
        let wrong = |field: &str, message: String| Err((field.to_owned(), message));
        for (field, length, most) in [
            ("users", rule.users.len(), USERS),
            ("groups", rule.groups.len(), GROUPS),
            ("peers", rule.peers.len(), USERS),
            ("prefixes", rule.prefixes.len(), PREFIXES),
            ("countries", rule.countries.len(), COUNTRIES),
        ] {
            if length > most {
                return wrong(
                    field,
                    format!("has {length} entries; at most {most} are possible"),
                );
            }
        }
        for (index, prefix) in rule.prefixes.iter().enumerate() {
            let digits = prefix.strip_prefix('+').unwrap_or(prefix);
            let dialled = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'*' | b'#');
            if digits.is_empty() || !digits.bytes().all(dialled) {
                let message = format!("`{prefix}` begins no number; write +49900 or 7");
                return wrong(&format!("prefixes[{index}]"), message);
            }
        }
        for (index, country) in rule.countries.iter().enumerate() {
            if country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_uppercase()) {
                let message =
                    format!("`{country}` is no country; write two upper-case letters, as in DE");
                return wrong(&format!("countries[{index}]"), message);
            }
        }
        let when =
            When::new(&rule.when, schedules).map_err(|message| ("when".to_owned(), message))?;
        Ok(Self {
            everybody: rule.users.is_empty() && rule.groups.is_empty() && rule.peers.is_empty(),
            users: rule.users.into_iter().collect(),
            groups: rule.groups.into_iter().collect(),
            peers: rule.peers.into_iter().collect(),
            everywhere: rule.prefixes.is_empty()
                && rule.classes.is_empty()
                && rule.countries.is_empty()
                && !rule.foreign,
            prefixes: rule.prefixes.into_iter().collect(),
            classes: rule.classes,
            countries: rule.countries.into_iter().collect(),
            foreign: rule.foreign,
            when,
        })
    }

    fn is_for(&self, caller: &Caller<'_>) -> bool {
        self.everybody
            || caller
                .identity
                .is_some_and(|name| self.users.contains(name))
            || caller.peer.is_some_and(|name| self.peers.contains(name))
            || caller
                .groups
                .iter()
                .any(|group| self.groups.contains(group))
    }

    fn leads_to(&self, destination: &Destination) -> bool {
        self.everywhere
            || (self.foreign && destination.foreign)
            || destination
                .class
                .is_some_and(|class| self.classes.contains(&class))
            || self.countries.contains(&destination.country)
            || self.begins(&destination.text)
    }

    /// Whether any prefix begins the number: as many look-ups as it has digits.
    fn begins(&self, text: &str) -> bool {
        !self.prefixes.is_empty()
            && (1..=text.len())
                .filter_map(|length| text.get(..length))
                .any(|head| self.prefixes.contains(head))
    }
}

/// Whether rules are for more than what was dialled begins with.
pub(crate) fn need_numbers(rules: &[settings::Rule]) -> bool {
    rules.iter().any(|rule| {
        rule.foreign
            || !rule.classes.is_empty()
            || !rule.countries.is_empty()
            || rule.prefixes.iter().any(|prefix| prefix.starts_with('+'))
    })
}
