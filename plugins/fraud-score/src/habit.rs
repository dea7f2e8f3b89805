//! What an account does usually: exponentially weighted means with their deviations,
//! kept in the key-value store. They change when a call ends, not on the way of one.

use sipward_plugin_sdk::{keyvalue, warn};

/// Format of what is kept.
const VERSION: u8 = 1;

/// How long habits are kept without a call: 180 days.
const KEEP_MS: u64 = 180 * 86_400_000;

/// A mean and its variance.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Mean {
    mean: f64,
    variance: f64,
}

impl Mean {
    fn learn(&mut self, sample: f64, weight: f64) {
        let difference = sample - self.mean;
        self.mean += weight * difference;
        self.variance = (1.0 - weight) * (self.variance + weight * difference * difference);
    }

    /// So many deviations above the mean.
    pub(crate) fn above(self, deviations: f64) -> f64 {
        self.mean + deviations * self.variance.max(0.0).sqrt()
    }
}

/// What is known of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Habit {
    /// Answered calls that were learnt.
    pub(crate) calls: u32,
    /// Seconds of a call.
    pub(crate) duration: Mean,
    /// Calls at once, at the beginning of each.
    pub(crate) concurrency: Mean,
}

impl Habit {
    /// What is kept; nothing is known of an account that the store cannot read.
    pub(crate) fn load(account: &str) -> Self {
        let kept = keyvalue::get(&place(account)).ok().flatten();
        kept.and_then(|bytes| Self::decode(&bytes))
            .unwrap_or_default()
    }

    /// Learns a call. The first ones weigh more, so that the mean is theirs.
    pub(crate) fn learn(&mut self, seconds: f64, calls_at_once: f64, weight: f64) {
        self.calls = self.calls.saturating_add(1);
        let weight = weight.max(1.0 / f64::from(self.calls));
        self.duration.learn(seconds, weight);
        self.concurrency.learn(calls_at_once, weight);
    }

    /// Keeps it.
    pub(crate) fn store(&self, account: &str) {
        if keyvalue::set(&place(account), &self.encode(), KEEP_MS).is_err() {
            warn!(
                "the key-value store did not take the habits of an account; they stay as they were"
            );
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.calls.to_be_bytes());
        for mean in [self.duration, self.concurrency] {
            bytes.extend_from_slice(&mean.mean.to_be_bytes());
            bytes.extend_from_slice(&mean.variance.to_be_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (calls, mut rest) = rest.split_at_checked(4)?;
        let mut next = || -> Option<f64> {
            let (number, tail) = rest.split_at_checked(8)?;
            rest = tail;
            let number = f64::from_be_bytes(number.try_into().ok()?);
            number.is_finite().then_some(number)
        };
        let mut mean = || {
            Some(Mean {
                mean: next()?,
                variance: next()?,
            })
        };
        let habit = Self {
            calls: u32::from_be_bytes(calls.try_into().ok()?),
            duration: mean()?,
            concurrency: mean()?,
        };
        (*version == VERSION && rest.is_empty()).then_some(habit)
    }
}

fn place(account: &str) -> String {
    ["habit/", account].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_settle_on_what_is_usual() {
        let mut habit = Habit::default();
        for call in 0..200 {
            habit.learn(if call % 2 == 0 { 100.0 } else { 200.0 }, 1.0, 0.05);
        }
        assert!((habit.duration.mean - 150.0).abs() < 5.0, "{habit:?}");
        assert!((habit.duration.above(1.0) - 200.0).abs() < 10.0);
        assert!((habit.concurrency.above(9.0) - 1.0).abs() < 1e-9);
        assert_eq!(habit.calls, 200);
    }

    #[test]
    fn what_is_kept_comes_back_and_nothing_else_does() {
        let mut habit = Habit::default();
        habit.learn(60.0, 2.0, 0.05);
        let bytes = habit.encode();
        assert_eq!(Habit::decode(&bytes), Some(habit));
        assert_eq!(Habit::decode(bytes.get(1..).unwrap()), None);
        assert_eq!(Habit::decode(&[&bytes[..], b"x"].concat()), None);
        assert_eq!(Habit::decode(&[]), None);
        let mut other = bytes;
        *other.first_mut().unwrap() = 2;
        assert_eq!(Habit::decode(&other), None);
    }
}
