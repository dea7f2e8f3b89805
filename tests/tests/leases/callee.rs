//! The trunk: it does with each call what the called number says.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use sip_message::build::Response;
use sip_message::{HeaderKind, Message, Method};
use sipward_tests::stage::media::agent::messages::{contact, header, routes};
use sipward_tests::stage::wire::{Request, Wire};

use crate::ending::Ending;
use crate::{DESCRIPTION, TALK};

/// Time between two repetitions.
const REPEAT: Duration = Duration::from_millis(500);
/// How long an answer waits for its ACK.
const UNACKNOWLEDGED: Duration = Duration::from_millis(1_500);
/// How long a BYE waits for its answer: longer than the proxy's Timer F.
const UNANSWERED: Duration = Duration::from_secs(15);

/// One call.
struct Call {
    ending: Ending,
    invite: Message,
    /// The last answer, for repetitions.
    answer: Option<Vec<u8>>,
    proxy: SocketAddr,
    answered: Option<Instant>,
    repeated: Instant,
    acknowledged: bool,
    /// When to hang up.
    due: Option<Instant>,
    bye: Option<(Vec<u8>, Instant)>,
    over: bool,
}

/// The trunk.
pub(crate) struct Callee {
    wire: Wire,
    /// By Call-ID.
    calls: BTreeMap<Vec<u8>, Call>,
}

impl Callee {
    pub(crate) fn new(address: Ipv4Addr, port: u16) -> Self {
        Self {
            wire: Wire::new(address, port),
            calls: BTreeMap::new(),
        }
    }

    /// Reads what has come and does what is due.
    pub(crate) fn poll(&mut self) {
        while let Some(datagram) = self.wire.poll() {
            let Some(message) = datagram.message() else {
                continue;
            };
            match (message.is_request(), message.method()) {
                (true, Method::Invite) => self.invited(message, datagram.source),
                (true, Method::Ack) => self.acknowledged(&message),
                (true, _) => self.asked(&message, datagram.source),
                // Only our BYEs are answered.
                (false, _) => {
                    let call = self.calls.get_mut(message.call_id());
                    if let Some(call) = call
                        && message.status().is_some_and(|status| status >= 200)
                    {
                        call.bye = None;
                        call.over = true;
                    }
                }
            }
        }
        let now = Instant::now();
        for (id, call) in &mut self.calls {
            call.tick(&self.wire, id, now);
        }
        // Calls that are over may still be asked about.
        let old = now.checked_sub(UNANSWERED).unwrap_or(now);
        self.calls
            .retain(|_, call| !call.over || call.repeated > old);
    }

    fn invited(&mut self, invite: Message, source: SocketAddr) {
        if let Some(call) = self.calls.get(invite.call_id()) {
            if let Some(answer) = &call.answer {
                self.wire.send(answer, source);
            }
            return;
        }
        let uri = invite.request_uri();
        let user = String::from_utf8_lossy(uri.user.unwrap_or_default()).into_owned();
        let ending = Ending::of(&user).unwrap_or_else(|| panic!("nobody called {user}"));
        let now = Instant::now();
        let mut call = Call {
            ending,
            invite,
            answer: None,
            proxy: source,
            answered: None,
            repeated: now,
            acknowledged: false,
            due: None,
            bye: None,
            over: false,
        };
        if ending != Ending::Silence {
            call.answer(&self.wire, 180);
        }
        if let Some(status) = ending.status() {
            call.answer(&self.wire, status);
            call.answered = Some(now);
            call.over = status != 200;
        }
        let id = call.invite.call_id().to_vec();
        self.calls.insert(id, call);
    }

    fn acknowledged(&mut self, ack: &Message) {
        let Some(call) = self.calls.get_mut(ack.call_id()) else {
            return;
        };
        if !call.acknowledged && call.ending.is_callees() {
            call.due = Some(Instant::now() + TALK);
        }
        call.acknowledged = true;
    }

    /// BYE and CANCEL.
    fn asked(&mut self, request: &Message, source: SocketAddr) {
        let call = self.calls.get_mut(request.call_id());
        let vanished = call
            .as_ref()
            .is_some_and(|call| call.answered.is_some() && call.ending.has_vanished(false));
        if vanished {
            return;
        }
        let status = if call.is_some() { 200 } else { 481 };
        let response = Response::to(request, status).to_tag("callee");
        self.wire
            .send(&response.finish().expect("a response"), source);
        if let Some(call) = call {
            call.over = true;
            if request.method() == Method::Cancel && call.answered.is_none() {
                call.answer(&self.wire, 487);
            }
        }
    }
}

impl Call {
    fn answer(&mut self, wire: &Wire, status: u16) {
        let mut response = Response::to(&self.invite, status).to_tag("callee").header(
            "Contact",
            match status {
                302 => "<sip:+4930999999@127.0.0.2>".to_owned(),
                _ => format!("<sip:trunk@{}>", wire.local()),
            },
        );
        for route in self.invite.values(HeaderKind::RecordRoute) {
            response = response.header("Record-Route", route);
        }
        if status == 200 && self.ending.has_media() {
            response = response.body("application/sdp", DESCRIPTION);
        }
        let bytes = response.finish().expect("a response").to_vec();
        wire.send(&bytes, self.proxy);
        self.answer = Some(bytes);
    }

    fn tick(&mut self, wire: &Wire, id: &[u8], now: Instant) {
        if let Some((bye, since)) = &self.bye {
            if now > *since + UNANSWERED {
                self.over = true;
                self.bye = None;
            } else if now > self.repeated + REPEAT {
                self.repeated = now;
                wire.send(bye, self.proxy);
            }
            return;
        }
        let answered = self
            .answered
            .filter(|_| self.ending.status() == Some(200) && !self.acknowledged && !self.over);
        if let (Some(since), Some(answer)) = (answered, &self.answer) {
            if now > since + UNACKNOWLEDGED {
                // RFC 3261 section 13.3.1.4.
                self.due = Some(now);
                self.acknowledged = true;
            } else if now > self.repeated + REPEAT {
                self.repeated = now;
                wire.send(answer, self.proxy);
            }
        }
        if self.due.is_some_and(|due| now >= due) && !self.over {
            self.due = None;
            self.hang_up(wire, id, now);
        }
    }

    fn hang_up(&mut self, wire: &Wire, id: &[u8], now: Instant) {
        let lines: Vec<String> = routes(&self.invite)
            .iter()
            .map(|route| format!("Route: {route}"))
            .collect();
        let call_id = String::from_utf8_lossy(id);
        let bye = Request {
            method: "BYE",
            uri: &contact(&self.invite),
            from: &format!("{};tag=callee", header(&self.invite, HeaderKind::To)),
            to: &header(&self.invite, HeaderKind::From),
            call_id: &call_id,
            cseq: 1,
            branch: &format!("callee-{call_id}"),
            lines: &lines,
            description: "",
        };
        let bytes = bye.write(wire.local());
        wire.send(&bytes, self.proxy);
        self.repeated = now;
        self.bye = Some((bytes, now));
    }
}
