//! Accepted TCP connections: framing, keep-alive, ceilings, timeouts.

use std::time::{Duration, Instant};

use bytes::Bytes;
use sip_transaction::{ListenerId, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use transport::{ConnectionLimits, Figures, ListenerConfig, Received, SendError};

use crate::harness::{
    LISTENER, NEVER, SOON, Station, call_id, eventually, listener, on_worker, request, transactions,
};

const SHORT: Duration = Duration::from_millis(400);

fn station() -> Station {
    Station::with_limits(ConnectionLimits::default())
}

/// Waits until the peer's connection is closed by the other side.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 4096];
    let closed = async { while !matches!(stream.read(&mut buffer).await, Ok(0) | Err(_)) {} };
    timeout(SOON, closed).await.is_ok()
}

async fn is_open(stream: &mut TcpStream) -> bool {
    timeout(NEVER, stream.read(&mut [0; 16])).await.is_err()
}

#[test]
fn pipelined_and_fragmented_messages_are_framed() {
    on_worker(async {
        let mut station = station();
        let mut peer = station.dial().await;
        let mut stream = Vec::new();
        for number in 0..50 {
            stream.extend_from_slice(&request(number, number * 31));
        }
        peer.write_all(&stream).await.unwrap();
        for number in 0..50 {
            let (message, inbound) = station.message().await;
            assert_eq!(message.bytes(), &request(number, number * 31));
            assert_eq!(inbound.flow.transport, Transport::Tcp);
            assert_eq!(inbound.flow.peer, peer.local_addr().unwrap());
            assert_eq!(inbound.flow.local, station.address());
            assert!(inbound.flow.connection.is_some());
        }
        for part in request(99, 40).chunks(7) {
            peer.write_all(part).await.unwrap();
            peer.flush().await.unwrap();
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(station.message().await.0.call_id(), call_id(99));
    });
}

#[test]
fn a_double_line_end_is_answered_by_a_single_one() {
    on_worker(async {
        let mut station = station();
        let mut peer = station.dial().await;
        peer.write_all(b"\r\n\r\n").await.unwrap();
        let mut answer = [0; 2];
        peer.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"\r\n");
        peer.write_all(&request(1, 0)).await.unwrap();
        assert_eq!(station.message().await.0.call_id(), call_id(1));
        assert_eq!(station.shared.figures().keep_alives, 1);
        assert!(is_open(&mut peer).await);
    });
}

#[test]
fn responses_go_by_connection() {
    on_worker(async {
        let mut station = station();
        let mut first = station.dial().await;
        let mut second = station.dial().await;
        first.write_all(&request(1, 0)).await.unwrap();
        let (_, one) = station.message().await;
        second.write_all(&request(2, 0)).await.unwrap();
        let (_, two) = station.message().await;
        assert_ne!(one.flow.connection, two.flow.connection);
        station.send(&two.flow.reply(), Bytes::from_static(b"two"), None);
        station.send(&one.flow.reply(), Bytes::from_static(b"one"), None);
        let mut buffer = [0; 3];
        first.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"one");
        second.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"two");
    });
}

#[test]
fn a_stream_that_cannot_be_framed_is_closed_but_a_bad_message_is_told() {
    on_worker(async {
        let mut station = station();
        let mut peer = station.dial().await;
        let bad = String::from_utf8(request(1, 0).to_vec())
            .unwrap()
            .replace("CSeq: 1", "CSeq: x");
        peer.write_all(bad.as_bytes()).await.unwrap();
        assert!(matches!(station.inbound().await.what, Received::Invalid(_)));
        peer.write_all(&request(2, 0)).await.unwrap();
        assert_eq!(station.message().await.0.call_id(), call_id(2));

        let mut peer = station.dial().await;
        peer.write_all(&vec![b'x'; 200_000]).await.ok();
        assert!(is_closed(&mut peer).await);
        assert_eq!(station.shared.figures().framing_errors, 1);
    });
}

#[test]
fn both_sides_of_the_ceiling_for_one_peer() {
    on_worker(async {
        let station = Station::with_limits(ConnectionLimits {
            per_peer: 2,
            ..Default::default()
        });
        let mut first = station.dial().await;
        let mut second = station.dial().await;
        assert!(is_open(&mut first).await && is_open(&mut second).await);
        let mut third = station.dial().await;
        assert!(is_closed(&mut third).await);
        assert_eq!(station.shared.figures().refused_per_peer, 1);
        drop(first);
        eventually(|| station.shared.figures().inbound_connections == 1).await;
        let mut again = station.dial().await;
        assert!(is_open(&mut again).await);
        assert_eq!(station.shared.figures().accepted, 3);
    });
}

#[test]
fn both_sides_of_the_ceiling_for_all() {
    on_worker(async {
        let station = Station::with_limits(ConnectionLimits {
            inbound: 1,
            ..Default::default()
        });
        let mut first = station.dial().await;
        assert!(is_open(&mut first).await);
        let mut second = station.dial().await;
        assert!(is_closed(&mut second).await);
        let figures: Figures = station.shared.figures();
        assert_eq!(
            (figures.refused_inbound, figures.inbound_connections),
            (1, 1)
        );
    });
}

#[test]
fn who_says_nothing_is_closed() {
    on_worker(async {
        let limits = ConnectionLimits {
            first_message: SHORT,
            ..Default::default()
        };
        let mut station = Station::with_limits(limits);
        let mut silent = station.dial().await;
        let mut pinging = station.dial().await;
        let mut speaking = station.dial().await;
        pinging.write_all(b"\r\n\r\n").await.unwrap();
        speaking.write_all(&request(1, 0)).await.unwrap();
        station.message().await;
        let begin = Instant::now();
        assert!(is_closed(&mut silent).await);
        assert!(is_closed(&mut pinging).await);
        assert!(begin.elapsed() < SHORT * 5);
        assert_eq!(station.shared.figures().first_message_timeouts, 2);
        sleep(SHORT).await;
        assert!(is_open(&mut speaking).await);
    });
}

#[test]
fn who_drips_is_closed() {
    on_worker(async {
        let limits = ConnectionLimits {
            message: SHORT,
            ..Default::default()
        };
        let mut station = Station::with_limits(limits);
        let mut peer = station.dial().await;
        // Whole messages keep the connection however long they take together.
        for number in 0..4 {
            peer.write_all(&request(number, 0)[..20]).await.unwrap();
            sleep(SHORT / 2).await;
            peer.write_all(&request(number, 0)[20..]).await.unwrap();
            station.message().await;
        }
        let begin = Instant::now();
        for byte in request(9, 0).chunks(1) {
            if peer.write_all(byte).await.is_err() || begin.elapsed() > SHORT * 3 {
                break;
            }
            sleep(Duration::from_millis(10)).await;
        }
        assert!(is_closed(&mut peer).await);
        assert_eq!(station.shared.figures().message_timeouts, 1);
    });
}

#[test]
fn who_is_idle_is_closed_and_who_pings_stays() {
    on_worker(async {
        let limits = ConnectionLimits {
            idle: SHORT,
            ..Default::default()
        };
        let station = Station::with_limits(limits);
        let mut pinging = station.dial().await;
        let mut idle = station.dial().await;
        for _ in 0..6 {
            pinging.write_all(b"\r\n\r\n").await.unwrap();
            sleep(SHORT / 2).await;
        }
        assert!(is_closed(&mut idle).await);
        assert_eq!(station.shared.figures().idle_timeouts, 1);
        assert_eq!(station.shared.figures().inbound_connections, 1);
        assert!(is_closed(&mut pinging).await);
        assert!(station.shared.connections().is_empty());
    });
}

#[test]
fn who_does_not_read_is_closed_when_the_queue_is_full() {
    on_worker(async {
        let limits = ConnectionLimits {
            write_bytes: 100_000,
            ..Default::default()
        };
        let mut station = Station::with_limits(limits);
        let mut peer = station.dial().await;
        peer.write_all(&request(1, 0)).await.unwrap();
        let (_, inbound) = station.message().await;
        let to = inbound.flow.reply();
        let [last] = transactions();
        let large = Bytes::from(vec![b'x'; 50_000]);
        let mut sent = 0;
        // The kernel takes some megabytes before anything waits here.
        while station.shared.figures().queue_overflows == 0 && sent < 4_000 {
            station.send(&to, large.clone(), None);
            sent += 1;
            tokio::task::yield_now().await;
        }
        assert_eq!(station.shared.figures().queue_overflows, 1);
        eventually(|| station.shared.figures().inbound_connections == 0).await;
        assert!(station.shared.connections().is_empty());
        assert_eq!(station.shared.figures().queued_bytes, 0);
        // The way back is gone, and the address does not accept.
        station.send(&to, large, Some(last));
        assert!(matches!(station.failure().await, (id, SendError::Connect(_)) if id == last));
        assert!(station.no_failure().await);
        assert!(is_closed(&mut peer).await);
    });
}

#[test]
fn each_message_in_a_full_queue_fails_once() {
    on_worker(async {
        let limits = ConnectionLimits {
            write_messages: 3,
            ..Default::default()
        };
        let mut station = Station::with_limits(limits);
        let mut peer = station.dial().await;
        peer.write_all(&request(1, 0)).await.unwrap();
        let (_, inbound) = station.message().await;
        let ids = transactions::<4>();
        // Without a pause nothing is written between the sends.
        for id in ids {
            station.send(&inbound.flow.reply(), request(2, 0), Some(id));
        }
        let mut failed = Vec::new();
        for _ in ids {
            failed.push(station.failure().await.0);
        }
        failed.sort();
        assert_eq!(failed, ids);
        assert!(station.no_failure().await);
        assert!(is_closed(&mut peer).await);
    });
}

#[test]
fn who_does_not_read_in_time_is_closed() {
    on_worker(async {
        let limits = ConnectionLimits {
            write: SHORT,
            write_bytes: 64 << 20,
            ..Default::default()
        };
        let mut station = Station::with_limits(limits);
        let mut peer = station.dial().await;
        peer.write_all(&request(1, 0)).await.unwrap();
        let (_, inbound) = station.message().await;
        let [id] = transactions();
        for _ in 0..500 {
            station.send(&inbound.flow.reply(), Bytes::from(vec![b'x'; 60_000]), None);
        }
        station.send(&inbound.flow.reply(), request(2, 0), Some(id));
        assert_eq!(station.failure().await, (id, SendError::WriteTimeout));
        assert_eq!(station.shared.figures().write_timeouts, 1);
        eventually(|| station.shared.figures().queued_bytes == 0).await;
    });
}

#[test]
fn connections_outlive_their_listener() {
    on_worker(async {
        let mut station = station();
        let address = station.address();
        let mut peer = station.dial().await;
        peer.write_all(&request(1, 0)).await.unwrap();
        let (_, inbound) = station.message().await;
        let handle = station.worker.handle();
        assert!(handle.remove_listener(LISTENER).await);
        sleep(Duration::from_millis(20)).await;
        assert!(TcpStream::connect(address).await.is_err());
        peer.write_all(&request(2, 0)).await.unwrap();
        assert_eq!(station.message().await.1.flow, inbound.flow);
        station.send(&inbound.flow.reply(), Bytes::from_static(b"still"), None);
        let mut buffer = [0; 5];
        peer.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"still");
        let config = ListenerConfig {
            id: ListenerId(8),
            bind: address,
            ..listener(Transport::Tcp)
        };
        assert_eq!(handle.add_listener(config).await.unwrap(), address);
        assert!(TcpStream::connect(address).await.is_ok());
    });
}

#[test]
fn a_shutdown_writes_what_waits() {
    on_worker(async {
        let mut station = station();
        let mut peer = station.dial().await;
        peer.write_all(&request(1, 0)).await.unwrap();
        let (_, inbound) = station.message().await;
        station.send(
            &inbound.flow.reply(),
            Bytes::from_static(b"last words"),
            None,
        );
        station.worker.handle().shutdown(SOON).await;
        let mut rest = Vec::new();
        peer.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"last words");
        assert!(station.shared.connections().is_empty());
    });
}
