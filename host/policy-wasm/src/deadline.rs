//! When a guest has had its time: milliseconds that its thread has worked, so that a busy
//! machine, which lets the thread wait, refuses no call.
//!
//! Looking at a thread's own time is a system call, which costs as much as a short guest.
//! So nobody looks before a guest has run for a millisecond by the wall's clock.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use wasmtime::UpdateDeadline;

/// How many times its deadline a call may take by the wall's clock, if its thread waits for
/// the rest of it. 8: then 400 ms by default, which is less than a retransmission.
const WALL: u64 = 8;

/// When the thread's time is looked at first, milliseconds. What was worked before does not
/// count.
const FIRST_LOOK_MS: u64 = 1;

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
    /// What the thread had worked at the first look.
    mark: Option<Duration>,
}

impl Deadline {
    /// Of so many milliseconds from now on, and the ticks until it has to be looked at.
    pub(crate) fn begin(limit_ms: u32) -> (Self, u64) {
        let deadline = Self {
            limit_ms: u64::from(limit_ms),
            granted_ms: 0,
            mark: None,
        };
        // The running tick is partly over already, so one more.
        (deadline, FIRST_LOOK_MS + 1)
    }

    /// The ticks have passed: whether the guest has worked for so long, or has to wait on.
    pub(crate) fn passed(&mut self) -> UpdateDeadline {
        self.update(worked())
    }

    /// `now` is none if nobody knows; then the wall's clock counts.
    fn update(&mut self, now: Option<Duration>) -> UpdateDeadline {
        let rest = match (now, self.mark) {
            (Some(now), Some(mark)) => {
                let worked_ms = u64::try_from(now.saturating_sub(mark).as_millis());
                self.limit_ms.saturating_sub(worked_ms.unwrap_or(u64::MAX))
            }
            (now, _) => {
                self.mark = now;
                self.limit_ms.saturating_sub(self.granted_ms)
            }
        };
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

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(update: UpdateDeadline) -> Option<u64> {
        match update {
            UpdateDeadline::Continue(ticks) => Some(ticks),
            _ => None,
        }
    }

    const fn ms(ms: u64) -> Option<Duration> {
        Some(Duration::from_millis(ms))
    }

    #[test]
    fn waiting_does_not_count_and_is_bounded() {
        let (mut deadline, ticks) = Deadline::begin(50);
        assert_eq!(ticks, 2);
        assert_eq!(granted(deadline.update(ms(7_000))), Some(50));
        assert_eq!(granted(deadline.update(ms(7_010))), Some(40));
        assert_eq!(granted(deadline.update(ms(7_049))), Some(1));
        assert_eq!(granted(deadline.update(ms(7_050))), None);
        let (mut starved, _) = Deadline::begin(50);
        let all: u64 = std::iter::from_fn(|| granted(starved.update(ms(0)))).sum();
        assert_eq!(all, 400);
    }

    #[test]
    fn the_wall_counts_where_the_system_does_not_say() {
        let (mut deadline, _) = Deadline::begin(50);
        assert_eq!(granted(deadline.update(None)), Some(50));
        assert_eq!(granted(deadline.update(None)), None);
    }

    #[test]
    fn a_thread_that_works_is_seen_to() {
        let (mut deadline, _) = Deadline::begin(5);
        assert_eq!(granted(deadline.passed()), Some(5));
        let (mut longer, _) = Deadline::begin(1_000);
        assert_eq!(granted(longer.passed()), Some(1_000));
        let began = worked().unwrap();
        while worked().unwrap() - began < Duration::from_millis(5) {}
        assert_eq!(granted(deadline.passed()), None);
        assert!(granted(longer.passed()).is_some_and(|rest| rest < 1_000));
    }
}
