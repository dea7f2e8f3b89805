//! The rules of a simulated world, checked while it turns.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use sip_message::{Limits, Message, Method};
use sip_proxy::CallEvent;

use super::judge::{MARK, SHOWN_CALLEE, SHOWN_CALLER};
use super::script::{CALLER, Script};
use super::sound;

/// What is checked while the world turns.
#[derive(Default)]
pub(super) struct Watch {
    pub(super) violations: Vec<String>,
    /// Call-IDs that a pipeline admitted.
    pub(super) admitted: BTreeSet<Vec<u8>>,
    /// Call-IDs of which a request passed that named a dialog that the proxy had forgotten.
    pub(super) forgotten: BTreeSet<Vec<u8>>,
    /// Finals sent upstream for each INVITE transaction.
    pub(super) finals: HashMap<Vec<u8>, u16>,
    /// Calls that have started and not ended.
    pub(super) live: BTreeSet<u64>,
    /// Records of media sessions.
    pub(super) records: u64,
    pub(super) started: u64,
    pub(super) answered: u64,
    pub(super) ended: u64,
    /// Number of the question about the response that left last, by transaction.
    judged: HashMap<Vec<u8>, u64>,
    scripts: Arc<Vec<Script>>,
    pub(super) datagrams: u64,
    pub(super) trace: u64,
    /// Responses that left with a policy's mark.
    pub(super) marks: u64,
}

impl Watch {
    /// Rules for worlds with these scripts.
    pub(super) fn of(scripts: &Arc<Vec<Script>>) -> Self {
        Self {
            scripts: Arc::clone(scripts),
            ..Self::default()
        }
    }

    /// Rules for what leaves the proxy.
    pub(super) fn proxy_sent(&mut self, bytes: &Bytes, from: SocketAddr, outside: bool) {
        self.datagrams += 1;
        let Ok(message) = Message::parse_datagram(bytes.clone(), &Limits::default()) else {
            self.violations
                .push(format!("the proxy sent what it would refuse: {bytes:?}"));
            return;
        };
        self.description(&message, from);
        self.parties(&message, outside);
        if message.is_request() {
            if !self.admitted.contains(message.call_id()) {
                let line = String::from_utf8_lossy(bytes)
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .to_owned();
                self.violations
                    .push(format!("forwarded without a permit: {line}"));
            }
            return;
        }
        self.order(&message);
        let status = message.status().unwrap_or_default();
        if message.method() != Method::Invite {
            return;
        }
        let key = [
            message.call_id(),
            b"|",
            message.top_via().branch.unwrap_or_default(),
        ]
        .concat();
        match self.finals.get(&key).copied() {
            None if status >= 200 => {
                self.finals.insert(key, status);
            }
            Some(before) if status < 200 => {
                self.violations
                    .push(format!("{status} left after {before}"));
            }
            Some(before) if before != status => {
                self.violations
                    .push(format!("a second final response: {status} after {before}"));
            }
            _ => {}
        }
    }

    /// Each side sees the addresses that it knows, in requests and responses alike.
    fn parties(&mut self, message: &Message, outside: bool) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if self.forgotten.contains(message.call_id()) {
            return;
        }
        let call_id = text(message.call_id());
        let Some(script) = self
            .scripts
            .iter()
            .find(|script| script.call_id() == call_id)
        else {
            return;
        };
        let (from, to) = (text(message.from().uri.raw), text(message.to().uri.raw));
        let by_caller = message.from_tag() == Some(script.caller_tag().as_bytes());
        let (caller, callee) = if by_caller { (from, to) } else { (to, from) };
        let to_caller = outside == script.from_outside;
        let (known_caller, known_callee) = if script.disguised && !to_caller {
            (SHOWN_CALLER.to_owned(), SHOWN_CALLEE.to_owned())
        } else {
            (CALLER.to_owned(), script.callee())
        };
        if caller != known_caller || callee != known_callee {
            let line = text(message.bytes());
            self.violations.push(format!(
                "the other party's addresses, outside: {outside}: {line}"
            ));
        }
    }

    /// Responses of one transaction leave in the order in which they came.
    fn order(&mut self, message: &Message) {
        let Some(number) = message.header_named(MARK.as_bytes()) else {
            return;
        };
        let number: u64 = String::from_utf8_lossy(number).parse().unwrap_or_default();
        let branch = message.top_via().branch.unwrap_or_default();
        let key = [message.call_id(), b"|", message.method_name(), b"|", branch].concat();
        self.marks += 1;
        let last = self.judged.insert(key, number).unwrap_or_default();
        // The same callee's 2xx may come again after another one's.
        if number < last && message.status().is_none_or(|status| status / 100 != 2) {
            self.violations
                .push(format!("response {number} left after {last}"));
        }
    }

    pub(super) fn call(&mut self, event: &CallEvent) {
        match event {
            CallEvent::Started { call, .. } => {
                self.started += 1;
                self.live.insert(call.as_u64());
            }
            CallEvent::Answered { .. } => self.answered += 1,
            CallEvent::Tick { .. } => {}
            CallEvent::Ended { call, .. } => {
                self.ended += 1;
                self.live.remove(&call.as_u64());
            }
        }
    }

    /// The call of this number has started, and so was admitted, and has not ended.
    pub(super) fn lives(&self, call: u64) -> bool {
        self.live.contains(&call)
    }

    /// Whatever a description names is ours.
    fn description(&mut self, message: &Message, ours: SocketAddr) {
        let text = String::from_utf8_lossy(message.body());
        let foreign = sound::addresses(&text)
            .find(|address| *address != ours.ip() && !address.is_unspecified());
        if let Some(foreign) = foreign {
            self.violations
                .push(format!("{foreign} is named by what leaves {ours}: {text}"));
        }
    }
}
