//! AES in counter mode with HMAC-SHA1: RFC 3711 sections 4.1.1 and 4.2.1, RFC 6188.
//!
//! ```text
//!   SRTP    header | payload, encrypted               | MKI | tag
//!           `------- authenticated, then the ROC ----'
//!   SRTCP   8 octets | rest, encrypted | E and index  | MKI | tag
//!           `-------------- authenticated -----------'
//! ```

use aws_lc_rs::cipher::{EncryptingKey, EncryptionContext};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use zeroize::Zeroizing;

use crate::derivation::{SessionKeys, counter_mode_key};
use crate::error::{KeyError, SrtpError};
use crate::header::RTCP_HEADER;
use crate::replay::rollover_counter;
use crate::transform::{Cipher, RtcpPacket, RtpPacket, append};

const SHORT: SrtpError = SrtpError::Malformed("shorter than its trailer");

/// One protocol's keys, expanded: the AES key schedule and the two HMAC states.
pub(crate) struct CounterMode {
    cipher: EncryptingKey,
    authentication: hmac::Key,
    /// The session salt times 2^16.
    salt: Zeroizing<u128>,
    tag_len: usize,
}

impl CounterMode {
    pub(crate) fn new(keys: &SessionKeys, tag_len: usize) -> Result<Self, KeyError> {
        let mut salt = Zeroizing::new([0; 16]);
        salt.iter_mut()
            .zip(keys.salt.iter())
            .for_each(|(octet, salt)| *octet = *salt);
        Ok(Self {
            cipher: counter_mode_key(keys.encryption())?,
            authentication: hmac::Key::new(
                hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
                keys.authentication.as_slice(),
            ),
            salt: Zeroizing::new(u128::from_be_bytes(*salt)),
            tag_len,
        })
    }

    /// RFC 3711 section 4.1.1: `IV = (k_s * 2^16) XOR (SSRC * 2^64) XOR (i * 2^16)`.
    pub(crate) fn apply_key_stream(
        &self,
        ssrc: u32,
        index: u64,
        text: &mut [u8],
    ) -> Result<(), SrtpError> {
        let vector = *self.salt ^ u128::from(ssrc) << 64 ^ u128::from(index) << 16;
        let vector = FixedLength::from(vector.to_be_bytes());
        self.cipher
            .less_safe_encrypt(text, EncryptionContext::Iv128(vector))
            .map(drop)
            .map_err(|_| SrtpError::Cipher)
    }

    /// The whole tag over `body` and, for SRTP, the rollover counter.
    fn sign(&self, body: &[u8], index: Option<u64>) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.authentication);
        context.update(body);
        if let Some(index) = index {
            context.update(&rollover_counter(index).to_be_bytes());
        }
        context.sign()
    }

    fn truncate<'a>(&self, tag: &'a hmac::Tag) -> Result<&'a [u8], SrtpError> {
        tag.as_ref().get(..self.tag_len).ok_or(SrtpError::Cipher)
    }

    /// Is `trailer` our MKI and the tag of `body`?
    fn verify(
        &self,
        body: &[u8],
        index: Option<u64>,
        trailer: &[u8],
        mki: &[u8],
    ) -> Result<(), SrtpError> {
        let found = after_identifier(trailer, mki).ok_or(SrtpError::Authentication)?;
        let tag = self.sign(body, index);
        verify_slices_are_equal(self.truncate(&tag)?, found).map_err(|_| SrtpError::Authentication)
    }
}

impl Cipher for CounterMode {
    fn tag_len(&self) -> usize {
        self.tag_len
    }

    fn behind_index(&self, mki: &[u8]) -> usize {
        mki.len() + self.tag_len
    }

    fn protect_rtp(&self, buffer: &mut [u8], packet: &RtpPacket<'_>) -> Result<usize, SrtpError> {
        let (body, trailer) = buffer
            .split_at_mut_checked(packet.len)
            .ok_or(SrtpError::Capacity)?;
        let payload = body
            .get_mut(packet.header_len..)
            .ok_or(SrtpError::Capacity)?;
        self.apply_key_stream(packet.ssrc, packet.index, payload)?;
        let tag = self.sign(body, Some(packet.index));
        Ok(packet.len + append(trailer, &[packet.mki, self.truncate(&tag)?])?)
    }

    fn unprotect_rtp(&self, buffer: &mut [u8], packet: &RtpPacket<'_>) -> Result<usize, SrtpError> {
        let body_len = packet
            .len
            .checked_sub(packet.mki.len() + self.tag_len)
            .ok_or(SHORT)?;
        if body_len < packet.header_len {
            return Err(SHORT);
        }
        let (body, trailer) = buffer.split_at_mut_checked(body_len).ok_or(SHORT)?;
        self.verify(body, Some(packet.index), trailer, packet.mki)?;
        let payload = body.get_mut(packet.header_len..).ok_or(SHORT)?;
        self.apply_key_stream(packet.ssrc, packet.index, payload)?;
        Ok(body_len)
    }

    fn protect_rtcp(&self, buffer: &mut [u8], packet: &RtcpPacket<'_>) -> Result<usize, SrtpError> {
        let reports = buffer
            .get_mut(RTCP_HEADER..packet.len)
            .ok_or(SrtpError::Capacity)?;
        self.apply_key_stream(packet.ssrc, packet.index(), reports)?;
        let (_, after) = buffer
            .split_at_mut_checked(packet.len)
            .ok_or(SrtpError::Capacity)?;
        let authenticated = packet.len + append(after, &[&packet.word.to_be_bytes()])?;
        let (body, trailer) = buffer
            .split_at_mut_checked(authenticated)
            .ok_or(SrtpError::Capacity)?;
        let tag = self.sign(body, None);
        Ok(authenticated + append(trailer, &[packet.mki, self.truncate(&tag)?])?)
    }

    fn unprotect_rtcp(
        &self,
        buffer: &mut [u8],
        packet: &RtcpPacket<'_>,
    ) -> Result<usize, SrtpError> {
        let authenticated = buffer.len().saturating_sub(packet.mki.len() + self.tag_len);
        let (body, trailer) = buffer.split_at_mut_checked(authenticated).ok_or(SHORT)?;
        self.verify(body, None, trailer, packet.mki)?;
        let (before, _) = body.split_last_chunk_mut::<4>().ok_or(SHORT)?;
        if packet.is_encrypted() {
            let reports = before.get_mut(RTCP_HEADER..).ok_or(SHORT)?;
            self.apply_key_stream(packet.ssrc, packet.index(), reports)?;
        }
        Ok(before.len())
    }
}

/// What stands after our master key identifier. Comparing nothing is a call to `memcmp` with the
/// address of no octets, which costs 40 ns where that is a masked load.
fn after_identifier<'a>(trailer: &'a [u8], mki: &[u8]) -> Option<&'a [u8]> {
    if mki.is_empty() {
        Some(trailer)
    } else {
        trailer.strip_prefix(mki)
    }
}
