//! Which message carries an offer and which an answer: RFC 3261 section 13.2.1,
//! RFC 3262 section 5, RFC 3311 section 5, RFC 6337 section 2.2.
//!
//! | carried by | offer | answer |
//! |---|---|---|
//! | INVITE, UPDATE | always | never |
//! | 18x for an INVITE | if reliable and none is open | to the INVITE's offer |
//! | 2xx for an INVITE | if none is open and none was answered | to the INVITE's offer |
//! | ACK | never | to the offer of the 2xx |
//! | PRACK | if none is open | to the offer of the reliable 18x |
//! | 2xx for PRACK, UPDATE | never | to their offer |
//!
//! An answer in an unreliable 18x is binding enough to let early media flow, and may
//! be followed by another one until a reliable answer has come.

use bytes::Bytes;

use super::Desk;
use super::offer::Envelope;
use super::session::{Answered, Key, Pending, Session};
use crate::sdp::multipart::Place;
use crate::{Body, Carrier, Passage, Refused, Unacceptable};

/// What a description is, in the exchange that it belongs to.
enum Role {
    Offer {
        in_response: bool,
    },
    Answer {
        pending: Box<Pending>,
        firm: bool,
    },
    /// Said before; the receiver is told the same again.
    Repeat(Bytes),
    /// It negotiates nothing.
    Nothing,
}

/// Marks of a message.
#[derive(Clone, Copy)]
pub(super) struct Marks {
    /// Of the description alone.
    pub(super) sdp: u128,
    pub(super) terms: u64,
}

impl Session {
    /// A message of this call passes.
    pub(super) fn handle(
        &mut self,
        passage: &Passage<'_>,
        (place, sdp): (&Place, &[u8]),
        marks: Marks,
        digest: u128,
        desk: &mut Desk<'_>,
    ) -> Result<Body, Refused> {
        if *place == Place::Absent {
            self.handle_bare(passage, marks.terms, desk)?;
            return Ok(Body::AsIs);
        }
        if let Some(body) = self.recall(digest) {
            return Ok(body);
        }
        let output = self.handle_description(passage, sdp, marks, desk)?;
        let body = body(place, passage.body, output);
        if let Some(key) = key(passage) {
            self.remember(key, digest, &body);
        }
        Ok(body)
    }

    /// A message with a description. `None`: it negotiates nothing.
    fn handle_description(
        &mut self,
        passage: &Passage<'_>,
        sdp: &[u8],
        marks: Marks,
        desk: &mut Desk<'_>,
    ) -> Result<Option<Bytes>, Refused> {
        let Some(key) = key(passage) else {
            return Ok(None);
        };
        let request = matches!(
            passage.carrier,
            Carrier::Invite { .. } | Carrier::Update { .. }
        );
        let fresh = request || self.dialogs.is_empty();
        let forks = desk.config.limits.forks;
        let Some(dialog) = self.dialog(passage.dialog, marks.terms, fresh, forks) else {
            return Ok(None);
        };
        match self.role(dialog, passage, key, marks.sdp)? {
            Role::Offer { in_response } => {
                let envelope = Envelope {
                    dialog,
                    key,
                    in_response,
                    terms: marks.terms,
                };
                let pending = self.translate_offer(&envelope, passage, sdp, desk)?;
                self.stage(&pending, desk);
                let output = pending.output.clone();
                self.keep_offer(dialog, pending, forks);
                Ok(Some(output))
            }
            Role::Answer { pending, firm } => {
                let (agreed, output) =
                    self.translate_answer(dialog, &pending, passage, sdp, desk)?;
                if let Some(entry) = self.dialogs.get_mut(dialog) {
                    let open = entry.answered.take().filter(|last| last.key == pending.key);
                    let before = match open.and_then(|last| last.open) {
                        Some((_, before)) => before,
                        None => entry.agreed.take(),
                    };
                    entry.pending = None;
                    entry.finish(pending.key);
                    entry.answered = Some(Answered {
                        key: pending.key,
                        answerer: passage.from,
                        input: marks.sdp,
                        output: output.clone(),
                        open: (!firm).then_some((*pending, before)),
                    });
                }
                self.settle(dialog, Some(agreed), desk);
                Ok(Some(output))
            }
            Role::Repeat(output) => Ok(Some(output)),
            Role::Nothing => Ok(None),
        }
    }

    /// A message without one: it may lack an answer that it owes.
    fn handle_bare(
        &mut self,
        passage: &Passage<'_>,
        terms: u64,
        desk: &mut Desk<'_>,
    ) -> Result<(), Refused> {
        let Some(key) = key(passage) else {
            return Ok(());
        };
        let invite = matches!(passage.carrier, Carrier::Invite { .. });
        let Some(index) = self.dialog(passage.dialog, terms, invite, desk.config.limits.forks)
        else {
            return Ok(());
        };
        let owes = self
            .dialogs
            .get(index)
            .and_then(|dialog| dialog.pending.as_ref())
            .is_some_and(|pending| {
                let its = pending.offerer != passage.from && pending.key == key;
                match passage.carrier {
                    Carrier::Success { .. }
                    | Carrier::PrackSuccess { .. }
                    | Carrier::UpdateSuccess { .. } => its && !pending.in_response,
                    Carrier::Ack { .. } => its && pending.in_response,
                    _ => false,
                }
            });
        if owes {
            self.roll_back(key, desk);
            return Err(Unacceptable::AnswerMissing.into());
        }
        Ok(())
    }

    /// What a failed transaction offered is forgotten, and what it had agreed
    /// provisionally too.
    pub(super) fn roll_back(&mut self, key: Key, desk: &mut Desk<'_>) {
        self.forget(key);
        if !self.confirmed {
            // Forks that the failed INVITE made are gone with it, whatever was agreed.
            self.dialogs
                .retain(|dialog| dialog.number == 0 || !dialog.is_done(key));
        }
        for dialog in &mut self.dialogs {
            dialog.variants.retain(|pending| pending.key != key);
            if dialog
                .pending
                .as_ref()
                .is_some_and(|pending| pending.key == key)
            {
                dialog.pending = None;
            }
            let provisional = dialog
                .answered
                .take_if(|answered| answered.key == key && answered.open.is_some());
            if let Some((_, before)) = provisional.and_then(|answered| answered.open) {
                dialog.agreed = before;
            }
        }
        self.reconcile(desk);
    }

    /// The fork that was answered with 2xx is the call.
    pub(super) fn confirm(&mut self, number: u32, desk: &mut Desk<'_>) {
        self.selected = Some(number);
        self.confirmed = true;
        // What forks begin with stays: another 2xx may come late (RFC 3261
        // section 13.2.2.4).
        self.dialogs
            .retain(|dialog| dialog.number == number || dialog.number == 0);
        self.reconcile(desk);
    }

    fn keep_offer(&mut self, dialog: usize, pending: Pending, forks: usize) {
        let Some(entry) = self.dialogs.get_mut(dialog) else {
            return;
        };
        if let Some(earlier) = entry.pending.replace(pending)
            && entry.number == 0
            && entry.variants.len() < forks
        {
            entry.variants.push(earlier);
        }
        if let Some(answered) = &mut entry.answered {
            answered.open = None;
        }
        // The call has gone on, so no fork of its beginning will be heard again.
        if self.confirmed && entry.number != 0 {
            self.dialogs.retain(|dialog| dialog.number != 0);
        }
    }

    fn role(
        &self,
        dialog: usize,
        passage: &Passage<'_>,
        key: Key,
        input: u128,
    ) -> Result<Role, Refused> {
        let Some(dialog) = self.dialogs.get(dialog) else {
            return Ok(Role::Nothing);
        };
        let pending = dialog.pending.as_ref();
        let answers = |in_response: bool| {
            pending.filter(|pending| {
                pending.offerer != passage.from && pending.in_response == in_response
            })
        };
        let answer = |pending: &Pending, firm| {
            Ok(Role::Answer {
                pending: Box::new(pending.clone()),
                firm,
            })
        };
        match passage.carrier {
            Carrier::Invite { .. } | Carrier::Update { .. } => may_offer(pending, passage, key),
            Carrier::Prack { .. } => match answers(true) {
                Some(pending) => answer(pending, true),
                None => may_offer(pending, passage, key),
            },
            Carrier::Ack { .. } => match answers(true).filter(|pending| pending.key == key) {
                Some(pending) => answer(pending, true),
                None => Ok(dialog.repeat(passage, key)),
            },
            Carrier::Provisional { .. }
            | Carrier::Success { .. }
            | Carrier::PrackSuccess { .. }
            | Carrier::UpdateSuccess { .. } => {
                let firm = !matches!(
                    passage.carrier,
                    Carrier::Provisional {
                        reliable: false,
                        ..
                    }
                );
                if let Some(pending) = answers(false).filter(|pending| pending.key == key) {
                    return answer(pending, firm);
                }
                Ok(dialog.role_of_response(passage, key, input, firm))
            }
            Carrier::Other => Ok(Role::Nothing),
        }
    }
}

impl super::session::Dialog {
    /// A response whose request has no open offer.
    fn role_of_response(&self, passage: &Passage<'_>, key: Key, input: u128, firm: bool) -> Role {
        if let Some(answered) = self
            .answered
            .as_ref()
            .filter(|answered| answered.key == key)
        {
            return match &answered.open {
                Some((pending, _)) if answered.answerer == passage.from => {
                    // The same again in a reliable response needs no new ports, but
                    // closes the matter.
                    if answered.input == input && !firm {
                        Role::Repeat(answered.output.clone())
                    } else {
                        Role::Answer {
                            pending: Box::new(pending.clone()),
                            firm,
                        }
                    }
                }
                // RFC 6337 section 3.1: later ones only repeat.
                _ => self.repeat(passage, key),
            };
        }
        if self.is_done(key) {
            return self.repeat(passage, key);
        }
        let own = self
            .pending
            .as_ref()
            .filter(|pending| pending.offerer == passage.from);
        match (own, passage.carrier) {
            (Some(pending), _) if pending.key == key => Role::Repeat(pending.output.clone()),
            (None, Carrier::Success { .. } | Carrier::Provisional { reliable: true, .. })
                if self.pending.is_none() =>
            {
                Role::Offer { in_response: true }
            }
            _ => Role::Nothing,
        }
    }

    /// A description after its exchange has ended tells what is agreed now.
    fn repeat(&self, passage: &Passage<'_>, key: Key) -> Role {
        match self
            .last_sent(passage.from.other())
            .filter(|_| self.is_done(key))
        {
            Some(body) => Role::Repeat(body),
            None => Role::Nothing,
        }
    }
}

/// RFC 3264 section 4: one offer at a time. The same request may come again for
/// another target.
fn may_offer(pending: Option<&Pending>, passage: &Passage<'_>, key: Key) -> Result<Role, Refused> {
    match pending {
        Some(pending) if pending.offerer != passage.from => Err(Refused::Glare),
        Some(pending) if pending.key != key => Err(Refused::OfferPending),
        _ => Ok(Role::Offer { in_response: false }),
    }
}

/// The transaction that a message belongs to.
pub(super) fn key(passage: &Passage<'_>) -> Option<Key> {
    let (requester, transaction) = match passage.carrier {
        Carrier::Invite { transaction }
        | Carrier::Ack { transaction }
        | Carrier::Prack { transaction }
        | Carrier::Update { transaction } => (passage.from, transaction),
        Carrier::Provisional { transaction, .. }
        | Carrier::Success { transaction }
        | Carrier::PrackSuccess { transaction }
        | Carrier::UpdateSuccess { transaction } => (passage.from.other(), transaction),
        Carrier::Other => return None,
    };
    Some(Key {
        requester,
        transaction,
    })
}

/// A description in a multipart body, or alone.
pub(super) fn body(place: &Place, whole: &[u8], sdp: Option<Bytes>) -> Body {
    match (place, sdp) {
        (Place::Absent, _) => Body::AsIs,
        (Place::Whole, Some(sdp)) => Body::Replace(sdp),
        (Place::Part(_), Some(sdp)) => Body::Replace(Bytes::from(place.replace(whole, &sdp))),
        (_, None) => place
            .remove(whole)
            .map_or(Body::Remove, |rest| Body::Replace(Bytes::from(rest))),
    }
}
