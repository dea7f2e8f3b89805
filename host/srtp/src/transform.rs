//! One protocol's cipher, whichever the suite names, and the layout of a protected packet.

use media::Suite;

use crate::counter_mode::CounterMode;
use crate::derivation::{Protocol, SessionKeys};
use crate::error::{KeyError, SrtpError};
use crate::gcm::Gcm;
use crate::header::RTCP_HEADER;

/// Octets of the E flag and the SRTCP index.
pub(crate) const INDEX_WORD: usize = 4;

/// What a cipher must know of an RTP packet besides its octets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RtpPacket<'a> {
    pub(crate) ssrc: u32,
    pub(crate) index: u64,
    pub(crate) header_len: usize,
    /// Octets of the packet, before it is protected or unprotected.
    pub(crate) len: usize,
    /// Master key identifier; empty if there is none.
    pub(crate) mki: &'a [u8],
}

/// The flag in front of an SRTCP index: this packet is encrypted.
const ENCRYPTED: u32 = 1 << 31;

/// What a cipher must know of an RTCP packet besides its octets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RtcpPacket<'a> {
    pub(crate) ssrc: u32,
    /// E flag and SRTCP index.
    pub(crate) word: u32,
    /// Octets of the packet, before it is protected or unprotected.
    pub(crate) len: usize,
    /// Master key identifier; empty if there is none.
    pub(crate) mki: &'a [u8],
}

impl RtcpPacket<'_> {
    /// The word of an encrypted packet.
    pub(crate) fn encrypted(index: u32) -> u32 {
        index | ENCRYPTED
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        self.word & ENCRYPTED != 0
    }

    /// The SRTCP index: 31 bits.
    pub(crate) fn index(&self) -> u64 {
        u64::from(self.word & !ENCRYPTED)
    }
}

/// One protocol's keys at work on packets, each at the front of a buffer.
pub(crate) trait Cipher {
    /// Octets of the authentication tag.
    fn tag_len(&self) -> usize;

    /// Octets of an SRTCP packet behind its index: tag, identifier or both.
    fn behind_index(&self, mki: &[u8]) -> usize;

    /// Encrypts the payload and writes what follows it; returns the length of the SRTP packet.
    fn protect_rtp(&self, buffer: &mut [u8], packet: &RtpPacket<'_>) -> Result<usize, SrtpError>;

    /// Verifies and decrypts `buffer`, which is one SRTP packet; returns the length of the RTP
    /// packet.
    fn unprotect_rtp(&self, buffer: &mut [u8], packet: &RtpPacket<'_>) -> Result<usize, SrtpError>;

    /// Encrypts an RTCP packet and writes what follows it; returns the length of the SRTCP
    /// packet.
    fn protect_rtcp(&self, buffer: &mut [u8], packet: &RtcpPacket<'_>) -> Result<usize, SrtpError>;

    /// Verifies `buffer`, which is one SRTCP packet, and decrypts it if its word says so; returns
    /// the length of the RTCP packet.
    fn unprotect_rtcp(
        &self,
        buffer: &mut [u8],
        packet: &RtcpPacket<'_>,
    ) -> Result<usize, SrtpError>;
}

/// The cipher of SRTP or of SRTCP, with its session keys expanded. Small, so that those of many
/// calls lie close together: each packet finds its own anew, 20 ms after the last one.
pub(crate) enum Transform {
    /// Of nearly 2 KiB, most of it the states of HMAC.
    CounterMode(Box<CounterMode>),
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
            | Suite::AesCm256HmacSha1_32 => {
                Self::CounterMode(Box::new(CounterMode::new(keys, tag_len)?))
            }
        })
    }

    /// Whichever it is.
    pub(crate) fn cipher(&self) -> &dyn Cipher {
        match self {
            Self::CounterMode(cipher) => &**cipher,
            Self::Gcm(cipher) => cipher,
        }
    }

    /// The E flag and the index of the SRTCP packet `packet`, not yet authenticated.
    pub(crate) fn rtcp_word(&self, packet: &[u8], mki: &[u8]) -> Result<u32, SrtpError> {
        const SHORT: SrtpError = SrtpError::Malformed("shorter than its trailer");
        let cipher = self.cipher();
        let least = RTCP_HEADER + cipher.tag_len() + INDEX_WORD + mki.len();
        if packet.len() < least {
            return Err(SHORT);
        }
        let before = packet.get(..packet.len() - cipher.behind_index(mki));
        before
            .and_then(<[u8]>::last_chunk)
            .map(|word| u32::from_be_bytes(*word))
            .ok_or(SHORT)
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
