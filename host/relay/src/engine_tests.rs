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

/// After a beginning, thousands of packets of RTP to SRTP allocate nothing.
fn no_allocation_for_a_packet(choice: BackendChoice) {
    let mailbox = Mailbox::<()>::new(1).unwrap();
    let Ok(mut backend) = backend::make(choice, mailbox.bell()) else {
        assert_eq!(choice, BackendChoice::IoUring);
        return;
    };
    let identity = Arc::new(Identity::generate().unwrap());
    let events: Events = Arc::new(|event| panic!("{event:?}"));
    let limits = RelayLimits::default();
    let mut engine = Engine::new(limits, identity, events, Arc::default());
    let suite = Suite::AeadAes128Gcm;
    let (caller, callee) = (
        leg(2, Protection::Plain),
        leg(
            4,
            Protection::Sdes {
                send: key(suite),
                receive: key(suite),
            },
        ),
    );
    let session = SessionId(1);
    let board = Board::default();
    let timeouts = MediaTimeouts::default();
    let open = Order::Open {
        session,
        timeouts,
        board,
    };
    engine.handle_order(open, backend.as_mut());
    let mut sockets: SmallVec<[Opened; 4]> = SmallVec::new();
    sockets.push(caller.opened);
    sockets.push(callee.opened);
    let stream = Order::Stream {
        session,
        stream: 0,
        generation: 1,
        ends: Box::new([caller.plan, callee.plan]),
        sockets,
    };
    engine.handle_order(stream, backend.as_mut());
    let wait = Wait {
        gather: Duration::ZERO,
        enough: 1,
        at_most: Some(Duration::from_secs(5)),
    };
    let mut buffer = [0; 256];
    let mut receive = ReceiveContext::new(&key(suite), ContextLimits::default()).unwrap();
    let mut relay = |sequence: u16| {
        for offset in 0..4 {
            let packet = packet(sequence * 4 + offset);
            caller.party.send_to(&packet, caller.ours).unwrap();
        }
        let mut left = 4;
        callee.party.set_nonblocking(true).unwrap();
        while left > 0 {
            backend.turn(&mut engine, wait).unwrap();
            while left > 0
                && let Ok(length) = callee.party.recv(&mut buffer)
            {
                left -= 1;
                let length = receive.unprotect_rtp(&mut buffer, length).unwrap();
                assert_eq!(length, 172);
            }
            // What a turn sends with io_uring leaves at the beginning of the next.
            caller.party.send_to(&[0], caller.ours).unwrap();
        }
        engine.handle_timeout();
    };
    for sequence in 0..8 {
        relay(sequence);
    }
    let allocated = allocation_counter::measure(|| {
        for sequence in 8..1_000 {
            relay(sequence);
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
