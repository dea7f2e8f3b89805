//! Where the bodies of requests and responses of a call meet the media room (RFC 3264).
//! What is done when it does not let one pass is in [`crate::refusals`].

use std::sync::Arc;

use sip_message::{Message, Method};
use sip_transaction::{Flow, TransactionId};

use crate::anchoring::{BothTerms, PassedBody, Passing, Refusal, Requested};
use crate::authority::Authority;
use crate::calls::DialogRef;
use crate::config::ListenerAddress;
use crate::core::ProxyCore;
use crate::dialog::Side;
use crate::output::CallId;
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
    pub(crate) fn requested(self) -> Option<Requested> {
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
            return self.describe_alone(server, egress);
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

    /// Whether a request within an anchored dialog comes from the party that it says. Who
    /// knows the tags of a call must not be able to turn its media to himself: what a
    /// policy judged is its business, what passes unjudged is checked here.
    pub(crate) fn is_party(&self, dialog: DialogRef, flow: &Flow) -> bool {
        let Some(call) = self.calls.get(dialog.call) else {
            return true;
        };
        let anchored = call
            .dialog(dialog.dialog)
            .is_some_and(|known| known.terms.is_some());
        let leg = call.leg(dialog.side, dialog.dialog);
        !anchored || leg.is_none_or(|leg| leg.is_source(&self.site.routing, flow))
    }

    /// A request outside any call passes without a description, and so do its responses:
    /// there is no media that they could agree on here, only addresses to be told.
    fn describe_alone(
        &mut self,
        server: TransactionId,
        egress: &ListenerAddress,
    ) -> Result<Described, Refusal> {
        let Some(context) = self.contexts.get(&server) else {
            return Ok(Described::default());
        };
        let ingress = self.site.routing.listener(context.flow.listener);
        let both = ingress.is_some_and(|ingress| ingress.media.is_some()) && egress.media.is_some();
        let Some(room) = self.media.as_mut().filter(|_| both) else {
            return Ok(Described::default());
        };
        let body = room.strip(&context.request);
        if body != PassedBody::AsIs && negotiates(context.request.method()) {
            return Err(Refusal {
                status: 481,
                warning: None,
                reason: "it belongs to no call that is known here".to_owned(),
            });
        }
        Ok(Described {
            terms: Some(room.no_terms()),
            body,
        })
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
        let (Some(terms), Some(room)) = (terms, &mut self.media) else {
            return Ok(PassedBody::AsIs);
        };
        let Some(requested) = context.purpose.requested() else {
            return Ok(room.strip(response));
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
}
