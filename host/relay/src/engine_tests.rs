//! One worker's engine and backend on the test's own thread: what a packet costs.

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use media::{
    Codec, EndPlan, Format, KeyMaterial, Latch, LocalPorts, MediaTimeouts, Protection, Remote,
    SessionId, StreamKind, Suite,
};
use smallvec::{SmallVec, smallvec};
use srtp::{ContextLimits, ReceiveContext};
use zeroize::Zeroizing;

use super::*;
use crate::backend::{self, Wait};
use crate::config::BackendChoice;
use crate::directory::Board;
use crate::mailbox::Mailbox;

fn key(suite: Suite) -> KeyMaterial {
    let octets = vec![7; suite.key_len() + suite.salt_len()];
    KeyMaterial::new(suite, Zeroizing::new(octets)).unwrap()
}

fn bound() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").unwrap()
}

/// A party, and the socket of ours that faces it.
struct Leg {
    party: UdpSocket,
    ours: SocketAddr,
    plan: EndPlan,
    opened: Opened,
}

fn leg(rtp: u16, protection: Protection) -> Leg {
    let (party, socket) = (bound(), bound());
    socket.set_nonblocking(true).unwrap();
    let local = LocalPorts {
        interface: 0,
        ipv6: false,
        rtp,
    };
    let plan = EndPlan {
        local,
        remote: Some(Remote {
            rtp: party.local_addr().ok(),
            rtcp: None,
            latch: Latch::Signalled,
            sources: smallvec![],
            networks: [].into(),
        }),
        rtcp_mux: true,
        protection,
        sends: true,
        receives: true,
        payload_types: 1,
        formats: smallvec![Format {
            payload_type: 0,
            clock_rate: 8_000,
            codec: Codec::G711
        }],
        kind: StreamKind::Rtp,
        packets_per_second: 100_000,
        packet_bytes: 1_472,
    };
    Leg {
        ours: socket.local_addr().unwrap(),
        party,
        plan,
        opened: Opened {
            local,
            component: Component::Rtp,
            socket,
        },
    }
}

fn packet(sequence: u16) -> [u8; 172] {
    let mut packet = [0; 172];
    packet[0] = 0x80;
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet
}

/// An engine with one call, from RTP to SRTP.
struct Bench {
    engine: Engine,
    backend: Box<dyn Backend>,
    caller: (UdpSocket, SocketAddr),
    callee: UdpSocket,
    receive: ReceiveContext,
}

impl Bench {
    /// `None` where the kernel has no such backend.
    fn new(choice: BackendChoice) -> Option<Self> {
        let mailbox = Arc::new(Mailbox::new(1).unwrap());
        let mut backend = backend::make(choice, mailbox.bell()).ok()?;
        let identity = Arc::new(Identity::generate(crate::DtlsClient::default()).unwrap());
        let events: Events = Arc::new(|event| panic!("{event:?}"));
        let mut engine = Engine::new(
            RelayLimits::default(),
            identity,
            events,
            Arc::default(),
            mailbox,
        );
        let suite = Suite::AeadAes128Gcm;
        let (send, receive) = (key(suite), key(suite));
        let (caller, callee) = (
            leg(2, Protection::Plain),
            leg(4, Protection::Sdes { send, receive }),
        );
        let session = SessionId(1);
        let open = Order::Open {
            session,
            timeouts: MediaTimeouts::default(),
            board: Board::default(),
        };
        engine.handle_order(open, backend.as_mut());
        let stream = Order::Stream {
            session,
            stream: 0,
            generation: 1,
            ends: Box::new([caller.plan, callee.plan]),
            sockets: SmallVec::from_iter([caller.opened, callee.opened]),
        };
        engine.handle_order(stream, backend.as_mut());
        callee.party.set_nonblocking(true).unwrap();
        Some(Bench {
            engine,
            backend,
            caller: (caller.party, caller.ours),
            callee: callee.party,
            receive: ReceiveContext::new(&key(suite), ContextLimits::default()).unwrap(),
        })
    }

    /// Four packets from the caller to the callee.
    fn relay(&mut self, round: u16) {
        let (caller, ours) = &self.caller;
        for offset in 0..4 {
            caller.send_to(&packet(round * 4 + offset), ours).unwrap();
        }
        let wait = Wait {
            gather: Duration::ZERO,
            enough: 1,
            at_most: Some(Duration::from_secs(5)),
        };
        let mut buffer = [0; 256];
        let mut left = 4;
        while left > 0 {
            self.backend.turn(&mut self.engine, wait).unwrap();
            while left > 0
                && let Ok(length) = self.callee.recv(&mut buffer)
            {
                left -= 1;
                let opened = self.receive.unprotect_rtp(&mut buffer, length);
                assert_eq!(opened, Ok(172));
            }
            // What a turn sends with io_uring leaves at the beginning of the next.
            caller.send_to(&[0], ours).unwrap();
        }
        self.engine.handle_timeout();
    }
}

/// After a beginning, thousands of packets allocate nothing.
fn no_allocation_for_a_packet(choice: BackendChoice) {
    let Some(mut bench) = Bench::new(choice) else {
        assert_eq!(choice, BackendChoice::IoUring);
        return;
    };
    for round in 0..8 {
        bench.relay(round);
    }
    let allocated = allocation_counter::measure(|| {
        for round in 8..1_000 {
            bench.relay(round);
        }
    });
    assert_eq!(allocated.count_total, 0, "{allocated:?}");
}

#[test]
fn no_allocation_for_a_packet_with_epoll() {
    no_allocation_for_a_packet(BackendChoice::Epoll);
}

#[test]
fn no_allocation_for_a_packet_with_io_uring() {
    no_allocation_for_a_packet(BackendChoice::IoUring);
}
