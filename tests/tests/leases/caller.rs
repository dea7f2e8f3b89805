//! The PBX: it begins calls at a steady pace and does its part in each one's end.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sip_message::build::{Response, ack_for, cancel_for};
use sip_message::{HeaderKind, Limits, Message, Method};
use sipward_tests::stage::media::agent::messages::{contact, header, routes};
use sipward_tests::stage::wire::{Request, Wire};
use sipward_tests::stage::{PASSWORD, digest};

use crate::ending::Ending;
use crate::{DESCRIPTION, TALK};

/// Time between two repetitions.
const REPEAT: Duration = Duration::from_millis(500);
/// After so long a call is given up: its proxy was killed.
const FORGOTTEN: Duration = Duration::from_secs(20);

/// One call.
struct Call {
    ending: Ending,
    number: String,
    user: String,
    invite: Vec<u8>,
    cseq: u32,
    since: Instant,
    repeated: Instant,
    /// The INVITE was answered at all.
    heard: bool,
    cancel: Option<Vec<u8>>,
    ack: Option<Vec<u8>>,
    answer: Option<Message>,
    due: Option<Instant>,
    bye: Option<Vec<u8>>,
}

/// A PBX on one address.
pub(crate) struct Caller {
    wire: Wire,
    proxy: SocketAddr,
    /// By Call-ID.
    calls: BTreeMap<String, Call>,
    /// Names it apart.
    name: &'static str,
}

impl Caller {
    pub(crate) fn new(name: &'static str, wire: Wire, proxy: SocketAddr) -> Self {
        Self {
            wire,
            proxy,
            calls: BTreeMap::new(),
            name,
        }
    }

    /// Calls that are not over yet.
    pub(crate) fn going(&self) -> usize {
        self.calls.len()
    }

    /// Begins a call.
    pub(crate) fn begin(&mut self, ending: Ending, serial: usize) {
        let now = Instant::now();
        let id = format!("{}-{serial}-{}", self.name, std::process::id());
        let mut call = Call {
            ending,
            number: ending.number(serial),
            user: format!("u{serial}"),
            invite: Vec::new(),
            cseq: 0,
            since: now,
            repeated: now,
            heard: false,
            cancel: None,
            ack: None,
            answer: None,
            due: None,
            bye: None,
        };
        call.invite(&self.wire, self.proxy, &id, &[]);
        self.calls.insert(id, call);
    }

    /// Reads what has come and does what is due.
    pub(crate) fn poll(&mut self) {
        while let Some(datagram) = self.wire.poll() {
            let Some(message) = datagram.message() else {
                continue;
            };
            let id = String::from_utf8_lossy(message.call_id()).into_owned();
            if message.is_request() {
                self.asked(&id, &message, datagram.source);
            } else if self.answered(&id, &message) {
                self.calls.remove(&id);
            }
        }
        let now = Instant::now();
        let (wire, proxy) = (&self.wire, self.proxy);
        self.calls
            .retain(|id, call| call.goes_on(wire, proxy, id, now));
    }

    /// The proxy or the callee hangs up.
    fn asked(&mut self, id: &str, request: &Message, source: SocketAddr) {
        let call = self.calls.get(id);
        if call.is_some_and(|call| call.ending.has_vanished(true)) {
            return;
        }
        let response = Response::to(request, 200).to_tag("caller");
        self.wire
            .send(&response.finish().expect("a response"), source);
        if request.method() == Method::Bye {
            self.calls.remove(id);
        }
    }

    /// Reads a response; true if the call is over.
    fn answered(&mut self, id: &str, response: &Message) -> bool {
        let (wire, proxy) = (&self.wire, self.proxy);
        let Some(call) = self.calls.get_mut(id) else {
            return false;
        };
        let status = response.status().unwrap_or_default();
        match response.method() {
            Method::Invite => call.invite_answered(wire, proxy, id, response, status),
            Method::Bye => status >= 200,
            Method::Cancel => {
                call.cancel = None;
                false
            }
            _ => false,
        }
    }
}

impl Call {
    fn invite(&mut self, wire: &Wire, proxy: SocketAddr, id: &str, lines: &[String]) {
        self.cseq += 1;
        let uri = format!("sip:{}@{proxy}", self.number);
        let mut all = vec![format!("Contact: <sip:caller@{}>", wire.local())];
        all.extend_from_slice(lines);
        let request = Request {
            method: "INVITE",
            uri: &uri,
            from: &format!("<sip:{}@{}>;tag={id}", self.user, wire.local()),
            to: &format!("<{uri}>"),
            call_id: id,
            cseq: self.cseq,
            branch: &format!("{id}-{}", self.cseq),
            lines: &all,
            description: if self.ending.has_media() {
                DESCRIPTION
            } else {
                ""
            },
        };
        self.invite = request.write(wire.local());
        self.heard = false;
        self.repeated = Instant::now();
        wire.send(&self.invite, proxy);
    }

    fn sent(&self) -> Message {
        let bytes = bytes::Bytes::copy_from_slice(&self.invite);
        Message::parse_datagram(bytes, &Limits::default()).expect("our own INVITE")
    }

    fn invite_answered(
        &mut self,
        wire: &Wire,
        proxy: SocketAddr,
        id: &str,
        response: &Message,
        status: u16,
    ) -> bool {
        if response.cseq().number != self.cseq {
            return false;
        }
        self.heard = true;
        match status {
            100..=179 => false,
            180..=199 => {
                if self.ending == Ending::Cancelled && self.cancel.is_none() {
                    let cancel = cancel_for(&self.sent()).to_vec();
                    wire.send(&cancel, proxy);
                    self.cancel = Some(cancel);
                }
                false
            }
            200..=299 => {
                self.accepted(wire, proxy, id, response);
                false
            }
            407 => {
                wire.send(&ack_for(&self.sent(), response), proxy);
                let offers = response.values_named(b"Proxy-Authenticate");
                let offers: Vec<_> = offers.map(String::from_utf8_lossy).collect();
                let uri = format!("sip:{}@{proxy}", self.number);
                let answer = digest::answer(&offers, &self.user, PASSWORD, "INVITE", &uri);
                let line = format!("Proxy-Authorization: {}", answer.value);
                self.invite(wire, proxy, id, &[line]);
                false
            }
            _ => {
                wire.send(&ack_for(&self.sent(), response), proxy);
                true
            }
        }
    }

    fn accepted(&mut self, wire: &Wire, proxy: SocketAddr, id: &str, response: &Message) {
        if self.ending == Ending::NoAck {
            return;
        }
        if let Some(ack) = &self.ack {
            wire.send(ack, proxy);
            return;
        }
        let ack = self.within(wire, id, response, "ACK", self.cseq);
        wire.send(&ack, proxy);
        self.ack = Some(ack);
        self.answer = Some(response.clone());
        if self.ending.is_callers() {
            self.due = Some(Instant::now() + TALK);
        }
    }

    /// A request within the dialog that an answer has made.
    fn within(&self, wire: &Wire, id: &str, answer: &Message, method: &str, cseq: u32) -> Vec<u8> {
        let mut all = routes(answer);
        all.reverse();
        let lines: Vec<String> = all.iter().map(|route| format!("Route: {route}")).collect();
        let request = Request {
            method,
            uri: &contact(answer),
            from: &header(answer, HeaderKind::From),
            to: &header(answer, HeaderKind::To),
            call_id: id,
            cseq,
            branch: &format!("{id}-{method}-{cseq}"),
            lines: &lines,
            description: "",
        };
        request.write(wire.local())
    }

    /// Does what is due; false if the call is over.
    fn goes_on(&mut self, wire: &Wire, proxy: SocketAddr, id: &str, now: Instant) -> bool {
        if now > self.since + FORGOTTEN {
            return false;
        }
        if self.due.is_some_and(|due| now >= due) {
            self.due = None;
            if let Some(answer) = &self.answer {
                let bye = self.within(wire, id, answer, "BYE", self.cseq + 1);
                wire.send(&bye, proxy);
                self.bye = Some(bye);
                self.repeated = now;
            }
        }
        if now > self.repeated + REPEAT {
            self.repeated = now;
            let unheard = (!self.heard).then_some(&self.invite);
            for bytes in [unheard, self.cancel.as_ref(), self.bye.as_ref()]
                .into_iter()
                .flatten()
            {
                wire.send(bytes, proxy);
            }
        }
        true
    }
}
