//! Timers A to M (RFC 3261 table 4, RFC 6026 section 8.8) and how long they run.

use std::fmt;
use std::time::Duration;

/// The timers by their letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// INVITE client, UDP: repeat the request. T1, doubled each time.
    A,
    /// INVITE client: nobody answered. 64*T1.
    B,
    /// Proxy: an INVITE has been ringing for too long. Over 3 minutes. Run by the
    /// transaction user (RFC 3261 section 16.6 step 11), never by this layer.
    C,
    /// INVITE client, UDP: absorb repeated non-2xx finals. At least 32 s.
    D,
    /// Non-INVITE client, UDP: repeat the request. T1, doubled up to T2.
    E,
    /// Non-INVITE client: nobody gave a final answer. 64*T1.
    F,
    /// INVITE server, UDP: repeat the non-2xx final. T1, doubled up to T2.
    G,
    /// INVITE server: the ACK never came. 64*T1.
    H,
    /// INVITE server, UDP: absorb repeated ACKs. T4.
    I,
    /// Non-INVITE server, UDP: absorb repeated requests. 64*T1.
    J,
    /// Non-INVITE client, UDP: absorb repeated finals. T4.
    K,
    /// INVITE server: absorb repeated INVITEs after a 2xx (RFC 6026). 64*T1.
    L,
    /// INVITE client: pass on repeated 2xx (RFC 6026). 64*T1.
    M,
}

impl Timer {
    /// Whether the timer repeats a message, as opposed to ending a state.
    #[must_use]
    pub const fn repeats(self) -> bool {
        matches!(self, Self::A | Self::E | Self::G)
    }
}

impl fmt::Display for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timer {self:?}")
    }
}

/// The base values from which the timers follow (RFC 3261 section 17.1.1.1, appendix A).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// Estimate of the round trip. Default 500 ms.
    pub t1: Duration,
    /// Longest pause between repeats of a non-INVITE request or a final response to an
    /// INVITE. Default 4 s.
    pub t2: Duration,
    /// How long a message may live in the network. Default 5 s.
    pub t4: Duration,
    /// Timer C: how long a proxied INVITE may ring after its last provisional other than
    /// 100. RFC 3261 section 16.6 wants more than 3 minutes. Default 185 s.
    pub c: Duration,
    /// Timer D over UDP. RFC 3261 section 17.1.1.2 wants at least 32 s. Default 32 s.
    pub d: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            c: Duration::from_secs(185),
            d: Duration::from_secs(32),
        }
    }
}

impl Timers {
    /// How long `timer` runs when it is first set.
    #[must_use]
    pub const fn duration(&self, timer: Timer) -> Duration {
        match timer {
            Timer::A | Timer::E | Timer::G => self.t1,
            Timer::B | Timer::F | Timer::H | Timer::J | Timer::L | Timer::M => {
                self.t1.saturating_mul(64)
            }
            Timer::C => self.c,
            Timer::D => self.d,
            Timer::I | Timer::K => self.t4,
        }
    }

    /// How long a repeating `timer` runs after having run for `previous`.
    ///
    /// A doubles without a ceiling, since B ends it; E and G stop at T2. Never shorter
    /// than a millisecond, lest a T1 of zero in the config turn into a busy loop.
    #[must_use]
    pub fn next_interval(&self, timer: Timer, previous: Duration) -> Duration {
        let doubled = previous.saturating_mul(2);
        let next = if matches!(timer, Timer::A) {
            doubled
        } else {
            doubled.min(self.t2)
        };
        next.max(Duration::from_millis(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_table_4() {
        let timers = Timers::default();
        let seconds = |timer| timers.duration(timer).as_secs_f32();
        for (timer, expected) in [
            (Timer::A, 0.5),
            (Timer::B, 32.0),
            (Timer::D, 32.0),
            (Timer::E, 0.5),
            (Timer::F, 32.0),
            (Timer::G, 0.5),
            (Timer::H, 32.0),
            (Timer::I, 5.0),
            (Timer::J, 32.0),
            (Timer::K, 5.0),
            (Timer::L, 32.0),
            (Timer::M, 32.0),
        ] {
            assert!((seconds(timer) - expected).abs() < f32::EPSILON, "{timer}");
        }
        assert!(timers.duration(Timer::C) > Duration::from_secs(180));
    }

    #[test]
    fn a_doubles_freely_and_e_and_g_stop_at_t2() {
        let timers = Timers::default();
        let four = Duration::from_secs(4);
        assert_eq!(timers.next_interval(Timer::A, four), Duration::from_secs(8));
        for timer in [Timer::E, Timer::G] {
            assert_eq!(timers.next_interval(timer, Duration::from_secs(2)), four);
            assert_eq!(timers.next_interval(timer, four), four);
        }
        let never = Duration::ZERO;
        assert_eq!(
            timers.next_interval(Timer::A, never),
            Duration::from_millis(1)
        );
    }
}
