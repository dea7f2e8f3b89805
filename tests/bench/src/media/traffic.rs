//! Both ends of all calls in one thread: sends G.711 to the subject, receives what the
//! subject relays, and says what was lost and how long it took.
//!
//! All callers share one socket and all callees another, so that one system call sends or
//! receives many packets; a subject still has ports of its own for every call. Packets are
//! spread evenly over time. The kernel stamps what arrives, so a late turn of this thread
//! does not count as delay.

use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, setsockopt, sockopt,
};
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg};

use crate::packet::Stamp;
use crate::seal::Sealer;

/// Time between two packets of a stream.
const PACKET: Duration = Duration::from_millis(20);
/// How often this thread looks for packets that are due and packets that have arrived.
const TICK: Duration = Duration::from_micros(250);
/// What is still on its way after the last packet was sent has this long to arrive.
const DRAIN: Duration = Duration::from_millis(200);
/// Packets handed to the kernel in one call; few, as all get one stamp.
const SENT_AT_ONCE: usize = 16;
/// Packets taken from the kernel in one call.
const RECEIVED_AT_ONCE: usize = 64;
/// Send times kept for each stream; packets of 5 s.
const RING: usize = 256;
/// One packet in so many is decrypted and checked.
const CHECKED: u16 = 16;
/// Synchronisation sources count upwards from here.
const FIRST_SSRC: u32 = 0x5150_0000;
/// Wanted receive buffer: what arrives in a tenth of a second and more.
const BUFFER: usize = 4 << 20;

/// One direction of one call.
pub(crate) struct Stream {
    /// Where the subject receives it.
    pub(crate) to: SocketAddrV4,
    /// Whether the caller sends it, not the callee.
    pub(crate) from_caller: bool,
    /// Seals it before it is sent.
    pub(crate) sealer: Option<Sealer>,
    /// Opens what the subject makes of it.
    pub(crate) opener: Option<Sealer>,
}

/// What a turn has shown.
#[derive(Default)]
pub(crate) struct Observed {
    /// Packets sent.
    pub(crate) sent: u64,
    /// Packets that arrived, each once.
    pub(crate) received: u64,
    /// Packets that arrived and were not what was sent.
    pub(crate) corrupt: u64,
    /// Nanoseconds from one end to the other.
    pub(crate) delays: Vec<f64>,
}

impl Observed {
    /// Takes up the figures of another turn.
    pub(crate) fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.received += other.received;
        self.corrupt += other.corrupt;
        self.delays.extend(other.delays);
    }
}

/// The two sockets of the ends.
pub(crate) struct Ends {
    caller: UdpSocket,
    callee: UdpSocket,
}

impl Ends {
    /// New ports on 127.0.0.1.
    pub(crate) fn open() -> Result<Self> {
        let open = || -> Result<UdpSocket> {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.set_nonblocking(true)?;
            // The kernel gives what it allows.
            setsockopt(&socket, sockopt::RcvBuf, &BUFFER)?;
            setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
            Ok(socket)
        };
        Ok(Self {
            caller: open().context("failed to open the callers' socket")?,
            callee: open().context("failed to open the callees' socket")?,
        })
    }

    /// Where callers receive.
    pub(crate) fn caller(&self) -> Result<SocketAddrV4> {
        address(&self.caller)
    }

    /// Where callees receive.
    pub(crate) fn callee(&self) -> Result<SocketAddrV4> {
        address(&self.callee)
    }
}

fn address(socket: &UdpSocket) -> Result<SocketAddrV4> {
    match socket.local_addr()? {
        std::net::SocketAddr::V4(address) => Ok(address),
        other @ std::net::SocketAddr::V6(_) => anyhow::bail!("{other} is no IPv4 address"),
    }
}

struct State {
    stream: Stream,
    next: u16,
    /// When the packet with this sequence number was sent; 0 once it arrived.
    sent_at: [u64; RING],
}

/// All calls of one case through one subject.
pub(crate) struct Traffic {
    ends: Ends,
    streams: Vec<State>,
    inbox: Inbox,
    outbox: Outbox,
}

struct Inbox {
    headers: MultiHeaders<SockaddrIn>,
    buffers: Vec<[u8; 512]>,
}

struct Outbox {
    packets: Vec<Vec<u8>>,
    addresses: Vec<SocketAddrAny>,
    /// Stream and sequence number of each packet.
    stamps: Vec<(usize, u16)>,
}

/// Nanoseconds of the clock that the kernel stamps packets with.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |it| u64::try_from(it.as_nanos()).unwrap_or(u64::MAX))
}

impl Traffic {
    /// Streams are sent in the order given, evenly spread over the 20 ms of a packet.
    pub(crate) fn new(ends: Ends, streams: Vec<Stream>) -> Self {
        let streams = streams
            .into_iter()
            .map(|stream| State {
                stream,
                next: 1,
                sent_at: [0; RING],
            })
            .collect();
        Self {
            ends,
            streams,
            inbox: Inbox {
                headers: MultiHeaders::preallocate(
                    RECEIVED_AT_ONCE,
                    Some(nix::cmsg_space!(nix::sys::time::TimeSpec)),
                ),
                buffers: vec![[0; 512]; RECEIVED_AT_ONCE],
            },
            outbox: Outbox {
                packets: (0..SENT_AT_ONCE).map(|_| Vec::with_capacity(256)).collect(),
                addresses: Vec::with_capacity(SENT_AT_ONCE),
                stamps: Vec::with_capacity(SENT_AT_ONCE),
            },
        }
    }

    /// All calls talk for so long.
    pub(crate) fn run(&mut self, talk: Duration) -> Result<Observed> {
        let mut observed = Observed::default();
        let count = self.streams.len() as u64;
        let begin = Instant::now();
        let total = (talk.as_nanos() * u128::from(count) / PACKET.as_nanos()) as u64;
        let gap = PACKET.as_nanos() as u64 / count.max(1);
        let mut sent = 0;
        while sent < total {
            let elapsed = begin.elapsed().as_nanos() as u64;
            let due = (elapsed / gap.max(1)).min(total);
            while sent < due {
                let batch = (due - sent).min(2 * SENT_AT_ONCE as u64);
                for from_caller in [true, false] {
                    observed.sent += self.send(sent..sent + batch, from_caller)?;
                }
                sent += batch;
                self.receive(&mut observed)?;
            }
            self.receive(&mut observed)?;
            thread::sleep(TICK);
        }
        let end = Instant::now() + DRAIN;
        while Instant::now() < end {
            self.receive(&mut observed)?;
            thread::sleep(TICK);
        }
        for state in &mut self.streams {
            state.sent_at = [0; RING];
        }
        Ok(observed)
    }

    /// Sends the packets of one side among those with these running numbers.
    fn send(&mut self, numbers: std::ops::Range<u64>, from_caller: bool) -> Result<u64> {
        let mut sent = 0;
        let count = self.streams.len() as u64;
        for number in numbers {
            let index = (number % count) as usize;
            let Some(state) = self.streams.get_mut(index) else {
                continue;
            };
            if state.stream.from_caller != from_caller {
                continue;
            }
            let stamp = Stamp {
                ssrc: FIRST_SSRC + index as u32,
                sequence: state.next,
            };
            state.next = state.next.wrapping_add(1);
            if let Some(packet) = self.outbox.packets.get_mut(self.outbox.stamps.len()) {
                stamp.write(packet);
                if let Some(sealer) = &state.stream.sealer {
                    sealer.seal(packet)?;
                }
            }
            self.outbox.addresses.push(state.stream.to.into());
            self.outbox.stamps.push((index, stamp.sequence));
            if self.outbox.stamps.len() == SENT_AT_ONCE {
                sent += self.flush(from_caller)?;
            }
        }
        Ok(sent + self.flush(from_caller)?)
    }

    fn flush(&mut self, from_caller: bool) -> Result<u64> {
        let count = self.outbox.stamps.len();
        if count == 0 {
            return Ok(0);
        }
        let stamp = now();
        for (index, sequence) in self.outbox.stamps.drain(..) {
            if let Some(state) = self.streams.get_mut(index)
                && let Some(slot) = state.sent_at.get_mut(usize::from(sequence) % RING)
            {
                *slot = stamp;
            }
        }
        let socket = if from_caller {
            &self.ends.caller
        } else {
            &self.ends.callee
        };
        let slices: Vec<[IoSlice<'_>; 1]> = self
            .outbox
            .packets
            .iter()
            .take(count)
            .map(|packet| [IoSlice::new(packet)])
            .collect();
        let mut controls: Vec<SendAncillaryBuffer<'_, '_, '_>> = Vec::new();
        controls.resize_with(count, SendAncillaryBuffer::default);
        let mut headers: Vec<MMsgHdr<'_>> = slices
            .iter()
            .zip(&self.outbox.addresses)
            .zip(&mut controls)
            .map(|((slice, address), control)| MMsgHdr::new_with_addr(address, slice, control))
            .collect();
        let mut done = 0;
        while let Some(rest) = headers.get_mut(done..).filter(|it| !it.is_empty()) {
            match sendmmsg(socket, rest, SendFlags::empty()) {
                Ok(sent) => done += sent,
                // An error of an earlier packet: a subject that died is found by its own means.
                Err(rustix::io::Errno::CONNREFUSED | rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => thread::yield_now(),
                Err(error) => return Err(error).context("failed to send"),
            }
        }
        drop(headers);
        self.outbox.addresses.clear();
        Ok(count as u64)
    }

    fn receive(&mut self, observed: &mut Observed) -> Result<()> {
        for at_callee in [true, false] {
            while self.receive_some(at_callee, observed)? == RECEIVED_AT_ONCE {}
        }
        Ok(())
    }

    fn receive_some(&mut self, at_callee: bool, observed: &mut Observed) -> Result<usize> {
        let socket = if at_callee {
            &self.ends.callee
        } else {
            &self.ends.caller
        };
        let mut slices: Vec<[IoSliceMut<'_>; 1]> = self
            .inbox
            .buffers
            .iter_mut()
            .map(|buffer| [IoSliceMut::new(buffer)])
            .collect();
        let outcome = recvmmsg(
            socket.as_raw_fd(),
            &mut self.inbox.headers,
            slices.iter_mut(),
            MsgFlags::MSG_DONTWAIT,
            None,
        );
        let results = match outcome {
            Ok(results) => results,
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNREFUSED) => return Ok(0),
            Err(error) => return Err(error).context("failed to receive"),
        };
        let mut count = 0;
        for message in results {
            count += 1;
            let mut arrived = None;
            for control in message.cmsgs()? {
                if let ControlMessageOwned::ScmTimestampns(at) = control {
                    arrived = Some(at.tv_sec() as u64 * 1_000_000_000 + at.tv_nsec() as u64);
                }
            }
            if let (Some(arrived), Some(packet)) = (arrived, message.iovs().next()) {
                observed.arrived(&mut self.streams, at_callee, packet, arrived);
            }
        }
        Ok(count)
    }
}

impl Observed {
    fn arrived(&mut self, streams: &mut [State], at_callee: bool, packet: &[u8], at: u64) {
        let Some(stamp) = Stamp::read(packet) else {
            self.corrupt += 1;
            return;
        };
        let index = stamp.ssrc.wrapping_sub(FIRST_SSRC) as usize;
        let state = streams
            .get_mut(index)
            .filter(|it| it.stream.from_caller == at_callee);
        let slot = state.and_then(|it| {
            let slot = it.sent_at.get_mut(usize::from(stamp.sequence) % RING)?;
            Some((&it.stream, std::mem::take(slot)))
        });
        let Some((stream, sent_at)) = slot else {
            self.corrupt += 1;
            return;
        };
        // A second copy, or a packet of an earlier turn.
        if sent_at == 0 {
            return;
        }
        let fits = match &stream.opener {
            None => stamp.fits(packet),
            Some(opener) if stamp.sequence.is_multiple_of(CHECKED) => {
                opener.open(packet).is_ok_and(|clear| stamp.fits(&clear))
            }
            Some(_) => true,
        };
        if fits {
            self.received += 1;
            self.delays.push(at.saturating_sub(sent_at) as f64);
        } else {
            self.corrupt += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_directly_arrives() {
        let ends = Ends::open().unwrap();
        let streams = [
            (true, ends.callee().unwrap()),
            (false, ends.caller().unwrap()),
        ]
        .into_iter()
        .map(|(from_caller, to)| Stream {
            to,
            from_caller,
            sealer: None,
            opener: None,
        })
        .collect();
        let mut traffic = Traffic::new(ends, streams);
        for _ in 0..2 {
            let observed = traffic.run(Duration::from_millis(500)).unwrap();
            assert_eq!(observed.sent, 50);
            assert_eq!(observed.received, 50);
            assert_eq!(observed.corrupt, 0);
            assert_eq!(observed.delays.len(), 50);
            assert!(observed.delays.iter().all(|it| *it < 1e9));
        }
    }
}
