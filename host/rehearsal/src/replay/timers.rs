//! What happens between two messages.

use std::collections::BTreeMap;
use std::sync::Arc;

/// What is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// A plugin wanted to hear of the call after so many seconds.
    Tick(Arc<str>, u32),
    /// The longest that a policy lets it last.
    Limit,
    /// Calls are not older than this.
    Age,
}

/// Timers in the order of their times, and of equals in the order in which they were set.
#[derive(Debug, Default)]
pub(super) struct Timers {
    set: BTreeMap<(u64, u64), Timer>,
    number: u64,
}

/// What is due for which call.
#[derive(Debug)]
struct Timer {
    call_id: Box<[u8]>,
    number: u64,
    due: Due,
}

impl Timers {
    /// For the call of this Call-ID, as long as it is the one of this number.
    pub(super) fn set(&mut self, at_ms: u64, call_id: &[u8], number: u64, due: Due) {
        self.number += 1;
        let key = (at_ms, self.number);
        let call_id = call_id.into();
        let timer = Timer {
            call_id,
            number,
            due,
        };
        self.set.insert(key, timer);
    }

    /// The first that is due by a time.
    pub(super) fn next(&mut self, by_ms: u64) -> Option<(u64, Box<[u8]>, u64, Due)> {
        let entry = self.set.first_entry()?;
        let (at_ms, _) = *entry.key();
        if at_ms > by_ms {
            return None;
        }
        let timer = entry.remove();
        Some((at_ms, timer.call_id, timer.number, timer.due))
    }
}
