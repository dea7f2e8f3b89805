//! Whose INVITE met a reload, and whose did not.

use std::time::{Duration, Instant};

/// From one moment to another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) from: Instant,
    pub(super) to: Instant,
}

impl Span {
    /// Until now.
    pub(super) fn since(from: Instant) -> Self {
        Self {
            from,
            to: Instant::now(),
        }
    }

    pub(super) fn length(&self) -> Duration {
        self.to - self.from
    }
}

/// Times from INVITE to 100, the shortest first.
#[derive(Debug)]
pub(super) struct Delays {
    /// Of calls that began during a reload.
    pub(super) reloading: Vec<Duration>,
    /// Of calls all of whose time lies in a rest.
    pub(super) resting: Vec<Duration>,
}

impl Delays {
    /// Sorts calls by what happened while they waited for their 100. Both lists of spans
    /// are in the order of time.
    pub(super) fn new(tried: &[Span], reloads: &[Span], rests: &[Span]) -> Self {
        let mut delays = Self {
            reloading: Vec::new(),
            resting: Vec::new(),
        };
        for call in tried {
            if span_at(reloads, call.from).is_some() {
                delays.reloading.push(call.length());
            } else if span_at(rests, call.from).is_some_and(|rest| call.to <= rest.to) {
                delays.resting.push(call.length());
            }
        }
        delays.reloading.sort_unstable();
        delays.resting.sort_unstable();
        delays
    }
}

/// The span that a moment is in.
fn span_at(spans: &[Span], at: Instant) -> Option<&Span> {
    let after = spans.partition_point(|span| span.from <= at);
    let span = spans.get(after.checked_sub(1)?)?;
    (at < span.to).then_some(span)
}

/// So many of a hundred took at most this; they are sorted.
pub(super) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_sorted_by_what_happened_while_they_waited() {
        let start = Instant::now();
        let span = |from: u64, to: u64| Span {
            from: start + Duration::from_millis(from),
            to: start + Duration::from_millis(to),
        };
        let reloads = [span(10, 20), span(20, 30)];
        let rests = [span(30, 60)];
        let tried = [
            span(1, 2),   // before anything
            span(9, 12),  // a reload came meanwhile
            span(12, 13), // during the first
            span(20, 33), // during the second, beyond its end
            span(31, 33), // in the rest
            span(59, 62), // the next burst came meanwhile
        ];
        let delays = Delays::new(&tried, &reloads, &rests);
        let millis =
            |times: &[Duration]| -> Vec<u128> { times.iter().map(Duration::as_millis).collect() };
        assert_eq!(millis(&delays.reloading), [1, 13]);
        assert_eq!(millis(&delays.resting), [2]);
    }

    #[test]
    fn percentiles_are_values_that_came() {
        let times: Vec<Duration> = (1..=200).map(Duration::from_micros).collect();
        for (percent, micros) in [(50, 100), (99, 198), (100, 200)] {
            assert_eq!(percentile(&times, percent), Duration::from_micros(micros));
        }
        assert_eq!(percentile(&[], 99), Duration::ZERO);
    }
}
