//! A network around one proxy core, with virtual time. Tests play the endpoints: they
//! send requests, wait for what the proxy sends, and answer it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use media::RelayEvent;
use policy::{
    Capability, Conclusion, ConsultId, Effect, Grants, Outcome, Pipeline, RequestFacts,
    ResponseFacts, Stage, Zone,
};
use sip_message::build::Response;
use sip_message::{HeaderKind, Limits, Message, Method};
use sip_proxy::{
    CallEvent, Figures, ListenerAddress, LogEvent, MediaRecord, Output, PeerConfig, PeerKind,
    ProxyConfig, ProxyCore, Routing, Target,
};
use sip_transaction::{Flow, ListenerId, Moment, Transmit, Transport};

use crate::judging::ResponseJudge;
use crate::relay::Relay;
pub(crate) use crate::request::Request;

/// A PBX inside.
pub(crate) const PBX: &str = "10.0.0.10:5060";
/// A trunk outside.
pub(crate) const TRUNK: &str = "203.0.113.1:5060";
/// The same trunk's second and third target.
pub(crate) const TRUNK_2: &str = "203.0.113.2:5060";
pub(crate) const TRUNK_3: &str = "203.0.113.3:5060";
/// Somebody on the Internet.
pub(crate) const STRANGER: &str = "198.51.100.66:5060";
/// The proxy, as its UDP listener is known.
pub(crate) const PROXY: &str = "192.0.2.1:5060";

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// One UDP listener, one TCP listener, a PBX inside and a trunk outside.
pub(crate) fn routing() -> Routing {
    let listener = |id, transport| ListenerAddress {
        id: ListenerId(id),
        transport,
        host: "192.0.2.1".into(),
        port: 5060,
        zone: None,
        media: None,
    };
    let pbx = PeerConfig::new("office", Zone::Inside, PeerKind::Pbx, vec![udp(PBX)])
        .with_sources(["10.0.0.0/8".parse().unwrap()]);
    let trunk = PeerConfig::new("carrier", Zone::Outside, PeerKind::Trunk, vec![udp(TRUNK)])
        .with_sources(["203.0.113.0/24".parse().unwrap()]);
    Routing {
        listeners: vec![listener(1, Transport::Udp), listener(2, Transport::Tcp)],
        peers: vec![pbx, trunk],
        own_domains: vec!["proxy.example".into()],
        ..Routing::default()
    }
}

/// The same with several targets of the trunk.
pub(crate) fn routing_to(targets: &[&str], change: impl FnOnce(&mut PeerConfig)) -> Routing {
    let mut routing = routing();
    routing.peers[1].targets = targets.iter().map(|target| udp(target)).collect();
    change(&mut routing.peers[1]);
    routing
}

pub(crate) fn udp(at: &str) -> Target {
    Target::new(Transport::Udp, address(at))
}

/// What the policy says to every consult.
type Judge = Box<dyn FnMut(&RequestFacts) -> Option<Outcome>>;

/// The proxy and everything around it.
pub(crate) struct Net {
    pub(crate) proxy: ProxyCore,
    pub(crate) now: Moment,
    judge: Judge,
    wire: VecDeque<Sent>,
    pub(crate) consults: Vec<(ConsultId, RequestFacts)>,
    pub(crate) events: Vec<CallEvent>,
    pub(crate) log: Vec<LogEvent>,
    pub(crate) media: Relay,
    /// The relay says at once that a session is closed.
    pub(crate) closes: bool,
    pub(crate) records: Vec<MediaRecord>,
    /// What the policy says to every response; none for later.
    pub(crate) judge_response: ResponseJudge,
    pub(crate) asked: Vec<(ConsultId, ResponseFacts)>,
    branches: u32,
}

/// A message that the proxy sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) transmit: Transmit,
    pub(crate) message: Message,
}

impl Net {
    pub(crate) fn new(routing: Routing) -> Self {
        Self::with(ProxyConfig::new([42; 32], Arc::new(routing)))
    }

    pub(crate) fn with(config: ProxyConfig) -> Self {
        Self {
            proxy: ProxyCore::new(config),
            now: Moment::from_millis(1_000),
            judge: Box::new(|_| Some(Outcome::next("fine"))),
            wire: VecDeque::new(),
            consults: Vec::new(),
            events: Vec::new(),
            log: Vec::new(),
            media: Relay::default(),
            closes: true,
            records: Vec::new(),
            judge_response: Box::new(|_| None),
            asked: Vec::new(),
            branches: 0,
        }
    }

    /// A policy that answers at once.
    pub(crate) fn policy(&mut self, judge: impl FnMut(&RequestFacts) -> Outcome + 'static) {
        let mut judge = judge;
        self.judge = Box::new(move |facts| Some(judge(facts)));
    }

    /// A policy that answers when [`Net::conclude`] is called.
    pub(crate) fn slow_policy(&mut self) {
        self.judge = Box::new(|_| None);
    }

    /// The answer to the oldest consult.
    pub(crate) fn conclude(&mut self, outcome: Outcome) {
        let (id, facts) = self.consults.remove(0);
        let conclusion = conclusion(id, facts, outcome);
        self.proxy
            .handle_conclusion(self.now, conclusion, Vec::new());
        self.drain();
    }

    /// A message comes in from an address over UDP.
    pub(crate) fn send(&mut self, from: &str, text: &str) {
        self.send_over(Transport::Udp, from, text);
    }

    pub(crate) fn send_over(&mut self, transport: Transport, from: &str, text: &str) {
        let listener = if transport == Transport::Udp { 1 } else { 2 };
        let flow = Flow {
            transport,
            listener: ListenerId(listener),
            local: address(PROXY),
            peer: address(from),
            connection: None,
        };
        self.send_by(flow, text);
    }

    pub(crate) fn send_by(&mut self, flow: Flow, text: &str) {
        let message = parse(text.as_bytes());
        self.proxy
            .handle_message(self.now, Arc::new(message), &flow, None);
        self.drain();
    }

    /// The endpoint that got this request answers it.
    pub(crate) fn reply(&mut self, request: &Sent, status: u16, tag: &str) {
        self.reply_with(request, status, tag, &[]);
    }

    pub(crate) fn reply_with(&mut self, to: &Sent, status: u16, tag: &str, more: &[(&str, &str)]) {
        self.reply_sdp(to, status, tag, more, "");
    }

    /// The same with a session description.
    pub(crate) fn reply_sdp(
        &mut self,
        to: &Sent,
        status: u16,
        tag: &str,
        more: &[(&str, &str)],
        sdp: &str,
    ) {
        let request = &to.message;
        let mut response = Response::to(request, status);
        if status > 100 {
            response = response.to_tag(tag);
        }
        for route in request.values(HeaderKind::RecordRoute) {
            response = response.header("Record-Route", route);
        }
        if status < 300 && request.method() == Method::Invite {
            let contact = format!("<sip:callee@{}>", to.transmit.to.address);
            response = response.header("Contact", contact);
        }
        for (name, value) in more {
            response = response.header(name, value);
        }
        if !sdp.is_empty() {
            response = response.body("application/sdp", sdp);
        }
        let bytes = response.finish().unwrap();
        let from = to.transmit.to.address.to_string();
        let transport = to.transmit.to.transport;
        self.send_over(transport, &from, std::str::from_utf8(&bytes).unwrap());
    }

    /// Time passes, and every timer on the way fires.
    pub(crate) fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(next) = self.proxy.poll_timeout().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            self.proxy.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    /// Time passes until nothing is going on.
    pub(crate) fn rest(&mut self) -> Figures {
        for _ in 0..10_000 {
            let Some(next) = self.proxy.poll_timeout() else {
                break;
            };
            self.now = self.now.max(next);
            self.proxy.handle_timeout(self.now);
            self.drain();
        }
        self.proxy.figures()
    }

    /// Carries out what the proxy wants, until it wants nothing.
    pub(crate) fn drain(&mut self) {
        self.carry_out();
        while self.closes && !self.media.events.is_empty() {
            let event = self.media.events.remove(0);
            self.proxy.handle_media_event(self.now, &event);
            self.carry_out();
        }
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.proxy.poll_output() {
            match output {
                Output::Transmit(transmit) => {
                    let message = parse(&transmit.bytes);
                    self.media.leaves(&message);
                    self.wire.push_back(Sent { transmit, message });
                }
                Output::Consult { id, facts } => match (self.judge)(&facts) {
                    Some(outcome) => {
                        let conclusion = conclusion(id, facts, outcome);
                        let challenge = ("Proxy-Authenticate".into(), "Digest nonce=x".into());
                        self.proxy
                            .handle_conclusion(self.now, conclusion, vec![challenge]);
                    }
                    None => self.consults.push((id, facts)),
                },
                Output::ConsultResponse { id, facts, .. } => match (self.judge_response)(&facts) {
                    Some(outcome) => self.conclude_response(id, facts, outcome),
                    None => self.asked.push((id, facts)),
                },
                Output::Call(event) => self.events.push(event),
                Output::Log(event) => self.log.push(event),
                Output::Media(command) => self.media.command(command),
                Output::MediaClosed(record) => self.records.push(record),
            }
        }
    }

    /// The relay reports something.
    pub(crate) fn media_event(&mut self, event: &RelayEvent) {
        self.proxy.handle_media_event(self.now, event);
        self.drain();
    }

    /// The next message that went to an address.
    pub(crate) fn next(&mut self, to: &str) -> Sent {
        let to = address(to);
        let place = self
            .wire
            .iter()
            .position(|sent| sent.transmit.to.address == to);
        let Some(place) = place else {
            panic!(
                "nothing was sent to {to}; on the wire: {:#?}",
                self.on_the_wire()
            );
        };
        self.wire.remove(place).unwrap()
    }

    /// The next message to an address is this response.
    pub(crate) fn expect(&mut self, to: &str, status: u16) -> Sent {
        let sent = self.next(to);
        assert_eq!(sent.message.status(), Some(status), "{}", sent.text());
        sent
    }

    /// The next message to an address is this request.
    pub(crate) fn expect_request(&mut self, to: &str, method: Method) -> Sent {
        let sent = self.next(to);
        assert!(sent.message.is_request(), "{}", sent.text());
        assert_eq!(sent.message.method(), method, "{}", sent.text());
        sent
    }

    /// The oldest message that was sent.
    pub(crate) fn take(&mut self) -> Option<Sent> {
        self.wire.pop_front()
    }

    /// Forgets what was sent so far.
    pub(crate) fn forget(&mut self) {
        self.wire.clear();
    }

    /// Nothing more was sent to anybody.
    pub(crate) fn quiet(&self) {
        assert!(
            self.wire.is_empty(),
            "on the wire: {:#?}",
            self.on_the_wire()
        );
    }

    fn on_the_wire(&self) -> Vec<String> {
        let line = |sent: &Sent| {
            let text = sent.text();
            format!(
                "{} <- {}",
                sent.transmit.to.address,
                text.lines().next().unwrap_or_default()
            )
        };
        self.wire.iter().map(line).collect()
    }

    /// A branch nobody has used.
    pub(crate) fn branch(&mut self) -> String {
        self.branches += 1;
        format!("z9hG4bKtest{}", self.branches)
    }

    /// How the only call so far ended.
    pub(crate) fn ended(&self) -> Option<sip_proxy::EndReason> {
        self.events.iter().find_map(|event| match event {
            CallEvent::Ended { reason, .. } => Some(*reason),
            _ => None,
        })
    }
}

impl Sent {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.transmit.bytes).into_owned()
    }

    /// All values of a header, as text.
    pub(crate) fn values(&self, kind: HeaderKind) -> Vec<String> {
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        self.message.values(kind).map(text).collect()
    }

    pub(crate) fn uri(&self) -> String {
        String::from_utf8_lossy(self.message.request_uri().raw).into_owned()
    }

    pub(crate) fn branch(&self) -> String {
        String::from_utf8_lossy(self.message.top_via().branch.unwrap()).into_owned()
    }
}

/// A pipeline of one plugin that has every grant.
pub(crate) fn pipeline() -> Pipeline {
    let mut stage = Stage::new("test");
    stage.grants = Grants::NONE
        .with(Capability::EditHeaders)
        .with(Capability::Route)
        .with(Capability::Credentials);
    Pipeline {
        name: Arc::from("test"),
        stages: vec![stage],
        generation: 1,
    }
}

/// What that pipeline concludes.
pub(crate) fn conclusion(id: ConsultId, facts: RequestFacts, outcome: Outcome) -> Conclusion {
    let pipeline = pipeline();
    let mut run = pipeline.begin(id, facts);
    while run.next_stage().is_some() {
        let realm = outcome.effects.iter().find_map(|effect| match effect {
            Effect::Identify(_) => Some("office"),
            _ => None,
        });
        if let Some(realm) = realm {
            run.verified_realm(realm.to_owned());
        }
        run.apply(Ok(outcome.clone()), 1);
    }
    run.conclude()
}

pub(crate) fn parse(bytes: &[u8]) -> Message {
    let bytes = bytes::Bytes::copy_from_slice(bytes);
    Message::parse_datagram(bytes.clone(), &Limits::default())
        .unwrap_or_else(|error| panic!("{error:?} in {}", String::from_utf8_lossy(&bytes)))
}

/// The two ends of an answered call.
pub(crate) struct Established {
    /// The INVITE as the callee got it.
    pub(crate) invite: Sent,
    /// The 200 as the caller got it.
    pub(crate) ok: Sent,
}

impl Net {
    pub(crate) fn invite(&mut self) -> Request {
        let branch = self.branch();
        Request::new("INVITE", PBX, &branch)
    }

    /// PBX calls trunk, trunk rings and answers, PBX acknowledges.
    pub(crate) fn call(&mut self) -> Established {
        let invite = self.invite();
        self.send(PBX, &invite.text());
        self.expect(PBX, 100);
        let forwarded = self.expect_request(TRUNK, Method::Invite);
        self.reply(&forwarded, 180, "bob");
        self.expect(PBX, 180);
        self.reply(&forwarded, 200, "bob");
        let ok = self.expect(PBX, 200);
        let call = Established {
            invite: forwarded,
            ok,
        };
        let ack = self.caller_request(&call, "ACK", 1);
        self.send(PBX, &ack.text());
        let acked = self.expect_request(TRUNK, Method::Ack);
        assert_eq!(acked.uri(), format!("sip:callee@{TRUNK}"));
        self.quiet();
        call
    }

    /// A request of the caller within the call.
    pub(crate) fn caller_request(
        &mut self,
        call: &Established,
        method: &'static str,
        cseq: u32,
    ) -> Request {
        let branch = self.branch();
        let mut request = Request::new(method, PBX, &branch).cseq(cseq);
        request.uri = format!("sip:callee@{}", call.invite.transmit.to.address);
        request.to = "<sip:100@proxy.example>;tag=bob".into();
        // The caller's route set is Record-Route from below: section 12.1.2.
        let mut routes = call.ok.values(HeaderKind::RecordRoute);
        routes.reverse();
        for route in routes {
            request = request.with("Route", &route);
        }
        request
    }

    /// A request of the callee within the call.
    pub(crate) fn callee_request(
        &mut self,
        call: &Established,
        method: &'static str,
        cseq: u32,
    ) -> Request {
        let branch = self.branch();
        let mut request = Request::new(method, TRUNK, &branch).cseq(cseq);
        request.uri = format!("sip:alice@{PBX}");
        request.from = "<sip:100@proxy.example>;tag=bob".into();
        request.to = "<sip:alice@10.0.0.10>;tag=alice".into();
        for route in call.invite.values(HeaderKind::RecordRoute) {
            request = request.with("Route", &route);
        }
        request
    }
}
