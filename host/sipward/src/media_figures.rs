//! Figures of media: what passed, what was lost, and what the gate turned away.

use std::fmt;

use media::{AnchorFigures, Rejected, SessionFigures, SessionId, StreamFigures};
use serde::{Serialize, Serializer};

/// Packets that the gate turned away, by reason, as records and the status show them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RejectedCounts(pub Rejected);

impl Serialize for RejectedCounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.named())
    }
}

impl fmt::Display for RejectedCounts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0.total())?;
        let mut separator = " (";
        for (name, count) in self.0.named().into_iter().filter(|(_, count)| *count > 0) {
            write!(formatter, "{separator}{name} {count}")?;
            separator = ", ";
        }
        if separator == ", " {
            formatter.write_str(")")?;
        }
        Ok(())
    }
}

/// What sessions carried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct MediaCounts {
    /// Sessions counted.
    pub sessions: u64,
    /// Packets relayed.
    pub packets: u64,
    /// Their octets.
    pub octets: u64,
    /// Packets that never came.
    pub lost: u64,
    /// Packets that came after a later one.
    pub late: u64,
    /// Packets that came twice.
    pub duplicate: u64,
    /// Packets turned away.
    pub rejected: RejectedCounts,
}

impl MediaCounts {
    /// One session more.
    pub fn add(&mut self, figures: &SessionFigures) {
        let mut more = Self {
            sessions: 1,
            ..Self::default()
        };
        for stream in &figures.streams {
            more.packets = more.packets.saturating_add(stream.packets);
            more.octets = more.octets.saturating_add(stream.octets);
            more.lost = more.lost.saturating_add(stream.lost);
            more.late = more.late.saturating_add(stream.late);
            more.duplicate = more.duplicate.saturating_add(stream.duplicate);
            more.rejected.0.add(&stream.rejected);
        }
        self.sum(&more);
    }

    /// Those of others besides.
    pub fn sum(&mut self, other: &Self) {
        for (count, more) in [
            (&mut self.sessions, other.sessions),
            (&mut self.packets, other.packets),
            (&mut self.octets, other.octets),
            (&mut self.lost, other.lost),
            (&mut self.late, other.late),
            (&mut self.duplicate, other.duplicate),
        ] {
            *count = count.saturating_add(more);
        }
        self.rejected.0.add(&other.rejected.0);
    }
}

/// Media of one shard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ShardMedia {
    /// Calls with media.
    pub sessions: u64,
    /// Ended calls whose ports the relay still holds.
    pub closing: u64,
    /// Port pairs in use.
    pub ports_in_use: u64,
    /// Port pairs that can be given out.
    pub ports_free: u64,
    /// Port pairs that could not be bound and rest.
    pub ports_resting: u64,
    /// What sessions that have ended carried.
    pub ended: MediaCounts,
}

impl ShardMedia {
    pub(crate) fn new(anchor: AnchorFigures, ended: MediaCounts) -> Self {
        Self {
            sessions: anchor.sessions as u64,
            closing: anchor.closing as u64,
            ports_in_use: anchor.ports_in_use as u64,
            ports_free: anchor.ports_free as u64,
            ports_resting: anchor.ports_resting as u64,
            ended,
        }
    }

    pub(crate) fn sum(&mut self, other: &Self) {
        self.sessions += other.sessions;
        self.closing += other.closing;
        self.ports_in_use += other.ports_in_use;
        self.ports_free += other.ports_free;
        self.ports_resting += other.ports_resting;
        self.ended.sum(&other.ended);
    }
}

/// A session that is open, as `sipward status` shows it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LiveSession {
    shard: usize,
    call: u64,
    call_id: String,
    caller: Option<String>,
    callee: Option<String>,
    streams: Vec<LiveStream>,
}

/// What one party has sent on one stream so far.
#[derive(Debug, Clone, Serialize)]
struct LiveStream {
    stream: u8,
    side: &'static str,
    packets: u64,
    octets: u64,
    lost: u64,
    jitter_ms: f64,
    late: u64,
    duplicate: u64,
    rejected: RejectedCounts,
    cipher: &'static str,
    mos: Option<f64>,
    #[serde(skip)]
    line: String,
}

impl LiveSession {
    pub(crate) fn new(
        session: SessionId,
        call_id: String,
        caller: Option<String>,
        callee: Option<String>,
        figures: &SessionFigures,
    ) -> Self {
        Self {
            shard: session.shard(),
            call: session.0 & ((1 << 48) - 1),
            call_id,
            caller,
            callee,
            streams: figures.streams.iter().map(LiveStream::new).collect(),
        }
    }
}

impl LiveStream {
    fn new(figures: &StreamFigures) -> Self {
        Self {
            stream: figures.stream,
            side: side(figures.side),
            packets: figures.packets,
            octets: figures.octets,
            lost: figures.lost,
            jitter_ms: f64::from(figures.jitter_us) / 1000.0,
            late: figures.late,
            duplicate: figures.duplicate,
            rejected: RejectedCounts(figures.rejected),
            cipher: figures.cipher,
            mos: figures.mos_hundredths.map(mos),
            line: StreamLine(figures).to_string(),
        }
    }
}

impl fmt::Display for LiveSession {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |peer: &'_ Option<String>| peer.as_deref().unwrap_or("-").to_owned();
        write!(
            formatter,
            "  call {}/{} {} -> {}, {}",
            self.shard,
            self.call,
            name(&self.caller),
            name(&self.callee),
            self.call_id
        )?;
        for stream in &self.streams {
            write!(formatter, "\n    {}", stream.line)?;
        }
        Ok(())
    }
}

/// Figures of a session on one line.
pub(crate) struct Streams<'a>(pub(crate) &'a SessionFigures);

impl fmt::Display for Streams<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, stream) in self.0.streams.iter().enumerate() {
            if place > 0 {
                formatter.write_str("; ")?;
            }
            StreamLine(stream).fmt(formatter)?;
        }
        Ok(())
    }
}

/// What one party sent on one stream.
struct StreamLine<'a>(&'a StreamFigures);

impl fmt::Display for StreamLine<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stream = self.0;
        write!(
            formatter,
            "stream {} from {}: {} packets, {} octets, {} lost, {} late, {} duplicate, \
             jitter {:.1} ms, cipher {}",
            stream.stream,
            side(stream.side),
            stream.packets,
            stream.octets,
            stream.lost,
            stream.late,
            stream.duplicate,
            f64::from(stream.jitter_us) / 1000.0,
            stream.cipher,
        )?;
        if let Some(hundredths) = stream.mos_hundredths {
            write!(formatter, ", MOS {:.2}", mos(hundredths))?;
        }
        if stream.rejected.total() > 0 {
            let rejected = RejectedCounts(stream.rejected);
            write!(formatter, ", rejected {rejected}")?;
        }
        Ok(())
    }
}

/// A mean opinion score, 1 to 4.5.
pub(crate) fn mos(hundredths: u16) -> f64 {
    f64::from(hundredths) / 100.0
}

/// Its name in lines and figures.
pub(crate) const fn side(side: media::Side) -> &'static str {
    match side {
        media::Side::Caller => "caller",
        media::Side::Callee => "callee",
    }
}

#[cfg(test)]
mod tests {
    use media::Side;

    use super::*;

    fn figures() -> SessionFigures {
        let stream = |side, packets, rejected| StreamFigures {
            stream: 0,
            side,
            packets,
            octets: packets * 172,
            lost: 3,
            jitter_us: 2_150,
            late: 2,
            duplicate: 1,
            rejected,
            cipher: "AES_CM_128_HMAC_SHA1_80",
            mos_hundredths: (packets > 0).then_some(438),
        };
        let rejected = Rejected {
            source: 10,
            replay: 2,
            ..Rejected::default()
        };
        SessionFigures {
            streams: vec![
                stream(Side::Caller, 1_500, rejected),
                stream(Side::Callee, 0, Rejected::default()),
            ],
        }
    }

    #[test]
    fn a_session_is_one_line() {
        assert_eq!(
            Streams(&figures()).to_string(),
            "stream 0 from caller: 1500 packets, 258000 octets, 3 lost, 2 late, 1 duplicate, \
             jitter 2.1 ms, cipher AES_CM_128_HMAC_SHA1_80, MOS 4.38, \
             rejected 12 (source 10, replay 2); \
             stream 0 from callee: 0 packets, 0 octets, 3 lost, 2 late, 1 duplicate, \
             jitter 2.1 ms, cipher AES_CM_128_HMAC_SHA1_80"
        );
        assert_eq!(RejectedCounts::default().to_string(), "0");
    }

    #[test]
    fn counts_add_up() {
        let mut counts = MediaCounts::default();
        counts.add(&figures());
        counts.add(&figures());
        assert_eq!(
            (counts.sessions, counts.packets, counts.lost),
            (2, 3_000, 12)
        );
        assert_eq!((counts.late, counts.duplicate), (8, 4));
        assert_eq!(
            (counts.rejected.0.source, counts.rejected.0.total()),
            (20, 24)
        );
        let mut all = ShardMedia::new(AnchorFigures::default(), counts);
        all.sum(&all.clone());
        assert_eq!(all.ended.packets, 6_000);
    }

    #[test]
    fn json_has_every_figure() {
        let live = LiveSession::new(
            SessionId::new(2, 7),
            "a@b".to_owned(),
            None,
            None,
            &figures(),
        );
        let json = serde_json::to_value(&live).unwrap();
        assert_eq!((&json["shard"], &json["call"]), (&2.into(), &7.into()));
        let caller = &json["streams"][0];
        assert_eq!(caller["mos"], 4.38);
        assert_eq!(caller["jitter_ms"], 2.15);
        assert_eq!(caller["rejected"]["source"], 10);
        assert_eq!(caller.get("line"), None);
    }
}
