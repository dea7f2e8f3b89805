//! The proxy core's own timers: Timer C (RFC 3261 section 16.6 step 11), consult
//! deadlines, the wait after a CANCEL, and the end of a call's time.

use std::collections::BTreeMap;

use policy::ConsultId;
use sip_transaction::{Moment, TransactionId};

use crate::output::CallId;

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// The policy has not answered.
    Consult(ConsultId),
    /// Timer C of the branch with this client transaction.
    C(TransactionId),
    /// No final response came after the CANCEL of this client transaction.
    CancelWait(TransactionId),
    /// A call's time is up.
    CallLimit(CallId),
    /// A policy wants to hear of a call.
    CallTick(CallId),
    /// The oldest silenced request may be forgotten.
    Silence,
}

/// Names a timer that is set, so that it can be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimerKey(Moment, u64);

/// All timers that are set, soonest first. Bounded by the tables that set them:
/// each entry of those has at most one.
#[derive(Debug, Default)]
pub(crate) struct TimerQueue {
    timers: BTreeMap<TimerKey, Timer>,
    next: u64,
}

impl TimerQueue {
    pub(crate) fn set(&mut self, at: Moment, timer: Timer) -> TimerKey {
        let key = TimerKey(at, self.next);
        self.next = self.next.wrapping_add(1);
        self.timers.insert(key, timer);
        key
    }

    /// Stops a timer; one that has fired or was stopped is no error.
    pub(crate) fn stop(&mut self, key: Option<TimerKey>) {
        if let Some(key) = key {
            self.timers.remove(&key);
        }
    }

    pub(crate) fn soonest(&self) -> Option<Moment> {
        self.timers.first_key_value().map(|(key, _)| key.0)
    }

    /// Takes the next timer that is due.
    pub(crate) fn due(&mut self, now: Moment) -> Option<Timer> {
        let entry = self.timers.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }

    pub(crate) fn len(&self) -> usize {
        self.timers.len()
    }
}
