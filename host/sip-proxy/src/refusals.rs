//! Session descriptions that the media room does not let pass: RFC 3261 sections 13.2.2.4,
//! 14.1 and 21.4.26.
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

use crate::anchoring::{Refusal, warning_value};
use crate::answers::Answer;
use crate::best_response::Final;
use crate::calls::DialogRef;
use crate::core::ProxyCore;
use crate::dialog::{Call, Side};
use crate::output::{Carried, EndReason, FullTable, LogEvent};
use crate::response_context::Purpose;

impl ProxyCore {
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
        context.media_refused = true;
        self.log(event);
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
                let is_over = |call: &Call| {
                    let confirmed = call.media.confirmed;
                    confirmed.is_some() && (call.media.over || confirmed == dialog)
                };
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

    pub(crate) fn log_refused_response(
        &mut self,
        server: TransactionId,
        response: &Message,
        why: Refusal,
    ) {
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
