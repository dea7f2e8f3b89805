//! Branches: starting them, and what is done when they fail (RFC 3261 sections 16.6
//! steps 8 to 11, 16.8 and 16.9).

use std::sync::Arc;

use bytes::Bytes;
use sip_message::{Limits, Message};
use sip_transaction::{Destination, Moment, Refused, Timer as Letter, TransactionId, Transport};

use crate::best_response::Final;
use crate::config::ListenerAddress;
use crate::core::ProxyCore;
use crate::forwarding::{CopyFor, copy};
use crate::limits::LARGE_REQUEST_BYTES;
use crate::loop_detection;
use crate::output::{EndReason, FullTable, LogEvent};
use crate::response_context::{Branch, Cancelling, Progress, Purpose, ResponseContext, Start};
use crate::routing::Site;
use crate::targets::Choice;
use crate::timers::Timer;

impl ProxyCore {
    /// Goes on with a request whose branches have all ended: to the next targets, or to
    /// the best response.
    pub(crate) fn advance(&mut self, now: Moment, server: TransactionId) {
        while let Some(context) = self.contexts.get_mut(&server) {
            if context.final_sent.is_some() || context.awaits_branches() {
                return;
            }
            if context.targets.is_empty() {
                self.send_best(now, server);
                return;
            }
            let breadth = context.plan.max_breadth;
            let again = context.is_anchored();
            context.media_refused = false;
            let group = context.targets.next_group(breadth);
            let size = u32::try_from(group.len()).unwrap_or(u32::MAX);
            let write = size > 1
                || context
                    .request
                    .header(sip_message::HeaderKind::MaxBreadth)
                    .is_some();
            if again {
                // Other targets, perhaps on other terms: from the caller's own offer anew.
                self.offer_came_to_nothing(server);
            }
            for (place, choice) in (0u32..).zip(group) {
                // Shares add up to the whole: RFC 5393 section 5.3.3.
                let share = breadth / size + u32::from(place < breadth % size);
                self.start_branch(now, server, choice, write.then_some(share));
                let refused = |context: &ResponseContext| context.media_refused;
                if self.contexts.get(&server).is_some_and(refused) {
                    // The others of the group would get the same body.
                    break;
                }
            }
            if let Some(context) = self.contexts.get_mut(&server) {
                context.described = None;
            }
        }
    }

    fn start_branch(
        &mut self,
        now: Moment,
        server: TransactionId,
        choice: Choice,
        max_breadth: Option<u32>,
    ) {
        let site = Arc::clone(&self.site);
        let Some(context) = self.contexts.get(&server) else {
            return;
        };
        let egress = site
            .own
            .listener_for(&choice.destination, choice.egress, choice.zone)
            .and_then(|id| site.routing.listener(id));
        let consult = context.authority.consult();
        let Some(egress) = egress else {
            let cause = "no listener has the target's transport";
            self.log(LogEvent::NoRoute { consult, cause });
            self.branch_not_started(server, 503);
            return;
        };
        let described = match self.describe_request(server, &choice, egress) {
            Ok(described) => described,
            Err(refusal) => return self.request_refused(server, refusal),
        };
        let start = Start {
            choice,
            max_breadth,
            described,
        };
        self.send_copy(now, server, egress, start, None);
    }

    /// Sends the copy that one target gets. `by_udp` is what to do instead, if it goes by
    /// TCP for its size alone.
    fn send_copy(
        &mut self,
        now: Moment,
        server: TransactionId,
        egress: &ListenerAddress,
        mut start: Start,
        by_udp: Option<Box<Start>>,
    ) {
        let site = Arc::clone(&self.site);
        let Some(context) = self.contexts.get_mut(&server) else {
            return;
        };
        let consult = context.authority.consult();
        let branch = loop_detection::branch(self.entropy.unique(), context.plan.routing_hash);
        let copy_for = CopyFor {
            uri_host: start.choice.uri_host.as_deref(),
            ingress: site.routing.listener(context.flow.listener),
            egress,
            branch: &branch,
            max_breadth: start.max_breadth,
            body: &start.described.body,
        };
        let made = make_copy(context, copy_for, &self.message_limits);
        let Some((bytes, message)) = made else {
            let cause = "the edited request exceeds the limits of a message";
            self.log(LogEvent::NoRoute { consult, cause });
            self.branch_not_started(server, 500);
            return;
        };
        if bytes.len() > LARGE_REQUEST_BYTES
            && let Some((egress, by_tcp)) = over_tcp(&site, egress, &start)
        {
            start.choice.large_by_tcp = false;
            self.send_copy(now, server, egress, by_tcp, Some(Box::new(start)));
            return;
        }
        let Start {
            mut choice,
            described,
            ..
        } = start;
        choice.destination.listener = Some(egress.id);
        match self.layer.request(now, message, choice.destination.clone()) {
            Ok(client) => {
                let timer = context.is_invite().then(|| {
                    let at = now + self.layer.timers().duration(Letter::C);
                    self.timers.set(at, Timer::C(client))
                });
                self.branches
                    .insert(client, (server, context.branches.len()));
                let branch = Branch::new(client, choice, described.terms, by_udp, bytes, timer);
                context.branches.push(branch);
            }
            Err(Refused::TableFull) => {
                context.overloaded = true;
                self.log(LogEvent::Full(FullTable::ClientTransactions));
                self.branch_not_started(server, 503);
            }
            Err(_) => self.branch_not_started(server, 500),
        }
    }

    /// No connection came about for a request that went by TCP for its size alone: the same
    /// target gets it by UDP (RFC 3261 section 18.1.1). False if that is not the case.
    fn retry_by_udp(&mut self, now: Moment, server: TransactionId, index: usize) -> bool {
        let site = Arc::clone(&self.site);
        let Some(context) = self.contexts.get_mut(&server) else {
            return false;
        };
        let wanted = context.final_sent.is_none() && !context.cancelled;
        let Some(branch) = context.branches.get_mut(index) else {
            return false;
        };
        let unheard = branch.progress == Progress::Calling && branch.cancelling == Cancelling::No;
        let Some(start) = branch.by_udp.take().filter(|_| wanted && unheard) else {
            return false;
        };
        let choice = &start.choice;
        let egress = site
            .own
            .listener_for(&choice.destination, choice.egress, choice.zone)
            .and_then(|id| site.routing.listener(id));
        let Some(egress) = egress else {
            return false;
        };
        if let Some(branch) = context.finish(index) {
            self.timers.stop(branch.timer.take());
        }
        self.send_copy(now, server, egress, *start, None);
        true
    }

    fn branch_not_started(&mut self, server: TransactionId, status: u16) {
        if let Some(context) = self.contexts.get_mut(&server) {
            context.best.offer(status, Final::Made(status), 0);
        }
    }

    /// A client transaction timed out (408) or could not send (503).
    pub(crate) fn client_failed(&mut self, now: Moment, client: TransactionId, status: u16) {
        let Some((server, index)) = self.branches.get(&client).copied() else {
            return;
        };
        if status == 503 && self.retry_by_udp(now, server, index) {
            // If that did not begin either, there may be another target.
            self.advance(now, server);
            return;
        }
        self.branch_failed(now, server, index, status, Final::Made(status));
    }

    /// A branch ended without success.
    pub(crate) fn branch_failed(
        &mut self,
        now: Moment,
        server: TransactionId,
        index: usize,
        status: u16,
        response: Final,
    ) {
        let challenges_limit = self.site.routing.limits.challenges_per_response;
        let Some(context) = self.contexts.get_mut(&server) else {
            return;
        };
        let cancelled = context.cancelled;
        let Some(branch) = context.finish(index) else {
            return;
        };
        let target = branch.destination.address;
        self.timers.stop(branch.timer.take());
        let (status, response) = match (status, &response) {
            // Nobody cancelled but Timer C: to the caller that is a timeout.
            (487, _) if branch.timed_out && !cancelled => (408, Final::Made(408)),
            // Whoever cancelled wants to hear of that.
            (408, Final::Made(_)) if cancelled => (487, Final::Made(487)),
            _ => (status, response),
        };
        context.best.offer(status, response, challenges_limit);
        if !context.targets.is_empty() {
            if context.targets.fails_over(status) {
                self.log(LogEvent::Failover { target, status });
            } else {
                context.targets.clear();
            }
        }
        if status >= 600 {
            // Section 16.7 step 5: nobody else needs to be asked.
            self.cancel_branches(now, server);
        }
        self.advance(now, server);
        self.release_context(server);
    }

    /// A transaction is gone, and with it what was kept for it.
    pub(crate) fn transaction_ended(&mut self, now: Moment, id: TransactionId) {
        if id.is_client() {
            self.client_failed(now, id, 503);
            self.branches.remove(&id);
            return;
        }
        if let Some(pending) = self.consults.take_by_server(id) {
            self.timers.stop(pending.deadline);
        }
        self.abandon_upstream(now, id);
        let Some(context) = self.contexts.get_mut(&id) else {
            return;
        };
        context.upstream_gone = true;
        let (purpose, answered) = (context.purpose, context.final_sent.is_some());
        // Without anybody upstream there is no further target and nothing to answer.
        context.final_sent = context.final_sent.or(Some(408));
        // Those who still ring do so for nobody. Each is awaited, or given up in time.
        self.cancel_branches(now, id);
        match (purpose, answered) {
            (Purpose::Begins(call), false) => self.close_call(now, call, EndReason::CallerGone),
            (Purpose::Within(_), false) => self.offer_came_to_nothing(id),
            _ => {}
        }
        self.release_context(id);
    }

    /// Forgets a context when neither its server transaction nor a branch needs it.
    pub(crate) fn release_context(&mut self, server: TransactionId) {
        let over = |context: &ResponseContext| context.upstream_gone && !context.awaits_branches();
        if self.contexts.get(&server).is_some_and(over) {
            self.contexts.remove(&server);
        }
    }
}

/// The way by TCP to a target that has one, from a listener that is like `egress`: the
/// media of the call is the same then.
fn over_tcp<'s>(
    site: &'s Site,
    egress: &ListenerAddress,
    start: &Start,
) -> Option<(&'s ListenerAddress, Start)> {
    let udp = &start.choice.destination;
    if !start.choice.large_by_tcp || udp.transport != Transport::Udp {
        return None;
    }
    let destination = Destination {
        server_name: udp.server_name.clone(),
        ..Destination::new(Transport::Tcp, udp.address)
    };
    let listener = site.own.listener_for(&destination, None, egress.zone)?;
    let listener = site.routing.listener(listener)?;
    let alike = listener.zone == egress.zone && listener.media == egress.media;
    let mut by_tcp = start.clone();
    by_tcp.choice.destination = destination;
    by_tcp.choice.egress = None;
    alike.then_some((listener, by_tcp))
}

/// The copy, as bytes and as the message that it is. None if what a policy adds makes it
/// one that nobody would accept.
fn make_copy(
    context: &ResponseContext,
    copy_for: CopyFor<'_>,
    limits: &Limits,
) -> Option<(Bytes, Message)> {
    let ResponseContext {
        request,
        flow,
        authority,
        plan,
        ..
    } = context;
    let bytes = copy(request, flow, authority, plan, copy_for).ok()?;
    let message = Message::parse_datagram(bytes.clone(), limits).ok()?;
    Some((bytes, message))
}
