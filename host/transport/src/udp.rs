//! UDP: one socket per worker and listener (RFC 3261 section 18, RFC 3581).
//!
//! Datagrams are received in batches into a buffer that the worker reuses and are
//! copied once, into slices of shared blocks. They are sent at once; only what the
//! kernel does not take waits, in a bounded queue.

use std::array;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSockRef, UdpSocketState};
use sip_message::Message;
use sip_transaction::{Flow, ListenerId, Transport};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::Notify;

use crate::config::{DatagramLimits, ListenerConfig};
use crate::inbound::{BindError, Inbound, Received, SendError, SharedInbox};
use crate::outgoing::Outgoing;
use crate::socket;
use crate::worker::WorkerCore;

/// Bytes kept for one datagram while receiving: more than UDP can carry.
const DATAGRAM_BYTES: usize = 1 << 16;

/// Bytes of the buffer into which a worker receives: one batch.
pub(crate) const RECEIVE_BYTES: usize = DATAGRAM_BYTES * BATCH_SIZE;

/// Largest payload of an IPv4 datagram.
const PAYLOAD_MAX: usize = 65_507;

/// Received datagrams share blocks of 16 KiB: some fifteen messages for one
/// allocation, while one message that lives long pins no more than that.
const BLOCK_BYTES: usize = 16 << 10;

/// Full batches received before other tasks get their turn: 4, 128 datagrams.
const BATCHES_PER_TURN: usize = 4;

/// Pause after an error of the receiving socket, so that a lasting one cannot spin.
const ERROR_PAUSE: Duration = Duration::from_millis(20);

/// One UDP listener of one worker.
#[derive(Debug)]
pub(crate) struct DatagramSocket {
    pub(crate) listener: ListenerId,
    pub(crate) local: SocketAddr,
    socket: UdpSocket,
    waiting: RefCell<VecDeque<(Outgoing, SocketAddr)>>,
    wake: Notify,
}

impl DatagramSocket {
    /// Binds the socket; the runtime's reactor must be entered.
    pub(crate) fn bind(
        config: &ListenerConfig,
        limits: &DatagramLimits,
    ) -> Result<Self, BindError> {
        let refused = |source| BindError::Socket {
            transport: config.transport,
            bind: config.bind,
            source,
        };
        let socket = socket::bind_udp(config.bind, limits)
            .and_then(UdpSocket::from_std)
            .map_err(refused)?;
        let local = socket.local_addr().map_err(refused)?;
        Ok(DatagramSocket {
            listener: config.id,
            local,
            socket,
            waiting: RefCell::new(VecDeque::new()),
            wake: Notify::new(),
        })
    }

    /// Sends now, or queues if the kernel's buffer is full.
    pub(crate) fn send(&self, outgoing: Outgoing, to: SocketAddr, core: &WorkerCore) {
        if outgoing.bytes.len() > PAYLOAD_MAX {
            let length = outgoing.bytes.len();
            core.counters.datagrams_dropped.increment();
            return outgoing.fail(SendError::TooLarge(length));
        }
        let mut waiting = self.waiting.borrow_mut();
        if waiting.is_empty() {
            match self.socket.try_send_to(&outgoing.bytes, to) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return finish(outgoing, result, core),
            }
        }
        if waiting.len() >= core.shared.config().datagrams.send_queue {
            drop(waiting);
            core.counters.queue_overflows.increment();
            core.counters.datagrams_dropped.increment();
            return outgoing.fail(SendError::QueueFull);
        }
        waiting.push_back((outgoing, to));
        drop(waiting);
        self.wake.notify_one();
    }

    /// Sends what waits, for ever.
    pub(crate) async fn drive_sending(self: Rc<Self>, core: Rc<WorkerCore>) {
        loop {
            self.wake.notified().await;
            while !self.waiting.borrow().is_empty() {
                if self.socket.writable().await.is_err() {
                    tokio::time::sleep(ERROR_PAUSE).await;
                }
                self.flush(&core);
                tokio::task::yield_now().await;
            }
        }
    }

    fn flush(&self, core: &WorkerCore) {
        loop {
            let mut waiting = self.waiting.borrow_mut();
            let Some((outgoing, to)) = waiting.front() else {
                return;
            };
            let result = self.socket.try_send_to(&outgoing.bytes, *to);
            if result
                .as_ref()
                .is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
            {
                return;
            }
            let sent = waiting.pop_front();
            drop(waiting);
            if let Some((outgoing, _)) = sent {
                finish(outgoing, result, core);
            }
        }
    }

    /// Receives and delivers, for ever.
    pub(crate) async fn drive_receiving(
        self: Rc<Self>,
        state: UdpSocketState,
        core: Rc<WorkerCore>,
        inbox: SharedInbox,
    ) {
        let mut batch = Batch::default();
        let mut full_batches = 0;
        loop {
            let received = self
                .socket
                .async_io(Interest::READABLE, || {
                    batch.receive(&state, &self.socket, &mut core.scratch.borrow_mut())
                })
                .await;
            let count = match received {
                Ok(count) => count,
                Err(error) => {
                    tracing::debug!(%error, local = %self.local, "failed to receive datagrams");
                    tokio::time::sleep(ERROR_PAUSE).await;
                    continue;
                }
            };
            if count < BATCH_SIZE {
                self.forget_readiness();
            }
            for datagram in batch.datagrams.drain(..) {
                self.deliver(datagram, &core, &inbox);
            }
            full_batches = if count == BATCH_SIZE {
                full_batches + 1
            } else {
                0
            };
            if full_batches >= BATCHES_PER_TURN {
                full_batches = 0;
                tokio::task::yield_now().await;
            }
        }
    }

    /// The kernel had less than a batch, so it has nothing more: wait for its next
    /// word instead of asking again. Nothing is lost, because what arrives from now
    /// on is reported as a new edge (epoll(7), question 9), and that report is read
    /// by this thread after this.
    fn forget_readiness(&self) {
        let nothing_more = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
        let _would_block = self.socket.try_io(Interest::READABLE, nothing_more);
    }

    fn deliver(&self, datagram: Datagram, core: &WorkerCore, inbox: &SharedInbox) {
        core.counters.bytes_received.add(datagram.bytes.len());
        if datagram.peer.port() == 0 {
            return core.counters.datagrams_unanswerable.increment();
        }
        if is_keep_alive(&datagram.bytes) {
            return core.counters.keep_alives.increment();
        }
        let what = match Message::parse_datagram(datagram.bytes, &core.shared.config().messages) {
            Ok(message) => {
                core.counters.messages_received.increment();
                Received::Message(Arc::new(message))
            }
            Err(error) => {
                core.counters.messages_invalid.increment();
                Received::Invalid(error)
            }
        };
        let local = match datagram.local {
            Some(address) => SocketAddr::new(address, self.local.port()),
            None => self.local,
        };
        let flow = Flow {
            transport: Transport::Udp,
            listener: self.listener,
            local,
            peer: datagram.peer,
            connection: None,
        };
        inbox.deliver(Inbound {
            what,
            flow,
            certificate: None,
        });
    }
}

fn finish(outgoing: Outgoing, result: io::Result<usize>, core: &WorkerCore) {
    match result {
        Ok(length) => {
            core.counters.bytes_sent.add(length);
            core.counters.messages_sent.increment();
            outgoing.sent();
        }
        Err(error) => {
            core.counters.datagrams_dropped.increment();
            outgoing.fail(SendError::Io(error.kind()));
        }
    }
}

/// Whether a datagram only keeps a NAT binding open: nothing, line ends, a few
/// bytes of filler, or STUN (RFC 5626 section 3.5, first byte as in RFC 7983).
/// None is answered: SIP outbound, which would need STUN answers, is never
/// negotiated, and an unauthenticated answer would serve for reflection.
fn is_keep_alive(datagram: &[u8]) -> bool {
    datagram.len() <= 4
        || datagram.first().is_some_and(|byte| *byte < 4)
        || datagram
            .iter()
            .all(|byte| matches!(byte, b'\r' | b'\n' | b' ' | 0))
}

/// One datagram of a batch.
struct Datagram {
    bytes: Bytes,
    peer: SocketAddr,
    local: Option<IpAddr>,
}

/// One batch and the block that its datagrams are copied into.
#[derive(Default)]
struct Batch {
    datagrams: Vec<Datagram>,
    block: BytesMut,
}

impl Batch {
    /// Receives what is there, up to a batch; the count of buffers filled.
    fn receive(
        &mut self,
        state: &UdpSocketState,
        socket: &UdpSocket,
        buffer: &mut [u8],
    ) -> io::Result<usize> {
        let mut metas = [RecvMeta::default(); BATCH_SIZE];
        let mut parts = buffer.chunks_mut(DATAGRAM_BYTES);
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
            array::from_fn(|_| IoSliceMut::new(parts.next().unwrap_or_default()));
        let count = state.recv(UdpSockRef::from(socket), &mut slices, &mut metas)?;
        for (slice, meta) in slices.iter().zip(&metas).take(count) {
            let filled = slice.get(..meta.len).unwrap_or_default();
            if filled.is_empty() {
                self.push(filled, meta);
            }
            // With offload on, the kernel joins datagrams of equal length.
            for datagram in filled.chunks(meta.stride.max(1)) {
                self.push(datagram, meta);
            }
        }
        Ok(count)
    }

    fn push(&mut self, datagram: &[u8], meta: &RecvMeta) {
        if self.block.capacity() < datagram.len() {
            self.block.reserve(datagram.len().max(BLOCK_BYTES));
        }
        self.block.extend_from_slice(datagram);
        self.datagrams.push(Datagram {
            bytes: self.block.split().freeze(),
            peer: meta.addr,
            local: meta.dst_ip,
        });
    }
}

/// The receiving machinery of quinn-udp for sockets of one address family.
///
/// Its constructor forbids fragmentation, as QUIC needs; a SIP message over UDP may
/// be larger than the path carries. So it is made from a socket that is thrown
/// away: receiving uses nothing of it but the code.
pub(crate) fn receive_state(bind: SocketAddr) -> io::Result<UdpSocketState> {
    let any: IpAddr = match bind {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let spare = std::net::UdpSocket::bind((any, 0))?;
    UdpSocketState::new(UdpSockRef::from(&spare))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keep_alives_are_told_from_messages() {
        let stun = [
            0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
        ];
        for keep_alive in [
            &b""[..],
            b"\r\n",
            b"\r\n\r\n",
            b"\r\n\r\n\r\n\r\n",
            b"\0\0\0\0",
            b"jaK",
            &stun,
        ] {
            assert!(is_keep_alive(keep_alive), "{keep_alive:?}");
        }
        assert!(!is_keep_alive(b"\r\n\r\nOPTIONS sip:a SIP/2.0"));
        assert!(!is_keep_alive(b"BYE s"));
    }

    #[test]
    fn datagrams_share_blocks_and_keep_their_bytes() {
        let mut batch = Batch::default();
        let meta = RecvMeta::default();
        for number in 0..100_u8 {
            batch.push(&[number; 700], &meta);
        }
        batch.push(&[], &meta);
        batch.push(&[7; 60_000], &meta);
        for (number, datagram) in batch.datagrams.iter().take(100).enumerate() {
            assert_eq!(
                datagram.bytes.as_ref(),
                [u8::try_from(number).unwrap(); 700]
            );
        }
        assert!(batch.datagrams[100].bytes.is_empty());
        assert_eq!(batch.datagrams[101].bytes.len(), 60_000);
    }
}
