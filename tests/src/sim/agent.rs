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

use super::script::{Answer, CALLER, HangUp, Offer, Reply, Script};
use super::{sound, text};

mod callee;
mod caller;

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
    InDialog(String, &'static str, Offer),
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
    /// A 2xx has made it.
    confirmed: bool,
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
            Intent::Ring(id) => self.ring(now, id),
            Intent::Answer(id, script) => self.answer(now, id, script),
            Intent::GiveUp(id) => {
                self.called.remove(&id);
                self.layer.terminate(id);
            }
            Intent::InDialog(key, method, offer) => self.in_dialog(now, &key, method, offer),
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

/// The description in a message, if it has one.
fn body_of(message: &Message) -> String {
    lossy(message.body())
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn text_of(message: &Message, kind: HeaderKind) -> String {
    message.header(kind).map(lossy).unwrap_or_default()
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
    number_of(&lossy(message.call_id()))
}

fn number_of(call_id: &str) -> Option<usize> {
    call_id
        .strip_prefix("script-")?
        .strip_suffix("@sim.example")?
        .parse()
        .ok()
}
