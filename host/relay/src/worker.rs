//! One media thread: orders, packets, timers, in turn, until it is told to stop.

use std::time::{Duration, Instant};

use crate::backend::{Backend, Wait};
use crate::engine::Engine;

/// A turn should find about so many packets: then what a turn costs by itself, some
/// 5 microseconds, is little beside them.
const PACKETS_PER_TURN: u32 = 16;

/// Below so many packets a second nothing gathers: the thread sleeps and wakes for
/// each, at a few percent of a processor.
const BUSY_PER_SECOND: u32 = 1_000;

/// The rate of packets is measured over this time at least.
const PACE_INTERVAL: Duration = Duration::from_millis(20);

/// Pause after an error of the kernel, so that a lasting one cannot spin.
const ERROR_PAUSE: Duration = Duration::from_millis(20);

/// Runs until the engine is told to stop.
pub(crate) fn run(mut engine: Engine, mut backend: Box<dyn Backend>, gather: Duration) {
    let mut pace = Pace::new(gather, Instant::now());
    while !engine.is_stopped() {
        let wait = pace.wait(engine.poll_timeout());
        match backend.turn(&mut engine, wait) {
            Ok(packets) => pace.count(packets, engine.now()),
            Err(error) => {
                tracing::error!(%error, backend = backend.name(), "failed to receive media");
                std::thread::sleep(ERROR_PAUSE);
                engine.refresh_clock();
                // Also those who want to stop must be heard.
                engine.handle_orders(backend.as_mut());
            }
        }
        engine.handle_timeout();
    }
}

/// How long packets may gather, by how many have been coming.
#[derive(Debug)]
struct Pace {
    longest: Duration,
    since: Instant,
    packets: u32,
    per_second: u32,
}

impl Pace {
    fn new(longest: Duration, now: Instant) -> Self {
        Pace {
            longest,
            since: now,
            packets: 0,
            per_second: 0,
        }
    }

    fn count(&mut self, packets: usize, now: Instant) {
        self.packets = self
            .packets
            .saturating_add(u32::try_from(packets).unwrap_or(u32::MAX));
        let elapsed = now.saturating_duration_since(self.since);
        if elapsed >= PACE_INTERVAL {
            let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
            let rate = u64::from(self.packets) * 1_000 / millis.max(1);
            self.per_second = u32::try_from(rate).unwrap_or(u32::MAX);
            self.since = now;
            self.packets = 0;
        }
    }

    fn gather(&self) -> Duration {
        if self.per_second < BUSY_PER_SECOND {
            return Duration::ZERO;
        }
        (Duration::from_secs(1) * PACKETS_PER_TURN / self.per_second).min(self.longest)
    }

    fn wait(&self, at_most: Option<Duration>) -> Wait {
        Wait {
            gather: self.gather(),
            enough: PACKETS_PER_TURN as usize * 4,
            at_most,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_gather_only_under_load_and_never_long() {
        let start = Instant::now();
        let mut pace = Pace::new(Duration::from_millis(2), start);
        assert_eq!(pace.wait(None).gather, Duration::ZERO);
        // 999 a second, then 1,000, then 100,000.
        pace.count(999, start + Duration::from_secs(1));
        assert_eq!(pace.gather(), Duration::ZERO);
        pace.count(1_000, start + Duration::from_secs(2));
        assert_eq!(pace.gather(), Duration::from_millis(2));
        pace.count(100_000, start + Duration::from_secs(3));
        assert_eq!(pace.gather(), Duration::from_micros(160));
        // Within the interval nothing is decided.
        pace.count(0, start + Duration::from_millis(3_019));
        assert_eq!(pace.gather(), Duration::from_micros(160));
        pace.count(0, start + Duration::from_millis(3_020));
        assert_eq!(pace.gather(), Duration::ZERO);
    }
}
