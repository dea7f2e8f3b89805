//! The connections of all workers (RFC 3261 section 18, RFC 5923).
//!
//! A connection belongs to the worker that accepted or opened it. Everyone else
//! reaches it through the bounded queue in its [`ConnectionHandle`]. A connection
//! that is still being opened is in the table too, so all messages for its peer
//! wait in one queue for one connect.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use hashbrown::HashMap;
use parking_lot::{Mutex, RwLock};
use sip_transaction::{ConnectionId, ListenerId, Transport};
use tokio::sync::{Notify, mpsc};

use crate::certificate::{PeerCertificate, Proof};
use crate::config::ConnectionLimits;
use crate::outgoing::Outgoing;
use crate::tls::TlsSession;

/// Addresses by which one accepted connection may be reused beside its own: 4.
/// An honest peer announces one (RFC 5923 section 6).
const ALIASES_MAX: usize = 4;

/// All open connections, shared by all workers.
#[derive(Debug, Default)]
pub struct ConnectionTable {
    connections: RwLock<Connections>,
    next_id: AtomicU64,
    queued_bytes: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct Connections {
    by_id: HashMap<ConnectionId, Arc<ConnectionHandle>>,
    /// Those that may carry new requests to an address, the newest last.
    by_address: HashMap<(Transport, SocketAddr), Vec<Arc<ConnectionHandle>>>,
}

/// Who opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Inbound,
    Outbound,
}

/// What is known of a connection when it enters the table.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
    pub(crate) transport: Transport,
    pub(crate) peer: SocketAddr,
    pub(crate) listener: ListenerId,
    pub(crate) direction: Direction,
    /// The name that an outbound TLS peer must prove; the address if none.
    pub(crate) server_name: Option<Arc<str>>,
    /// What the handshake of an inbound TLS connection proved.
    pub(crate) proof: Proof,
}

/// What a new request needs of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) transport: Transport,
    pub(crate) address: SocketAddr,
    pub(crate) listener: Option<ListenerId>,
    pub(crate) server_name: Option<&'a str>,
}

/// How a connection shall end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Close {
    /// Write what waits, then close.
    Flush = 1,
    /// Close at once: the peer does not read.
    Abort = 2,
}

/// Why a queue did not take a message, with the message.
#[derive(Debug)]
pub(crate) enum Unqueued {
    Closed(Outgoing),
    Full(Outgoing),
}

/// One connection as every worker sees it.
#[derive(Debug)]
pub(crate) struct ConnectionHandle {
    pub(crate) id: ConnectionId,
    pub(crate) opening: Opening,
    proof: OnceLock<Proof>,
    queue: mpsc::Sender<Outgoing>,
    queued_bytes: AtomicUsize,
    total_queued_bytes: Arc<AtomicUsize>,
    write_bytes: usize,
    write_total_bytes: usize,
    /// 0 while open, then a [`Close`].
    closing: AtomicU8,
    close: Notify,
    aliases: Mutex<Vec<SocketAddr>>,
}

impl ConnectionHandle {
    /// The verified certificate of the peer, once there is one.
    pub(crate) fn certificate(&self) -> Option<&Arc<PeerCertificate>> {
        self.proof.get()?.certificate.as_ref()
    }

    /// What the handshake agreed on, once there was one.
    pub(crate) fn tls(&self) -> Option<TlsSession> {
        self.proof.get()?.tls
    }

    /// Records what the handshake of an outbound connection proved.
    pub(crate) fn set_proof(&self, proof: Proof) {
        // Set once, by the one task that made the handshake.
        let _ = self.proof.set(proof);
    }

    /// Puts a message in the queue, or gives it back.
    pub(crate) fn enqueue(&self, outgoing: Outgoing) -> Result<(), Unqueued> {
        if self.is_closing() {
            return Err(Unqueued::Closed(outgoing));
        }
        let length = outgoing.bytes.len();
        if !self.take_bytes(length) {
            return Err(Unqueued::Full(outgoing));
        }
        self.queue.try_send(outgoing).map_err(|refused| {
            self.give_bytes(length);
            match refused {
                mpsc::error::TrySendError::Full(outgoing) => Unqueued::Full(outgoing),
                mpsc::error::TrySendError::Closed(outgoing) => Unqueued::Closed(outgoing),
            }
        })
    }

    fn take_bytes(&self, length: usize) -> bool {
        let here = self.queued_bytes.fetch_add(length, Ordering::Relaxed) + length;
        let total = self.total_queued_bytes.fetch_add(length, Ordering::Relaxed) + length;
        let fits = here <= self.write_bytes && total <= self.write_total_bytes;
        if !fits {
            self.give_bytes(length);
        }
        fits
    }

    /// Frees the room that written or abandoned bytes had in the queue.
    pub(crate) fn give_bytes(&self, length: usize) {
        self.queued_bytes.fetch_sub(length, Ordering::Relaxed);
        self.total_queued_bytes.fetch_sub(length, Ordering::Relaxed);
    }

    /// Asks the owner to close; the first who asks decides how, but an abort always wins.
    pub(crate) fn close(&self, how: Close) {
        self.closing.fetch_max(how as u8, Ordering::AcqRel);
        self.close.notify_one();
    }

    /// Whether new messages must look for another connection.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire) != 0
    }

    /// Waits until somebody asks to close.
    pub(crate) async fn close_requested(&self) -> Close {
        loop {
            match self.closing.load(Ordering::Acquire) {
                0 => self.close.notified().await,
                1 => return Close::Flush,
                _ => return Close::Abort,
            }
        }
    }

    /// Whether a new request may travel here.
    ///
    /// A TLS connection that we opened proved the name we asked for then. One that
    /// we accepted may only be reused if its certificate, verified by the
    /// handshake, bears the name that is asked for now (RFC 5923 section 8.2).
    fn serves(&self, wanted: &Wanted<'_>) -> bool {
        if self.is_closing()
            || wanted
                .listener
                .is_some_and(|id| id != self.opening.listener)
        {
            return false;
        }
        match (self.opening.transport, self.opening.direction) {
            (Transport::Tls | Transport::Wss, Direction::Outbound) => {
                match (&self.opening.server_name, wanted.server_name) {
                    (None, None) => true,
                    (Some(proved), Some(asked)) => proved.eq_ignore_ascii_case(asked),
                    _ => false,
                }
            }
            (Transport::Tls | Transport::Wss, Direction::Inbound) => {
                match (self.certificate(), wanted.server_name) {
                    (Some(certificate), Some(asked)) => certificate.identifies(asked),
                    _ => false,
                }
            }
            _ => true,
        }
    }
}

impl Drop for ConnectionHandle {
    /// What still waited when the connection ended no longer counts.
    fn drop(&mut self) {
        let left = *self.queued_bytes.get_mut();
        self.total_queued_bytes.fetch_sub(left, Ordering::Relaxed);
    }
}

impl ConnectionTable {
    /// The verified certificate of a connection's peer.
    #[must_use]
    pub fn certificate(&self, id: ConnectionId) -> Option<Arc<PeerCertificate>> {
        self.get(id)?.certificate().cloned()
    }

    /// Connections in the table, including those that are still being opened.
    #[must_use]
    pub fn len(&self) -> usize {
        self.connections.read().by_id.len()
    }

    /// Whether there is no connection.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn queued_bytes(&self) -> usize {
        self.queued_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn get(&self, id: ConnectionId) -> Option<Arc<ConnectionHandle>> {
        self.connections.read().by_id.get(&id).cloned()
    }

    /// An open or opening connection that may carry a new request.
    pub(crate) fn find(&self, wanted: &Wanted<'_>) -> Option<Arc<ConnectionHandle>> {
        self.connections.read().find(wanted)
    }

    /// Enters an accepted connection.
    pub(crate) fn insert(
        &self,
        opening: Opening,
        limits: &ConnectionLimits,
    ) -> (Arc<ConnectionHandle>, mpsc::Receiver<Outgoing>) {
        let (handle, queue) = self.open(opening, limits);
        self.connections.write().insert(&handle);
        (handle, queue)
    }

    /// Enters a connection that is about to be opened, unless another worker just
    /// entered one: then that one is the answer.
    pub(crate) fn reserve(
        &self,
        wanted: &Wanted<'_>,
        opening: Opening,
        limits: &ConnectionLimits,
    ) -> Result<(Arc<ConnectionHandle>, mpsc::Receiver<Outgoing>), Arc<ConnectionHandle>> {
        let mut connections = self.connections.write();
        if let Some(handle) = connections.find(wanted) {
            return Err(handle);
        }
        let (handle, queue) = self.open(opening, limits);
        connections.insert(&handle);
        Ok((handle, queue))
    }

    fn open(
        &self,
        opening: Opening,
        limits: &ConnectionLimits,
    ) -> (Arc<ConnectionHandle>, mpsc::Receiver<Outgoing>) {
        let (sender, receiver) = mpsc::channel(limits.write_messages.max(1));
        let proof = OnceLock::new();
        if opening.direction == Direction::Inbound {
            let _ = proof.set(opening.proof.clone());
        }
        let handle = Arc::new(ConnectionHandle {
            id: ConnectionId(self.next_id.fetch_add(1, Ordering::Relaxed)),
            opening,
            proof,
            queue: sender,
            queued_bytes: AtomicUsize::new(0),
            total_queued_bytes: Arc::clone(&self.queued_bytes),
            write_bytes: limits.write_bytes,
            write_total_bytes: limits.write_total_bytes,
            closing: AtomicU8::new(0),
            close: Notify::new(),
            aliases: Mutex::new(Vec::new()),
        });
        (handle, receiver)
    }

    /// Lets new requests to `address` travel on an accepted TLS connection whose
    /// peer asked for it by the `alias` parameter (RFC 5923 section 5). Without a
    /// verified certificate nothing changes.
    pub(crate) fn alias(&self, handle: &Arc<ConnectionHandle>, address: SocketAddr) {
        if handle.certificate().is_none() || address == handle.opening.peer {
            return;
        }
        {
            let mut aliases = handle.aliases.lock();
            if aliases.contains(&address) || aliases.len() >= ALIASES_MAX {
                return;
            }
            aliases.push(address);
        }
        let mut connections = self.connections.write();
        if connections.by_id.contains_key(&handle.id) {
            connections.index(address, handle);
        }
    }

    /// Takes a connection out; messages look for another one from now on.
    pub(crate) fn remove(&self, handle: &ConnectionHandle) {
        let mut connections = self.connections.write();
        if connections.by_id.remove(&handle.id).is_none() {
            return;
        }
        let transport = handle.opening.transport;
        connections.unindex((transport, handle.opening.peer), handle.id);
        for address in handle.aliases.lock().iter() {
            connections.unindex((transport, *address), handle.id);
        }
    }
}

impl Connections {
    fn find(&self, wanted: &Wanted<'_>) -> Option<Arc<ConnectionHandle>> {
        self.by_address
            .get(&(wanted.transport, wanted.address))?
            .iter()
            .rev()
            .find(|handle| handle.serves(wanted))
            .cloned()
    }

    fn insert(&mut self, handle: &Arc<ConnectionHandle>) {
        self.by_id.insert(handle.id, Arc::clone(handle));
        self.index(handle.opening.peer, handle);
    }

    fn index(&mut self, address: SocketAddr, handle: &Arc<ConnectionHandle>) {
        self.by_address
            .entry((handle.opening.transport, address))
            .or_default()
            .push(Arc::clone(handle));
    }

    fn unindex(&mut self, key: (Transport, SocketAddr), id: ConnectionId) {
        if let Some(handles) = self.by_address.get_mut(&key) {
            handles.retain(|handle| handle.id != id);
            if handles.is_empty() {
                self.by_address.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn opening(transport: Transport, direction: Direction) -> Opening {
        Opening {
            transport,
            peer: "192.0.2.1:5061".parse().unwrap(),
            listener: ListenerId(1),
            direction,
            server_name: None,
            proof: Proof::default(),
        }
    }

    fn wanted(transport: Transport, server_name: Option<&str>) -> Wanted<'_> {
        Wanted {
            transport,
            address: "192.0.2.1:5061".parse().unwrap(),
            listener: None,
            server_name,
        }
    }

    fn named(name: &str) -> Option<Arc<PeerCertificate>> {
        Some(Arc::new(PeerCertificate {
            names: vec![name.into()],
            fingerprint: "00".into(),
            issuer: String::new(),
        }))
    }

    #[test]
    fn reuse_of_a_connection_we_opened_needs_the_same_name() {
        let table = ConnectionTable::default();
        let mut opening = opening(Transport::Tls, Direction::Outbound);
        opening.server_name = Some("trunk.example".into());
        let (handle, _queue) = table.insert(opening, &ConnectionLimits::default());
        let found = table
            .find(&wanted(Transport::Tls, Some("TRUNK.example")))
            .unwrap();
        assert_eq!(found.id, handle.id);
        assert!(
            table
                .find(&wanted(Transport::Tls, Some("other.example")))
                .is_none()
        );
        assert!(table.find(&wanted(Transport::Tls, None)).is_none());
        assert!(table.find(&wanted(Transport::Tcp, None)).is_none());
        let elsewhere = Wanted {
            listener: Some(ListenerId(2)),
            ..wanted(Transport::Tls, Some("trunk.example"))
        };
        assert!(table.find(&elsewhere).is_none());
        table.remove(&handle);
        assert!(
            table
                .find(&wanted(Transport::Tls, Some("trunk.example")))
                .is_none()
        );
        assert!(table.connections.read().by_address.is_empty());
    }

    #[test]
    fn an_accepted_tls_connection_is_an_alias_only_with_a_matching_certificate() {
        let table = ConnectionTable::default();
        let limits = ConnectionLimits::default();
        let announced: SocketAddr = "192.0.2.1:5071".parse().unwrap();
        let asked = Wanted {
            address: announced,
            ..wanted(Transport::Tls, Some("pbx.example"))
        };

        let (anonymous, _a) = table.insert(opening(Transport::Tls, Direction::Inbound), &limits);
        table.alias(&anonymous, announced);
        assert!(table.find(&asked).is_none());

        let mut other = opening(Transport::Tls, Direction::Inbound);
        other.proof.certificate = named("evil.example");
        let (other, _b) = table.insert(other, &limits);
        table.alias(&other, announced);
        assert!(table.find(&asked).is_none());

        let mut right = opening(Transport::Tls, Direction::Inbound);
        right.proof.certificate = named("sip:pbx.example");
        let (right, _c) = table.insert(right, &limits);
        assert!(table.find(&asked).is_none());
        table.alias(&right, announced);
        assert_eq!(table.find(&asked).unwrap().id, right.id);
        table.remove(&right);
        assert!(table.find(&asked).is_none());
    }

    #[test]
    fn one_connection_has_a_bounded_number_of_aliases() {
        let table = ConnectionTable::default();
        let mut peer = opening(Transport::Tls, Direction::Inbound);
        peer.proof.certificate = named("pbx.example");
        let (handle, _queue) = table.insert(peer, &ConnectionLimits::default());
        for port in 1..=10 {
            table.alias(&handle, SocketAddr::new("192.0.2.1".parse().unwrap(), port));
        }
        assert_eq!(handle.aliases.lock().len(), ALIASES_MAX);
    }

    #[test]
    fn both_sides_of_the_queue_limits() {
        let table = ConnectionTable::default();
        let limits = ConnectionLimits {
            write_messages: 2,
            write_bytes: 10,
            ..ConnectionLimits::default()
        };
        let (handle, mut queue) =
            table.insert(opening(Transport::Tcp, Direction::Inbound), &limits);
        let send = |length| handle.enqueue(Outgoing::new(Bytes::from(vec![0; length]), None));
        assert!(send(10).is_ok());
        assert!(matches!(send(1), Err(Unqueued::Full(_))));
        handle.give_bytes(queue.try_recv().unwrap().bytes.len());
        assert!(send(1).is_ok());
        assert!(send(1).is_ok());
        assert!(matches!(send(1), Err(Unqueued::Full(_))));
        assert_eq!(table.queued_bytes(), 2);
        queue.close();
        assert!(matches!(send(1), Err(Unqueued::Closed(_))));
        assert_eq!(table.queued_bytes(), 2);
    }
}
