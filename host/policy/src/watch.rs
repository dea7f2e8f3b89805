//! Watching a new version of a policy: when its failures or its denials call for taking
//! it back.

use crate::failure::PolicyFailure;
use crate::outcome::{Outcome, Verdict};
use crate::share::Share;

/// Parts that a window is counted in; the oldest goes as a whole. 10: what is counted
/// lags by a tenth of the window at most.
const SLICES: usize = 10;

/// What one answer of a version counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// It let the request pass, asked for credentials, or sent it elsewhere.
    Passed,
    /// It refused or dropped the request.
    Denied,
    /// It gave no answer that could be used: the kind of [`PolicyFailure`].
    Failed(&'static str),
}

impl Judged {
    /// What an answer counts as.
    pub const fn of(answer: Result<&Outcome, &PolicyFailure>) -> Self {
        match answer {
            Ok(outcome) => match outcome.verdict {
                Verdict::Reject(_) | Verdict::Drop => Self::Denied,
                Verdict::Next | Verdict::Challenge(_) | Verdict::Redirect(_) => Self::Passed,
            },
            Err(failure) => Self::Failed(failure.kind()),
        }
    }
}

/// What a version may do before it is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RollbackTerms {
    /// Milliseconds that are looked back.
    pub window_ms: u64,
    /// So many answers before the rate of denials counts.
    pub calls_min: u64,
    /// So many failures within the window end it; at least 1.
    pub failures: u64,
    /// Denials below this share of the answers end it.
    pub deny_min: Option<Share>,
    /// Denials above this share of the answers end it.
    pub deny_max: Option<Share>,
}

impl Default for RollbackTerms {
    /// A minute, three failures, and any rate of denials.
    fn default() -> Self {
        Self {
            window_ms: 60_000,
            calls_min: 50,
            failures: 3,
            deny_min: None,
            deny_max: None,
        }
    }
}

/// Why a version was taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RollbackCause {
    /// It failed too often.
    #[error("{failures} failures within {window_ms} ms, the last one {last}")]
    Failures {
        /// How often.
        failures: u64,
        /// Within so many milliseconds.
        window_ms: u64,
        /// The kind of the last one.
        last: &'static str,
    },
    /// It denied too much.
    #[error("it denied {rate} of {calls} requests, more than {limit}")]
    DeniesMore {
        /// What it denied.
        rate: Share,
        /// Of so many answers.
        calls: u64,
        /// The upper end of the band.
        limit: Share,
    },
    /// It denied too little.
    #[error("it denied {rate} of {calls} requests, less than {limit}")]
    DeniesLess {
        /// What it denied.
        rate: Share,
        /// Of so many answers.
        calls: u64,
        /// The lower end of the band.
        limit: Share,
    },
}

#[derive(Clone, Copy, Debug, Default)]
struct Slice {
    number: u64,
    answers: u64,
    denied: u64,
    failures: u64,
}

/// Counts the answers of one version within a window.
#[derive(Clone, Debug)]
pub struct Watch {
    terms: RollbackTerms,
    slices: [Slice; SLICES],
    latest: u64,
}

impl Watch {
    /// Nothing has been seen yet.
    pub fn new(terms: RollbackTerms) -> Self {
        Self {
            terms,
            slices: [Slice::default(); SLICES],
            latest: 0,
        }
    }

    /// From now on by these terms. With another window the count begins anew.
    pub fn set_terms(&mut self, terms: RollbackTerms) {
        if terms.window_ms == self.terms.window_ms {
            self.terms = terms;
        } else {
            *self = Self::new(terms);
        }
    }

    /// Notes an answer, and says why the version has to go if it has to. `by_denials` is
    /// false where denials have no effect, so that their rate is no reason.
    pub fn note(&mut self, now_ms: u64, judged: Judged, by_denials: bool) -> Option<RollbackCause> {
        let slice = self.slice(now_ms);
        match judged {
            Judged::Passed => slice.answers += 1,
            Judged::Denied => {
                slice.answers += 1;
                slice.denied += 1;
            }
            Judged::Failed(_) => slice.failures += 1,
        }
        let sum = self.sum();
        let terms = &self.terms;
        if let Judged::Failed(last) = judged
            && sum.failures >= terms.failures
        {
            return Some(RollbackCause::Failures {
                failures: sum.failures,
                window_ms: terms.window_ms,
                last,
            });
        }
        if !by_denials || sum.answers == 0 || sum.answers < terms.calls_min {
            return None;
        }
        let (rate, calls) = (Share::of(sum.denied, sum.answers), sum.answers);
        match (terms.deny_min, terms.deny_max) {
            (_, Some(limit)) if rate > limit => {
                Some(RollbackCause::DeniesMore { rate, calls, limit })
            }
            (Some(limit), _) if rate < limit => {
                Some(RollbackCause::DeniesLess { rate, calls, limit })
            }
            _ => None,
        }
    }

    /// The slice of a time. A clock that is set back counts in the latest one.
    fn slice(&mut self, now_ms: u64) -> &mut Slice {
        let width = (self.terms.window_ms / SLICES as u64).max(1);
        self.latest = self.latest.max(now_ms / width);
        let number = self.latest;
        let place = (number % SLICES as u64) as usize;
        let [first, rest @ ..] = &mut self.slices;
        let slice = match place.checked_sub(1).and_then(|place| rest.get_mut(place)) {
            Some(slice) => slice,
            None => first,
        };
        if slice.number != number {
            *slice = Slice {
                number,
                ..Slice::default()
            };
        }
        slice
    }

    fn sum(&self) -> Slice {
        let oldest = (self.latest + 1).saturating_sub(SLICES as u64);
        let mut sum = Slice::default();
        for slice in self.slices.iter().filter(|slice| slice.number >= oldest) {
            sum.answers += slice.answers;
            sum.denied += slice.denied;
            sum.failures += slice.failures;
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: u64 = 1_700_000_000_000;

    fn terms() -> RollbackTerms {
        RollbackTerms {
            window_ms: 10_000,
            calls_min: 10,
            failures: 3,
            deny_min: Some(Share::of_millionths(100_000)),
            deny_max: Some(Share::of_millionths(300_000)),
        }
    }

    #[test]
    fn the_last_failure_that_is_allowed_and_the_next() {
        let mut watch = Watch::new(terms());
        let failed = Judged::Failed("trap");
        assert_eq!(watch.note(START, failed, true), None);
        assert_eq!(watch.note(START + 9_000, failed, true), None);
        let cause = watch.note(START + 9_500, failed, true);
        assert!(matches!(
            cause,
            Some(RollbackCause::Failures {
                failures: 3,
                last: "trap",
                ..
            })
        ));
        let mut slow = Watch::new(terms());
        for number in 0..100 {
            assert_eq!(slow.note(START + number * 5_000, failed, true), None);
        }
    }

    #[test]
    fn denials_count_from_the_tenth_answer_and_on_both_sides_of_the_band() {
        let run = |denied: u64, by_denials| {
            let mut watch = Watch::new(terms());
            let mut cause = None;
            for number in 0..10 {
                let judged = match number < denied {
                    true => Judged::Denied,
                    false => Judged::Passed,
                };
                assert_eq!(cause, None, "it may not end before the tenth");
                cause = watch.note(START + number, judged, by_denials);
            }
            cause
        };
        assert!(matches!(
            run(0, true),
            Some(RollbackCause::DeniesLess { .. })
        ));
        for denied in 1..=3 {
            assert_eq!(run(denied, true), None);
        }
        assert!(matches!(
            run(4, true),
            Some(RollbackCause::DeniesMore { .. })
        ));
        assert_eq!(run(10, false), None, "what has no effect is no reason");
    }

    #[test]
    fn a_cause_is_told_in_words() {
        let cause = RollbackCause::DeniesMore {
            rate: Share::of_millionths(400_000),
            calls: 10,
            limit: Share::of_millionths(300_000),
        };
        assert_eq!(
            cause.to_string(),
            "it denied 40 % of 10 requests, more than 30 %"
        );
    }

    fn judged() -> impl Strategy<Value = Judged> {
        prop_oneof![
            4 => Just(Judged::Passed),
            2 => Just(Judged::Denied),
            1 => Just(Judged::Failed("deadline")),
        ]
    }

    proptest! {
        /// Against a list of everything that ever happened.
        #[test]
        fn it_says_what_the_whole_history_says(
            steps in proptest::collection::vec((0..3_000u64, judged()), 1..200),
        ) {
            let terms = terms();
            let mut watch = Watch::new(terms);
            let mut history: Vec<(u64, Judged)> = Vec::new();
            let mut now = START;
            for (pause, judged) in steps {
                now += pause;
                history.push((now, judged));
                let width = terms.window_ms / SLICES as u64;
                let within = |at: u64| now / width - at / width < SLICES as u64;
                let seen: Vec<Judged> =
                    history.iter().filter(|(at, _)| within(*at)).map(|(_, it)| *it).collect();
                let failures = seen.iter().filter(|it| matches!(it, Judged::Failed(_))).count() as u64;
                let denied = seen.iter().filter(|it| **it == Judged::Denied).count() as u64;
                let answers = seen.len() as u64 - failures;
                let failed = matches!(judged, Judged::Failed(_)) && failures >= terms.failures;
                let rate = Share::of(denied, answers);
                let outside = answers >= terms.calls_min
                    && (Some(rate) > terms.deny_max || Some(rate) < terms.deny_min);
                prop_assert_eq!(watch.note(now, judged, true).is_some(), failed || outside);
            }
        }

        #[test]
        fn a_clock_that_jumps_breaks_nothing(
            steps in proptest::collection::vec((any::<u64>(), judged()), 1..50),
            window_ms in any::<u64>(),
        ) {
            let mut watch = Watch::new(RollbackTerms { window_ms, ..terms() });
            for (now, judged) in steps {
                let _cause = watch.note(now, judged, true);
            }
        }
    }
}
