//! TCP streams put together, as far as SIP needs it: each direction on its own, with a
//! bound on what may be missing.

use std::collections::HashMap;
use std::net::SocketAddr;

use etherparse::TcpSlice;
use sip_message::{Frame, Limits, Message, StreamFramer};

/// Directions of connections that are followed. 8,192: a trunk has a few, and so many
/// phones fit on one machine. The one that was silent longest gives way.
const STREAMS: usize = 8_192;

/// Segments of one direction that may wait for an earlier one. 64: more than a window that
/// a phone offers.
const WAITING_SEGMENTS: usize = 64;

/// Their bytes. 256 KiB.
const WAITING_BYTES: usize = 262_144;

/// All streams of a capture.
pub(super) struct Streams {
    limits: Limits,
    streams: HashMap<(SocketAddr, SocketAddr), Stream>,
    heard: u64,
}

/// What came out of one segment beside messages.
#[derive(Default)]
pub(super) struct Heard {
    /// Messages that cannot be read.
    pub(super) malformed: u64,
    /// The stream was given up, until a segment begins a message again.
    pub(super) lost: bool,
}

struct Stream {
    framer: StreamFramer,
    /// Sequence number of the byte that comes next; none while that is unknown.
    next: Option<u32>,
    waiting: Vec<(u32, Vec<u8>)>,
    waiting_bytes: usize,
    heard: u64,
}

impl Streams {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            streams: HashMap::new(),
            heard: 0,
        }
    }

    /// Takes a segment, and gives the messages that it completes to the sink.
    pub(super) fn take(
        &mut self,
        source: SocketAddr,
        destination: SocketAddr,
        segment: &TcpSlice<'_>,
        mut sink: impl FnMut(Message),
    ) -> Heard {
        let key = (source, destination);
        if segment.rst() {
            self.streams.remove(&key);
            return Heard::default();
        }
        if !self.streams.contains_key(&key) {
            self.make_room();
        }
        self.heard += 1;
        let limits = self.limits;
        let stream = self
            .streams
            .entry(key)
            .or_insert_with(|| Stream::new(limits));
        stream.heard = self.heard;
        let mut sequence = segment.sequence_number();
        if segment.syn() {
            *stream = Stream::new(limits);
            stream.heard = self.heard;
            sequence = sequence.wrapping_add(1);
            stream.next = Some(sequence);
        }
        let mut heard = Heard::default();
        stream.segment(sequence, segment.payload(), &mut heard, &mut sink);
        if heard.lost {
            *stream = Stream::new(limits);
            stream.heard = self.heard;
        }
        heard
    }

    fn make_room(&mut self) {
        if self.streams.len() < STREAMS {
            return;
        }
        let silent = self.streams.iter().min_by_key(|(_, stream)| stream.heard);
        if let Some((&key, _)) = silent {
            self.streams.remove(&key);
        }
    }
}

impl Stream {
    fn new(limits: Limits) -> Self {
        Self {
            framer: StreamFramer::new(limits),
            next: None,
            waiting: Vec::new(),
            waiting_bytes: 0,
            heard: 0,
        }
    }

    fn segment(
        &mut self,
        sequence: u32,
        payload: &[u8],
        heard: &mut Heard,
        sink: &mut impl FnMut(Message),
    ) {
        if payload.is_empty() {
            return;
        }
        let next = match self.next {
            Some(next) => next,
            // The capture began later than the connection.
            None if begins_message(payload) => sequence,
            None => return,
        };
        self.next = Some(next);
        // Half of the numbers lie behind: RFC 9293 section 3.4.
        let ahead = sequence.wrapping_sub(next);
        if ahead == 0 || ahead > u32::MAX / 2 {
            self.append(sequence, payload, heard, sink);
            self.catch_up(heard, sink);
            return;
        }
        self.waiting_bytes += payload.len();
        self.waiting.push((sequence, payload.to_vec()));
        if self.waiting.len() > WAITING_SEGMENTS || self.waiting_bytes > WAITING_BYTES {
            heard.lost = true;
        }
    }

    /// Segments that waited for the last one.
    fn catch_up(&mut self, heard: &mut Heard, sink: &mut impl FnMut(Message)) {
        while let (false, Some(next)) = (heard.lost, self.next) {
            let ready = |(sequence, _): &(u32, Vec<u8>)| {
                let ahead = sequence.wrapping_sub(next);
                ahead == 0 || ahead > u32::MAX / 2
            };
            let Some(place) = self.waiting.iter().position(ready) else {
                return;
            };
            let (sequence, payload) = self.waiting.swap_remove(place);
            self.waiting_bytes = self.waiting_bytes.saturating_sub(payload.len());
            self.append(sequence, &payload, heard, sink);
        }
    }

    /// Takes what is new of a segment that begins at or before the next byte.
    fn append(
        &mut self,
        sequence: u32,
        payload: &[u8],
        heard: &mut Heard,
        sink: &mut impl FnMut(Message),
    ) {
        let Some(next) = self.next else {
            return;
        };
        let known = usize::try_from(next.wrapping_sub(sequence)).unwrap_or(usize::MAX);
        let Some(new) = payload.get(known..).filter(|new| !new.is_empty()) else {
            return;
        };
        let length = u32::try_from(new.len()).unwrap_or(u32::MAX);
        self.next = Some(next.wrapping_add(length));
        if self.framer.push(new).is_err() {
            heard.lost = true;
            return;
        }
        loop {
            match self.framer.next() {
                Ok(Some(Frame::Message(message))) => sink(*message),
                Ok(Some(Frame::Invalid(_))) => heard.malformed += 1,
                Ok(Some(Frame::Ping | Frame::Pong)) => {}
                Ok(None) => return,
                Err(_) => {
                    heard.lost = true;
                    return;
                }
            }
        }
    }
}

/// Whether a segment begins with a start line, as far as one can tell.
fn begins_message(payload: &[u8]) -> bool {
    if payload.starts_with(b"SIP/2.0 ") {
        return true;
    }
    let mut words = payload.splitn(3, |byte| *byte == b' ');
    let method = words.next().unwrap_or_default();
    let uri = words.next().unwrap_or_default();
    let scheme = |scheme: &[u8]| {
        uri.get(..scheme.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(scheme))
    };
    !method.is_empty()
        && method.iter().all(u8::is_ascii_uppercase)
        && (scheme(b"sip:") || scheme(b"sips:") || scheme(b"tel:"))
}
