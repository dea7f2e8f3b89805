//! Server transactions and how requests find them (RFC 3261 sections 17.2 and 9.2).

use std::sync::Arc;

use bytes::Bytes;
use sip_message::{Limits, Message, Method};

use crate::key::{self, Index, KeyHasher};
use crate::layer::Context;
use crate::machine::{Action, Reliability, Trouble};
use crate::schedule::Schedule;
use crate::slab::Slab;
use crate::{
    Destination, Event, Flow, Gone, TableLimits, Timer, TransactionId, server_invite,
    server_non_invite,
};

/// All server transactions of a layer.
pub(crate) struct ServerTable {
    transactions: Slab<ServerTransaction>,
    by_key: Index,
    by_merge_key: Index,
    limits: TableLimits,
}

/// What can happen to a server transaction.
pub(crate) enum ServerInput<'a> {
    Repeated,
    Ack(&'a Arc<Message>, &'a Flow),
    Respond(u16, Bytes),
    Fired(Timer),
    TransportError,
}

struct ServerTransaction {
    machine: Machine,
    reliability: Reliability,
    /// The matching key, then the key of merged requests, in one allocation.
    keys: Box<[u8]>,
    key_length: usize,
    key_hash: u64,
    merge_hash: Option<u64>,
    legacy: Option<Box<LegacyTags>>,
    reply: Destination,
    /// The last response, while a repeated request may want it.
    last: Option<Bytes>,
    schedule: Schedule,
}

#[derive(Clone, Copy)]
enum Machine {
    Invite(server_invite::State),
    NonInvite(server_non_invite::State),
}

/// What RFC 2543 elements are matched by beside the key (RFC 3261 section 17.2.3).
struct LegacyTags {
    request: Option<Box<[u8]>>,
    response: Option<Box<[u8]>>,
}

impl ServerTable {
    pub(crate) fn new(limits: TableLimits) -> Self {
        Self {
            transactions: Slab::new(false),
            by_key: Index::default(),
            by_merge_key: Index::default(),
            limits,
        }
    }

    pub(crate) fn set_limits(&mut self, limits: TableLimits) {
        self.limits = limits;
    }

    pub(crate) fn len(&self) -> usize {
        self.transactions.len()
    }

    pub(crate) fn contains(&self, id: TransactionId) -> bool {
        self.transactions.get(id).is_some()
    }

    pub(crate) fn has_room(&self, may_use_reserve: bool) -> bool {
        let reserve = if may_use_reserve {
            self.limits.reserve
        } else {
            0
        };
        let limit = self
            .limits
            .server
            .saturating_add(reserve)
            .min(TransactionId::MOST_PLACES);
        self.len() < limit
    }

    /// The transaction of `method` that this request belongs to: its own method for a
    /// repeated request, INVITE for the target of a CANCEL.
    pub(crate) fn find(
        &self,
        message: &Message,
        method: &[u8],
        hasher: &KeyHasher,
        scratch: &mut Vec<u8>,
    ) -> Option<TransactionId> {
        self.find_by(message, method, hasher, scratch, |tags| {
            tags.request.as_deref() == message.to_tag()
        })
    }

    /// The INVITE transaction that this ACK belongs to.
    pub(crate) fn find_for_ack(
        &self,
        ack: &Message,
        hasher: &KeyHasher,
        scratch: &mut Vec<u8>,
    ) -> Option<TransactionId> {
        self.find_by(ack, b"INVITE", hasher, scratch, |tags| {
            tags.response.as_deref() == ack.to_tag()
        })
    }

    fn find_by(
        &self,
        message: &Message,
        method: &[u8],
        hasher: &KeyHasher,
        scratch: &mut Vec<u8>,
        tags_match: impl Fn(&LegacyTags) -> bool,
    ) -> Option<TransactionId> {
        write_key(scratch, message, method);
        self.by_key.find(hasher.hash(scratch), |id| {
            self.transactions.get(id).is_some_and(|transaction| {
                transaction.key() == scratch.as_slice()
                    && transaction.legacy.as_deref().is_none_or(&tags_match)
            })
        })
    }

    /// Whether a copy of this request, which matches no transaction, is in progress.
    pub(crate) fn has_copy(
        &self,
        message: &Message,
        hasher: &KeyHasher,
        scratch: &mut Vec<u8>,
    ) -> bool {
        key::write_merge_key(scratch, message)
            && self
                .by_merge_key
                .find(hasher.hash(scratch), |id| {
                    self.transactions
                        .get(id)
                        .is_some_and(|transaction| transaction.merge_key() == scratch.as_slice())
                })
                .is_some()
    }

    /// Begins a transaction. The caller has looked for room and for an existing one.
    pub(crate) fn insert(
        &mut self,
        serial: u64,
        message: &Message,
        reply: Destination,
        hasher: &KeyHasher,
        scratch: &mut Vec<u8>,
    ) -> TransactionId {
        let method = message.method();
        // CANCEL copies tags and number from its INVITE, and requests inside a dialog are
        // told apart by it: neither can be a merged request.
        let merge_hash = (method != Method::Cancel
            && message.to_tag().is_none()
            && key::write_merge_key(scratch, message))
        .then(|| hasher.hash(scratch));
        let merge_key = if merge_hash.is_some() {
            scratch.clone()
        } else {
            Vec::new()
        };
        write_key(scratch, message, message.method_name());
        let key_length = scratch.len();
        let key_hash = hasher.hash(scratch);
        scratch.extend_from_slice(&merge_key);

        let reliability = reliability_of(&reply);
        let legacy = (!message.top_via().has_rfc3261_branch()).then(|| {
            Box::new(LegacyTags {
                request: message.to_tag().map(Box::from),
                response: None,
            })
        });
        let machine = match method {
            Method::Invite => Machine::Invite(server_invite::start(reliability).0),
            _ => Machine::NonInvite(server_non_invite::start(reliability).0),
        };
        let id = self.transactions.insert(
            serial,
            ServerTransaction {
                machine,
                reliability,
                keys: scratch.as_slice().into(),
                key_length,
                key_hash,
                merge_hash,
                legacy,
                reply,
                last: None,
                schedule: Schedule::default(),
            },
        );
        self.by_key.insert(key_hash, id);
        if let Some(hash) = merge_hash {
            self.by_merge_key.insert(hash, id);
        }
        id
    }

    pub(crate) fn step(
        &mut self,
        id: TransactionId,
        input: ServerInput<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), Gone> {
        let transaction = self.transactions.get_mut(id).ok_or(Gone)?;
        let actions = transaction.machine.advance(&input, transaction.reliability);
        if matches!(input, ServerInput::Repeated)
            || (actions.is_none() && matches!(input, ServerInput::Ack(..)))
        {
            context.outbox.figures.requests_absorbed += 1;
        }
        for action in actions.unwrap_or_default() {
            transaction.perform(id, *action, &input, context);
        }
        transaction.forget_what_nobody_asks_for();
        if transaction.machine.terminated() {
            self.remove(id);
            context.outbox.events.push_back(Event::Terminated { id });
        } else {
            context.queue.watch(id, &mut transaction.schedule);
        }
        Ok(())
    }

    pub(crate) fn remove(&mut self, id: TransactionId) -> bool {
        let Some(transaction) = self.transactions.remove(id) else {
            return false;
        };
        self.by_key.remove(transaction.key_hash, id);
        if let Some(hash) = transaction.merge_hash {
            self.by_merge_key.remove(hash, id);
        }
        true
    }

    pub(crate) fn schedule(&self, id: TransactionId) -> Option<&Schedule> {
        self.transactions
            .get(id)
            .map(|transaction| &transaction.schedule)
    }

    pub(crate) fn schedule_mut(&mut self, id: TransactionId) -> Option<&mut Schedule> {
        self.transactions
            .get_mut(id)
            .map(|transaction| &mut transaction.schedule)
    }

    #[cfg(test)]
    pub(crate) fn indexed(&self) -> (usize, usize) {
        (self.by_key.len(), self.by_merge_key.len())
    }
}

impl ServerTransaction {
    fn key(&self) -> &[u8] {
        self.keys.get(..self.key_length).unwrap_or_default()
    }

    fn merge_key(&self) -> &[u8] {
        self.keys.get(self.key_length..).unwrap_or_default()
    }

    fn perform(
        &mut self,
        id: TransactionId,
        action: Action,
        input: &ServerInput<'_>,
        context: &mut Context<'_>,
    ) {
        let outbox = &mut *context.outbox;
        match (action, input) {
            (Action::Send, ServerInput::Respond(_, response)) => {
                if let Some(tags) = &mut self.legacy {
                    tags.response = to_tag_of(response);
                }
                self.last = Some(response.clone());
                outbox.transmit(&self.reply, response.clone(), id);
            }
            (Action::Resend, _) => {
                if let Some(response) = &self.last {
                    outbox.figures.responses_repeated += 1;
                    outbox.transmit(&self.reply, response.clone(), id);
                }
            }
            (Action::Deliver, ServerInput::Ack(message, flow)) => {
                let (message, flow) = (Arc::clone(message), Flow::clone(flow));
                outbox.events.push_back(Event::Ack { message, flow });
            }
            (Action::Inform(trouble), _) => outbox.events.push_back(match trouble {
                Trouble::NoAck => Event::Unacknowledged { id },
                Trouble::Timeout => Event::Timeout { id },
                Trouble::Transport => Event::TransportFailed { id },
            }),
            _ => self.schedule.apply(action, context.now, context.timers),
        }
    }

    /// In these states no repeated request is answered, and they last for most of the
    /// transaction's life.
    fn forget_what_nobody_asks_for(&mut self) {
        use server_invite::State::{Accepted, Confirmed};
        if matches!(self.machine, Machine::Invite(Accepted | Confirmed)) {
            self.last = None;
        }
    }
}

impl Machine {
    fn advance(
        &mut self,
        input: &ServerInput<'_>,
        reliability: Reliability,
    ) -> Option<&'static [Action]> {
        match self {
            Self::Invite(state) => {
                use server_invite::Input;
                let input = match input {
                    ServerInput::Repeated => Input::Invite,
                    ServerInput::Ack(..) => Input::Ack,
                    ServerInput::Respond(..200, _) => Input::Provisional,
                    ServerInput::Respond(200..300, _) => Input::Success,
                    ServerInput::Respond(300.., _) => Input::Failure,
                    ServerInput::Fired(timer) => Input::Fired(*timer),
                    ServerInput::TransportError => Input::TransportError,
                };
                let (next, actions) = server_invite::transition(*state, input, reliability)?;
                *state = next;
                Some(actions)
            }
            Self::NonInvite(state) => {
                use server_non_invite::Input;
                let input = match input {
                    ServerInput::Repeated => Input::Request,
                    ServerInput::Ack(..) => return None,
                    ServerInput::Respond(..200, _) => Input::Provisional,
                    ServerInput::Respond(200.., _) => Input::Final,
                    ServerInput::Fired(timer) => Input::Fired(*timer),
                    ServerInput::TransportError => Input::TransportError,
                };
                let (next, actions) = server_non_invite::transition(*state, input, reliability)?;
                *state = next;
                Some(actions)
            }
        }
    }

    fn terminated(self) -> bool {
        matches!(
            self,
            Self::Invite(server_invite::State::Terminated)
                | Self::NonInvite(server_non_invite::State::Terminated)
        )
    }
}

/// RFC 3261 section 17.2.3: by branch where it has the magic cookie, else by the fields.
fn write_key(out: &mut Vec<u8>, message: &Message, method: &[u8]) {
    let via = message.top_via();
    if via.has_rfc3261_branch() {
        key::write_branch_key(out, &via, method);
    } else {
        key::write_legacy_key(out, message, method);
    }
}

/// The To tag that the transaction user chose. Only asked for peers of RFC 2543.
fn to_tag_of(response: &Bytes) -> Option<Box<[u8]>> {
    let response = Message::parse_datagram(response.clone(), &Limits::default()).ok()?;
    response.to_tag().map(Box::from)
}

pub(crate) fn reliability_of(to: &Destination) -> Reliability {
    if to.transport.reliable() {
        Reliability::Reliable
    } else {
        Reliability::Unreliable
    }
}
