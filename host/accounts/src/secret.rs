//! Bytes that are wiped when dropped and never shown. In the sealed file they are
//! hexadecimal digits.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::NoRandomness;

/// Secret bytes. They are on the heap, so that moving them leaves no copy behind.
#[derive(Clone)]
pub(crate) struct Secret(Zeroizing<Box<[u8]>>);

impl Secret {
    /// Takes a copy; the caller wipes his.
    pub(crate) fn copy_of(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// Made by `fill`, in place.
    pub(crate) fn filled(length: usize, fill: impl FnOnce(&mut [u8])) -> Self {
        let mut bytes = Zeroizing::new(vec![0; length].into_boxed_slice());
        fill(&mut bytes);
        Self(bytes)
    }

    /// Uniformly random.
    ///
    /// # Errors
    /// The system has no randomness.
    pub(crate) fn random(length: usize) -> Result<Self, NoRandomness> {
        let mut bytes = Zeroizing::new(vec![0; length].into_boxed_slice());
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
        Ok(Self(bytes))
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Hexadecimal digits, as secret as the bytes.
    pub(crate) fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(self.bytes()))
    }
}

/// In constant time for one length.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.bytes().ct_eq(other.bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_hex())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Digits;
        impl de::Visitor<'_> for Digits {
            type Value = Secret;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("hexadecimal digits")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
                let mut bytes = Zeroizing::new(vec![0; text.len() / 2].into_boxed_slice());
                // The text is a secret, so it is not in the error.
                hex::decode_to_slice(text, &mut bytes)
                    .map_err(|_| E::custom("not hexadecimal digits"))?;
                Ok(Secret(bytes))
            }
        }
        deserializer.deserialize_str(Digits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_shown_and_hex_comes_back() {
        let secret = Secret::copy_of(b"zanzibar");
        assert_eq!(format!("{secret:?}"), "Secret");
        let text = serde_json::to_string(&secret).unwrap();
        assert_eq!(text, "\"7a616e7a69626172\"");
        let back: Secret = serde_json::from_str(&text).unwrap();
        assert!(back == secret);
        for wrong in ["\"7a6\"", "\"zz\"", "7"] {
            let error = serde_json::from_str::<Secret>(wrong).unwrap_err();
            assert!(!error.to_string().contains("7a6"), "{error}");
        }
        assert!(Secret::random(32).unwrap() != Secret::random(32).unwrap());
    }
}
