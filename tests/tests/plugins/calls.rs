//! Calls of a scene: begun, answered, ended, and what the policies that follow them
//! want in between. What the proxy core does with timers is done here by hand.

use std::sync::Arc;
use std::time::Duration;

use policy::{
    CallConclusion, CallFacts, CallHappening, Conclusion, Decision, ResponseFacts, TickWish,
};
use sipward_tests::guests::{Caller, message};

use crate::asking::Ask;
use crate::scene::{Scene, permit};

/// A call by its place in the scene.
pub(crate) type CallNumber = usize;

/// An admitted call.
pub(crate) struct OpenCall {
    pub(crate) facts: CallFacts,
    ticks: Vec<TickWish>,
    limit_s: Option<u32>,
    /// How it ended, by its name in records.
    end: Option<&'static str>,
}

/// What is due at a moment.
enum Due {
    Tick(TickWish),
    Limit,
}

impl Scene {
    /// Judges an INVITE, and begins the call if it is admitted.
    pub(crate) fn begin(&mut self, ask: &Ask) -> (Conclusion, Option<CallNumber>) {
        let conclusion = self.judge(ask);
        let Decision::Admit(permit) = &conclusion.decision else {
            return (conclusion, None);
        };
        let request = ask.facts();
        self.begun += 1;
        let facts = CallFacts {
            number: self.begun,
            pass: permit.call_pass(),
            call_id: "call@caller.example".into(),
            request_uri: ask.uri.clone().into(),
            from: request.message.from().uri.raw.to_vec().into(),
            source: request.peer.address,
            caller: request.peer.name,
            callee: None,
            started_ms: self.now_ms(),
            answered_ms: None,
        };
        self.calls.push(OpenCall {
            facts,
            ticks: permit.account().ticks.clone(),
            limit_s: permit.limit_duration(),
            end: None,
        });
        let call = self.calls.len() - 1;
        let _heard = self.tell(call, &CallHappening::Started, None);
        (conclusion, Some(call))
    }

    /// Begins a call that has to be admitted.
    #[track_caller]
    pub(crate) fn begun(&mut self, ask: &Ask) -> CallNumber {
        let (conclusion, call) = self.begin(ask);
        call.unwrap_or_else(|| panic!("{:?}", conclusion.decision))
    }

    /// It is answered by a peer.
    pub(crate) fn answer(&mut self, call: CallNumber, callee: Option<&str>) -> CallConclusion {
        let now_ms = self.now_ms();
        let facts = &mut self.calls[call].facts;
        facts.callee = callee.map(Into::into);
        facts.answered_ms = Some(now_ms);
        self.tell(call, &CallHappening::Answered, None)
    }

    /// A response to an admitted INVITE, shown to the policies: 0 if it goes on as it is,
    /// the status of what takes its place otherwise; and what was said of it.
    pub(crate) fn respond(
        &mut self,
        admitted: &Conclusion,
        status: u16,
        headers: &str,
    ) -> (u16, String) {
        let pass = permit(admitted).call_pass();
        let text = format!(
            "SIP/2.0 {status} Whatever\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\n\
             From: <sip:alice@caller.example>;tag=1\r\nTo: <sip:bob@pbx.example>;tag=2\r\n\
             Call-ID: call@caller.example\r\nCSeq: 1 INVITE\r\n{headers}Content-Length: 0\r\n\r\n"
        );
        let facts = ResponseFacts {
            message: Arc::new(message(text)),
            peer: Caller::at("81.0.0.200").peer,
            identity: pass.account().identity.clone(),
            caller: None,
        };
        let live = self.live();
        let generation = Arc::clone(&live.worker.generation);
        let judged = live
            .worker
            .executor
            .judge_response(&generation, &pass, facts);
        let judged = judged.expect("it looks at responses");
        for report in &judged.trace {
            assert_eq!(report.failure, None, "{} failed", report.plugin);
        }
        let said = judged.trace.last().map(|report| report.reason.clone());
        let status = judged.replacement.map_or(0, |refusal| refusal.status);
        (status, said.unwrap_or_default())
    }

    /// It ends with a BYE, a CANCEL or whatever cause.
    pub(crate) fn end(&mut self, call: CallNumber, cause: &'static str) -> CallConclusion {
        self.end_as(call, cause, 0)
    }

    /// It is refused with this status.
    pub(crate) fn refused(&mut self, call: CallNumber, status: u16) -> CallConclusion {
        self.end_as(call, "refused", status)
    }

    fn end_as(&mut self, call: CallNumber, cause: &'static str, status: u16) -> CallConclusion {
        let answered_ms = self.calls[call].facts.answered_ms;
        let ended = CallHappening::Ended {
            cause,
            status,
            lasted_ms: answered_ms.map_or(0, |answered_ms| self.now_ms() - answered_ms),
            caller_media: None,
            callee_media: None,
        };
        self.end_with(call, &ended)
    }

    /// It ends with these figures.
    pub(crate) fn end_with(&mut self, call: CallNumber, ended: &CallHappening) -> CallConclusion {
        let CallHappening::Ended { cause, .. } = ended else {
            panic!("{ended:?} is no end")
        };
        let open = &mut self.calls[call];
        assert_eq!(open.end, None, "a call ends once");
        open.end = Some(cause);
        // The core gives back what it held before anybody hears of its end.
        open.facts.pass.release();
        self.show(call, ended, None)
    }

    /// How it ended, if it did.
    pub(crate) fn ending(&self, call: CallNumber) -> Option<&'static str> {
        self.calls[call].end
    }

    /// A call that is answered at once and lasts so long. False if it was not admitted or
    /// ended by itself.
    pub(crate) fn talks(&mut self, ask: &Ask, seconds: u64) -> bool {
        let (_, Some(call)) = self.begin(ask) else {
            return false;
        };
        let _answered = self.answer(call, None);
        let _heard = self.pass(Duration::from_secs(seconds));
        let goes_on = self.ending(call).is_none();
        if goes_on {
            let _ended = self.end(call, "bye");
        }
        goes_on
    }

    /// Time passes; what was due on the way happens at its moment. What policies said to
    /// it, in order.
    pub(crate) fn pass(&mut self, time: Duration) -> Vec<CallConclusion> {
        let until_ms = self.now_ms() + u64::try_from(time.as_millis()).expect("a test is short");
        let mut heard = Vec::new();
        while let Some((at_ms, call, due)) = self.next_due().filter(|due| due.0 <= until_ms) {
            self.at(at_ms.max(self.now_ms()));
            match due {
                Due::Tick(wish) => {
                    let open = &mut self.calls[call];
                    open.ticks.retain(|known| *known != wish);
                    let tick = CallHappening::Tick(wish.seconds);
                    heard.push(self.tell(call, &tick, Some(&wish)));
                }
                Due::Limit => heard.push(self.end(call, "duration-limit")),
            }
        }
        self.at(until_ms);
        heard
    }

    pub(crate) fn pass_s(&mut self, seconds: u64) -> Vec<CallConclusion> {
        self.pass(Duration::from_secs(seconds))
    }

    fn next_due(&self) -> Option<(u64, CallNumber, Due)> {
        let open = self.calls.iter().enumerate();
        let running = open.filter(|(_, call)| call.end.is_none());
        let due = running.flat_map(|(number, call)| {
            let answered_ms = call.facts.answered_ms;
            let at = move |seconds: u32| answered_ms.map(|ms| ms + u64::from(seconds) * 1_000);
            let ticks = call
                .ticks
                .iter()
                .filter_map(move |wish| Some((at(wish.seconds)?, number, Due::Tick(wish.clone()))));
            let limit = call.limit_s.and_then(at);
            ticks.chain(limit.map(|at_ms| (at_ms, number, Due::Limit)))
        });
        due.min_by_key(|(at_ms, ..)| *at_ms)
    }

    /// Shows a happening to the policies and does what they want.
    pub(crate) fn tell(
        &mut self,
        call: CallNumber,
        happening: &CallHappening,
        tick: Option<&TickWish>,
    ) -> CallConclusion {
        let conclusion = self.show(call, happening, tick);
        let now_ms = self.now_ms();
        let open = &mut self.calls[call];
        let passed_ms = open
            .facts
            .answered_ms
            .map(|answered_ms| now_ms - answered_ms);
        for wish in &conclusion.ticks {
            let passed = passed_ms.is_some_and(|ms| ms >= u64::from(wish.seconds) * 1_000);
            if !passed && !open.ticks.contains(wish) {
                open.ticks.push(wish.clone());
            }
        }
        if let Some(limit_s) = conclusion.limit_duration {
            let shorter = |known: u32| known.min(limit_s);
            open.limit_s = Some(open.limit_s.map_or(limit_s, shorter));
        }
        if conclusion.end.is_some() {
            let _ended = self.end(call, "policy");
        }
        conclusion
    }

    fn show(
        &mut self,
        call: CallNumber,
        happening: &CallHappening,
        tick: Option<&TickWish>,
    ) -> CallConclusion {
        let facts = self.calls[call].facts.clone();
        let live = self.live();
        let generation = Arc::clone(&live.worker.generation);
        let only = tick.map(|wish| &wish.plugin);
        let executor = &mut live.worker.executor;
        let conclusion = executor.follow(&generation, &facts, happening, only);
        let conclusion = conclusion.unwrap_or_default();
        for report in &conclusion.trace {
            assert_eq!(report.failure, None, "{} failed", report.plugin);
        }
        conclusion
    }
}

/// Why a policy ended a call.
#[track_caller]
pub(crate) fn veto(conclusion: &CallConclusion) -> &str {
    let end = conclusion.end.as_ref().expect("it ends the call");
    &end.reason
}
