//! From SRTP to RTP and from SRTCP to RTCP: RFC 3711 sections 3.3 and 3.4.

use media::KeyMaterial;

use crate::context::{ContextLimits, MasterKey, protected_packet};
use crate::error::{KeyError, SrtpError};
use crate::header::{RtpHeader, parse_rtcp_sender};
use crate::replay::{ReplayWindow, estimate_index, rollover_counter};
use crate::sources::Sources;
use crate::transform::{RtcpPacket, RtpPacket};

/// What is known of one source that sends to us; only authenticated packets change it.
#[derive(Debug, Clone, Copy, Default)]
struct Incoming {
    rtp: ReplayWindow,
    rtcp: ReplayWindow,
    /// Rollover counter of the first packet.
    start: u32,
}

/// One master key with which packets are verified and decrypted.
///
/// A packet that fails changes nothing: not the rollover counter, not the replay window, not the
/// table of sources, not the count of the key's packets.
#[derive(Debug)]
pub struct ReceiveContext {
    key: Box<MasterKey>,
    sources: Sources<Incoming>,
}

impl ReceiveContext {
    /// Derives the session keys.
    ///
    /// # Errors
    /// When `material` is no key of its suite.
    pub fn new(material: &KeyMaterial, limits: ContextLimits) -> Result<Self, KeyError> {
        Ok(Self {
            key: MasterKey::new(material)?,
            sources: Sources::new(limits.sources),
        })
    }

    /// Verifies and decrypts the SRTP packet in the first `len` octets of `buffer`. Returns the
    /// length of the RTP packet, which begins where the SRTP packet began.
    ///
    /// # Errors
    /// The packet must be dropped then. After `Authentication` the payload is lost with the GCM
    /// suites: who wants to try another key keeps a copy.
    pub fn unprotect_rtp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let buffer = protected_packet(buffer, len)?;
        let header = RtpHeader::parse(buffer)?;
        if len - header.len < self.key.rtp_overhead() {
            return Err(SrtpError::Malformed("shorter than its trailer"));
        }
        self.key.usage.check_rtp()?;
        let (place, mut state) = self.sources.take(header.ssrc)?;
        let index = estimate_index(state.rtp.highest(), state.start, header.sequence)?;
        state.rtp.check(index)?;
        let packet = RtpPacket {
            ssrc: header.ssrc,
            index,
            header_len: header.len,
            len,
            mki: &self.key.mki,
        };
        let len = self.key.rtp.cipher().unprotect_rtp(buffer, &packet)?;
        state.rtp.accept(index);
        self.sources.put(header.ssrc, place, state);
        self.key.usage.rtp_packets += 1;
        Ok(len)
    }

    /// Verifies and decrypts the SRTCP packet in the first `len` octets of `buffer`. Returns the
    /// length of the RTCP packet. One that is authenticated but not encrypted is accepted (RFC
    /// 3711 section 3.4): only the holder of the key can send it.
    ///
    /// # Errors
    /// As [`Self::unprotect_rtp`].
    pub fn unprotect_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let buffer = protected_packet(buffer, len)?;
        let ssrc = parse_rtcp_sender(buffer)?;
        let word = self.key.rtcp.rtcp_word(buffer, &self.key.mki)?;
        self.key.usage.check_rtcp()?;
        let (place, mut state) = self.sources.take(ssrc)?;
        let packet = RtcpPacket {
            ssrc,
            word,
            len,
            mki: &self.key.mki,
        };
        let index = packet.index();
        state.rtcp.check(index)?;
        let len = self.key.rtcp.cipher().unprotect_rtcp(buffer, &packet)?;
        state.rtcp.accept(index);
        self.sources.put(ssrc, place, state);
        self.key.usage.rtcp_packets += 1;
        Ok(len)
    }

    /// The master key: its suite, what it adds to packets and what it has protected.
    #[must_use]
    pub fn key(&self) -> &MasterKey {
        &self.key
    }

    /// Takes identifier and lifetime from `material`, which holds the same key: they may be
    /// agreed on anew, while indices and replay windows must go on.
    pub fn follow(&mut self, material: &KeyMaterial) {
        self.key.follow(material);
    }

    /// Has an authenticated packet of `ssrc` been received?
    #[must_use]
    pub fn knows(&self, ssrc: u32) -> bool {
        self.sources
            .find(ssrc)
            .is_some_and(|state| state.rtp.highest().or(state.rtcp.highest()).is_some())
    }

    /// Rollover counter of `ssrc`, once an authenticated RTP packet of it was received.
    #[must_use]
    pub fn rollover_counter(&self, ssrc: u32) -> Option<u32> {
        self.sources.find(ssrc)?.rtp.highest().map(rollover_counter)
    }

    /// Expects `ssrc` to begin with this rollover counter instead of 0, as after a new key for a
    /// stream that goes on (RFC 3711 section 3.3.1).
    ///
    /// # Errors
    /// `Replay` when RTP of it was received under this key, `TooManySources` when there is no
    /// place.
    pub fn start_at(&mut self, ssrc: u32, rollover_counter: u32) -> Result<(), SrtpError> {
        let (place, mut state) = self.sources.take(ssrc)?;
        if state.rtp.highest().is_some() {
            return Err(SrtpError::Replay);
        }
        state.start = rollover_counter;
        self.sources.put(ssrc, place, state);
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn key_mut(&mut self) -> &mut MasterKey {
        &mut self.key
    }
}
