//! Requests that await their policy.

use std::collections::VecDeque;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use policy::{ConsultId, Peer, Permit};
use sip_message::Message;
use sip_transaction::{Flow, Moment, TransactionId};

use crate::calls::DialogRef;
use crate::routing::Approach;
use crate::timers::TimerKey;
use crate::validation::Validated;

/// A request between its validation and its decision.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) server: TransactionId,
    pub(crate) request: Arc<Message>,
    pub(crate) flow: Flow,
    pub(crate) peer: Peer,
    pub(crate) validated: Validated,
    pub(crate) approach: Approach,
    pub(crate) dialog: Option<DialogRef>,
    /// An OPTIONS that we answer ourselves if it is admitted.
    pub(crate) for_us: bool,
    pub(crate) asked: Moment,
    pub(crate) deadline: Option<TimerKey>,
    pub(crate) trying_sent: bool,
}

impl Pending {
    /// Whether we answer it ourselves: an OPTIONS for us, unless the policy sends it on and
    /// it may still be sent on.
    pub(crate) fn is_for_us(&self, permit: &Permit) -> bool {
        let elsewhere = permit
            .rewrites()
            .is_some_and(|rewrites| rewrites.request_uri.is_some());
        self.for_us && (self.validated.last_hop || !elsewhere)
    }
}

/// All of them. The limit `pending_consults` is kept by whoever asks.
#[derive(Debug, Default)]
pub(crate) struct Consults {
    pending: HashMap<ConsultId, Pending, FixedState>,
    by_server: HashMap<TransactionId, ConsultId, FixedState>,
    /// INVITEs whose 100 (Trying) goes out with the next poll.
    trying: VecDeque<ConsultId>,
    last: u64,
}

impl Consults {
    pub(crate) fn len(&self) -> usize {
        self.pending.len()
    }

    pub(crate) fn next_id(&mut self) -> ConsultId {
        self.last += 1;
        ConsultId::new(self.last)
    }

    pub(crate) fn insert(&mut self, id: ConsultId, pending: Pending) {
        if !pending.trying_sent {
            self.trying.push_back(id);
        }
        self.by_server.insert(pending.server, id);
        self.pending.insert(id, pending);
    }

    pub(crate) fn take(&mut self, id: ConsultId) -> Option<Pending> {
        let pending = self.pending.remove(&id)?;
        self.by_server.remove(&pending.server);
        Some(pending)
    }

    pub(crate) fn take_by_server(&mut self, server: TransactionId) -> Option<Pending> {
        let id = self.by_server.get(&server).copied()?;
        self.take(id)
    }

    /// The next request that still awaits both its policy and its 100.
    pub(crate) fn next_trying(&mut self) -> Option<&mut Pending> {
        while let Some(id) = self.trying.pop_front() {
            if self.pending.contains_key(&id) {
                return self.pending.get_mut(&id);
            }
        }
        None
    }
}
