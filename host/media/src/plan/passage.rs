//! A message on its way through, and what becomes of its body.

use bytes::Bytes;

use crate::{OfferError, Requirement, SessionId, Side, Terms};

/// The message that carries a body, or could.
///
/// `transaction` numbers requests of one call and direction. A response and an
/// ACK have the number of their request; the direction is that of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Carrier {
    /// INVITE or re-INVITE.
    Invite {
        /// Its number.
        transaction: u64,
    },
    /// 101 to 199 for an INVITE.
    Provisional {
        /// The INVITE's number.
        transaction: u64,
        /// It has `RSeq` and requires `100rel` (RFC 3262).
        reliable: bool,
    },
    /// 2xx for an INVITE.
    Success {
        /// The INVITE's number.
        transaction: u64,
    },
    /// ACK for a 2xx.
    Ack {
        /// The INVITE's number.
        transaction: u64,
    },
    /// PRACK.
    Prack {
        /// Its number.
        transaction: u64,
    },
    /// 2xx for a PRACK.
    PrackSuccess {
        /// The PRACK's number.
        transaction: u64,
    },
    /// UPDATE.
    Update {
        /// Its number.
        transaction: u64,
    },
    /// 2xx for an UPDATE.
    UpdateSuccess {
        /// The UPDATE's number.
        transaction: u64,
    },
    /// Any other message: SDP in it negotiates nothing.
    Other,
}

/// A message with or without a body passes from one party to the other.
#[derive(Debug, Clone, Copy)]
pub struct Passage<'a> {
    /// The call.
    pub session: SessionId,
    /// Who sent the message.
    pub from: Side,
    /// The dialog it belongs to: the fork's number, 0 before there is one.
    pub dialog: u32,
    /// What kind of message it is.
    pub carrier: Carrier,
    /// Its Content-Type, if any.
    pub content_type: Option<&'a [u8]>,
    /// Its body, empty if none.
    pub body: &'a [u8],
    /// By [`Side`].
    pub terms: &'a [Terms; 2],
    /// What policy requires of this call.
    pub requirement: Requirement,
}

/// What to send in place of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// There is no SDP in it: as it came.
    AsIs,
    /// These bytes, of the same Content-Type.
    Replace(Bytes),
    /// No body and no Content-Type: the message negotiates nothing, so its SDP
    /// would only tell addresses.
    Remove,
}

/// Why a message cannot pass. `Display` is for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// 488: what it asks for is not allowed or not possible.
    #[error(transparent)]
    Unacceptable(#[from] Unacceptable),
    /// 400 to a request; a response that cannot be read becomes 488 upstream and
    /// ends the dialog.
    #[error(transparent)]
    Malformed(#[from] OfferError),
    /// 491: an offer is under way in the other direction.
    #[error("an offer of the other party is under way")]
    Glare,
    /// 500 with Retry-After: an offer is under way in this direction.
    #[error("an earlier offer of this party is not answered yet")]
    OfferPending,
    /// 503: the pool has no port left on this interface.
    #[error("no media port is free")]
    PortsExhausted,
    /// 503: this ceiling of [`crate::MediaLimits`] is reached.
    #[error("the media limit {0} is reached")]
    Limit(&'static str),
}

impl Refused {
    /// Status code for a request; for a response that cannot pass, what goes
    /// upstream is 488 whenever this is 400 or 488.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Unacceptable(_) => 488,
            Self::Malformed(_) => 400,
            Self::Glare => 491,
            Self::OfferPending => 500,
            Self::PortsExhausted | Self::Limit(_) => 503,
        }
    }
}

/// Why an offer or an answer is not acceptable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Unacceptable {
    /// The requirement or the peer's terms want encryption and it offers none
    /// that we know.
    #[error("the media must be encrypted and the offer has no usable keys")]
    NotEncrypted,
    /// Nothing in the terms of the far peer fulfils the requirement.
    #[error("the media must be encrypted and the far peer's terms allow no encryption")]
    PeerCannotEncrypt,
    /// The answer is in the clear where it must not be, or has no usable keys.
    #[error("the answer does not carry the encryption that was offered")]
    AnswerNotEncrypted,
    /// The mode is not among the peer's terms.
    #[error("the peer's terms do not allow this kind of media")]
    Mode,
    /// No stream of a kind that can be relayed.
    #[error("no stream of the offer can be relayed")]
    NoStream,
    /// Streams of offer and answer differ in number or kind.
    #[error("the answer's streams are not those of the offer")]
    AnswerStreams,
    /// The answer names codecs that were not offered, and no others.
    #[error("the answer has no codec of the offer")]
    AnswerFormats,
    /// A 2xx or an ACK lacks the answer that it must carry.
    #[error("an answer is missing")]
    AnswerMissing,
    /// The media address must not be followed.
    #[error("the media address may not be followed")]
    Address,
    /// The interface has no address of the family.
    #[error("the media interface has no address of that family")]
    AddressFamily,
    /// `a=setup` cannot be agreed.
    #[error("the roles of the DTLS handshake cannot be agreed")]
    Setup,
    /// The terms name no interface of the configuration.
    #[error("the leg has no media interface")]
    Interface,
    /// SDP in a body that cannot be taken apart.
    #[error("the multipart body cannot be read")]
    Multipart,
}
