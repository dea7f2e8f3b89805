//! What a ring reports.

use std::net::SocketAddr;

use super::Lease;

/// What has come on a socket.
#[derive(Debug)]
pub(crate) struct Datagram {
    pub(crate) token: u64,
    /// Missing when the kernel named none of a known family.
    pub(crate) source: Option<SocketAddr>,
    pub(crate) lease: Lease,
    /// Of the packet in the buffer.
    pub(crate) length: usize,
}

/// What has ended or come.
#[derive(Debug)]
pub(crate) enum Completion {
    /// A packet came.
    Datagram(Datagram),
    /// A packet left, or did not.
    Sent { ok: bool },
    /// A socket no longer receives: `error` is the kernel's number, 0 for none. Follows
    /// the last datagram.
    Ended { token: u64, error: i32 },
    /// The watched descriptor is readable; without `more` it is watched no longer.
    Bell { more: bool },
}
