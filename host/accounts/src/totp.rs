//! Time-based one-time passwords: RFC 6238 with HMAC-SHA-1, steps of 30 seconds and
//! six or eight digits, over HOTP (RFC 4226).

use std::fmt::Write as _;

use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::NoRandomness;
use crate::secret::Secret;

/// Bytes of a secret: as RFC 4226 section 4 recommends, and as long as the hash.
pub(crate) const SECRET_BYTES: usize = 20;

/// Milliseconds of a step.
const STEP_MS: u64 = 30_000;

/// Digits of a code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum Digits {
    /// What every authenticator shows.
    #[default]
    Six,
    /// For those that can.
    Eight,
}

impl From<Digits> for u8 {
    fn from(digits: Digits) -> Self {
        match digits {
            Digits::Six => 6,
            Digits::Eight => 8,
        }
    }
}

impl TryFrom<u8> for Digits {
    type Error = &'static str;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        match number {
            6 => Ok(Self::Six),
            8 => Ok(Self::Eight),
            _ => Err("a one-time code has 6 or 8 digits"),
        }
    }
}

/// An account's secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Totp {
    secret: Secret,
    digits: Digits,
    /// When it was made. What was used of an older secret does not count for it.
    pub(crate) made_ms: u64,
}

impl Totp {
    /// A new secret.
    ///
    /// # Errors
    /// No randomness.
    pub(crate) fn generate(digits: Digits, now_ms: u64) -> Result<Self, NoRandomness> {
        Ok(Self {
            secret: Secret::random(SECRET_BYTES)?,
            digits,
            made_ms: now_ms,
        })
    }

    /// The step of a code that is right now, or one step early or late. All three are
    /// computed and compared whatever the code is.
    pub(crate) fn step_of(&self, code: &str, now_ms: u64) -> Option<u64> {
        let now = step(now_ms);
        let mut found = None;
        for step in [now.saturating_sub(1), now, now.saturating_add(1)] {
            let expected = self.code(step);
            if bool::from(expected.as_bytes().ct_eq(code.as_bytes())) {
                found = Some(step);
            }
        }
        found
    }

    /// The code of a step: RFC 4226 section 5.3.
    pub(crate) fn code(&self, step: u64) -> Zeroizing<String> {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, self.secret.bytes());
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let tag = tag.as_ref();
        let offset = usize::from(tag.last().copied().unwrap_or_default() & 0x0f);
        let chosen = tag.get(offset..offset + 4).unwrap_or_default();
        let number = chosen
            .iter()
            .fold(0_u32, |number, byte| number << 8 | u32::from(*byte))
            & 0x7fff_ffff;
        Zeroizing::new(match self.digits {
            Digits::Six => format!("{:06}", number % 1_000_000),
            Digits::Eight => format!("{:08}", number % 100_000_000),
        })
    }

    /// Whether it has the lengths of this format.
    pub(crate) fn is_sound(&self) -> bool {
        self.secret.bytes().len() == SECRET_BYTES
    }
}

/// The step of a time.
pub(crate) fn step(now_ms: u64) -> u64 {
    now_ms / STEP_MS
}

/// What an authenticator is given: the URI of its "Key Uri Format", with all that RFC
/// 6238 leaves open. As secret as the secret in it.
pub(crate) fn uri(totp: &Totp, user: &str, issuer: &str) -> Zeroizing<String> {
    let (user, issuer) = (percent(user), percent(issuer));
    let secret = base32(totp.secret.bytes());
    Zeroizing::new(format!(
        "otpauth://totp/{issuer}:{user}?secret={}&issuer={issuer}&algorithm=SHA1&digits={}&period=30",
        *secret,
        u8::from(totp.digits),
    ))
}

fn percent(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            written.push(char::from(byte));
        } else {
            // A string takes whatever is written.
            let _infallible = write!(written, "%{byte:02X}");
        }
    }
    written
}

/// RFC 4648 section 6, without padding.
fn base32(bytes: &[u8]) -> Zeroizing<String> {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 8 / 5 + 1));
    for chunk in bytes.chunks(5) {
        let bits = chunk.iter().enumerate().fold(0_u64, |bits, (index, byte)| {
            bits | u64::from(*byte) << (32 - 8 * index)
        });
        for index in 0..(chunk.len() * 8).div_ceil(5) {
            let place = usize::try_from(bits >> (35 - 5 * index) & 31).unwrap_or_default();
            text.extend(ALPHABET.get(place).copied().map(char::from));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rfc6238(digits: Digits) -> Totp {
        Totp {
            secret: Secret::copy_of(b"12345678901234567890"),
            digits,
            made_ms: 0,
        }
    }

    /// RFC 6238 appendix B, the rows of SHA-1.
    #[test]
    fn rfc6238_vectors() {
        for (seconds, code) in [
            (59_u64, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            let at = step(seconds * 1_000);
            assert_eq!(*rfc6238(Digits::Eight).code(at), code);
            assert_eq!(*rfc6238(Digits::Six).code(at), code[2..]);
        }
    }

    /// RFC 4226 appendix D.
    #[test]
    fn rfc4226_vectors() {
        let totp = rfc6238(Digits::Six);
        for (count, code) in [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583",
            "399871", "520489",
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(*totp.code(u64::try_from(count).unwrap()), code);
        }
    }

    #[test]
    fn one_step_early_or_late_is_taken_and_two_are_not() {
        let totp = rfc6238(Digits::Six);
        let now = 1_234_567_890_000;
        let at = step(now);
        for (of, found) in [
            (at - 2, None),
            (at - 1, Some(at - 1)),
            (at, Some(at)),
            (at + 1, Some(at + 1)),
            (at + 2, None),
        ] {
            assert_eq!(totp.step_of(&totp.code(of), now), found);
        }
        for wrong in ["", "5924", "89005924", "00000a"] {
            assert_eq!(totp.step_of(wrong, now), None);
        }
        // The first step of all has none before it.
        assert_eq!(totp.step_of(&totp.code(0), 0), Some(0));
    }

    /// RFC 4648 section 10.
    #[test]
    fn base32_vectors() {
        for (text, expected) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(*base32(text.as_bytes()), expected);
        }
    }

    #[test]
    fn the_uri_names_everything() {
        let uri = uri(&rfc6238(Digits::Eight), "al ice@x", "pbx.example.com");
        assert_eq!(
            *uri,
            "otpauth://totp/pbx.example.com:al%20ice%40x?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=pbx.example.com&algorithm=SHA1&digits=8&period=30"
        );
    }

    #[test]
    fn a_secret_is_not_shown() {
        let shown = format!("{:?}", rfc6238(Digits::Six));
        assert_eq!(shown, "Totp { secret: Secret, digits: Six, made_ms: 0 }");
    }
}
