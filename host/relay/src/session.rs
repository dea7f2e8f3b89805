//! One session: its streams, and the times after which it is over.
//!
//! Silence is counted from when media may first flow, and again from the end of a hold.
//! An event is repeated as long as its cause lasts, once per timeout, so that whoever
//! must ignore it, as while a call rings, hears it again.

use std::time::Instant;

use media::{MediaTimeouts, RelayEvent, SessionFigures, SessionId, Side};
use smallvec::SmallVec;

use crate::directory::Board;
use crate::slots::Key;
use crate::stream::Stream;

/// See the module.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) timeouts: MediaTimeouts,
    pub(crate) streams: SmallVec<[Box<Stream>; 1]>,
    /// Every socket that is not yet given back.
    pub(crate) sockets: SmallVec<[Key; 4]>,
    /// It is over, and waits for its sockets only.
    pub(crate) closing: bool,
    pub(crate) board: Board,
    pub(crate) written: Instant,
    held: Option<Instant>,
    /// Since when each side could be heard and was not told of as silent.
    watched: [Option<Instant>; 2],
    exhausted: bool,
}

impl Session {
    pub(crate) fn new(id: SessionId, timeouts: MediaTimeouts, board: Board, now: Instant) -> Self {
        Session {
            id,
            timeouts,
            streams: SmallVec::new(),
            sockets: SmallVec::new(),
            closing: false,
            board,
            written: now,
            held: None,
            watched: [None; 2],
            exhausted: false,
        }
    }

    pub(crate) fn stream(&self, index: u8) -> Option<&Stream> {
        let mut streams = self.streams.iter();
        streams
            .find(|stream| stream.index == index)
            .map(Box::as_ref)
    }

    pub(crate) fn stream_mut(&mut self, index: u8) -> Option<&mut Stream> {
        let mut streams = self.streams.iter_mut();
        streams
            .find(|stream| stream.index == index)
            .map(Box::as_mut)
    }

    /// Begins or ends a hold.
    pub(crate) fn hold(&mut self, held: bool, now: Instant) {
        match (held, self.held) {
            (true, None) => self.held = Some(now),
            (false, Some(_)) => {
                self.held = None;
                self.watched = [None; 2];
            }
            _ => {}
        }
    }

    /// What is over by now.
    pub(crate) fn poll_event(&mut self, now: Instant) -> Option<RelayEvent> {
        let session = self.id;
        if self.closing {
            return None;
        }
        if !self.exhausted && self.keys_exhausted() {
            self.exhausted = true;
            return Some(RelayEvent::KeyExhausted { session });
        }
        if let Some(held) = self.held {
            if now.saturating_duration_since(held) < self.timeouts.hold {
                return None;
            }
            self.held = Some(now);
            return Some(RelayEvent::HoldOver { session });
        }
        let heard = self.heard(now)?;
        let [caller, callee] = heard;
        let latest = caller.max(callee);
        if now.saturating_duration_since(latest) >= self.timeouts.silence {
            self.watched = [Some(now); 2];
            return Some(RelayEvent::Silent { session });
        }
        for side in Side::BOTH {
            let expected = self.streams.iter().any(|stream| stream.expects(side));
            let silent = now.saturating_duration_since(*side.of(&heard));
            if expected && silent >= self.timeouts.one_way {
                *side.of_mut(&mut self.watched) = Some(now);
                return Some(RelayEvent::OneWay { session, side });
            }
        }
        None
    }

    /// When each side was last heard, or could first be; `None` before that.
    fn heard(&mut self, now: Instant) -> Option<[Instant; 2]> {
        if !self.streams.iter().any(|stream| stream.is_open()) {
            self.watched = [None; 2];
            return None;
        }
        let mut heard = [now; 2];
        for side in Side::BOTH {
            let since = *side.of_mut(&mut self.watched).get_or_insert(now);
            let ends = self.streams.iter().map(|stream| side.of(&stream.ends));
            let last = ends.filter_map(|end| end.heard).max();
            *side.of_mut(&mut heard) = last.map_or(since, |last| last.max(since));
        }
        Some(heard)
    }

    fn keys_exhausted(&self) -> bool {
        let mut ends = self.streams.iter().flat_map(|stream| &stream.ends);
        ends.any(|end| end.shield.exhausted())
    }

    /// Writes what passed, in place.
    pub(crate) fn write_figures(&self, figures: &mut SessionFigures) {
        figures.streams.clear();
        for stream in &self.streams {
            figures.streams.extend(stream.figures());
        }
    }
}
