//! What came from one party: RFC 3550 appendix A.1 for the count, A.8 for the jitter.

use media::{EndPlan, Rejected, Side, StreamFigures};

use crate::packet::RtpHead;

/// A jump in sequence of so many packets is another beginning, not a loss: 3,000, one
/// minute of a call (`MAX_DROPOUT` of RFC 3550).
const DROPOUT: u16 = 3_000;

/// Packets up to so far behind are late, those further back a new beginning: 100
/// (`MAX_MISORDER` of RFC 3550).
const MISORDER: u16 = 100;

/// Counts of one party on one stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    packets: u64,
    octets: u64,
    late: u64,
    duplicate: u64,
    lost_before: u64,
    run: Option<Run>,
    jitter_us: u64,
    pub(crate) rejected: Rejected,
}

/// An unbroken count of sequence numbers.
#[derive(Clone, Copy, Debug)]
struct Run {
    ssrc: u32,
    first: u64,
    highest: u64,
    received: u64,
    /// Which of the last 64 numbers were seen; bit 0 is the highest.
    seen: u64,
    transit_us: i64,
}

impl Tally {
    /// A packet without RTP's header, or a report.
    pub(crate) fn count_octets(&mut self, octets: usize) {
        self.packets += 1;
        self.octets += octets as u64;
    }

    /// A packet of RTP that arrived `at_us` microseconds after some fixed time.
    pub(crate) fn count(&mut self, head: RtpHead, octets: usize, plan: &EndPlan, at_us: u64) {
        self.count_octets(octets);
        let rate = plan
            .formats
            .iter()
            .find(|format| format.payload_type == head.payload_type)
            .map_or(8_000, |format| format.clock_rate.max(1));
        let stamp_us = i64::from(head.timestamp) * 1_000_000 / i64::from(rate);
        let transit_us = i64::try_from(at_us).unwrap_or(i64::MAX) - stamp_us;
        let Some(run) = self.run.as_mut().filter(|run| run.ssrc == head.ssrc) else {
            return self.begin(head, transit_us);
        };
        let ahead = head.sequence.wrapping_sub(run.highest as u16);
        if ahead == 0 {
            self.duplicate += 1;
        } else if ahead < DROPOUT {
            run.highest += u64::from(ahead);
            run.seen = run.seen.checked_shl(ahead.into()).unwrap_or(0) | 1;
            run.received += 1;
            let difference = (transit_us - run.transit_us).unsigned_abs();
            run.transit_us = transit_us;
            // A timestamp that jumped says nothing about the network.
            if difference < 1_000_000 {
                self.jitter_us = self.jitter_us - self.jitter_us / 16 + difference;
            }
        } else if ahead > u16::MAX - MISORDER {
            let age = u32::from(ahead.wrapping_neg());
            let bit = 1_u64.checked_shl(age).unwrap_or(0);
            if run.seen & bit != 0 {
                self.duplicate += 1;
            } else {
                run.seen |= bit;
                run.received += 1;
                self.late += 1;
            }
        } else {
            self.begin(head, transit_us);
        }
    }

    fn begin(&mut self, head: RtpHead, transit_us: i64) {
        self.lost_before += self.run.map_or(0, Run::lost);
        // One cycle up, so that late packets of the beginning stay above zero.
        let first = u64::from(head.sequence) + (1 << 16);
        self.run = Some(Run {
            ssrc: head.ssrc,
            first,
            highest: first,
            received: 1,
            seen: 1,
            transit_us,
        });
    }

    /// What is shown of it.
    pub(crate) fn figures(&self, stream: u8, side: Side, cipher: &'static str) -> StreamFigures {
        StreamFigures {
            stream,
            side,
            packets: self.packets,
            octets: self.octets,
            lost: self.lost_before + self.run.map_or(0, Run::lost),
            jitter_us: u32::try_from(self.jitter_us / 16).unwrap_or(u32::MAX),
            late: self.late,
            duplicate: self.duplicate,
            rejected: self.rejected,
            cipher,
            mos_hundredths: None,
        }
    }
}

impl Run {
    fn lost(self) -> u64 {
        (self.highest - self.first + 1).saturating_sub(self.received)
    }
}
