//! Prefix lists: the longest prefix of a number decides.

use sipward_plugin_sdk::SettingsError;

/// Prefixes in both lists together. 65,536: every rate zone of a large carrier.
const PREFIXES: usize = 65_536;

/// Characters of one prefix: a whole number, its `+` and some to spare.
const PREFIX_CHARACTERS: usize = 33;

/// The configured lists.
pub(crate) struct Rules {
    /// Sorted; whether the prefix is allowed.
    prefixes: Vec<(String, bool)>,
    /// The lengths that occur, longest first.
    lengths: Vec<usize>,
}

impl Rules {
    pub(crate) fn new(allow: &[String], deny: &[String]) -> Result<Self, SettingsError> {
        let count = allow.len().saturating_add(deny.len());
        if count > PREFIXES {
            let message = format!("{count} prefixes; at most {PREFIXES} are possible");
            return Err(SettingsError::new("allow", message));
        }
        let mut prefixes = Vec::with_capacity(count);
        for (list, name, allowed) in [(allow, "allow", true), (deny, "deny", false)] {
            for (index, prefix) in list.iter().enumerate() {
                prefixes.push((checked(&format!("{name}[{index}]"), prefix)?, allowed));
            }
        }
        prefixes.sort();
        prefixes.dedup();
        // What is left twice stands in both lists.
        let mut neighbours = prefixes.iter().zip(prefixes.iter().skip(1));
        if let Some(((both, _), _)) = neighbours.find(|(one, other)| one.0 == other.0) {
            let message = format!("`{both}` stands in `deny` too; remove it from one of them");
            return Err(SettingsError::new("allow", message));
        }
        let mut lengths: Vec<_> = prefixes.iter().map(|(prefix, _)| prefix.len()).collect();
        lengths.sort_unstable_by(|one, other| other.cmp(one));
        lengths.dedup();
        Ok(Self { prefixes, lengths })
    }

    /// The longest prefix of a number, and whether it is allowed.
    pub(crate) fn longest(&self, number: &str) -> Option<(&str, bool)> {
        self.lengths.iter().find_map(|length| {
            let head = number.get(..*length)?;
            let found = self
                .prefixes
                .binary_search_by(|(prefix, _)| prefix.as_str().cmp(head));
            self.prefixes
                .get(found.ok()?)
                .map(|(prefix, allowed)| (prefix.as_str(), *allowed))
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
        Rules::new(&owned(allow), &owned(deny))
    }

    #[test]
    fn the_longest_prefix_decides() {
        let rules = rules(&["+49", "+4990012", "*7"], &["+49900", "+"]).unwrap();
        for (number, expected) in [
            ("+4930", Some(("+49", true))),
            ("+49900", Some(("+49900", false))),
            ("+49900125", Some(("+4990012", true))),
            ("+1", Some(("+", false))),
            ("*72", Some(("*7", true))),
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
        let both = rules(&["+49 (30)"], &["+4930"]).err().unwrap();
        assert_eq!(both.key(), "allow");
    }
}
