//! Follows a transaction layer from outside and keeps the rules that hold for every
//! program: each transaction begins once, ends once and says nothing afterwards, and
//! no table passes its limit.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sip_message::build::Response;
use sip_message::{Limits, Message, Method};
use sip_transaction::{
    ConnectionId, Destination, Event, Flow, ListenerId, Moment, Refused, TableLimits, Timers,
    TransactionId, TransactionLayer, Transport,
};

/// A layer, its clock, one peer, and all that was seen of its transactions.
pub(super) struct Witness {
    pub(super) layer: TransactionLayer,
    pub(super) now: Moment,
    flow: Flow,
    limits: TableLimits,
    known: Vec<TransactionId>,
    requests: HashMap<TransactionId, Arc<Message>>,
    ended: HashSet<TransactionId>,
    /// How often each kind of event came.
    pub(super) events: [usize; 10],
}

impl Witness {
    pub(super) fn new(transport: Transport, limits: TableLimits) -> Self {
        Self {
            layer: TransactionLayer::new(Timers::default(), limits, 42),
            now: Moment::from_millis(7_000),
            flow: Flow {
                transport,
                listener: ListenerId(1),
                local: ([192, 0, 2, 200], 5060).into(),
                peer: ([192, 0, 2, 1], 5060).into(),
                connection: transport.reliable().then_some(ConnectionId(5)),
            },
            limits,
            known: Vec::new(),
            requests: HashMap::new(),
            ended: HashSet::new(),
            events: [0; 10],
        }
    }

    /// Some transaction that was ever begun, and its request.
    pub(super) fn pick(&self, which: usize) -> Option<(TransactionId, Arc<Message>)> {
        let id = *self.known.get(which % self.known.len().max(1))?;
        Some((id, Arc::clone(&self.requests[&id])))
    }

    pub(super) fn receive(&mut self, bytes: impl Into<Bytes>) {
        let Ok(message) = Message::parse_datagram(bytes.into(), &Limits::default()) else {
            return;
        };
        self.layer
            .handle_message(self.now, Arc::new(message), &self.flow);
        self.collect();
    }

    pub(super) fn send(&mut self, bytes: impl Into<Bytes>) {
        let Ok(message) = Message::parse_datagram(bytes.into(), &Limits::default()) else {
            return;
        };
        let to = Destination::new(self.flow.transport, self.flow.peer);
        let request = Arc::new(message.clone());
        match self.layer.request(self.now, message, to) {
            Ok(id) => {
                assert!(id.is_client());
                self.begin(id, request);
            }
            Err(Refused::TableFull) => assert!(self.layer.client_len() >= self.limits.client),
            Err(Refused::NotTransactional) => {
                assert!(!request.is_request() || request.method() == Method::Ack);
            }
            Err(Refused::BranchInUse) => assert!(self.layer.client_len() > 0),
            Err(Refused::NoBranch) => {
                let branch = request.top_via().branch;
                assert!(
                    branch
                        .is_none_or(|branch| !branch.starts_with(b"z9hG4bK") || branch.len() == 7)
                );
            }
        }
        self.collect();
    }

    pub(super) fn respond(&mut self, id: TransactionId, request: &Message, status: u16) {
        let response = Response::to(request, status).to_tag("ours").finish();
        let response = response.expect("a plain answer can be written");
        let outcome = self.layer.respond(self.now, id, status, response);
        assert_eq!(outcome.is_err(), self.ended.contains(&id));
        self.collect();
    }

    pub(super) fn fail(&mut self, id: TransactionId) {
        self.layer.handle_transport_error(self.now, id);
        self.collect();
    }

    pub(super) fn terminate(&mut self, id: TransactionId) {
        self.layer.terminate(id);
        assert!(!self.layer.contains(id));
        self.collect();
    }

    pub(super) fn wait(&mut self, duration: Duration) {
        self.now += duration;
        self.layer.handle_timeout(self.now);
        assert!(
            self.layer.poll_timeout().is_none_or(|at| at > self.now),
            "what is due has fired"
        );
        self.collect();
    }

    fn begin(&mut self, id: TransactionId, request: Arc<Message>) {
        assert!(
            self.requests.insert(id, request).is_none(),
            "{id} was used before"
        );
        self.known.push(id);
    }

    fn alive(&self, id: TransactionId) {
        assert!(
            self.requests.contains_key(&id) && !self.ended.contains(&id),
            "{id} is not running"
        );
    }

    /// Takes out everything, as the driver does after each step.
    fn collect(&mut self) {
        while let Some(transmit) = self.layer.poll_transmit() {
            assert!(!transmit.bytes.is_empty());
            let sent = Message::parse_datagram(transmit.bytes, &Limits::default());
            assert!(sent.is_ok(), "what is sent is SIP");
        }
        while let Some(event) = self.layer.poll_event() {
            let place = match event {
                Event::Request { id, message, .. } => {
                    assert!(message.method() != Method::Ack && !id.is_client());
                    self.begin(id, message);
                    0
                }
                Event::Cancel {
                    id,
                    target,
                    message,
                    ..
                } => {
                    assert_eq!(message.method(), Method::Cancel);
                    self.begin(id, message);
                    if let Some(target) = target {
                        self.alive(target);
                        assert_eq!(self.requests[&target].method(), Method::Invite);
                    }
                    1
                }
                Event::Response { id, message, .. } => {
                    self.alive(id);
                    assert!(id.is_client() && message.method() == self.requests[&id].method());
                    2
                }
                Event::Timeout { id } => {
                    self.alive(id);
                    3
                }
                Event::TransportFailed { id } => {
                    self.alive(id);
                    4
                }
                Event::Unacknowledged { id } => {
                    self.alive(id);
                    assert!(!id.is_client());
                    5
                }
                Event::Terminated { id } => {
                    assert!(self.requests.contains_key(&id));
                    assert!(self.ended.insert(id), "{id} ended twice");
                    assert!(!self.layer.contains(id));
                    6
                }
                Event::Ack { .. } => 7,
                Event::StrayResponse { .. } => 8,
            };
            self.events[place] += 1;
        }
        assert_eq!(self.layer.len(), self.known.len() - self.ended.len());
        assert!(self.layer.server_len() <= self.limits.server + self.limits.reserve);
        assert!(self.layer.client_len() <= self.limits.client);
    }

    /// Users answer what only they can answer, time passes, and nothing is left.
    pub(super) fn come_to_rest(mut self) -> [usize; 10] {
        for id in self.known.clone() {
            if !id.is_client() {
                let request = Arc::clone(&self.requests[&id]);
                self.respond(id, &request, 500);
            }
        }
        self.wait(Duration::from_secs(33));
        self.wait(Duration::from_secs(33));
        // Only client INVITEs that ring are left: their Timer C is the user's.
        for id in self.known.clone() {
            if self.layer.contains(id) {
                assert!(
                    id.is_client() && self.requests[&id].method() == Method::Invite,
                    "{id} is left"
                );
                self.terminate(id);
            }
        }
        assert!(self.layer.is_empty());
        assert_eq!(self.ended.len(), self.known.len());
        // A timer may still be named, but nothing fires.
        self.wait(Duration::from_secs(400));
        assert!(self.layer.poll_timeout().is_none(), "at rest no timer runs");
        self.events
    }
}
