//! Opening TCP and TLS connections (RFC 3261 section 18.1.1, RFC 5923).
//!
//! The messages that wait for the connect are already in the connection's queue;
//! if it fails they are told why, each by its transaction.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use sip_transaction::Transport;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::admission::Slot;
use crate::certificate::{PeerCertificate, Proof};
use crate::config::ConnectionLimits;
use crate::connection::{Connection, abandon};
use crate::inbound::{SendError, SharedInbox};
use crate::outgoing::Outgoing;
use crate::shared::SharedTransport;
use crate::socket;
use crate::table::ConnectionHandle;
use crate::tls::TlsSession;
use crate::worker::WorkerCore;

/// A connection in the table that is yet to be opened.
pub(crate) struct Dial {
    pub(crate) handle: Arc<ConnectionHandle>,
    pub(crate) queue: mpsc::Receiver<Outgoing>,
    /// The address to connect from; unspecified to let the kernel choose.
    pub(crate) from: IpAddr,
    pub(crate) limits: ConnectionLimits,
    pub(crate) slot: Slot,
}

impl Dial {
    /// Forgets the connection; whatever waits for it is told why.
    pub(crate) fn give_up(mut self, shared: &SharedTransport, error: &SendError) {
        shared.table.remove(&self.handle);
        abandon(&mut self.queue, error);
    }

    /// Connects and runs the connection to its end.
    pub(crate) async fn run(self, core: Rc<WorkerCore>, inbox: SharedInbox) {
        let Dial {
            handle,
            mut queue,
            from,
            limits,
            slot,
        } = self;
        let _slot = slot;
        let _entry = core.entry(&handle);
        let opened = tokio::select! {
            opened = open(&handle, from, &limits, &core) => opened,
            _ = handle.close_requested() => Err(SendError::Closed),
        };
        let (stream, local) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                core.shared.table.remove(&handle);
                tracing::debug!(peer = %handle.opening.peer, %error, "failed to open a connection");
                return abandon(&mut queue, &error);
            }
        };
        core.counters.connected.increment();
        let connection = Connection {
            handle,
            local,
            limits,
            core: Rc::clone(&core),
            inbox,
        };
        match stream {
            Opened::Tcp(stream) => {
                let (reader, writer) = stream.into_split();
                connection.run(reader, writer, &mut queue).await;
            }
            Opened::Tls(stream) => {
                let (reader, writer) = tokio::io::split(*stream);
                connection.run(reader, writer, &mut queue).await;
            }
        }
    }
}

enum Opened {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

async fn open(
    handle: &ConnectionHandle,
    from: IpAddr,
    limits: &ConnectionLimits,
    core: &WorkerCore,
) -> Result<(Opened, SocketAddr), SendError> {
    let stream = connect(handle.opening.peer, from, limits)
        .await
        .inspect_err(|_| {
            core.counters.connect_failures.increment();
        })?;
    let local = stream
        .local_addr()
        .map_err(|error| SendError::Connect(error.kind()))?;
    if handle.opening.transport != Transport::Tls {
        return Ok((Opened::Tcp(stream), local));
    }
    let stream = handshake(handle, stream, limits, core)
        .await
        .inspect_err(|_| {
            core.counters.handshake_failures.increment();
        })?;
    Ok((Opened::Tls(Box::new(stream)), local))
}

async fn connect(
    peer: SocketAddr,
    from: IpAddr,
    limits: &ConnectionLimits,
) -> Result<TcpStream, SendError> {
    let refused = |error: io::Error| SendError::Connect(error.kind());
    let socket = socket::outbound(peer, from).map_err(refused)?;
    let stream = timeout(limits.connect, socket.connect(peer))
        .await
        .map_err(|_| SendError::ConnectTimeout)?
        .map_err(refused)?;
    socket::tune(&stream);
    Ok(stream)
}

async fn handshake(
    handle: &ConnectionHandle,
    stream: TcpStream,
    limits: &ConnectionLimits,
    core: &WorkerCore,
) -> Result<TlsStream<TcpStream>, SendError> {
    let tls = core
        .shared
        .config()
        .outbound_tls
        .clone()
        .ok_or(SendError::NoOutboundTls)?;
    let name = server_name(handle)?;
    let connecting = TlsConnector::from(tls.current()).connect(name, stream);
    let stream = timeout(limits.handshake, connecting)
        .await
        .map_err(|_| SendError::Handshake("no answer in time".into()))?
        .map_err(|error| SendError::Handshake(error.to_string().into()))?;
    let agreed = stream.get_ref().1;
    let tls = TlsSession::of(agreed);
    let presented = agreed.peer_certificates().and_then(<[_]>::first);
    let certificate = presented
        .and_then(PeerCertificate::from_der)
        .ok_or_else(|| SendError::Handshake("the server's certificate is not readable".into()))?;
    handle.set_proof(Proof {
        certificate: Some(Arc::new(certificate)),
        tls,
    });
    Ok(stream)
}

/// The name that the server must prove: that of the destination, else its address.
fn server_name(handle: &ConnectionHandle) -> Result<ServerName<'static>, SendError> {
    match &handle.opening.server_name {
        None => Ok(ServerName::from(handle.opening.peer.ip())),
        Some(name) => ServerName::try_from(name.to_string())
            .map_err(|_| SendError::ServerName(Arc::clone(name))),
    }
}
