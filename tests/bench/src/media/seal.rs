//! SRTP of one direction of one stream, written from RFC 3711 and RFC 7714 for the ends of
//! a measured call: packets without extension or contributing sources, no rollover.
//!
//! It shares nothing with the relay that is measured, so that a relay that seals wrongly
//! is found out.

use anyhow::{Result, anyhow, bail};
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::{hmac, iv::FixedLength};

use crate::packet::{HEADER, sequence_of, ssrc_of};

/// A cipher of the measured cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suite {
    /// `AES_CM_128_HMAC_SHA1_80`.
    Sha1,
    /// `AEAD_AES_128_GCM`.
    Gcm,
}

impl Suite {
    /// Its name in SDP (RFC 4568 6.2, RFC 7714 14.2).
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "AES_CM_128_HMAC_SHA1_80",
            Self::Gcm => "AEAD_AES_128_GCM",
        }
    }

    /// Octets of master key and master salt.
    pub(crate) fn key_salt(self) -> usize {
        match self {
            Self::Sha1 => 30,
            Self::Gcm => 28,
        }
    }

    /// Octets behind the payload.
    fn tag(self) -> usize {
        match self {
            Self::Sha1 => 10,
            Self::Gcm => 16,
        }
    }
}

#[expect(
    clippy::large_enum_variant,
    reason = "made once a stream, and read for every packet"
)]
enum Keys {
    Sha1 {
        cipher: EncryptingKey,
        authentication: hmac::Key,
    },
    Gcm(LessSafeKey),
}

/// Seals and opens packets of one direction.
pub(crate) struct Sealer {
    suite: Suite,
    keys: Keys,
    /// Session salt; the last two octets are 0 for GCM.
    salt: [u8; 14],
}

fn unspecified(_: aws_lc_rs::error::Unspecified) -> anyhow::Error {
    anyhow!("the cipher failed")
}

fn counter_mode(key: &[u8]) -> Result<EncryptingKey> {
    let key = UnboundCipherKey::new(&AES_128, key).map_err(unspecified)?;
    EncryptingKey::ctr(key).map_err(unspecified)
}

fn keystream(key: &EncryptingKey, iv: [u8; 16], data: &mut [u8]) -> Result<()> {
    let context = EncryptionContext::Iv128(FixedLength::from(iv));
    key.less_safe_encrypt(data, context).map_err(unspecified)?;
    Ok(())
}

impl Sealer {
    /// From master key and master salt.
    pub(crate) fn new(suite: Suite, key_salt: &[u8]) -> Result<Self> {
        if key_salt.len() != suite.key_salt() {
            bail!("{} does not take {} octets", suite.name(), key_salt.len());
        }
        let (key, master_salt) = key_salt.split_at(16);
        let master = counter_mode(key)?;
        // RFC 3711 4.3.1; a salt of 96 bits is padded on the right (RFC 7714 11).
        let derive = |label: u8, length: usize| -> Result<Vec<u8>> {
            let mut iv = [0; 16];
            for (octet, salt) in iv.iter_mut().zip(master_salt) {
                *octet = *salt;
            }
            if let Some(octet) = iv.get_mut(7) {
                *octet ^= label;
            }
            let mut stream = vec![0; length];
            keystream(&master, iv, &mut stream)?;
            Ok(stream)
        };
        let session = derive(0, 16)?;
        let mut salt = [0; 14];
        for (octet, derived) in salt.iter_mut().zip(derive(2, master_salt.len())?) {
            *octet = derived;
        }
        let keys = match suite {
            Suite::Sha1 => Keys::Sha1 {
                cipher: counter_mode(&session)?,
                authentication: hmac::Key::new(
                    hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
                    &derive(1, 20)?,
                ),
            },
            Suite::Gcm => Keys::Gcm(LessSafeKey::new(
                UnboundKey::new(&AES_128_GCM, &session).map_err(unspecified)?,
            )),
        };
        Ok(Self { suite, keys, salt })
    }

    /// RFC 3711 4.1.1.
    fn counter(&self, header: &[u8]) -> [u8; 16] {
        let mut iv = [0; 16];
        let ssrc = ssrc_of(header).to_be_bytes();
        let index = sequence_of(header).to_be_bytes();
        for (octet, salt) in iv.iter_mut().zip(self.salt) {
            *octet = salt;
        }
        for (octet, other) in iv.iter_mut().skip(4).zip(ssrc) {
            *octet ^= other;
        }
        for (octet, other) in iv.iter_mut().skip(12).zip(index) {
            *octet ^= other;
        }
        iv
    }

    /// RFC 7714 8.1.
    fn nonce(&self, header: &[u8]) -> Nonce {
        let mut iv = [0; 12];
        let ssrc = ssrc_of(header).to_be_bytes();
        let index = sequence_of(header).to_be_bytes();
        for (octet, other) in iv.iter_mut().skip(2).zip(ssrc) {
            *octet = other;
        }
        for (octet, other) in iv.iter_mut().skip(10).zip(index) {
            *octet = other;
        }
        for (octet, salt) in iv.iter_mut().zip(self.salt) {
            *octet ^= salt;
        }
        Nonce::assume_unique_for_key(iv)
    }

    fn hash(key: &hmac::Key, packet: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(key);
        context.update(packet);
        context.update(&[0; 4]);
        context.sign()
    }

    /// Encrypts the payload of an RTP packet and puts the tag behind it.
    pub(crate) fn seal(&self, packet: &mut Vec<u8>) -> Result<()> {
        let (header, payload) = packet
            .split_at_mut_checked(HEADER)
            .ok_or_else(|| anyhow!("no RTP packet"))?;
        match &self.keys {
            Keys::Sha1 {
                cipher,
                authentication,
            } => {
                keystream(cipher, self.counter(header), payload)?;
                let tag = Self::hash(authentication, packet);
                packet.extend(tag.as_ref().iter().take(self.suite.tag()));
            }
            Keys::Gcm(key) => {
                let nonce = self.nonce(header);
                let tag = key
                    .seal_in_place_separate_tag(nonce, Aad::from(&*header), payload)
                    .map_err(unspecified)?;
                packet.extend(tag.as_ref());
            }
        }
        Ok(())
    }

    /// The RTP packet in an SRTP packet.
    ///
    /// # Errors
    /// It is not authentic.
    pub(crate) fn open(&self, packet: &[u8]) -> Result<Vec<u8>> {
        let end = packet.len().saturating_sub(self.suite.tag());
        let (sealed, tag) = packet.split_at(end);
        let mut opened = packet.to_vec();
        let (header, payload) = opened
            .split_at_mut_checked(HEADER)
            .ok_or_else(|| anyhow!("no RTP packet"))?;
        match &self.keys {
            Keys::Sha1 {
                cipher,
                authentication,
            } => {
                let expected = Self::hash(authentication, sealed);
                if expected.as_ref().get(..tag.len()) != Some(tag) {
                    bail!("the tag is wrong");
                }
                keystream(cipher, self.counter(header), payload)?;
            }
            Keys::Gcm(key) => {
                let nonce = self.nonce(header);
                key.open_in_place(nonce, Aad::from(&*header), payload)
                    .map_err(|_| anyhow!("the tag is wrong"))?;
            }
        }
        opened.truncate(end);
        Ok(opened)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Stamp;

    /// RFC 3711 B.3: session keys from a master key.
    #[test]
    fn keys_are_derived_as_the_rfc_says() {
        let master = hex::decode("e1f97a0d3e018be0d64fa32c06de41390ec675ad498afeebb6960b3aabe6");
        let sealer = Sealer::new(Suite::Sha1, &master.unwrap()).unwrap();
        assert_eq!(hex::encode(sealer.salt), "30cbbc08863d8c85d49db34a9ae1");
        let Keys::Sha1 { cipher, .. } = &sealer.keys else {
            panic!("another suite");
        };
        let mut one = [0; 16];
        keystream(cipher, [0; 16], &mut one).unwrap();
        let same = counter_mode(&hex::decode("c61e7a93744f39ee10734afe3ff7a087").unwrap());
        let mut other = [0; 16];
        keystream(&same.unwrap(), [0; 16], &mut other).unwrap();
        assert_eq!(one, other);
    }

    #[test]
    fn what_is_sealed_opens_and_what_is_changed_does_not() {
        for suite in [Suite::Sha1, Suite::Gcm] {
            let key: Vec<u8> = (1..).take(suite.key_salt()).collect();
            let sealer = Sealer::new(suite, &key).unwrap();
            let mut packet = Vec::new();
            Stamp {
                ssrc: 7,
                sequence: 40_000,
            }
            .write(&mut packet);
            let clear = packet.clone();
            sealer.seal(&mut packet).unwrap();
            assert_eq!(packet.len(), clear.len() + suite.tag());
            assert_ne!(packet[HEADER..clear.len()], clear[HEADER..]);
            assert_eq!(sealer.open(&packet).unwrap(), clear);
            for place in [1, HEADER, packet.len() - 1] {
                let mut changed = packet.clone();
                changed[place] ^= 1;
                assert!(sealer.open(&changed).is_err());
            }
            assert!(Sealer::new(suite, &key[1..]).is_err());
        }
    }
}
