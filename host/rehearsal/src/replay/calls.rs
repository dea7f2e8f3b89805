//! Admitted calls, from their INVITE to their end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use policy::{
    CallConclusion, CallFacts, CallHappening, CallPass, DialogState, Permit, ResponseFacts,
    TickWish,
};
use sip_message::Method;
use sip_proxy::EndReason;

use super::Replay;
use super::decided::CallTold;
use super::timers::Due;
use crate::capture::Captured;
use crate::circumstances::Circumstances;

/// A call that the policy admitted.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) pass: CallPass,
    facts: CallFacts,
    from_tag: Box<[u8]>,
    cseq: u32,
    early: bool,
    started_ms: u64,
    pub(super) answered_ms: Option<u64>,
    /// Seconds after the answer.
    limit: Option<u32>,
    ticks: Vec<TickWish>,
    /// Its place among the decisions.
    pub(super) decided: usize,
}

impl Call {
    pub(super) fn new(
        captured: &Captured,
        caller: Option<Arc<str>>,
        permit: &Permit,
        now_ms: u64,
        decided: usize,
    ) -> Self {
        let message = &captured.message;
        let pass = permit.call_pass();
        let facts = CallFacts {
            number: decided as u64 + 1,
            pass: pass.clone(),
            call_id: Bytes::copy_from_slice(message.call_id()),
            request_uri: Bytes::copy_from_slice(message.request_uri().raw),
            from: Bytes::copy_from_slice(message.from().uri.raw),
            source: captured.source.ip().to_canonical(),
            caller,
            callee: None,
            started_ms: now_ms,
            answered_ms: None,
        };
        Self {
            pass,
            facts,
            from_tag: message.from_tag().unwrap_or_default().into(),
            cseq: message.cseq().number,
            early: false,
            started_ms: now_ms,
            answered_ms: None,
            limit: permit.limit_duration(),
            ticks: permit.account().ticks.clone(),
            decided,
        }
    }

    pub(super) const fn dialog(&self) -> DialogState {
        match (self.answered_ms, self.early) {
            (Some(_), _) => DialogState::Confirmed,
            (None, true) => DialogState::Early,
            (None, false) => DialogState::None,
        }
    }

    /// Milliseconds from the answer to a time.
    pub(super) fn talked_ms(&self, now_ms: u64) -> u64 {
        self.answered_ms
            .map_or(0, |answered_ms| now_ms.saturating_sub(answered_ms))
    }
}

impl Replay {
    pub(super) fn start(&mut self, call_id: &[u8], call: Call) {
        let age = self.standpoint.routing.limits.call_age;
        let number = call.facts.number;
        self.timers
            .set(after(call.started_ms, age), call_id, number, Due::Age);
        let follows = self.rehearsal.generation().follows_calls(&call.pass);
        self.calls.insert(call_id.into(), call);
        if follows {
            self.follow(call_id, &CallHappening::Started, None);
        }
    }

    pub(super) fn response(&mut self, captured: &Captured) {
        let message = &captured.message;
        let call_id = message.call_id();
        if !self.calls.contains_key(call_id) || !self.is_new(b"response", message) {
            return;
        }
        self.judge_response(captured);
        let status = message.status().unwrap_or(0);
        let now_ms = self.last_ms;
        let Some(call) = self.calls.get_mut(call_id) else {
            return;
        };
        let begins = message.method() == Method::Invite
            && message.cseq().number == call.cseq
            && message.from_tag() == Some(&*call.from_tag);
        if !begins || call.answered_ms.is_some() {
            return;
        }
        match status {
            100 => {}
            101..200 => call.early |= message.to_tag().is_some(),
            200..300 => {
                call.answered_ms = Some(now_ms);
                call.facts.answered_ms = Some(now_ms);
                let how = Circumstances::new(captured.source, captured.transport);
                call.facts.callee = self.standpoint.peer(&how).name;
                self.answer(call_id);
            }
            _ => self.end(call_id, EndReason::Refused { status }),
        }
    }

    fn judge_response(&mut self, captured: &Captured) {
        let Some(call) = self.calls.get(captured.message.call_id()) else {
            return;
        };
        if !self.rehearsal.generation().judges_responses(&call.pass) {
            return;
        }
        let how = Circumstances::new(captured.source, captured.transport);
        let facts = ResponseFacts {
            message: Arc::clone(&captured.message),
            peer: self.standpoint.peer(&how),
            identity: call.pass.account().identity.clone(),
            caller: call.facts.caller.clone(),
        };
        let pass = call.pass.clone();
        if let Some(conclusion) = self.rehearsal.judge_response(&pass, facts) {
            self.figures.responses_judged += 1;
            self.figures.responses_replaced += u64::from(conclusion.replacement.is_some());
            self.figures.alerts += conclusion.alerts.len() as u64;
        }
    }

    fn answer(&mut self, call_id: &[u8]) {
        let Some(call) = self.calls.get_mut(call_id) else {
            return;
        };
        let ticks = std::mem::take(&mut call.ticks);
        let (number, limit) = (call.facts.number, call.limit);
        for wish in ticks {
            self.set_tick(call_id, number, wish);
        }
        if let Some(seconds) = limit {
            let limit = after(self.last_ms, Duration::from_secs(seconds.into()));
            self.timers.set(limit, call_id, number, Due::Limit);
        }
        self.follow(call_id, &CallHappening::Answered, None);
    }

    fn set_tick(&mut self, call_id: &[u8], number: u64, wish: TickWish) {
        let since = self.calls.get(call_id).and_then(|call| call.answered_ms);
        let at_ms = after(
            since.unwrap_or(self.last_ms),
            Duration::from_secs(wish.seconds.into()),
        );
        let due = Due::Tick(wish.plugin, wish.seconds);
        self.timers
            .set(at_ms.max(self.last_ms), call_id, number, due);
    }

    /// Everything that was due by a time, each at its own.
    pub(super) fn run_timers(&mut self, by_ms: u64) {
        while let Some((at_ms, call_id, number, due)) = self.timers.next(by_ms) {
            let call = self.calls.get(&call_id);
            if call.is_none_or(|call| call.facts.number != number) {
                continue;
            }
            self.clock.advance_to(at_ms);
            let now_ms = std::mem::replace(&mut self.last_ms, at_ms);
            match due {
                Due::Tick(plugin, seconds) => {
                    self.follow(&call_id, &CallHappening::Tick(seconds), Some(&plugin));
                }
                Due::Limit => self.end(&call_id, EndReason::DurationLimit),
                Due::Age => self.end(&call_id, EndReason::AgeLimit),
            }
            self.last_ms = now_ms;
        }
    }

    /// Tells those plugins that follow the call, and does what they want.
    fn follow(&mut self, call_id: &[u8], happening: &CallHappening, only: Option<&Arc<str>>) {
        let Some(call) = self.calls.get(call_id) else {
            return;
        };
        let facts = call.facts.clone();
        let Some(conclusion) = self.rehearsal.follow(&facts, happening, only) else {
            return;
        };
        self.heed(call_id, facts.number, conclusion);
    }

    fn heed(&mut self, call_id: &[u8], number: u64, conclusion: CallConclusion) {
        self.figures.alerts += conclusion.alerts.len() as u64;
        let answered_ms = self.calls.get(call_id).and_then(|call| call.answered_ms);
        for wish in conclusion.ticks {
            match answered_ms {
                Some(_) => self.set_tick(call_id, number, wish),
                None => {
                    if let Some(call) = self.calls.get_mut(call_id) {
                        call.ticks.push(wish);
                    }
                }
            }
        }
        if let Some(seconds) = conclusion.limit_duration
            && let Some(call) = self.calls.get_mut(call_id)
        {
            call.limit = Some(call.limit.map_or(seconds, |limit| limit.min(seconds)));
            if let Some(answered_ms) = answered_ms {
                let limit = after(answered_ms, Duration::from_secs(seconds.into()));
                self.timers
                    .set(limit.max(self.last_ms), call_id, number, Due::Limit);
            }
        }
        if conclusion.end.is_some() {
            self.end(call_id, EndReason::Policy);
        }
    }

    /// The call is over, if there is one.
    pub(super) fn end(&mut self, call_id: &[u8], reason: EndReason) {
        let Some(call) = self.calls.remove(call_id) else {
            return;
        };
        let talked_ms = call.talked_ms(self.last_ms);
        let happening = CallHappening::Ended {
            cause: reason.name(),
            status: match reason {
                EndReason::Refused { status } => status,
                _ => 0,
            },
            lasted_ms: talked_ms,
            caller_media: None,
            callee_media: None,
        };
        // It holds what it held until those who follow it know of its end.
        let told = self.rehearsal.follow(&call.facts, &happening, None);
        self.figures.alerts += told.map_or(0, |told| told.alerts.len() as u64);
        call.pass.release();
        self.tell(call.decided, CallTold::ended(&call, talked_ms, reason));
    }
}

fn after(at_ms: u64, time: Duration) -> u64 {
    at_ms.saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}
