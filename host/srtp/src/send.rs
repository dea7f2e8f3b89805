//! From RTP to SRTP and from RTCP to SRTCP: RFC 3711 sections 3.3 and 3.4.

use media::KeyMaterial;

use crate::context::{ContextLimits, MasterKey, packet_with_room};
use crate::error::{KeyError, SrtpError};
use crate::header::{RtpHeader, parse_rtcp_sender};
use crate::replay::{ReplayWindow, estimate_index, rollover_counter};
use crate::sources::Sources;
use crate::transform::{RtcpPacket, RtpPacket};

/// What is known of one source that we send for.
#[derive(Debug, Clone, Copy, Default)]
struct Outgoing {
    /// Indices already spent; a relay may be handed a packet twice or late.
    spent: ReplayWindow,
    /// Rollover counter of the first packet.
    start: u32,
    /// Index of the next SRTCP packet: 31 bits, from 0.
    next_rtcp: u32,
}

/// One master key with which packets are protected.
///
/// Rollover counters follow the sequence numbers of the packets, so packets may come out of
/// order. The same index is never spent twice: a packet that repeats a sequence number, or is
/// more than [`crate::REPLAY_WINDOW`] behind, is refused with `Replay`.
#[derive(Debug)]
pub struct SendContext {
    key: Box<MasterKey>,
    sources: Sources<Outgoing>,
}

impl SendContext {
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

    /// Protects the RTP packet in the first `len` octets of `buffer`, which must have
    /// [`MasterKey::rtp_overhead`] octets of room behind it. Returns the length of the SRTP packet,
    /// which begins where the RTP packet began.
    ///
    /// # Errors
    /// The packet must not be sent then. `Capacity`, `Malformed`, `Replay`, `TooManySources` and
    /// `KeyExhausted` leave buffer and context as they were.
    pub fn protect_rtp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let packet = packet_with_room(buffer, len, self.key.rtp_overhead())?;
        let header = RtpHeader::parse(packet)?;
        self.key.usage.check_rtp()?;
        let (place, mut state) = self.sources.take(header.ssrc)?;
        let index = estimate_index(state.spent.highest(), state.start, header.sequence)?;
        state.spent.check(index)?;
        // Spent before it is used: an index that met an error must not be used again either.
        state.spent.accept(index);
        self.sources.put(header.ssrc, place, state);
        self.key.usage.rtp_packets += 1;
        let packet = RtpPacket {
            ssrc: header.ssrc,
            index,
            header_len: header.len,
            len,
            mki: &self.key.mki,
        };
        self.key.rtp.cipher().protect_rtp(buffer, &packet)
    }

    /// Protects the RTCP packet in the first `len` octets of `buffer`, which must have
    /// [`MasterKey::rtcp_overhead`] octets of room behind it. Returns the length of the SRTCP packet.
    ///
    /// # Errors
    /// As [`Self::protect_rtp`], without `Replay`.
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let packet = packet_with_room(buffer, len, self.key.rtcp_overhead())?;
        let ssrc = parse_rtcp_sender(packet)?;
        self.key.usage.check_rtcp()?;
        let (place, mut state) = self.sources.take(ssrc)?;
        let index = state.next_rtcp;
        // At most 2^31 packets in all, so each index fits in its 31 bits.
        state.next_rtcp += 1;
        self.sources.put(ssrc, place, state);
        self.key.usage.rtcp_packets += 1;
        let packet = RtcpPacket {
            ssrc,
            word: RtcpPacket::encrypted(index),
            len,
            mki: &self.key.mki,
        };
        self.key.rtcp.cipher().protect_rtcp(buffer, &packet)
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

    /// Rollover counter of `ssrc`, once it has sent RTP.
    #[must_use]
    pub fn rollover_counter(&self, ssrc: u32) -> Option<u32> {
        self.sources
            .find(ssrc)?
            .spent
            .highest()
            .map(rollover_counter)
    }

    /// Lets `ssrc` begin with this rollover counter instead of 0, as after a new key for a stream
    /// that goes on (RFC 3711 section 3.3.1).
    ///
    /// # Errors
    /// `Replay` when it has sent RTP under this key, `TooManySources` when there is no place.
    pub fn start_at(&mut self, ssrc: u32, rollover_counter: u32) -> Result<(), SrtpError> {
        let (place, mut state) = self.sources.take(ssrc)?;
        if state.spent.highest().is_some() {
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
