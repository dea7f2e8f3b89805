//! The rules by which packets pass: what a packet is, whose it is, how many there
//! may be, and what they say of the call's quality.
//!
//! Nothing here allocates and everything takes time as an argument: microseconds
//! of a clock that never goes back. For one packet the relay asks, in this order:
//! [`Bounds::check`], [`classify`], [`SourceLatch::screen`], then, for SRTP, the
//! cipher, and only with an authentic packet [`SourceLatch::admit_rtp`] or
//! [`SourceLatch::admit_rtcp`]. A packet that fails leaves no trace but a count.

mod bounds;
mod demultiplex;
mod latch;
mod quality;
mod statistics;

pub use bounds::Bounds;
pub use demultiplex::{PacketKind, RtcpHeader, RtpHeader, classify};
pub use latch::{Admission, Component, SSRC_SILENCE_US, SourceLatch};
pub use quality::{mean_opinion_score, transmission_rating};
pub use statistics::{ReceivedPacket, ReceiverStatistics};
