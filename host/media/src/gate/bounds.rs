//! How much one party may send on one stream: a token bucket and a size.

use crate::Rejection;

/// What one packet costs, so that whole microseconds times packets per second is
/// the refill.
const PACKET: u64 = 1_000_000;

/// Rate and size of what one party sends.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    packets_per_second: u64,
    packet_bytes: usize,
    tokens: u64,
    refilled_us: u64,
}

impl Bounds {
    /// So many packets per second, a quarter of a second's worth at once, and so
    /// many octets of each.
    #[must_use]
    pub fn new(packets_per_second: u32, packet_bytes: u16, now_us: u64) -> Self {
        let mut bounds = Self {
            packets_per_second: u64::from(packets_per_second),
            packet_bytes: usize::from(packet_bytes),
            tokens: 0,
            refilled_us: now_us,
        };
        bounds.tokens = bounds.capacity();
        bounds
    }

    /// Take other bounds; what was spent stays spent.
    pub fn update(&mut self, packets_per_second: u32, packet_bytes: u16) {
        self.packets_per_second = u64::from(packets_per_second);
        self.packet_bytes = usize::from(packet_bytes);
        self.tokens = self.tokens.min(self.capacity());
    }

    /// May a packet of that many octets pass now?
    ///
    /// # Errors
    /// [`Rejection::Size`], which costs nothing, or [`Rejection::Rate`].
    pub fn check(&mut self, octets: usize, now_us: u64) -> Result<(), Rejection> {
        if octets > self.packet_bytes {
            return Err(Rejection::Size);
        }
        let elapsed = now_us.saturating_sub(self.refilled_us);
        self.refilled_us = self.refilled_us.max(now_us);
        let refill = elapsed.saturating_mul(self.packets_per_second);
        self.tokens = self.tokens.saturating_add(refill).min(self.capacity());
        self.tokens = self.tokens.checked_sub(PACKET).ok_or(Rejection::Rate)?;
        Ok(())
    }

    /// A jitter buffer's worth of packets may come at once, and never fewer than
    /// four.
    const fn capacity(&self) -> u64 {
        let quarter = self.packets_per_second / 4;
        (if quarter < 4 { 4 } else { quarter }) * PACKET
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let mut bounds = Bounds::new(100, 1_000, 0);
        for _ in 0..25 {
            assert_eq!(bounds.check(172, 0), Ok(()));
        }
        assert_eq!(bounds.check(172, 0), Err(Rejection::Rate));
        assert_eq!(bounds.check(172, 9_999), Err(Rejection::Rate));
        assert_eq!(bounds.check(172, 10_000), Ok(()));
        assert_eq!(bounds.check(172, 10_000), Err(Rejection::Rate));
        let passed = (0..1_000_000).step_by(100);
        let passed = passed
            .filter(|at| bounds.check(172, 20_000 + at).is_ok())
            .count();
        assert_eq!(passed, 100, "a flood for a second gets a second's worth");
    }

    #[test]
    fn size_on_both_sides() {
        let mut bounds = Bounds::new(100, 1_000, 0);
        assert_eq!(bounds.check(1_000, 0), Ok(()));
        assert_eq!(bounds.check(1_001, 0), Err(Rejection::Size));
        bounds.update(100, 1_001);
        assert_eq!(bounds.check(1_001, 0), Ok(()));
    }

    #[test]
    fn time_that_stands_still_or_goes_back_gives_nothing() {
        let mut bounds = Bounds::new(4, 1_000, 5_000_000);
        for _ in 0..4 {
            assert_eq!(bounds.check(1, 5_000_000), Ok(()));
        }
        assert_eq!(bounds.check(1, 0), Err(Rejection::Rate));
        assert_eq!(bounds.check(1, 5_000_000), Err(Rejection::Rate));
        assert_eq!(bounds.check(1, u64::MAX), Ok(()));
    }
}
