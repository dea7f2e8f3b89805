//! Where messages come from and where they go (RFC 3261 section 18).

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use crate::TransactionId;

/// The transports of SIP (RFC 3261 section 18, RFC 7118 for WebSocket).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A stream in the clear.
    Tcp,
    /// A stream under TLS.
    Tls,
    /// WebSocket in the clear (RFC 7118).
    Ws,
    /// WebSocket under TLS (RFC 7118).
    Wss,
}

impl Transport {
    /// Whether the transport itself repeats what is lost, so that timers A, E and G
    /// never run and the waiting states last for no time (RFC 3261 section 17).
    #[must_use]
    pub const fn reliable(self) -> bool {
        !matches!(self, Self::Udp)
    }

    /// Whether bytes are encrypted on the wire.
    #[must_use]
    pub const fn secure(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }

    /// The name as a Via header spells it (RFC 3261 section 25.1, RFC 7118 section 5.2).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// The transport that a Via or a `transport` parameter names, in any case.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        [Self::Udp, Self::Tcp, Self::Tls, Self::Ws, Self::Wss]
            .into_iter()
            .find(|transport| name.eq_ignore_ascii_case(transport.name().as_bytes()))
    }

    /// The port that is meant where none is written (RFC 3261 section 19.1.2,
    /// RFC 7118 section 5.1 for WebSocket).
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One configured listener, numbered by the driver in the order of the config.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerId(pub u16);

/// One connection of a stream transport. Never reused while the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// Where a message came in: what the transport knows, not what the message claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// How it came.
    pub transport: Transport,
    /// The listener that received it, or that owns the connection.
    pub listener: ListenerId,
    /// Our address.
    pub local: SocketAddr,
    /// The source address.
    pub peer: SocketAddr,
    /// The connection, for stream transports.
    pub connection: Option<ConnectionId>,
}

impl Flow {
    /// The way straight back: the same connection, or the source of the datagram.
    #[must_use]
    pub fn reply(&self) -> Destination {
        Destination {
            transport: self.transport,
            address: self.peer,
            connection: self.connection,
            listener: Some(self.listener),
            server_name: None,
        }
    }
}

/// Where a message shall go (RFC 3261 sections 18.1.1 and 18.2.2).
///
/// `connection` is used while it is open; otherwise a stream transport reuses or opens
/// a connection to `address`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// How to send.
    pub transport: Transport,
    /// The remote address.
    pub address: SocketAddr,
    /// The connection to prefer.
    pub connection: Option<ConnectionId>,
    /// The listener whose socket or address to send from; the transport chooses if none.
    pub listener: Option<ListenerId>,
    /// The name that a TLS certificate must show (RFC 5922); the address if none.
    pub server_name: Option<Arc<str>>,
}

impl Destination {
    /// A destination by address alone.
    #[must_use]
    pub const fn new(transport: Transport, address: SocketAddr) -> Self {
        Self {
            transport,
            address,
            connection: None,
            listener: None,
            server_name: None,
        }
    }
}

/// Bytes to be written, in the order in which the layer hands them out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub to: Destination,
    /// One whole message.
    pub bytes: Bytes,
    /// Whom to tell when it cannot be sent, by
    /// [`handle_transport_error`](crate::TransactionLayer::handle_transport_error);
    /// `None` for what was sent statelessly.
    pub transaction: Option<TransactionId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transports_are_found_by_name_in_any_case() {
        assert_eq!(Transport::from_name(b"udp"), Some(Transport::Udp));
        assert_eq!(Transport::from_name(b"Wss"), Some(Transport::Wss));
        assert_eq!(Transport::from_name(b"SCTP"), None);
        assert_eq!(Transport::Tls.to_string(), "TLS");
    }

    #[test]
    fn only_datagrams_are_unreliable() {
        assert!(!Transport::Udp.reliable());
        for transport in [
            Transport::Tcp,
            Transport::Tls,
            Transport::Ws,
            Transport::Wss,
        ] {
            assert!(transport.reliable());
        }
        assert!(Transport::Tls.secure() && Transport::Wss.secure());
        assert!(!Transport::Udp.secure() && !Transport::Tcp.secure() && !Transport::Ws.secure());
        assert_eq!(Transport::Tls.default_port(), 5061);
    }
}
