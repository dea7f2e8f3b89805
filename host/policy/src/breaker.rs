//! A circuit breaker for a plugin that keeps failing: it is left alone for a while, then
//! tried with one request, and left alone for twice as long if that fails too.
//!
//! ```text
//!            failures in a row
//!   Closed ───────────────────────► Open ◄──────────┐
//!     ▲                              │ pause is over │ the trial fails: pause x 2
//!     │ the trial succeeds           ▼               │
//!     └────────────────────────── HalfOpen ──────────┘
//! ```
//!
//! While it is open the plugin counts as failed, under its `on_failure`.

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerTerms {
    /// So many failures in a row open it; at least 1.
    pub failures: u32,
    /// Milliseconds of the first pause; at least 1.
    pub pause_ms: u64,
    /// Milliseconds of the longest pause.
    pub pause_max_ms: u64,
}

impl Default for BreakerTerms {
    /// Ten failures in a row: less may be one caller's doing. A second at first, which a
    /// phone that tries again does not notice; a minute at most, so that a plugin that
    /// works again is soon in use.
    fn default() -> Self {
        Self {
            failures: 10,
            pause_ms: 1_000,
            pause_max_ms: 60_000,
        }
    }
}

/// Leave to ask the plugin; to be given back with what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// As always.
    Usual,
    /// To see whether it works again.
    Trial,
}

/// The plugin may not be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakenOut {
    /// Milliseconds until it is tried again.
    pub retry_after_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { since_ms: u64 },
    HalfOpen { since_ms: u64 },
}

/// The breaker of one plugin.
#[derive(Clone, Debug)]
pub struct Breaker {
    terms: BreakerTerms,
    state: State,
    pause_ms: u64,
    opened: u64,
    turned_away: u64,
}

impl Breaker {
    /// A closed one.
    pub fn new(terms: BreakerTerms) -> Self {
        Self {
            terms,
            state: State::Closed { failures: 0 },
            pause_ms: terms.pause_ms.max(1),
            opened: 0,
            turned_away: 0,
        }
    }

    /// Whether the plugin may be asked now.
    ///
    /// # Errors
    /// Not before some time has passed.
    pub fn ask(&mut self, now_ms: u64) -> Result<Leave, TakenOut> {
        let since_ms = match self.state {
            State::Closed { .. } => return Ok(Leave::Usual),
            // A trial of which nothing was heard for a whole pause is lost.
            State::Open { since_ms } | State::HalfOpen { since_ms } => since_ms,
        };
        // A clock that was set back does not make the pause longer.
        let passed = now_ms.checked_sub(since_ms);
        match passed.and_then(|passed| self.pause_ms.checked_sub(passed)) {
            Some(rest) if rest > 0 => {
                self.turned_away += 1;
                Err(TakenOut {
                    retry_after_ms: rest,
                })
            }
            _ => {
                self.state = State::HalfOpen { since_ms: now_ms };
                Ok(Leave::Trial)
            }
        }
    }

    /// The plugin gave an answer that could be used.
    pub fn succeeded(&mut self, leave: Leave) {
        match (self.state, leave) {
            (State::Closed { .. }, _) | (State::HalfOpen { .. }, Leave::Trial) => {
                self.state = State::Closed { failures: 0 };
                self.pause_ms = self.terms.pause_ms.max(1);
            }
            // It was asked before it was taken out.
            _ => {}
        }
    }

    /// The plugin failed.
    pub fn failed(&mut self, leave: Leave, now_ms: u64) {
        match (self.state, leave) {
            (State::Closed { failures }, _) => {
                let failures = failures.saturating_add(1);
                self.state = State::Closed { failures };
                if failures >= self.terms.failures {
                    self.open(now_ms);
                }
            }
            (State::HalfOpen { .. }, Leave::Trial) => {
                let longest = self.terms.pause_max_ms.max(self.terms.pause_ms).max(1);
                self.pause_ms = self.pause_ms.saturating_mul(2).min(longest);
                self.open(now_ms);
            }
            _ => {}
        }
    }

    fn open(&mut self, now_ms: u64) {
        self.state = State::Open { since_ms: now_ms };
        self.opened += 1;
    }

    /// Whether nothing is wrong: closed, and the last answer could be used.
    pub const fn is_untroubled(&self) -> bool {
        matches!(self.state, State::Closed { failures: 0 })
    }

    /// `closed`, `open` or `half-open`.
    pub const fn state(&self) -> &'static str {
        match self.state {
            State::Closed { .. } => "closed",
            State::Open { .. } => "open",
            State::HalfOpen { .. } => "half-open",
        }
    }

    /// How often it opened.
    pub const fn opened(&self) -> u64 {
        self.opened
    }

    /// How often the plugin was not asked because of it.
    pub const fn turned_away(&self) -> u64 {
        self.turned_away
    }

    /// Milliseconds of the current pause, or of the next one.
    pub const fn pause_ms(&self) -> u64 {
        self.pause_ms
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TERMS: BreakerTerms = BreakerTerms {
        failures: 3,
        pause_ms: 100,
        pause_max_ms: 1_000,
    };

    fn fail(breaker: &mut Breaker, now_ms: u64) {
        let leave = breaker.ask(now_ms).unwrap();
        breaker.failed(leave, now_ms);
    }

    #[test]
    fn it_opens_after_failures_in_a_row_alone() {
        let mut breaker = Breaker::new(TERMS);
        for _ in 0..10 {
            fail(&mut breaker, 0);
            fail(&mut breaker, 0);
            let leave = breaker.ask(0).unwrap();
            breaker.succeeded(leave);
            assert!(breaker.is_untroubled());
        }
        assert_eq!(breaker.opened(), 0);
        for _ in 0..3 {
            fail(&mut breaker, 7);
        }
        assert_eq!((breaker.state(), breaker.opened()), ("open", 1));
        assert_eq!(breaker.ask(7).unwrap_err().retry_after_ms, 100);
        assert_eq!(breaker.ask(106).unwrap_err().retry_after_ms, 1);
        assert_eq!(breaker.turned_away(), 2);
        assert_eq!(breaker.ask(107), Ok(Leave::Trial));
        assert!(breaker.ask(107).is_err(), "one trial at a time");
        breaker.succeeded(Leave::Trial);
        assert!(breaker.is_untroubled());
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew_after_a_success() {
        let mut breaker = Breaker::new(TERMS);
        let mut now = 0;
        for _ in 0..3 {
            fail(&mut breaker, now);
        }
        for pause in [100, 200, 400, 800, 1_000, 1_000] {
            assert_eq!(breaker.ask(now).unwrap_err().retry_after_ms, pause);
            now += pause;
            fail(&mut breaker, now);
        }
        now += 1_000;
        let leave = breaker.ask(now).unwrap();
        breaker.succeeded(leave);
        for _ in 0..3 {
            fail(&mut breaker, now);
        }
        assert_eq!(breaker.ask(now).unwrap_err().retry_after_ms, 100);
    }

    #[test]
    fn what_was_asked_before_does_not_decide_the_trial() {
        let mut breaker = Breaker::new(TERMS);
        let early = breaker.ask(0).unwrap();
        for _ in 0..3 {
            fail(&mut breaker, 0);
        }
        breaker.succeeded(early);
        assert_eq!(breaker.state(), "open");
        assert_eq!(breaker.ask(100), Ok(Leave::Trial));
        breaker.succeeded(early);
        breaker.failed(early, 100);
        assert_eq!(breaker.state(), "half-open");
        // The trial itself is never heard of again.
        assert!(breaker.ask(199).is_err());
        assert_eq!(breaker.ask(200), Ok(Leave::Trial));
    }

    proptest! {
        /// A plugin that always fails is asked ever more seldom, but never given up; one
        /// that works again is in use at the latest after the longest pause.
        #[test]
        fn it_neither_hammers_nor_gives_up(
            steps in proptest::collection::vec(0..500u64, 1..300),
            jumps in proptest::collection::vec(any::<u64>(), 0..10),
        ) {
            let mut breaker = Breaker::new(TERMS);
            let mut now = 0;
            let mut asked = 0;
            for pause in steps {
                now += pause;
                if let Ok(leave) = breaker.ask(now) {
                    asked += 1;
                    breaker.failed(leave, now);
                }
                prop_assert!(breaker.pause_ms() <= TERMS.pause_max_ms);
            }
            // Three to open it, then pauses of 100, 200, 400, 800 and 1,000 ms.
            prop_assert!(asked <= 3 + 4 + now / TERMS.pause_max_ms + 1);
            for jump in jumps {
                let _leave = breaker.ask(jump);
            }
            now = now.max(1 << 40);
            let longest = now.saturating_add(TERMS.pause_max_ms);
            if let Err(out) = breaker.ask(now) {
                prop_assert!(out.retry_after_ms <= TERMS.pause_max_ms);
            }
            let leave = breaker.ask(longest).or_else(|_| breaker.ask(u64::MAX));
            prop_assert!(leave.is_ok());
            breaker.succeeded(leave.unwrap());
            prop_assert!(breaker.is_untroubled());
        }
    }
}
