//! UDP over loopback.

use std::time::Duration;

use bytes::Bytes;
use sip_transaction::{Destination, ListenerId, Transport};
use tokio::net::UdpSocket;
use transport::{BindError, ListenerConfig, Received, SendError, TransportConfig};

use crate::harness::{LISTENER, Station, call_id, listener, on_worker, request, transactions};

fn station() -> Station {
    Station::start(TransportConfig::default(), &[listener(Transport::Udp)])
}

#[test]
fn a_message_comes_in_and_the_answer_goes_back() {
    on_worker(async {
        let mut station = station();
        let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        peer.send_to(&request(1, 10), station.address())
            .await
            .unwrap();
        let (message, inbound) = station.message().await;
        assert_eq!(message.call_id(), call_id(1));
        assert_eq!(message.bytes(), &request(1, 10));
        assert_eq!(inbound.flow.transport, Transport::Udp);
        assert_eq!(inbound.flow.listener, LISTENER);
        assert_eq!(inbound.flow.local, station.address());
        assert_eq!(inbound.flow.peer, peer.local_addr().unwrap());
        assert_eq!(inbound.flow.connection, None);
        assert_eq!(inbound.certificate, None);
        assert_eq!(inbound.tls, None);

        station.send(
            &inbound.flow.reply(),
            Bytes::from_static(b"SIP/2.0 200 OK"),
            None,
        );
        let mut buffer = [0; 100];
        let (length, from) = peer.recv_from(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..length], b"SIP/2.0 200 OK");
        assert_eq!(from, station.address());
    });
}

#[test]
fn a_burst_arrives_whole_and_in_order() {
    on_worker(async {
        let mut station = station();
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        for round in 0..5 {
            for number in 0..100 {
                let bytes = request(round * 100 + number, number * 7);
                peer.send_to(&bytes, station.address()).unwrap();
            }
            for number in 0..100 {
                let (message, _) = station.message().await;
                assert_eq!(message.bytes(), &request(round * 100 + number, number * 7));
            }
        }
        assert_eq!(station.shared.figures().messages_received, 500);
    });
}

#[test]
fn the_largest_message_passes() {
    on_worker(async {
        let mut station = station();
        let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        peer.send_to(&request(1, 65_000), station.address())
            .await
            .unwrap();
        assert_eq!(station.message().await.0.body().len(), 65_000);
    });
}

#[test]
fn keep_alives_are_silent_and_rubbish_is_told() {
    on_worker(async {
        let mut station = station();
        let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        for keep_alive in [
            &b""[..],
            b"\r\n\r\n",
            b"\0\0\0\0",
            &[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42],
        ] {
            peer.send_to(keep_alive, station.address()).await.unwrap();
        }
        assert!(station.nothing().await);
        assert_eq!(station.shared.figures().keep_alives, 4);
        peer.send_to(b"GET / HTTP/1.1\r\n\r\n", station.address())
            .await
            .unwrap();
        assert!(matches!(station.inbound().await.what, Received::Invalid(_)));
        assert_eq!(station.shared.figures().messages_invalid, 1);
    });
}

#[test]
fn a_wildcard_listener_knows_the_address_that_was_meant() {
    on_worker(async {
        let config = ListenerConfig {
            bind: "0.0.0.0:0".parse().unwrap(),
            ..listener(Transport::Udp)
        };
        let mut station = Station::start(TransportConfig::default(), &[config]);
        let port = station.address().port();
        let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        peer.send_to(&request(1, 0), ("127.0.0.2", port))
            .await
            .unwrap();
        let (_, inbound) = station.message().await;
        assert_eq!(
            inbound.flow.local,
            format!("127.0.0.2:{port}").parse().unwrap()
        );
    });
}

#[test]
fn what_cannot_leave_is_reported() {
    on_worker(async {
        let mut station = station();
        let [large, elsewhere, unknown, socket] = transactions();
        let peer = "127.0.0.1:9".parse().unwrap();
        let to = Destination::new(Transport::Udp, peer);
        station.send(&to, Bytes::from(vec![b'x'; 65_508]), Some(large));
        assert_eq!(
            station.failure().await,
            (large, SendError::TooLarge(65_508))
        );

        let to = Destination::new(Transport::Udp, "[::1]:9".parse().unwrap());
        station.send(&to, request(1, 0), Some(elsewhere));
        let (transaction, error) = station.failure().await;
        assert_eq!(transaction, elsewhere);
        assert!(matches!(error, SendError::NoListener { .. }));

        let mut to = Destination::new(Transport::Udp, peer);
        to.listener = Some(ListenerId(99));
        station.send(&to, request(1, 0), Some(unknown));
        assert_eq!(station.failure().await.0, unknown);

        let to = Destination::new(Transport::Wss, peer);
        station.send(&to, request(1, 0), Some(socket));
        assert_eq!(
            station.failure().await,
            (socket, SendError::Unsupported(Transport::Wss))
        );
    });
}

#[test]
fn listeners_come_and_go_while_the_worker_runs() {
    on_worker(async {
        let mut station = station();
        let handle = station.worker.handle();
        let more = ListenerConfig {
            id: ListenerId(4),
            ..listener(Transport::Udp)
        };
        let address = handle.add_listener(more.clone()).await.unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        peer.send_to(&request(1, 0), address).await.unwrap();
        assert_eq!(station.message().await.1.flow.listener, ListenerId(4));
        assert!(matches!(
            handle.add_listener(more).await,
            Err(BindError::Duplicate(ListenerId(4)))
        ));
        assert!(handle.remove_listener(ListenerId(4)).await);
        assert!(!handle.remove_listener(ListenerId(4)).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
        let _ = peer.send_to(&request(2, 0), address).await;
        assert!(station.nothing().await);
        peer.send_to(&request(3, 0), station.address())
            .await
            .unwrap();
        assert_eq!(station.message().await.0.call_id(), call_id(3));
    });
}

#[test]
fn a_listener_that_cannot_be_opened_is_refused_by_name() {
    on_worker(async {
        let station = station();
        let config = ListenerConfig {
            id: ListenerId(5),
            bind: "192.0.2.77:5060".parse().unwrap(),
            ..listener(Transport::Udp)
        };
        let Err(error) = station.worker.add_listener(&config) else {
            panic!("bound")
        };
        assert!(error.to_string().contains("UDP 192.0.2.77:5060"), "{error}");
        let config = ListenerConfig {
            id: ListenerId(6),
            ..listener(Transport::Tls)
        };
        assert!(matches!(
            station.worker.add_listener(&config),
            Err(BindError::NoCertificate(_))
        ));
        let config = ListenerConfig {
            id: ListenerId(6),
            ..listener(Transport::Ws)
        };
        assert!(matches!(
            station.worker.add_listener(&config),
            Err(BindError::Unsupported(_))
        ));
    });
}

/// While little is to do, one worker gets what many peers send.
#[test]
fn one_worker_serves_a_quiet_listener() {
    on_worker(async {
        let shared = transport::SharedTransport::new(TransportConfig::default());
        let mut first = Station::join(&shared, &[listener(Transport::Udp)]);
        let config = ListenerConfig {
            bind: first.address(),
            ..listener(Transport::Udp)
        };
        let mut second = Station::join(&shared, &[config]);
        for number in 0..32 {
            let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            peer.send_to(&request(number, 0), first.address())
                .await
                .unwrap();
            assert_eq!(first.message().await.0.call_id(), call_id(number));
        }
        assert!(second.nothing().await);
    });
}
