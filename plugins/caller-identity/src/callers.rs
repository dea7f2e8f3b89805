//! Entries: who they are for, and which numbers and names may be shown.

use std::collections::{BTreeMap, BTreeSet};

use sipward_plugin_sdk::identity;
use sipward_plugin_sdk::prelude::*;

use crate::address::{comparable, in_user, written};
use crate::settings;

const CALLERS: usize = 1_024;
const USERS: usize = 1_024;
const GROUPS: usize = 64;
const PEERS: usize = 256;
const NUMBERS: usize = 1_024;
const NAMES: usize = 256;
/// Ranges of all entries together. 1,024: a call from outside is compared with each.
const RANGES: usize = 1_024;
/// Bytes of a display name. 128: more fits on no telephone.
const NAME_BYTES: usize = 128;

/// All entries.
pub(crate) struct Callers {
    entries: Vec<Entry>,
    users: BTreeMap<String, usize>,
    groups: BTreeMap<String, usize>,
    peers: BTreeMap<String, usize>,
    /// Numbers of all entries.
    own: Numbers,
}

/// What some callers may show.
pub(crate) struct Entry {
    numbers: Numbers,
    names: Option<BTreeSet<String>>,
    number: Option<String>,
    name: Option<String>,
    domain: String,
    pub(crate) anonymous: bool,
    pub(crate) diverts: bool,
}

/// Numbers, indexed.
#[derive(Default)]
pub(crate) struct Numbers {
    exact: BTreeSet<String>,
    prefixes: BTreeSet<String>,
    /// First and last, of one length.
    ranges: Vec<(String, String)>,
}

impl Callers {
    pub(crate) fn new(callers: Vec<settings::Caller>, domain: &str) -> Result<Self, SettingsError> {
        if callers.len() > CALLERS {
            let message = format!(
                "has {} entries; at most {CALLERS} are possible",
                callers.len()
            );
            return Err(SettingsError::new("callers", message));
        }
        let mut all = Self {
            entries: Vec::with_capacity(callers.len()),
            users: BTreeMap::new(),
            groups: BTreeMap::new(),
            peers: BTreeMap::new(),
            own: Numbers::default(),
        };
        for (index, caller) in callers.into_iter().enumerate() {
            all.add(index, caller, domain).map_err(|(field, message)| {
                SettingsError::new(format!("callers[{index}]{field}"), message)
            })?;
        }
        if all.own.ranges.len() > RANGES {
            let message = format!(
                "have {} ranges; at most {RANGES} are possible",
                all.own.ranges.len()
            );
            return Err(SettingsError::new("callers", message));
        }
        Ok(all)
    }

    fn add(
        &mut self,
        index: usize,
        caller: settings::Caller,
        domain: &str,
    ) -> Result<(), (String, String)> {
        check(&caller)?;
        let mut numbers = Numbers::default();
        for (at, number) in caller.numbers.iter().enumerate() {
            let wrong = |message| (format!(".numbers[{at}]"), message);
            numbers.add(number).map_err(wrong)?;
            self.own.add(number).map_err(wrong)?;
        }
        let first = || {
            let mut listed = caller.numbers.iter();
            listed
                .find(|number| numbers.exact.contains(*number))
                .cloned()
        };
        let number = caller.number.clone().or_else(first);
        if let Some(number) = number.as_ref().filter(|number| !numbers.contains(number)) {
            let message = format!("`{number}` is not among `numbers`");
            return Err((".number".to_owned(), message));
        }
        let names = caller.names.as_ref().map(|names| {
            let names = names.iter().map(|name| comparable(name.as_bytes()));
            let own = caller.name.iter().map(|name| comparable(name.as_bytes()));
            names.chain(own).collect()
        });
        for (map, listed) in [
            (&mut self.users, caller.users),
            (&mut self.groups, caller.groups),
            (&mut self.peers, caller.peers),
        ] {
            for name in listed {
                // The first entry counts.
                map.entry(name).or_insert(index);
            }
        }
        self.entries.push(Entry {
            numbers,
            names,
            number,
            name: caller.name,
            domain: domain.to_owned(),
            anonymous: caller.anonymous,
            diverts: caller.diverts,
        });
        Ok(())
    }

    /// The entry of a caller.
    pub(crate) fn entry(&self, request: &Request<'_>) -> Option<&Entry> {
        let by_identity = request.identity().and_then(|user| {
            let groups = match self.groups.is_empty() {
                true => Vec::new(),
                false => identity::groups(user),
            };
            let groups = groups.iter().filter_map(|group| self.groups.get(group));
            self.users.get(user).into_iter().chain(groups).min()
        });
        let by_peer = || self.peers.get(request.peer().name()?);
        self.entries.get(*by_identity.or_else(by_peer)?)
    }

    /// Whether a number is one of any entry.
    pub(crate) fn owns(&self, number: &str) -> bool {
        self.own.contains(number)
    }
}

impl Entry {
    pub(crate) fn may_use(&self, number: &str) -> bool {
        self.numbers.contains(number)
    }

    /// Whether a display name may be shown; none always may.
    pub(crate) fn may_be_called(&self, display: Option<&[u8]>) -> bool {
        match (&self.names, display) {
            (None, _) | (_, None) => true,
            (Some(names), Some(display)) => {
                let name = comparable(display);
                name.is_empty() || names.contains(&name)
            }
        }
    }

    /// The number that is written instead of a wrong one.
    pub(crate) fn number(&self) -> Option<&str> {
        self.number.as_deref()
    }

    /// An address that shows a number.
    pub(crate) fn address(&self, number: &str) -> String {
        written(self.name.as_deref(), number, &self.domain)
    }
}

impl Numbers {
    fn add(&mut self, text: &str) -> Result<(), String> {
        let user = |text: &str| !text.is_empty() && text.bytes().all(|byte| in_user(&byte));
        let digits = |text: &str| {
            let digits = text.strip_prefix('+').unwrap_or(text);
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        };
        if let Some((first, last)) = text.split_once("..") {
            let sound = digits(first) && digits(last) && first.len() == last.len() && first <= last;
            if !sound || first.starts_with('+') != last.starts_with('+') {
                return Err(format!(
                    "`{text}` is no range; write +4930123400..+4930123499"
                ));
            }
            self.ranges.push((first.to_owned(), last.to_owned()));
        } else if let Some(prefix) = text.strip_suffix('*') {
            if !user(prefix) || prefix == "+" || prefix.contains('*') {
                return Err(format!("`{text}` is no beginning; write +49301234*"));
            }
            self.prefixes.insert(prefix.to_owned());
        } else if user(text) && !text.contains('*') {
            // Separators are taken out of what callers show.
            if digits(&text.replace(['-', '.', '(', ')'], "")) && !digits(text) {
                return Err(format!("`{text}` has separators; write digits alone"));
            }
            self.exact.insert(text.to_owned());
        } else {
            return Err(format!(
                "`{text}` is no number; write +4930123456, 101 or a user name"
            ));
        }
        Ok(())
    }

    fn contains(&self, number: &str) -> bool {
        let begins = || {
            (1..=number.len())
                .filter_map(|length| number.get(..length))
                .any(|head| self.prefixes.contains(head))
        };
        // Digits of one length are in the order of their numbers.
        let within = |(first, last): &(String, String)| {
            number.len() == first.len()
                && (first.as_str()..=last.as_str()).contains(&number)
                && number.bytes().skip(1).all(|byte| byte.is_ascii_digit())
        };
        self.exact.contains(number)
            || (!self.prefixes.is_empty() && begins())
            || self.ranges.iter().any(within)
    }
}

/// Lengths and names; names the wrong field.
fn check(caller: &settings::Caller) -> Result<(), (String, String)> {
    let wrong = |field: &str, message: String| Err((field.to_owned(), message));
    for (field, length, most) in [
        (".users", caller.users.len(), USERS),
        (".groups", caller.groups.len(), GROUPS),
        (".peers", caller.peers.len(), PEERS),
        (".numbers", caller.numbers.len(), NUMBERS),
        (".names", caller.names.as_ref().map_or(0, Vec::len), NAMES),
    ] {
        if length > most {
            return wrong(
                field,
                format!("has {length} entries; at most {most} are possible"),
            );
        }
    }
    if caller.users.is_empty() && caller.groups.is_empty() && caller.peers.is_empty() {
        let message = "names nobody; write `users`, `groups` or `peers`";
        return wrong("", message.to_owned());
    }
    if caller.numbers.is_empty() {
        let message = "is empty; name at least one number that may be shown";
        return wrong(".numbers", message.to_owned());
    }
    if let Some(name) = &caller.name
        && (name.is_empty() || name.len() > NAME_BYTES || name.chars().any(char::is_control))
    {
        return wrong(
            ".name",
            format!("has to be one line of 1 to {NAME_BYTES} bytes"),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_prefixes_and_ranges() {
        let mut numbers = Numbers::default();
        for text in [
            "+4930123456",
            "101",
            "reception",
            "+49301*",
            "+4940100..+4940199",
        ] {
            numbers.add(text).unwrap();
        }
        for (number, expected) in [
            ("+4930123456", true),
            ("+493012345", true),
            ("+49301", true),
            ("+49302", false),
            ("101", true),
            ("1011", false),
            ("reception", true),
            ("Reception", false),
            ("+4940099", false),
            ("+4940100", true),
            ("+4940199", true),
            ("+4940200", false),
            ("+49401000", false),
            ("+49401-9", false),
            ("", false),
        ] {
            assert_eq!(numbers.contains(number), expected, "{number}");
        }
        for wrong in [
            "",
            "*",
            "+*",
            "4*9",
            "4**",
            "+49 30",
            "+49-30",
            "a@b",
            "\"",
            "+491..+4920",
            "+492..+491",
            "491..+49",
            "a..b",
        ] {
            assert!(numbers.add(wrong).is_err(), "{wrong}");
        }
    }
}
