//! What sip-proxy, this room and the relay say to each other.

mod command;
mod config;
mod event;
mod passage;

pub use command::{
    Codec, EndPlan, Format, Latch, LocalPorts, Protection, RelayCommand, Remote, StreamKind,
};
pub use config::{AnchorConfig, ConfigFault, Interface, Terms};
pub use event::{Rejected, Rejection, RelayEvent, SessionFigures, StreamFigures};
pub use passage::{Body, Carrier, Passage, Refused, Unacceptable};

/// A call with media, unique in the process: shard index in the top 16 bits, the
/// call's number below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

impl SessionId {
    /// The identity of call `number` of a shard. Numbers wrap after 2^48 calls.
    #[must_use]
    pub const fn new(shard: u16, number: u64) -> Self {
        Self((shard as u64) << 48 | (number & 0xFFFF_FFFF_FFFF))
    }

    /// The shard that owns it.
    #[must_use]
    pub const fn shard(self) -> usize {
        (self.0 >> 48) as usize
    }
}

/// The two parties, named by who sent the first INVITE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// Sent the INVITE that began the call.
    Caller = 0,
    /// Received it.
    Callee = 1,
}

impl Side {
    /// Both, in the order of `[T; 2]` tables.
    pub const BOTH: [Self; 2] = [Self::Caller, Self::Callee];

    /// The party across.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Caller => Self::Callee,
            Self::Callee => Self::Caller,
        }
    }

    /// Its entry in a table of two.
    #[must_use]
    pub const fn of<T>(self, table: &[T; 2]) -> &T {
        let [caller, callee] = table;
        match self {
            Self::Caller => caller,
            Self::Callee => callee,
        }
    }

    /// Its entry in a table of two.
    #[must_use]
    pub const fn of_mut<T>(self, table: &mut [T; 2]) -> &mut T {
        let [caller, callee] = table;
        match self {
            Self::Caller => caller,
            Self::Callee => callee,
        }
    }
}

/// How media travels on one leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    /// RTP in the clear.
    Plain,
    /// SRTP with keys in SDP: RFC 4568.
    Sdes,
    /// SRTP with keys from a DTLS handshake: RFC 5764.
    Dtls,
    /// As the parties agree between them: keys and handshakes pass, and the relay
    /// holds none.
    Passthrough,
}

impl Mode {
    /// Its name in configuration and records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Sdes => "sdes",
            Self::Dtls => "dtls",
            Self::Passthrough => "passthrough",
        }
    }
}

/// What a policy requires of a call's media. The greater one is the stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Requirement {
    /// Whatever both parties' terms allow.
    #[default]
    Any,
    /// The caller's leg, whose request was judged, carries no clear media.
    Encrypted,
    /// Neither leg does.
    EncryptedBoth,
}

impl Requirement {
    /// Whether that party's leg must be encrypted.
    #[must_use]
    pub const fn binds(self, side: Side) -> bool {
        match self {
            Self::Any => false,
            Self::Encrypted => matches!(side, Side::Caller),
            Self::EncryptedBoth => true,
        }
    }
}
