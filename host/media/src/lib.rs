//! What SDP says and what becomes of it: offer and answer (RFC 3264), the ports of
//! a call, and the rules by which media packets pass.
//!
//! This room is pure: bytes in, values out, no socket, no clock, no randomness.
//! [`Anchor`] takes messages by [`Anchor::handle_message`] and yields commands for
//! the relay by [`Anchor::poll_command`] until that returns nothing.

mod anchor;
pub mod gate;
mod limits;
mod offer;
mod plan;
mod sdp;
mod suite;

pub use anchor::{Anchor, AnchorFigures};
pub use limits::{MediaLimits, MediaTimeouts};
pub use offer::{OfferError, OfferLimits, Stream, read_offer};
pub use plan::{
    AnchorConfig, Body, Carrier, Codec, ConfigFault, EndPlan, Format, Interface, Latch, LocalPorts,
    Mode, Passage, Protection, Refused, Rejected, Rejection, RelayCommand, RelayEvent, Remote,
    Requirement, SessionFigures, SessionId, Side, StreamFigures, StreamKind, Terms, Unacceptable,
};
pub use sdp::address::AddressClass;
pub use sdp::multipart::{Unreadable, find_description};
pub use suite::{Fingerprint, FingerprintHash, KeyMaterial, Mki, Suite};
