//! Token buckets in whole numbers.
//!
//! Levels are millionths of a token: a refill of thousandths of a token per
//! second, times milliseconds, is exactly that unit, so nothing is rounded and
//! nothing drifts however often a bucket is asked.

use crate::table::Mortal;

/// Millionths of a token in a token.
const UNIT: u64 = 1_000_000;

/// What a token bucket said: `grant` of the policy interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The tokens were there and have been taken.
    pub taken: bool,
    /// Whole tokens left.
    pub remaining: u32,
    /// Milliseconds until the same request could succeed; 0 if it did,
    /// `u32::MAX` if that is further away or never.
    pub retry_after_ms: u32,
}

/// One bucket. A new one is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// Millionths of a token.
    level: u64,
    /// When `level` was computed.
    touched_ms: u64,
    /// From when on it says the same as no bucket at all.
    dies_ms: u64,
}

impl Bucket {
    /// A full bucket.
    pub(crate) fn new(capacity: u32, now_ms: u64) -> Self {
        Self {
            level: u64::from(capacity) * UNIT,
            touched_ms: now_ms,
            dies_ms: now_ms,
        }
    }

    /// Takes tokens if all of them are there.
    pub(crate) fn take(
        &mut self,
        tokens: u32,
        capacity: u32,
        refill_per_second_milli: u32,
        idle_ms: u64,
        now_ms: u64,
    ) -> Grant {
        let full = u64::from(capacity) * UNIT;
        let rate = u64::from(refill_per_second_milli);
        // A clock that went back refills nothing and costs nothing.
        let elapsed = now_ms.saturating_sub(self.touched_ms);
        self.level = self
            .level
            .saturating_add(elapsed.saturating_mul(rate))
            .min(full);
        self.touched_ms = now_ms;
        let wanted = u64::from(tokens) * UNIT;
        let taken = self.level >= wanted;
        if taken {
            self.level -= wanted;
        }
        let until_full = wait_ms(full - self.level, rate);
        self.dies_ms = now_ms.saturating_add(until_full.min(idle_ms));
        Grant {
            taken,
            remaining: u32::try_from(self.level / UNIT).unwrap_or(u32::MAX),
            retry_after_ms: if taken {
                0
            } else {
                u32::try_from(wait_ms(wanted - self.level, rate)).unwrap_or(u32::MAX)
            },
        }
    }
}

/// Milliseconds until so many millionths have been refilled.
fn wait_ms(millionths: u64, rate: u64) -> u64 {
    if millionths == 0 {
        0
    } else if rate == 0 {
        u64::MAX
    } else {
        millionths.div_ceil(rate)
    }
}

impl Mortal for Bucket {
    fn is_dead(&self, now_ms: u64) -> bool {
        now_ms >= self.dies_ms
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const IDLE: u64 = 1_000_000;

    #[test]
    fn takes_until_empty_and_says_when_to_come_back() {
        let mut bucket = Bucket::new(3, 0);
        for left in [2, 1, 0] {
            let grant = bucket.take(1, 3, 500, IDLE, 0);
            assert_eq!(
                (grant.taken, grant.remaining, grant.retry_after_ms),
                (true, left, 0)
            );
        }
        let refused = bucket.take(1, 3, 500, IDLE, 0);
        assert_eq!((refused.taken, refused.retry_after_ms), (false, 2_000));
        assert!(!bucket.take(1, 3, 500, IDLE, 1_999).taken);
        assert!(bucket.take(1, 3, 500, IDLE, 2_000).taken);
    }

    #[test]
    fn asking_often_does_not_drift() {
        // One token in 1000 s; asked each millisecond it must come exactly then.
        let mut bucket = Bucket::new(1, 0);
        assert!(bucket.take(1, 1, 1, u64::MAX, 0).taken);
        for now in 1..1_000_000 {
            assert!(!bucket.take(1, 1, 1, u64::MAX, now).taken);
        }
        assert!(bucket.take(1, 1, 1, u64::MAX, 1_000_000).taken);
    }

    #[test]
    fn a_bucket_without_refill_lives_until_idle() {
        let mut bucket = Bucket::new(1, 0);
        assert!(bucket.take(1, 1, 0, IDLE, 0).taken);
        assert_eq!(bucket.take(1, 1, 0, IDLE, 10).retry_after_ms, u32::MAX);
        assert!(!bucket.is_dead(10 + IDLE - 1));
        assert!(bucket.is_dead(10 + IDLE));
    }

    proptest! {
        #[test]
        fn no_input_overflows(
            first in any::<u32>(), capacity in any::<u32>(), tokens in any::<u32>(),
            rate in any::<u32>(), idle in any::<u64>(), start in any::<u64>(), now in any::<u64>(),
        ) {
            let mut bucket = Bucket::new(first, start);
            let grant = bucket.take(tokens, capacity, rate, idle, now);
            prop_assert!(grant.remaining <= capacity);
            prop_assert!(!grant.taken || tokens <= capacity);
        }

        #[test]
        fn never_more_than_capacity_plus_refill(
            steps in proptest::collection::vec((0u64..2_000, 1u32..4), 1..200),
        ) {
            let (mut now, mut total, mut bucket) = (0, 0u64, Bucket::new(5, 0));
            for (delta, tokens) in steps {
                now += delta;
                if bucket.take(tokens, 5, 1_500, IDLE, now).taken {
                    total += u64::from(tokens);
                }
                prop_assert!(total * 1_000_000 <= 5_000_000 + now * 1_500);
            }
        }
    }
}
