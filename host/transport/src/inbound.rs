//! What a worker hands to the driver, and the errors it reports.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use sip_message::{Message, ParseError};
use sip_transaction::{Flow, ListenerId, TransactionId, Transport};

use crate::certificate::PeerCertificate;
use crate::tls::TlsSession;

/// The driver's end of one worker.
///
/// Called by the worker's own thread for connections and by the threads of its UDP
/// sockets for datagrams, so several may call at once; outside of any borrow or lock
/// of this crate, so [`crate::Sender::send`] may be called at once. Never called from
/// within `send`.
pub trait Inbox: Send + Sync + 'static {
    /// A message, or bytes framed as one that do not parse.
    fn deliver(&self, inbound: Inbound);

    /// A message sent for this transaction did not leave. Called at most once
    /// for each [`crate::Sender::send`] (RFC 3261 section 18.4).
    fn failed(&self, transaction: TransactionId, error: SendError);
}

/// One thing received.
#[derive(Clone, Debug)]
pub struct Inbound {
    /// The message or what is wrong with it.
    pub what: Received,
    /// Where it came in.
    pub flow: Flow,
    /// The verified certificate of the peer, if the connection has one.
    pub certificate: Option<Arc<PeerCertificate>>,
    /// What the handshake of its connection agreed on.
    pub tls: Option<TlsSession>,
}

/// A message, or bytes framed as one that do not parse.
#[derive(Clone, Debug)]
pub enum Received {
    /// A message whose core fields are valid.
    Message(Arc<Message>),
    /// Framed, but not valid; the error knows whether and how to answer.
    Invalid(ParseError),
}

/// Why a message did not leave.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// No socket of this transport and address family is open here.
    #[error("no listener of {} fits {address}", transport.name())]
    NoListener {
        /// The transport asked for.
        transport: Transport,
        /// The address asked for.
        address: SocketAddr,
    },
    /// The transport is not implemented.
    #[error("{} is not supported", .0.name())]
    Unsupported(Transport),
    /// The worker was not started yet or has ended.
    #[error("the worker is not running")]
    NotRunning,
    /// The message does not fit a datagram.
    #[error("{0} bytes do not fit a datagram")]
    TooLarge(usize),
    /// The queue of the socket or connection is full.
    #[error("the write queue is full")]
    QueueFull,
    /// As many outbound connections as allowed are open.
    #[error("the limit of outbound connections is reached")]
    ConnectionLimit,
    /// The connection could not be opened in time.
    #[error("the connection was not established in time")]
    ConnectTimeout,
    /// The connection could not be opened.
    #[error("failed to connect: {0}")]
    Connect(io::ErrorKind),
    /// TLS was asked for, but no trust anchors are configured.
    #[error("outbound TLS is not configured")]
    NoOutboundTls,
    /// The name to verify is neither a DNS name nor an address.
    #[error("{0:?} is not a server name")]
    ServerName(Arc<str>),
    /// The TLS handshake failed; the text is for operators.
    #[error("the TLS handshake failed: {0}")]
    Handshake(Arc<str>),
    /// The peer does not take what we write.
    #[error("the peer did not read in time")]
    WriteTimeout,
    /// The connection ended before the message was written.
    #[error("the connection was closed")]
    Closed,
    /// The kernel refused.
    #[error("failed to send: {0}")]
    Io(io::ErrorKind),
}

/// Why a listener could not be opened: the operator's fault or the machine's.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The kernel refused the address.
    #[error("failed to listen on {} {bind}: {source}", transport.name())]
    Socket {
        /// Transport of the listener.
        transport: Transport,
        /// Its address.
        bind: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// A TLS listener without certificates.
    #[error("the TLS listener on {0} has no certificate")]
    NoCertificate(SocketAddr),
    /// The transport is not implemented.
    #[error("listening on {} is not supported", .0.name())]
    Unsupported(Transport),
    /// Two listeners have the same number.
    #[error("listener {} exists already", .0.0)]
    Duplicate(ListenerId),
    /// The worker was started before.
    #[error("the worker was started already")]
    Started,
    /// The worker has ended.
    #[error("the worker is not running")]
    NotRunning,
}

/// The form in which a worker's threads and tasks share it.
pub(crate) type SharedInbox = Arc<dyn Inbox>;
