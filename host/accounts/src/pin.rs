//! A PIN: some digits, kept as a salted slow hash.
//!
//! A million PINs can be tried by any hash, however slow, once it is known. So what
//! keeps a PIN is the encryption of the store, and the limits on guesses; the slow
//! hash is for the copy of a heap that lies about. It is computed on the thread that
//! decides about calls, so its cost is chosen for that: see [`PIN_ITERATIONS`].

use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::NoRandomness;
use crate::secret::Secret;

/// Digits that a PIN may have.
pub const PIN_DIGITS: std::ops::RangeInclusive<usize> = 6..=12;

/// Digits of a generated PIN.
const GENERATED: usize = 6;

/// Rounds of PBKDF2-HMAC-SHA256 (RFC 8018): about a millisecond with the SHA
/// instructions of a processor of today. Part of the store's format.
pub const PIN_ITERATIONS: u32 = 10_000;

const SALT: usize = 16;
const HASH: usize = 32;

/// Why a PIN is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PinError {
    /// Letters, or too few or too many digits.
    #[error("a PIN has {} to {} digits", PIN_DIGITS.start(), PIN_DIGITS.end())]
    Digits,
    /// One digit again and again, a run up or down, or the end of the user name.
    #[error("the PIN is too easy: one digit again and again, a run, or the user name")]
    Easy,
    /// No randomness.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

/// What is kept of a PIN.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pin {
    salt: Secret,
    hash: Secret,
}

impl Pin {
    /// Of a PIN that somebody chose.
    ///
    /// # Errors
    /// See [`PinError`].
    pub(crate) fn new(user: &str, digits: &str) -> Result<Self, PinError> {
        if !PIN_DIGITS.contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit())
        {
            return Err(PinError::Digits);
        }
        if is_easy(digits) || user.contains(digits) {
            return Err(PinError::Easy);
        }
        Ok(Self::of(digits)?)
    }

    /// What nobody's PIN is measured against, so that it takes as long.
    ///
    /// # Errors
    /// No randomness.
    pub(crate) fn nobody() -> Result<Self, NoRandomness> {
        Ok(Self {
            salt: Secret::random(SALT)?,
            hash: Secret::random(HASH)?,
        })
    }

    fn of(digits: &str) -> Result<Self, NoRandomness> {
        let salt = Secret::random(SALT)?;
        let hash = slow(&salt, digits);
        Ok(Self { salt, hash })
    }

    /// Whether these are the digits, in a time that does not depend on it.
    pub(crate) fn matches(&self, digits: &str) -> bool {
        let hash = slow(&self.salt, digits);
        hash.bytes().ct_eq(self.hash.bytes()).into()
    }

    /// Whether it has the lengths of this format.
    pub(crate) fn is_sound(&self) -> bool {
        self.salt.bytes().len() == SALT && self.hash.bytes().len() == HASH
    }
}

fn slow(salt: &Secret, digits: &str) -> Secret {
    Secret::filled(HASH, |hash| {
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            NonZeroU32::MIN.saturating_add(PIN_ITERATIONS - 1),
            salt.bytes(),
            digits.as_bytes(),
            hash,
        );
    })
}

fn is_easy(digits: &str) -> bool {
    let mut steps = digits
        .bytes()
        .zip(digits.bytes().skip(1))
        .map(|(one, next)| i16::from(next) - i16::from(one));
    let Some(first) = steps.next() else {
        return true;
    };
    matches!(first, -1..=1) && steps.all(|step| step == first)
}

/// Six random digits that are not easy to guess.
///
/// # Errors
/// The system has no randomness.
pub fn generate_pin() -> Result<Zeroizing<String>, NoRandomness> {
    loop {
        let mut pin = Zeroizing::new(String::with_capacity(GENERATED));
        while pin.len() < GENERATED {
            let random = Secret::random(GENERATED)?;
            // 250 is a multiple of ten: what is above would make low digits likelier.
            let fair = random.bytes().iter().filter(|byte| **byte < 250);
            let missing = GENERATED - pin.len();
            pin.extend(fair.take(missing).map(|byte| char::from(b'0' + byte % 10)));
        }
        if !is_easy(&pin) {
            return Ok(pin);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_matches_itself_alone() {
        let pin = Pin::new("alice", "492817").unwrap();
        assert!(pin.is_sound());
        assert!(pin.matches("492817"));
        for wrong in ["492818", "49281", "4928170", ""] {
            assert!(!pin.matches(wrong), "{wrong}");
        }
        let again = Pin::new("alice", "492817").unwrap();
        assert!(pin.hash != again.hash, "salted");
        assert!(!Pin::nobody().unwrap().matches("492817"));
        assert!(!format!("{pin:?}").contains("492817"));
    }

    #[test]
    fn both_sides_of_the_lengths() {
        for (digits, good) in [
            ("49281", false),
            ("492817", true),
            ("492817492817", true),
            ("4928174928174", false),
            ("49281x", false),
            ("٤٩٢٨١٧", false),
        ] {
            assert_eq!(Pin::new("alice", digits).is_ok(), good, "{digits}");
        }
    }

    #[test]
    fn easy_ones_are_refused() {
        for (user, digits) in [
            ("alice", "777777"),
            ("alice", "123456"),
            ("alice", "987654"),
            ("+49301234987", "234987"),
        ] {
            assert_eq!(Pin::new(user, digits).unwrap_err(), PinError::Easy);
        }
    }

    #[test]
    fn generated_ones_have_six_digits_and_are_taken() {
        for _ in 0..5 {
            let pin = generate_pin().unwrap();
            assert_eq!(pin.len(), GENERATED);
            Pin::new("alice", &pin).unwrap();
        }
    }
}
