//! UDP: one socket per worker and listener (RFC 3261 section 18, RFC 3581).
//!
//! Each socket has a thread that waits in `recvfrom` and hands over what comes, so
//! that a message costs one system call to receive and none to be told of it.
//! Datagrams are copied once, into slices of shared blocks. They are sent at once,
//! by whichever thread has something to send; only what the kernel does not take
//! waits, in a bounded queue.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Shutdown, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use nix::cmsg_space;
use nix::libc::{in_pktinfo, in6_pktinfo};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvfrom, recvmsg};
use parking_lot::Mutex;
use sip_message::Message;
use sip_transaction::{Flow, ListenerId, Transport};
use socket2::{SockAddr, SockRef};
use tokio::sync::Notify;

use crate::config::{DatagramLimits, ListenerConfig};
use crate::figures::Counters;
use crate::inbound::{BindError, Inbound, Received, SendError, SharedInbox};
use crate::outgoing::Outgoing;
use crate::shared::SharedTransport;
use crate::socket;
use crate::steering::{Load, Steering};

/// Bytes kept for one datagram while receiving: more than UDP can carry.
const DATAGRAM_BYTES: usize = 1 << 16;

/// Largest payload of an IPv4 datagram.
const PAYLOAD_MAX: usize = 65_507;

/// Received datagrams share blocks of 16 KiB: some fifteen messages for one
/// allocation, while one message that lives long pins no more than that.
const BLOCK_BYTES: usize = 16 << 10;

/// Pause after an error of the socket, so that a lasting one cannot spin.
const ERROR_PAUSE: Duration = Duration::from_millis(20);

/// Pause before a full buffer of the kernel is tried again: 1 ms, in which a gigabit
/// link takes some 120 kB of it.
const FULL_PAUSE: Duration = Duration::from_millis(1);

/// How often a receiving thread looks up by itself whether it is still wanted;
/// closing the socket wakes it at once.
const LOOK_UP: Duration = Duration::from_secs(1);

/// One UDP listener of one worker.
#[derive(Debug)]
pub(crate) struct DatagramSocket {
    pub(crate) listener: ListenerId,
    pub(crate) local: SocketAddr,
    socket: UdpSocket,
    waiting: Mutex<VecDeque<(Outgoing, SocketAddr)>>,
    wake: Notify,
    closed: AtomicBool,
}

impl DatagramSocket {
    pub(crate) fn bind(
        config: &ListenerConfig,
        limits: &DatagramLimits,
    ) -> Result<Self, BindError> {
        let refused = |source| BindError::Socket {
            transport: config.transport,
            bind: config.bind,
            source,
        };
        let socket = socket::bind_udp(config.bind, limits).map_err(refused)?;
        socket.set_read_timeout(Some(LOOK_UP)).map_err(refused)?;
        let local = socket.local_addr().map_err(refused)?;
        Ok(DatagramSocket {
            listener: config.id,
            local,
            socket,
            waiting: Mutex::new(VecDeque::new()),
            wake: Notify::new(),
            closed: AtomicBool::new(false),
        })
    }

    /// Sends now, or queues if the kernel's buffer is full.
    pub(crate) fn send(
        &self,
        outgoing: Outgoing,
        to: SocketAddr,
        shared: &SharedTransport,
        counters: &Counters,
    ) {
        if outgoing.bytes.len() > PAYLOAD_MAX {
            let length = outgoing.bytes.len();
            counters.datagrams_dropped.increment();
            return outgoing.fail(SendError::TooLarge(length));
        }
        let mut waiting = self.waiting.lock();
        if waiting.is_empty() {
            match self.try_send(&outgoing.bytes, to) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => {
                    drop(waiting);
                    return finish(outgoing, result, counters);
                }
            }
        }
        let queued = enqueue(
            &mut waiting,
            outgoing,
            to,
            shared.config().datagrams.send_queue,
        );
        drop(waiting);
        match queued {
            Ok(()) => self.wake.notify_one(),
            Err(outgoing) => {
                counters.queue_overflows.increment();
                counters.datagrams_dropped.increment();
                outgoing.fail(SendError::QueueFull);
            }
        }
    }

    fn try_send(&self, bytes: &[u8], to: SocketAddr) -> io::Result<usize> {
        let flags = MsgFlags::MSG_DONTWAIT.bits();
        SockRef::from(&self.socket).send_to_with_flags(bytes, &SockAddr::from(to), flags)
    }

    /// Sends what waits, for ever.
    pub(crate) async fn drive_sending(self: Arc<Self>, counters: Arc<Counters>) {
        loop {
            self.wake.notified().await;
            while !self.waiting.lock().is_empty() {
                // Not by the reactor: it would be woken by every datagram that has
                // left, and a full buffer is rare.
                tokio::time::sleep(FULL_PAUSE).await;
                self.flush(&counters);
            }
        }
    }

    fn flush(&self, counters: &Counters) {
        loop {
            let mut waiting = self.waiting.lock();
            let Some((outgoing, to)) = waiting.front() else {
                return;
            };
            let result = self.try_send(&outgoing.bytes, *to);
            if result
                .as_ref()
                .is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
            {
                return;
            }
            let sent = waiting.pop_front();
            drop(waiting);
            if let Some((outgoing, _)) = sent {
                finish(outgoing, result, counters);
            }
        }
    }

    /// Starts the thread that receives and delivers until [`DatagramSocket::close`].
    pub(crate) fn start_receiving(
        self: &Arc<Self>,
        shared: Arc<SharedTransport>,
        counters: Arc<Counters>,
        inbox: SharedInbox,
    ) -> io::Result<()> {
        let steering = shared.steering(self.listener);
        let receiver = Receiver {
            load: Load::new(steering.join(&self.socket), Instant::now()),
            steering,
            socket: Arc::clone(self),
            shared,
            counters,
            inbox,
            block: BytesMut::new(),
        };
        std::thread::Builder::new()
            .name(format!("udp-{}", self.listener.0))
            .spawn(move || {
                scheduling::prompt();
                receiver.receive();
            })?;
        Ok(())
    }

    /// Delivers nothing from now on and ends the receiving thread. What waits to be
    /// sent is given up.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        // An unconnected socket is "not connected" and wakes its reader all the same.
        let _not_connected = SockRef::from(&self.socket).shutdown(Shutdown::Both);
    }
}

/// Puts a message at the end; it comes back if the queue has `limit` already.
fn enqueue(
    waiting: &mut VecDeque<(Outgoing, SocketAddr)>,
    outgoing: Outgoing,
    to: SocketAddr,
    limit: usize,
) -> Result<(), Outgoing> {
    if waiting.len() >= limit {
        return Err(outgoing);
    }
    waiting.push_back((outgoing, to));
    Ok(())
}

/// The receiving end of one socket, on a thread of its own.
struct Receiver {
    socket: Arc<DatagramSocket>,
    shared: Arc<SharedTransport>,
    counters: Arc<Counters>,
    inbox: SharedInbox,
    block: BytesMut,
    steering: Arc<Steering>,
    load: Load,
}

impl Receiver {
    fn receive(mut self) {
        let mut buffer = vec![0; DATAGRAM_BYTES];
        let mut control = cmsg_space!(in_pktinfo, in6_pktinfo);
        let is_wildcard = self.socket.local.ip().is_unspecified();
        while !self.socket.closed.load(Ordering::Acquire) {
            let received = if is_wildcard {
                receive_with_address(&self.socket.socket, &mut buffer, &mut control)
            } else {
                receive(&self.socket.socket, &mut buffer)
            };
            match received {
                // The socket was closed while we waited.
                Ok(_) if self.socket.closed.load(Ordering::Acquire) => return,
                Ok((length, peer, local)) => {
                    let began = Instant::now();
                    let bytes = copy(&mut self.block, buffer.get(..length).unwrap_or_default());
                    self.deliver(bytes, peer, local);
                    self.load.worked(began, &self.steering, &self.socket.socket);
                }
                Err(error) if is_patience_over(&error) => {}
                Err(error) => {
                    let local = self.socket.local;
                    tracing::debug!(%error, %local, "failed to receive a datagram");
                    std::thread::sleep(ERROR_PAUSE);
                }
            }
        }
    }

    fn deliver(&self, bytes: Bytes, peer: SocketAddr, local: Option<IpAddr>) {
        self.counters.bytes_received.add(bytes.len());
        if peer.port() == 0 {
            return self.counters.datagrams_unanswerable.increment();
        }
        if is_keep_alive(&bytes) {
            return self.counters.keep_alives.increment();
        }
        let what = match Message::parse_datagram(bytes, &self.shared.config().messages) {
            Ok(message) => {
                self.counters.messages_received.increment();
                Received::Message(Arc::new(message))
            }
            Err(error) => {
                self.counters.messages_invalid.increment();
                Received::Invalid(error)
            }
        };
        let local = match local {
            Some(address) => SocketAddr::new(address, self.socket.local.port()),
            None => self.socket.local,
        };
        let flow = Flow {
            transport: Transport::Udp,
            listener: self.socket.listener,
            local,
            peer,
            connection: None,
        };
        self.inbox.deliver(Inbound {
            what,
            flow,
            certificate: None,
            tls: None,
        });
    }
}

fn is_patience_over(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}

/// Stands for the peer of a socket that was shut down: it has nobody to name, and the
/// caller looks at that. The standard library's `recv_from` panics there.
const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);

/// A datagram and who sent it.
fn receive(
    socket: &UdpSocket,
    buffer: &mut [u8],
) -> io::Result<(usize, SocketAddr, Option<IpAddr>)> {
    let (length, peer) = recvfrom::<SockaddrStorage>(socket.as_raw_fd(), buffer)?;
    let peer = peer.as_ref().and_then(address_of);
    Ok((length, peer.unwrap_or(NOBODY), None))
}

/// As [`receive`], and the local address that the datagram was sent to.
fn receive_with_address(
    socket: &UdpSocket,
    buffer: &mut [u8],
    control: &mut [u8],
) -> io::Result<(usize, SocketAddr, Option<IpAddr>)> {
    let mut parts = [IoSliceMut::new(buffer)];
    let received = recvmsg::<SockaddrStorage>(
        socket.as_raw_fd(),
        &mut parts,
        Some(control),
        MsgFlags::empty(),
    )?;
    let local = received.cmsgs()?.find_map(|message| match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            Some(IpAddr::V4(u32::from_be(info.ipi_addr.s_addr).into()))
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            Some(IpAddr::V6(info.ipi6_addr.s6_addr.into()))
        }
        _ => None,
    });
    let peer = received.address.as_ref().and_then(address_of);
    Ok((received.bytes, peer.unwrap_or(NOBODY), local))
}

fn address_of(address: &SockaddrStorage) -> Option<SocketAddr> {
    match (address.as_sockaddr_in(), address.as_sockaddr_in6()) {
        (Some(v4), _) => Some(SocketAddr::from((v4.ip(), v4.port()))),
        (_, Some(v6)) => Some(SocketAddr::from((v6.ip(), v6.port()))),
        _ => None,
    }
}

/// The datagram's bytes in a block that it shares with those before it.
fn copy(block: &mut BytesMut, datagram: &[u8]) -> Bytes {
    if block.capacity() < datagram.len() {
        block.reserve(datagram.len().max(BLOCK_BYTES));
    }
    block.extend_from_slice(datagram);
    block.split().freeze()
}

fn finish(outgoing: Outgoing, result: io::Result<usize>, counters: &Counters) {
    match result {
        Ok(length) => {
            counters.bytes_sent.add(length);
            counters.messages_sent.increment();
            outgoing.sent();
        }
        Err(error) => {
            counters.datagrams_dropped.increment();
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
        let mut block = BytesMut::new();
        let datagrams: Vec<Bytes> = (0..100_u8)
            .map(|number| copy(&mut block, &[number; 700]))
            .collect();
        assert!(copy(&mut block, &[]).is_empty());
        assert_eq!(copy(&mut block, &[7; 60_000]).len(), 60_000);
        for (number, datagram) in (0..).zip(&datagrams) {
            assert_eq!(datagram.as_ref(), [number; 700]);
        }
    }

    #[test]
    fn both_sides_of_the_send_queue() {
        let to = SocketAddr::from(([127, 0, 0, 1], 9));
        let mut waiting = VecDeque::new();
        for _ in 0..2 {
            let outgoing = Outgoing::new(Bytes::from_static(b"x"), None);
            assert!(enqueue(&mut waiting, outgoing, to, 2).is_ok());
        }
        let third = Outgoing::new(Bytes::from_static(b"third"), None);
        let refused = enqueue(&mut waiting, third, to, 2).unwrap_err();
        assert_eq!(refused.bytes.as_ref(), b"third");
        assert_eq!(waiting.len(), 2);
    }
}
