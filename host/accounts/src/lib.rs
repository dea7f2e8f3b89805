//! Who may authenticate: the encrypted store of accounts, the rules for its
//! passwords, and the codes that their holders dial.
//!
//! - `store`: the file on disk, replaced in one step; `seal`: its encryption;
//!   `key`: the key that opens it;
//! - `book`: all accounts; `account`: one of them; `ages`: when a password expires;
//! - `rules`: which passwords are taken, and how they are generated;
//! - `pin`, `totp` (RFC 6238): one code each; `codes`: checking what was dialled;
//! - `secret`: bytes that are wiped and never shown.
//!
//! Digest verification itself is in [`state::digest`]; a [`Book`] enters its
//! accounts there with [`Book::enrol`]. Time is an argument: milliseconds since
//! 1970-01-01T00:00:00Z.

mod account;
mod ages;
mod book;
mod codes;
mod key;
mod pin;
mod rules;
mod seal;
mod secret;
mod store;
mod totp;

pub use account::{
    GROUP_BYTES, GROUPS, REALMS, Summary, USER_BYTES, WrongName, check_group, check_realm,
    check_user,
};
pub use ages::{Ages, MAX_AGE_DAYS, Standing};
pub use book::{ACCOUNTS, Book, BookError, Enrolment, Members, NewPassword};
pub use codes::{CHECKS_BURST, CHECKS_PER_SECOND, CodeTable, Codes, Dialled, GUESSES_BURST};
pub use key::{KeyError, StoreKey};
pub use pin::{PIN_DIGITS, PIN_ITERATIONS, PinError, generate_pin};
pub use rules::{Broken, CHARACTERS, GENERATED_BITS, PASSWORD_BYTES, SCORE, generate_password};
pub use seal::SealError;
pub use store::{STORE_BYTES, StoreError, StoreFile};
pub use totp::Digits;

/// The system gave no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no randomness")]
pub struct NoRandomness;
