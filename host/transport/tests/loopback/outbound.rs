//! TCP connections that we open, their reuse, and other workers' connections.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use sip_transaction::{ConnectionId, Destination, ListenerId, TransactionId, Transmit, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use transport::{
    ConnectionLimits, Inbound, Inbox, SendError, Sender, SharedTransport, TransportConfig, Worker,
};

use crate::harness::{
    LISTENER, NEVER, SOON, Station, call_id, eventually, listener, on_worker, request, transactions,
};

fn station() -> Station {
    Station::with_limits(ConnectionLimits::default())
}

async fn trunk() -> (TcpListener, Destination) {
    let trunk = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = Destination::new(Transport::Tcp, trunk.local_addr().unwrap());
    (trunk, to)
}

async fn accept(trunk: &TcpListener) -> TcpStream {
    timeout(SOON, trunk.accept()).await.unwrap().unwrap().0
}

async fn read(stream: &mut TcpStream, expected: &[u8]) {
    let mut buffer = vec![0; expected.len()];
    timeout(SOON, stream.read_exact(&mut buffer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(buffer, expected);
}

#[test]
fn messages_wait_for_one_connect_and_then_reuse_it() {
    on_worker(async {
        let mut station = station();
        let (trunk, to) = trunk().await;
        for number in 0..3 {
            station.send(&to, request(number, 10), None);
        }
        let mut peer = accept(&trunk).await;
        for number in 0..3 {
            read(&mut peer, &request(number, 10)).await;
        }
        station.send(&to, request(3, 10), None);
        read(&mut peer, &request(3, 10)).await;
        assert!(timeout(NEVER, trunk.accept()).await.is_err());

        peer.write_all(&request(9, 0)).await.unwrap();
        let (_, inbound) = station.message().await;
        assert_eq!(inbound.flow.listener, LISTENER);
        assert_eq!(inbound.flow.peer, to.address);
        assert_eq!(inbound.flow.local, peer.peer_addr().unwrap());
        assert!(inbound.flow.connection.is_some());
        assert_eq!(station.shared.figures().connected, 1);
        assert_eq!(station.shared.figures().outbound_connections, 1);
    });
}

#[test]
fn a_closed_connection_is_replaced() {
    on_worker(async {
        let mut station = station();
        let (trunk, to) = trunk().await;
        station.send(&to, request(1, 0), None);
        let mut first = accept(&trunk).await;
        read(&mut first, &request(1, 0)).await;
        first.write_all(&request(2, 0)).await.unwrap();
        let (_, inbound) = station.message().await;
        drop(first);
        eventually(|| station.shared.connections().is_empty()).await;
        // A response whose connection is gone goes to the address instead.
        station.send(
            &inbound.flow.reply(),
            Bytes::from_static(b"SIP/2.0 200 OK"),
            None,
        );
        let mut second = accept(&trunk).await;
        read(&mut second, b"SIP/2.0 200 OK").await;
        assert!(station.no_failure().await);
    });
}

#[test]
fn a_failed_connect_is_reported_to_all_who_waited() {
    on_worker(async {
        let mut station = station();
        let (trunk, to) = trunk().await;
        drop(trunk);
        let ids = transactions::<3>();
        for id in ids {
            station.send(&to, request(1, 0), Some(id));
        }
        for id in ids {
            let (failed, error) = station.failure().await;
            assert_eq!(failed, id);
            assert_eq!(
                error,
                SendError::Connect(std::io::ErrorKind::ConnectionRefused)
            );
        }
        assert!(station.no_failure().await);
        assert_eq!(station.shared.figures().connect_failures, 1);
        assert!(station.shared.connections().is_empty());
    });
}

#[test]
fn a_request_to_a_peer_that_hangs_up_unheard_is_reported() {
    on_worker(async {
        let mut station = station();
        let (trunk, to) = trunk().await;
        let [unheard, answered, heard] = transactions();
        station.send(&to, request(1, 0), Some(unheard));
        let mut peer = accept(&trunk).await;
        read(&mut peer, &request(1, 0)).await;
        drop(peer);
        assert_eq!(station.failure().await, (unheard, SendError::Closed));

        station.send(&to, request(2, 0), Some(heard));
        station.send(&to, Bytes::from_static(b"SIP/2.0 200 OK"), Some(answered));
        let mut peer = accept(&trunk).await;
        read(&mut peer, &request(2, 0)).await;
        peer.write_all(&request(3, 0)).await.unwrap();
        station.message().await;
        drop(peer);
        assert!(station.no_failure().await);
    });
}

#[test]
fn a_connect_takes_no_longer_than_allowed() {
    on_worker(async {
        let connect = Duration::from_millis(300);
        let mut station = Station::with_limits(ConnectionLimits {
            connect,
            ..Default::default()
        });
        // A listener that accepts nothing and whose queue is full drops what knocks.
        let full = tokio::net::TcpSocket::new_v4().unwrap();
        full.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let full = full.listen(1).unwrap();
        let address: SocketAddr = full.local_addr().unwrap();
        let mut fillers = Vec::new();
        while let Ok(Ok(filler)) =
            timeout(Duration::from_millis(100), TcpStream::connect(address)).await
        {
            fillers.push(filler);
        }
        let [id] = transactions();
        station.send(
            &Destination::new(Transport::Tcp, address),
            request(1, 0),
            Some(id),
        );
        assert_eq!(station.failure().await, (id, SendError::ConnectTimeout));
    });
}

#[test]
fn both_sides_of_the_ceiling_for_outbound_connections() {
    on_worker(async {
        let limits = ConnectionLimits {
            outbound: 1,
            ..Default::default()
        };
        let mut station = Station::with_limits(limits);
        let (first, to_first) = trunk().await;
        let (second, to_second) = trunk().await;
        let [two] = transactions();
        station.send(&to_first, request(1, 0), None);
        station.send(&to_second, request(2, 0), Some(two));
        assert_eq!(station.failure().await, (two, SendError::ConnectionLimit));
        let mut peer = accept(&first).await;
        read(&mut peer, &request(1, 0)).await;
        drop(peer);
        eventually(|| station.shared.figures().outbound_connections == 0).await;
        station.send(&to_second, request(3, 0), None);
        read(&mut accept(&second).await, &request(3, 0)).await;
        assert!(station.no_failure().await);
    });
}

#[test]
fn a_request_never_takes_another_listeners_connection() {
    on_worker(async {
        let inside = listener(Transport::Tcp);
        let outside = transport::ListenerConfig {
            id: ListenerId(7),
            ..inside.clone()
        };
        let mut station = Station::start(TransportConfig::default(), &[inside, outside]);
        let (trunk, mut to) = trunk().await;
        to.listener = Some(LISTENER);
        station.send(&to, request(1, 0), None);
        read(&mut accept(&trunk).await, &request(1, 0)).await;
        to.listener = Some(ListenerId(7));
        station.send(&to, request(2, 0), None);
        let mut peer = accept(&trunk).await;
        read(&mut peer, &request(2, 0)).await;
        peer.write_all(&request(3, 0)).await.unwrap();
        assert_eq!(station.message().await.1.flow.listener, ListenerId(7));
        let [id] = transactions();
        to.listener = Some(ListenerId(70));
        station.send(&to, request(4, 0), Some(id));
        assert!(matches!(
            station.failure().await.1,
            SendError::NoListener { .. }
        ));
    });
}

#[test]
fn a_connection_number_of_another_transport_leads_nowhere() {
    on_worker(async {
        let mut station = station();
        let mut peer = station.dial().await;
        peer.write_all(&request(1, 0)).await.unwrap();
        let (_, inbound) = station.message().await;
        let [id] = transactions();
        let to = Destination {
            transport: Transport::Tls,
            ..inbound.flow.reply()
        };
        station.send(&to, request(2, 0), Some(id));
        assert_eq!(station.failure().await, (id, SendError::NoOutboundTls));
        let to = Destination {
            connection: Some(ConnectionId(u64::MAX)),
            ..inbound.flow.reply()
        };
        station.send(&to, request(3, 0), None);
        // The peer's own address still finds its connection.
        read(&mut peer, &request(3, 0)).await;
    });
}

/// One worker accepts, another one on its own thread answers.
#[test]
fn a_worker_sends_on_a_connection_that_another_owns() {
    let shared = SharedTransport::new(TransportConfig::default());
    let (flows, accepted) = mpsc::channel();
    let owner_shared = std::sync::Arc::clone(&shared);
    let (address_sender, address) = mpsc::channel();
    let owner = std::thread::spawn(move || {
        on_worker(async {
            let mut owner = Station::join(&owner_shared, &[listener(Transport::Tcp)]);
            address_sender.send(owner.address()).unwrap();
            let (_, inbound) = owner.message().await;
            flows.send(inbound.flow).unwrap();
            // Serves until the peer has what it wants and hangs up.
            while !owner.shared.connections().is_empty() {
                sleep(Duration::from_millis(5)).await;
            }
        });
    });
    let address = address.recv().unwrap();
    on_worker(async {
        let mut other = Station::join(&shared, &[]);
        let mut peer = TcpStream::connect(address).await.unwrap();
        peer.write_all(&request(1, 0)).await.unwrap();
        let flow = accepted.recv_timeout(SOON).unwrap();
        let [id] = transactions();
        other.send(
            &flow.reply(),
            Bytes::from_static(b"SIP/2.0 200 OK"),
            Some(id),
        );
        read(&mut peer, b"SIP/2.0 200 OK").await;
        assert!(other.no_failure().await);
        assert_eq!(shared.figures().messages_sent, 1);
        drop(peer);
        eventually(|| shared.connections().is_empty()).await;
        other.send(
            &flow.reply(),
            Bytes::from_static(b"SIP/2.0 200 OK"),
            Some(id),
        );
        assert_eq!(other.failure().await.0, id);
    });
    owner.join().unwrap();
}

/// A driver that sends while it is being told.
#[derive(Clone)]
struct Reentrant {
    sender: Sender,
    failed: tokio::sync::mpsc::UnboundedSender<TransactionId>,
    id: TransactionId,
}

impl Inbox for Reentrant {
    fn deliver(&self, inbound: Inbound) {
        let nowhere = Destination::new(Transport::Udp, "127.0.0.1:9".parse().unwrap());
        let bytes = Bytes::from_static(b"x");
        self.sender.send(Transmit {
            to: nowhere,
            bytes,
            transaction: Some(self.id),
        });
        let bytes = request(2, 0);
        self.sender.send(Transmit {
            to: inbound.flow.reply(),
            bytes,
            transaction: None,
        });
    }

    fn failed(&self, transaction: TransactionId, _error: SendError) {
        self.failed.send(transaction).unwrap();
    }
}

#[test]
fn an_inbox_may_send_while_it_is_called() {
    on_worker(async {
        let shared = SharedTransport::new(TransportConfig::default());
        let mut worker = Worker::new(&shared);
        let (failed, mut failures) = tokio::sync::mpsc::unbounded_channel();
        let [id] = transactions();
        let inbox = Reentrant {
            sender: worker.sender(),
            failed,
            id,
        };
        worker.start(&[listener(Transport::Tcp)], inbox).unwrap();
        let mut peer = TcpStream::connect(worker.local_addr(LISTENER).unwrap())
            .await
            .unwrap();
        peer.write_all(&request(1, 0)).await.unwrap();
        read(&mut peer, &request(2, 0)).await;
        assert_eq!(failures.recv().await, Some(id));
    });
}

#[test]
fn two_workers_share_one_address() {
    on_worker(async {
        let shared = SharedTransport::new(TransportConfig::default());
        let mut first = Station::join(&shared, &[listener(Transport::Tcp)]);
        let config = transport::ListenerConfig {
            bind: first.address(),
            ..listener(Transport::Tcp)
        };
        let mut second = Station::join(&shared, &[config]);
        let mut peers = Vec::new();
        for number in 0..32 {
            let mut peer = first.dial().await;
            peer.write_all(&request(number, 0)).await.unwrap();
            peers.push(peer);
        }
        let mut counts = [0, 0];
        for _ in 0..32 {
            tokio::select! {
                (message, _) = first.message() => { counts[0] += 1; assert!(message.is_request()); }
                (message, _) = second.message() => { counts[1] += 1; assert!(message.is_request()); }
            }
        }
        assert!(counts[0] > 0 && counts[1] > 0, "{counts:?}");
        assert_eq!(shared.figures().inbound_connections, 32);
        assert_eq!(call_id(1), b"1@127.0.0.1");
    });
}
