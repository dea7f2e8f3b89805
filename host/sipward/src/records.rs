//! The record of each call, and with media a line: when it has ended and its media
//! session is closed.
//!
//! These are two events, and either may come first: a BYE closes the media, and the
//! answer to it ends the call. What the first one says is kept until the second.

use std::sync::Arc;
use std::time::Duration;

use ::records::{CallRecord, Receipt};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use media::{SessionFigures, SessionId};
use policy::{CallConclusion, Conclusion, ConsultId, Decision};
use sip_message::Method;
use sip_proxy::{CallEvent, CallId, EndReason, MediaRecord};
use tracing::info;

use crate::decision_log::{Shown, Subject};
use crate::ledger::{self, RecordRules};
use crate::media_figures::{MediaCounts, Streams, mos};
use crate::outlet::{Outlet, Wire};

/// Calls that are recorded, have media or may still get some. Bounded by the limits of
/// calls and of media sessions.
#[derive(Default)]
pub(crate) struct Records {
    calls: HashMap<CallId, Record, FixedState>,
    ended: MediaCounts,
    rules: Arc<RecordRules>,
    /// Admitted a moment ago: the core says next whether a call begins.
    admitted: Vec<Admitted>,
}

struct Admitted {
    consult: ConsultId,
    attempt: Option<Box<CallRecord>>,
    secrets: Vec<String>,
}

/// All that is known of a call that is over.
pub(crate) struct Finished {
    pub(crate) call: CallId,
    pub(crate) reason: EndReason,
    pub(crate) lasted: Option<Duration>,
    pub(crate) figures: Option<Box<SessionFigures>>,
    /// Texts that nothing written about it may show.
    pub(crate) secrets: Vec<String>,
    attempt: Option<Box<CallRecord>>,
    receipt: Option<Receipt>,
}

/// What is known of one call.
#[derive(Clone, Default)]
pub(crate) struct Record {
    pub(crate) call_id: Option<Arc<[u8]>>,
    pub(crate) caller: Option<Arc<str>>,
    pub(crate) callee: Option<Arc<str>>,
    has_media: bool,
    figures: Option<Box<SessionFigures>>,
    end: Option<(EndReason, Option<Duration>)>,
    attempt: Option<Box<CallRecord>>,
    /// What waits for the record, if the call has ended.
    receipt: Option<Receipt>,
    secrets: Vec<String>,
}

impl Records {
    /// Record by these rules from now on.
    pub(crate) fn set_rules(&mut self, rules: Arc<RecordRules>) {
        self.rules = rules;
    }

    /// What is recorded.
    pub(crate) fn rules(&self) -> &RecordRules {
        &self.rules
    }

    /// The call that a session belongs to.
    pub(crate) fn call_of(session: SessionId) -> CallId {
        CallId::from_u64(session.0 & ((1 << 48) - 1))
    }

    /// A request was judged; `recorded`: it has a record of its own.
    pub(crate) fn judged<W: Wire>(
        &mut self,
        subject: &Subject,
        conclusion: &Conclusion,
        recorded: bool,
        outlet: &mut Outlet<W>,
    ) {
        let attempt = recorded.then(|| self.rules.begin(subject, conclusion));
        let attempt = attempt.flatten();
        if matches!(conclusion.decision, Decision::Admit(_)) {
            if attempt.is_some() || !conclusion.account.secrets.is_empty() {
                self.admitted.push(Admitted {
                    consult: conclusion.consult,
                    attempt,
                    secrets: conclusion.account.secrets.clone(),
                });
            }
        } else if let Some(attempt) = attempt {
            let receipt = self.rules.receipt(outlet);
            self.rules.finish(attempt, receipt, outlet);
        }
    }

    /// An admitted request could not be routed.
    pub(crate) fn not_routed(&mut self, consult: ConsultId, cause: &str) {
        let found = self.admitted.iter_mut().find(|it| it.consult == consult);
        if let Some(attempt) = found.and_then(|it| it.attempt.as_mut()) {
            cause.clone_into(&mut attempt.reason);
        }
    }

    /// Whatever was admitted and has begun no call until now begins none.
    pub(crate) fn settle_admitted<W: Wire>(&mut self, outlet: &mut Outlet<W>) {
        for mut attempt in self.admitted.drain(..).filter_map(|it| it.attempt) {
            if Method::from_name(attempt.method.as_bytes()) == Method::Invite {
                attempt.end = Some("not-routed".into());
                attempt.ended_ms = Some(attempt.at_ms);
            }
            let receipt = self.rules.receipt(outlet);
            self.rules.finish(attempt, receipt, outlet);
        }
    }

    /// A media session is opened.
    pub(crate) fn opened(&mut self, session: SessionId) {
        self.calls
            .entry(Self::call_of(session))
            .or_default()
            .has_media = true;
    }

    /// Something happened to a call. Returns what is known of it once it is over and its
    /// media session is closed.
    pub(crate) fn note<W: Wire>(
        &mut self,
        event: &CallEvent,
        outlet: &mut Outlet<W>,
    ) -> Option<Finished> {
        match event {
            CallEvent::Started {
                call,
                call_id,
                caller,
                consult,
                ..
            } => {
                let admitted = self.begun(*call, *consult);
                let record = self.calls.entry(*call).or_default();
                record.call_id = Some(Arc::clone(call_id));
                record.caller.clone_from(caller);
                if let Some(admitted) = admitted {
                    record.attempt = admitted.attempt;
                    record.secrets = admitted.secrets;
                }
            }
            CallEvent::Answered { call, callee } => {
                if let Some(record) = self.calls.get_mut(call) {
                    record.callee.clone_from(callee);
                    if let Some(attempt) = &mut record.attempt {
                        attempt.answered_ms = Some(ledger::now_ms());
                        attempt.callee = callee.as_deref().map(str::to_owned);
                    }
                }
            }
            CallEvent::Tick { .. } => {}
            CallEvent::Ended {
                call,
                reason,
                lasted,
            } => {
                let record = self.calls.get_mut(call)?;
                record.end = Some((*reason, *lasted));
                if let Some(attempt) = &mut record.attempt {
                    attempt.ended_ms = Some(ledger::now_ms());
                    record.receipt = self.rules.receipt(outlet);
                }
                return self.settle(*call);
            }
        }
        None
    }

    /// What was admitted has become a call.
    fn begun(&mut self, call: CallId, consult: ConsultId) -> Option<Admitted> {
        let place = self.admitted.iter().position(|it| it.consult == consult)?;
        let mut admitted = self.admitted.swap_remove(place);
        if let Some(attempt) = &mut admitted.attempt {
            attempt.number = Some(call.as_u64());
            attempt.started_ms = Some(attempt.at_ms);
            self.rules.under_way(attempt);
        }
        Some(admitted)
    }

    /// Texts that nothing written about a call may show.
    pub(crate) fn secrets(&self, call: CallId) -> &[String] {
        self.calls.get(&call).map_or(&[], |record| &record.secrets)
    }

    /// Policies that follow a call have said something about it.
    pub(crate) fn heed(&mut self, call: CallId, conclusion: &CallConclusion) {
        let Some(record) = self.calls.get_mut(&call) else {
            return;
        };
        record.secrets.extend_from_slice(&conclusion.secrets);
        let Some(attempt) = &mut record.attempt else {
            return;
        };
        if let Some(veto) = &conclusion.end {
            attempt.plugin = Some(veto.plugin.to_string());
            attempt.reason.clone_from(&veto.reason);
        }
        attempt.conceal(&record.secrets);
    }

    /// A media session is closed. Returns what [`Records::note`] does.
    pub(crate) fn close(&mut self, closed: MediaRecord) -> Option<Finished> {
        self.ended.add(&closed.figures);
        match self.calls.get_mut(&closed.call) {
            Some(record) if record.call_id.is_some() => {
                record.figures = Some(closed.figures);
                self.settle(closed.call)
            }
            // Of a call that never began nothing more will be heard.
            _ => {
                let mut record = self.calls.remove(&closed.call).unwrap_or_default();
                record.call_id = Some(closed.call_id);
                record.write(closed.call, &closed.figures);
                None
            }
        }
    }

    /// Write the line of a call of which all is known, and forget it.
    fn settle(&mut self, call: CallId) -> Option<Finished> {
        let record = self.calls.get(&call)?;
        let (reason, lasted) = record.end?;
        match &record.figures {
            Some(figures) => record.write(call, figures),
            None if record.has_media => return None,
            None => {}
        }
        let record = self.calls.remove(&call)?;
        Some(record.finished(call, reason, lasted))
    }

    /// Policies have heard of the end of a call: its record is complete.
    pub(crate) fn finish<W: Wire>(&self, finished: Finished, outlet: &mut Outlet<W>) {
        let Some(mut attempt) = finished.attempt else {
            return;
        };
        let reason = finished.reason;
        let lasted = finished.lasted;
        attempt.ended_ms.get_or_insert_with(ledger::now_ms);
        attempt.lasted_ms = lasted.map(|it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX));
        attempt.end = Some(reason.name().into());
        attempt.status = ledger::final_status(reason, attempt.answered_ms.is_some());
        let figures = finished.figures.as_deref();
        attempt.media = figures.map(ledger::streams).unwrap_or_default();
        attempt.conceal(&finished.secrets);
        self.rules.finish(attempt, finished.receipt, outlet);
    }

    /// The proxy stops while the session is open.
    pub(crate) fn abandon<W: Wire>(
        &mut self,
        session: SessionId,
        figures: &SessionFigures,
        outlet: &mut Outlet<W>,
    ) {
        let call = Self::call_of(session);
        let mut record = self.calls.remove(&call).unwrap_or_default();
        let (reason, lasted) = *record.end.get_or_insert((EndReason::Operator, None));
        record.write(call, figures);
        record.figures = Some(Box::new(figures.clone()));
        self.finish(record.finished(call, reason, lasted), outlet);
    }

    /// The proxy stops: calls that are left have ended as far as it knows.
    pub(crate) fn abandon_all<W: Wire>(&mut self, outlet: &mut Outlet<W>) {
        for (call, record) in std::mem::take(&mut self.calls) {
            let (reason, lasted) = record.end.unwrap_or((EndReason::Operator, None));
            self.finish(record.finished(call, reason, lasted), outlet);
        }
    }

    /// What is known of a session's call.
    pub(crate) fn of(&self, session: SessionId) -> Record {
        let record = self.calls.get(&Self::call_of(session));
        record.cloned().unwrap_or_default()
    }

    /// Counts of sessions that have ended.
    pub(crate) const fn ended(&self) -> MediaCounts {
        self.ended
    }
}

impl Finished {
    /// The proxy stops: the end of a call whose record is written by
    /// [`Records::abandon_all`].
    pub(crate) const fn stopped(call: CallId, lasted: Option<Duration>) -> Self {
        Self {
            call,
            reason: EndReason::Operator,
            lasted,
            figures: None,
            secrets: Vec::new(),
            attempt: None,
            receipt: None,
        }
    }
}

impl Record {
    fn finished(self, call: CallId, reason: EndReason, lasted: Option<Duration>) -> Finished {
        Finished {
            call,
            reason,
            lasted,
            figures: self.figures,
            secrets: self.secrets,
            attempt: self.attempt,
            receipt: self.receipt,
        }
    }

    /// Call-ID, without what plugins want concealed.
    pub(crate) fn shown_call_id(&self) -> Shown<'_> {
        Shown(self.call_id.as_deref().unwrap_or(b"-"), &self.secrets)
    }

    fn write(&self, call: CallId, figures: &SessionFigures) {
        let mut counts = MediaCounts::default();
        counts.add(figures);
        let lowest_mos = figures
            .streams
            .iter()
            .filter_map(|it| it.mos_hundredths)
            .min();
        let (reason, lasted) = match self.end {
            Some((reason, lasted)) => (reason.name(), lasted.unwrap_or_default()),
            None => ("-", Duration::ZERO),
        };
        info!(
            number = call.as_u64(),
            call = %self.shown_call_id(),
            caller = self.caller.as_deref().unwrap_or("-"),
            callee = self.callee.as_deref().unwrap_or("-"),
            reason,
            lasted_ms = u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX),
            packets = counts.packets,
            lost = counts.lost,
            rejected = counts.rejected.0.total(),
            mos = lowest_mos.map(mos),
            streams = %Streams(figures),
            "call media"
        );
    }
}

#[cfg(test)]
#[path = "records_tests.rs"]
pub(crate) mod tests;
