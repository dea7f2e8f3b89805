//! Cipher suites, keys and fingerprints as values: RFC 4568 section 6.2,
//! RFC 6188, RFC 7714 section 14, RFC 8122 section 5.
//!
//! Nothing here computes a cipher. Key bytes are wiped when dropped and no
//! `Debug` prints them.

use std::fmt;

use arrayvec::ArrayVec;
use smallvec::SmallVec;
use zeroize::{Zeroize, Zeroizing};

/// An SRTP protection profile that can stand in an `a=crypto` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Suite {
    /// RFC 4568 section 6.2.1.
    AesCm128HmacSha1_80,
    /// RFC 4568 section 6.2.2. Its SRTCP tag stays at 80 bits.
    AesCm128HmacSha1_32,
    /// RFC 6188 section 4.
    AesCm256HmacSha1_80,
    /// RFC 6188 section 4. Its SRTCP tag stays at 80 bits.
    AesCm256HmacSha1_32,
    /// RFC 7714 section 14.2.
    AeadAes128Gcm,
    /// RFC 7714 section 14.2.
    AeadAes256Gcm,
}

impl Suite {
    /// What we offer, most preferred first: GCM costs a third of what SHA-1 does
    /// on the machines we measured. The 32-bit tag of AES-256 is understood but
    /// never offered.
    pub const OFFERED: [Self; 5] = [
        Self::AeadAes128Gcm,
        Self::AeadAes256Gcm,
        Self::AesCm256HmacSha1_80,
        Self::AesCm128HmacSha1_80,
        Self::AesCm128HmacSha1_32,
    ];

    /// Every suite that is understood.
    pub const ALL: [Self; 6] = [
        Self::AesCm128HmacSha1_80,
        Self::AesCm128HmacSha1_32,
        Self::AesCm256HmacSha1_80,
        Self::AesCm256HmacSha1_32,
        Self::AeadAes128Gcm,
        Self::AeadAes256Gcm,
    ];

    /// Octets of the master key.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 | Self::AeadAes128Gcm => 16,
            Self::AesCm256HmacSha1_80 | Self::AesCm256HmacSha1_32 | Self::AeadAes256Gcm => 32,
        }
    }

    /// Octets of the master salt.
    #[must_use]
    pub const fn salt_len(self) -> usize {
        if self.is_aead() { 12 } else { 14 }
    }

    /// Octets of the authentication tag of an SRTP packet.
    #[must_use]
    pub const fn tag_len(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm256HmacSha1_80 => 10,
            Self::AesCm128HmacSha1_32 | Self::AesCm256HmacSha1_32 => 4,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
        }
    }

    /// Octets of the authentication tag of an SRTCP packet: the short tag is for
    /// RTP only (RFC 4568 section 6.2.2).
    #[must_use]
    pub const fn rtcp_tag_len(self) -> usize {
        if self.is_aead() { 16 } else { 10 }
    }

    /// GCM rather than counter mode with HMAC.
    #[must_use]
    pub const fn is_aead(self) -> bool {
        matches!(self, Self::AeadAes128Gcm | Self::AeadAes256Gcm)
    }

    /// Its name in an `a=crypto` line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AesCm256HmacSha1_80 => "AES_256_CM_HMAC_SHA1_80",
            Self::AesCm256HmacSha1_32 => "AES_256_CM_HMAC_SHA1_32",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    /// The suite of that name. Names are compared without case: RFC 4568 writes
    /// them in capitals, and not every phone does.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|suite| name.eq_ignore_ascii_case(suite.name().as_bytes()))
    }
}

/// A master key identifier as it stands in each packet, 1 to 16 octets. RFC 4568
/// allows 128, of which nobody needs more than four.
#[derive(Clone, PartialEq, Eq)]
pub struct Mki(ArrayVec<u8, 16>);

impl Mki {
    /// The identifier `value` in `length` octets, big endian. `None` unless
    /// `length` is 1 to 16 and the value fits.
    #[must_use]
    pub fn new(value: u128, length: u8) -> Option<Self> {
        let length = usize::from(length);
        if length == 0 || length > 16 || (length < 16 && value >> (8 * length) != 0) {
            return None;
        }
        let bytes = value.to_be_bytes();
        let tail = bytes.get(16 - length..)?;
        Some(Self(tail.iter().copied().collect()))
    }

    /// The octets that stand before the authentication tag.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The number that stands in an `a=crypto` line.
    #[must_use]
    pub fn value(&self) -> u128 {
        self.0
            .iter()
            .fold(0, |value, &octet| value << 8 | u128::from(octet))
    }
}

impl fmt::Debug for Mki {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.value(), self.0.len())
    }
}

/// One direction's master key and salt. The same key means the same SRTP context: the
/// relay keeps rollover counter and replay window across plans that name it again, also
/// when others came between.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyMaterial {
    /// The suite that the key is for.
    pub suite: Suite,
    /// Master key then master salt: `key_len + salt_len` octets.
    pub key_salt: Zeroizing<Vec<u8>>,
    /// Identifier that each packet carries, if the peer said so.
    pub mki: Option<Mki>,
    /// Packets after which the key must not be used; `None` is the suite's own
    /// limit of 2^48 SRTP and 2^31 SRTCP packets (RFC 3711 section 9.2).
    pub lifetime: Option<u64>,
}

impl KeyMaterial {
    /// Material without MKI and with the suite's own lifetime. `None` if the
    /// octets are not `key_len + salt_len`.
    #[must_use]
    pub fn new(suite: Suite, key_salt: Zeroizing<Vec<u8>>) -> Option<Self> {
        (key_salt.len() == suite.key_len() + suite.salt_len()).then_some(Self {
            suite,
            key_salt,
            mki: None,
            lifetime: None,
        })
    }

    /// Whether it is the same key and salt for the same suite, whatever the packets
    /// that carry it are marked with and however many there may be.
    #[must_use]
    pub fn is_same_key(&self, other: &Self) -> bool {
        self.suite == other.suite && *self.key_salt == *other.key_salt
    }

    /// The master key.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        self.key_salt
            .get(..self.suite.key_len())
            .unwrap_or_default()
    }

    /// The master salt.
    #[must_use]
    pub fn salt(&self) -> &[u8] {
        self.key_salt
            .get(self.suite.key_len()..)
            .unwrap_or_default()
    }
}

impl fmt::Debug for KeyMaterial {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither the key nor anything made from it.
        write!(formatter, "KeyMaterial({})", self.suite.name())
    }
}

impl Drop for KeyMaterial {
    fn drop(&mut self) {
        self.key_salt.zeroize();
    }
}

/// Hash of a certificate's fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FingerprintHash {
    /// `sha-1`: read so that an old peer's call does not break on it, but never
    /// enough alone to trust a certificate.
    Sha1,
    /// `sha-256`.
    Sha256,
    /// `sha-384`.
    Sha384,
    /// `sha-512`.
    Sha512,
}

impl FingerprintHash {
    /// Its name in an `a=fingerprint` line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha-1",
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    /// Octets of the hash.
    #[must_use]
    pub const fn octets(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// A certificate's fingerprint: RFC 8122 section 5.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    hash: FingerprintHash,
    value: SmallVec<[u8; 32]>,
}

impl Fingerprint {
    /// `None` if the value has not the hash's length.
    #[must_use]
    pub fn new(hash: FingerprintHash, value: &[u8]) -> Option<Self> {
        (value.len() == hash.octets()).then(|| Self {
            hash,
            value: SmallVec::from_slice(value),
        })
    }

    /// A SHA-256 fingerprint.
    #[must_use]
    pub fn sha256(value: [u8; 32]) -> Self {
        Self {
            hash: FingerprintHash::Sha256,
            value: SmallVec::from_slice(&value),
        }
    }

    /// The hash that made it.
    #[must_use]
    pub const fn hash(&self) -> FingerprintHash {
        self.hash
    }

    /// The hash's octets.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        &self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_key() {
        let key = KeyMaterial::new(Suite::AeadAes128Gcm, Zeroizing::new(vec![0xA5; 28])).unwrap();
        assert_eq!(format!("{key:?}"), "KeyMaterial(AEAD_AES_128_GCM)");
        assert_eq!((key.key().len(), key.salt().len()), (16, 12));
    }

    #[test]
    fn material_has_its_suites_length() {
        for suite in Suite::ALL {
            let length = suite.key_len() + suite.salt_len();
            assert!(KeyMaterial::new(suite, Zeroizing::new(vec![0; length])).is_some());
            assert!(KeyMaterial::new(suite, Zeroizing::new(vec![0; length - 1])).is_none());
            assert!(KeyMaterial::new(suite, Zeroizing::new(vec![0; length + 1])).is_none());
            assert_eq!(Suite::from_name(suite.name().as_bytes()), Some(suite));
        }
        assert_eq!(Suite::from_name(b"F8_128_HMAC_SHA1_80"), None);
    }

    #[test]
    fn an_mki_fits_its_length() {
        assert_eq!(Mki::new(1, 4).unwrap().as_bytes(), [0, 0, 0, 1]);
        assert_eq!(Mki::new(255, 1).unwrap().value(), 255);
        assert!(Mki::new(256, 1).is_none());
        assert!(Mki::new(0, 0).is_none());
        assert_eq!(Mki::new(u128::MAX, 16).unwrap().value(), u128::MAX);
        assert!(Mki::new(1, 17).is_none());
    }
}
