//! Responses on their way to the response hooks of a policy, and those that wait behind
//! them: the responses of one transaction leave in the order in which they came (RFC 3261
//! section 16.7). A response of an admitted request always passes; an answer that comes
//! too late changes nothing.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use policy::{ConsultId, HeaderEdit, Peer, ResponseConclusion, ResponseFacts};
use sip_message::{EditError, Edits, Message, Method};
use sip_transaction::{Flow, Moment, TransactionId};

use crate::anchoring::PassedBody;
use crate::answers::Answer;
use crate::classify::{Proof, classify};
use crate::core::ProxyCore;
use crate::output::{FullTable, LogEvent, Output};
use crate::response_context::{Purpose, ResponseContext};
use crate::timers::{Timer, TimerKey};

/// Who sent a response, if its policy shall be asked about it.
pub(crate) type Answerer = Option<Box<Peer>>;

/// A question about a response.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) server: TransactionId,
    deadline: TimerKey,
}

/// What is settled when a response has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settles {
    /// Nothing: it is provisional, or a further 2xx.
    Nothing,
    /// The request has succeeded, by the branch at this place.
    Success(usize),
    /// The request has failed.
    Failure,
}

/// A response that goes upstream.
#[derive(Debug)]
pub(crate) struct Passing {
    pub(crate) response: Arc<Message>,
    pub(crate) status: u16,
    /// Header lines from elsewhere: the challenges of other branches.
    pub(crate) added: Vec<(&'static str, Vec<u8>)>,
    pub(crate) body: PassedBody,
    pub(crate) settles: Settles,
    pub(crate) answerer: Answerer,
}

/// Responses of one transaction that have not left yet, and what is known of those that
/// may come again.
#[derive(Debug, Default)]
pub(crate) struct Upstream {
    queue: VecDeque<Held>,
    /// 2xx that were judged: repeated ones leave with the same changes. At most
    /// `dialogs_per_call`.
    successes: Vec<Success>,
}

#[derive(Debug)]
enum Held {
    /// Its policy has not answered.
    Waiting(ConsultId, Passing),
    /// It waits for those before it.
    Ready(Ready),
}

#[derive(Debug)]
struct Ready {
    status: u16,
    bytes: Option<Bytes>,
    settles: Settles,
    response: Option<Arc<Message>>,
}

#[derive(Debug)]
struct Success {
    tag: Box<[u8]>,
    /// None while the policy has not answered.
    edits: Option<Vec<HeaderEdit>>,
}

/// What to do with a 2xx that may have come before.
enum Again {
    No,
    /// The first one waits for its policy: that one is enough.
    Waits,
    /// It was judged.
    With(Vec<HeaderEdit>),
}

impl Upstream {
    fn again(&self, tag: &[u8]) -> Again {
        match self.successes.iter().find(|known| *known.tag == *tag) {
            None => Again::No,
            Some(Success { edits: None, .. }) => Again::Waits,
            Some(Success {
                edits: Some(edits), ..
            }) => Again::With(edits.clone()),
        }
    }

    fn take_waiting(&mut self, consult: ConsultId) -> Option<(usize, Passing)> {
        let is_it = |held: &Held| matches!(held, Held::Waiting(id, _) if *id == consult);
        let place = self.queue.iter().position(is_it)?;
        match self.queue.remove(place)? {
            Held::Waiting(_, passing) => Some((place, passing)),
            Held::Ready(_) => None,
        }
    }
}

impl ProxyCore {
    /// The driver's answer to a [`ConsultResponse`](crate::Output::ConsultResponse); none if
    /// no plugin had anything to say. Where it cannot be carried out the response passes
    /// as it is.
    pub fn handle_response_conclusion(
        &mut self,
        now: Moment,
        consult: ConsultId,
        conclusion: Option<ResponseConclusion>,
    ) {
        let Some(asked) = self.asked.remove(&consult) else {
            self.log(LogEvent::ConclusionIgnored { consult });
            return;
        };
        self.timers.stop(Some(asked.deadline));
        self.response_judged(now, consult, asked.server, conclusion);
        self.settle_events(now, None);
    }

    /// Who sent this response, if it may have to be judged.
    pub(crate) fn answerer(
        &self,
        server: TransactionId,
        flow: &Flow,
        proof: Option<&Proof>,
    ) -> Answerer {
        let judged = &self.site.routing.response_pipelines;
        if judged.is_empty() {
            return None;
        }
        let context = self.contexts.get(&server)?;
        let pipeline = context.authority.pipeline();
        let is_judged = !context.upstream_gone && judged.contains(pipeline);
        is_judged.then(|| Box::new(classify(&self.site.routing, flow, proof)))
    }

    /// Sends a response upstream, if need be after its policy has seen it and after those
    /// that came before it.
    pub(crate) fn pass_upstream(
        &mut self,
        now: Moment,
        server: TransactionId,
        mut passing: Passing,
    ) {
        let Some(context) = self.contexts.get_mut(&server) else {
            return;
        };
        if passing.settles != Settles::Nothing {
            context.final_sent = Some(passing.status);
        }
        let (waiting, again) = match (&context.upstream, is_success(&passing)) {
            (None, _) => (0, Again::No),
            (Some(upstream), false) => (upstream.queue.len(), Again::No),
            (Some(upstream), true) => {
                let tag = passing.response.to_tag().unwrap_or_default();
                (upstream.queue.len(), upstream.again(tag))
            }
        };
        let most = self.site.routing.limits.held_responses;
        if matches!(again, Again::Waits) || (waiting >= most && passing.settles == Settles::Nothing)
        {
            return;
        }
        let edits = match again {
            Again::With(edits) => {
                passing.answerer = None;
                edits
            }
            Again::No | Again::Waits => Vec::new(),
        };
        let held = match self.ask_about(now, server, &mut passing) {
            Some(consult) => Held::Waiting(consult, passing),
            None => Held::Ready(self.written(server, passing, &edits)),
        };
        match held {
            Held::Ready(ready) if waiting == 0 => self.leave(now, server, ready),
            held => self.hold(server, held),
        }
    }

    /// Answers a server transaction, after the responses that wait to leave by it.
    pub(crate) fn respond_in_order(
        &mut self,
        now: Moment,
        server: TransactionId,
        status: u16,
        bytes: Bytes,
    ) {
        let context = self.contexts.get(&server);
        let upstream = context.and_then(|context| context.upstream.as_ref());
        if upstream.is_none_or(|upstream| upstream.queue.is_empty()) {
            let _ = self.layer.respond(now, server, status, bytes);
            return;
        }
        let ready = Ready {
            status,
            bytes: Some(bytes),
            settles: Settles::Nothing,
            response: None,
        };
        self.hold(server, Held::Ready(ready));
    }

    /// Whoever asked is gone: nothing waits any more, and what would have been settled is.
    pub(crate) fn abandon_upstream(&mut self, now: Moment, server: TransactionId) {
        let context = self.contexts.get_mut(&server);
        let Some(upstream) = context.and_then(|context| context.upstream.take()) else {
            return;
        };
        for held in upstream.queue {
            let ready = match held {
                Held::Ready(ready) => ready,
                Held::Waiting(consult, passing) => {
                    if let Some(asked) = self.asked.remove(&consult) {
                        self.timers.stop(Some(asked.deadline));
                    }
                    Ready {
                        status: passing.status,
                        bytes: None,
                        settles: passing.settles,
                        response: Some(passing.response),
                    }
                }
            };
            self.settle(now, server, &ready);
        }
    }

    /// The policy has answered, or its time is over.
    pub(crate) fn response_judged(
        &mut self,
        now: Moment,
        consult: ConsultId,
        server: TransactionId,
        conclusion: Option<ResponseConclusion>,
    ) {
        let Some(context) = self.contexts.get_mut(&server) else {
            return;
        };
        let Some(upstream) = &mut context.upstream else {
            return;
        };
        let Some((place, passing)) = upstream.take_waiting(consult) else {
            return;
        };
        let (edits, replacement) = match conclusion {
            Some(conclusion) => (conclusion.header_edits, conclusion.replacement),
            None => (Vec::new(), None),
        };
        if is_success(&passing) {
            let tag = passing.response.to_tag().unwrap_or_default();
            if let Some(known) = upstream
                .successes
                .iter_mut()
                .find(|known| *known.tag == *tag)
            {
                known.edits = Some(edits.clone());
            }
        }
        let replacement = replacement.filter(|_| passing.settles == Settles::Failure);
        let ready = match replacement {
            Some(refusal) => {
                let (request, flow) = (Arc::clone(&context.request), context.flow.clone());
                let answer = Answer::refusing(&refusal);
                Ready {
                    status: answer.status,
                    bytes: self.write_answer(&request, &flow, &answer),
                    settles: passing.settles,
                    response: None,
                }
            }
            None => self.written(server, passing, &edits),
        };
        let context = self.contexts.get_mut(&server);
        if let Some(upstream) = context.and_then(|context| context.upstream.as_mut()) {
            let place = place.min(upstream.queue.len());
            upstream.queue.insert(place, Held::Ready(ready));
        }
        self.flush_upstream(now, server);
    }

    fn flush_upstream(&mut self, now: Moment, server: TransactionId) {
        loop {
            let context = self.contexts.get_mut(&server);
            let Some(upstream) = context.and_then(|context| context.upstream.as_mut()) else {
                return;
            };
            match upstream.queue.pop_front() {
                Some(Held::Ready(ready)) => self.leave(now, server, ready),
                Some(waiting) => {
                    upstream.queue.push_front(waiting);
                    return;
                }
                None => return,
            }
        }
    }

    fn leave(&mut self, now: Moment, server: TransactionId, mut ready: Ready) {
        if let Some(bytes) = ready.bytes.take() {
            // One that has ended needs no response.
            let _ = self.layer.respond(now, server, ready.status, bytes);
        }
        self.settle(now, server, &ready);
    }

    fn settle(&mut self, now: Moment, server: TransactionId, ready: &Ready) {
        match ready.settles {
            Settles::Nothing => {}
            Settles::Success(index) => {
                self.final_sent(now, server, index, ready.status, ready.response.as_ref());
            }
            Settles::Failure => self.final_sent(now, server, 0, ready.status, None),
        }
    }

    fn hold(&mut self, server: TransactionId, held: Held) {
        let limit = self.site.routing.limits.dialogs_per_call;
        let Some(context) = self.contexts.get_mut(&server) else {
            return;
        };
        let upstream = context.upstream.get_or_insert_default();
        if let Held::Waiting(_, passing) = &held
            && is_success(passing)
            && upstream.successes.len() < limit
        {
            upstream.successes.push(Success {
                tag: passing.response.to_tag().unwrap_or_default().into(),
                edits: None,
            });
        }
        upstream.queue.push_back(held);
    }

    /// Asks the policy, if it wants to be asked and there is room for the question.
    fn ask_about(
        &mut self,
        now: Moment,
        server: TransactionId,
        passing: &mut Passing,
    ) -> Option<ConsultId> {
        let peer = passing.answerer.take()?;
        let routing = &self.site.routing;
        if self.consults.len() + self.asked.len() >= routing.limits.pending_consults {
            self.log(LogEvent::Full(FullTable::PendingConsults));
            return None;
        }
        let context = self.contexts.get(&server)?;
        let pass = context.authority.pass();
        let facts = ResponseFacts {
            message: Arc::clone(&passing.response),
            peer: *peer,
            identity: pass.account().identity.clone(),
            caller: self.sender_name(context),
        };
        let at = now + routing.timers.consult_deadline;
        let id = self.consults.next_id();
        let deadline = self.timers.set(at, Timer::Consult(id));
        self.asked.insert(id, Asked { server, deadline });
        self.outputs
            .push_back(Output::ConsultResponse { id, pass, facts });
        Some(id)
    }

    /// Name of the peer that the request came from.
    fn sender_name(&self, context: &ResponseContext) -> Option<Arc<str>> {
        let leg = match context.purpose {
            Purpose::Begins(call) => self.calls.get(call).map(|call| &call.caller),
            Purpose::Within(dialog) | Purpose::Ends(dialog) => self
                .calls
                .get(dialog.call)
                .and_then(|call| call.leg(dialog.side, dialog.dialog)),
            Purpose::Alone => None,
        };
        match leg {
            Some(leg) => leg.peer.clone(),
            None => context.plan.sender.clone(),
        }
    }

    /// Writes a response with a policy's changes; without them where they cannot be written.
    fn written(&self, server: TransactionId, passing: Passing, edits: &[HeaderEdit]) -> Ready {
        let context = self.contexts.get(&server);
        let bytes = context.and_then(|context| {
            let limit = self.message_limits.message_bytes;
            upstream_copy(context, &passing, edits)
                .ok()
                .filter(|bytes| edits.is_empty() || bytes.len() <= limit)
                .or_else(|| upstream_copy(context, &passing, &[]).ok())
        });
        Ready {
            status: passing.status,
            bytes,
            settles: passing.settles,
            response: Some(passing.response),
        }
    }
}

/// Whether it is a 2xx to an INVITE, which is repeated until its ACK comes.
fn is_success(passing: &Passing) -> bool {
    (200..300).contains(&passing.status) && passing.response.method() == Method::Invite
}

/// The response without our Via, with what was added and changed, with the addresses that
/// whoever asked wrote, and with its body as it may pass.
fn upstream_copy(
    context: &ResponseContext,
    passing: &Passing,
    edits: &[HeaderEdit],
) -> Result<Bytes, EditError> {
    let mut copy = Edits::new(&passing.response);
    copy.pop_via();
    if let Some((guise, _)) = &context.plan.guise {
        guise.take_off(&mut copy, &passing.response, &context.request);
    }
    passing.body.write(&mut copy);
    for (name, value) in &passing.added {
        copy.append(name, value);
    }
    for edit in edits {
        match edit {
            HeaderEdit::Set { name, value } => copy.set(name, value),
            HeaderEdit::Add { name, value } => copy.append(name, value),
            HeaderEdit::Remove { name } => copy.remove(name),
        };
    }
    copy.finish()
}
