//! Session keys from a master key: RFC 3711 section 4.3, RFC 6188 section 3, RFC 7714 section 11.
//!
//! The key derivation rate is zero, as SDES without KDR and DTLS-SRTP have it: session keys are
//! derived once.
//!
//! ```text
//!   master key  ------------> AES in counter mode --> session encryption key  (label 0 or 3)
//!   master salt XOR label --> as initial counter  --> session authentication key (1 or 4)
//!                                                 --> session salt            (label 2 or 5)
//! ```

use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use media::Suite;
use zeroize::Zeroizing;

use crate::error::KeyError;

/// Octets of an HMAC-SHA1 session key (RFC 3711 section 5.2).
pub(crate) const AUTHENTICATION_KEY: usize = 20;

/// Which of the two protocols a session key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Rtp,
    Rtcp,
}

/// The keys that protect one protocol. Shorter keys stand at the front, zeros behind.
pub(crate) struct SessionKeys {
    encryption: Zeroizing<[u8; 32]>,
    encryption_len: usize,
    pub(crate) authentication: Zeroizing<[u8; AUTHENTICATION_KEY]>,
    /// A 96-bit salt has two zeros behind it.
    pub(crate) salt: Zeroizing<[u8; 14]>,
}

impl SessionKeys {
    /// Derives the keys of `protocol`; `master` is the master key with the master salt behind it.
    ///
    /// # Errors
    /// `Length` when `master` is not as long as `suite` has it.
    pub(crate) fn derive(
        suite: Suite,
        master: &[u8],
        protocol: Protocol,
    ) -> Result<Self, KeyError> {
        let expected = suite.key_len() + suite.salt_len();
        let wrong = KeyError::Length {
            suite: suite.name(),
            expected,
            found: master.len(),
        };
        let (key, salt) = match master.split_at_checked(suite.key_len()) {
            Some((key, salt)) if salt.len() == suite.salt_len() => (key, salt),
            _ => return Err(wrong),
        };
        let first_label = match protocol {
            Protocol::Rtp => 0,
            Protocol::Rtcp => 3,
        };
        let generator = Generator::new(key, salt)?;
        let mut keys = Self {
            encryption: Zeroizing::new([0; 32]),
            encryption_len: suite.key_len(),
            authentication: Zeroizing::new([0; AUTHENTICATION_KEY]),
            salt: Zeroizing::new([0; 14]),
        };
        let encryption = keys.encryption.get_mut(..suite.key_len()).ok_or(wrong)?;
        generator.fill(first_label, encryption)?;
        generator.fill(first_label + 1, keys.authentication.as_mut_slice())?;
        let salt = keys.salt.get_mut(..suite.salt_len()).ok_or(wrong)?;
        generator.fill(first_label + 2, salt)?;
        Ok(keys)
    }

    /// Keys that a test vector states.
    #[cfg(test)]
    pub(crate) fn stated(key: &[u8], authentication: [u8; 20], salt: &[u8]) -> Self {
        let mut keys = Self {
            encryption: Zeroizing::new([0; 32]),
            encryption_len: key.len(),
            authentication: Zeroizing::new(authentication),
            salt: Zeroizing::new([0; 14]),
        };
        keys.encryption[..key.len()].copy_from_slice(key);
        keys.salt[..salt.len()].copy_from_slice(salt);
        keys
    }

    /// The session encryption key.
    pub(crate) fn encryption(&self) -> &[u8] {
        self.encryption
            .get(..self.encryption_len)
            .unwrap_or_default()
    }
}

/// AES in counter mode with a key of 128 or 256 bits.
pub(crate) fn counter_mode_key(key: &[u8]) -> Result<EncryptingKey, KeyError> {
    let algorithm = match key.len() {
        16 => &AES_128,
        _ => &AES_256,
    };
    UnboundCipherKey::new(algorithm, key)
        .and_then(EncryptingKey::ctr)
        .map_err(|_| KeyError::Rejected)
}

/// The pseudo-random function of RFC 3711 section 4.3.3.
struct Generator {
    cipher: EncryptingKey,
    /// The master salt times 2^16.
    start: Zeroizing<[u8; 16]>,
}

impl Generator {
    fn new(master_key: &[u8], master_salt: &[u8]) -> Result<Self, KeyError> {
        let mut start = Zeroizing::new([0; 16]);
        start
            .iter_mut()
            .zip(master_salt)
            .for_each(|(octet, salt)| *octet = *salt);
        Ok(Self {
            cipher: counter_mode_key(master_key)?,
            start,
        })
    }

    /// Fills `output`, which is all zeros, with the key stream for `label`.
    fn fill(&self, label: u8, output: &mut [u8]) -> Result<(), KeyError> {
        /// Where the label stands: before the 48-bit index, which is 0 here.
        const LABEL_AT: usize = 7;
        let mut start = self.start.clone();
        if let Some(octet) = start.get_mut(LABEL_AT) {
            *octet ^= label;
        }
        self.cipher
            .less_safe_encrypt(output, EncryptionContext::Iv128((&*start).into()))
            .map(drop)
            .map_err(|_| KeyError::Rejected)
    }
}

#[cfg(test)]
pub(crate) fn authentication_stream(master_key: &[u8], master_salt: &[u8], output: &mut [u8]) {
    output.fill(0);
    Generator::new(master_key, master_salt)
        .unwrap()
        .fill(1, output)
        .unwrap();
}
