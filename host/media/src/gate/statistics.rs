//! What arrived and what did not: RFC 3550 appendices A.1, A.3 and A.8.

/// Jump of the sequence number that is still a gap rather than a restart.
const MAX_DROPOUT: u16 = 3_000;
/// How far behind the highest a packet may be and count as late.
const MAX_MISORDER: u16 = 100;

/// One accepted RTP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceivedPacket {
    /// Synchronisation source.
    pub ssrc: u32,
    /// Sequence number.
    pub sequence: u16,
    /// RTP timestamp.
    pub timestamp: u32,
    /// Hz of that timestamp; 0 for packets whose timestamps say nothing of
    /// jitter, such as tones, which repeat one.
    pub clock_rate: u32,
    /// Octets as received.
    pub octets: usize,
    /// When it came.
    pub arrival_us: u64,
}

/// Counts of what one party sent on one stream, over all its SSRCs.
#[derive(Debug, Clone, Default)]
pub struct ReceiverStatistics {
    packets: u64,
    octets: u64,
    late: u64,
    duplicates: u64,
    /// Losses of runs that are over: an earlier SSRC, or before a restart.
    lost_before: u64,
    run: Option<Run>,
    /// In 1/16 microsecond, as RFC 3550 keeps it in 1/16 timestamp units.
    jitter: u64,
    transit: Option<Transit>,
}

/// Numbers of one SSRC without a restart.
#[derive(Debug, Clone, Copy)]
struct Run {
    ssrc: u32,
    /// Sequence number with the cycles above it.
    highest: u64,
    base: u64,
    received: u64,
    /// Bit `n`: `highest - n` has come.
    seen: u128,
    /// Where a jump would go on, if it is a restart.
    restart: Option<u16>,
}

#[derive(Debug, Clone, Copy)]
struct Transit {
    timestamp: u32,
    clock_rate: u32,
    arrival_us: u64,
}

impl ReceiverStatistics {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Count an accepted packet.
    pub fn receive(&mut self, packet: &ReceivedPacket) {
        self.packets += 1;
        self.octets += packet.octets as u64;
        match &mut self.run {
            Some(run) if run.ssrc == packet.ssrc => match run.receive(packet.sequence) {
                Place::Next => self.measure(packet),
                Place::Late => self.late += 1,
                Place::Duplicate => self.duplicates += 1,
                Place::Jump => {}
                Place::Restart => self.begin(packet),
            },
            _ => self.begin(packet),
        }
    }

    /// RTP packets.
    #[must_use]
    pub const fn packets(&self) -> u64 {
        self.packets
    }

    /// Their octets.
    #[must_use]
    pub const fn octets(&self) -> u64 {
        self.octets
    }

    /// Packets that were expected and never came.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost_before
            .saturating_add(self.run.map_or(0, |run| run.lost()))
    }

    /// Packets that came after a later one.
    #[must_use]
    pub const fn late(&self) -> u64 {
        self.late
    }

    /// Packets that came twice.
    #[must_use]
    pub const fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Interarrival jitter.
    #[must_use]
    pub fn jitter_us(&self) -> u32 {
        u32::try_from(self.jitter >> 4).unwrap_or(u32::MAX)
    }

    /// Lost of expected, 0 to 1.
    #[must_use]
    pub fn loss(&self) -> f64 {
        let lost = self.lost() as f64;
        let unique = self.packets.saturating_sub(self.duplicates) as f64;
        if lost + unique > 0.0 {
            lost / (lost + unique)
        } else {
            0.0
        }
    }

    fn begin(&mut self, packet: &ReceivedPacket) {
        self.lost_before = self.lost();
        self.run = Some(Run::new(packet.ssrc, packet.sequence));
        self.transit = None;
        self.measure(packet);
    }

    /// Appendix A.8, in microseconds so that a change of codec changes nothing.
    fn measure(&mut self, packet: &ReceivedPacket) {
        if packet.clock_rate == 0 {
            return;
        }
        let now = Transit {
            timestamp: packet.timestamp,
            clock_rate: packet.clock_rate,
            arrival_us: packet.arrival_us,
        };
        let before = self.transit.replace(now);
        let Some(before) = before.filter(|before| before.clock_rate == now.clock_rate) else {
            return;
        };
        let ticks = now.timestamp.wrapping_sub(before.timestamp).cast_signed();
        let sent_us = i64::from(ticks) * 1_000_000 / i64::from(now.clock_rate);
        let came_us =
            i64::try_from(now.arrival_us.saturating_sub(before.arrival_us)).unwrap_or(i64::MAX);
        // A pause longer than this is silence or a new clock, not jitter.
        let difference = came_us.saturating_sub(sent_us).unsigned_abs();
        if difference < 10_000_000 {
            self.jitter = self.jitter + difference - ((self.jitter + 8) >> 4);
        }
    }
}

enum Place {
    Next,
    Late,
    Duplicate,
    Jump,
    Restart,
}

impl Run {
    fn new(ssrc: u32, sequence: u16) -> Self {
        // A cycle below the first number, so that a late packet before it fits.
        let base = 0x1_0000 + u64::from(sequence);
        Self {
            ssrc,
            highest: base,
            base,
            received: 1,
            seen: 1,
            restart: None,
        }
    }

    fn receive(&mut self, sequence: u16) -> Place {
        // The highest number's low half.
        let highest = (self.highest & 0xFFFF) as u16;
        let ahead = sequence.wrapping_sub(highest);
        let behind = highest.wrapping_sub(sequence);
        if behind < MAX_MISORDER {
            let bit = 1_u128 << behind;
            if self.seen & bit != 0 {
                return Place::Duplicate;
            }
            self.seen |= bit;
            self.received += 1;
            self.base = self.base.min(self.highest - u64::from(behind));
            return Place::Late;
        }
        if ahead < MAX_DROPOUT {
            self.highest += u64::from(ahead);
            self.seen = self.seen.checked_shl(u32::from(ahead)).unwrap_or(0) | 1;
            self.received += 1;
            self.restart = None;
            return Place::Next;
        }
        // Two in sequence after a jump: the other side began again.
        if self.restart == Some(sequence) {
            return Place::Restart;
        }
        self.restart = Some(sequence.wrapping_add(1));
        Place::Jump
    }

    const fn lost(self) -> u64 {
        (self.highest - self.base + 1).saturating_sub(self.received)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(sequence: u16, arrival_us: u64) -> ReceivedPacket {
        ReceivedPacket {
            ssrc: 1,
            sequence,
            timestamp: u32::from(sequence) * 160,
            clock_rate: 8_000,
            octets: 172,
            arrival_us,
        }
    }

    fn after(sequences: &[u16]) -> ReceiverStatistics {
        let mut statistics = ReceiverStatistics::new();
        for (index, sequence) in sequences.iter().enumerate() {
            statistics.receive(&packet(*sequence, index as u64 * 20_000));
        }
        statistics
    }

    #[test]
    fn order_loss_and_duplicates() {
        for (sequences, lost, late, duplicates) in [
            (&[1, 2, 3, 4][..], 0, 0, 0),
            (&[1, 2, 4, 5], 1, 0, 0),
            (&[1, 2, 4, 3, 5], 0, 1, 0),
            (&[1, 2, 2, 3], 0, 0, 1),
            (&[2, 1, 3], 0, 1, 0),
            (&[65_534, 65_535, 0, 1], 0, 0, 0),
            (&[65_534, 1], 2, 0, 0),
            (&[0, 65_535, 1], 0, 1, 0),
            (&[0, 2_999], 2_998, 0, 0),
            (&[0, 3_000], 0, 0, 0),
            (&[200, 101, 101], 98, 1, 1),
        ] {
            let statistics = after(sequences);
            assert_eq!(
                (
                    statistics.lost(),
                    statistics.late(),
                    statistics.duplicates()
                ),
                (lost, late, duplicates),
                "{sequences:?}"
            );
        }
    }

    #[test]
    fn a_restart_is_no_loss() {
        let statistics = after(&[1, 2, 4, 40_000, 40_001, 40_002]);
        assert_eq!(statistics.lost(), 1);
        assert_eq!(statistics.packets(), 6);
    }

    #[test]
    fn losses_of_an_earlier_ssrc_stay() {
        let mut statistics = after(&[1, 3]);
        statistics.receive(&ReceivedPacket {
            ssrc: 2,
            ..packet(9_000, 60_000)
        });
        statistics.receive(&ReceivedPacket {
            ssrc: 2,
            ..packet(9_002, 80_000)
        });
        assert_eq!(statistics.lost(), 2);
        assert!((statistics.loss() - 2.0 / 6.0).abs() < 1e-9);
    }

    #[test]
    fn jitter_of_an_even_stream_is_none_and_of_an_uneven_one_converges() {
        let mut even = ReceiverStatistics::new();
        let mut uneven = ReceiverStatistics::new();
        for index in 0..1_000_u16 {
            let at = u64::from(index) * 20_000;
            even.receive(&packet(index, at));
            uneven.receive(&packet(index, at + u64::from(index % 2) * 4_000));
        }
        assert_eq!(even.jitter_us(), 0);
        assert!(
            (3_900..=4_000).contains(&uneven.jitter_us()),
            "{}",
            uneven.jitter_us()
        );
    }

    #[test]
    fn tones_and_pauses_are_no_jitter() {
        let mut statistics = after(&[1, 2, 3]);
        for index in 0..10 {
            let tone = ReceivedPacket {
                timestamp: 480,
                clock_rate: 0,
                ..packet(4 + index, 0)
            };
            statistics.receive(&tone);
        }
        statistics.receive(&ReceivedPacket {
            timestamp: 14 * 160,
            ..packet(14, 260_000)
        });
        assert_eq!(statistics.jitter_us(), 0);
        statistics.receive(&packet(15, 60_000_000));
        assert_eq!(statistics.jitter_us(), 0);
    }

    proptest::proptest! {
        #[test]
        fn counts_never_wrap(
            packets in proptest::collection::vec(
                (0..3_u32, proptest::num::u16::ANY, proptest::num::u32::ANY, proptest::num::u64::ANY),
                0..300,
            )
        ) {
            let mut statistics = ReceiverStatistics::new();
            for (ssrc, sequence, timestamp, arrival_us) in packets {
                statistics.receive(&ReceivedPacket {
                    ssrc, sequence, timestamp, arrival_us, clock_rate: 8_000, octets: 1,
                });
            }
            proptest::prop_assert!((0.0..=1.0).contains(&statistics.loss()));
            proptest::prop_assert!(statistics.lost() <= 300 * u64::from(MAX_DROPOUT));
        }
    }
}
