//! Where the bodies of requests and responses of a call meet the media room, and what is
//! done when it does not let one pass (RFC 3261 sections 13.2.2.4, 14.1 and 21.4.26,
//! RFC 3264).
//!
//! | refused in | what happens |
//! |---|---|
//! | a request | it is answered with the refusal's status |
//! | a provisional response | it passes without its body |
//! | a 2xx to the first INVITE | ACK and BYE to the callee, 488 upstream or the next target |
//! | a 2xx within a dialog | 488 upstream, and the call is ended by BYE both ways |
//! | an ACK | it passes without its body, and the call is ended by BYE both ways |

use std::sync::Arc;

use policy::ConsultId;
use sip_message::{Message, Method};
use sip_transaction::{Moment, TransactionId};

use crate::anchoring::{BothTerms, PassedBody, Passing, Refusal, Requested, warning_value};
use crate::answers::Answer;
use crate::authority::Authority;
use crate::best_response::Final;
use crate::calls::DialogRef;
use crate::config::ListenerAddress;
use crate::core::ProxyCore;
use crate::dialog::{Call, Side};
use crate::output::{CallId, Carried, EndReason, FullTable, LogEvent};
use crate::response_context::{Purpose, ResponseContext};
use crate::targets::Choice;

/// What the media room made of the body for one target.
#[derive(Clone, Debug, Default)]
pub(crate) struct Described {
    /// Terms that the answer is read by; none if the call is not anchored this way.
    pub(crate) terms: Option<BothTerms>,
    pub(crate) body: PassedBody,
}

/// Whether session descriptions in requests of this method, and in their 2xx, are offers
/// and answers.
fn negotiates(method: Method) -> bool {
    matches!(
        method,
        Method::Invite | Method::Ack | Method::Prack | Method::Update
    )
}

impl Purpose {
    /// The request as the media room knows it, if it belongs to a call.
    fn requested(self) -> Option<Requested> {
        match self {
            Self::Begins(call) => Some(Requested {
                call,
                side: Side::Caller,
                dialog: None,
            }),
            Self::Within(dialog) | Self::Ends(dialog) => Some(Requested {
                call: dialog.call,
                side: dialog.side,
                dialog: Some(dialog.dialog),
            }),
            Self::Alone => None,
        }
    }
}

impl ProxyCore {
    /// Passes the body of a request on its way to one target. All targets of one group get
    /// the same body: that for the first of them.
    pub(crate) fn describe_request(
        &mut self,
        server: TransactionId,
        choice: &Choice,
        egress: &ListenerAddress,
    ) -> Result<Described, Refusal> {
        let Some(context) = self.contexts.get_mut(&server) else {
            return Ok(Described::default());
        };
        let Some(requested) = context.purpose.requested() else {
            return Ok(Described::default());
        };
        let Some(call) = self.calls.get(requested.call) else {
            return Err(Refusal::unacceptable("the call has ended"));
        };
        let terms = match (&mut self.media, requested.dialog) {
            (None, _) => None,
            (Some(_), Some(dialog)) => call.dialog(dialog).and_then(|known| known.terms.clone()),
            (Some(room), None) => {
                let peer = choice.peer.as_deref();
                let peer = peer.and_then(|name| self.site.routing.peer(name));
                let callee = room.terms(egress, peer, choice.destination.address.ip());
                let caller = call.media.caller.clone();
                caller
                    .zip(callee)
                    .map(|(caller, callee)| Arc::new([caller, callee]))
            }
        };
        let (Some(room), Some(terms)) = (&mut self.media, terms) else {
            if call.media.demands_encryption() && negotiates(context.request.method()) {
                let reason = "the policy demands encrypted media, and media is not relayed here";
                return Err(Refusal::unacceptable(reason));
            }
            return Ok(Described::default());
        };
        let body = match &context.described {
            Some(body) => Ok(body.clone()),
            None => {
                let passing = Passing {
                    call: requested.call,
                    from: requested.side,
                    dialog: requested.dialog,
                    carrier: requested.carrier(&call.media, &context.request),
                    terms: &terms,
                };
                let (leave, request) = (&context.authority, &context.request);
                let outputs = &mut self.outputs;
                room.pass(
                    leave,
                    &call.media,
                    &call.call_id,
                    &passing,
                    request,
                    outputs,
                )
            }
        };
        let body = match body {
            // A BYE passes whatever it carries.
            Err(_) if context.request.method() == Method::Bye => PassedBody::LeftOut,
            body => body?,
        };
        context.described = Some(body.clone());
        Ok(Described {
            terms: Some(terms),
            body,
        })
    }

    /// The offer of a request does not pass: it is not sent to this target.
    pub(crate) fn request_refused(&mut self, server: TransactionId, refusal: Refusal) {
        let Some(context) = self.contexts.get_mut(&server) else {
            return;
        };
        let event = LogEvent::MediaRefused {
            consult: context.authority.consult(),
            carrier: Carried::Request(context.request.method()),
            side: context
                .purpose
                .requested()
                .map_or(Side::Caller, |of| of.side)
                .into(),
            reason: refusal.reason,
        };
        if refusal.status == 503 {
            self.outputs
                .push_back(crate::Output::Log(LogEvent::Full(FullTable::Media)));
        } else {
            // Another target of the same peer would not change it.
            context.targets.clear();
        }
        let made = Final::Refused {
            status: refusal.status,
            warning: refusal.warning,
        };
        context.best.offer(refusal.status, made, 0);
        self.log(event);
    }

    /// Passes the body of a response. `dialog` is that of the response, if it has one that
    /// we remember.
    pub(crate) fn describe_response(
        &mut self,
        server: TransactionId,
        index: usize,
        response: &Message,
        dialog: Option<u32>,
    ) -> Result<PassedBody, Refusal> {
        let Some(context) = self.contexts.get(&server) else {
            return Ok(PassedBody::AsIs);
        };
        let terms = context
            .branches
            .get(index)
            .and_then(|branch| branch.terms.as_ref());
        let (Some(requested), Some(terms), Some(room)) =
            (context.purpose.requested(), terms, &mut self.media)
        else {
            return Ok(PassedBody::AsIs);
        };
        let call = self.calls.get(requested.call);
        let negotiates = negotiates(response.method());
        let (Some(call), Some(dialog)) = (call, requested.dialog.or(dialog)) else {
            return match room.strip(response) {
                PassedBody::LeftOut if negotiates => {
                    let reason = "it belongs to no dialog that is remembered";
                    Err(Refusal::unacceptable(reason))
                }
                stripped => Ok(stripped),
            };
        };
        let success = response.status().is_some_and(|status| status >= 200);
        let first = call.media.confirmed;
        if requested.dialog.is_none() && success && first.is_some_and(|first| first != dialog) {
            return Err(Refusal::unacceptable("another dialog was answered first"));
        }
        let passing = Passing {
            call: requested.call,
            from: requested.side.other(),
            dialog: Some(dialog),
            carrier: requested.response_carrier(&call.media, response),
            terms,
        };
        let (leave, outputs) = (&context.authority, &mut self.outputs);
        match room.pass(
            leave,
            &call.media,
            &call.call_id,
            &passing,
            response,
            outputs,
        ) {
            // Nothing hangs on it.
            Err(_) if !negotiates => Ok(PassedBody::LeftOut),
            passed => passed,
        }
    }

    /// A provisional response passes without a body that does not.
    pub(crate) fn describe_provisional(
        &mut self,
        server: TransactionId,
        index: usize,
        response: &Message,
        dialog: Option<u32>,
    ) -> PassedBody {
        match self.describe_response(server, index, response, dialog) {
            Ok(body) => body,
            Err(refusal) => {
                self.log_refused_response(server, response, refusal);
                PassedBody::LeftOut
            }
        }
    }

    /// The description in a 2xx to an INVITE, UPDATE or PRACK does not pass. `dialog` is that
    /// of a 2xx to the first INVITE.
    pub(crate) fn answer_refused(
        &mut self,
        now: Moment,
        server: TransactionId,
        index: usize,
        response: &Message,
        dialog: Option<u32>,
        refusal: Refusal,
    ) {
        let Some(context) = self.contexts.get(&server) else {
            return;
        };
        let purpose = context.purpose;
        let passed = context.final_sent.is_some_and(|status| status < 300);
        let settled = context.final_sent.is_some();
        let made = Final::Refused {
            status: if refusal.status == 503 { 503 } else { 488 },
            warning: refusal.warning,
        };
        match purpose {
            Purpose::Begins(id) => {
                let is_over = |call: &Call| call.media.over || call.media.confirmed == dialog;
                if passed && self.calls.get(id).is_none_or(is_over) {
                    // It has passed once, and the call is over or about to be.
                    return;
                }
                self.log_refused_response(server, response, refusal);
                self.dismiss(now, server, index, response);
                if let Some(call) = self.calls.get_mut(id) {
                    call.forget(response.to_tag().unwrap_or_default());
                }
                self.branch_failed(now, server, index, made.status(), made);
            }
            Purpose::Within(within) if !passed => {
                if response.method() == Method::Invite {
                    self.acknowledge_within(within, response.cseq().number);
                }
                if settled {
                    return;
                }
                self.log_refused_response(server, response, refusal);
                self.branch_failed(now, server, index, made.status(), made);
                self.begin_end(now, within.call, EndReason::MediaRefused);
            }
            Purpose::Within(_) | Purpose::Ends(_) | Purpose::Alone => {}
        }
    }

    /// Answers a request that the media room did not let through, or whose answer it did
    /// not.
    pub(crate) fn answer_refusal(
        &mut self,
        now: Moment,
        server: TransactionId,
        status: u16,
        warning: Option<u16>,
    ) {
        let Some(context) = self.contexts.get(&server) else {
            return;
        };
        let (request, flow) = (Arc::clone(&context.request), context.flow.clone());
        let mut answer = Answer::new(status);
        if let Some(code) = warning {
            let listener = self.site.routing.listener(flow.listener);
            let agent = listener.map_or("-", |listener| &listener.host);
            answer = answer.header("Warning", warning_value(code, agent));
        }
        if status == 500 {
            // Section 14.2: an offer while another one is not answered yet.
            let seconds = self.entropy.unique() % 11;
            answer = answer.header("Retry-After", seconds.to_string());
        }
        self.answer(now, server, &request, &flow, answer);
    }

    /// What becomes of the body of a refusal: a description in a 488 says what the other
    /// party could do, and where (section 21.4.26). Nobody needs the latter.
    pub(crate) fn describe_refusal(
        &mut self,
        server: TransactionId,
        response: &Message,
    ) -> PassedBody {
        let anchored = self
            .contexts
            .get(&server)
            .is_some_and(ResponseContext::is_anchored);
        match &mut self.media {
            Some(room) if anchored => room.strip(response),
            _ => PassedBody::AsIs,
        }
    }

    /// Passes the body of an ACK for a 2xx.
    pub(crate) fn describe_ack(
        &mut self,
        leave: &Authority,
        dialog: DialogRef,
        ack: &Message,
    ) -> Result<PassedBody, Refusal> {
        let Some(call) = self.calls.get(dialog.call) else {
            return Ok(PassedBody::AsIs);
        };
        let terms = call
            .dialog(dialog.dialog)
            .and_then(|known| known.terms.as_ref());
        let (Some(terms), Some(room)) = (terms, &mut self.media) else {
            return Ok(PassedBody::AsIs);
        };
        let requested = Requested {
            call: dialog.call,
            side: dialog.side,
            dialog: Some(dialog.dialog),
        };
        let passing = Passing {
            call: dialog.call,
            from: dialog.side,
            dialog: Some(dialog.dialog),
            carrier: requested.carrier(&call.media, ack),
            terms,
        };
        let outputs = &mut self.outputs;
        room.pass(leave, &call.media, &call.call_id, &passing, ack, outputs)
    }

    /// The ACK has gone out without its body: the call cannot go on.
    pub(crate) fn ack_refused(
        &mut self,
        now: Moment,
        consult: ConsultId,
        dialog: DialogRef,
        refusal: Refusal,
    ) {
        self.log(LogEvent::MediaRefused {
            consult,
            carrier: Carried::Request(Method::Ack),
            side: dialog.side.into(),
            reason: refusal.reason,
        });
        let over = self
            .calls
            .get(dialog.call)
            .is_none_or(|call| call.media.over);
        if !over {
            self.begin_end(now, dialog.call, EndReason::MediaRefused);
        }
    }

    /// The offer in a request within a dialog came to nothing.
    pub(crate) fn offer_came_to_nothing(&mut self, server: TransactionId) {
        let Some(context) = self.contexts.get(&server) else {
            return;
        };
        let sent = context.branches.iter().any(|branch| branch.terms.is_some());
        let (Some(requested), Some(room), true) =
            (context.purpose.requested(), &mut self.media, sent)
        else {
            return;
        };
        let Some(call) = self.calls.get(requested.call) else {
            return;
        };
        let (request, outputs) = (&context.request, &mut self.outputs);
        room.refused(requested, &call.media, &call.call_id, request, outputs);
    }

    /// The first 2xx of a call has passed.
    pub(crate) fn media_confirmed(&mut self, server: TransactionId, index: usize, dialog: u32) {
        let Some(context) = self.contexts.get(&server) else {
            return;
        };
        let Purpose::Begins(id) = context.purpose else {
            return;
        };
        let anchored = context
            .branches
            .get(index)
            .is_some_and(|branch| branch.terms.is_some());
        let (Some(call), Some(room)) = (self.calls.get_mut(id), &mut self.media) else {
            return;
        };
        if call.media.confirmed.is_some() || call.media.over {
            return;
        }
        if anchored {
            call.media.confirmed = Some(dialog);
            room.confirm(id, &call.call_id, dialog, &mut self.outputs);
        } else {
            call.media.over = true;
            room.end(id, &call.call_id, &mut self.outputs);
        }
    }

    /// A BYE passes: whoever sent it has stopped to send and to listen (section 15.1.1).
    pub(crate) fn media_over(&mut self, dialog: DialogRef) {
        let (Some(call), Some(room)) = (self.calls.get_mut(dialog.call), &mut self.media) else {
            return;
        };
        if call.media.confirmed == Some(dialog.dialog) {
            call.media.over = true;
            room.end(dialog.call, &call.call_id, &mut self.outputs);
        }
    }

    /// The call is forgotten.
    pub(crate) fn media_closed(&mut self, call: CallId, call_id: &Arc<[u8]>) {
        if let Some(room) = &mut self.media {
            room.end(call, call_id, &mut self.outputs);
        }
    }

    fn log_refused_response(&mut self, server: TransactionId, response: &Message, why: Refusal) {
        let Some(context) = self.contexts.get(&server) else {
            return;
        };
        let side = context
            .purpose
            .requested()
            .map_or(Side::Callee, |of| of.side.other());
        let carrier = Carried::Response(response.status().unwrap_or_default(), response.method());
        self.log(LogEvent::MediaRefused {
            consult: context.authority.consult(),
            carrier,
            side: side.into(),
            reason: why.reason,
        });
    }
}
