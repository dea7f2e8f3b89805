//! One shard: a pure proxy core, its plugin instances, and the way between them.
//!
//! One thread at a time holds it. After each piece of work everything the core has
//! to say is carried out at once, so nothing waits for a second turn.

mod proof;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use media::{AnchorConfig, RelayCommand, RelayEvent, SessionFigures, SessionId};
use policy::{
    CallConclusion, CallHappening, CallPass, Certificate, Conclusion, ConsultId, Decision,
    RequestFacts, ResponseFacts,
};
use policy_wasm::{Clock, Executor, Generation, Provisions, Rehearsal, Renewal, Retired};
use records::alert::{Alarm, AlertDesk};
use relay::RelayHandle;
use sip_proxy::{CallEvent, CallId, EndReason, LogEvent, OfferReader, Output, ProxyCore};
use sip_transaction::{Moment, TransactionId, Transmit};
use transport::{Inbound, PeerCertificate, Received, Sender};

use crate::challenge::Challenger;
use crate::decision_log::{self, Subject};
use crate::followed::Followed;
use crate::ledger::{self, RecordRules};
use crate::media_figures::ShardMedia;
use crate::outlet::Outlet;
use crate::records::{Finished, Record, Records};
use crate::shards::Work;
use crate::snapshot::Snapshot;
use crate::status::{DecisionCounts, ShardFigures};

/// The calls of one shard and all that they need.
pub(crate) struct Shard {
    index: usize,
    clock: Arc<dyn Clock>,
    core: ProxyCore,
    executor: Executor,
    snapshot: Arc<Snapshot>,
    outlet: Outlet,
    desk: AlertDesk,
    challenger: Challenger,
    started: Instant,
    offers: OfferReader,
    /// Where shadow runs go.
    shadow: std::sync::mpsc::Sender<Rehearsal>,
    relay: Option<RelayHandle>,
    records: Records,
    followed: Followed,
    last_certificate: Option<(Arc<PeerCertificate>, Arc<Certificate>)>,
    decisions: DecisionCounts,
    refused_for_records: u64,
    invalid: u64,
    answered: u64,
    ended: u64,
}

/// What a shard is made of.
pub(crate) struct ShardParts {
    /// Its number, which is that of its worker.
    pub(crate) index: usize,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) core: ProxyCore,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) sender: Sender,
    pub(crate) rules: Arc<RecordRules>,
    pub(crate) desk: AlertDesk,
    pub(crate) challenger: Challenger,
    pub(crate) relay: Option<RelayHandle>,
    pub(crate) offers: OfferReader,
    pub(crate) shadow: std::sync::mpsc::Sender<Rehearsal>,
}

/// Instances for a shard that turns to other policies, made before it is held. A plugin
/// that gives none here fails its first request, under its `on_failure`.
pub(crate) fn provisions(policy: &Generation, before: Option<&Generation>) -> Provisions {
    let (provisions, made) = Provisions::make(policy, before);
    if let Err((plugin, failure)) = made {
        tracing::error!(%plugin, reason = %failure, "plugin gives no instance");
    }
    provisions
}

impl Shard {
    pub(crate) fn new(parts: ShardParts) -> Self {
        let mut shard = Self {
            index: parts.index,
            clock: parts.clock,
            core: parts.core,
            executor: Executor::new(),
            snapshot: parts.snapshot,
            outlet: Outlet::new(parts.sender, parts.index),
            desk: parts.desk,
            challenger: parts.challenger,
            started: Instant::now(),
            offers: parts.offers,
            shadow: parts.shadow,
            relay: parts.relay,
            records: Records::default(),
            followed: Followed::default(),
            last_certificate: None,
            decisions: DecisionCounts::default(),
            refused_for_records: 0,
            invalid: 0,
            answered: 0,
            ended: 0,
        };
        shard.records.set_rules(parts.rules);
        let provisions = provisions(&shard.snapshot.policy, None);
        drop(shard.executor.turn_to(&shard.snapshot.policy, provisions));
        while shard.wants_instances() {
            shard.executor.replenish();
        }
        shard
    }

    /// The time as the pure rooms count it.
    fn now(&self) -> Moment {
        Moment::from_micros(u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// When its time began.
    pub(crate) const fn started(&self) -> Instant {
        self.started
    }

    /// When [`Work::TimeOut`] is wanted, in microseconds since it started.
    pub(crate) fn deadline(&self) -> Option<u64> {
        self.core.poll_timeout().map(Moment::as_micros)
    }

    /// Whether [`Shard::renewal`] may have something to do.
    pub(crate) fn wants_instances(&self) -> bool {
        self.executor.wants_instances()
    }

    /// A plugin's instance that was used, and the next one: made without the shard.
    pub(crate) fn renewal(&mut self) -> Option<Renewal> {
        self.executor.renewal()
    }

    /// Does a piece of work and all that follows from it.
    pub(crate) fn perform(&mut self, work: Work) {
        match work {
            Work::Inbound(inbound) => self.receive(inbound),
            Work::Failed(transaction) => self.failed(transaction),
            Work::TimeOut => self.time_out(),
            Work::Media(event) => self.hear(&event),
            Work::Recorded(holds) => self.outlet.confirmed(&holds),
            Work::Renewed(renewed) => drop(self.executor.renewed(renewed)),
        }
    }

    /// The relay reported something.
    fn hear(&mut self, event: &RelayEvent) {
        let now = self.now();
        self.core.handle_media_event(now, event);
        self.carry_out(now);
    }

    /// Take something from the network.
    fn receive(&mut self, inbound: Inbound) {
        let now = self.now();
        match inbound.what {
            Received::Message(message) => {
                let proof = self.proof(inbound.certificate.as_ref(), inbound.tls);
                self.core
                    .handle_message(now, message, &inbound.flow, proof.as_ref());
                self.carry_out(now);
            }
            Received::Invalid(error) => {
                self.invalid += 1;
                tracing::debug!(source = %inbound.flow.peer, %error, "not a valid message");
                let is_heard = !self.core.hears_nothing(&inbound.flow);
                if let Some(bytes) = is_heard.then(|| error.response(b"sipward")).flatten() {
                    self.outlet.send(Transmit {
                        to: inbound.flow.reply(),
                        bytes,
                        transaction: None,
                    });
                }
            }
        }
    }

    /// A message of this transaction did not leave.
    fn failed(&mut self, transaction: TransactionId) {
        let now = self.now();
        self.core.handle_transport_error(now, transaction);
        self.carry_out(now);
    }

    /// The deadline has come.
    fn time_out(&mut self) {
        let now = self.now();
        self.core.handle_timeout(now);
        self.carry_out(now);
    }

    /// Use another configuration from the next message on. What is left of the old one is
    /// handed back, so that nobody who waits for the shard waits for its end.
    pub(crate) fn install(
        &mut self,
        snapshot: Arc<Snapshot>,
        provisions: Provisions,
    ) -> (Arc<Snapshot>, Retired) {
        self.core.set_config(Arc::clone(&snapshot.routing));
        let retired = self.executor.turn_to(&snapshot.policy, provisions);
        let old = std::mem::replace(&mut self.snapshot, snapshot);
        (old, retired)
    }

    /// The policies in use.
    pub(crate) fn policy(&self) -> Arc<Generation> {
        Arc::clone(&self.snapshot.policy)
    }

    /// Give calls from now on these interfaces and times for media.
    pub(crate) fn set_media(&mut self, config: Arc<AnchorConfig>) {
        self.core.set_media(config);
    }

    /// What is known of a session's call.
    pub(crate) fn record(&self, session: SessionId) -> Record {
        self.records.of(session)
    }

    /// The proxy stops while a session is open: its record is written as it stands.
    pub(crate) fn abandon(&mut self, session: SessionId, figures: &SessionFigures) {
        self.records.abandon(session, figures, &mut self.outlet);
    }

    /// Record by these rules from now on.
    pub(crate) fn set_rules(&mut self, rules: Arc<RecordRules>) {
        self.records.set_rules(rules);
    }

    /// Take no new calls.
    pub(crate) fn drain(&mut self) {
        let now = self.now();
        self.core.start_drain(now);
        self.carry_out(now);
    }

    /// What this shard is doing.
    pub(crate) fn figures(&self) -> ShardFigures {
        let core = self.core.figures();
        let plugins = self.executor.figures();
        ShardFigures {
            generation: self.snapshot.number,
            calls: core.calls as u64,
            server_transactions: core.server_transactions as u64,
            client_transactions: core.client_transactions as u64,
            pending_consults: core.pending_consults as u64,
            calls_answered: self.answered,
            calls_ended: self.ended,
            invalid_messages: self.invalid,
            plugin_calls: plugins.calls,
            plugin_failures: plugins.failures,
            plugin_instances: plugins.instances as u64,
            plugin_instances_waited_for: plugins.instances_waited_for,
            decisions: self.decisions,
            refused_for_records: self.refused_for_records,
            held_responses: self.outlet.held() as u64,
            media: ShardMedia::new(self.core.media_figures(), self.records.ended()),
        }
    }

    fn carry_out(&mut self, now: Moment) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Transmit(transmit) => {
                    // Bytes come last: no admission still becomes a call.
                    self.records.settle_admitted(&mut self.outlet);
                    self.outlet.send(transmit);
                }
                Output::Consult { id, facts } => self.consult(now, id, facts),
                Output::ConsultResponse { id, pass, facts } => {
                    self.judge_response(now, id, &pass, facts);
                }
                Output::Call(event) => self.call_event(now, &event),
                Output::Log(event) => {
                    if let LogEvent::NoRoute { consult, cause } = &event {
                        self.records.not_routed(*consult, cause);
                    }
                    decision_log::noticed(&event);
                    self.foreign_media(now, &event);
                }
                Output::Media(command) => self.order(command),
                Output::MediaClosed(record) => {
                    let finished = self.records.close(record);
                    self.finish(finished);
                }
            }
        }
        self.records.settle_admitted(&mut self.outlet);
        self.outlet.turn_over();
        for rehearsal in self.executor.take_rehearsals() {
            // Without the thread the proxy is stopping.
            let _stopping = self.shadow.send(rehearsal);
        }
    }

    /// Ask the policy, and carry its answer to the core.
    fn consult(&mut self, now: Moment, id: ConsultId, mut facts: RequestFacts) {
        let recorded = self.records.rules().wants(&facts);
        let subject = Subject::of(&facts);
        let source = facts.peer.address;
        let conclusion = if recorded && self.records.rules().has_no_room() {
            self.refuse_for_records(id)
        } else {
            if let Err(error) = self.offers.read(&mut facts) {
                tracing::debug!(%source, %error, "no offer");
            }
            let conclusion = self.executor.judge(&self.snapshot.policy, id, facts);
            self.records
                .judged(&subject, &conclusion, recorded, &mut self.outlet);
            conclusion
        };
        self.decisions.count(&conclusion.decision);
        decision_log::write(&subject, &conclusion);
        ledger::alarms(&subject, &conclusion).for_each(|alarm| self.desk.raise(alarm));
        let headers = self.challenge(&conclusion, source);
        self.core.handle_conclusion(now, conclusion, headers);
    }

    /// Records must not be lost, and another one would have no room.
    fn refuse_for_records(&mut self, id: ConsultId) -> Conclusion {
        self.refused_for_records += 1;
        let text = "new calls are refused: call records cannot be written in time".to_owned();
        self.desk.raise(Alarm::of_host("records-full", text));
        ledger::no_room(id, self.snapshot.number)
    }

    fn call_event(&mut self, now: Moment, event: &CallEvent) {
        decision_log::call(event);
        let finished = self.records.note(event, &mut self.outlet);
        match event {
            CallEvent::Started { call, .. } => {
                let policy = &self.snapshot.policy;
                let now_ms = self.clock.now_ms();
                if self.followed.begin(event, policy, self.index, now_ms) {
                    self.tell(now, *call, &CallHappening::Started, None);
                }
            }
            CallEvent::Answered { call, callee } => {
                self.answered += 1;
                let now_ms = self.clock.now_ms();
                if self.followed.answer(*call, callee.as_ref(), now_ms) {
                    self.tell(now, *call, &CallHappening::Answered, None);
                }
            }
            CallEvent::Tick {
                call,
                plugin,
                seconds,
            } => self.tell(now, *call, &CallHappening::Tick(*seconds), Some(plugin)),
            CallEvent::Ended { .. } => self.ended += 1,
        }
        self.finish(finished);
    }

    fn foreign_media(&mut self, now: Moment, event: &LogEvent) {
        let LogEvent::ForeignMedia {
            call,
            stream,
            source,
            rejection,
            ..
        } = event
        else {
            return;
        };
        let happening = CallHappening::ForeignMedia {
            source: *source,
            stream: *stream,
            cause: decision_log::rejection_name(*rejection),
        };
        self.tell(now, *call, &happening, None);
    }

    /// Tell the policies that follow a call what happened to it, and do what they want.
    fn tell(
        &mut self,
        now: Moment,
        call: CallId,
        happening: &CallHappening,
        only: Option<&Arc<str>>,
    ) {
        let Some(facts) = self.followed.facts(call) else {
            return;
        };
        let policy = &self.snapshot.policy;
        let Some(conclusion) = self.executor.follow(policy, facts, happening, only) else {
            return;
        };
        self.records.heed(call, &conclusion);
        let secrets = self.records.secrets(call);
        decision_log::followed(facts, happening, &conclusion, secrets);
        ledger::call_alarms(facts, &conclusion, secrets).for_each(|alarm| self.desk.raise(alarm));
        self.heed(now, call, conclusion);
    }

    fn heed(&mut self, now: Moment, call: CallId, conclusion: CallConclusion) {
        for wish in conclusion.ticks {
            self.core.tick_after(now, call, wish.plugin, wish.seconds);
        }
        if let Some(seconds) = conclusion.limit_duration {
            let limit = Duration::from_secs(seconds.into());
            self.core.limit_call(now, call, limit);
        }
        if conclusion.end.is_some() {
            self.core.end_call(now, call, EndReason::Policy);
        }
    }

    /// A call is over and all is known of it. What policies want now comes too late, but
    /// their alerts do not.
    fn finish(&mut self, finished: Option<Finished>) {
        let Some(mut finished) = finished else {
            return;
        };
        if let Some((facts, ended)) = self.followed.finish(&finished) {
            let policy = &self.snapshot.policy;
            if let Some(conclusion) = self.executor.follow(policy, &facts, &ended, None) {
                finished.secrets.extend_from_slice(&conclusion.secrets);
                let secrets = &finished.secrets;
                decision_log::followed(&facts, &ended, &conclusion, secrets);
                ledger::call_alarms(&facts, &conclusion, secrets)
                    .for_each(|alarm| self.desk.raise(alarm));
            }
        }
        self.records.finish(finished, &mut self.outlet);
    }

    /// The proxy stops: policies hear of the end of every call that they follow, and the
    /// records of all that are left are written.
    pub(crate) fn stop(&mut self) {
        for call in self.followed.calls() {
            let answered = self
                .followed
                .facts(call)
                .and_then(|facts| facts.answered_ms);
            let lasted = answered.map(|answered| {
                Duration::from_millis(self.clock.now_ms().saturating_sub(answered))
            });
            self.finish(Some(Finished::stopped(call, lasted)));
        }
        self.records.abandon_all(&mut self.outlet);
    }

    fn judge_response(
        &mut self,
        now: Moment,
        id: ConsultId,
        pass: &CallPass,
        facts: ResponseFacts,
    ) {
        let subject = Subject::of_response(&facts);
        let policy = &self.snapshot.policy;
        let conclusion = self.executor.judge_response(policy, pass, facts);
        if let Some(conclusion) = &conclusion {
            decision_log::response(&subject.message, pass, conclusion);
            ledger::response_alarms(&subject, pass, conclusion)
                .for_each(|alarm| self.desk.raise(alarm));
        }
        self.core.handle_response_conclusion(now, id, conclusion);
    }

    /// Hand an order to the relay; its ports are open when this returns.
    fn order(&mut self, command: RelayCommand) {
        let Some(relay) = &self.relay else {
            // Without a relay the core has no media room.
            return;
        };
        if let RelayCommand::Open { session, .. } = &command {
            self.records.opened(*session);
        }
        relay.command(command);
    }

    /// Headers that only the host can make: nonces never come from a plugin.
    fn challenge(&self, conclusion: &Conclusion, source: IpAddr) -> Vec<(String, String)> {
        match &conclusion.decision {
            Decision::Challenge(challenge) => self.challenger.headers(challenge, source),
            _ => Vec::new(),
        }
    }
}
