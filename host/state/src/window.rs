//! Sliding windows, estimated from two counts.
//!
//! A window keeps how much was added in the current span of `window_ms` and in
//! the one before. The estimate is the current count plus the share of the
//! previous one that still lies within the last `window_ms`, rounded up:
//!
//! ```text
//!      previous            current
//!  |----------------|---------------- - - |
//!           ^-- the last window_ms --^ now
//! ```
//!
//! Exactness. Spans start at the entry's first addition, so the estimate is
//! exact until `window_ms` after it. Later it is right if the previous additions
//! were spread evenly; in any case it lies between the current count and the sum
//! of both, nothing younger than the current span's start is ever left out, and
//! nothing counts for longer than twice `window_ms`.

use crate::table::Mortal;

/// One sliding window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// Length in milliseconds, at least 1.
    pub(crate) window_ms: u64,
    /// When the current span began.
    pub(crate) start_ms: u64,
    /// Additions in the span before.
    pub(crate) previous: u64,
    /// Additions in the current span.
    pub(crate) current: u64,
    /// Whether it is in the journal, and must be in the next snapshot.
    pub(crate) durable: bool,
}

impl Window {
    /// An empty window that begins now.
    pub(crate) fn new(window_ms: u64, now_ms: u64) -> Self {
        Self {
            window_ms: window_ms.max(1),
            start_ms: now_ms,
            previous: 0,
            current: 0,
            durable: false,
        }
    }

    /// Adds, and returns the estimate with the addition included.
    pub(crate) fn add(&mut self, amount: u32, window_ms: u64, now_ms: u64) -> u64 {
        let window_ms = window_ms.max(1);
        self.advance(now_ms);
        if self.window_ms != window_ms {
            // The plugin was configured anew: carry what is known over.
            self.current = self.estimate(now_ms);
            self.previous = 0;
            self.start_ms = now_ms;
            self.window_ms = window_ms;
        }
        self.current = self.current.saturating_add(u64::from(amount));
        self.estimate(now_ms)
    }

    /// Moves the spans on so that now lies in the current one.
    fn advance(&mut self, now_ms: u64) {
        let Some(elapsed) = now_ms.checked_sub(self.start_ms) else {
            // The clock went back. A little: the current span is just longer.
            // More than a window: the old time was wrong, so count from here,
            // or a lockout written in the year 2099 would last until then.
            if self.start_ms - now_ms > self.window_ms {
                self.start_ms = now_ms;
            }
            return;
        };
        let spans = elapsed / self.window_ms;
        if spans == 0 {
            return;
        }
        self.previous = if spans == 1 { self.current } else { 0 };
        self.current = 0;
        self.start_ms = if spans == 1 {
            self.start_ms + self.window_ms
        } else {
            now_ms
        };
    }

    /// The estimate at a time that `advance` has been told.
    fn estimate(&self, now_ms: u64) -> u64 {
        let elapsed = now_ms.saturating_sub(self.start_ms).min(self.window_ms);
        let left = u128::from(self.window_ms - elapsed);
        let share = (u128::from(self.previous) * left).div_ceil(u128::from(self.window_ms));
        // At most `previous`, so it fits.
        self.current
            .saturating_add(u64::try_from(share).unwrap_or(u64::MAX))
    }
}

impl Mortal for Window {
    fn is_dead(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.start_ms) >= self.window_ms.saturating_mul(2)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_span_is_exact_and_the_next_decays() {
        let mut window = Window::new(1_000, 5_000);
        assert_eq!(window.add(10, 1_000, 5_000), 10);
        assert_eq!(window.add(0, 1_000, 5_999), 10);
        assert_eq!(window.add(0, 1_000, 6_000), 10);
        assert_eq!(window.add(0, 1_000, 6_500), 5);
        assert_eq!(
            window.add(1, 1_000, 6_999),
            2,
            "one tenth of a percent rounds up"
        );
        assert_eq!(window.add(0, 1_000, 7_000), 1);
        assert_eq!(window.add(0, 1_000, 8_000), 0);
    }

    #[test]
    fn a_clock_that_goes_back_neither_forgets_nor_locks_for_ever() {
        let mut window = Window::new(1_000, 10_000);
        window.add(3, 1_000, 10_000);
        assert_eq!(window.add(1, 1_000, 9_500), 4);
        assert_eq!(window.add(0, 1_000, 100), 4);
        assert!(!window.is_dead(100));
        assert_eq!(window.add(0, 1_000, 2_200), 0);
    }

    #[test]
    fn a_changed_window_keeps_the_count() {
        let mut window = Window::new(1_000, 0);
        window.add(8, 1_000, 0);
        assert_eq!(window.add(1, 60_000, 500), 9);
        assert_eq!(window.window_ms, 60_000);
        assert_eq!(window.add(0, 60_000, 60_400), 9);
    }

    #[test]
    fn death_comes_after_two_windows() {
        let mut window = Window::new(1_000, 0);
        window.add(1, 1_000, 0);
        assert!(!window.is_dead(1_999));
        assert!(window.is_dead(2_000));
    }

    proptest! {
        #[test]
        fn the_estimate_stays_within_its_bounds(
            steps in proptest::collection::vec((0u64..700, 0u32..50), 1..200),
        ) {
            let (mut now, mut log, mut window) = (1_000_000u64, Vec::new(), None);
            for (delta, amount) in steps {
                now += delta;
                let entry = window.get_or_insert_with(|| Window::new(1_000, now));
                let estimate = entry.add(amount, 1_000, now);
                log.push((now, u64::from(amount)));
                let within = |age: u64| -> u64 {
                    log.iter().filter(|(at, _)| now - at < age).map(|(_, n)| n).sum()
                };
                prop_assert!(estimate <= within(2_000), "nothing counts after two windows");
                prop_assert!(estimate >= entry.current);
                prop_assert!(estimate <= entry.current + entry.previous);
            }
        }

        #[test]
        fn no_input_overflows(
            start in any::<u64>(), previous in any::<u64>(), current in any::<u64>(),
            window_ms in 1u64.., amount in any::<u32>(), other in any::<u64>(), now in any::<u64>(),
        ) {
            let mut window = Window { window_ms, start_ms: start, previous, current, durable: false };
            let _ = window.is_dead(now);
            let estimate = window.add(amount, other, now);
            prop_assert!(estimate >= u64::from(amount));
        }
    }
}
