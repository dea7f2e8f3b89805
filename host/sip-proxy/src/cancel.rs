//! CANCEL and Timer C: RFC 3261 sections 9, 16.8 and 16.10.

use sip_message::Message;
use sip_message::build::cancel_for;
use sip_transaction::{Flow, Moment, Timer as Letter, TransactionId};

use crate::answers::Answer;
use crate::best_response::Final;
use crate::core::ProxyCore;
use crate::response_context::{Cancelling, Progress};
use crate::timers::Timer;

impl ProxyCore {
    /// A CANCEL is answered at once, whatever becomes of the INVITE. It needs no policy:
    /// it can only end what was admitted or not yet decided.
    pub(crate) fn handle_cancel(
        &mut self,
        now: Moment,
        cancel: TransactionId,
        target: Option<TransactionId>,
        request: &Message,
        flow: &Flow,
    ) {
        let Some(server) = target else {
            let cause = "CANCEL of nothing";
            self.reject(now, cancel, request, flow, Answer::new(481), cause);
            return;
        };
        self.answer(now, cancel, request, flow, Answer::new(200));
        if let Some(pending) = self.consults.take_by_server(server) {
            self.timers.stop(pending.deadline);
            self.answer(
                now,
                server,
                &pending.request,
                &pending.flow,
                Answer::new(487),
            );
            return;
        }
        self.cancel_request(now, server);
    }

    /// Ends a forwarded INVITE that has no final response yet.
    pub(crate) fn cancel_request(&mut self, now: Moment, server: TransactionId) {
        let Some(context) = self.contexts.get_mut(&server) else {
            return;
        };
        if context.final_sent.is_some() || !context.is_invite() {
            return;
        }
        context.cancelled = true;
        context.targets.clear();
        self.cancel_branches(now, server);
        self.advance(now, server);
    }

    /// Cancels every branch that may still answer: those that have sent a provisional
    /// response now, the others as soon as they do (section 9.1).
    pub(crate) fn cancel_branches(&mut self, now: Moment, server: TransactionId) {
        let Some(context) = self.contexts.get_mut(&server) else {
            return;
        };
        context.targets.clear();
        if !context.is_invite() {
            return;
        }
        for index in 0..context.branches.len() {
            let Some(context) = self.contexts.get_mut(&server) else {
                return;
            };
            let Some(branch) = context.branches.get_mut(index) else {
                continue;
            };
            match (branch.progress, branch.cancelling) {
                (Progress::Calling, Cancelling::No) => branch.cancelling = Cancelling::Wanted,
                (Progress::Proceeding, Cancelling::No | Cancelling::Wanted) => {
                    self.send_cancel(now, server, index);
                }
                _ => {}
            }
        }
    }

    pub(crate) fn send_cancel(&mut self, now: Moment, server: TransactionId, index: usize) {
        let Some(context) = self.contexts.get_mut(&server) else {
            return;
        };
        let Some(branch) = context.branches.get_mut(index) else {
            return;
        };
        branch.cancelling = Cancelling::Sent;
        self.timers.stop(branch.timer.take());
        let at = now + self.layer.timers().duration(Letter::B);
        branch.timer = Some(self.timers.set(at, Timer::CancelWait(branch.client)));
        // It was parsed when it was sent, so it will be now.
        let Ok(invite) = Message::parse_datagram(branch.sent.clone(), &self.message_limits) else {
            return;
        };
        let cancel = cancel_for(&invite);
        let destination = branch.destination.clone();
        let begun = Message::parse_datagram(cancel.clone(), &self.message_limits)
            .is_ok_and(|cancel| self.layer.request(now, cancel, destination.clone()).is_ok());
        if !begun {
            // Without room for a transaction it is sent once and not repeated.
            self.layer.transmit_stateless(destination, cancel);
        }
    }

    /// Timer C: a branch has rung for too long (section 16.8).
    pub(crate) fn timer_c_fired(&mut self, now: Moment, client: TransactionId) {
        let Some((server, index)) = self.branches.get(&client).copied() else {
            return;
        };
        let Some(context) = self.contexts.get_mut(&server) else {
            return;
        };
        let Some(branch) = context.branches.get_mut(index) else {
            return;
        };
        branch.timer = None;
        branch.timed_out = true;
        match branch.progress {
            Progress::Proceeding => self.send_cancel(now, server, index),
            Progress::Calling => {
                self.branch_failed(now, server, index, 408, Final::Made(408));
                self.layer.terminate(client);
            }
            Progress::Finished => {}
        }
    }

    /// Nothing came after a CANCEL: the branch is given up (section 9.1).
    pub(crate) fn cancel_wait_over(&mut self, now: Moment, client: TransactionId) {
        if let Some((server, index)) = self.branches.get(&client).copied() {
            self.branch_failed(now, server, index, 408, Final::Made(408));
            self.layer.terminate(client);
        }
    }
}
