//! Which calls a new version of a policy gets: a share of them by a keyed hash of their
//! Call-ID, so that all requests of a call are judged by the same version.

use std::hash::{DefaultHasher, Hasher};

/// A whole in millionths.
const WHOLE: u32 = 1_000_000;

/// A share of all calls, in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

impl Share {
    /// No call.
    pub const NONE: Self = Self(0);
    /// Every call.
    pub const ALL: Self = Self(WHOLE);

    /// So many millionths; at most all.
    pub const fn of_millionths(millionths: u32) -> Self {
        if millionths > WHOLE {
            return Self::ALL;
        }
        Self(millionths)
    }

    /// A part of a whole.
    pub const fn of(part: u64, whole: u64) -> Self {
        match part.saturating_mul(WHOLE as u64).checked_div(whole) {
            Some(millionths) if millionths < WHOLE as u64 => Self(millionths as u32),
            Some(_) => Self::ALL,
            None => Self::NONE,
        }
    }

    /// In millionths, 0 to 1,000,000.
    pub const fn millionths(self) -> u32 {
        self.0
    }

    /// Whether it takes in the call. Whoever does not know the seed cannot choose a
    /// Call-ID that is, or is not; and what a share takes in, a larger one does too.
    pub fn covers(self, call_id: &[u8], seed: u64) -> bool {
        if self == Self::ALL || self == Self::NONE {
            return self == Self::ALL;
        }
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(seed);
        hasher.write(call_id);
        hasher.finish() % u64::from(WHOLE) < u64::from(self.0)
    }
}

impl std::fmt::Display for Share {
    /// In percent, such as `5 %` and `0.25 %`.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (whole, part) = (self.0 / 10_000, self.0 % 10_000);
        if part == 0 {
            return write!(formatter, "{whole} %");
        }
        let digits = format!("{part:04}");
        write!(formatter, "{whole}.{} %", digits.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_call_stays_where_it_is_and_a_larger_share_keeps_it(
            call_id in proptest::collection::vec(any::<u8>(), 0..64),
            seed in any::<u64>(),
            one in 0..=WHOLE,
            other in 0..=WHOLE,
        ) {
            let (small, large) = (Share(one.min(other)), Share(one.max(other)));
            prop_assert_eq!(small.covers(&call_id, seed), small.covers(&call_id, seed));
            prop_assert!(!small.covers(&call_id, seed) || large.covers(&call_id, seed));
            prop_assert!(Share::ALL.covers(&call_id, seed));
            prop_assert!(!Share::NONE.covers(&call_id, seed));
        }

        #[test]
        fn a_share_is_met_within_the_noise(millionths in 10_000..990_000u32, seed in any::<u64>()) {
            let calls = 4_000;
            let share = Share::of_millionths(millionths);
            let covered = (0..calls)
                .filter(|number| share.covers(format!("{number}@host").as_bytes(), seed))
                .count() as f64;
            let p = f64::from(millionths) / f64::from(WHOLE);
            let expected = p * f64::from(calls);
            // Six deviations: once in a thousand million.
            let noise = 6.0 * (f64::from(calls) * p * (1.0 - p)).sqrt();
            prop_assert!((covered - expected).abs() <= noise, "{covered} for {expected}");
        }

        #[test]
        fn a_part_of_a_whole_is_never_more_than_all(part in any::<u64>(), whole in any::<u64>()) {
            prop_assert!(Share::of(part, whole) <= Share::ALL);
        }
    }

    #[test]
    fn it_is_shown_in_percent() {
        assert_eq!(Share::of_millionths(50_000).to_string(), "5 %");
        assert_eq!(Share::of_millionths(2_500).to_string(), "0.25 %");
        assert_eq!(Share::ALL.to_string(), "100 %");
        assert_eq!(Share::of(1, 3).to_string(), "33.3333 %");
        assert_eq!(Share::of(1, 0), Share::NONE);
        assert_eq!(Share::of_millionths(u32::MAX), Share::ALL);
    }
}
