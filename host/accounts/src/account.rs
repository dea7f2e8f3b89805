//! One account: names, hashes, age, groups and codes.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use state::digest::{AccountError, AccountsBuilder, Algorithm, Lapse};
use thiserror::Error;

use crate::ages::{Ages, Standing};
use crate::pin::Pin;
use crate::rules::MARK_BYTES;
use crate::secret::Secret;
use crate::totp::Totp;

/// Bytes of a user name, and of a realm: as many as digest verification takes.
pub const USER_BYTES: usize = 256;

/// Realms of one account. 8: more than the sites of a company that shares passwords
/// between them.
pub const REALMS: usize = 8;

/// Groups of one account. 32: each is a fact that policies go through.
pub const GROUPS: usize = 32;

/// Bytes of a group's name.
pub const GROUP_BYTES: usize = 64;

/// A name that cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the {what} `{name}` must have 1 to {most} bytes{besides}")]
pub struct WrongName {
    what: &'static str,
    name: String,
    most: usize,
    besides: &'static str,
}

/// Whether a text can be a user name: a colon would make its hashes ambiguous (RFC
/// 7616 section 3.4.2).
///
/// # Errors
/// It cannot.
pub fn check_user(name: &str) -> Result<(), WrongName> {
    let besides = ", no colon and no control characters";
    check("user name", name, USER_BYTES, besides, |character| {
        character != ':'
    })
}

/// Whether a text can be a realm.
///
/// # Errors
/// It cannot.
pub fn check_realm(name: &str) -> Result<(), WrongName> {
    let besides = ", no quotes, no backslash and no control characters";
    check("realm", name, USER_BYTES, besides, |character| {
        !matches!(character, '"' | '\\')
    })
}

/// Whether a text can be a group's name.
///
/// # Errors
/// It cannot.
pub fn check_group(name: &str) -> Result<(), WrongName> {
    let besides = ", no blanks and no control characters";
    check("group", name, GROUP_BYTES, besides, |character| {
        !character.is_whitespace()
    })
}

fn check(
    what: &'static str,
    name: &str,
    most: usize,
    besides: &'static str,
    good: impl Fn(char) -> bool,
) -> Result<(), WrongName> {
    let fits = (1..=most).contains(&name.len())
        && name
            .chars()
            .all(|character| !character.is_control() && good(character));
    if fits {
        return Ok(());
    }
    Err(WrongName {
        what,
        name: name
            .chars()
            .take(most)
            .collect::<String>()
            .escape_debug()
            .to_string(),
        most,
        besides,
    })
}

/// HA1 for one realm: RFC 7616 section 3.4.2 with the algorithms of RFC 8760.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hashes {
    md5: Secret,
    sha256: Secret,
    sha512_256: Secret,
}

impl Hashes {
    fn new(user: &str, realm: &str, password: &str) -> Self {
        let hash = |algorithm: Algorithm| {
            Secret::copy_of(&algorithm.ha1(user, realm, password.as_bytes()))
        };
        Self {
            md5: hash(Algorithm::Md5),
            sha256: hash(Algorithm::Sha256),
            sha512_256: hash(Algorithm::Sha512_256),
        }
    }

    fn of(&self, algorithm: Algorithm) -> &Secret {
        match algorithm {
            Algorithm::Md5 => &self.md5,
            Algorithm::Sha256 => &self.sha256,
            Algorithm::Sha512_256 => &self.sha512_256,
        }
    }
}

/// An account as the book has it, under its user name.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Account {
    realms: BTreeMap<String, Hashes>,
    /// Tells whether another account has the same password.
    pub(crate) mark: Secret,
    pub(crate) changed_ms: u64,
    pub(crate) max_age_days: Option<u32>,
    pub(crate) disabled: bool,
    pub(crate) groups: BTreeSet<String>,
    pub(crate) pin: Option<Pin>,
    pub(crate) totp: Option<Totp>,
}

/// What an operator may know of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The user.
    pub user: String,
    /// Where the password is good, in alphabetical order.
    pub realms: Vec<String>,
    /// Groups, in alphabetical order.
    pub groups: Vec<String>,
    /// When the password was set.
    pub changed_ms: u64,
    /// From when on it is no longer taken.
    pub expires_ms: u64,
    /// How it stands.
    pub standing: Standing,
    /// Whether it has a PIN.
    pub pin: bool,
    /// Whether it has a secret for one-time codes.
    pub totp: bool,
}

impl Account {
    /// An account with a password and no codes.
    pub(crate) fn new(mark: Secret, now_ms: u64) -> Self {
        Self {
            realms: BTreeMap::new(),
            mark,
            changed_ms: now_ms,
            max_age_days: None,
            disabled: false,
            groups: BTreeSet::new(),
            pin: None,
            totp: None,
        }
    }

    /// Sets the password for these realms and no others.
    pub(crate) fn set_password(&mut self, user: &str, realms: &[&str], password: &str) {
        self.realms = realms
            .iter()
            .map(|realm| ((*realm).to_owned(), Hashes::new(user, realm, password)))
            .collect();
    }

    pub(crate) fn realms(&self) -> impl Iterator<Item = &str> {
        self.realms.keys().map(String::as_str)
    }

    pub(crate) fn expires_ms(&self, ages: &Ages) -> u64 {
        ages.expires_ms(self.changed_ms, self.max_age_days)
    }

    /// From when on nothing of it is taken.
    pub(crate) fn closes_ms(&self, ages: &Ages) -> u64 {
        if self.disabled {
            0
        } else {
            self.expires_ms(ages)
        }
    }

    pub(crate) fn summary(&self, user: &str, ages: &Ages, now_ms: u64) -> Summary {
        let expires_ms = self.expires_ms(ages);
        let standing = if self.disabled {
            Standing::Disabled
        } else {
            ages.standing(expires_ms, now_ms)
        };
        Summary {
            user: user.to_owned(),
            realms: self.realms().map(str::to_owned).collect(),
            groups: self.groups.iter().cloned().collect(),
            changed_ms: self.changed_ms,
            expires_ms,
            standing,
            pin: self.pin.is_some(),
            totp: self.totp.is_some(),
        }
    }

    /// Adds it to those who may authenticate.
    pub(crate) fn enrol(
        &self,
        user: &str,
        ages: &Ages,
        builder: &mut AccountsBuilder,
    ) -> Result<(), AccountError> {
        let lapse = if self.disabled {
            Lapse::Disabled
        } else {
            Lapse::Expired
        };
        for (realm, hashes) in &self.realms {
            for algorithm in Algorithm::ALL {
                builder.hash(user, realm, algorithm, hashes.of(algorithm).bytes())?;
            }
            builder.closes(user, realm, lapse, self.closes_ms(ages));
        }
        Ok(())
    }

    /// Whether everything has its length and stays within its ceiling.
    pub(crate) fn is_sound(&self, user: &str) -> bool {
        let hashes = self.realms.iter().all(|(realm, hashes)| {
            let fits =
                |algorithm: Algorithm| hashes.of(algorithm).bytes().len() == algorithm.hash_bytes();
            check_realm(realm).is_ok() && Algorithm::ALL.into_iter().all(fits)
        });
        check_user(user).is_ok()
            && hashes
            && (1..=REALMS).contains(&self.realms.len())
            && self.groups.len() <= GROUPS
            && self.groups.iter().all(|group| check_group(group).is_ok())
            && self.mark.bytes().len() == MARK_BYTES
            && self.pin.iter().all(Pin::is_sound)
            && self.totp.iter().all(Totp::is_sound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_on_both_sides_of_their_bounds() {
        for (name, good) in [
            ("", false),
            ("a", true),
            ("+4930123456", true),
            ("a:b", false),
            ("a\nb", false),
            (&"x".repeat(USER_BYTES), true),
            (&"x".repeat(USER_BYTES + 1), false),
        ] {
            assert_eq!(check_user(name).is_ok(), good, "{name:?}");
        }
        assert!(check_realm("a:b").is_ok());
        assert!(check_realm("a\"b").is_err());
        assert!(check_group("night shift").is_err());
        assert!(check_group(&"g".repeat(GROUP_BYTES)).is_ok());
        assert!(check_group(&"g".repeat(GROUP_BYTES + 1)).is_err());
        assert_eq!(
            check_user("a\tb").unwrap_err().to_string(),
            "the user name `a\\tb` must have 1 to 256 bytes, no colon and no control characters"
        );
    }
}
