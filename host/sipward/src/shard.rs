//! One shard: a pure proxy core, its plugin instances, and the way between them.
//!
//! One thread at a time holds it. After each piece of work everything the core has
//! to say is carried out at once, so nothing waits for a second turn.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use media::{OfferLimits, read_offer};
use policy::{Certificate, Conclusion, Decision, MediaStream, RequestFacts};
use policy_wasm::Executor;
use sip_message::Anomalies;
use sip_proxy::{CallEvent, Output, ProxyCore};
use sip_transaction::{Moment, TransactionId, Transmit};
use transport::{Inbound, PeerCertificate, Received, Sender};

use crate::challenge::Challenger;
use crate::decision_log::{self, Subject};
use crate::shards::Work;
use crate::snapshot::Snapshot;
use crate::status::{DecisionCounts, ShardFigures};

/// The calls of one shard and all that they need.
pub(crate) struct Shard {
    core: ProxyCore,
    executor: Executor,
    snapshot: Arc<Snapshot>,
    sender: Sender,
    challenger: Challenger,
    started: Instant,
    offer_limits: OfferLimits,
    last_certificate: Option<(Arc<PeerCertificate>, Arc<Certificate>)>,
    decisions: DecisionCounts,
    invalid: u64,
    answered: u64,
    ended: u64,
}

impl Shard {
    pub(crate) fn new(
        core: ProxyCore,
        snapshot: Arc<Snapshot>,
        sender: Sender,
        challenger: Challenger,
    ) -> Self {
        let mut shard = Self {
            core,
            executor: Executor::new(),
            snapshot: Arc::clone(&snapshot),
            sender,
            challenger,
            started: Instant::now(),
            offer_limits: OfferLimits::default(),
            last_certificate: None,
            decisions: DecisionCounts::default(),
            invalid: 0,
            answered: 0,
            ended: 0,
        };
        shard.warm();
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

    /// Does a piece of work and all that follows from it.
    pub(crate) fn perform(&mut self, work: Work) {
        match work {
            Work::Inbound(inbound) => self.receive(inbound),
            Work::Failed(transaction) => self.failed(transaction),
            Work::TimeOut => self.time_out(),
        }
    }

    /// Take something from the network.
    fn receive(&mut self, inbound: Inbound) {
        let now = self.now();
        match inbound.what {
            Received::Message(message) => {
                let certificate = inbound
                    .certificate
                    .as_ref()
                    .map(|peer| self.certificate(peer));
                self.core
                    .handle_message(now, message, &inbound.flow, certificate);
                self.carry_out(now);
            }
            Received::Invalid(error) => {
                self.invalid += 1;
                tracing::debug!(source = %inbound.flow.peer, %error, "not a valid message");
                if let Some(bytes) = error.response(b"sipward") {
                    self.sender.send(Transmit {
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

    /// Use another configuration from the next message on.
    pub(crate) fn install(&mut self, snapshot: Arc<Snapshot>) {
        self.core.set_config(Arc::clone(&snapshot.routing));
        self.snapshot = snapshot;
        self.warm();
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
            decisions: self.decisions,
        }
    }

    /// The certificate as policies see it. Messages of one connection come in
    /// runs, so the last one is kept.
    fn certificate(&mut self, peer: &Arc<PeerCertificate>) -> Arc<Certificate> {
        match &self.last_certificate {
            Some((known, seen)) if Arc::ptr_eq(known, peer) => Arc::clone(seen),
            _ => {
                let seen = Arc::new(Certificate {
                    names: peer.names.clone(),
                    fingerprint: peer.fingerprint.clone(),
                });
                self.last_certificate = Some((Arc::clone(peer), Arc::clone(&seen)));
                seen
            }
        }
    }

    /// Instances are made before the first request needs them. A plugin that
    /// gives none here fails that request, under its `on_failure`.
    fn warm(&mut self) {
        if let Err((plugin, failure)) = self.executor.warm(&self.snapshot.policy) {
            tracing::error!(%plugin, reason = %failure, "plugin gives no instance");
        }
    }

    fn carry_out(&mut self, now: Moment) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Transmit(transmit) => self.sender.send(transmit),
                Output::Consult { id, mut facts } => {
                    self.read_offer(&mut facts);
                    let subject = Subject::of(&facts);
                    let source = facts.peer.address;
                    let conclusion = self.executor.judge(&self.snapshot.policy, id, facts);
                    self.decisions.count(&conclusion.decision);
                    decision_log::write(&subject, &conclusion);
                    let headers = self.challenge(&conclusion, source);
                    self.core.handle_conclusion(now, conclusion, headers);
                }
                Output::Call(event) => {
                    match event {
                        CallEvent::Answered { .. } => self.answered += 1,
                        CallEvent::Ended { .. } => self.ended += 1,
                        CallEvent::Started { .. } => {}
                    }
                    decision_log::call(&event);
                }
                Output::Log(event) => decision_log::noticed(&event),
                // Cores are made without a media room, so there is nothing to relay.
                Output::Media(_) | Output::MediaClosed(_) => {}
            }
        }
    }

    /// Headers that only the host can make: nonces never come from a plugin.
    fn challenge(&self, conclusion: &Conclusion, source: IpAddr) -> Vec<(String, String)> {
        match &conclusion.decision {
            Decision::Challenge(challenge) => self.challenger.headers(challenge, source),
            _ => Vec::new(),
        }
    }

    /// Fill in the streams of an SDP body. A body that cannot be read is an
    /// anomaly, so that a policy which wants encryption does not mistake it for
    /// a request without media.
    fn read_offer(&self, facts: &mut RequestFacts) {
        let message = Arc::clone(&facts.message);
        let body = message.body();
        let is_sdp = message
            .header(sip_message::HeaderKind::ContentType)
            .is_some_and(|kind| {
                kind.get(..15)
                    .is_some_and(|kind| kind.eq_ignore_ascii_case(b"application/sdp"))
            });
        if !is_sdp || body.is_empty() {
            return;
        }
        match read_offer(body, &self.offer_limits) {
            Ok(streams) => {
                let slice = |part: &[u8]| message.bytes().slice_ref(part);
                facts.offer = streams
                    .iter()
                    .map(|stream| MediaStream {
                        kind: slice(stream.kind),
                        protocol: slice(stream.protocol),
                        encrypted: stream.encrypted,
                        address: slice(stream.address),
                        port: stream.port,
                        address_kind: policy::AddressKind::default(),
                    })
                    .collect();
            }
            Err(error) => {
                tracing::debug!(source = %facts.peer.address, %error, "SDP not understood");
                facts.anomalies.insert(Anomalies::UNREADABLE_OFFER);
            }
        }
    }
}
