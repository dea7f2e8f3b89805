//! SIP over UDP, TCP and TLS on tokio (RFC 3261 section 18).
//!
//! The room knows sockets, bytes and certificates, and nothing of calls. Each
//! worker thread has a [`Worker`] on a current-thread runtime inside a `LocalSet`;
//! it hands what it receives to an [`Inbox`] and takes what shall leave through a
//! [`Sender`]. Each UDP socket has a thread of its own, which hands over likewise. All workers share the [`ConnectionTable`] of a [`SharedTransport`],
//! so that a worker can answer on a connection that another one accepted.
//!
//! Whatever a peer can make grow has a ceiling in [`ConnectionLimits`],
//! [`DatagramLimits`] or [`sip_message::Limits`], and whatever it can delay has a
//! timeout. A message that does not leave is reported to its transaction, once.
//!
//! WebSocket (RFC 7118) is not spoken yet: listeners and sends are refused.

mod admission;
mod certificate;
mod config;
mod connect;
mod connection;
mod figures;
mod inbound;
mod listen;
mod outgoing;
mod outlet;
mod sender;
mod shared;
mod socket;
mod steering;
mod table;
pub mod tls;
mod udp;
mod worker;

pub use certificate::PeerCertificate;
pub use config::{ConnectionLimits, DatagramLimits, ListenerConfig, TransportConfig};
pub use figures::Figures;
pub use inbound::{BindError, Inbound, Inbox, Received, SendError};
pub use sender::Sender;
pub use shared::SharedTransport;
pub use table::ConnectionTable;
pub use tls::{OutboundTls, TlsSession, TlsSettings};
pub use worker::{Worker, WorkerHandle};
