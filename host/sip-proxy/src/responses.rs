//! Response processing: RFC 3261 section 16.7. Each response is handled, and leaves or
//! queues for its policy, before the next one is looked at; so those of one transaction
//! keep their order.

use std::sync::Arc;

use policy::DialogState;
use sip_message::{Message, Method};
use sip_transaction::{Flow, Moment, Timer as Letter, TransactionId};

use crate::answers::Answer;
use crate::best_response::Final;
use crate::classify::Proof;
use crate::config::Routing;
use crate::core::ProxyCore;
use crate::dialog::Leg;
use crate::judging::{Answerer, Passing, Settles};
use crate::output::{EndReason, LogEvent};
use crate::response_context::{Cancelling, Progress, Purpose, ResponseContext};
use crate::timers::Timer;

impl ProxyCore {
    pub(crate) fn handle_response(
        &mut self,
        now: Moment,
        client: TransactionId,
        response: Arc<Message>,
        flow: &Flow,
        proof: Option<&Proof>,
    ) {
        // Answers to a CANCEL or a BYE of our own concern nobody else.
        let Some((server, index)) = self.branches.get(&client).copied() else {
            return;
        };
        let Some(status) = response.status() else {
            return;
        };
        // Step 3: our Via is on top, and somebody's is below.
        if !self.site.own.wrote(&response.top_via()) || response.vias().nth(1).is_none() {
            self.log(LogEvent::Dropped {
                cause: "response with wrong Via",
                source: flow.peer,
            });
            return;
        }
        let answerer = self.answerer(server, flow, proof);
        match status {
            100..=199 => self.provisional(now, server, index, status, &response, answerer),
            200..=299 => self.success(now, server, index, status, &response, answerer),
            _ => {
                let received = Final::Received(response, answerer);
                self.branch_failed(now, server, index, status, received);
            }
        }
    }

    fn provisional(
        &mut self,
        now: Moment,
        server: TransactionId,
        index: usize,
        status: u16,
        response: &Arc<Message>,
        answerer: Answerer,
    ) {
        let Some(context) = self.contexts.get_mut(&server) else {
            return;
        };
        let invite = context.is_invite();
        let settled = context.final_sent.is_some();
        let Some(branch) = context.branches.get_mut(index) else {
            return;
        };
        if branch.progress == Progress::Finished {
            return;
        }
        branch.progress = Progress::Proceeding;
        if branch.cancelling == Cancelling::Wanted {
            self.send_cancel(now, server, index);
        } else if invite && branch.cancelling == Cancelling::No && status > 100 {
            // Step 2: Timer C starts again.
            self.timers.stop(branch.timer.take());
            let at = now + self.layer.timers().duration(Letter::C);
            branch.timer = Some(self.timers.set(at, Timer::C(branch.client)));
        }
        // Step 5: 100 is between us and the next hop.
        if status == 100 || settled {
            return;
        }
        let dialog = self.learn_dialog(server, index, response, DialogState::Early);
        let body = self.describe_provisional(server, index, response, dialog);
        let passing = Passing {
            response: Arc::clone(response),
            status,
            added: Vec::new(),
            body,
            settles: Settles::Nothing,
            answerer,
        };
        self.pass_upstream(now, server, passing);
    }

    fn success(
        &mut self,
        now: Moment,
        server: TransactionId,
        index: usize,
        status: u16,
        response: &Arc<Message>,
        answerer: Answerer,
    ) {
        let Some(context) = self.contexts.get_mut(&server) else {
            return;
        };
        let invite = context.is_invite();
        let first = context.final_sent.is_none();
        if first || invite {
            let dialog = self.learn_dialog(server, index, response, DialogState::Confirmed);
            let body = match self.describe_response(server, index, response, dialog) {
                Ok(body) => body,
                Err(why) => {
                    self.answer_refused(now, server, index, response, dialog, why);
                    return;
                }
            };
            if let Some(dialog) = dialog {
                self.media_confirmed(server, index, dialog);
            }
            // Every 2xx to an INVITE goes upstream, repeated ones too (RFC 6026 section 7.1).
            let settles = if first {
                Settles::Success(index)
            } else {
                Settles::Nothing
            };
            let passing = Passing {
                response: Arc::clone(response),
                status,
                added: Vec::new(),
                body,
                settles,
                answerer,
            };
            self.pass_upstream(now, server, passing);
        }
        let Some(context) = self.contexts.get_mut(&server) else {
            return;
        };
        if let Some(branch) = context.finish(index) {
            self.timers.stop(branch.timer.take());
        }
        if first {
            context.targets.clear();
            // Step 10.
            self.cancel_branches(now, server);
        }
        self.release_context(server);
    }

    /// Keeps what a response says about the dialog of a new call. Returns the serial of
    /// that dialog.
    fn learn_dialog(
        &mut self,
        server: TransactionId,
        index: usize,
        response: &Message,
        state: DialogState,
    ) -> Option<u32> {
        let context = self.contexts.get(&server)?;
        let Purpose::Begins(call) = context.purpose else {
            return None;
        };
        let branch = context.branches.get(index)?;
        let tag = response.to_tag();
        // Without a tag there is no early dialog (section 12.1), but from an RFC 2543 peer
        // there is a confirmed one.
        if tag.is_none() && state == DialogState::Early {
            return None;
        }
        let limits = &self.site.routing.limits;
        let destination = branch.destination.clone();
        let leg = Leg::callee(response, destination, &self.entropy, limits.routes_per_leg)
            .of_peer(branch.peer.as_ref());
        let (tag, terms) = (tag.unwrap_or_default(), branch.terms.clone());
        let call = self.calls.get_mut(call)?;
        call.learn(tag, state, leg, terms, limits.dialogs_per_call)
    }

    /// Sends the best response: steps 6 to 9.
    pub(crate) fn send_best(&mut self, now: Moment, server: TransactionId) {
        let site = Arc::clone(&self.site);
        let Some(context) = self.contexts.get_mut(&server) else {
            return;
        };
        let (status, response) = context.best.take().unwrap_or((500, Final::Made(500)));
        context.media_refused = matches!(response, Final::Refused { .. });
        let (request, flow) = (Arc::clone(&context.request), context.flow.clone());
        if status == 408 && !context.is_invite() {
            // RFC 4320 section 4.2: nobody waits for that any more.
            self.final_sent(now, server, 0, status, None);
            self.layer.terminate(server);
            return;
        }
        let status = match (status, &response) {
            (503, Final::Refused { .. }) => {
                self.answer_busy(now, server, &request, &flow);
                self.final_sent(now, server, 0, status, None);
                return;
            }
            (503, _) if context.overloaded => {
                self.answer_busy(now, server, &request, &flow);
                self.final_sent(now, server, 0, status, None);
                return;
            }
            (503, Final::Received(..)) if is_only_way(context, &site.routing) => 503,
            // Step 6: the next request may well find another way.
            (503, _) => {
                self.answer(now, server, &request, &flow, Answer::new(500));
                self.final_sent(now, server, 0, 500, None);
                return;
            }
            (status, _) => status,
        };
        match response {
            Final::Made(status) => {
                self.answer(now, server, &request, &flow, Answer::new(status));
            }
            Final::Refused { status, warning } => {
                self.answer_refusal(now, server, status, warning);
            }
            Final::Received(message, answerer) => {
                let added = match status {
                    401 | 407 => context.best.further_challenges(&message),
                    _ => Vec::new(),
                };
                let body = self.describe_refusal(server, &message);
                let passing = Passing {
                    response: message,
                    status,
                    added,
                    body,
                    settles: Settles::Failure,
                    answerer,
                };
                self.pass_upstream(now, server, passing);
                return;
            }
        }
        self.final_sent(now, server, 0, status, None);
    }

    /// The final response is out: what it means for the call.
    pub(crate) fn final_sent(
        &mut self,
        now: Moment,
        server: TransactionId,
        index: usize,
        status: u16,
        success: Option<&Arc<Message>>,
    ) {
        let Some(context) = self.contexts.get_mut(&server) else {
            return;
        };
        context.final_sent = Some(status);
        let (cancelled, media_refused) = (context.cancelled, context.media_refused);
        let purpose = context.purpose;
        let callee = context
            .branches
            .get(index)
            .and_then(|branch| branch.peer.clone());
        match (purpose, success) {
            (Purpose::Begins(call), Some(_)) => self.call_answered(now, call, callee),
            (Purpose::Begins(call), None) => {
                let reason = match status {
                    _ if media_refused => EndReason::MediaRefused,
                    487 if cancelled => EndReason::Cancelled,
                    408 => EndReason::TimedOut,
                    status => EndReason::Refused { status },
                };
                self.call_refused(now, call, reason);
            }
            (Purpose::Ends(dialog), _) => {
                // After a challenge the same BYE comes again, with credentials.
                if !matches!(status, 401 | 407) {
                    self.dialog_ended(now, dialog);
                }
            }
            (Purpose::Within(dialog), Some(response)) => {
                let refreshes = matches!(context.request.method(), Method::Invite | Method::Update);
                if refreshes {
                    let (request, flow) = (Arc::clone(&context.request), context.flow.clone());
                    let limit = context.authority.limit_duration();
                    self.refresh_targets(dialog, &request, &flow, response);
                    self.shorten_call(now, dialog.call, limit);
                }
            }
            (Purpose::Within(_), None) => self.offer_came_to_nothing(server),
            (Purpose::Alone, _) => {}
        }
    }
}

/// Whether a 503 from the one target of a request says that no other request would fare
/// better: there is no other peer of its kind.
fn is_only_way(context: &ResponseContext, routing: &Routing) -> bool {
    let Some(branch) = context.branches.first() else {
        return false;
    };
    let Some(peer) = branch.peer.as_deref().and_then(|name| routing.peer(name)) else {
        return false;
    };
    context.targets.size == 1
        && routing
            .peers
            .iter()
            .filter(|other| other.kind == peer.kind)
            .count()
            == 1
}
