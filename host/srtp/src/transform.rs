//! One protocol's cipher, whichever the suite names, and the layout of a protected packet.

use media::Suite;

use crate::counter_mode::CounterMode;
use crate::derivation::{Protocol, SessionKeys};
use crate::error::{KeyError, SrtpError};
use crate::gcm::{self, Gcm};
use crate::header::RTCP_HEADER;

/// Octets of the E flag and the SRTCP index.
pub(crate) const INDEX_WORD: usize = 4;

/// What a transform must know of an RTP packet besides its octets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RtpPacket {
    pub(crate) ssrc: u32,
    pub(crate) index: u64,
    pub(crate) header_len: usize,
    /// Octets of the packet, before it is protected or unprotected.
    pub(crate) len: usize,
}

/// The cipher of SRTP or of SRTCP, with its session keys expanded.
#[expect(
    clippy::large_enum_variant,
    reason = "two of them live in one box per context"
)]
pub(crate) enum Transform {
    CounterMode(CounterMode),
    Gcm(Gcm),
}

impl Transform {
    pub(crate) fn derive(
        suite: Suite,
        master: &[u8],
        protocol: Protocol,
    ) -> Result<Self, KeyError> {
        let keys = SessionKeys::derive(suite, master, protocol)?;
        Self::new(suite, &keys, protocol)
    }

    pub(crate) fn new(
        suite: Suite,
        keys: &SessionKeys,
        protocol: Protocol,
    ) -> Result<Self, KeyError> {
        let tag_len = match protocol {
            Protocol::Rtp => suite.tag_len(),
            Protocol::Rtcp => suite.rtcp_tag_len(),
        };
        Ok(match suite {
            Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => Self::Gcm(Gcm::new(keys)?),
            Suite::AesCm128HmacSha1_80
            | Suite::AesCm128HmacSha1_32
            | Suite::AesCm256HmacSha1_80
            | Suite::AesCm256HmacSha1_32 => Self::CounterMode(CounterMode::new(keys, tag_len)?),
        })
    }

    /// Octets of the authentication tag.
    pub(crate) fn tag_len(&self) -> usize {
        match self {
            Self::CounterMode(cipher) => cipher.tag_len(),
            Self::Gcm(_) => gcm::TAG,
        }
    }

    /// Protects the first `packet.len` octets of `buffer`; returns the length of the SRTP packet.
    pub(crate) fn protect_rtp(
        &self,
        buffer: &mut [u8],
        packet: RtpPacket,
        mki: &[u8],
    ) -> Result<usize, SrtpError> {
        match self {
            Self::CounterMode(cipher) => cipher.protect_rtp(buffer, packet, mki),
            Self::Gcm(cipher) => cipher.protect_rtp(buffer, packet, mki),
        }
    }

    /// Verifies and decrypts `buffer`, which is one SRTP packet; returns the length of the RTP
    /// packet.
    pub(crate) fn unprotect_rtp(
        &self,
        buffer: &mut [u8],
        packet: RtpPacket,
        mki: &[u8],
    ) -> Result<usize, SrtpError> {
        match self {
            Self::CounterMode(cipher) => cipher.unprotect_rtp(buffer, packet, mki),
            Self::Gcm(cipher) => cipher.unprotect_rtp(buffer, packet, mki),
        }
    }

    /// Protects the first `len` octets of `buffer`; returns the length of the SRTCP packet.
    pub(crate) fn protect_rtcp(
        &self,
        buffer: &mut [u8],
        len: usize,
        ssrc: u32,
        index: u32,
        mki: &[u8],
    ) -> Result<usize, SrtpError> {
        match self {
            Self::CounterMode(cipher) => cipher.protect_rtcp(buffer, len, ssrc, index, mki),
            Self::Gcm(cipher) => cipher.protect_rtcp(buffer, len, ssrc, index, mki),
        }
    }

    /// The E flag and the index of the SRTCP packet `packet`, not yet authenticated.
    pub(crate) fn rtcp_word(&self, packet: &[u8], mki: &[u8]) -> Result<u32, SrtpError> {
        const SHORT: SrtpError = SrtpError::Malformed("shorter than its trailer");
        let behind = match self {
            Self::CounterMode(cipher) => cipher.tag_len() + mki.len(),
            Self::Gcm(_) => mki.len(),
        };
        let least = RTCP_HEADER + self.tag_len() + INDEX_WORD + mki.len();
        if packet.len() < least {
            return Err(SHORT);
        }
        let before = packet.get(..packet.len() - behind).ok_or(SHORT)?;
        before
            .last_chunk()
            .map(|word| u32::from_be_bytes(*word))
            .ok_or(SHORT)
    }

    /// Verifies and decrypts `buffer`, which is one SRTCP packet that [`Self::rtcp_word`] read;
    /// returns the length of the RTCP packet.
    pub(crate) fn unprotect_rtcp(
        &self,
        buffer: &mut [u8],
        ssrc: u32,
        word: u32,
        mki: &[u8],
    ) -> Result<usize, SrtpError> {
        match self {
            Self::CounterMode(cipher) => cipher.unprotect_rtcp(buffer, ssrc, word, mki),
            Self::Gcm(cipher) => cipher.unprotect_rtcp(buffer, ssrc, word, mki),
        }
    }
}

/// Writes `parts` one after the other at the front of `space`; returns their length.
pub(crate) fn append(space: &mut [u8], parts: &[&[u8]]) -> Result<usize, SrtpError> {
    let mut at = 0;
    for part in parts {
        let end = at + part.len();
        space
            .get_mut(at..end)
            .ok_or(SrtpError::Capacity)?
            .copy_from_slice(part);
        at = end;
    }
    Ok(at)
}
