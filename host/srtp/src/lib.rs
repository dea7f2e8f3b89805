//! SRTP and SRTCP (RFC 3711) with the AES-CM suites of RFC 3711 and RFC 6188 and the AES-GCM
//! suites of RFC 7714: our own framing, the ciphers of aws-lc-rs.
//!
//! This room has no socket, no clock, no thread and no randomness. A context holds one master
//! key for one direction:
//!
//! ```text
//!   RTP  -> SendContext::protect_rtp      -> SRTP  -> ReceiveContext::unprotect_rtp  -> RTP
//!   RTCP -> SendContext::protect_rtcp     -> SRTCP -> ReceiveContext::unprotect_rtcp -> RTCP
//! ```
//!
//! Packets are worked on in place, without a lock and without an allocation; only a synchronization
//! source that was never seen before may make the table of sources grow, up to its ceiling.
//!
//! - Nothing that a peer sends changes a context before its authentication tag was verified.
//! - A packet index is never used twice under one key, neither sent nor accepted.
//! - Keys are wiped when they are dropped, and no `Debug` shows any.

mod context;
mod counter_mode;
mod derivation;
mod error;
mod exporter;
mod gcm;
mod header;
mod lifetime;
mod receive;
mod replay;
mod send;
mod sources;
mod transform;

#[cfg(test)]
mod tests;

pub use context::{ContextLimits, MAX_PACKET, MAX_SOURCES_DEFAULT, MasterKey};
pub use error::{KeyError, SrtpError};
pub use exporter::{
    DtlsKeys, EXPORTER_LABEL, PROFILES, exporter_len, profile_number, profile_suite,
};
pub use lifetime::{KeyUsage, MAX_RTCP_PACKETS, MAX_RTP_PACKETS};
pub use receive::ReceiveContext;
pub use replay::REPLAY_WINDOW;
pub use send::SendContext;
