//! What the events of a call have to know, as an annotation.

use crate::account::Account;

/// Its key.
pub(crate) const KEY: &str = "fraud-score.call";

/// What stands there for a call that comes in.
pub(crate) const INBOUND: &str = "inbound";

/// What stands where there is no rule.
const NO_RULE: &str = "-";

/// About a call.
pub(crate) struct Note {
    /// Calls at once when it began.
    pub(crate) held: u64,
    /// Seconds after which it is long; 0 if nobody cares.
    pub(crate) long_s: u32,
    /// The rule that counts.
    pub(crate) rule: Option<String>,
    /// Who makes it.
    pub(crate) account: Account,
}

impl Note {
    pub(crate) fn write(&self) -> String {
        let rule = self.rule.as_deref().unwrap_or(NO_RULE);
        let account = self.account.name();
        // Written for each call, so without `format!`, which is three times as dear.
        let (held, long_s) = (self.held.to_string(), self.long_s.to_string());
        [&held, " ", &long_s, " ", rule, " ", account].concat()
    }

    /// `None` if it is none of ours, or about a call that comes in.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut parts = text.splitn(4, ' ');
        let held = parts.next()?.parse().ok()?;
        let long_s = parts.next()?.parse().ok()?;
        let rule = parts.next()?;
        let account = Account::noted(parts.next()?);
        Some(Self {
            held,
            long_s,
            rule: (rule != NO_RULE).then(|| rule.to_owned()),
            account,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_come_back() {
        let text = "3 7200 - user/alice of sales";
        let note = Note::read(text).unwrap();
        assert_eq!(
            (note.held, note.long_s, note.rule.as_deref()),
            (3, 7_200, None)
        );
        assert_eq!(note.write(), text);
        let ruled = Note::read("1 0 africa peer/x").unwrap();
        assert_eq!(ruled.rule.as_deref(), Some("africa"));
        assert!(Note::read(INBOUND).is_none() && Note::read("1 2 -").is_none());
    }
}
