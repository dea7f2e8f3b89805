//! All accounts, as the store has them sealed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;

use serde::{Deserialize, Serialize};
use state::digest::{AccountError, AccountsBuilder};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::NoRandomness;
use crate::account::{
    Account, GROUPS, REALMS, Summary, WrongName, check_group, check_realm, check_user,
};
use crate::ages::{Ages, MAX_AGE_DAYS};
use crate::codes::CodeTable;
use crate::pin::{Pin, PinError, generate_pin};
use crate::rules::{self, Broken, Candidate, MARK_BYTES, generate_password};
use crate::secret::Secret;
use crate::totp::{self, Digits, Totp};

/// Accounts of a store. 20,000: a large company's phones, whose book is then some 15
/// megabytes, read and written as a whole.
pub const ACCOUNTS: usize = 20_000;

/// Why the accounts cannot be changed like that. For the operator; names no secret.
#[derive(Debug, Error)]
pub enum BookError {
    /// There is one of that name.
    #[error("there is an account `{0}` already; `rotate` gives it a new password")]
    Exists(String),
    /// There is none.
    #[error("there is no account `{0}`")]
    Unknown(String),
    /// A name that cannot be one.
    #[error(transparent)]
    Name(#[from] WrongName),
    /// A ceiling.
    #[error("{what}: {most} at most")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The ceiling.
        most: usize,
    },
    /// No realm.
    #[error("an account needs a realm: the one that the plugin `digest-auth` asks for")]
    NoRealm,
    /// An age outside its bounds.
    #[error("a password can last 1 to {MAX_AGE_DAYS} days")]
    Age,
    /// The chosen password breaks rules; all of them are here.
    #[error("this password cannot be used: {}", in_words(.0))]
    Weak(Vec<Broken>),
    /// The chosen PIN.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// No randomness.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

fn in_words(broken: &[Broken]) -> String {
    let words: Vec<String> = broken.iter().map(Broken::to_string).collect();
    words.join("; ")
}

/// Where a password comes from.
#[derive(Clone, Copy)]
pub enum NewPassword<'a> {
    /// Made here; 144 bits.
    Generated,
    /// Somebody chose it, so the rules apply.
    Chosen(&'a str),
}

/// A new account.
#[derive(Clone, Copy, Debug)]
pub struct Enrolment<'a> {
    /// The user.
    pub user: &'a str,
    /// Where the password is good.
    pub realms: &'a [&'a str],
    /// Groups.
    pub groups: &'a [&'a str],
    /// Days that its passwords last, if not as many as others'.
    pub max_age_days: Option<u32>,
}

/// All accounts.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Book {
    mark_key: Secret,
    accounts: BTreeMap<String, Account>,
}

impl Book {
    /// Without anybody.
    ///
    /// # Errors
    /// No randomness for its inner key.
    pub fn new() -> Result<Self, NoRandomness> {
        Ok(Self {
            mark_key: Secret::random(MARK_BYTES)?,
            accounts: BTreeMap::new(),
        })
    }

    /// Number of accounts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.accounts.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// Adds an account. The password is returned if it was made here: this is the
    /// only time that it can be seen.
    ///
    /// # Errors
    /// See [`BookError`]; nothing has changed.
    pub fn add(
        &mut self,
        enrolment: Enrolment<'_>,
        password: NewPassword<'_>,
        now_ms: u64,
    ) -> Result<Option<Zeroizing<String>>, BookError> {
        let Enrolment {
            user,
            realms,
            groups,
            max_age_days,
        } = enrolment;
        check_user(user)?;
        check_realms(realms)?;
        let groups = checked_groups(groups)?;
        if max_age_days.is_some_and(|days| !(1..=MAX_AGE_DAYS).contains(&days)) {
            return Err(BookError::Age);
        }
        if self.accounts.contains_key(user) {
            return Err(BookError::Exists(user.to_owned()));
        }
        if self.accounts.len() >= ACCOUNTS {
            return Err(too_many("accounts of a store", ACCOUNTS));
        }
        let (text, generated) = self.take(user, realms, password)?;
        let mut account = Account::new(rules::mark(&self.mark_key, &text), now_ms);
        account.max_age_days = max_age_days;
        account.groups = groups;
        account.set_password(user, realms, &text);
        self.accounts.insert(user.to_owned(), account);
        Ok(generated.then_some(text))
    }

    /// Gives an account a new password: for its realms, or for others if any are
    /// named. Returned as by [`Book::add`].
    ///
    /// # Errors
    /// See [`BookError`]; nothing has changed.
    pub fn rotate(
        &mut self,
        user: &str,
        realms: &[&str],
        password: NewPassword<'_>,
        now_ms: u64,
    ) -> Result<Option<Zeroizing<String>>, BookError> {
        let account = self.find(user)?;
        let realms: Vec<String> = if realms.is_empty() {
            account.realms().map(str::to_owned).collect()
        } else {
            check_realms(realms)?;
            realms.iter().map(|&realm| realm.to_owned()).collect()
        };
        let realms: Vec<&str> = realms.iter().map(String::as_str).collect();
        let (text, generated) = self.take(user, &realms, password)?;
        let mark = rules::mark(&self.mark_key, &text);
        let account = self.find_mut(user)?;
        account.set_password(user, &realms, &text);
        account.mark = mark;
        account.changed_ms = now_ms;
        Ok(generated.then_some(text))
    }

    /// The text of a new password, and whether it was made here.
    fn take(
        &self,
        user: &str,
        realms: &[&str],
        password: NewPassword<'_>,
    ) -> Result<(Zeroizing<String>, bool), BookError> {
        let NewPassword::Chosen(text) = password else {
            return Ok((generate_password()?, true));
        };
        let mut broken = rules::broken(Candidate {
            user,
            realms,
            password: text,
        });
        let mark = rules::mark(&self.mark_key, text);
        for (name, _) in self
            .accounts
            .iter()
            .filter(|(_, account)| account.mark == mark)
        {
            let rule = if name == user {
                Broken::Unchanged
            } else {
                Broken::InUse
            };
            if !broken.contains(&rule) {
                broken.push(rule);
            }
        }
        if broken.is_empty() {
            Ok((Zeroizing::new(text.to_owned()), false))
        } else {
            Err(BookError::Weak(broken))
        }
    }

    /// Gives an account a PIN: this one, or one that is made here and returned.
    ///
    /// # Errors
    /// See [`BookError`]; nothing has changed.
    pub fn set_pin(
        &mut self,
        user: &str,
        digits: Option<&str>,
    ) -> Result<Option<Zeroizing<String>>, BookError> {
        let account = self.find_mut(user)?;
        if let Some(digits) = digits {
            account.pin = Some(Pin::new(user, digits)?);
            return Ok(None);
        }
        loop {
            let digits = generate_pin()?;
            match Pin::new(user, &digits) {
                // By chance a part of the user's number.
                Err(PinError::Easy) => {}
                other => {
                    account.pin = Some(other?);
                    return Ok(Some(digits));
                }
            }
        }
    }

    /// Gives an account a new secret for one-time codes. The `otpauth:` URI is
    /// returned: this is the only time that it can be seen.
    ///
    /// # Errors
    /// See [`BookError`]; nothing has changed.
    pub fn set_totp(
        &mut self,
        user: &str,
        digits: Digits,
        now_ms: u64,
    ) -> Result<Zeroizing<String>, BookError> {
        let account = self.find_mut(user)?;
        let secret = Totp::generate(digits, now_ms)?;
        let issuer = account.realms().next().unwrap_or("sipward").to_owned();
        let uri = totp::uri(&secret, user, &issuer);
        account.totp = Some(secret);
        Ok(uri)
    }

    /// Takes PIN and one-time codes from an account.
    ///
    /// # Errors
    /// There is none.
    pub fn clear_codes(&mut self, user: &str) -> Result<(), BookError> {
        let account = self.find_mut(user)?;
        account.pin = None;
        account.totp = None;
        Ok(())
    }

    /// Puts an account into these groups and no others.
    ///
    /// # Errors
    /// See [`BookError`]; nothing has changed.
    pub fn set_groups(&mut self, user: &str, groups: &[&str]) -> Result<(), BookError> {
        let groups = checked_groups(groups)?;
        self.find_mut(user)?.groups = groups;
        Ok(())
    }

    /// Closes an account, or opens it again.
    ///
    /// # Errors
    /// There is none.
    pub fn set_disabled(&mut self, user: &str, disabled: bool) -> Result<(), BookError> {
        self.find_mut(user)?.disabled = disabled;
        Ok(())
    }

    /// Forgets an account.
    ///
    /// # Errors
    /// There is none.
    pub fn remove(&mut self, user: &str) -> Result<(), BookError> {
        let removed = self.accounts.remove(user);
        removed
            .map(drop)
            .ok_or_else(|| BookError::Unknown(user.to_owned()))
    }

    /// What may be known of each account, in alphabetical order.
    #[must_use]
    pub fn summaries(&self, ages: &Ages, now_ms: u64) -> Vec<Summary> {
        self.accounts
            .iter()
            .map(|(user, account)| account.summary(user, ages, now_ms))
            .collect()
    }

    /// Adds all accounts to those who may authenticate, with the times from which on
    /// they may not.
    ///
    /// # Errors
    /// One is there already.
    pub fn enrol(&self, ages: &Ages, builder: &mut AccountsBuilder) -> Result<(), AccountError> {
        self.accounts
            .iter()
            .try_for_each(|(user, account)| account.enrol(user, ages, builder))
    }

    /// What dialled codes are checked against.
    #[must_use]
    pub fn codes(&self, ages: &Ages) -> CodeTable {
        let mut table = CodeTable::default();
        for (user, account) in &self.accounts {
            table.insert(
                user,
                account.pin.clone(),
                account.totp.clone(),
                account.closes_ms(ages),
            );
        }
        table
    }

    /// Who is in which groups.
    #[must_use]
    pub fn members(&self) -> Members {
        let in_groups = self
            .accounts
            .iter()
            .filter(|(_, account)| !account.groups.is_empty());
        Members(
            in_groups
                .map(|(user, account)| (user.clone(), account.groups.iter().cloned().collect()))
                .collect(),
        )
    }

    /// As the store seals it.
    pub(crate) fn to_text(&self) -> io::Result<Zeroizing<Vec<u8>>> {
        // Measured first: a buffer that grows would leave copies behind.
        let mut length = Length(0);
        serde_json::to_writer(&mut length, self)?;
        let mut text = Zeroizing::new(Vec::with_capacity(length.0));
        serde_json::to_writer(&mut *text, self)?;
        Ok(text)
    }

    /// `None`: not what [`Book::to_text`] writes.
    pub(crate) fn from_text(text: &[u8]) -> Option<Self> {
        let book: Self = serde_json::from_slice(text).ok()?;
        let sound = book.mark_key.bytes().len() == MARK_BYTES
            && book.accounts.len() <= ACCOUNTS
            && book
                .accounts
                .iter()
                .all(|(user, account)| account.is_sound(user));
        sound.then_some(book)
    }

    fn find(&self, user: &str) -> Result<&Account, BookError> {
        self.accounts
            .get(user)
            .ok_or_else(|| BookError::Unknown(user.to_owned()))
    }

    fn find_mut(&mut self, user: &str) -> Result<&mut Account, BookError> {
        self.accounts
            .get_mut(user)
            .ok_or_else(|| BookError::Unknown(user.to_owned()))
    }
}

/// Which groups the store names a user in.
#[derive(Clone, Debug, Default)]
pub struct Members(HashMap<String, Box<[String]>>);

impl Members {
    /// The groups of an identity, in alphabetical order; none for one that is not
    /// known.
    #[must_use]
    pub fn groups_of(&self, identity: &str) -> &[String] {
        self.0.get(identity).map_or(&[], |groups| groups)
    }

    /// Everybody who is in a group, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0
            .iter()
            .map(|(user, groups)| (user.as_str(), &**groups))
    }
}

fn check_realms(realms: &[&str]) -> Result<(), BookError> {
    if realms.is_empty() {
        return Err(BookError::NoRealm);
    }
    if realms.len() > REALMS {
        return Err(too_many("realms of an account", REALMS));
    }
    Ok(realms.iter().try_for_each(|realm| check_realm(realm))?)
}

fn checked_groups(groups: &[&str]) -> Result<BTreeSet<String>, BookError> {
    groups.iter().try_for_each(|group| check_group(group))?;
    let groups: BTreeSet<String> = groups.iter().map(|&group| group.to_owned()).collect();
    if groups.len() > GROUPS {
        return Err(too_many("groups of an account", GROUPS));
    }
    Ok(groups)
}

fn too_many(what: &'static str, most: usize) -> BookError {
    BookError::TooMany { what, most }
}

/// Counts what is written.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
