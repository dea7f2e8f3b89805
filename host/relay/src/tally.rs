//! What came from one party, for operators.

use std::hint::black_box;

use media::gate::{ReceivedPacket, ReceiverStatistics, RtpHeader, mean_opinion_score};
use media::{Codec, EndPlan, Format, Rejected, Rejection, Side, StreamFigures};

use crate::end::Dropped;

/// What a phone adds to the network's delay before it plays: one packet of 20 ms, and
/// room for the jitter.
const PLAYOUT_MS: f64 = 20.0;

/// Counts of one party on one stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    statistics: ReceiverStatistics,
    /// The last codec that carries a voice.
    codec: Option<Codec>,
    /// Packets without a header of RTP.
    packets: u64,
    octets: u64,
    rejected: Rejected,
    /// Bit for each reason that was told of.
    told: u8,
}

impl Tally {
    /// Reads what a packet will need.
    pub(crate) fn warm(&self) {
        black_box((self.codec, self.statistics.packets()));
        black_box(self.statistics.jitter_us());
    }

    /// A packet of UDPTL.
    pub(crate) fn count_octets(&mut self, octets: usize) {
        self.packets += 1;
        self.octets += octets as u64;
    }

    /// A packet of RTP.
    pub(crate) fn count(&mut self, head: RtpHeader, octets: usize, plan: &EndPlan, at_us: u64) {
        let formats = &plan.formats;
        let format = formats
            .iter()
            .find(|format| format.payload_type == head.payload_type);
        if let Some(Format { codec, .. }) = format
            && !matches!(codec, Codec::TelephoneEvent | Codec::ComfortNoise)
        {
            self.codec = Some(*codec);
        }
        let clock_rate = format.map_or(0, |format| match format.codec {
            // Its timestamp is that of the tone's beginning, in every packet.
            Codec::TelephoneEvent => 0,
            _ => format.clock_rate,
        });
        self.statistics.receive(&ReceivedPacket {
            ssrc: head.ssrc,
            sequence: head.sequence,
            timestamp: head.timestamp,
            clock_rate,
            octets,
            arrival_us: at_us,
        });
    }

    /// A packet that was dropped. Whether it is the first for which someone should be
    /// told; one on probation is nobody's yet.
    pub(crate) fn reject(&mut self, dropped: Dropped) -> Option<Rejection> {
        let rejection = match dropped {
            Dropped::Probation => {
                self.rejected.count(Rejection::Source);
                return None;
            }
            Dropped::Rejected(rejection) => rejection,
        };
        self.rejected.count(rejection);
        let bit = 1 << rejection as u8;
        let first = self.told & bit == 0;
        self.told |= bit;
        first.then_some(rejection)
    }

    /// What is shown of it.
    pub(crate) fn figures(&self, stream: u8, side: Side, cipher: &'static str) -> StreamFigures {
        let statistics = &self.statistics;
        let jitter_us = statistics.jitter_us();
        let delay_ms = PLAYOUT_MS + 2.0 * f64::from(jitter_us) / 1_000.0;
        StreamFigures {
            stream,
            side,
            packets: self.packets + statistics.packets(),
            octets: self.octets + statistics.octets(),
            lost: statistics.lost(),
            jitter_us,
            late: statistics.late(),
            duplicate: statistics.duplicates(),
            rejected: self.rejected,
            cipher,
            mos_hundredths: self
                .codec
                .filter(|_| statistics.packets() > 0)
                .and_then(|codec| mean_opinion_score(codec, statistics.loss(), delay_ms)),
        }
    }
}
