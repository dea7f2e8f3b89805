//! Public keys, as a line of a config or as the file that minisign writes.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Bytes of a public key in base64: algorithm (2), number (8), key (32).
const ENCODED_BYTES: usize = 42;

/// Why a text is no public key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no public key of minisign")]
pub struct KeyError;

/// A public key.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    text: String,
    number: u64,
    pub(crate) key: minisign_verify::PublicKey,
}

impl FromStr for PublicKey {
    type Err = KeyError;

    /// Takes the line in base64, or the whole file with its comment.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let text = text
            .lines()
            .map(str::trim)
            .find(|line| !line.is_empty() && !line.starts_with("untrusted comment:"))
            .ok_or(KeyError)?;
        let bytes = STANDARD.decode(text).map_err(|_| KeyError)?;
        if bytes.len() != ENCODED_BYTES {
            return Err(KeyError);
        }
        let key = minisign_verify::PublicKey::from_base64(text).map_err(|_| KeyError)?;
        Ok(Self {
            number: number(&bytes).ok_or(KeyError)?,
            text: text.to_owned(),
            key,
        })
    }
}

impl PublicKey {
    /// The number that minisign shows for it: 16 hexadecimal digits. Anybody can make a
    /// key with this number, so it only helps to find one's way.
    pub fn id(&self) -> String {
        format!("{:016X}", self.number)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PublicKey({})", self.text)
    }
}

/// The number after the two bytes of the algorithm, in keys and in signatures.
pub(crate) fn number(bytes: &[u8]) -> Option<u64> {
    let number = bytes.get(2..)?.first_chunk::<8>()?;
    Some(u64::from_le_bytes(*number))
}
