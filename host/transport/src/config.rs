//! What the operator decides about listeners, connections and datagrams.
//!
//! Every limit has a name, a default and the reason for it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sip_message::Limits;
use sip_transaction::{ListenerId, Transport};

use crate::tls::{OutboundTls, TlsSettings};

/// One address to listen on. Each worker opens its own socket there with `SO_REUSEPORT`.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// The number by which flows and destinations name this listener.
    pub id: ListenerId,
    /// UDP, TCP or TLS. WebSocket is refused with [`crate::BindError::Unsupported`].
    pub transport: Transport,
    /// The address to bind. An IPv6 address never receives IPv4 traffic.
    pub bind: SocketAddr,
    /// Certificates; required for TLS, ignored otherwise.
    pub tls: Option<Arc<TlsSettings>>,
}

/// What all workers share.
#[derive(Clone, Debug, Default)]
pub struct TransportConfig {
    /// Ceilings and timeouts of TCP and TLS connections.
    pub limits: ConnectionLimits,
    /// Ceilings of UDP sockets.
    pub datagrams: DatagramLimits,
    /// Ceilings of one message, handed to the parser.
    pub messages: Limits,
    /// Trust and identity for TLS connections that we open. Without it TLS is
    /// never dialled, and such sends fail with [`crate::SendError::NoOutboundTls`].
    pub outbound_tls: Option<Arc<OutboundTls>>,
}

/// Ceilings and timeouts of TCP and TLS connections.
///
/// The most memory that peers can pin is about
/// `(inbound + outbound) * messages.message_bytes + write_total_bytes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections accepted and open at once, over all workers. Default 8,192:
    /// half a gigabyte if each one held a message of 64 kB half read.
    pub inbound: usize,
    /// Connections open at once from one IPv4 address or one IPv6 /64. Default
    /// 128: room for the phones behind one NAT, far from filling `inbound`.
    pub per_peer: usize,
    /// Connections that we opened. Default 1,024: counted apart from `inbound`,
    /// so that strangers cannot keep us from reaching our own trunks.
    pub outbound: usize,
    /// From accept or connect to the end of the TLS handshake. Default 5 s:
    /// three retransmissions of a lost flight.
    pub handshake: Duration,
    /// Until the TCP connection that we open is established. Default 4 s: well
    /// under Timer B (32 s), so that failover to another target still has time.
    pub connect: Duration,
    /// Until an accepted connection has sent its first whole message. Default
    /// 32 s: the length of a transaction; who says nothing by then wants nothing.
    pub first_message: Duration,
    /// From the first byte of a message to its last. Default 10 s: generous for
    /// 64 kB, and the end of a sender that drips one byte at a time.
    pub message: Duration,
    /// Without a byte in either direction. Default one hour: twice the usual
    /// session refresh (RFC 4028, 1,800 s), so that quiet calls keep their path.
    pub idle: Duration,
    /// Until the peer has taken one batch of queued messages. Default 10 s.
    pub write: Duration,
    /// Messages that wait on one connection. Default 1,024.
    pub write_messages: usize,
    /// Bytes that wait on one connection. Default 1 MiB: a third of a second of
    /// a trunk with a thousand calls per second.
    pub write_bytes: usize,
    /// Bytes that wait on all connections together. Default 256 MiB.
    pub write_total_bytes: usize,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        ConnectionLimits {
            inbound: 8_192,
            per_peer: 128,
            outbound: 1_024,
            handshake: Duration::from_secs(5),
            connect: Duration::from_secs(4),
            first_message: Duration::from_secs(32),
            message: Duration::from_secs(10),
            idle: Duration::from_secs(3_600),
            write: Duration::from_secs(10),
            write_messages: 1_024,
            write_bytes: 1 << 20,
            write_total_bytes: 256 << 20,
        }
    }
}

/// Ceilings of one UDP socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatagramLimits {
    /// Datagrams that wait while the kernel's send buffer is full. Default 1,024;
    /// beyond it the newest is dropped and its transaction told.
    pub send_queue: usize,
    /// Receive buffer asked of the kernel, bytes. Default 4 MiB: some 3,000
    /// messages while the worker is busy. The kernel may grant less.
    pub receive_buffer: usize,
    /// Send buffer asked of the kernel, bytes. Default 1 MiB.
    pub send_buffer: usize,
}

impl Default for DatagramLimits {
    fn default() -> Self {
        DatagramLimits {
            send_queue: 1_024,
            receive_buffer: 4 << 20,
            send_buffer: 1 << 20,
        }
    }
}
