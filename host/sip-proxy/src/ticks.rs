//! What policies that follow a call want to hear while it lasts: ticks, counted from its
//! answer, and shorter limits.

use std::sync::Arc;
use std::time::Duration;

use policy::TickWish;
use sip_transaction::Moment;

use crate::core::ProxyCore;
use crate::output::{CallEvent, CallId, EndReason, Output};
use crate::timers::{Timer, TimerKey};

/// Ticks that are awaited for one call. 64: the ceiling of a pipeline, twice. A further
/// wish is not taken.
const TICKS_PER_CALL: usize = 64;

/// Ticks of one call.
#[derive(Debug, Default)]
pub(crate) struct Ticks {
    /// The next one last.
    awaited: Vec<TickWish>,
    timer: Option<TimerKey>,
}

impl Ticks {
    pub(crate) fn of(wishes: &[TickWish]) -> Self {
        let mut ticks = Self::default();
        for wish in wishes {
            ticks.add(wish.clone());
        }
        ticks
    }

    /// False if there are too many. The same wish twice is one.
    fn add(&mut self, wish: TickWish) -> bool {
        if self.awaited.contains(&wish) {
            return true;
        }
        if self.awaited.len() >= TICKS_PER_CALL {
            return false;
        }
        let later = |known: &TickWish| known.seconds > wish.seconds;
        let place = self.awaited.partition_point(later);
        self.awaited.insert(place, wish);
        true
    }

    /// Takes the next one if it is due so long after the answer.
    fn due(&mut self, passed: Duration) -> Option<TickWish> {
        let due = |wish: &mut TickWish| Duration::from_secs(wish.seconds.into()) <= passed;
        self.awaited.pop_if(due)
    }

    fn next(&self) -> Option<Duration> {
        let next = self.awaited.last();
        next.map(|wish| Duration::from_secs(wish.seconds.into()))
    }

    /// The timer to stop when the call is over.
    pub(crate) fn timer(&self) -> Option<TimerKey> {
        self.timer
    }
}

impl ProxyCore {
    /// A plugin wants a [`CallEvent::Tick`] this many seconds after the answer. False if
    /// there is no such call, that time has passed, or too many are awaited.
    pub fn tick_after(
        &mut self,
        now: Moment,
        call: CallId,
        plugin: Arc<str>,
        seconds: u32,
    ) -> bool {
        let Some(known) = self.calls.get_mut(call) else {
            return false;
        };
        let at = Duration::from_secs(seconds.into());
        if known.answered.is_some_and(|answered| now - answered >= at) {
            return false;
        }
        let taken = known.ticks.add(TickWish { plugin, seconds });
        self.await_tick(call);
        taken
    }

    /// The call may last no longer than this after its answer. It never gets longer.
    pub fn limit_call(&mut self, now: Moment, call: CallId, limit: Duration) {
        let Some(known) = self.calls.get_mut(call) else {
            return;
        };
        if limit >= known.limit.0 {
            return;
        }
        known.limit = (limit, EndReason::DurationLimit);
        if let Some(answered) = known.answered {
            let old = known.limit_timer.take();
            self.timers.stop(old);
            let at = (answered + limit).max(now);
            let timer = self.timers.set(at, Timer::CallLimit(call));
            if let Some(known) = self.calls.get_mut(call) {
                known.limit_timer = Some(timer);
            }
        }
    }

    /// Sets the timer of the next tick; before the answer there is none.
    pub(crate) fn await_tick(&mut self, call: CallId) {
        let Some(known) = self.calls.get_mut(call) else {
            return;
        };
        let Some(answered) = known.answered else {
            return;
        };
        self.timers.stop(known.ticks.timer.take());
        let next = known.ticks.next();
        known.ticks.timer =
            next.map(|next| self.timers.set(answered + next, Timer::CallTick(call)));
    }

    pub(crate) fn call_ticks(&mut self, now: Moment, call: CallId) {
        let Some(known) = self.calls.get_mut(call) else {
            return;
        };
        let Some(answered) = known.answered else {
            return;
        };
        while let Some(TickWish { plugin, seconds }) = known.ticks.due(now - answered) {
            self.outputs.push_back(Output::Call(CallEvent::Tick {
                call,
                plugin,
                seconds,
            }));
        }
        self.await_tick(call);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(plugin: &str, seconds: u32) -> TickWish {
        TickWish {
            plugin: plugin.into(),
            seconds,
        }
    }

    #[test]
    fn ticks_come_in_order_and_once() {
        let wishes = [wish("a", 60), wish("b", 10), wish("a", 60), wish("a", 30)];
        let mut ticks = Ticks::of(&wishes);
        assert_eq!(ticks.next(), Some(Duration::from_secs(10)));
        assert_eq!(ticks.due(Duration::from_millis(9_999)), None);
        assert_eq!(ticks.due(Duration::from_secs(10)), Some(wish("b", 10)));
        assert_eq!(ticks.due(Duration::from_secs(59)), Some(wish("a", 30)));
        assert_eq!(ticks.due(Duration::from_secs(59)), None);
        assert_eq!(ticks.due(Duration::from_secs(61)), Some(wish("a", 60)));
        assert_eq!(ticks.next(), None);
    }

    #[test]
    fn their_number_has_two_sides() {
        let mut ticks = Ticks::default();
        for seconds in 1..=TICKS_PER_CALL as u32 {
            assert!(ticks.add(wish("a", seconds)));
        }
        assert!(!ticks.add(wish("a", 1_000)));
        assert!(ticks.add(wish("a", 1)), "known already");
    }
}
