//! The store's file: a header in clear, then AES-256-GCM.
//!
//! ```text
//!  0        8       10     11     12            44            60
//!  ┌────────┬───────┬──────┬──────┬─────────────┬─────────────┬──────────────┐
//!  │SIPWACCT│version│cipher│ zero │ salt        │ key check   │ ciphertext,  │
//!  │        │ 0,1   │  1   │      │ 32 bytes    │ 16 bytes    │ tag 16 bytes │
//!  └────────┴───────┴──────┴──────┴─────────────┴─────────────┴──────────────┘
//! ```
//!
//! Each writing has a salt of its own. From it and the operator's key HKDF-SHA256
//! (RFC 5869) derives the cipher's key, which is therefore used once and needs no
//! nonce of its own, and the key check, which tells a wrong key from a damaged file.
//! The header is authenticated with the rest.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::NoRandomness;
use crate::key::StoreKey;

const MAGIC: &[u8; 8] = b"SIPWACCT";
const VERSION: [u8; 2] = [0, 1];
const AES_256_GCM_ID: u8 = 1;
const SALT: usize = 32;
const CHECK: usize = 16;
const TAG: usize = 16;
const PREFIX: usize = 12;
const HEADER: usize = PREFIX + SALT + CHECK;

/// Why a sealed file cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SealError {
    /// It does not begin as a store does.
    #[error("it is no store of accounts")]
    NoStore,
    /// A later version wrote it.
    #[error("it has format {0}, and this version knows format 1 only")]
    Version(u16),
    /// It was sealed with another key.
    #[error("it was written with another key")]
    WrongKey,
    /// It was changed or cut off.
    #[error("it is damaged; bring it back from a backup")]
    Damaged,
    /// No randomness for the salt.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

/// Seals a text.
///
/// # Errors
/// There is no randomness.
pub(crate) fn seal(key: &StoreKey, text: &[u8]) -> Result<Vec<u8>, SealError> {
    let mut salt = [0; SALT];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| NoRandomness)?;
    let derived = Derived::new(key, &salt)?;
    let mut header = Vec::with_capacity(HEADER + text.len() + TAG);
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(&VERSION);
    header.extend_from_slice(&[AES_256_GCM_ID, 0]);
    header.extend_from_slice(&salt);
    header.extend_from_slice(&derived.check);
    // Encrypted where it is wiped, and only then copied.
    let mut body = Zeroizing::new(text.to_vec());
    let tag = derived
        .cipher
        .seal_in_place_separate_tag(nonce(), Aad::from(&header), &mut body)
        .map_err(|_| SealError::Damaged)?;
    header.extend_from_slice(&body);
    header.extend_from_slice(tag.as_ref());
    Ok(header)
}

/// Opens what [`seal`] made.
///
/// # Errors
/// See [`SealError`]. Nothing of the text is returned unless all of it is sound.
pub(crate) fn open(key: &StoreKey, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let (header, body) = sealed.split_at_checked(HEADER).ok_or(match sealed {
        short if short.starts_with(MAGIC) => SealError::Damaged,
        _ => SealError::NoStore,
    })?;
    let (prefix, rest) = header.split_at_checked(PREFIX).ok_or(SealError::NoStore)?;
    let (salt, check) = rest.split_at_checked(SALT).ok_or(SealError::NoStore)?;
    let version = match prefix.strip_prefix(MAGIC) {
        Some(&[high, low, cipher, zero]) => {
            let version = u16::from_be_bytes([high, low]);
            if version == 1 && (cipher, zero) != (AES_256_GCM_ID, 0) {
                return Err(SealError::Damaged);
            }
            version
        }
        _ => return Err(SealError::NoStore),
    };
    if version != 1 {
        return Err(SealError::Version(version));
    }
    let derived = Derived::new(key, salt)?;
    if !bool::from(derived.check.as_slice().ct_eq(check)) {
        return Err(SealError::WrongKey);
    }
    let mut text = Zeroizing::new(body.to_vec());
    let length = derived
        .cipher
        .open_in_place(nonce(), Aad::from(header), &mut text)
        .map_err(|_| SealError::Damaged)?
        .len();
    text.truncate(length);
    Ok(text)
}

/// The same each time: a key seals one file once.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

struct Derived {
    cipher: LessSafeKey,
    check: [u8; CHECK],
}

impl Derived {
    fn new(key: &StoreKey, salt: &[u8]) -> Result<Self, SealError> {
        let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(key.bytes());
        let cipher = secret
            .expand(&[b"sipward accounts 1 cipher"], &AES_256_GCM)
            .map(UnboundKey::from)
            .map_err(|_| SealError::Damaged)?;
        let mut check = [0; CHECK];
        secret
            .expand(&[b"sipward accounts 1 check"], CheckLength)
            .and_then(|okm| okm.fill(&mut check))
            .map_err(|_| SealError::Damaged)?;
        Ok(Self {
            cipher: LessSafeKey::new(cipher),
            check,
        })
    }
}

struct CheckLength;

impl hkdf::KeyType for CheckLength {
    fn len(&self) -> usize {
        CHECK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(digit: &str) -> StoreKey {
        StoreKey::from_text(&digit.repeat(64), "test").unwrap()
    }

    #[test]
    fn what_was_sealed_opens_and_no_two_seals_are_alike() {
        for text in [&b""[..], b"x", &[7; 100_000]] {
            let sealed = seal(&key("a"), text).unwrap();
            assert_eq!(sealed.len(), HEADER + text.len() + TAG);
            assert_eq!(*open(&key("a"), &sealed).unwrap(), text);
            assert_ne!(sealed, seal(&key("a"), text).unwrap());
        }
    }

    #[test]
    fn another_key_is_told() {
        let sealed = seal(&key("a"), b"secret").unwrap();
        assert_eq!(open(&key("b"), &sealed).unwrap_err(), SealError::WrongKey);
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let sealed = seal(&key("a"), b"a few secret bytes").unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let error = open(&key("a"), &flipped).unwrap_err();
            let fits = match bit / 8 {
                0..8 => error == SealError::NoStore,
                8..10 => matches!(error, SealError::Version(version) if version != 1),
                10..12 => error == SealError::Damaged,
                12..HEADER => error == SealError::WrongKey,
                _ => error == SealError::Damaged,
            };
            assert!(fits, "bit {bit}: {error}");
        }
    }

    #[test]
    fn every_truncation_and_an_extension_are_found() {
        let sealed = seal(&key("a"), b"a few secret bytes").unwrap();
        for length in 0..sealed.len() {
            let error = open(&key("a"), &sealed[..length]).unwrap_err();
            let expected = if length < MAGIC.len() {
                SealError::NoStore
            } else {
                SealError::Damaged
            };
            assert_eq!(error, expected, "{length}");
        }
        let longer = [sealed.as_slice(), b"x"].concat();
        assert_eq!(open(&key("a"), &longer).unwrap_err(), SealError::Damaged);
    }
}
