//! Which timers of a transaction run, and a queue of the next one of each.
//!
//! A transaction never has more than one timer that repeats and one that ends its state.
//! Only the earlier of the two is queued. Stopping a timer leaves its entry in the queue
//! to be found stale later, and the queue is swept when stale entries outnumber the rest.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::machine::Action;
use crate::{Moment, Timer, Timers, TransactionId};

/// The timers of one transaction.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    repeat: Option<Repeat>,
    end: Option<(Timer, Moment)>,
    queued: Option<Moment>,
}

#[derive(Debug)]
struct Repeat {
    timer: Timer,
    /// `None` between firing and being set again.
    at: Option<Moment>,
    interval: Duration,
}

impl Schedule {
    /// Carries out an action on a timer; others are not for the schedule.
    pub(crate) fn apply(&mut self, action: Action, now: Moment, timers: &Timers) {
        match action {
            Action::Set(timer) if timer.repeats() => {
                self.repeat_after(timer, timers.duration(timer), now)
            }
            Action::Set(timer) => self.end = Some((timer, now + timers.duration(timer))),
            Action::Backoff(timer) => {
                let previous = self
                    .repeat
                    .as_ref()
                    .map_or(timers.t1, |repeat| repeat.interval);
                self.repeat_after(timer, timers.next_interval(timer, previous), now);
            }
            Action::Slow(timer) => self.repeat_after(timer, timers.t2, now),
            Action::Stop(timer) if timer.repeats() => self.repeat = None,
            Action::Stop(_) => self.end = None,
            Action::Send
            | Action::Resend
            | Action::Acknowledge
            | Action::Deliver
            | Action::Inform(_) => {}
        }
    }

    fn repeat_after(&mut self, timer: Timer, interval: Duration, now: Moment) {
        let interval = interval.max(Duration::from_millis(1));
        self.repeat = Some(Repeat {
            timer,
            at: Some(now + interval),
            interval,
        });
    }

    fn next(&self) -> Option<Moment> {
        let repeat = self.repeat.as_ref().and_then(|repeat| repeat.at);
        let end = self.end.map(|(_, at)| at);
        match (repeat, end) {
            (Some(repeat), Some(end)) => Some(repeat.min(end)),
            (repeat, end) => repeat.or(end),
        }
    }

    /// Takes a timer that is due. The one that ends the state goes first: a driver that
    /// comes late must not repeat a message only to give up on it at once.
    pub(crate) fn take_due(&mut self, now: Moment) -> Option<Timer> {
        if let Some((timer, at)) = self.end
            && at <= now
        {
            self.end = None;
            return Some(timer);
        }
        let repeat = self.repeat.as_mut()?;
        repeat.at.take_if(|at| *at <= now).map(|_| repeat.timer)
    }

    /// Whether an entry of the queue is the one that counts for this transaction.
    pub(crate) fn owns(&self, at: Moment) -> bool {
        self.queued == Some(at)
    }

    /// The entry that counts has been taken out of the queue.
    pub(crate) fn unqueue(&mut self) {
        self.queued = None;
    }
}

/// The next timer of every transaction, earliest first, then by age of the transaction.
#[derive(Default)]
pub(crate) struct TimerQueue {
    entries: BinaryHeap<Reverse<(Moment, TransactionId)>>,
}

impl TimerQueue {
    /// Stale entries that are tolerated beyond one for each running transaction.
    const SLACK: usize = 64;

    /// Makes sure that the queue wakes this transaction in time.
    pub(crate) fn watch(&mut self, id: TransactionId, schedule: &mut Schedule) {
        let Some(next) = schedule.next() else {
            return;
        };
        if schedule.queued.is_none_or(|queued| next < queued) {
            schedule.queued = Some(next);
            self.entries.push(Reverse((next, id)));
        }
    }

    pub(crate) fn earliest(&self) -> Option<Moment> {
        self.entries.peek().map(|Reverse((at, _))| *at)
    }

    pub(crate) fn pop_due(&mut self, now: Moment) -> Option<(Moment, TransactionId)> {
        let Reverse((at, _)) = self.entries.peek()?;
        if *at > now {
            return None;
        }
        self.entries.pop().map(|Reverse(entry)| entry)
    }

    /// Drops stale entries from the front, and from everywhere once they are too many, so
    /// that the queue stays within twice the `running` transactions.
    pub(crate) fn sweep(
        &mut self,
        running: usize,
        current: impl Fn(TransactionId, Moment) -> bool,
    ) {
        while let Some(Reverse((at, id))) = self.entries.peek() {
            if current(*id, *at) {
                break;
            }
            self.entries.pop();
        }
        if self.entries.len() > running.saturating_mul(2).saturating_add(Self::SLACK) {
            self.entries.retain(|Reverse((at, id))| current(*id, *at));
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Timers = Timers {
        t1: Duration::from_millis(500),
        t2: Duration::from_secs(4),
        t4: Duration::from_secs(5),
        c: Duration::from_secs(185),
        d: Duration::from_secs(32),
    };

    fn ms(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    #[test]
    fn a_timer_is_due_at_its_moment_and_not_before() {
        let mut schedule = Schedule::default();
        schedule.apply(Action::Set(Timer::K), ms(0), &T);
        assert_eq!(schedule.take_due(Moment::from_micros(4_999_999)), None);
        assert_eq!(schedule.take_due(ms(5_000)), Some(Timer::K));
        assert_eq!(schedule.take_due(ms(5_000)), None);
    }

    #[test]
    fn a_late_driver_sees_the_end_and_no_repeat_before_it() {
        let mut schedule = Schedule::default();
        schedule.apply(Action::Set(Timer::A), ms(0), &T);
        schedule.apply(Action::Set(Timer::B), ms(0), &T);
        assert_eq!(schedule.take_due(ms(60_000)), Some(Timer::B));
    }

    #[test]
    fn stopped_timers_leave_the_queue_bounded() {
        let mut queue = TimerQueue::default();
        for serial in 0..10_000 {
            let mut schedule = Schedule::default();
            schedule.apply(Action::Set(Timer::F), ms(serial), &T);
            let id = TransactionId::new(serial, true, 0);
            queue.watch(id, &mut schedule);
            // The transaction ends at once; one other is still running, with the first entry.
            queue.sweep(1, |id, _| id == TransactionId::new(0, true, 0));
            assert!(queue.len() <= 2 + TimerQueue::SLACK);
        }
        assert_eq!(queue.earliest(), Some(ms(32_000)));
        queue.sweep(0, |_, _| false);
        assert_eq!(queue.earliest(), None);
    }

    #[test]
    fn only_an_earlier_timer_is_queued_again() {
        let mut queue = TimerQueue::default();
        let mut schedule = Schedule::default();
        let id = TransactionId::new(1, false, 0);
        schedule.apply(Action::Set(Timer::H), ms(0), &T);
        queue.watch(id, &mut schedule);
        schedule.apply(Action::Set(Timer::I), ms(0), &T);
        queue.watch(id, &mut schedule);
        schedule.apply(Action::Set(Timer::L), ms(0), &T);
        queue.watch(id, &mut schedule);
        assert_eq!(queue.len(), 2);
        assert!(schedule.owns(ms(5_000)) && !schedule.owns(ms(32_000)));
        assert_eq!(queue.pop_due(Moment::from_micros(4_999_999)), None);
        assert_eq!(queue.pop_due(ms(5_000)), Some((ms(5_000), id)));
    }
}
