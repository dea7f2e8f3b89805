//! A worker on a thread of its own making, with its inbox in sight.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sip_message::{Limits, Message};
use sip_transaction::{
    Destination, ListenerId, Moment, TableLimits, Timers, TransactionId, TransactionLayer,
    Transmit, Transport,
};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;
use transport::{
    ConnectionLimits, Inbound, Inbox, ListenerConfig, Received, SendError, Sender, SharedTransport,
    TransportConfig, Worker,
};

/// Longest wait for anything that should happen.
pub(crate) const SOON: Duration = Duration::from_secs(5);
/// Longest wait for something that should not happen.
pub(crate) const NEVER: Duration = Duration::from_millis(150);
/// The listener of most tests.
pub(crate) const LISTENER: ListenerId = ListenerId(3);

/// Runs a test as a worker thread would run.
pub(crate) fn on_worker<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        timeout(Duration::from_secs(60), test).await.unwrap()
    })
}

/// Waits until something is so.
pub(crate) async fn eventually(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, waiting).await.unwrap();
}

#[derive(Clone)]
struct Recorder {
    inbound: UnboundedSender<Inbound>,
    failed: UnboundedSender<(TransactionId, SendError)>,
}

impl Inbox for Recorder {
    fn deliver(&self, inbound: Inbound) {
        let _ = self.inbound.send(inbound);
    }

    fn failed(&self, transaction: TransactionId, error: SendError) {
        let _ = self.failed.send((transaction, error));
    }
}

/// A worker and what it delivered.
pub(crate) struct Station {
    pub(crate) shared: Arc<SharedTransport>,
    pub(crate) worker: Worker,
    pub(crate) sender: Sender,
    inbound: UnboundedReceiver<Inbound>,
    failed: UnboundedReceiver<(TransactionId, SendError)>,
}

impl Station {
    pub(crate) fn start(config: TransportConfig, listeners: &[ListenerConfig]) -> Self {
        Self::join(&SharedTransport::new(config), listeners)
    }

    pub(crate) fn with_limits(limits: ConnectionLimits) -> Self {
        let config = TransportConfig {
            limits,
            ..TransportConfig::default()
        };
        Self::start(config, &[listener(Transport::Tcp)])
    }

    pub(crate) fn join(shared: &Arc<SharedTransport>, listeners: &[ListenerConfig]) -> Self {
        let (inbound_sender, inbound) = unbounded_channel();
        let (failed_sender, failed) = unbounded_channel();
        let recorder = Recorder {
            inbound: inbound_sender,
            failed: failed_sender,
        };
        let worker = Worker::bind(shared, listeners, recorder).unwrap();
        let sender = worker.sender();
        Station {
            shared: Arc::clone(shared),
            worker,
            sender,
            inbound,
            failed,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.worker.local_addr(LISTENER).unwrap()
    }

    pub(crate) async fn inbound(&mut self) -> Inbound {
        timeout(SOON, self.inbound.recv()).await.unwrap().unwrap()
    }

    pub(crate) async fn message(&mut self) -> (Arc<Message>, Inbound) {
        let inbound = self.inbound().await;
        match &inbound.what {
            Received::Message(message) => (Arc::clone(message), inbound),
            Received::Invalid(error) => unreachable!("{error:?}"),
        }
    }

    pub(crate) async fn nothing(&mut self) -> bool {
        timeout(NEVER, self.inbound.recv()).await.is_err()
    }

    pub(crate) async fn failure(&mut self) -> (TransactionId, SendError) {
        timeout(SOON, self.failed.recv()).await.unwrap().unwrap()
    }

    pub(crate) async fn no_failure(&mut self) -> bool {
        timeout(NEVER, self.failed.recv()).await.is_err()
    }

    pub(crate) fn send(&self, to: &Destination, bytes: Bytes, transaction: Option<TransactionId>) {
        self.sender.send(Transmit {
            to: to.clone(),
            bytes,
            transaction,
        });
    }

    pub(crate) async fn dial(&self) -> TcpStream {
        TcpStream::connect(self.address()).await.unwrap()
    }
}

pub(crate) fn listener(transport: Transport) -> ListenerConfig {
    ListenerConfig {
        id: LISTENER,
        transport,
        bind: "127.0.0.1:0".parse().unwrap(),
        tls: None,
    }
}

/// A request of some length; `number` tells it from others.
pub(crate) fn request(number: usize, body: usize) -> Bytes {
    request_via("TCP 127.0.0.1:5060", number, body)
}

pub(crate) fn request_via(via: &str, number: usize, body: usize) -> Bytes {
    format!(
        "OPTIONS sip:proxy@127.0.0.1 SIP/2.0\r\n\
         Via: SIP/2.0/{via};branch=z9hG4bK{number}\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:a@127.0.0.1>;tag=a\r\n\
         To: <sip:b@127.0.0.1>\r\n\
         Call-ID: {number}@127.0.0.1\r\n\
         CSeq: 1 OPTIONS\r\n\
         Content-Type: text/plain\r\n\
         Content-Length: {body}\r\n\r\n{}",
        "x".repeat(body)
    )
    .into()
}

pub(crate) fn call_id(number: usize) -> Vec<u8> {
    format!("{number}@127.0.0.1").into_bytes()
}

/// Real transaction numbers: only the layer makes them.
pub(crate) fn transactions<const N: usize>() -> [TransactionId; N] {
    let mut layer = TransactionLayer::new(Timers::default(), TableLimits::default(), 7);
    let to = Destination::new(Transport::Udp, "127.0.0.1:5060".parse().unwrap());
    std::array::from_fn(|number| {
        let message = Message::parse_datagram(request(number, 0), &Limits::default()).unwrap();
        layer
            .request(Moment::from_micros(0), message, to.clone())
            .unwrap()
    })
}
