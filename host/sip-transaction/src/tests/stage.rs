//! A stage for call flows: a layer, a clock, and messages written as text.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sip_message::{Limits, Message};

use crate::{
    ConnectionId, Destination, Event, Flow, ListenerId, Moment, Refused, TableLimits, Timers,
    TransactionId, TransactionLayer, Transport,
};

/// The parts of a request that transactions look at.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: &'static str,
    pub(super) uri: &'static str,
    pub(super) via: String,
    pub(super) lower_vias: Vec<String>,
    pub(super) from_tag: Option<&'static str>,
    pub(super) to_tag: Option<String>,
    pub(super) call_id: String,
    pub(super) cseq: u32,
}

impl Request {
    pub(super) fn new(method: &'static str, branch: &str) -> Self {
        Self {
            method,
            uri: "sip:bob@192.0.2.200",
            via: format!("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{branch}"),
            lower_vias: Vec::new(),
            from_tag: Some("alice"),
            to_tag: None,
            call_id: format!("call-{branch}@192.0.2.1"),
            cseq: 1,
        }
    }

    /// As an element of RFC 2543 writes it: a Via without branch.
    pub(super) fn legacy(method: &'static str) -> Self {
        Self {
            via: "SIP/2.0/UDP 192.0.2.1:5060".to_owned(),
            ..Self::new(method, "legacy")
        }
    }

    pub(super) fn method(&self, method: &'static str) -> Self {
        Self {
            method,
            ..self.clone()
        }
    }

    pub(super) fn to_tag(&self, tag: &str) -> Self {
        Self {
            to_tag: Some(tag.to_owned()),
            ..self.clone()
        }
    }

    pub(super) fn message(&self) -> Message {
        let lower: String = self
            .lower_vias
            .iter()
            .map(|via| format!("Via: {via}\r\n"))
            .collect();
        let from = self
            .from_tag
            .map(|tag| format!(";tag={tag}"))
            .unwrap_or_default();
        let to = self
            .to_tag
            .as_ref()
            .map(|tag| format!(";tag={tag}"))
            .unwrap_or_default();
        parse(format!(
            "{method} {uri} SIP/2.0\r\nVia: {via}\r\n{lower}Max-Forwards: 70\r\n\
             From: <sip:alice@192.0.2.1>{from}\r\nTo: <sip:bob@192.0.2.200>{to}\r\n\
             Call-ID: {call_id}\r\nCSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n",
            method = self.method,
            uri = self.uri,
            via = self.via,
            call_id = self.call_id,
            cseq = self.cseq,
        ))
    }

    /// A response to this request.
    pub(super) fn response(&self, status: u16, to_tag: &str) -> Bytes {
        let from = self
            .from_tag
            .map(|tag| format!(";tag={tag}"))
            .unwrap_or_default();
        Bytes::from(format!(
            "SIP/2.0 {status} Reason\r\nVia: {via}\r\nFrom: <sip:alice@192.0.2.1>{from}\r\n\
             To: <sip:bob@192.0.2.200>;tag={to_tag}\r\nCall-ID: {call_id}\r\n\
             CSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n",
            via = self.via,
            call_id = self.call_id,
            cseq = self.cseq,
            method = self.method,
        ))
    }
}

pub(super) fn parse(text: impl Into<Bytes>) -> Message {
    Message::parse_datagram(text.into(), &Limits::default()).expect("the tests write valid SIP")
}

/// One layer, its clock and one peer.
pub(super) struct Stage {
    pub(super) layer: TransactionLayer,
    pub(super) now: Moment,
    pub(super) flow: Flow,
    start: Moment,
}

impl Stage {
    pub(super) fn over(transport: Transport) -> Self {
        Self::with(transport, TableLimits::default())
    }

    pub(super) fn with(transport: Transport, limits: TableLimits) -> Self {
        let start = Moment::from_millis(7_000);
        Self {
            layer: TransactionLayer::new(Timers::default(), limits, 42),
            now: start,
            start,
            flow: Flow {
                transport,
                listener: ListenerId(1),
                local: "192.0.2.200:5060".parse().unwrap(),
                peer: "192.0.2.1:5060".parse().unwrap(),
                connection: transport.reliable().then_some(ConnectionId(5)),
            },
        }
    }

    pub(super) fn receive(&mut self, request: &Request) {
        self.receive_message(request.message());
    }

    pub(super) fn receive_bytes(&mut self, bytes: Bytes) {
        self.receive_message(parse(bytes));
    }

    fn receive_message(&mut self, message: Message) {
        self.layer
            .handle_message(self.now, Arc::new(message), &self.flow);
    }

    /// Receives a request that must begin a transaction, and names it.
    pub(super) fn accept(&mut self, request: &Request) -> TransactionId {
        self.receive(request);
        match self.layer.poll_event() {
            Some(Event::Request { id, .. } | Event::Cancel { id, .. }) => id,
            other => panic!("a new transaction was expected, not {other:?}"),
        }
    }

    pub(super) fn respond(&mut self, id: TransactionId, request: &Request, status: u16) {
        let response = request.response(status, "bob");
        self.layer.respond(self.now, id, status, response).unwrap();
    }

    pub(super) fn send(&mut self, request: &Request) -> TransactionId {
        self.try_send(request).unwrap()
    }

    pub(super) fn try_send(&mut self, request: &Request) -> Result<TransactionId, Refused> {
        let to = Destination::new(self.flow.transport, self.flow.peer);
        self.layer.request(self.now, request.message(), to)
    }

    /// First words of everything that was sent, in order.
    pub(super) fn sent(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.layer.poll_transmit())
            .map(|transmit| {
                assert_eq!(transmit.to.transport, self.flow.transport);
                assert_eq!(transmit.to.address, self.flow.peer);
                let message = parse(transmit.bytes);
                match message.status() {
                    Some(status) => status.to_string(),
                    None => String::from_utf8_lossy(message.method_name()).into_owned(),
                }
            })
            .collect()
    }

    /// Names of all events, in order.
    pub(super) fn events(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.layer.poll_event())
            .map(|event| name(&event))
            .collect()
    }

    /// Lets time pass up to `millis` after the start, waking whenever the layer asks.
    /// Returns what was sent and what happened, each with its millisecond.
    pub(super) fn run_until(&mut self, millis: u64) -> Vec<String> {
        let end = self.start + Duration::from_millis(millis);
        let mut log = Vec::new();
        loop {
            let at = (self.now - self.start).as_millis();
            let sent = self.sent();
            let events = self.events();
            log.extend(
                sent.into_iter()
                    .chain(events)
                    .map(|what| format!("{at} {what}")),
            );
            let wake = self.layer.poll_timeout().filter(|wake| *wake <= end);
            if wake.is_none() && self.now >= end {
                return log;
            }
            self.now = wake.unwrap_or(end).max(self.now);
            self.layer.handle_timeout(self.now);
        }
    }

    /// Wakes the layer at this microsecond after the start and at no other time.
    pub(super) fn jump_to_micros(&mut self, micros: u64) {
        self.now = self.start + Duration::from_micros(micros);
        self.layer.handle_timeout(self.now);
    }

    /// Asserts that the layer is at rest and has forgotten everything.
    pub(super) fn assert_at_rest(&self) {
        assert!(
            self.layer.is_empty(),
            "{} transactions are left",
            self.layer.len()
        );
        assert_eq!(self.layer.poll_timeout(), None);
        assert_eq!(self.layer.index_sizes(), (0, 0, 0));
    }
}

pub(super) fn name(event: &Event) -> String {
    match event {
        Event::Request { message, .. } => {
            format!("Request {}", String::from_utf8_lossy(message.method_name()))
        }
        Event::Ack { .. } => "Ack".to_owned(),
        Event::Cancel { target, .. } => {
            format!("Cancel {}", if target.is_some() { "found" } else { "lost" })
        }
        Event::Response { message, .. } => format!("Response {}", message.status().unwrap()),
        Event::StrayResponse { message, .. } => format!("Stray {}", message.status().unwrap()),
        Event::Timeout { .. } => "Timeout".to_owned(),
        Event::TransportFailed { .. } => "TransportFailed".to_owned(),
        Event::Unacknowledged { .. } => "Unacknowledged".to_owned(),
        Event::Terminated { .. } => "Terminated".to_owned(),
    }
}
