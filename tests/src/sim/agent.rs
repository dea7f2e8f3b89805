//! A user agent: the caller's and the callee's side of scripted calls.
//!
//! Transactions are those of `sip-transaction`; what a user agent core adds
//! (RFC 3261 section 13: ACK for each 2xx, 2xx repeated until its ACK) is here.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sip_message::{HeaderKind, Message, Method, NameAddr, Uri};
use sip_transaction::{
    Destination, Event, Flow, ListenerId, Moment, TableLimits, Timers, TransactionId,
    TransactionLayer, Transport,
};

use super::script::{Answer, HangUp, Script};
use super::text;

const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
/// How long a side keeps a request on which nothing happens: longer than Timer C.
const PATIENCE: Duration = Duration::from_secs(300);

/// Something an agent has resolved to do.
#[derive(Debug, Clone)]
enum Intent {
    Start(usize),
    Cancel(TransactionId),
    Ring(TransactionId),
    Answer(TransactionId, usize),
    /// Forget a request that will never be answered.
    GiveUp(TransactionId),
    /// 2xx again until the ACK: RFC 3261 section 13.3.1.4.
    Repeat {
        dialog: String,
        bytes: Bytes,
        to: Destination,
        interval: Duration,
        since: Moment,
    },
    InDialog(String, &'static str),
    HangUp(String),
}

#[derive(Debug)]
struct Dialog {
    call_id: String,
    local: String,
    remote: String,
    target: String,
    routes: Vec<String>,
    cseq: u32,
    acknowledged: bool,
    ended: bool,
}

/// A user agent at one address.
pub(super) struct Agent {
    address: SocketAddr,
    proxy: SocketAddr,
    layer: TransactionLayer,
    scripts: Arc<Vec<Script>>,
    agenda: BTreeMap<(Moment, u64), Intent>,
    resolved: u64,
    branches: u64,
    /// INVITEs that we sent, by client transaction.
    calling: HashMap<TransactionId, (usize, Message)>,
    /// INVITEs that we got and have not answered.
    called: HashMap<TransactionId, (Arc<Message>, Flow)>,
    /// Dialogs by Call-ID and remote tag.
    dialogs: BTreeMap<String, Dialog>,
    /// Final responses that the caller's side saw, by script.
    pub(super) finals: HashMap<usize, Vec<u16>>,
}

impl Agent {
    /// An agent that will carry out its part of the scripts.
    #[must_use]
    pub(super) fn new(
        address: SocketAddr,
        proxy: SocketAddr,
        scripts: &Arc<Vec<Script>>,
        outside: bool,
    ) -> Self {
        let mut agent = Self {
            address,
            proxy,
            layer: TransactionLayer::new(Timers::default(), TableLimits::default(), 1),
            scripts: Arc::clone(scripts),
            agenda: BTreeMap::new(),
            resolved: 0,
            branches: 0,
            calling: HashMap::new(),
            called: HashMap::new(),
            dialogs: BTreeMap::new(),
            finals: HashMap::new(),
        };
        for script in scripts
            .iter()
            .filter(|script| script.from_outside == outside)
        {
            agent.resolve(
                Moment::from_micros(0) + script.start,
                Intent::Start(script.number),
            );
        }
        agent
    }

    /// Answer by these scripts, without starting any.
    pub(super) fn know(&mut self, scripts: &Arc<Vec<Script>>) {
        self.scripts = Arc::clone(scripts);
    }

    /// Where it is.
    #[must_use]
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Nothing is going on and nothing is intended.
    #[must_use]
    pub(super) fn at_rest(&self) -> bool {
        self.layer.is_empty() && self.agenda.is_empty()
    }

    /// When it wants to be woken.
    #[must_use]
    pub(super) fn poll_timeout(&self) -> Option<Moment> {
        let intent = self.agenda.keys().next().map(|(at, _)| *at);
        [intent, self.layer.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Bytes to send.
    pub(super) fn poll_transmit(&mut self) -> Option<(SocketAddr, Bytes)> {
        self.layer
            .poll_transmit()
            .map(|transmit| (transmit.to.address, transmit.bytes))
    }

    /// A message arrived.
    pub(super) fn handle_message(&mut self, now: Moment, message: Message, from: SocketAddr) {
        let flow = Flow {
            transport: Transport::Udp,
            listener: ListenerId(0),
            local: self.address,
            peer: from,
            connection: None,
        };
        self.layer.handle_message(now, Arc::new(message), &flow);
        self.events(now);
    }

    /// Time has come.
    pub(super) fn handle_timeout(&mut self, now: Moment) {
        self.layer.handle_timeout(now);
        self.events(now);
        while let Some(entry) = self
            .agenda
            .first_entry()
            .filter(|entry| entry.key().0 <= now)
        {
            let intent = entry.remove();
            self.carry_out(now, intent);
            self.events(now);
        }
    }

    fn resolve(&mut self, at: Moment, intent: Intent) {
        self.resolved += 1;
        self.agenda.insert((at, self.resolved), intent);
    }

    fn events(&mut self, now: Moment) {
        while let Some(event) = self.layer.poll_event() {
            match event {
                Event::Request { id, message, flow } => self.request(now, id, message, flow),
                Event::Ack { message, .. } => {
                    let key = dialog_key(&message, message.from_tag());
                    if let Some(dialog) = self.dialogs.get_mut(&key) {
                        dialog.acknowledged = true;
                    }
                }
                Event::Cancel {
                    id,
                    target,
                    message,
                    ..
                } => self.cancelled(now, id, target, &message),
                Event::Response { id, message, .. } => self.response(now, id, &message),
                _ => {}
            }
        }
    }

    fn carry_out(&mut self, now: Moment, intent: Intent) {
        match intent {
            Intent::Start(script) => self.start(now, script),
            Intent::Cancel(id) => self.cancel(now, id),
            Intent::Ring(id) => self.respond(now, id, 180),
            Intent::Answer(id, script) => self.answer(now, id, script),
            Intent::GiveUp(id) => {
                self.called.remove(&id);
                self.layer.terminate(id);
            }
            Intent::InDialog(key, method) => self.in_dialog(now, &key, method),
            Intent::HangUp(key) => self.hang_up(now, &key),
            Intent::Repeat {
                dialog,
                bytes,
                to,
                interval,
                since,
            } => {
                let heard = self
                    .dialogs
                    .get(&dialog)
                    .is_none_or(|d| d.acknowledged || d.ended);
                if heard {
                    return;
                }
                if now - since >= T1 * 64 {
                    self.hang_up(now, &dialog);
                    return;
                }
                self.layer.transmit_stateless(to.clone(), bytes.clone());
                let interval = (interval * 2).min(T2);
                self.resolve(
                    now + interval,
                    Intent::Repeat {
                        dialog,
                        bytes,
                        to,
                        interval,
                        since,
                    },
                );
            }
        }
    }

    fn start(&mut self, now: Moment, number: usize) {
        let script = self.scripts[number].clone();
        let side = if script.from_outside { "pbx" } else { "trunk" };
        let message = text::Request {
            method: script.method,
            uri: &format!("sip:100{number}@{side}.example"),
            address: self.address,
            branch: &self.branch(),
            from: &format!("<sip:caller@sim.example>;tag=from{number}"),
            to: &format!("<sip:100{number}@{side}.example>"),
            call_id: &script.call_id(),
            cseq: 1,
            routes: &[],
        }
        .message();
        let Ok(id) = self.layer.request(now, message.clone(), to(self.proxy)) else {
            return;
        };
        self.calling.insert(id, (number, message));
        if script.method == "INVITE" {
            // A caller who was told 100 and nothing else hangs up some day.
            self.resolve(now + PATIENCE, Intent::GiveUp(id));
            if let Some(after) = script.cancel_after {
                self.resolve(now + after, Intent::Cancel(id));
            }
        }
    }

    fn cancel(&mut self, now: Moment, id: TransactionId) {
        // RFC 3261 section 9.1: pointless after a final response.
        let Some((number, invite)) = self.calling.get(&id) else {
            return;
        };
        if self.finals.contains_key(number) {
            return;
        }
        let cancel = sip_message::build::cancel_for(invite);
        let message = Message::parse_datagram(cancel, &sip_message::Limits::default())
            .expect("a CANCEL of ours");
        // The branch may be in use when CANCEL was sent before.
        let _refused = self.layer.request(now, message, to(self.proxy));
    }

    fn request(&mut self, now: Moment, id: TransactionId, message: Arc<Message>, flow: Flow) {
        let script = script_of(&message);
        let known = message.to_tag().is_some();
        match message.method() {
            Method::Invite if !known => {
                let Some(script) = script.and_then(|number| self.scripts.get(number)).cloned()
                else {
                    return;
                };
                self.called.insert(id, (message, flow));
                self.respond(now, id, 100);
                self.resolve(now + script.ring_after, Intent::Ring(id));
                let at = now + script.ring_after + script.answer_after;
                match script.answer {
                    Answer::Silence => self.resolve(now + PATIENCE, Intent::GiveUp(id)),
                    _ => self.resolve(at, Intent::Answer(id, script.number)),
                }
            }
            Method::Bye => {
                let key = dialog_key(&message, message.from_tag());
                let status = if self.dialogs.contains_key(&key) {
                    200
                } else {
                    481
                };
                if let Some(dialog) = self.dialogs.get_mut(&key) {
                    dialog.ended = true;
                }
                self.called.insert(id, (message, flow));
                self.respond(now, id, status);
            }
            method => {
                let refused = script
                    .and_then(|number| self.scripts.get(number))
                    .map(|script| script.answer);
                let status = match refused {
                    Some(Answer::Refuse(status)) if !known => status,
                    Some(Answer::Silence) if !known => {
                        self.resolve(now + PATIENCE, Intent::GiveUp(id));
                        return;
                    }
                    _ => 200,
                };
                let reinvite = method == Method::Invite;
                self.called.insert(id, (message, flow));
                if reinvite {
                    self.accept(now, id, None);
                } else {
                    self.respond(now, id, status);
                }
            }
        }
    }

    fn respond(&mut self, now: Moment, id: TransactionId, status: u16) {
        let Some((message, _)) = self.called.get(&id) else {
            return;
        };
        let bytes = text::response(message, status, &self.tag(), self.address);
        let gone = self.layer.respond(now, id, status, bytes).is_err();
        if status >= 200 || gone {
            self.called.remove(&id);
        }
    }

    fn answer(&mut self, now: Moment, id: TransactionId, number: usize) {
        match self.scripts[number].answer {
            Answer::Accept => self.accept(now, id, Some(number)),
            Answer::Refuse(status) => self.respond(now, id, status),
            Answer::Silence => {}
        }
    }

    /// 200 to an INVITE, repeated until its ACK; `number` for the first one.
    fn accept(&mut self, now: Moment, id: TransactionId, number: Option<usize>) {
        let Some((message, flow)) = self.called.remove(&id) else {
            return;
        };
        let bytes = text::response(&message, 200, &self.tag(), self.address);
        if self.layer.respond(now, id, 200, bytes.clone()).is_err() {
            return;
        }
        let key = dialog_key(&message, message.from_tag());
        let local = text_of(&message, HeaderKind::To);
        let local = if local.contains(";tag=") {
            local
        } else {
            format!("{local};tag={}", self.tag())
        };
        let dialog = Dialog {
            call_id: String::from_utf8_lossy(message.call_id()).into_owned(),
            local,
            remote: text_of(&message, HeaderKind::From),
            target: contact_of(&message),
            routes: message
                .values(HeaderKind::RecordRoute)
                .map(|value| lossy(&value))
                .collect(),
            cseq: 1000,
            acknowledged: false,
            ended: false,
        };
        match (number, self.dialogs.get_mut(&key)) {
            (None, Some(known)) => known.acknowledged = false,
            _ => {
                self.dialogs.insert(key.clone(), dialog);
            }
        }
        let repeat = Intent::Repeat {
            dialog: key.clone(),
            bytes,
            to: flow.reply(),
            interval: T1,
            since: now,
        };
        self.resolve(now + T1, repeat);
        if let Some(script) = number.and_then(|number| self.scripts.get(number)).cloned() {
            if script.hang_up != HangUp::Caller {
                self.resolve(now + script.talk, Intent::HangUp(key));
            }
        }
    }

    fn cancelled(
        &mut self,
        now: Moment,
        id: TransactionId,
        target: Option<TransactionId>,
        message: &Message,
    ) {
        let status = if target.is_some() { 200 } else { 481 };
        let bytes = text::response(message, status, &self.tag(), self.address);
        let _gone = self.layer.respond(now, id, status, bytes);
        if let Some(target) = target {
            self.respond(now, target, 487);
        }
    }

    fn response(&mut self, now: Moment, id: TransactionId, message: &Message) {
        let status = message.status().unwrap_or_default();
        let Some((number, _)) = self.calling.get(&id) else {
            return;
        };
        let number = *number;
        if status < 200 || message.method() == Method::Cancel {
            return;
        }
        let first = message.cseq().number == 1;
        if first {
            self.finals.entry(number).or_default().push(status);
        }
        if message.method() != Method::Invite || status >= 300 {
            return;
        }
        let key = dialog_key(message, message.to_tag());
        let fresh = first && !self.dialogs.contains_key(&key);
        if fresh {
            let mut routes: Vec<String> = message
                .values(HeaderKind::RecordRoute)
                .map(|value| lossy(&value))
                .collect();
            routes.reverse();
            let dialog = Dialog {
                call_id: lossy(message.call_id()),
                local: text_of(message, HeaderKind::From),
                remote: text_of(message, HeaderKind::To),
                target: contact_of(message),
                routes,
                cseq: 1,
                acknowledged: true,
                ended: false,
            };
            self.dialogs.insert(key.clone(), dialog);
        }
        self.send(now, &key, "ACK", Some(message.cseq().number));
        if !fresh {
            return;
        }
        let script = self.scripts[number].clone();
        if let Some((after, method)) = script.in_dialog_after {
            self.resolve(now + after, Intent::InDialog(key.clone(), method));
        }
        if script.hang_up != HangUp::Callee {
            self.resolve(now + script.talk, Intent::HangUp(key));
        }
    }

    fn in_dialog(&mut self, now: Moment, key: &str, method: &'static str) {
        self.send(now, key, method, None);
    }

    fn hang_up(&mut self, now: Moment, key: &str) {
        self.send(now, key, "BYE", None);
        if let Some(dialog) = self.dialogs.get_mut(key) {
            dialog.ended = true;
        }
    }

    /// A request within a dialog; `cseq` for the ACK of that INVITE.
    fn send(&mut self, now: Moment, key: &str, method: &'static str, cseq: Option<u32>) {
        let branch = self.branch();
        let Some(dialog) = self.dialogs.get_mut(key) else {
            return;
        };
        if dialog.ended && cseq.is_none() {
            return;
        }
        if cseq.is_none() {
            dialog.cseq += 1;
        }
        let request = text::Request {
            method,
            uri: &dialog.target,
            address: self.address,
            branch: &branch,
            from: &dialog.local,
            to: &dialog.remote,
            call_id: &dialog.call_id,
            cseq: cseq.unwrap_or(dialog.cseq),
            routes: &dialog.routes,
        };
        let hop = next_hop(&dialog.routes).unwrap_or(self.proxy);
        let message = request.message();
        if method == "ACK" {
            self.layer
                .transmit_stateless(to(hop), message.bytes().clone());
        } else if let Ok(id) = self.layer.request(now, message.clone(), to(hop)) {
            let number = script_of(&message).unwrap_or_default();
            self.calling.insert(id, (number, message));
            self.resolve(now + PATIENCE, Intent::GiveUp(id));
        }
    }

    fn branch(&mut self) -> String {
        self.branches += 1;
        format!(
            "{}-{}-{}",
            self.address.ip(),
            self.address.port(),
            self.branches
        )
    }

    fn tag(&self) -> String {
        format!("at{}x{}", self.address.port(), self.address.ip()).replace(['.', ':'], "-")
    }
}

fn to(address: SocketAddr) -> Destination {
    Destination {
        transport: Transport::Udp,
        address,
        connection: None,
        listener: None,
        server_name: None,
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn text_of(message: &Message, kind: HeaderKind) -> String {
    message
        .header(kind)
        .map(|value| lossy(&value))
        .unwrap_or_default()
}

fn contact_of(message: &Message) -> String {
    let value = text_of(message, HeaderKind::Contact);
    NameAddr::parse(value.as_bytes())
        .map(|contact| lossy(contact.uri.raw))
        .unwrap_or_default()
}

fn next_hop(routes: &[String]) -> Option<SocketAddr> {
    let first = NameAddr::parse(routes.first()?.as_bytes()).ok()?;
    let uri: Uri<'_> = first.uri;
    format!("{}:{}", uri.host, uri.port.unwrap_or(5060))
        .parse()
        .ok()
}

fn dialog_key(message: &Message, remote_tag: Option<&[u8]>) -> String {
    format!(
        "{}|{}",
        lossy(message.call_id()),
        lossy(remote_tag.unwrap_or_default())
    )
}

fn script_of(message: &Message) -> Option<usize> {
    let call_id = lossy(message.call_id());
    call_id
        .strip_prefix("script-")?
        .strip_suffix("@sim.example")?
        .parse()
        .ok()
}
