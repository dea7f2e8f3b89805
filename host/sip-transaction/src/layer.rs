//! The layer itself: it sorts messages to transactions and runs their timers
//! (RFC 3261 sections 17 and 18).

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use sip_message::{Message, Method};

use crate::client::{ClientInput, ClientTable};
use crate::key::KeyHasher;
use crate::schedule::{Schedule, TimerQueue};
use crate::server::{ServerInput, ServerTable};
use crate::stateless::{self, Refusal};
use crate::{
    Destination, Event, Figures, Flow, Gone, Moment, Refused, TableLimits, Timers, TransactionId,
    Transmit, response_destination,
};

/// All transactions of one shard.
pub struct TransactionLayer {
    servers: ServerTable,
    clients: ClientTable,
    queue: TimerQueue,
    outbox: Outbox,
    timers: Timers,
    hasher: KeyHasher,
    /// Keys of the message at hand are written here, over and over.
    scratch: Vec<u8>,
    serial: u64,
}

/// What waits to be polled.
#[derive(Default)]
pub(crate) struct Outbox {
    pub(crate) transmits: VecDeque<Transmit>,
    pub(crate) events: VecDeque<Event>,
    pub(crate) figures: Figures,
}

impl Outbox {
    pub(crate) fn transmit(&mut self, to: &Destination, bytes: Bytes, id: TransactionId) {
        self.transmits.push_back(Transmit {
            to: to.clone(),
            bytes,
            transaction: Some(id),
        });
    }
}

/// What a transaction needs to carry its actions out.
pub(crate) struct Context<'a> {
    pub(crate) now: Moment,
    pub(crate) timers: &'a Timers,
    pub(crate) outbox: &'a mut Outbox,
    pub(crate) queue: &'a mut TimerQueue,
}

impl TransactionLayer {
    /// A layer without transactions. `seed` keeps peers from choosing branches that
    /// collide in its tables: take it from a source of randomness, one for each layer.
    #[must_use]
    pub fn new(timers: Timers, limits: TableLimits, seed: u64) -> Self {
        Self {
            servers: ServerTable::new(limits),
            clients: ClientTable::new(limits),
            queue: TimerQueue::default(),
            outbox: Outbox::default(),
            timers,
            hasher: KeyHasher::new(seed),
            scratch: Vec::with_capacity(512),
            serial: 0,
        }
    }

    /// How many transactions are running.
    #[must_use]
    pub fn len(&self) -> usize {
        self.server_len() + self.client_len()
    }

    /// Whether none is running.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many server transactions are running.
    #[must_use]
    pub fn server_len(&self) -> usize {
        self.servers.len()
    }

    /// How many client transactions are running.
    #[must_use]
    pub fn client_len(&self) -> usize {
        self.clients.len()
    }

    /// Whether the transaction is running.
    #[must_use]
    pub fn contains(&self, id: TransactionId) -> bool {
        if id.is_client() {
            self.clients.contains(id)
        } else {
            self.servers.contains(id)
        }
    }

    /// What the layer did by itself so far.
    #[must_use]
    pub fn figures(&self) -> Figures {
        self.outbox.figures
    }

    /// The values from which timers are set.
    #[must_use]
    pub fn timers(&self) -> &Timers {
        &self.timers
    }

    /// Uses other values for timers that are set from now on; running ones keep theirs.
    pub fn set_timers(&mut self, timers: Timers) {
        self.timers = timers;
    }

    /// Uses other limits from now on. Transactions above a lowered limit run to their end.
    pub fn set_limits(&mut self, limits: TableLimits) {
        self.servers.set_limits(limits);
        self.clients.set_limits(limits);
    }

    /// A message came in.
    pub fn handle_message(&mut self, now: Moment, message: Arc<Message>, flow: &Flow) {
        match (message.is_request(), message.method()) {
            (false, _) => self.handle_response(now, message, flow),
            (true, Method::Ack) => self.handle_ack(now, message, flow),
            (true, method) => self.handle_request(now, method, message, flow),
        }
        self.sweep();
    }

    /// The transaction user answers a server transaction. `response` is the whole message
    /// and `status` its status code.
    ///
    /// What the state does not allow, such as a second final response other than a further
    /// 2xx to an INVITE, is dropped (RFC 3261 section 17.2.1).
    ///
    /// # Errors
    ///
    /// [`Gone`] if the transaction has ended.
    pub fn respond(
        &mut self,
        now: Moment,
        id: TransactionId,
        status: u16,
        response: Bytes,
    ) -> Result<(), Gone> {
        let (servers, mut context) = self.server_side(now);
        let outcome = servers.step(id, ServerInput::Respond(status, response), &mut context);
        self.sweep();
        outcome
    }

    /// Begins a client transaction: sends `request`, which has our own Via on top, and
    /// again as the transport demands.
    ///
    /// # Errors
    ///
    /// [`Refused`] if the table is full or the request cannot begin a transaction; then
    /// nothing has been sent.
    pub fn request(
        &mut self,
        now: Moment,
        request: Message,
        to: Destination,
    ) -> Result<TransactionId, Refused> {
        let serial = self.next_serial();
        let mut context = Context {
            now,
            timers: &self.timers,
            outbox: &mut self.outbox,
            queue: &mut self.queue,
        };
        let scratch = &mut self.scratch;
        self.clients
            .begin(serial, request, to, &self.hasher, scratch, &mut context)
    }

    /// Sends bytes that belong to no transaction: the ACK for a 2xx, a stray response.
    pub fn transmit_stateless(&mut self, to: Destination, bytes: Bytes) {
        self.outbox.transmits.push_back(Transmit {
            to,
            bytes,
            transaction: None,
        });
    }

    /// Ends a transaction at once: one that the user has given up, such as a client INVITE
    /// whose CANCEL bore no fruit (RFC 3261 section 9.1). It is gone with
    /// [`Event::Terminated`]; nothing is sent.
    pub fn terminate(&mut self, id: TransactionId) {
        let existed = if id.is_client() {
            self.clients.remove(id)
        } else {
            self.servers.remove(id)
        };
        if existed {
            self.outbox.events.push_back(Event::Terminated { id });
            self.sweep();
        }
    }

    /// A [`Transmit`] of this transaction could not be sent.
    pub fn handle_transport_error(&mut self, now: Moment, id: TransactionId) {
        self.step_plain(now, id, PlainInput::TransportError);
        self.sweep();
    }

    /// Fires every timer that is due at `now`, earliest first.
    pub fn handle_timeout(&mut self, now: Moment) {
        while let Some((at, id)) = self.queue.pop_due(now) {
            match self.schedule_mut(id) {
                Some(schedule) if schedule.owns(at) => schedule.unqueue(),
                _ => continue,
            }
            while let Some(timer) = self
                .schedule_mut(id)
                .and_then(|schedule| schedule.take_due(now))
            {
                self.step_plain(now, id, PlainInput::Fired(timer));
            }
            self.watch(id);
        }
        self.sweep();
    }

    /// The next bytes to write, in the order in which they were caused.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.outbox.transmits.pop_front()
    }

    /// The next thing that the transaction user must know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.outbox.events.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), at the latest. It may name a
    /// moment at which nothing fires, but never one that is too late.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Moment> {
        self.queue.earliest()
    }

    fn handle_response(&mut self, now: Moment, message: Arc<Message>, flow: &Flow) {
        match self.clients.find(&message, &self.hasher, &mut self.scratch) {
            Some(id) => {
                let (clients, mut context) = self.client_side(now);
                clients.step(id, ClientInput::Response(&message, flow), &mut context);
            }
            None => {
                let flow = flow.clone();
                self.outbox
                    .events
                    .push_back(Event::StrayResponse { message, flow });
            }
        }
    }

    fn handle_ack(&mut self, now: Moment, message: Arc<Message>, flow: &Flow) {
        if let Some(id) = self
            .servers
            .find_for_ack(&message, &self.hasher, &mut self.scratch)
        {
            let (servers, mut context) = self.server_side(now);
            // Found a line above, so it cannot be gone.
            let _ = servers.step(id, ServerInput::Ack(&message, flow), &mut context);
        } else if stateless::acknowledges_refusal(&message, &self.hasher, &mut self.scratch) {
            self.outbox.figures.acks_dropped += 1;
        } else {
            let flow = flow.clone();
            self.outbox.events.push_back(Event::Ack { message, flow });
        }
    }

    fn handle_request(&mut self, now: Moment, method: Method, message: Arc<Message>, flow: &Flow) {
        let name = message.method_name();
        if let Some(id) = self
            .servers
            .find(&message, name, &self.hasher, &mut self.scratch)
        {
            let (servers, mut context) = self.server_side(now);
            // Found a line above, so it cannot be gone.
            let _ = servers.step(id, ServerInput::Repeated, &mut context);
            return;
        }
        let target = match method {
            Method::Cancel => {
                self.servers
                    .find(&message, b"INVITE", &self.hasher, &mut self.scratch)
            }
            _ => None,
        };
        if method != Method::Cancel && self.is_merged(&message) {
            self.outbox.figures.merged += 1;
            self.refuse(&message, flow, Refusal::Merged);
            return;
        }
        let may_use_reserve = target.is_some() || method == Method::Bye;
        if !self.servers.has_room(may_use_reserve) {
            self.outbox.figures.overloaded += 1;
            self.refuse(&message, flow, Refusal::Overloaded);
            return;
        }
        let serial = self.next_serial();
        let reply = response_destination(&message.top_via(), flow);
        let id = self
            .servers
            .insert(serial, &message, reply, &self.hasher, &mut self.scratch);
        let flow = flow.clone();
        self.outbox.events.push_back(match method {
            Method::Cancel => Event::Cancel {
                id,
                target,
                message,
                flow,
            },
            _ => Event::Request { id, message, flow },
        });
    }

    /// Whether another copy of the request is in progress (RFC 3261 section 8.2.2.2). A
    /// spiral is not merged: it is the same request come back from where we sent it, and
    /// has one of our own Vias below its top.
    fn is_merged(&mut self, message: &Message) -> bool {
        message.to_tag().is_none()
            && self
                .servers
                .has_copy(message, &self.hasher, &mut self.scratch)
            && !self.clients.sent(message, &self.hasher, &mut self.scratch)
    }

    fn refuse(&mut self, message: &Message, flow: &Flow, refusal: Refusal) {
        let bytes = stateless::refuse(message, flow, refusal, &self.hasher, &mut self.scratch);
        if let Some(bytes) = bytes {
            self.transmit_stateless(response_destination(&message.top_via(), flow), bytes);
        }
    }

    fn step_plain(&mut self, now: Moment, id: TransactionId, input: PlainInput) {
        if id.is_client() {
            let (clients, mut context) = self.client_side(now);
            let input = match input {
                PlainInput::Fired(timer) => ClientInput::Fired(timer),
                PlainInput::TransportError => ClientInput::TransportError,
            };
            clients.step(id, input, &mut context);
        } else {
            let (servers, mut context) = self.server_side(now);
            let input = match input {
                PlainInput::Fired(timer) => ServerInput::Fired(timer),
                PlainInput::TransportError => ServerInput::TransportError,
            };
            // An error may be reported after the end: there is nothing left to do then.
            let _ = servers.step(id, input, &mut context);
        }
    }

    fn server_side(&mut self, now: Moment) -> (&mut ServerTable, Context<'_>) {
        let context = Context {
            now,
            timers: &self.timers,
            outbox: &mut self.outbox,
            queue: &mut self.queue,
        };
        (&mut self.servers, context)
    }

    fn client_side(&mut self, now: Moment) -> (&mut ClientTable, Context<'_>) {
        let context = Context {
            now,
            timers: &self.timers,
            outbox: &mut self.outbox,
            queue: &mut self.queue,
        };
        (&mut self.clients, context)
    }

    fn schedule_mut(&mut self, id: TransactionId) -> Option<&mut Schedule> {
        if id.is_client() {
            self.clients.schedule_mut(id)
        } else {
            self.servers.schedule_mut(id)
        }
    }

    fn watch(&mut self, id: TransactionId) {
        let schedule = if id.is_client() {
            self.clients.schedule_mut(id)
        } else {
            self.servers.schedule_mut(id)
        };
        if let Some(schedule) = schedule {
            self.queue.watch(id, schedule);
        }
    }

    fn sweep(&mut self) {
        let (servers, clients) = (&self.servers, &self.clients);
        self.queue.sweep(servers.len() + clients.len(), |id, at| {
            let schedule = if id.is_client() {
                clients.schedule(id)
            } else {
                servers.schedule(id)
            };
            schedule.is_some_and(|schedule| schedule.owns(at))
        });
    }

    #[cfg(test)]
    pub(crate) fn queue_len(&self) -> usize {
        self.queue.len()
    }

    /// Entries by key and by merge key of servers, and by key of clients.
    #[cfg(test)]
    pub(crate) fn index_sizes(&self) -> (usize, usize, usize) {
        let (keys, merge_keys) = self.servers.indexed();
        (keys, merge_keys, self.clients.indexed())
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }
}

/// Inputs that carry no message, for either side.
#[derive(Clone, Copy)]
enum PlainInput {
    Fired(crate::Timer),
    TransportError,
}
