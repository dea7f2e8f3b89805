//! Time as it is told.

use std::sync::atomic::{AtomicU64, Ordering};

use policy_wasm::Clock;

/// A clock that stands until it is moved, and never goes back.
#[derive(Debug)]
pub struct VirtualClock(AtomicU64);

impl VirtualClock {
    /// Stands at this time, in milliseconds since 1970.
    pub const fn at(now_ms: u64) -> Self {
        Self(AtomicU64::new(now_ms))
    }

    /// Moves on to a time; stays where it is if that is past.
    pub fn advance_to(&self, now_ms: u64) {
        self.0.fetch_max(now_ms, Ordering::Relaxed);
    }
}

impl Clock for VirtualClock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_goes_back() {
        let clock = VirtualClock::at(5);
        clock.advance_to(9);
        clock.advance_to(7);
        assert_eq!(clock.now_ms(), 9);
    }
}
