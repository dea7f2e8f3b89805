//! Client transactions and how responses find them (RFC 3261 section 17.1).

use std::sync::Arc;

use bytes::Bytes;
use sip_message::{Message, Method, build};

use crate::key::{self, Index, KeyHasher};
use crate::layer::Context;
use crate::machine::{Action, Reliability, Trouble};
use crate::schedule::Schedule;
use crate::server::reliability_of;
use crate::slab::Slab;
use crate::{
    Destination, Event, Flow, Refused, TableLimits, Timer, TransactionId, client_invite,
    client_non_invite,
};

/// All client transactions of a layer.
pub(crate) struct ClientTable {
    transactions: Slab<ClientTransaction>,
    by_key: Index,
    limits: TableLimits,
}

/// What can happen to a client transaction.
pub(crate) enum ClientInput<'a> {
    Response(&'a Arc<Message>, &'a Flow),
    Fired(Timer),
    TransportError,
}

struct ClientTransaction {
    machine: Machine,
    reliability: Reliability,
    key: Box<[u8]>,
    key_hash: u64,
    to: Destination,
    /// The INVITE, while an ACK may have to be made from it.
    invite: Option<Message>,
    /// What was sent last, while it may have to be sent again.
    last: Option<Bytes>,
    schedule: Schedule,
}

#[derive(Clone, Copy)]
enum Machine {
    Invite(client_invite::State),
    NonInvite(client_non_invite::State),
}

impl ClientTable {
    pub(crate) fn new(limits: TableLimits) -> Self {
        Self {
            transactions: Slab::new(true),
            by_key: Index::default(),
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

    /// The transaction that a response belongs to: branch and sent-by of the top Via and
    /// the method of CSeq, which tells the response to a CANCEL from that to its INVITE.
    pub(crate) fn find(
        &self,
        response: &Message,
        hasher: &KeyHasher,
        scratch: &mut Vec<u8>,
    ) -> Option<TransactionId> {
        key::write_branch_key(scratch, &response.top_via(), response.cseq().method_name);
        self.find_key(hasher.hash(scratch), scratch)
    }

    /// Whether a request passed through here before: one of the Vias below its top is ours.
    pub(crate) fn sent(
        &self,
        request: &Message,
        hasher: &KeyHasher,
        scratch: &mut Vec<u8>,
    ) -> bool {
        request.vias().skip(1).any(|via| {
            key::write_branch_key(scratch, &via, request.method_name());
            self.find_key(hasher.hash(scratch), scratch).is_some()
        })
    }

    fn find_key(&self, hash: u64, key: &[u8]) -> Option<TransactionId> {
        self.by_key.find(hash, |id| {
            self.transactions
                .get(id)
                .is_some_and(|transaction| *transaction.key == *key)
        })
    }

    pub(crate) fn begin(
        &mut self,
        serial: u64,
        request: Message,
        to: Destination,
        hasher: &KeyHasher,
        scratch: &mut Vec<u8>,
        context: &mut Context<'_>,
    ) -> Result<TransactionId, Refused> {
        let method = request.method();
        if !request.is_request() || method == Method::Ack {
            return Err(Refused::NotTransactional);
        }
        if !request.top_via().has_rfc3261_branch() {
            return Err(Refused::NoBranch);
        }
        if self.len() >= self.limits.client.min(TransactionId::MOST_PLACES) {
            return Err(Refused::TableFull);
        }
        key::write_branch_key(scratch, &request.top_via(), request.method_name());
        let key_hash = hasher.hash(scratch);
        if self.find_key(key_hash, scratch).is_some() {
            return Err(Refused::BranchInUse);
        }
        let reliability = reliability_of(&to);
        let (machine, actions) = match method {
            Method::Invite => {
                let (state, actions) = client_invite::start(reliability);
                (Machine::Invite(state), actions)
            }
            _ => {
                let (state, actions) = client_non_invite::start(reliability);
                (Machine::NonInvite(state), actions)
            }
        };
        let mut transaction = ClientTransaction {
            machine,
            reliability,
            key: scratch.as_slice().into(),
            key_hash,
            to,
            last: Some(request.bytes().clone()),
            invite: (method == Method::Invite).then_some(request),
            schedule: Schedule::default(),
        };
        let id = self.transactions.insert_with(serial, |id| {
            for action in actions {
                transaction.perform(id, *action, None, context);
            }
            context.queue.watch(id, &mut transaction.schedule);
            transaction
        });
        self.by_key.insert(key_hash, id);
        Ok(id)
    }

    pub(crate) fn step(
        &mut self,
        id: TransactionId,
        input: ClientInput<'_>,
        context: &mut Context<'_>,
    ) {
        let Some(transaction) = self.transactions.get_mut(id) else {
            return;
        };
        let actions = transaction
            .machine
            .advance(&input, transaction.reliability)
            .unwrap_or_default();
        let received = match input {
            ClientInput::Response(message, flow) => Some((message, flow)),
            ClientInput::Fired(_) | ClientInput::TransportError => None,
        };
        let figures = &mut context.outbox.figures;
        if received.is_some() && !actions.contains(&Action::Deliver) {
            figures.responses_absorbed += 1;
        } else if received.is_none() && actions.contains(&Action::Resend) {
            figures.requests_repeated += 1;
        }
        for action in actions {
            transaction.perform(id, *action, received, context);
        }
        transaction.forget_what_is_not_sent_again();
        if transaction.machine.terminated() {
            self.remove(id);
            context.outbox.events.push_back(Event::Terminated { id });
        } else {
            context.queue.watch(id, &mut transaction.schedule);
        }
    }

    pub(crate) fn remove(&mut self, id: TransactionId) -> bool {
        let Some(transaction) = self.transactions.remove(id) else {
            return false;
        };
        self.by_key.remove(transaction.key_hash, id);
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
    pub(crate) fn indexed(&self) -> usize {
        self.by_key.len()
    }
}

impl ClientTransaction {
    fn perform(
        &mut self,
        id: TransactionId,
        action: Action,
        received: Option<(&Arc<Message>, &Flow)>,
        context: &mut Context<'_>,
    ) {
        let outbox = &mut *context.outbox;
        match (action, received) {
            (Action::Send | Action::Resend, _) => {
                if let Some(bytes) = &self.last {
                    outbox.transmit(&self.to, bytes.clone(), id);
                }
            }
            (Action::Acknowledge, Some((response, _))) => {
                if let Some(invite) = self.invite.take() {
                    let ack = build::ack_for(&invite, response);
                    self.last = Some(ack.clone());
                    outbox.transmit(&self.to, ack, id);
                }
            }
            (Action::Deliver, Some((message, flow))) => {
                let (message, flow) = (Arc::clone(message), flow.clone());
                outbox
                    .events
                    .push_back(Event::Response { id, message, flow });
            }
            (Action::Inform(trouble), _) => outbox.events.push_back(match trouble {
                Trouble::Timeout => Event::Timeout { id },
                Trouble::Transport => Event::TransportFailed { id },
                Trouble::NoAck => Event::Unacknowledged { id },
            }),
            _ => self.schedule.apply(action, context.now, context.timers),
        }
    }

    /// Messages are the bulk of a transaction, and these states last for seconds.
    fn forget_what_is_not_sent_again(&mut self) {
        match self.machine {
            Machine::Invite(client_invite::State::Accepted) => {
                self.last = None;
                self.invite = None;
            }
            Machine::NonInvite(client_non_invite::State::Completed) => self.last = None,
            Machine::Invite(_) | Machine::NonInvite(_) => {}
        }
    }
}

impl Machine {
    fn advance(
        &mut self,
        input: &ClientInput<'_>,
        reliability: Reliability,
    ) -> Option<&'static [Action]> {
        match self {
            Self::Invite(state) => {
                use client_invite::Input;
                let input = match input {
                    ClientInput::Response(message, _) => match message.status()? {
                        ..200 => Input::Provisional,
                        200..300 => Input::Success,
                        300.. => Input::Failure,
                    },
                    ClientInput::Fired(timer) => Input::Fired(*timer),
                    ClientInput::TransportError => Input::TransportError,
                };
                let (next, actions) = client_invite::transition(*state, input, reliability)?;
                *state = next;
                Some(actions)
            }
            Self::NonInvite(state) => {
                use client_non_invite::Input;
                let input = match input {
                    ClientInput::Response(message, _) => match message.status()? {
                        ..200 => Input::Provisional,
                        200.. => Input::Final,
                    },
                    ClientInput::Fired(timer) => Input::Fired(*timer),
                    ClientInput::TransportError => Input::TransportError,
                };
                let (next, actions) = client_non_invite::transition(*state, input, reliability)?;
                *state = next;
                Some(actions)
            }
        }
    }

    fn terminated(self) -> bool {
        matches!(
            self,
            Self::Invite(client_invite::State::Terminated)
                | Self::NonInvite(client_non_invite::State::Terminated)
        )
    }
}
