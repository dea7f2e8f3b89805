//! The backend that every Linux has: epoll, recvmmsg and sendmmsg.
//!
//! Level-triggered, so a socket that had more than a batch is simply reported again.
//! A party sends a packet every 20 ms: mostly one is there, and then it costs one
//! recvmmsg, one sendto and its share of an epoll_wait. What came in one batch for
//! one socket leaves in one sendmmsg.

use std::array;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::thread;

use arrayvec::ArrayVec;
use nix::errno::Errno;
use nix::sys::epoll::{
    Epoll as Descriptor, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout,
};
use nix::sys::eventfd::EventFd;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};

use crate::backend::{BUFFER_BYTES, Backend, Outgoing, RECEIVE_BYTES, TOGETHER, Wait};
use crate::engine::Engine;
use crate::slots::Key;

/// Packets taken from one socket in one call: 16, a third of a second of a call.
const BATCH: usize = 16;

/// Batches taken from one socket before the others get their turn: 4.
const BATCHES: usize = 4;

/// Sockets reported by one epoll_wait: 512; others are reported by the next.
const EVENTS: usize = 512;

/// The eventfd's mark; keys are below 2^56.
const BELL: u64 = u64::MAX;

/// See the module.
pub(crate) struct Epoll {
    descriptor: Descriptor,
    events: Vec<EpollEvent>,
    buffers: Vec<[u8; BUFFER_BYTES]>,
    // The kernel writes the length of the address back, so that one set of headers
    // can serve one family only.
    receive4: MultiHeaders<SockaddrStorage>,
    receive6: MultiHeaders<SockaddrStorage>,
    send: MultiHeaders<SockaddrStorage>,
}

impl std::fmt::Debug for Epoll {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Epoll").finish_non_exhaustive()
    }
}

/// A packet of the batch at hand: its source and length.
type Arrival = (Option<SocketAddr>, usize);

impl Epoll {
    pub(crate) fn new(bell: &EventFd) -> io::Result<Self> {
        let descriptor = Descriptor::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        descriptor.add(bell, EpollEvent::new(EpollFlags::EPOLLIN, BELL))?;
        Ok(Epoll {
            descriptor,
            events: vec![EpollEvent::empty(); EVENTS],
            buffers: vec![[0; BUFFER_BYTES]; BATCH],
            receive4: MultiHeaders::preallocate(BATCH, None),
            receive6: MultiHeaders::preallocate(BATCH, None),
            send: MultiHeaders::preallocate(BATCH, None),
        })
    }

    /// Takes what a socket has, within bounds; how many packets.
    fn relay_socket(&mut self, key: Key, engine: &mut Engine) -> usize {
        let mut packets = 0;
        for _ in 0..BATCHES {
            let batch = self.relay_batch(key, engine);
            packets += batch;
            if batch < BATCH {
                break;
            }
        }
        packets
    }

    /// Takes one batch from a socket; how many packets it had.
    fn relay_batch(&mut self, key: Key, engine: &mut Engine) -> usize {
        let Some(socket) = engine.socket(key) else {
            return 0;
        };
        let arrivals = match self.receive(socket, engine.is_ipv6(key)) {
            Ok(arrivals) => arrivals,
            // Nothing there, or an ICMP error of something sent earlier.
            Err(_) => return 0,
        };
        engine.handle_orders(self);
        let mut outgoing: ArrayVec<(usize, Outgoing), BATCH> = ArrayVec::new();
        for (index, ((source, length), buffer)) in
            arrivals.iter().zip(&mut self.buffers).enumerate()
        {
            if let Some(source) = source
                && let Some(packet) = engine.handle_datagram(key, *source, buffer, *length)
            {
                outgoing.push((index, packet));
            }
        }
        for group in outgoing.chunk_by(|(_, first), (_, next)| first.socket == next.socket) {
            self.send_group(group, engine);
        }
        arrivals.len()
    }

    fn receive(&mut self, socket: &UdpSocket, ipv6: bool) -> nix::Result<ArrayVec<Arrival, BATCH>> {
        let mut buffers = self.buffers.iter_mut();
        let mut slices: [[IoSliceMut<'_>; 1]; BATCH] = array::from_fn(|_| {
            let buffer = buffers
                .next()
                .and_then(|buffer| buffer.get_mut(..RECEIVE_BYTES));
            [IoSliceMut::new(buffer.unwrap_or_default())]
        });
        let headers = if ipv6 {
            &mut self.receive6
        } else {
            &mut self.receive4
        };
        let flags = MsgFlags::MSG_DONTWAIT;
        let received = recvmmsg(socket.as_raw_fd(), headers, slices.iter_mut(), flags, None)?;
        Ok(received
            .map(|message| (message.address.and_then(source), message.bytes))
            .collect())
    }

    /// Sends packets of one socket: with one system call, unless one of them fails.
    fn send_group(&mut self, group: &[(usize, Outgoing)], engine: &mut Engine) {
        let Some(((_, first), rest)) = group.split_first() else {
            return;
        };
        let Some(socket) = engine.socket(first.socket) else {
            return;
        };
        let mut failed = 0;
        if rest.is_empty() {
            for (index, outgoing) in group {
                let packet = packet(&self.buffers, *index, outgoing.length);
                failed += usize::from(socket.send_to(packet, outgoing.to).is_err());
            }
        } else {
            let mut left = group;
            while !left.is_empty() {
                let sent = send_many(&mut self.send, &self.buffers, socket, left).unwrap_or(0);
                // The packet after the last that was sent is the one that failed.
                failed += usize::from(sent < left.len());
                left = left.get(sent + 1..).unwrap_or_default();
            }
        }
        if failed > 0 {
            engine.handle_unsent(failed);
        }
    }
}

fn packet(buffers: &[[u8; BUFFER_BYTES]], index: usize, length: usize) -> &[u8] {
    buffers
        .get(index)
        .and_then(|buffer| buffer.get(..length))
        .unwrap_or_default()
}

fn send_many(
    headers: &mut MultiHeaders<SockaddrStorage>,
    buffers: &[[u8; BUFFER_BYTES]],
    socket: &UdpSocket,
    group: &[(usize, Outgoing)],
) -> nix::Result<usize> {
    let slices: ArrayVec<[IoSlice<'_>; 1], BATCH> = group
        .iter()
        .map(|(index, outgoing)| [IoSlice::new(packet(buffers, *index, outgoing.length))])
        .collect();
    let addresses: ArrayVec<Option<SockaddrStorage>, BATCH> = group
        .iter()
        .map(|(_, outgoing)| Some(outgoing.to.into()))
        .collect();
    let flags = MsgFlags::MSG_DONTWAIT;
    let sent = sendmmsg(
        socket.as_raw_fd(),
        headers,
        slices.iter(),
        addresses.as_slice(),
        [],
        flags,
    )?;
    Ok(sent.count())
}

fn source(address: SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddr::V4((*v4).into()));
    }
    address
        .as_sockaddr_in6()
        .map(|v6| SocketAddr::V6((*v6).into()))
}

impl Backend for Epoll {
    fn add(&mut self, socket: Key, engine: &Engine) -> io::Result<()> {
        let Some(descriptor) = engine.socket(socket) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let event = EpollEvent::new(EpollFlags::EPOLLIN, socket.to_bits());
        Ok(self.descriptor.add(descriptor, event)?)
    }

    fn remove(&mut self, socket: Key, engine: &mut Engine) {
        if let Some(descriptor) = engine.socket(socket) {
            // Fails only for one that never was added.
            let _absent = self.descriptor.delete(descriptor);
        }
        engine.handle_released(socket);
    }

    fn turn(&mut self, engine: &mut Engine, wait: Wait) -> io::Result<usize> {
        if !wait.gather.is_zero() {
            thread::sleep(wait.gather);
        }
        let timeout = match wait.at_most {
            // Up, so that a timer is never looked at just before it is due.
            Some(longest) => EpollTimeout::try_from(longest.as_millis() + 1),
            None => Ok(EpollTimeout::NONE),
        };
        let timeout = timeout.unwrap_or(EpollTimeout::MAX);
        let count = match self.descriptor.wait(&mut self.events, timeout) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        engine.refresh_clock();
        engine.handle_orders(self);
        let mut packets = 0;
        for index in 0..count {
            if index % TOGETHER == 0 {
                let events = self.events.iter().take(count).skip(index);
                engine.warm(events.map(|event| Key::from_bits(event.data())));
            }
            let Some(event) = self.events.get(index) else {
                break;
            };
            let data = event.data();
            if data != BELL {
                packets += self.relay_socket(Key::from_bits(data), engine);
            }
        }
        Ok(packets)
    }

    fn name(&self) -> &'static str {
        "epoll"
    }
}
