//! The rules of a simulated world, checked while it turns.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;

use bytes::Bytes;
use sip_message::{Limits, Message, Method};
use sip_proxy::CallEvent;

use super::sound;

/// What is checked while the world turns.
#[derive(Default)]
pub(super) struct Watch {
    pub(super) violations: Vec<String>,
    /// Call-IDs that a pipeline admitted.
    pub(super) admitted: BTreeSet<Vec<u8>>,
    /// Finals sent upstream for each INVITE transaction.
    pub(super) finals: HashMap<Vec<u8>, u16>,
    /// Calls that have started and not ended.
    pub(super) live: BTreeSet<u64>,
    /// Records of media sessions.
    pub(super) records: u64,
    pub(super) started: u64,
    pub(super) answered: u64,
    pub(super) ended: u64,
    pub(super) datagrams: u64,
    pub(super) trace: u64,
}

impl Watch {
    /// Rules for what leaves the proxy.
    pub(super) fn proxy_sent(&mut self, bytes: &Bytes, from: SocketAddr) {
        self.datagrams += 1;
        let Ok(message) = Message::parse_datagram(bytes.clone(), &Limits::default()) else {
            self.violations
                .push(format!("the proxy sent what it would refuse: {bytes:?}"));
            return;
        };
        self.description(&message, from);
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
