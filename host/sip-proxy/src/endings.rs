//! How calls are answered and end: by their own BYE, or by one that we send to both
//! sides when their time is up or the host asks for it (RFC 3261 section 15).

use std::sync::Arc;
use std::time::Duration;

use policy::{CallPass, DialogState};
use sip_message::Message;
use sip_transaction::{Flow, Moment};
use smallvec::SmallVec;

use crate::anchoring::PassedBody;
use crate::authority::Authority;
use crate::calls::DialogRef;
use crate::core::ProxyCore;
use crate::dialog::Side;
use crate::dismissal::{OwnRequest, next_cseq};
use crate::forwarding::{self, CopyFor, Plan};
use crate::loop_detection;
use crate::output::{CallEvent, CallId, EndReason, LogEvent, Output};
use crate::routing::{approach, leads_astray, within_call};
use crate::timers::Timer;

impl ProxyCore {
    /// Ends an admitted call: a call that still rings is cancelled, an answered one gets
    /// a BYE towards both sides, whose responses stay with us. False if there is no such
    /// call.
    pub fn end_call(&mut self, now: Moment, call: CallId, reason: EndReason) -> bool {
        let known = self.begin_end(now, call, reason);
        self.settle_events(now, None);
        known
    }

    pub(crate) fn begin_end(&mut self, now: Moment, call: CallId, reason: EndReason) -> bool {
        let Some(known) = self.calls.get_mut(call) else {
            return false;
        };
        match known.invite {
            Some(server) => {
                known.ending.get_or_insert(reason);
                self.cancel_request(now, server);
            }
            None => self.hang_up(now, call, reason),
        }
        true
    }

    /// The calls that have been admitted and not ended, in no order.
    pub fn calls(&self) -> impl Iterator<Item = CallId> {
        self.calls.ids()
    }

    pub(crate) fn call_limit_reached(&mut self, now: Moment, call: CallId) {
        let reason = self.calls.get_mut(call).map(|call| {
            call.limit_timer = None;
            call.limit.1
        });
        if let Some(reason) = reason {
            self.end_call(now, call, reason);
        }
    }

    pub(crate) fn call_answered(&mut self, now: Moment, id: CallId, callee: Option<Arc<str>>) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        call.invite = None;
        call.answered = Some(now);
        call.limit_timer = Some(self.timers.set(now + call.limit.0, Timer::CallLimit(id)));
        let ending = call.ending;
        // A BYE may have overtaken a 2xx that waited for its policy.
        let over = !call.is_confirmed();
        self.await_tick(id);
        self.outputs
            .push_back(Output::Call(CallEvent::Answered { call: id, callee }));
        if let Some(reason) = ending {
            self.hang_up(now, id, reason);
        } else if over {
            self.close_call(now, id, EndReason::Bye);
        }
    }

    /// The first INVITE ended without a 2xx. `reason` counts if the host has none.
    pub(crate) fn call_refused(&mut self, now: Moment, id: CallId, reason: EndReason) {
        let ending = self.calls.get(id).and_then(|call| call.ending);
        self.close_call(now, id, ending.unwrap_or(reason));
    }

    /// A BYE was answered.
    pub(crate) fn dialog_ended(&mut self, now: Moment, dialog: DialogRef) {
        let Some(call) = self.calls.get_mut(dialog.call) else {
            return;
        };
        call.dialogs.retain(|known| known.serial != dialog.dialog);
        if call.invite.is_none() && !call.is_confirmed() {
            self.close_call(now, dialog.call, EndReason::Bye);
        }
    }

    /// Forgets a call and says so.
    pub(crate) fn close_call(&mut self, now: Moment, id: CallId, reason: EndReason) {
        let Some(call) = self.calls.remove(id) else {
            return;
        };
        self.timers.stop(call.limit_timer);
        self.timers.stop(call.ticks.timer());
        call.pass.release();
        self.media_closed(id, &call.call_id);
        let lasted = call.answered.map(|answered| now - answered);
        self.outputs.push_back(Output::Call(CallEvent::Ended {
            call: id,
            reason,
            lasted,
        }));
    }

    /// A 2xx to a request within a dialog that may bring new Contacts: section 12.2.
    pub(crate) fn refresh_targets(
        &mut self,
        dialog: DialogRef,
        request: &Message,
        flow: &Flow,
        response: &Message,
    ) {
        let Some(call) = self.calls.get_mut(dialog.call) else {
            return;
        };
        if let Some(sender) = call.leg_mut(dialog.side, dialog.dialog) {
            sender.refresh(request);
            sender.destination = flow.reply();
        }
        if let Some(receiver) = call.leg_mut(dialog.side.other(), dialog.dialog) {
            receiver.refresh(response);
        }
    }

    /// A policy may shorten a call by its decision on a later request, never lengthen it.
    pub(crate) fn shorten_call(&mut self, now: Moment, id: CallId, limit: Option<Duration>) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let (Some(limit), Some(answered)) = (limit, call.answered) else {
            return;
        };
        let total = (now - answered) + limit;
        if total < call.limit.0 {
            call.limit = (total, EndReason::DurationLimit);
            self.timers.stop(call.limit_timer.take());
            call.limit_timer = Some(self.timers.set(now + limit, Timer::CallLimit(id)));
        }
    }

    fn hang_up(&mut self, now: Moment, id: CallId, reason: EndReason) {
        let Some(call) = self.calls.get(id) else {
            return;
        };
        let byes: SmallVec<[_; 2]> = call
            .dialogs
            .iter()
            .filter(|dialog| dialog.state == DialogState::Confirmed)
            .flat_map(|dialog| {
                [
                    (Side::Caller, &call.caller, &dialog.callee),
                    (Side::Callee, &dialog.callee, &call.caller),
                ]
            })
            .filter_map(|(side, from, to)| {
                let bye = OwnRequest {
                    method: "BYE",
                    call_id: &call.call_id,
                    side,
                    from,
                    to,
                    guise: call.guise.as_deref(),
                    cseq: next_cseq(from.cseq),
                    branch: &loop_detection::branch(self.entropy.unique(), 0),
                };
                bye.write(&self.site)
            })
            .collect();
        for (bytes, destination) in byes {
            self.send_bye(now, bytes, destination);
        }
        self.close_call(now, id, reason);
    }

    /// An ACK for a 2xx passes, without a transaction (section 16.11), if it belongs to
    /// an admitted call; any other is dropped.
    pub(crate) fn handle_ack(&mut self, now: Moment, ack: &Message, flow: &Flow) {
        let dialog = ack.to_tag().and_then(|to_tag| {
            self.calls
                .find(ack.call_id(), ack.from_tag().unwrap_or_default(), to_tag)
        });
        let pass =
            dialog.and_then(|dialog| Some((dialog, self.calls.get(dialog.call)?.pass.clone())));
        let Some((dialog, pass)) = pass else {
            let cause = "ACK outside any admitted call";
            self.log(LogEvent::Dropped {
                cause,
                source: flow.peer,
            });
            return;
        };
        if !self.is_party(dialog, flow) {
            self.log(LogEvent::Dropped {
                cause: "ACK from elsewhere than its party",
                source: flow.peer,
            });
            return;
        }
        if ack.max_forwards() == Some(0) {
            self.log(LogEvent::Dropped {
                cause: "ACK without hops left",
                source: flow.peer,
            });
            return;
        }
        self.forward_ack(now, pass, dialog, ack, flow);
    }

    fn forward_ack(
        &mut self,
        now: Moment,
        pass: CallPass,
        dialog: DialogRef,
        ack: &Message,
        flow: &Flow,
    ) {
        let site = Arc::clone(&self.site);
        let mut approach = approach(&site, &self.entropy, ack, flow);
        let Some(call) = self.calls.get(dialog.call) else {
            return;
        };
        let guise = call.guise.clone().map(|guise| (guise, dialog.side));
        let Some(other) = call.other_side(dialog.side, dialog.dialog) else {
            return;
        };
        if leads_astray(&approach, other) {
            self.log(LogEvent::Dropped {
                cause: "ACK by a strict route that is not the call's",
                source: flow.peer,
            });
            return;
        }
        let choice = within_call(&site, &mut approach, ack, flow, other);
        let Some(egress) = site
            .own
            .listener_for(&choice.destination, choice.egress, choice.zone)
            .and_then(|id| site.routing.listener(id))
        else {
            let cause = "no listener for the ACK's transport";
            self.log(LogEvent::NoRoute {
                consult: pass.consult(),
                cause,
            });
            return;
        };
        let consult = pass.consult();
        let authority = Authority::Pass(pass);
        let described = self.describe_ack(&authority, dialog, ack);
        let body = described.as_ref().unwrap_or(&PassedBody::LeftOut);
        let branch = self.ack_branch(&[ack.top_via().raw, ack.call_id()], ack.cseq().number);
        let hops = ack.max_forwards().map(|hops| hops.saturating_sub(1));
        let plan = Plan {
            approach,
            routing_hash: 0,
            max_breadth: 1,
            mark: None,
            sender: None,
            guise,
            max_forwards: hops.unwrap_or(site.routing.limits.max_forwards),
        };
        let copy_for = CopyFor {
            uri_host: None,
            ingress: None,
            egress,
            branch: &branch,
            max_breadth: None,
            body,
        };
        let Ok(bytes) = forwarding::copy(ack, flow, &authority, &plan, copy_for) else {
            return;
        };
        let mut destination = choice.destination;
        destination.listener = Some(egress.id);
        self.layer.transmit_stateless(destination, bytes);
        if let Err(refusal) = described {
            self.ack_refused(now, consult, dialog, refusal);
        }
    }
}
