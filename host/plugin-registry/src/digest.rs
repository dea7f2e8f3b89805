//! SHA-256 of bytes, as registries write it: the name by which everything is fetched.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// What stands before the digits. Registries may know other algorithms; this is the one
/// that all of them know.
const ALGORITHM: &str = "sha256:";

/// A digest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Reads a digest in its one spelling.
    pub fn read(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(ALGORITHM)?;
        if digits.bytes().any(|it| it.is_ascii_uppercase()) {
            return None;
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{ALGORITHM}{}", hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_has_one_spelling() {
        // FIPS 180-2, the message "abc".
        let text = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let digest = Digest::of(b"abc");
        assert_eq!(digest.to_string(), text);
        assert_eq!(Digest::read(text), Some(digest));
        for wrong in [
            "",
            "sha256:",
            "sha512:00",
            text.trim_start_matches("sha256:"),
            &text[..text.len() - 1],
            &text.replace("ba", "BA"),
            &format!("{text}0"),
            &text.replace("15ad", "15ag"),
        ] {
            assert_eq!(Digest::read(wrong), None, "{wrong}");
        }
    }
}
