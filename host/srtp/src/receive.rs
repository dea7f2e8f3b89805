//! From SRTP to RTP and from SRTCP to RTCP: RFC 3711 sections 3.3 and 3.4.

use std::fmt;

use media::{KeyMaterial, Suite};

use crate::context::{ContextLimits, Session, protected_packet};
use crate::error::{KeyError, SrtpError};
use crate::header::{RtpHeader, parse_rtcp_sender};
use crate::lifetime::KeyUsage;
use crate::replay::{ReplayWindow, estimate_index, rollover_counter};
use crate::sources::Sources;
use crate::transform::RtpPacket;

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
pub struct ReceiveContext {
    session: Box<Session>,
    sources: Sources<Incoming>,
}

impl ReceiveContext {
    /// Derives the session keys.
    ///
    /// # Errors
    /// When `material` is no key of its suite.
    pub fn new(material: &KeyMaterial, limits: ContextLimits) -> Result<Self, KeyError> {
        Ok(Self {
            session: Session::new(material)?,
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
        if len - header.len < self.session.rtp_overhead() {
            return Err(SrtpError::Malformed("shorter than its trailer"));
        }
        self.session.usage.check_rtp()?;
        let (place, mut state) = self.sources.take(header.ssrc)?;
        let index = estimate_index(state.rtp.highest(), state.start, header.sequence)?;
        state.rtp.check(index)?;
        let packet = RtpPacket {
            ssrc: header.ssrc,
            index,
            header_len: header.len,
            len,
        };
        let len = self
            .session
            .rtp
            .unprotect_rtp(buffer, packet, &self.session.mki)?;
        state.rtp.accept(index);
        self.sources.put(header.ssrc, place, state);
        self.session.usage.rtp_packets += 1;
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
        let word = self.session.rtcp.rtcp_word(buffer, &self.session.mki)?;
        self.session.usage.check_rtcp()?;
        let (place, mut state) = self.sources.take(ssrc)?;
        let index = u64::from(word & !(1 << 31));
        state.rtcp.check(index)?;
        let len = self
            .session
            .rtcp
            .unprotect_rtcp(buffer, ssrc, word, &self.session.mki)?;
        state.rtcp.accept(index);
        self.sources.put(ssrc, place, state);
        self.session.usage.rtcp_packets += 1;
        Ok(len)
    }

    /// Octets that [`Self::unprotect_rtp`] takes away.
    #[must_use]
    pub fn rtp_overhead(&self) -> usize {
        self.session.rtp_overhead()
    }

    /// Octets that [`Self::unprotect_rtcp`] takes away.
    #[must_use]
    pub fn rtcp_overhead(&self) -> usize {
        self.session.rtcp_overhead()
    }

    /// The suite of the master key.
    #[must_use]
    pub fn suite(&self) -> Suite {
        self.session.suite
    }

    /// What the master key has protected.
    #[must_use]
    pub fn usage(&self) -> KeyUsage {
        self.session.usage
    }

    /// Has the lifetime that the key came with been used up? Packets still pass: the session
    /// needs a new key or an end. At the limits of RFC 3711 they do not.
    #[must_use]
    pub fn lifetime_reached(&self) -> bool {
        self.session.lifetime_reached()
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
    pub(crate) fn session_mut(&mut self) -> &mut Session {
        &mut self.session
    }
}

impl fmt::Debug for ReceiveContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceiveContext")
            .field("suite", &self.session.suite.name())
            .field("sources", &self.sources.len())
            .field("usage", &self.session.usage)
            .finish_non_exhaustive()
    }
}
