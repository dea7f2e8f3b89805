//! Prefix lists: the longest prefix of a number decides.

use sipward_plugin_sdk::SettingsError;

/// Prefixes in all lists together. 65,536: every rate zone of a large carrier.
const PREFIXES: usize = 65_536;

/// Characters of one prefix: a whole number, its `+` and some to spare.
const PREFIX_CHARACTERS: usize = 33;

/// What a prefix says of its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Say {
    /// They may not be dialled.
    Deny,
    /// They may, if nothing speaks against their class and country.
    Allow,
    /// They may.
    Except,
}

/// The configured prefixes.
#[derive(Debug)]
pub(crate) struct Rules {
    /// Sorted.
    prefixes: Vec<(String, Say)>,
    /// The lengths that occur, longest first.
    lengths: Vec<usize>,
}

impl Rules {
    /// Indexes prefixes; `path` leads to the keys of their settings.
    pub(crate) fn new(
        path: &str,
        allow: &[String],
        deny: &[String],
        exceptions: &[String],
    ) -> Result<Self, SettingsError> {
        let count = allow.len() + deny.len() + exceptions.len();
        if count > PREFIXES {
            let message = format!("{count} prefixes; at most {PREFIXES} are possible");
            return Err(SettingsError::new(format!("{path}allow"), message));
        }
        let mut prefixes = Vec::with_capacity(count);
        for (list, name, say) in [
            (allow, "allow", Say::Allow),
            (deny, "deny", Say::Deny),
            (exceptions, "exceptions", Say::Except),
        ] {
            for (index, prefix) in list.iter().enumerate() {
                let key = format!("{path}{name}[{index}]");
                prefixes.push((checked(&key, prefix)?, say));
            }
        }
        prefixes.sort();
        prefixes.dedup();
        // What is left twice stands in several lists.
        let mut neighbours = prefixes.iter().zip(prefixes.iter().skip(1));
        if let Some(((both, one), (_, other))) = neighbours.find(|(one, other)| one.0 == other.0) {
            // Sorted, so `Deny` comes first and `Except` last.
            let (key, too) = match (one, other) {
                (Say::Deny, Say::Except) => ("exceptions", "deny"),
                (Say::Deny, _) => ("allow", "deny"),
                _ => ("allow", "exceptions"),
            };
            let message = format!("`{both}` stands in `{too}` too; remove it from one of them");
            return Err(SettingsError::new(format!("{path}{key}"), message));
        }
        let mut lengths: Vec<_> = prefixes.iter().map(|(prefix, _)| prefix.len()).collect();
        lengths.sort_unstable_by(|one, other| other.cmp(one));
        lengths.dedup();
        Ok(Self { prefixes, lengths })
    }

    /// The longest prefix of a number, and what it says.
    pub(crate) fn longest(&self, number: &str) -> Option<(&str, Say)> {
        self.lengths.iter().find_map(|length| {
            let head = number.get(..*length)?;
            let found = self
                .prefixes
                .binary_search_by(|(prefix, _)| prefix.as_str().cmp(head));
            self.prefixes
                .get(found.ok()?)
                .map(|(prefix, say)| (prefix.as_str(), *say))
        })
    }
}

/// A prefix without separators.
fn checked(key: &str, written: &str) -> Result<String, SettingsError> {
    let prefix = written.replace(['-', '.', '(', ')', ' '], "");
    let digits = prefix.strip_prefix('+').unwrap_or(&prefix);
    let international = digits.len() < prefix.len();
    let fits = |byte: u8| byte.is_ascii_digit() || (!international && matches!(byte, b'*' | b'#'));
    match (1..=PREFIX_CHARACTERS).contains(&prefix.len()) && digits.bytes().all(fits) {
        true => Ok(prefix),
        false => Err(SettingsError::new(
            key,
            format!(
                "`{written}` is no prefix; write +49, 112 or *72, and `default` for all others"
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(allow: &[&str], deny: &[&str]) -> Result<Rules, SettingsError> {
        let owned = |list: &[&str]| {
            list.iter()
                .map(|prefix| (*prefix).to_owned())
                .collect::<Vec<_>>()
        };
        Rules::new("", &owned(allow), &owned(deny), &[])
    }

    #[test]
    fn the_longest_prefix_decides() {
        let rules = rules(&["+49", "+4990012", "*7"], &["+49900", "+"]).unwrap();
        for (number, expected) in [
            ("+4930", Some(("+49", Say::Allow))),
            ("+49900", Some(("+49900", Say::Deny))),
            ("+49900125", Some(("+4990012", Say::Allow))),
            ("+1", Some(("+", Say::Deny))),
            ("*72", Some(("*7", Say::Allow))),
            ("4930", None),
            ("", None),
        ] {
            assert_eq!(rules.longest(number), expected, "{number}");
        }
    }

    #[test]
    fn wrong_prefixes_are_named() {
        assert_eq!(rules(&["+49", ""], &[]).err().unwrap().key(), "allow[1]");
        for prefix in ["49+", "++49", "abc", "+4*", "٤٩", &"1".repeat(34)] {
            assert_eq!(
                rules(&[], &[prefix]).err().unwrap().key(),
                "deny[0]",
                "{prefix}"
            );
        }
        assert!(
            rules(&["+49", "+49"], &[]).is_ok(),
            "twice in one list is harmless"
        );
        for (allow, deny, exceptions, key) in [
            ("+49", "+1", "+49", "allow"),
            ("+49", "+1", "+1", "exceptions"),
            ("+49", "+1", "x", "exceptions[0]"),
        ] {
            let [allow, deny, exceptions] = [allow, deny, exceptions].map(|one| [one.to_owned()]);
            let error = Rules::new("rules[3].", &allow, &deny, &exceptions).unwrap_err();
            assert_eq!(error.key(), format!("rules[3].{key}"));
        }
        let both = rules(&["+49 (30)"], &["+4930"]).err().unwrap();
        assert_eq!(both.key(), "allow");
    }
}
