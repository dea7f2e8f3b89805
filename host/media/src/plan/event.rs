//! What the relay reports.

use std::net::SocketAddr;

use crate::{LocalPorts, SessionId, Side};

/// Something that happened to a session's media.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelayEvent {
    /// A port could not be bound. The pool avoids it for a while; the call ends.
    PortUnavailable {
        /// The session that wanted it.
        session: SessionId,
        /// The port pair.
        local: LocalPorts,
    },
    /// Nothing came from either side.
    Silent {
        /// The session.
        session: SessionId,
    },
    /// One side sent nothing for longer than allowed.
    OneWay {
        /// The session.
        session: SessionId,
        /// The side that was not heard.
        side: Side,
    },
    /// A hold lasted too long.
    HoldOver {
        /// The session.
        session: SessionId,
    },
    /// DTLS failed or took too long.
    HandshakeFailed {
        /// The session.
        session: SessionId,
        /// The stream's place.
        stream: u8,
        /// The leg.
        side: Side,
        /// For the operator.
        reason: String,
    },
    /// A key has protected as many packets as it may.
    KeyExhausted {
        /// The session.
        session: SessionId,
    },
    /// A packet that is not the party's: the first of each kind per stream and
    /// side. Later ones are counted only.
    ForeignSource {
        /// The session.
        session: SessionId,
        /// The stream's place.
        stream: u8,
        /// The leg that it came in on.
        side: Side,
        /// Who sent it.
        source: SocketAddr,
        /// Why it was dropped.
        rejection: Rejection,
    },
    /// After `Close`: its ports may be used again.
    Closed {
        /// The session.
        session: SessionId,
        /// What passed.
        figures: Box<SessionFigures>,
    },
}

impl RelayEvent {
    /// The session that it is about.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        match self {
            Self::PortUnavailable { session, .. }
            | Self::Silent { session }
            | Self::OneWay { session, .. }
            | Self::HoldOver { session }
            | Self::HandshakeFailed { session, .. }
            | Self::KeyExhausted { session }
            | Self::ForeignSource { session, .. }
            | Self::Closed { session, .. } => *session,
        }
    }
}

/// Why a packet was not relayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// Not from the party's address.
    Source,
    /// A synchronisation source that does not belong to the stream.
    Ssrc,
    /// Its SRTP tag is wrong.
    Authentication,
    /// Seen before, or older than the replay window.
    Replay,
    /// Larger than allowed.
    Size,
    /// More of them than allowed.
    Rate,
    /// Not what the port is for, or a payload type that was not agreed.
    Malformed,
    /// The stream is not open in this direction.
    Closed,
}

/// Packets that were not relayed, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rejected {
    /// See [`Rejection::Source`].
    pub source: u64,
    /// See [`Rejection::Ssrc`].
    pub ssrc: u64,
    /// See [`Rejection::Authentication`].
    pub authentication: u64,
    /// See [`Rejection::Replay`].
    pub replay: u64,
    /// See [`Rejection::Size`].
    pub size: u64,
    /// See [`Rejection::Rate`].
    pub rate: u64,
    /// See [`Rejection::Malformed`].
    pub malformed: u64,
    /// See [`Rejection::Closed`].
    pub closed: u64,
}

impl Rejected {
    /// One more for that reason. True for the first.
    pub fn count(&mut self, rejection: Rejection) -> bool {
        let counter = match rejection {
            Rejection::Source => &mut self.source,
            Rejection::Ssrc => &mut self.ssrc,
            Rejection::Authentication => &mut self.authentication,
            Rejection::Replay => &mut self.replay,
            Rejection::Size => &mut self.size,
            Rejection::Rate => &mut self.rate,
            Rejection::Malformed => &mut self.malformed,
            Rejection::Closed => &mut self.closed,
        };
        *counter = counter.saturating_add(1);
        *counter == 1
    }

    /// Each reason by its name in records and metrics.
    #[must_use]
    pub const fn named(&self) -> [(&'static str, u64); 8] {
        [
            ("source", self.source),
            ("ssrc", self.ssrc),
            ("authentication", self.authentication),
            ("replay", self.replay),
            ("size", self.size),
            ("rate", self.rate),
            ("malformed", self.malformed),
            ("closed", self.closed),
        ]
    }

    /// All reasons together.
    #[must_use]
    pub fn total(&self) -> u64 {
        let counts = self.named().into_iter().map(|(_, count)| count);
        counts.fold(0, u64::saturating_add)
    }

    /// Those of others besides.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in [
            (&mut self.source, other.source),
            (&mut self.ssrc, other.ssrc),
            (&mut self.authentication, other.authentication),
            (&mut self.replay, other.replay),
            (&mut self.size, other.size),
            (&mut self.rate, other.rate),
            (&mut self.malformed, other.malformed),
            (&mut self.closed, other.closed),
        ] {
            *count = count.saturating_add(more);
        }
    }
}

/// What came from one party on one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamFigures {
    /// The stream's place.
    pub stream: u8,
    /// The party that sent.
    pub side: Side,
    /// RTP packets relayed.
    pub packets: u64,
    /// Their octets as received, RTP header and SRTP tag included.
    pub octets: u64,
    /// Packets that never came.
    pub lost: u64,
    /// Interarrival jitter of RFC 3550 appendix A.8, in microseconds.
    pub jitter_us: u32,
    /// Packets that came after a later one.
    pub late: u64,
    /// Packets that came twice.
    pub duplicate: u64,
    /// Packets that were not relayed.
    pub rejected: Rejected,
    /// Suite that protects this leg, `none` for clear media, `unknown` where the
    /// parties hold the keys.
    pub cipher: &'static str,
    /// Estimated mean opinion score times 100, 100 to 450; `None` without an
    /// audio codec that the model knows.
    pub mos_hundredths: Option<u16>,
}

/// What passed in one session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionFigures {
    /// By stream, then by side.
    pub streams: Vec<StreamFigures>,
}
