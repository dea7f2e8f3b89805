//! A new request, from its validation to the question to the policy: RFC 3261 section
//! 16.3, and 16.2 for the 100 (Trying).

use std::sync::Arc;

use policy::{DialogState, Peer};
use sip_message::{Message, Method};
use sip_transaction::{Flow, Moment, TransactionId, Transport};

use crate::answers::Answer;
use crate::calls::DialogRef;
use crate::classify::{Proof, classify, request_facts};
use crate::consults::Pending;
use crate::core::ProxyCore;
use crate::output::{FullTable, LogEvent, Output};
use crate::routing::{Approach, approach};
use crate::silence::Silenced;
use crate::timers::Timer;
use crate::validation::{Invalid, Validated, validate};

impl ProxyCore {
    pub(crate) fn handle_request(
        &mut self,
        now: Moment,
        server: TransactionId,
        request: Arc<Message>,
        flow: Flow,
        proof: Option<&Proof>,
    ) {
        if self.is_silenced(&request, &flow) {
            self.layer.terminate(server);
            return;
        }
        let site = Arc::clone(&self.site);
        let peer = classify(&site.routing, &flow, proof);
        let limits = &site.routing.limits;
        let validated = match validate(&request, &peer, &site.own, &self.entropy, limits) {
            Ok(validated) => validated,
            Err(invalid) => return self.reject_invalid(now, server, &request, &flow, &invalid),
        };
        let dialog = request.to_tag().and_then(|to_tag| {
            let from_tag = request.from_tag().unwrap_or_default();
            self.calls.find(request.call_id(), from_tag, to_tag)
        });
        let approach = approach(&site, &self.entropy, &request, &flow);
        match (request.method(), dialog) {
            (Method::Prack, Some(dialog)) if !self.is_party(dialog, &flow) => {
                let cause = "PRACK from elsewhere than its party";
                self.reject(now, server, &request, &flow, Answer::new(403), cause);
            }
            (Method::Bye | Method::Prack, Some(dialog)) => {
                self.forward_passed(now, server, request, flow, validated, approach, dialog);
            }
            (Method::Bye | Method::Prack, None) => {
                self.reject(
                    now,
                    server,
                    &request,
                    &flow,
                    Answer::new(481),
                    "no admitted call",
                );
            }
            (_, None) if self.draining => {
                self.answer_busy(now, server, &request, &flow);
                self.log(LogEvent::Rejected {
                    status: 503,
                    cause: "draining",
                    source: flow.peer,
                });
            }
            _ => self.consult(
                now, server, request, flow, peer, validated, approach, dialog,
            ),
        }
    }

    fn is_silenced(&self, request: &Message, flow: &Flow) -> bool {
        !self.silenced.is_empty()
            && self
                .silenced
                .contains(Silenced::fingerprint(&self.entropy, request, flow))
    }

    fn reject_invalid(
        &mut self,
        now: Moment,
        server: TransactionId,
        request: &Message,
        flow: &Flow,
        invalid: &Invalid,
    ) {
        let mut answer = Answer::new(invalid.status()).phrase(invalid.phrase());
        if let Invalid::Extension(tags) = invalid {
            answer = answer.header("Unsupported", tags.clone());
        }
        self.reject(now, server, request, flow, answer, invalid.phrase());
    }

    pub(crate) fn reject(
        &mut self,
        now: Moment,
        server: TransactionId,
        request: &Message,
        flow: &Flow,
        answer: Answer<'_>,
        cause: &'static str,
    ) {
        if self.hears_nothing(flow) {
            self.log(LogEvent::Dropped {
                cause,
                source: flow.peer,
            });
            self.layer.terminate(server);
            return;
        }
        self.log(LogEvent::Rejected {
            status: answer.status,
            cause,
            source: flow.peer,
        });
        self.answer(now, server, request, flow, answer);
    }

    /// Whether the sender is a stranger who gets no answer to what no policy is asked
    /// about.
    pub fn hears_nothing(&self, flow: &Flow) -> bool {
        let routing = &self.site.routing;
        routing.silent_to_strangers
            && flow.transport == Transport::Udp
            && classify(routing, flow, None).name.is_none()
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "they become the fields of one record"
    )]
    fn consult(
        &mut self,
        now: Moment,
        server: TransactionId,
        request: Arc<Message>,
        flow: Flow,
        peer: Peer,
        validated: Validated,
        approach: Approach,
        dialog: Option<DialogRef>,
    ) {
        let routing = &self.site.routing;
        if self.consults.len() + self.asked.len() >= routing.limits.pending_consults {
            self.log(LogEvent::Full(FullTable::PendingConsults));
            self.answer_busy(now, server, &request, &flow);
            return;
        }
        let deadline = now + routing.timers.consult_deadline;
        let id = self.consults.next_id();
        let deadline = self.timers.set(deadline, Timer::Consult(id));
        let for_us = request.method() == Method::Options
            && (validated.last_hop || (dialog.is_none() && approach.ends_here));
        let state = dialog.map_or(DialogState::None, |dialog| dialog.state);
        let facts = request_facts(&request, peer.clone(), &flow, state);
        let trying_sent = request.method() != Method::Invite;
        let pending = Pending {
            server,
            request,
            flow,
            peer,
            validated,
            approach,
            dialog,
            for_us,
            asked: now,
            deadline: Some(deadline),
            trying_sent,
        };
        self.consults.insert(id, pending);
        self.outputs.push_back(Output::Consult { id, facts });
    }

    /// Sends 100 (Trying) for every INVITE whose policy has not answered yet.
    pub(crate) fn send_due_trying(&mut self) {
        while let Some(pending) = self.consults.next_trying() {
            pending.trying_sent = true;
            let (server, request) = (pending.server, Arc::clone(&pending.request));
            let (flow, asked) = (pending.flow.clone(), pending.asked);
            self.answer(asked, server, &request, &flow, Answer::new(100));
        }
    }
}
