//! A small user agent on one UDP socket: many calls at once, with the SDP that a test
//! wants. It repeats requests until they are answered and answers repeated ones again;
//! everything else of RFC 3261 that a peer would need is there, and no more.

pub mod messages;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip_message::build::Response;
use sip_message::{HeaderKind, Limits, Message, Method};

use messages::{address_of, contact, header, message, routes, text};

/// How long a request is repeated.
const PATIENCE: Duration = Duration::from_secs(32);
/// Time between two repetitions.
const REPEAT: Duration = Duration::from_millis(500);

/// How far a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Asked, or being asked, and nothing else.
    Calling,
    /// The callee is alerted.
    Ringing,
    /// Both have agreed.
    Talking,
    /// Over, or refused.
    Ended,
}

/// A call as one side sees it.
#[derive(Debug)]
pub struct Call {
    /// How far it is.
    pub phase: Phase,
    /// The last final response to an INVITE; 0 before there is one.
    pub status: u16,
    /// The other side's latest session description.
    pub description: Option<String>,
    outgoing: bool,
    /// Our From or To with its tag.
    local: String,
    /// The other's.
    remote: String,
    target: String,
    routes: Vec<String>,
    next_hop: SocketAddr,
    sequence: u32,
    /// The INVITE that was received last.
    invite: Option<Message>,
    /// What answers it; sent again if it comes again.
    answer: Option<Bytes>,
    /// The ACK for the latest 2xx.
    ack: Option<(u32, Bytes)>,
    pending: Option<Pending>,
}

#[derive(Debug)]
struct Pending {
    method: Method,
    sequence: u32,
    bytes: Bytes,
    /// Whether anything answered it.
    answered: bool,
    since: Instant,
    last: Instant,
}

/// How an agent answers a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answers {
    /// 180, and no more until it is told.
    Rings,
    /// 180 and 200 with this session description.
    AtOnce(String),
}

/// A user agent.
#[derive(Debug)]
pub struct Agent {
    socket: UdpSocket,
    local: SocketAddr,
    /// By Call-ID.
    calls: BTreeMap<String, Call>,
    /// How it answers.
    pub answers: Answers,
    serial: u64,
}

impl Agent {
    /// On a port; 0 for any.
    ///
    /// # Panics
    /// The port is taken.
    #[must_use]
    pub fn new(address: Ipv4Addr, port: u16) -> Self {
        let socket = UdpSocket::bind((address, port)).expect("a port for SIP");
        socket
            .set_nonblocking(true)
            .expect("a socket that does not block");
        let local = socket.local_addr().expect("its address");
        Self {
            socket,
            local,
            calls: BTreeMap::new(),
            answers: Answers::Rings,
            serial: 0,
        }
    }

    /// Its calls by Call-ID.
    #[must_use]
    pub fn calls(&self) -> &BTreeMap<String, Call> {
        &self.calls
    }

    /// Forget calls that are over.
    pub fn forget_ended(&mut self) {
        self.calls
            .retain(|_, call| call.phase != Phase::Ended || call.pending.is_some());
    }

    fn unique(&mut self) -> String {
        self.serial += 1;
        format!(
            "{}-{}-{}",
            self.local.port(),
            std::process::id(),
            self.serial
        )
    }

    /// Call a number by way of `proxy`; returns the Call-ID.
    pub fn invite(&mut self, proxy: SocketAddr, number: &str, description: &str) -> String {
        let id = self.unique();
        let call = Call {
            phase: Phase::Calling,
            status: 0,
            description: None,
            outgoing: true,
            local: format!("<sip:agent@{}>;tag={id}", self.local),
            remote: format!("<sip:{number}@{proxy}>"),
            target: format!("sip:{number}@{proxy}"),
            routes: Vec::new(),
            next_hop: proxy,
            sequence: 0,
            invite: None,
            answer: None,
            ack: None,
            pending: None,
        };
        self.calls.insert(id.clone(), call);
        self.request(&id, Method::Invite, Some(description));
        id
    }

    /// Offer something else in a call that is on.
    pub fn reinvite(&mut self, id: &str, description: &str) {
        if let Some(call) = self.calls.get_mut(id) {
            call.status = 0;
        }
        self.request(id, Method::Invite, Some(description));
    }

    /// Send a BYE.
    pub fn hang_up(&mut self, id: &str) {
        self.request(id, Method::Bye, None);
        if let Some(call) = self.calls.get_mut(id) {
            call.phase = Phase::Ended;
        }
    }

    /// Answer a call that rings.
    ///
    /// # Panics
    /// It does not ring.
    pub fn accept(&mut self, id: &str, description: &str) {
        let call = self.calls.get_mut(id).expect("a call");
        let invite = call.invite.clone().expect("a call that rings");
        answer(
            &self.socket,
            self.local,
            call,
            &invite,
            200,
            Some(description),
        );
    }

    fn request(&mut self, id: &str, method: Method, description: Option<&str>) {
        let branch = format!("z9hG4bK{}", self.unique());
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        call.sequence += 1;
        let bytes = message(
            call,
            self.local,
            id,
            method,
            call.sequence,
            &branch,
            description,
        );
        let _sent = self.socket.send_to(&bytes, call.next_hop);
        let now = Instant::now();
        call.pending = Some(Pending {
            method,
            sequence: call.sequence,
            bytes,
            answered: false,
            since: now,
            last: now,
        });
    }

    /// Read everything that has arrived, and repeat what was not answered.
    ///
    /// # Panics
    /// A request was not answered for 32 s.
    pub fn poll(&mut self) {
        let mut buffer = [0; 65_536];
        while let Ok((length, source)) = self.socket.recv_from(&mut buffer) {
            let bytes = Bytes::copy_from_slice(&buffer[..length]);
            // What is not SIP is not for us.
            if let Ok(message) = Message::parse_datagram(bytes, &Limits::default()) {
                let id = String::from_utf8_lossy(message.call_id()).into_owned();
                if message.is_request() {
                    self.asked(id, message, source);
                } else {
                    self.answered(&id, &message);
                }
            }
        }
        for (id, call) in &mut self.calls {
            let next_hop = call.next_hop;
            if let Some(pending) = &mut call.pending
                && !pending.answered
                && pending.last.elapsed() > REPEAT
            {
                assert!(
                    pending.since.elapsed() < PATIENCE,
                    "{:?} of {id} was never answered",
                    pending.method
                );
                pending.last = Instant::now();
                let _sent = self.socket.send_to(&pending.bytes, next_hop);
            }
        }
    }

    /// Poll until something is so.
    ///
    /// # Panics
    /// It never is.
    pub fn wait(&mut self, what: &str, wanted: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.poll();
            if wanted(self) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "never happened: {what}: {self:#?}"
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn asked(&mut self, id: String, request: Message, source: SocketAddr) {
        match request.method() {
            Method::Invite => self.called(id, request, source),
            Method::Ack => {
                if let Some(call) = self.calls.get_mut(&id)
                    && call.phase != Phase::Ended
                {
                    call.phase = Phase::Talking;
                }
            }
            method => {
                let call = self.calls.get_mut(&id);
                let status = if call.is_some() { 200 } else { 481 };
                let response = Response::to(&request, status).to_tag(self.local.port().to_string());
                let response = response.finish().expect("a response");
                let _sent = self.socket.send_to(&response, source);
                if let Some(call) = call
                    && matches!(method, Method::Bye | Method::Cancel)
                {
                    call.phase = Phase::Ended;
                }
            }
        }
    }

    fn called(&mut self, id: String, request: Message, source: SocketAddr) {
        let description = text(request.body());
        let sequence = request.cseq().number;
        let call = self.calls.entry(id.clone()).or_insert_with(|| Call {
            phase: Phase::Calling,
            status: 0,
            description: None,
            outgoing: false,
            local: format!("{};tag={id}", header(&request, HeaderKind::To)),
            remote: header(&request, HeaderKind::From),
            target: contact(&request),
            routes: routes(&request),
            next_hop: source,
            sequence: 0,
            invite: None,
            answer: None,
            ack: None,
            pending: None,
        });
        let known = call.invite.as_ref().map(|it| it.cseq().number);
        if known == Some(sequence) {
            if let Some(answer) = &call.answer {
                let _sent = self.socket.send_to(answer, source);
            }
            return;
        }
        call.description = (!description.is_empty()).then_some(description);
        call.invite = Some(request.clone());
        if let Some(route) = call.routes.first() {
            call.next_hop = address_of(route).unwrap_or(source);
        }
        // A call that is on is not rung for again.
        if call.phase != Phase::Talking {
            call.phase = Phase::Ringing;
            answer(&self.socket, self.local, call, &request, 180, None);
        }
        if let Answers::AtOnce(description) = &self.answers {
            answer(
                &self.socket,
                self.local,
                call,
                &request,
                200,
                Some(description),
            );
        }
    }

    fn answered(&mut self, id: &str, response: &Message) {
        let status = response.status().unwrap_or_default();
        let branch = format!("z9hG4bK{}", self.unique());
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let sequence = response.cseq().number;
        if let Some(pending) = &mut call.pending
            && pending.sequence == sequence
        {
            pending.answered = true;
        }
        if response.method() != Method::Invite {
            if status >= 200 {
                call.pending = None;
            }
            return;
        }
        if status < 200 {
            if status > 100 && call.phase == Phase::Calling {
                call.phase = Phase::Ringing;
            }
            return;
        }
        // A repeated 2xx gets the same ACK.
        if let Some((acked, ack)) = &call.ack
            && *acked == sequence
        {
            let _sent = self.socket.send_to(ack, call.next_hop);
            return;
        }
        call.status = status;
        if status < 300 {
            call.remote = header(response, HeaderKind::To);
            call.target = contact(response);
            if call.outgoing && call.phase != Phase::Talking {
                call.routes = routes(response);
                call.routes.reverse();
                if let Some(hop) = call.routes.first().and_then(|it| address_of(it)) {
                    call.next_hop = hop;
                }
            }
            call.phase = Phase::Talking;
            let body = text(response.body());
            call.description = (!body.is_empty()).then_some(body);
            let ack = message(call, self.local, id, Method::Ack, sequence, &branch, None);
            let _sent = self.socket.send_to(&ack, call.next_hop);
            call.ack = Some((sequence, ack));
            call.pending = None;
            return;
        }
        if let Some(pending) = call.pending.take()
            && let Ok(invite) = Message::parse_datagram(pending.bytes, &Limits::default())
        {
            let ack = sip_message::build::ack_for(&invite, response);
            let _sent = self.socket.send_to(&ack, call.next_hop);
        }
        if call.phase != Phase::Talking {
            call.phase = Phase::Ended;
        }
    }
}

/// Answer an INVITE.
fn answer(
    socket: &UdpSocket,
    local: SocketAddr,
    call: &mut Call,
    invite: &Message,
    status: u16,
    description: Option<&str>,
) {
    let tag = call.local.rsplit_once(";tag=").map_or("", |(_, tag)| tag);
    let mut response = Response::to(invite, status)
        .to_tag(tag)
        .header("Contact", format!("<sip:agent@{local}>"));
    for route in invite.values(HeaderKind::RecordRoute) {
        response = response.header("Record-Route", route);
    }
    if let Some(description) = description {
        response = response.body("application/sdp", description);
    }
    let bytes = response.finish().expect("a response");
    let via = invite.top_via();
    let hop = via.port.unwrap_or(5060);
    let to = match via.host {
        sip_message::Host::V4(address) => SocketAddr::from((address, hop)),
        _ => call.next_hop,
    };
    let _sent = socket.send_to(&bytes, to);
    call.answer = Some(bytes);
    if status >= 200 {
        call.status = status;
    }
}
