//! How much one party may send, and which synchronization source in the clear is its.

use std::time::{Duration, Instant};

use media::Rejection;

/// A burst above the rate: what comes in half a second, so that a network that held
/// packets back loses none.
const BURST: Duration = Duration::from_millis(500);

/// A token bucket that is refilled by the clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    per_second: u32,
    /// Microseconds of sending that are saved up, times one.
    credit_us: u64,
    filled: Instant,
}

impl Bucket {
    pub(crate) fn new(per_second: u32, now: Instant) -> Self {
        Bucket {
            per_second: per_second.max(1),
            credit_us: Self::full(per_second.max(1)),
            filled: now,
        }
    }

    /// Room for the burst, and for one packet at least.
    fn full(per_second: u32) -> u64 {
        let burst = u64::try_from(BURST.as_micros()).unwrap_or(u64::MAX);
        burst.max(Self::price(per_second))
    }

    fn price(per_second: u32) -> u64 {
        1_000_000 / u64::from(per_second)
    }

    /// Changes the rate and keeps what is saved.
    pub(crate) fn set_rate(&mut self, per_second: u32) {
        self.per_second = per_second.max(1);
    }

    /// Takes one packet, if there is room.
    pub(crate) fn take(&mut self, now: Instant) -> Result<(), Rejection> {
        let elapsed = now.saturating_duration_since(self.filled);
        self.filled = self.filled.max(now);
        let elapsed = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        let saved = self.credit_us.saturating_add(elapsed);
        self.credit_us = saved.min(Self::full(self.per_second));
        match self.credit_us.checked_sub(Self::price(self.per_second)) {
            Some(left) => {
                self.credit_us = left;
                Ok(())
            }
            None => Err(Rejection::Rate),
        }
    }
}

/// A party that changes its synchronization source in the clear must have been silent
/// for so long: 500 ms. While it speaks, nobody who borrows its address is heard.
const QUIET: Duration = Duration::from_millis(500);

/// The synchronization source of RTP in the clear, or as it is seen in passing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pin {
    pinned: Option<(u32, Instant)>,
}

impl Pin {
    /// A packet of RTP: the first pins its source.
    pub(crate) fn check(&mut self, ssrc: u32, now: Instant) -> Result<(), Rejection> {
        if let Some((pinned, heard)) = self.pinned
            && pinned != ssrc
            && now.saturating_duration_since(heard) < QUIET
        {
            return Err(Rejection::Ssrc);
        }
        self.pinned = Some((ssrc, now));
        Ok(())
    }

    /// Whether a packet has pinned a source.
    pub(crate) fn is_set(&self) -> bool {
        self.pinned.is_some()
    }

    /// A report: of the pinned source, if there is one.
    pub(crate) fn check_report(&self, ssrc: u32) -> Result<(), Rejection> {
        match self.pinned {
            Some((pinned, _)) if pinned != ssrc => Err(Rejection::Ssrc),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_holds_on_both_sides() {
        let start = Instant::now();
        let mut bucket = Bucket::new(100, start);
        // The burst: half a second.
        for _ in 0..50 {
            assert_eq!(bucket.take(start), Ok(()));
        }
        assert_eq!(bucket.take(start), Err(Rejection::Rate));
        let soon = start + Duration::from_micros(9_999);
        assert_eq!(bucket.take(soon), Err(Rejection::Rate));
        let due = start + Duration::from_micros(10_000);
        assert_eq!(bucket.take(due), Ok(()));
        assert_eq!(bucket.take(due), Err(Rejection::Rate));
        // Time that runs backwards gives nothing.
        assert_eq!(bucket.take(start), Err(Rejection::Rate));
        bucket.set_rate(1);
        assert_eq!(bucket.take(due + Duration::from_millis(999)), Err(Rejection::Rate));
        assert_eq!(bucket.take(due + Duration::from_secs(1)), Ok(()));
    }

    #[test]
    fn a_source_changes_only_after_silence() {
        let start = Instant::now();
        let mut pin = Pin::default();
        assert_eq!(pin.check_report(9), Ok(()));
        assert_eq!(pin.check(1, start), Ok(()));
        assert_eq!(pin.check(2, start + Duration::from_millis(499)), Err(Rejection::Ssrc));
        assert_eq!(pin.check(1, start + Duration::from_millis(499)), Ok(()));
        assert_eq!(pin.check(2, start + Duration::from_millis(998)), Err(Rejection::Ssrc));
        assert_eq!(pin.check_report(2), Err(Rejection::Ssrc));
        assert_eq!(pin.check(2, start + Duration::from_millis(999)), Ok(()));
        assert_eq!(pin.check_report(2), Ok(()));
        assert_eq!(pin.check_report(1), Err(Rejection::Ssrc));
    }
}
