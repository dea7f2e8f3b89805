//! What SDP offers, read for policies.
//!
//! This room is pure: bytes in, values out, no socket and no clock.

mod offer;

pub use offer::{OfferError, OfferLimits, Stream, read_offer};
