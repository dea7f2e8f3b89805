//! A capture against a policy: what it would have decided, and what came of it.
//!
//! Each request is judged once, when it is seen for the first time: retransmissions and
//! the copies that a proxy sent on are the same request. Calls go on as the capture has
//! them: an admitted one is answered when it was answered and ends when its BYE was sent,
//! unless the policy ends it before; what it held is given back then. A call that the
//! policy refuses has no later requests, whatever the capture holds of them.
//!
//! The clock is that of the capture and never goes back. State begins as it is given.

mod calls;
mod decided;
mod difference;
mod finals;
mod timers;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use policy::{Conclusion, Decision, DialogState, Permit};
use policy_wasm::Numbers;
use records::conceal::conceal;
use sip_message::{Message, Method};

use crate::capture::Captured;
use crate::circumstances::{Circumstances, Standpoint};
use crate::clock::VirtualClock;
use crate::run::Rehearsal;

use calls::Call;
use timers::Timers;

pub use decided::{CallTold, Decided, ReplayFigures};
pub use difference::{Cost, Difference, Differing, Row, compare};
pub use finals::{CapturedCredentials, Finals};

/// Requests and responses that are told from their repetitions. Eight million: a busy
/// weekend, in some 200 MB.
const SEEN: usize = 8_000_000;

/// Requests that are judged. A million: their decisions are kept, for the report, in some
/// 500 MB.
const DECISIONS: usize = 1_000_000;

/// Calls that are under way at once.
const CALLS: usize = 200_000;

/// Bytes of a peer's text in a decision.
const TEXT_BYTES: usize = 256;

/// Where numbers lie, for the report.
#[derive(Clone)]
pub struct Destinations {
    /// Numbering plans.
    pub numbers: Arc<dyn Numbers>,
    /// The country in which numbers are dialled: ISO 3166-1 alpha-2. Without one, only
    /// international numbers have a country.
    pub region: String,
}

impl std::fmt::Debug for Destinations {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Destinations")
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

impl Destinations {
    /// The country of the number that a request is for; `other` if it is for no number.
    fn of(&self, request: &Message) -> String {
        let uri = request.request_uri();
        let dialled = uri.number().or(uri.user).unwrap_or_default();
        let Ok(dialled) = std::str::from_utf8(dialled) else {
            return "other".to_owned();
        };
        match self.numbers.parse(dialled, &self.region) {
            Ok(number) => number.region.to_string(),
            Err(_) => "other".to_owned(),
        }
    }
}

/// A policy on its way through a capture.
#[derive(Debug)]
pub struct Replay {
    standpoint: Standpoint,
    rehearsal: Rehearsal,
    clock: Arc<VirtualClock>,
    destinations: Destinations,
    seen: HashSet<[u8; 16]>,
    /// Calls whose last INVITE was not admitted.
    refused: HashSet<[u8; 16]>,
    calls: BTreeMap<Box<[u8]>, Call>,
    timers: Timers,
    decided: Vec<Decided>,
    figures: ReplayFigures,
    /// Messages heard so far.
    heard: u64,
    last_ms: u64,
}

impl Replay {
    /// Begins. The rehearsal's services must have this clock.
    pub fn new(
        standpoint: Standpoint,
        rehearsal: Rehearsal,
        clock: Arc<VirtualClock>,
        destinations: Destinations,
    ) -> Self {
        Self {
            standpoint,
            rehearsal,
            clock,
            destinations,
            seen: HashSet::new(),
            refused: HashSet::new(),
            calls: BTreeMap::new(),
            timers: Timers::default(),
            decided: Vec::new(),
            figures: ReplayFigures::default(),
            heard: 0,
            last_ms: 0,
        }
    }

    /// Takes the next message.
    pub fn hear(&mut self, captured: &Captured) {
        self.heard += 1;
        let at_ms = captured.at_us / 1_000;
        self.last_ms = self.last_ms.max(at_ms);
        self.run_timers(self.last_ms);
        self.clock.advance_to(self.last_ms);
        if captured.message.is_request() {
            self.request(captured);
        } else {
            self.response(captured);
        }
    }

    /// The capture is over: all decisions, in its order.
    #[must_use]
    pub fn finish(mut self) -> (Vec<Decided>, ReplayFigures) {
        for (_, call) in std::mem::take(&mut self.calls) {
            let talked_ms = call.talked_ms(self.last_ms);
            self.tell(call.decided, CallTold::open(&call, talked_ms));
            call.pass.release();
        }
        (self.decided, self.figures)
    }

    fn tell(&mut self, decided: usize, told: CallTold) {
        if let Some(decided) = self.decided.get_mut(decided) {
            decided.call = Some(told);
        }
    }

    /// Whether it is there for the first time.
    fn is_new(&mut self, kind: &[u8], message: &Message) -> bool {
        if self.seen.len() >= SEEN {
            self.figures.left_out += 1;
            return false;
        }
        let status = message.status().unwrap_or(0).to_be_bytes();
        let tag = match message.is_request() {
            true => message.from_tag(),
            false => message.to_tag(),
        };
        let cseq = message.cseq();
        let new = self.seen.insert(fingerprint(&[
            kind,
            message.call_id(),
            tag.unwrap_or_default(),
            &cseq.number.to_be_bytes(),
            cseq.method_name,
            &status,
        ]));
        self.figures.repeated += u64::from(!new);
        new
    }

    fn request(&mut self, captured: &Captured) {
        let message = &captured.message;
        // ACK and CANCEL always pass; the response says what came of the latter.
        if matches!(message.method(), Method::Ack | Method::Cancel) {
            return;
        }
        if !self.is_new(b"request", message) {
            return;
        }
        let within = message.to_tag().is_some();
        let call = self.calls.get(message.call_id()).filter(|_| within);
        let dialog = call.map_or(DialogState::None, Call::dialog);
        let refused = self.refused.contains(&fingerprint(&[message.call_id()]));
        match message.method() {
            Method::Bye | Method::Prack => {
                if call.is_none() {
                    self.figures.of_no_call += 1;
                } else if message.method() == Method::Bye {
                    self.end(message.call_id(), sip_proxy::EndReason::Bye);
                }
            }
            _ if within && call.is_none() && refused => self.figures.of_no_call += 1,
            _ if self.decided.len() >= DECISIONS => self.figures.left_out += 1,
            _ => self.judge(captured, dialog, within),
        }
    }

    fn judge(&mut self, captured: &Captured, dialog: DialogState, within: bool) {
        let message = &captured.message;
        let mut how = Circumstances::new(captured.source, captured.transport);
        how.destination = Some(captured.destination);
        how.dialog = dialog;
        let facts = self.standpoint.facts(message, &how);
        let peer = facts.peer.clone();
        let begins_call = message.method() == Method::Invite && !within;
        if begins_call {
            // The next attempt, after a challenge; the first is over by now, unless the
            // capture does not show how it ended.
            self.end(message.call_id(), sip_proxy::EndReason::CallerGone);
        }
        let judged = self.rehearsal.judge(facts);
        let conclusion = judged.conclusion;
        let decided = self.describe(captured, &peer, dialog, begins_call, &conclusion);
        self.figures.count(&decided, conclusion.alerts.len());
        self.decided.push(decided);
        if begins_call {
            self.settle(captured, peer.name, conclusion);
        }
    }

    /// A call begins, or it does not.
    fn settle(&mut self, captured: &Captured, caller: Option<Arc<str>>, conclusion: Conclusion) {
        let mark = fingerprint(&[captured.message.call_id()]);
        match conclusion.decision {
            Decision::Admit(permit) => {
                self.refused.remove(&mark);
                self.begin(captured, caller, &permit);
            }
            _ if self.refused.len() < SEEN => {
                self.refused.insert(mark);
            }
            _ => self.figures.left_out += 1,
        }
    }

    fn begin(&mut self, captured: &Captured, caller: Option<Arc<str>>, permit: &Permit) {
        if self.calls.len() >= CALLS {
            self.figures.left_out += 1;
            return;
        }
        let decided = self.decided.len().saturating_sub(1);
        let call = Call::new(captured, caller, permit, self.last_ms, decided);
        self.start(captured.message.call_id(), call);
    }

    fn describe(
        &self,
        captured: &Captured,
        peer: &policy::Peer,
        dialog: DialogState,
        begins_call: bool,
        conclusion: &Conclusion,
    ) -> Decided {
        let message = &captured.message;
        let secrets = &conclusion.account.secrets;
        let text = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            let mut text = conceal(&text, secrets).into_owned();
            text.truncate(text.floor_char_boundary(TEXT_BYTES));
            text
        };
        let decision = &conclusion.decision;
        Decided {
            message: self.heard,
            at_ms: self.last_ms,
            call_id: text(message.call_id()),
            cseq: message.cseq().number,
            method: text(message.method_name()),
            source: captured.source.to_string(),
            transport: captured.transport.name(),
            peer: peer.name.as_deref().map(str::to_owned),
            zone: peer.zone.name(),
            from: text(message.from().uri.raw),
            request_uri: text(message.request_uri().raw),
            destination: self.destinations.of(message),
            dialog: match dialog {
                DialogState::None => "none",
                DialogState::Early => "early",
                DialogState::Confirmed => "confirmed",
            },
            begins_call,
            pipeline: conclusion.pipeline.to_string(),
            verdict: decision.name(),
            status: decision.sent_status(),
            plugin: decision.plugin().map(|plugin| plugin.to_string()),
            reason: text(decision.reason().as_bytes()),
            identity: conclusion
                .account
                .identity
                .as_deref()
                .map(|identity| text(identity.as_bytes())),
            score: conclusion.score,
            call: None,
        }
    }
}

/// Names parts of a message, for a table.
fn fingerprint(parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let mut short = [0; 16];
    hasher.finalize_xof().fill(&mut short);
    short
}
