//! What the relay is told. Commands of one session are obeyed in order.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use smallvec::SmallVec;

use crate::{Fingerprint, KeyMaterial, MediaTimeouts, SessionId};

/// A port pair of ours: RTP on the even port, RTCP on the next one unless both
/// share the first (RFC 5761).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LocalPorts {
    /// Index into the interfaces of the configuration.
    pub interface: u16,
    /// Family of the interface's bound address.
    pub ipv6: bool,
    /// Even port.
    pub rtp: u16,
}

impl LocalPorts {
    /// The odd port beside it.
    #[must_use]
    pub const fn rtcp(self) -> u16 {
        self.rtp | 1
    }
}

/// How a party's source address is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Latch {
    /// It is the signalled one, or lies in the networks that the operator named.
    Signalled,
    /// The first source that [`Remote::fits`] and speaks the agreed language.
    FirstFitting,
}

/// Where a party's media comes from and goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// Where to send RTP before a source is latched; `None` if the signalled
    /// address must not be followed.
    pub rtp: Option<SocketAddr>,
    /// Where to send RTCP; the same as `rtp` when both share a port.
    pub rtcp: Option<SocketAddr>,
    /// How its source is found.
    pub latch: Latch,
    /// Single addresses that a latched source may have beside the signalled one.
    pub sources: SmallVec<[IpAddr; 1]>,
    /// Networks that its media may also come from.
    pub networks: Arc<[IpNet]>,
}

impl Remote {
    /// May a packet from `source` be this party's? The exact signalled address
    /// always may. Otherwise the operator's networks decide and, behind NAT, the
    /// addresses of its signalling and its SDP, with any port.
    #[must_use]
    pub fn fits(&self, source: SocketAddr, rtcp: bool) -> bool {
        let signalled = if rtcp { self.rtcp } else { self.rtp };
        if signalled == Some(source) {
            return true;
        }
        let address = source.ip();
        let known = self.latch == Latch::FirstFitting
            && (signalled.is_some_and(|signalled| signalled.ip() == address)
                || self.sources.contains(&address));
        known
            || self
                .networks
                .iter()
                .any(|network| network.contains(&address))
    }
}

/// How packets between us and one party are protected.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Protection {
    /// Not agreed yet: nothing passes, either way.
    #[default]
    Closed,
    /// RTP in the clear.
    Plain,
    /// Whatever the parties do between them; packets pass unread.
    Passthrough,
    /// SRTP with these keys. A context lives as long as its own key stays in the
    /// plan, whatever happens to the other one.
    Sdes {
        /// What we protect with.
        send: KeyMaterial,
        /// What the party protects with.
        receive: KeyMaterial,
    },
    /// SRTP with keys from a handshake. It is repeated only when this value
    /// changes.
    Dtls {
        /// We send the ClientHello.
        active: bool,
        /// The party's certificate must match one of these: the strongest hash
        /// that is listed.
        fingerprints: Vec<Fingerprint>,
    },
}

/// What travels on a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StreamKind {
    /// RTP and RTCP.
    Rtp,
    /// T.38 over UDPTL: one port, no RTCP, never encrypted.
    Udptl,
}

/// Codecs that the estimate of quality knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711, either law.
    G711,
    /// G.722 at 64 kbit/s.
    G722,
    /// G.729, with or without annexes.
    G729,
    /// Opus.
    Opus,
    /// Tones of RFC 4733.
    TelephoneEvent,
    /// Comfort noise of RFC 3389.
    ComfortNoise,
    /// Any other.
    Other,
}

/// One payload type that a party may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Format {
    /// 0 to 127.
    pub payload_type: u8,
    /// Hz of the RTP timestamp.
    pub clock_rate: u32,
    /// The codec, if it matters here.
    pub codec: Codec,
}

/// One party's end of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndPlan {
    /// Our ports that face it.
    pub local: LocalPorts,
    /// Where it is; `None` until it has said so.
    pub remote: Option<Remote>,
    /// RTCP shares the RTP port on this leg.
    pub rtcp_mux: bool,
    /// How packets on this leg are protected.
    pub protection: Protection,
    /// It may send media.
    pub sends: bool,
    /// It wants to receive media.
    pub receives: bool,
    /// Bit `n` set: it may send payload type `n`. Without meaning for UDPTL.
    pub payload_types: u128,
    /// The same payload types with their clock rates.
    pub formats: SmallVec<[Format; 4]>,
    /// What travels here.
    pub kind: StreamKind,
    /// Packets per second that it may send, RTP and RTCP each.
    pub packets_per_second: u32,
    /// Octets that one packet may have.
    pub packet_bytes: u16,
}

/// What the relay is to do. `Debug` shows no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelayCommand {
    /// A session begins.
    Open {
        /// Its identity.
        session: SessionId,
        /// When it ends by itself.
        timeouts: MediaTimeouts,
    },
    /// A new or changed stream. Sockets are opened when a [`LocalPorts`] is new
    /// to the session, before the command returns.
    Stream {
        /// Its session.
        session: SessionId,
        /// Its place among the `m=` lines.
        stream: u8,
        /// Grows with each change of the stream.
        generation: u32,
        /// By [`crate::Side`].
        ends: Box<[EndPlan; 2]>,
    },
    /// Nothing passes on the stream any more; its sockets may stay until `Close`.
    RemoveStream {
        /// Its session.
        session: SessionId,
        /// Its place among the `m=` lines.
        stream: u8,
    },
    /// Whether the hold timeout counts instead of the other two.
    OnHold {
        /// Its session.
        session: SessionId,
        /// No stream flows both ways.
        held: bool,
    },
    /// The session is over: close its sockets, then say [`crate::RelayEvent::Closed`].
    Close {
        /// Its session.
        session: SessionId,
    },
}

impl RelayCommand {
    /// The session that it is about.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        match self {
            Self::Open { session, .. }
            | Self::Stream { session, .. }
            | Self::RemoveStream { session, .. }
            | Self::OnHold { session, .. }
            | Self::Close { session } => *session,
        }
    }
}
