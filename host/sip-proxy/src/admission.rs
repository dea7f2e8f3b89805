//! From leave to forward to a response context: RFC 3261 sections 16.5 and 16.6. The two
//! ways in take the proof: [`forward_admitted`](ProxyCore::forward_admitted) a `Permit`
//! by value, [`forward_passed`](ProxyCore::forward_passed) the pass of an admitted call.

use std::sync::Arc;
use std::time::Duration;

use policy::Permit;
use sip_message::{Message, Method, Uri};
use sip_transaction::{Flow, Moment, TransactionId};
use smallvec::SmallVec;

use crate::anchoring::{CallMedia, MediaRoom};
use crate::answers::Answer;
use crate::authority::Authority;
use crate::best_response::BestResponse;
use crate::calls::DialogRef;
use crate::consults::Pending;
use crate::core::ProxyCore;
use crate::dialog::{Call, Leg, Side};
use crate::forwarding::{Plan, effective_uri};
use crate::guise::Guise;
use crate::output::{CallEvent, CallId, EndReason, FullTable, LogEvent, Output};
use crate::record_route;
use crate::response_context::{Purpose, ResponseContext};
use crate::routing::{Approach, leads_astray, records_route, target_set, within_call};
use crate::targets::TargetSet;
use crate::ticks::Ticks;
use crate::validation::Validated;

impl ProxyCore {
    /// Forwards a request that a pipeline admitted.
    pub(crate) fn forward_admitted(&mut self, now: Moment, mut pending: Pending, permit: Permit) {
        self.readdress(&mut pending, &permit);
        let Pending {
            server,
            request,
            flow,
            ..
        } = &pending;
        if !pending.trying_sent {
            self.answer(now, *server, request, flow, Answer::new(100));
        }
        if let Some(dialog) = pending.dialog {
            let Pending {
                server,
                request,
                flow,
                validated,
                approach,
                ..
            } = pending;
            let authority = Authority::Permit(permit);
            self.forward_within(
                now, server, request, flow, validated, approach, dialog, authority,
            );
            return;
        }
        let limits = self.site.routing.limits;
        let full = if self.contexts.len() >= limits.contexts {
            Some(FullTable::Contexts)
        } else if request.method() == Method::Invite && self.calls.len() >= limits.calls {
            Some(FullTable::Calls)
        } else {
            None
        };
        if let Some(table) = full {
            self.log(LogEvent::Full(table));
            self.answer_busy(now, *server, request, flow);
            return;
        }
        let uri = effective_uri(request, &pending.approach);
        let peer = &pending.peer;
        match target_set(
            &self.site,
            &pending.approach,
            &uri,
            peer,
            flow,
            permit.route(),
        ) {
            Ok(targets) => self.begin_alone(now, pending, permit, targets),
            Err(no_route) => {
                let consult = permit.consult();
                self.log(LogEvent::NoRoute {
                    consult,
                    cause: no_route.cause,
                });
                self.answer(now, *server, request, flow, Answer::new(no_route.status));
            }
        }
    }

    /// The policy may choose another Request-URI; from here on it is the request's own.
    /// In a dialog, known here or not, it is the remote target (RFC 3261 section 12.2.1.1),
    /// which is not a policy's to choose.
    fn readdress(&self, pending: &mut Pending, permit: &Permit) {
        let rewrites = permit.rewrites();
        let Some(chosen) = rewrites.and_then(|rewrites| rewrites.request_uri.as_ref()) else {
            return;
        };
        if pending.request.to_tag().is_some() {
            return;
        }
        let approach = &mut pending.approach;
        approach.ends_here = approach.next_route.is_none()
            && Uri::parse(chosen.as_bytes()).is_ok_and(|uri| {
                uri.user.is_none() && self.site.own.owns(&uri, pending.flow.local)
            });
        approach.request_uri = Some(chosen.as_bytes().to_vec());
    }

    fn begin_alone(&mut self, now: Moment, pending: Pending, permit: Permit, targets: TargetSet) {
        let guise = Guise::of(&pending.request, permit.rewrites());
        let purpose = if pending.request.method() == Method::Invite {
            let call = self.begin_call(&pending, &permit);
            if let Some(call) = self.calls.get_mut(call) {
                call.guise.clone_from(&guise);
            }
            Purpose::Begins(call)
        } else {
            Purpose::Alone
        };
        let Pending {
            server,
            request,
            flow,
            validated,
            approach,
            peer,
            ..
        } = pending;
        let mut plan = self.plan(&request, approach, validated);
        plan.sender = peer.name;
        plan.guise = guise.map(|guise| (guise, Side::Caller));
        let authority = Authority::Permit(permit);
        self.begin(
            now, server, request, flow, authority, plan, purpose, targets,
        );
    }

    fn begin_call(&mut self, pending: &Pending, permit: &Permit) -> CallId {
        let request = &pending.request;
        let limits = &self.site.routing.limits;
        let limit = permit
            .limit_duration()
            .map(|seconds| Duration::from_secs(seconds.into()));
        let call_id: Arc<[u8]> = request.call_id().into();
        let pass = permit.call_pass();
        let call = self.calls.insert(Call {
            pass: pass.clone(),
            call_id: Arc::clone(&call_id),
            caller_tag: request.from_tag().unwrap_or_default().into(),
            caller: Leg::caller(request, pending.flow.reply(), limits.routes_per_leg)
                .of_peer(pending.peer.name.as_ref()),
            dialogs: SmallVec::new(),
            next_dialog: 1,
            invite: Some(pending.server),
            limit: match limit {
                Some(limit) if limit <= limits.call_age => (limit, EndReason::DurationLimit),
                _ => (limits.call_age, EndReason::AgeLimit),
            },
            limit_timer: None,
            ticks: Ticks::of(&pass.account().ticks),
            answered: None,
            ending: None,
            media: self.caller_media(pending, permit),
            guise: None,
        });
        self.outputs.push_back(Output::Call(CallEvent::Started {
            call,
            consult: permit.consult(),
            call_id,
            caller: pending.peer.name.clone(),
            zone: pending.peer.zone,
            source: pending.flow.peer,
            limit,
            pass,
            request: Arc::clone(request),
        }));
        call
    }

    fn caller_media(&self, pending: &Pending, permit: &Permit) -> CallMedia {
        let routing = &self.site.routing;
        let listener = routing.listener(pending.flow.listener);
        let peer = pending.peer.name.as_deref();
        let peer = peer.and_then(|name| routing.peer(name));
        let terms = |room: &MediaRoom| room.terms(listener?, peer, pending.flow.peer.ip());
        let mut media = CallMedia {
            caller: self.media.as_ref().and_then(terms),
            invite_cseq: pending.request.cseq().number,
            ..CallMedia::default()
        };
        media.demand(permit.media_requirement(), Side::Caller);
        media
    }

    /// Forwards a request that may pass because its call was admitted.
    #[expect(
        clippy::too_many_arguments,
        reason = "they become the fields of one record"
    )]
    pub(crate) fn forward_passed(
        &mut self,
        now: Moment,
        server: TransactionId,
        request: Arc<Message>,
        flow: Flow,
        validated: Validated,
        approach: Approach,
        dialog: DialogRef,
    ) {
        let Some(pass) = self.calls.get(dialog.call).map(|call| call.pass.clone()) else {
            self.answer(now, server, &request, &flow, Answer::new(481));
            return;
        };
        let authority = Authority::Pass(pass);
        self.forward_within(
            now, server, request, flow, validated, approach, dialog, authority,
        );
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "they become the fields of one record"
    )]
    fn forward_within(
        &mut self,
        now: Moment,
        server: TransactionId,
        request: Arc<Message>,
        flow: Flow,
        validated: Validated,
        approach: Approach,
        dialog: DialogRef,
        authority: Authority,
    ) {
        // The call may have ended while the policy thought about it.
        let Some(call) = self.calls.get_mut(dialog.call) else {
            self.answer(now, server, &request, &flow, Answer::new(481));
            return;
        };
        if let Some(leg) = call.leg_mut(dialog.side, dialog.dialog) {
            leg.saw_cseq(request.cseq().number);
        }
        if let Authority::Permit(permit) = &authority {
            call.media.demand(permit.media_requirement(), dialog.side);
        }
        let Some(other_side) = call.other_side(dialog.side, dialog.dialog) else {
            self.answer(now, server, &request, &flow, Answer::new(481));
            return;
        };
        if leads_astray(&approach, other_side) {
            self.log(LogEvent::Rejected {
                status: 403,
                cause: "a strict route that is not the call's",
                source: flow.peer,
            });
            self.answer(now, server, &request, &flow, Answer::new(403));
            return;
        }
        let guise = call.guise.clone().map(|guise| (guise, dialog.side));
        let mut approach = approach;
        let choice = within_call(&self.site, &mut approach, &request, &flow, other_side);
        let purpose = match request.method() {
            Method::Bye => {
                self.media_over(dialog);
                Purpose::Ends(dialog)
            }
            _ => Purpose::Within(dialog),
        };
        let mut plan = self.plan(&request, approach, validated);
        plan.guise = guise;
        let targets = TargetSet::one(choice);
        self.begin(
            now, server, request, flow, authority, plan, purpose, targets,
        );
    }

    pub(crate) fn plan(&self, request: &Message, approach: Approach, validated: Validated) -> Plan {
        let hops = request.max_forwards().map(|hops| hops.saturating_sub(1));
        Plan {
            approach,
            routing_hash: validated.routing_hash,
            max_breadth: validated.max_breadth,
            sender: None,
            guise: None,
            mark: records_route(request)
                .then(|| record_route::mark(&self.entropy, request.call_id())),
            max_forwards: hops.unwrap_or(self.site.routing.limits.max_forwards),
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "they become the fields of one record"
    )]
    fn begin(
        &mut self,
        now: Moment,
        server: TransactionId,
        request: Arc<Message>,
        flow: Flow,
        authority: Authority,
        plan: Plan,
        purpose: Purpose,
        targets: TargetSet,
    ) {
        let context = ResponseContext {
            request,
            flow,
            authority,
            plan,
            purpose,
            targets,
            branches: SmallVec::new(),
            described: None,
            dismissed: Vec::new(),
            best: BestResponse::default(),
            upstream: None,
            final_sent: None,
            cancelled: false,
            upstream_gone: false,
            media_refused: false,
            overloaded: false,
        };
        self.contexts.insert(server, context);
        self.advance(now, server);
    }
}
