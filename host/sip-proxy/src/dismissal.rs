//! Requests of our own within dialogs of others: the BYE that each side takes for the
//! other's, and the ACK and BYE that turn down a callee whose answer cannot be let through
//! (RFC 3261 sections 12.2.1.1, 13.2.2.4 and 15.1.1).

use std::hash::Hasher;
use std::sync::Arc;

use bytes::Bytes;
use sip_message::build::RequestBuilder;
use sip_message::{Message, Uri};
use sip_transaction::{Destination, Moment, TransactionId};
use smallvec::SmallVec;

use crate::calls::DialogRef;
use crate::core::ProxyCore;
use crate::dialog::{Leg, Side};
use crate::forwarding;
use crate::guise::Guise;
use crate::loop_detection;
use crate::routing::{Site, literal};

/// CSeq is below 2^31: section 8.1.1.5.
const MAX_CSEQ: u32 = (1 << 31) - 1;

/// One request of our own.
pub(crate) struct OwnRequest<'a> {
    pub(crate) method: &'static str,
    pub(crate) call_id: &'a [u8],
    /// Whose request it looks like.
    pub(crate) side: Side,
    pub(crate) from: &'a Leg,
    pub(crate) to: &'a Leg,
    pub(crate) guise: Option<&'a Guise>,
    pub(crate) cseq: u32,
    pub(crate) branch: &'a [u8],
}

/// The CSeq after the highest that this end has used.
pub(crate) fn next_cseq(highest: Option<u32>) -> u32 {
    highest.map_or(1, |highest| highest.saturating_add(1).min(MAX_CSEQ))
}

impl OwnRequest<'_> {
    /// The request as its end would send it: section 12.2.1.1. None if there is no way to
    /// where it should go.
    pub(crate) fn write(&self, site: &Site) -> Option<(Bytes, Destination)> {
        let to = self.to;
        let target = Uri::parse(&to.remote_target).ok()?;
        let bracketed_target = [b"<", target.raw, b">"].concat();
        let mut routes: SmallVec<[&[u8]; 4]> = to.routes.iter().map(|route| &**route).collect();
        let first = routes
            .first()
            .and_then(|route| Uri::parse(without_brackets(route)).ok());
        let request_uri = match first {
            Some(first) if !first.is_lr() => {
                // A strict router: it takes the place of the remote target, which goes last.
                routes.remove(0);
                routes.push(&bracketed_target);
                first
            }
            _ => target,
        };
        let hop = first.unwrap_or(target);
        let mut destination = literal(&site.routing, &hop, Some(&to.destination))
            .unwrap_or_else(|| to.destination.clone());
        let egress = site
            .own
            .listener_for(&destination, to.destination.listener, None)?;
        let egress = site.routing.listener(egress)?;
        destination.listener = Some(egress.id);
        let party = &self.from.party;
        let guise = self.guise;
        let shown = guise.and_then(|guise| guise.party(self.side, party));
        let mut builder = RequestBuilder::new(self.method, request_uri.raw)
            .via(forwarding::via(egress, self.branch))
            .from(shown.as_deref().unwrap_or(party))
            .to(&to.party)
            .call_id(self.call_id)
            .cseq(self.cseq);
        for route in routes {
            builder = builder.route(route);
        }
        Some((builder.finish().ok()?, destination))
    }
}

fn without_brackets(route: &[u8]) -> &[u8] {
    route
        .strip_prefix(b"<")
        .and_then(|inner| inner.strip_suffix(b">"))
        .unwrap_or(route)
}

impl ProxyCore {
    /// Sends a BYE of our own, whose response stays with us.
    pub(crate) fn send_bye(&mut self, now: Moment, bytes: Bytes, destination: Destination) {
        // If there is no room for a transaction, the BYE is sent once.
        let begun = Message::parse_datagram(bytes.clone(), &self.message_limits)
            .is_ok_and(|bye| self.layer.request(now, bye, destination.clone()).is_ok());
        if !begun {
            self.layer.transmit_stateless(destination, bytes);
        }
    }

    /// Turns down a callee that sent a 2xx to the first INVITE of a call: ACK for every
    /// repetition of it, and one BYE.
    pub(crate) fn dismiss(
        &mut self,
        now: Moment,
        server: TransactionId,
        index: usize,
        response: &Message,
    ) {
        let site = Arc::clone(&self.site);
        let limits = &site.routing.limits;
        let Some(context) = self.contexts.get_mut(&server) else {
            return;
        };
        let Some(branch) = context.branches.get(index) else {
            return;
        };
        let tag = response.to_tag().unwrap_or_default();
        let again = context.is_dismissed(tag);
        if !again {
            if context.dismissed.len() >= limits.dialogs_per_call {
                return;
            }
            context.dismissed.push(tag.into());
        }
        let request = Arc::clone(&context.request);
        let guise = context.plan.guise.as_ref();
        let guise = guise.map(|(guise, _)| Arc::clone(guise));
        let routes = limits.routes_per_leg;
        let caller = Leg::caller(&request, context.flow.reply(), routes);
        let callee = Leg::callee(response, branch.destination.clone(), &self.entropy, routes);
        let cseq = request.cseq().number;
        let ack_branch = self.ack_branch(&[request.call_id(), tag], cseq);
        let mut own = OwnRequest {
            method: "ACK",
            call_id: request.call_id(),
            side: Side::Caller,
            from: &caller,
            to: &callee,
            guise: guise.as_deref(),
            cseq,
            branch: &ack_branch,
        };
        if let Some((bytes, destination)) = own.write(&site) {
            self.layer.transmit_stateless(destination, bytes);
        }
        if again {
            return;
        }
        let branch = loop_detection::branch(self.entropy.unique(), 0);
        own.method = "BYE";
        own.cseq = next_cseq(Some(cseq));
        own.branch = &branch;
        if let Some((bytes, destination)) = own.write(&site) {
            self.send_bye(now, bytes, destination);
        }
    }

    /// Acknowledges a 2xx to an INVITE within a dialog in the place of its sender.
    pub(crate) fn acknowledge_within(&mut self, dialog: DialogRef, cseq: u32) {
        let Some(call) = self.calls.get(dialog.call) else {
            return;
        };
        let (Some(from), Some(to)) = (
            call.leg(dialog.side, dialog.dialog),
            call.other_side(dialog.side, dialog.dialog),
        ) else {
            return;
        };
        let branch = self.ack_branch(&[&call.call_id, &from.party], cseq);
        let own = OwnRequest {
            method: "ACK",
            call_id: &call.call_id,
            side: dialog.side,
            from,
            to,
            guise: call.guise.as_deref(),
            cseq,
            branch: &branch,
        };
        if let Some((bytes, destination)) = own.write(&self.site) {
            self.layer.transmit_stateless(destination, bytes);
        }
    }

    /// A branch that is the same for the same ACK: section 16.11.
    pub(crate) fn ack_branch(&self, fields: &[&[u8]], cseq: u32) -> loop_detection::Branch {
        let mut hash = self.entropy.hash_fields();
        hash.field(b"ACK");
        for field in fields {
            hash.field(field);
        }
        hash.write_u32(cseq);
        loop_detection::branch(hash.finish(), 0)
    }
}
