//! Ceilings and times of this room.

use std::time::Duration;

use crate::OfferLimits;

/// What the sessions of one shard may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaLimits {
    /// Calls with media on one shard, ended ones included until the relay has
    /// given their ports back. Ten thousand calls of G.711 are more packets than
    /// one machine relays.
    pub sessions: usize,
    /// Forks of one call whose answers are kept. RFC 3261 forks end on phones on
    /// a desk; more than this is a loop.
    pub forks: usize,
    /// Port pairs that one call may hold on both sides together: sixteen streams,
    /// each with two sides.
    pub session_ports: usize,
    /// `a=crypto` lines read of one stream. Clients offer up to ten.
    pub crypto_lines: usize,
    /// `a=fingerprint` lines read of one stream: one per hash, and one to spare.
    pub fingerprints: usize,
    /// Payload types of one stream. Video offers of browsers have forty.
    pub formats: usize,
    /// Parts of a multipart body. SDP and ISUP make two.
    pub parts: usize,
    /// Attempts to allocate a port after which one that could not be bound is
    /// tried again. Time is no measure in a room without a clock.
    pub quarantine_attempts: u64,
    /// Ceiling for what is sent on one stream of audio, in packets per second:
    /// four times what 10 ms packets need.
    pub audio_packets_per_second: u32,
    /// The same for video and images: about 30 Mbit/s in packets of 1,200 octets.
    pub video_packets_per_second: u32,
    /// Octets of one UDP payload. Ethernet's 1,500 without IPv4 and UDP headers is
    /// 1,472; T.38 and video stay below.
    pub packet_bytes: u16,
    /// What one description may hold.
    pub offer: OfferLimits,
}

impl Default for MediaLimits {
    fn default() -> Self {
        Self {
            sessions: 10_000,
            forks: 16,
            session_ports: 32,
            crypto_lines: 16,
            fingerprints: 8,
            formats: 64,
            parts: 8,
            quarantine_attempts: 1_000,
            audio_packets_per_second: 400,
            video_packets_per_second: 3_000,
            packet_bytes: 1_472,
            offer: OfferLimits::default(),
        }
    }
}

/// When the relay says that a call's media has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaTimeouts {
    /// Nothing accepted from either side.
    pub silence: Duration,
    /// Nothing accepted from one side that may send, while the other does.
    pub one_way: Duration,
    /// A call on hold.
    pub hold: Duration,
    /// From a DTLS handshake's start to its end.
    pub setup: Duration,
}

impl Default for MediaTimeouts {
    fn default() -> Self {
        Self {
            // RTCP comes every 5 s (RFC 3550 section 6.2), so this is twelve of them.
            silence: Duration::from_secs(60),
            // Voice activity detection without comfort noise is silent for long.
            one_way: Duration::from_secs(120),
            hold: Duration::from_secs(30 * 60),
            // Retransmissions of RFC 6347 at 1, 2, 4 and 8 s.
            setup: Duration::from_secs(20),
        }
    }
}
