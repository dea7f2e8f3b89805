//! Accepting TCP and TLS connections: ceilings first, then the handshake.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use sip_transaction::{ListenerId, Transport};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::admission::{Refusal, Slot};
use crate::certificate::{PeerCertificate, Proof};
use crate::config::{ConnectionLimits, ListenerConfig};
use crate::connection::Connection;
use crate::inbound::{BindError, SharedInbox};
use crate::socket;
use crate::table::{Direction, Opening};
use crate::tls::{TlsSession, TlsSettings};
use crate::worker::WorkerCore;

/// Pause after a failed `accept`, such as no free descriptor, so that it cannot spin.
const ERROR_PAUSE: Duration = Duration::from_millis(50);

/// One TCP or TLS listener of one worker.
pub(crate) struct StreamListener {
    listener: ListenerId,
    transport: Transport,
    tls: Option<Arc<TlsSettings>>,
    pub(crate) local: SocketAddr,
    socket: TcpListener,
}

impl StreamListener {
    /// Binds the socket; the runtime's reactor must be entered.
    pub(crate) fn bind(config: &ListenerConfig) -> Result<Self, BindError> {
        if config.transport == Transport::Tls && config.tls.is_none() {
            return Err(BindError::NoCertificate(config.bind));
        }
        let refused = |source| BindError::Socket {
            transport: config.transport,
            bind: config.bind,
            source,
        };
        let socket = socket::bind_tcp(config.bind)
            .and_then(TcpListener::from_std)
            .map_err(refused)?;
        let local = socket.local_addr().map_err(refused)?;
        let tls = config
            .tls
            .clone()
            .filter(|_| config.transport == Transport::Tls);
        Ok(StreamListener {
            listener: config.id,
            transport: config.transport,
            tls,
            local,
            socket,
        })
    }

    /// Accepts, for ever.
    pub(crate) async fn drive_accepting(self, core: Rc<WorkerCore>, inbox: SharedInbox) {
        loop {
            match self.socket.accept().await {
                Ok((stream, peer)) => self.admit(stream, peer, &core, &inbox),
                Err(error) => {
                    core.counters.accept_errors.increment();
                    tracing::warn!(%error, local = %self.local, "failed to accept a connection");
                    tokio::time::sleep(ERROR_PAUSE).await;
                }
            }
        }
    }

    fn admit(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        core: &Rc<WorkerCore>,
        inbox: &SharedInbox,
    ) {
        let limits = core.shared.config().limits.clone();
        let slot = match core.shared.admission.admit(peer.ip(), &limits) {
            Ok(slot) => slot,
            Err(refusal) => {
                match refusal {
                    Refusal::PerPeer => core.counters.refused_per_peer.increment(),
                    Refusal::Inbound | Refusal::Outbound => {
                        core.counters.refused_inbound.increment()
                    }
                }
                tracing::debug!(%peer, ?refusal, "connection refused");
                // A reset leaves nothing behind, not even a waiting port.
                let _ = stream.set_zero_linger();
                return;
            }
        };
        core.counters.accepted.increment();
        socket::tune(&stream);
        let accepted = Accepted {
            stream,
            local: self.local,
            opening: Opening {
                transport: self.transport,
                peer,
                listener: self.listener,
                direction: Direction::Inbound,
                server_name: None,
                proof: Proof::default(),
            },
            limits,
            core: Rc::clone(core),
            inbox: Arc::clone(inbox),
        };
        let tls = self.tls.clone();
        core.spawn_connection(accepted.run(tls, slot));
    }
}

/// A connection that passed the ceilings.
struct Accepted {
    stream: TcpStream,
    local: SocketAddr,
    opening: Opening,
    limits: ConnectionLimits,
    core: Rc<WorkerCore>,
    inbox: SharedInbox,
}

impl Accepted {
    async fn run(mut self, tls: Option<Arc<TlsSettings>>, slot: Slot) {
        // A listener on any address learns here which one was dialled.
        self.local = self.stream.local_addr().unwrap_or(self.local);
        match tls {
            Some(tls) => self.run_tls(&tls, slot).await,
            None => self.run_tcp(slot).await,
        }
    }

    async fn run_tcp(self, _slot: Slot) {
        let (handle, mut queue) = self.core.shared.table.insert(self.opening, &self.limits);
        let _entry = self.core.entry(&handle);
        let (reader, writer) = self.stream.into_split();
        let connection = Connection {
            handle,
            local: self.local,
            limits: self.limits,
            core: self.core,
            inbox: self.inbox,
        };
        connection.run(reader, writer, &mut queue).await;
    }

    async fn run_tls(self, tls: &TlsSettings, _slot: Slot) {
        let peer = self.opening.peer;
        let accepting = TlsAcceptor::from(tls.current()).accept(self.stream);
        let stream = match timeout(self.limits.handshake, accepting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                self.core.counters.handshake_failures.increment();
                tracing::debug!(%peer, %error, "TLS handshake failed");
                return;
            }
            Err(_) => {
                self.core.counters.handshake_failures.increment();
                tracing::debug!(%peer, "TLS handshake took too long");
                return;
            }
        };
        let agreed = stream.get_ref().1;
        let presented = agreed.peer_certificates().and_then(<[_]>::first);
        let mut opening = self.opening;
        opening.proof.tls = TlsSession::of(agreed);
        if let Some(presented) = presented {
            let Some(certificate) = PeerCertificate::from_der(presented) else {
                // Verified, yet not readable for us: nobody could judge it.
                self.core.counters.handshake_failures.increment();
                return;
            };
            opening.proof.certificate = Some(Arc::new(certificate));
        }
        let (handle, mut queue) = self.core.shared.table.insert(opening, &self.limits);
        let _entry = self.core.entry(&handle);
        let (reader, writer) = tokio::io::split(stream);
        let connection = Connection {
            handle,
            local: self.local,
            limits: self.limits,
            core: self.core,
            inbox: self.inbox,
        };
        connection.run(reader, writer, &mut queue).await;
    }
}
