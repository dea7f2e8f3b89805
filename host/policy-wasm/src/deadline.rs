//! When a guest has had its time: milliseconds that its thread has worked, so that a busy
//! machine, which lets the thread wait, refuses no call.
//!
//! Looking at a thread's own time is a system call, so it is looked at once for a whole
//! pipeline, and again only when a guest has run for so long by the wall's clock.

use std::cell::Cell;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use wasmtime::UpdateDeadline;

/// How many times its deadline a call may take by the wall's clock, if its thread waits for
/// the rest of it. 8: then 400 ms by default, which is less than a retransmission.
const WALL: u64 = 8;

thread_local! {
    static MARK: Cell<Option<Duration>> = const { Cell::new(None) };
}

/// What this thread works from now on is for the next calls.
pub(crate) fn mark() {
    MARK.set(worked());
}

/// What this thread has worked altogether; none if the system does not say.
fn worked() -> Option<Duration> {
    let clock = ClockId::CLOCK_THREAD_CPUTIME_ID;
    clock_gettime(clock).ok().map(Duration::from)
}

/// The deadline of one call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Deadline {
    limit_ms: u64,
    /// What was granted by the wall's clock.
    granted_ms: u64,
}

impl Deadline {
    /// Of so many milliseconds from now on, and the ticks until it has to be looked at.
    pub(crate) fn begin(limit_ms: u32) -> (Self, u64) {
        let limit_ms = u64::from(limit_ms);
        let deadline = Self {
            limit_ms,
            granted_ms: limit_ms,
        };
        (deadline, ticks(limit_ms))
    }

    /// The ticks have passed: whether the guest has worked for so long, or has to wait on.
    pub(crate) fn passed(&mut self) -> UpdateDeadline {
        let worked = worked().zip(MARK.get());
        let worked = worked.map(|(now, mark)| now.saturating_sub(mark).as_millis());
        self.update(worked)
    }

    /// `worked_ms` is none if nobody knows; then the wall's clock counts.
    fn update(&mut self, worked_ms: Option<u128>) -> UpdateDeadline {
        let worked_ms = worked_ms.and_then(|ms| u64::try_from(ms).ok());
        let rest = self.limit_ms.saturating_sub(worked_ms.unwrap_or(u64::MAX));
        let room = (self.limit_ms * WALL).saturating_sub(self.granted_ms);
        match rest.min(room) {
            0 => UpdateDeadline::Interrupt,
            more => {
                self.granted_ms += more;
                UpdateDeadline::Continue(more)
            }
        }
    }
}

/// The running tick is partly over already, so one more.
const fn ticks(ms: u64) -> u64 {
    ms + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(update: UpdateDeadline) -> Option<u64> {
        match update {
            UpdateDeadline::Continue(ticks) => Some(ticks),
            _ => None,
        }
    }

    #[test]
    fn waiting_does_not_count_and_is_bounded() {
        let (mut deadline, ticks) = Deadline::begin(50);
        assert_eq!(ticks, 51);
        assert_eq!(granted(deadline.update(Some(10))), Some(40));
        assert_eq!(granted(deadline.update(Some(49))), Some(1));
        assert_eq!(granted(deadline.update(Some(50))), None);
        let (mut starved, _) = Deadline::begin(50);
        let all: u64 = std::iter::from_fn(|| granted(starved.update(Some(0)))).sum();
        assert_eq!(50 + all, 400);
    }

    #[test]
    fn the_wall_counts_where_the_system_does_not_say() {
        let (mut deadline, _) = Deadline::begin(50);
        assert_eq!(granted(deadline.update(None)), None);
    }

    #[test]
    fn a_thread_that_works_is_seen_to() {
        mark();
        let began = worked().unwrap();
        while worked().unwrap() - began < Duration::from_millis(5) {}
        let (mut deadline, _) = Deadline::begin(5);
        assert_eq!(granted(deadline.passed()), None);
        let (mut longer, _) = Deadline::begin(1_000);
        assert!(granted(longer.passed()).is_some_and(|rest| rest < 1_000));
    }
}
