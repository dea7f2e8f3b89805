//! Observed dialogs: RFC 3261 section 12, seen from between the two sides. We keep what
//! a user agent would keep, for both of them, so that the host can end a call by a BYE
//! that each side takes for the other's.

use std::sync::Arc;
use std::time::Duration;

use policy::{CallPass, DialogState};
use sip_message::{HeaderKind, Message, NameAddr};
use sip_transaction::{Destination, Flow, Moment, TransactionId};
use smallvec::SmallVec;

use crate::anchoring::{BothTerms, CallMedia};
use crate::classify::classify;
use crate::config::Routing;
use crate::entropy::Entropy;
use crate::guise::Guise;
use crate::output::EndReason;
use crate::record_route;
use crate::ticks::Ticks;
use crate::timers::TimerKey;

/// Which end of a call a message comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The one who sent the first INVITE.
    Caller,
    /// The one who answered it.
    Callee,
}

impl Side {
    /// The end across.
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Caller => Self::Callee,
            Self::Callee => Self::Caller,
        }
    }
}

/// Route values, nearest to us first.
pub(crate) type Routes = SmallVec<[Box<[u8]>; 1]>;

/// One end of a dialog.
#[derive(Clone, Debug)]
pub(crate) struct Leg {
    /// From or To of this end, with its tag.
    pub(crate) party: Box<[u8]>,
    /// Its Contact URI.
    pub(crate) remote_target: Box<[u8]>,
    /// The route set from us to it.
    pub(crate) routes: Routes,
    /// Where its messages come from, or where our requests to it go.
    pub(crate) destination: Destination,
    /// The configured peer that it is, if it is one.
    pub(crate) peer: Option<Arc<str>>,
    /// The highest CSeq it has used.
    pub(crate) cseq: Option<u32>,
}

impl Leg {
    /// The caller, from its INVITE.
    pub(crate) fn caller(invite: &Message, destination: Destination, routes_limit: usize) -> Self {
        let routes = invite.record_routes().filter_map(Result::ok);
        Self {
            party: invite.header(HeaderKind::From).unwrap_or_default().into(),
            remote_target: remote_target(invite, &invite.from()),
            routes: routes
                .take(routes_limit)
                .map(|route| bracketed(route.uri.raw))
                .collect(),
            destination,
            peer: None,
            cseq: Some(invite.cseq().number),
        }
    }

    /// The callee, from a response. Its route set is what stands above our own values in
    /// Record-Route, from below (sections 12.1.2 and 16.6 step 4).
    pub(crate) fn callee(
        response: &Message,
        destination: Destination,
        entropy: &Entropy,
        routes_limit: usize,
    ) -> Self {
        let call_id = response.call_id();
        let mut routes: Routes = response
            .record_routes()
            .filter_map(Result::ok)
            .take_while(|route| !record_route::is_marked(entropy, &route.uri, call_id))
            .take(routes_limit)
            .map(|route| bracketed(route.uri.raw))
            .collect();
        routes.reverse();
        Self {
            party: response.header(HeaderKind::To).unwrap_or_default().into(),
            remote_target: remote_target(response, &response.to()),
            routes,
            destination,
            peer: None,
            cseq: None,
        }
    }

    /// The same end, known as this peer.
    pub(crate) fn of_peer(mut self, peer: Option<&Arc<str>>) -> Self {
        self.peer = peer.cloned();
        self
    }

    /// Whether a message by this flow comes from this end: from its address, or from
    /// another one of the same peer.
    pub(crate) fn is_source(&self, routing: &Routing, flow: &Flow) -> bool {
        let own = self.destination.address.ip().to_canonical();
        own == flow.peer.ip().to_canonical()
            || (self.peer.is_some() && classify(routing, flow, None).name == self.peer)
    }

    /// Takes the CSeq of a request that this end sent.
    pub(crate) fn saw_cseq(&mut self, number: u32) {
        self.cseq = Some(self.cseq.map_or(number, |highest| highest.max(number)));
    }

    /// Takes a new Contact: section 12.2.
    pub(crate) fn refresh(&mut self, message: &Message) {
        if let Some(Ok(contact)) = message.contacts().next() {
            self.remote_target = contact.uri.raw.into();
        }
    }
}

fn remote_target(message: &Message, party: &NameAddr<'_>) -> Box<[u8]> {
    match message.contacts().next() {
        Some(Ok(contact)) => contact.uri.raw.into(),
        _ => party.uri.raw.into(),
    }
}

fn bracketed(uri: &[u8]) -> Box<[u8]> {
    [b"<", uri, b">"].concat().into()
}

/// One dialog of a call; a forked INVITE may have made several.
#[derive(Clone, Debug)]
pub(crate) struct Dialog {
    /// Names it within its call.
    pub(crate) serial: u32,
    /// The callee's tag; empty for an RFC 2543 peer.
    pub(crate) callee_tag: Box<[u8]>,
    pub(crate) state: DialogState,
    pub(crate) callee: Leg,
    /// Terms of its media; none if it is not anchored.
    pub(crate) terms: Option<BothTerms>,
}

/// An admitted call, from its INVITE to its end.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) pass: CallPass,
    pub(crate) call_id: Arc<[u8]>,
    pub(crate) caller_tag: Box<[u8]>,
    pub(crate) caller: Leg,
    pub(crate) dialogs: SmallVec<[Dialog; 1]>,
    pub(crate) next_dialog: u32,
    /// Server transaction of the first INVITE, until its final response is sent.
    pub(crate) invite: Option<TransactionId>,
    /// The longest that it may last after its answer, and why.
    pub(crate) limit: (Duration, EndReason),
    pub(crate) limit_timer: Option<TimerKey>,
    pub(crate) ticks: Ticks,
    pub(crate) answered: Option<Moment>,
    /// The host wants it to end, but its INVITE is not settled yet.
    pub(crate) ending: Option<EndReason>,
    pub(crate) media: CallMedia,
    /// Addresses that differ between the sides.
    pub(crate) guise: Option<Arc<Guise>>,
}

impl Call {
    pub(crate) fn dialog(&self, serial: u32) -> Option<&Dialog> {
        self.dialogs.iter().find(|dialog| dialog.serial == serial)
    }

    pub(crate) fn dialog_mut(&mut self, serial: u32) -> Option<&mut Dialog> {
        self.dialogs
            .iter_mut()
            .find(|dialog| dialog.serial == serial)
    }

    /// Whether a 2xx has confirmed a dialog that has not ended.
    pub(crate) fn is_confirmed(&self) -> bool {
        let confirmed = |dialog: &Dialog| dialog.state == DialogState::Confirmed;
        self.dialogs.iter().any(confirmed)
    }

    /// The leg that a message from `side` goes to.
    pub(crate) fn other_side(&self, side: Side, serial: u32) -> Option<&Leg> {
        match side {
            Side::Caller => self.dialog(serial).map(|dialog| &dialog.callee),
            Side::Callee => Some(&self.caller),
        }
    }

    /// The leg that a message from `side` comes from.
    pub(crate) fn leg(&self, side: Side, serial: u32) -> Option<&Leg> {
        self.other_side(side.other(), serial)
    }

    /// The same, to change it.
    pub(crate) fn leg_mut(&mut self, side: Side, serial: u32) -> Option<&mut Leg> {
        match side {
            Side::Caller => Some(&mut self.caller),
            Side::Callee => self.dialog_mut(serial).map(|dialog| &mut dialog.callee),
        }
    }

    /// Learns from a response to the first INVITE that has a tag. Beyond `limit` dialogs
    /// an early one gives its place to a confirmed one, and a further early one is not
    /// remembered. Returns the dialog's serial, if it is remembered.
    pub(crate) fn learn(
        &mut self,
        tag: &[u8],
        state: DialogState,
        callee: Leg,
        terms: Option<BothTerms>,
        limit: usize,
    ) -> Option<u32> {
        if let Some(known) = self
            .dialogs
            .iter_mut()
            .find(|dialog| *dialog.callee_tag == *tag)
        {
            if known.state != DialogState::Confirmed {
                known.state = state;
                let cseq = known.callee.cseq;
                known.callee = Leg { cseq, ..callee };
                known.terms = terms;
            }
            return Some(known.serial);
        }
        if self.dialogs.len() >= limit.max(1) {
            let early = self
                .dialogs
                .iter()
                .position(|dialog| dialog.state == DialogState::Early);
            match early {
                Some(place) if state == DialogState::Confirmed => {
                    self.dialogs.remove(place);
                }
                _ => return None,
            }
        }
        let serial = self.next_dialog;
        self.next_dialog = serial.wrapping_add(1);
        self.dialogs.push(Dialog {
            serial,
            callee_tag: tag.into(),
            state,
            callee,
            terms,
        });
        Some(serial)
    }

    /// Forgets the dialog with this tag, which came to nothing.
    pub(crate) fn forget(&mut self, tag: &[u8]) {
        self.dialogs.retain(|dialog| *dialog.callee_tag != *tag);
    }
}
