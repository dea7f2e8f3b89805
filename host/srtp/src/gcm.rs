//! AES in Galois/counter mode: RFC 7714 sections 8 and 9.
//!
//! ```text
//!   SRTP    header (associated) | payload, encrypted | tag | MKI
//!   SRTCP   8 octets (associated) | rest, encrypted | tag | E and index (associated) | MKI
//!   SRTCP   whole packet (associated) | tag | 0 and index (associated) | MKI    not encrypted
//! ```

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::derivation::SessionKeys;
use crate::error::{KeyError, SrtpError};
use crate::header::RTCP_HEADER;
use crate::transform::{Cipher, RtcpPacket, RtpPacket, append};

/// Octets of the tag, which both suites send whole.
const TAG: usize = 16;

const SHORT: SrtpError = SrtpError::Malformed("shorter than its trailer");

/// One protocol's key, expanded.
pub(crate) struct Gcm {
    cipher: LessSafeKey,
    /// The 96-bit session salt.
    salt: Zeroizing<u128>,
}

impl Gcm {
    pub(crate) fn new(keys: &SessionKeys) -> Result<Self, KeyError> {
        let algorithm = match keys.encryption().len() {
            16 => &AES_128_GCM,
            _ => &AES_256_GCM,
        };
        let cipher =
            UnboundKey::new(algorithm, keys.encryption()).map_err(|_| KeyError::Rejected)?;
        let mut salt = Zeroizing::new([0; 16]);
        salt.iter_mut()
            .skip(4)
            .zip(keys.salt.iter())
            .for_each(|(octet, salt)| *octet = *salt);
        Ok(Self {
            cipher: LessSafeKey::new(cipher),
            salt: Zeroizing::new(u128::from_be_bytes(*salt)),
        })
    }

    /// RFC 7714 sections 8.1 and 9.1: the salt XOR two zeros, the SSRC and the 48-bit index.
    fn nonce(&self, ssrc: u32, index: u64) -> Nonce {
        let vector = *self.salt ^ u128::from(ssrc) << 48 ^ u128::from(index);
        let [_, _, _, _, nonce @ ..] = vector.to_be_bytes();
        Nonce::assume_unique_for_key(nonce)
    }
}

impl Cipher for Gcm {
    fn tag_len(&self) -> usize {
        TAG
    }

    fn behind_index(&self, mki: &[u8]) -> usize {
        mki.len()
    }

    fn protect_rtp(&self, buffer: &mut [u8], packet: &RtpPacket<'_>) -> Result<usize, SrtpError> {
        let (body, trailer) = buffer
            .split_at_mut_checked(packet.len)
            .ok_or(SrtpError::Capacity)?;
        let (header, payload) = body
            .split_at_mut_checked(packet.header_len)
            .ok_or(SrtpError::Capacity)?;
        let nonce = self.nonce(packet.ssrc, packet.index);
        let tag = self
            .cipher
            .seal_in_place_separate_tag(nonce, Aad::from(&*header), payload)
            .map_err(|_| SrtpError::Cipher)?;
        Ok(packet.len + append(trailer, &[tag.as_ref(), packet.mki])?)
    }

    fn unprotect_rtp(&self, buffer: &mut [u8], packet: &RtpPacket<'_>) -> Result<usize, SrtpError> {
        let body = without_identifier(buffer, packet.mki)?;
        let (header, sealed) = body.split_at_mut_checked(packet.header_len).ok_or(SHORT)?;
        if sealed.len() < TAG {
            return Err(SHORT);
        }
        let nonce = self.nonce(packet.ssrc, packet.index);
        let payload = self
            .cipher
            .open_in_place(nonce, Aad::from(&*header), sealed)
            .map_err(|_| SrtpError::Authentication)?;
        Ok(packet.header_len + payload.len())
    }

    fn protect_rtcp(&self, buffer: &mut [u8], packet: &RtcpPacket<'_>) -> Result<usize, SrtpError> {
        let word = packet.word.to_be_bytes();
        let (body, trailer) = buffer
            .split_at_mut_checked(packet.len)
            .ok_or(SrtpError::Capacity)?;
        let (header, reports) = body
            .split_first_chunk_mut::<RTCP_HEADER>()
            .ok_or(SrtpError::Capacity)?;
        let tag = self
            .cipher
            .seal_in_place_separate_tag(
                self.nonce(packet.ssrc, packet.index()),
                Aad::from(associated(*header, word)),
                reports,
            )
            .map_err(|_| SrtpError::Cipher)?;
        Ok(packet.len + append(trailer, &[tag.as_ref(), &word, packet.mki])?)
    }

    fn unprotect_rtcp(
        &self,
        buffer: &mut [u8],
        packet: &RtcpPacket<'_>,
    ) -> Result<usize, SrtpError> {
        let body = without_identifier(buffer, packet.mki)?;
        let nonce = self.nonce(packet.ssrc, packet.index());
        let word = packet.word.to_be_bytes();
        let (before, _) = body.split_last_chunk_mut::<4>().ok_or(SHORT)?;
        if packet.is_encrypted() {
            let (header, sealed) = before.split_first_chunk_mut::<RTCP_HEADER>().ok_or(SHORT)?;
            if sealed.len() < TAG {
                return Err(SHORT);
            }
            let reports = self
                .cipher
                .open_in_place(nonce, Aad::from(associated(*header, word)), sealed)
                .map_err(|_| SrtpError::Authentication)?;
            return Ok(RTCP_HEADER + reports.len());
        }
        // The associated data must be in one piece: the index moves before the tag.
        let (reports, tag) = before.split_last_chunk_mut::<TAG>().ok_or(SHORT)?;
        let len = reports.len();
        let mut sealed = *tag;
        append(tag, &[&word])?;
        let associated = before.get(..len + 4).ok_or(SHORT)?;
        self.cipher
            .open_in_place(nonce, Aad::from(associated), &mut sealed)
            .map_err(|_| SrtpError::Authentication)?;
        Ok(len)
    }
}

/// The associated data of an encrypted SRTCP packet.
fn associated(header: [u8; RTCP_HEADER], word: [u8; 4]) -> [u8; RTCP_HEADER + 4] {
    let [a, b, c, d, e, f, g, h] = header;
    let [w, x, y, z] = word;
    [a, b, c, d, e, f, g, h, w, x, y, z]
}

/// What stands before our master key identifier. Comparing nothing is a call to `memcmp` with the
/// address of no octets, which costs 40 ns where that is a masked load.
fn without_identifier<'a>(buffer: &'a mut [u8], mki: &[u8]) -> Result<&'a mut [u8], SrtpError> {
    if mki.is_empty() {
        return Ok(buffer);
    }
    let len = buffer.len().checked_sub(mki.len()).ok_or(SHORT)?;
    let (body, found) = buffer.split_at_mut_checked(len).ok_or(SHORT)?;
    if found == mki {
        Ok(body)
    } else {
        Err(SrtpError::Authentication)
    }
}
