//! Runs pipelines: asks the plugins in order and measures. A candidate that fails is
//! stood in for by the version in use; one in the shadow is asked later.

use std::sync::Arc;
use std::time::Instant;

use policy::{
    CallConclusion, CallFacts, CallHappening, CallPass, Conclusion, ConsultId, Decision,
    DialogState, Judged, Leave, PolicyFailure, RequestFacts, ResponseConclusion, ResponseFacts,
    Run, check_outcome,
};
use sip_message::Method;

use crate::candidate::send_off;
use crate::executor::Executor;
use crate::generation::{Generation, Panel, Seat};
use crate::guard::Hook;
use crate::host::Consultation;
use crate::instance::Answer;
use crate::plugin::Plugin;
use crate::rehearsal::{Rehearsal, Scene};

impl Executor {
    /// Judges a request by the pipeline of the generation that matches it.
    pub fn judge(
        &mut self,
        generation: &Arc<Generation>,
        consult: ConsultId,
        facts: RequestFacts,
    ) -> Conclusion {
        self.observe(generation);
        let entry = generation.entry(&facts);
        let panel = entry.panel(facts.message.call_id());
        let mut run = panel.requests.begin(consult, facts);
        let mut first = true;
        let mut consultation = std::mem::take(&mut self.consultation);
        let begins_call = run.facts().message.method() == Method::Invite
            && run.facts().dialog == DialogState::None;
        // Those that are not admitted drop it, and with it what they held.
        let seats = panel.request_seats.first();
        let holdings = seats
            .filter(|_| begins_call && entry.leases)
            .map(|seat| entry.open_holdings(seat.plugin.blueprint.services.leases.open()));
        let (holdings, watched) = holdings.unzip();
        if let Some(holdings) = &holdings {
            run.hold(Arc::clone(holdings));
        }
        consultation.begin(holdings, run.facts().peer.tls);
        let earlier = self.rehearsals.len();
        let mut mark = Instant::now();
        while run.next_stage().is_some() {
            if std::mem::take(&mut first) {
                self.facts.fill(run.facts());
            } else {
                self.facts.refresh(run.facts(), run.rewrites());
            }
            self.hear(panel, &mut run, &mut consultation, &mut mark);
        }
        consultation.begin(None, None);
        self.consultation = consultation;
        let conclusion = run.conclude();
        if let Some(rehearsals) = self.rehearsals.get_mut(earlier..)
            && !rehearsals.is_empty()
        {
            // What was not admitted holds nothing any more.
            let admitted = matches!(conclusion.decision, Decision::Admit(_));
            let watched = watched.flatten().filter(|_| admitted);
            let held = watched.map(|watched| watched.granted());
            send_off(rehearsals, &conclusion.account, &held.unwrap_or_default());
        }
        conclusion
    }

    /// Asks whoever sits in the place of the current stage.
    fn hear<'g>(
        &mut self,
        panel: &'g Panel,
        run: &mut Run<'g>,
        consultation: &mut Consultation,
        mark: &mut Instant,
    ) {
        let Some(seat) = panel.request_seats.get(run.stage_index()) else {
            let missing = PolicyFailure::Missing("plugin of the stage".to_owned());
            run.apply(Err(missing), lap(mark));
            return;
        };
        let mut plugin = &seat.plugin;
        if seat.on_trial {
            let Err(failure) = self.try_candidate(seat, run, consultation, mark) else {
                return;
            };
            let method = run.facts().message.method();
            let incumbent = seat.incumbent.as_ref();
            let incumbent = incumbent.filter(|it| it.stage.methods.contains(method));
            run.fall_back(&failure, lap(mark), incumbent.map(|it| &it.stage));
            let Some(incumbent) = incumbent else {
                return;
            };
            plugin = &incumbent.plugin;
        }
        let (leave, answer) = self.ask_guarded(plugin, Hook::Request, |executor| {
            executor.ask_request(plugin, run.facts(), consultation)
        });
        if !seat.on_trial && seat.candidate.is_some() {
            let judged = answer.as_ref().map(|answer| &answer.outcome);
            seat.answered(Judged::of(judged));
            self.note_request(seat, run, consultation, judged);
        }
        let usable = apply(run, answer, mark);
        settle(plugin, Hook::Request, leave, usable);
    }

    /// Lets the candidate of the seat answer, if it can.
    fn try_candidate(
        &mut self,
        seat: &Seat,
        run: &mut Run<'_>,
        consultation: &mut Consultation,
        mark: &mut Instant,
    ) -> Result<(), PolicyFailure> {
        let plugin = &seat.plugin;
        let answer = self.ask_request(plugin, run.facts(), consultation);
        let answer = answer.and_then(|answer| {
            let limits = &plugin.blueprint.limits.outcome;
            check_outcome(&answer.outcome, plugin.grants(), limits)?;
            Ok(answer)
        });
        seat.answered(Judged::of(answer.as_ref().map(|answer| &answer.outcome)));
        apply(run, Ok(answer?), mark);
        Ok(())
    }

    /// Shows a response to the plugins of the call's pipeline that have a hook
    /// for it. None if there is no such plugin: the response then passes as it
    /// is.
    pub fn judge_response(
        &mut self,
        generation: &Arc<Generation>,
        pass: &CallPass,
        facts: ResponseFacts,
    ) -> Option<ResponseConclusion> {
        let entry = generation.entry_of(pass)?;
        let panel = entry.panel(facts.message.call_id());
        if panel.response_seats.is_empty() {
            return None;
        }
        self.observe(generation);
        let earlier = self.rehearsals.len();
        let mut run = panel.responses.begin_response(facts);
        let mut mark = Instant::now();
        while let Some(place) = run.next_stage(|_| true) {
            let Some(seat) = panel.response_seats.get(place) else {
                let missing = PolicyFailure::Missing("plugin of the stage".to_owned());
                run.apply(Err(missing), lap(&mut mark));
                continue;
            };
            let (leave, answer) = self.ask_guarded(&seat.plugin, Hook::Response, |executor| {
                executor.ask_response(&seat.plugin, run.facts())
            });
            let live = answer.as_ref().map(|answer| &answer.outcome);
            if let Some(candidate) = seat.shadow() {
                let scene = || Scene::Response(run.facts().clone());
                self.rehearsals
                    .extend(Rehearsal::note(candidate, live, scene));
            }
            let failure = live.err().map(|failure| Judged::of(Err(failure)));
            let usable = run.apply(answer.map(|answer| answer.outcome), lap(&mut mark));
            seat.heard(failure, usable);
            settle(&seat.plugin, Hook::Response, leave, usable);
        }
        let rehearsals = self.rehearsals.get_mut(earlier..).unwrap_or_default();
        send_off(rehearsals, pass.account(), &[]);
        Some(run.conclude())
    }

    /// Shows the plugins of the call's pipeline what happened to it; only the named one,
    /// if it is for one. None if there is no such plugin.
    pub fn follow(
        &mut self,
        generation: &Arc<Generation>,
        facts: &CallFacts,
        happening: &CallHappening,
        only: Option<&Arc<str>>,
    ) -> Option<CallConclusion> {
        let entry = generation.entry_of(&facts.pass)?;
        let panel = entry.panel(&facts.call_id);
        if panel.call_seats.is_empty() {
            return None;
        }
        self.observe(generation);
        let earlier = self.rehearsals.len();
        let mut run = panel.calls.begin_call(only.cloned());
        let mut consultation = std::mem::take(&mut self.consultation);
        consultation.begin(facts.pass.holdings().cloned(), None);
        let mut mark = Instant::now();
        while let Some(place) = run.next_stage() {
            let Some(seat) = panel.call_seats.get(place) else {
                let missing = PolicyFailure::Missing("plugin of the stage".to_owned());
                run.apply(Err(missing), lap(&mut mark));
                continue;
            };
            let (leave, answer) = self.ask_guarded(&seat.plugin, Hook::Call, |executor| {
                executor.ask_call(&seat.plugin, facts, happening, &mut consultation)
            });
            let live = answer.as_ref().map(|answer| &answer.outcome);
            if let Some(candidate) = seat.shadow() {
                let scene = || Scene::Call {
                    facts: facts.clone(),
                    happening: *happening,
                    consultation: understudy(seat, &consultation),
                };
                self.rehearsals
                    .extend(Rehearsal::note(candidate, live, scene));
            }
            let failure = live.err().map(|failure| Judged::of(Err(failure)));
            let usable = run.apply(answer.map(|answer| answer.outcome), lap(&mut mark));
            seat.heard(failure, usable);
            settle(&seat.plugin, Hook::Call, leave, usable);
        }
        consultation.begin(None, None);
        self.consultation = consultation;
        let rehearsals = self.rehearsals.get_mut(earlier..).unwrap_or_default();
        send_off(rehearsals, facts.pass.account(), &[]);
        Some(run.conclude())
    }

    fn note_request(
        &mut self,
        seat: &Seat,
        run: &Run<'_>,
        consultation: &Consultation,
        live: Result<&policy::Outcome, &PolicyFailure>,
    ) {
        let Some(candidate) = seat.shadow() else {
            return;
        };
        let scene = || Scene::Request {
            facts: run.facts().clone(),
            rewrites: run.rewrites().cloned(),
            consultation: understudy(seat, consultation),
        };
        self.rehearsals
            .extend(Rehearsal::note(candidate, live, scene));
    }

    /// Asks unless the plugin is taken out.
    fn ask_guarded(
        &mut self,
        plugin: &Arc<Plugin>,
        hook: Hook,
        ask: impl FnOnce(&mut Self) -> Result<Answer, PolicyFailure>,
    ) -> (Option<Leave>, Result<Answer, PolicyFailure>) {
        let now_ms = || plugin.blueprint.services.clock.now_ms();
        match plugin.guard.ask(hook, now_ms) {
            Ok(leave) => (Some(leave), ask(self)),
            Err(taken_out) => (None, Err(taken_out)),
        }
    }

    /// Asks about a request whose facts have been written.
    pub(crate) fn ask_request(
        &mut self,
        plugin: &Arc<Plugin>,
        facts: &RequestFacts,
        consultation: &mut Consultation,
    ) -> Result<Answer, PolicyFailure> {
        self.ask(plugin, |instance, text| match text.written() {
            Some(written) => {
                let RequestFacts { message, peer, .. } = facts;
                instance.on_request(written, message, peer.address, consultation)
            }
            None => Err(PolicyFailure::Missing("facts".to_owned())),
        })
    }

    pub(crate) fn ask_response(
        &mut self,
        plugin: &Arc<Plugin>,
        facts: &ResponseFacts,
    ) -> Result<Answer, PolicyFailure> {
        self.ask(plugin, |instance, text| {
            instance.on_response(text.response(facts), &facts.message)
        })
    }

    pub(crate) fn ask_call(
        &mut self,
        plugin: &Arc<Plugin>,
        facts: &CallFacts,
        happening: &CallHappening,
        consultation: &mut Consultation,
    ) -> Result<Answer, PolicyFailure> {
        self.ask(plugin, |instance, text| {
            let (facts, event) = text.call(facts, happening);
            instance.on_call_event(facts, event, consultation)
        })
    }
}

/// What a shadow knows of the consultation, with its own holdings.
fn understudy(seat: &Seat, consultation: &Consultation) -> Consultation {
    let mut shadow = consultation.clone();
    let live = shadow.holdings.take();
    shadow.holdings = live.and_then(|live| live.understudy(seat.plugin.name()));
    shadow
}

fn apply(run: &mut Run<'_>, answer: Result<Answer, PolicyFailure>, mark: &mut Instant) -> bool {
    let answer = answer.map(|answer| {
        if let Some(realm) = answer.verified_realm {
            run.verified_realm(realm);
        }
        answer.outcome
    });
    run.apply(answer, lap(mark))
}

/// Nobody was asked without leave.
fn settle(plugin: &Plugin, hook: Hook, leave: Option<Leave>, usable: bool) {
    let now_ms = || plugin.blueprint.services.clock.now_ms();
    if let Some(leave) = leave {
        plugin.guard.settle(hook, leave, usable, now_ms);
    }
}

/// Microseconds since the mark, which moves to now: one look at the clock for
/// each stage.
fn lap(mark: &mut Instant) -> u64 {
    let now = Instant::now();
    let micros = now.duration_since(*mark).as_micros();
    *mark = now;
    u64::try_from(micros).unwrap_or(u64::MAX)
}
