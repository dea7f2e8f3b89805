//! Messages on a stream: RFC 3261 section 18.3, keep-alives of RFC 5626 section 4.4.1.

use bytes::{Bytes, BytesMut};

use crate::error::{ParseError, ParseErrorKind};
use crate::grammar::{self, TOKEN};
use crate::header::HeaderKind;
use crate::index::LogicalLines;
use crate::limits::Limits;
use crate::message::Message;

/// Bytes that may wait beside one whole message: what one read of a socket brings.
const READ_AHEAD: usize = 65_536;

/// One thing that a stream brought.
#[derive(Debug, Clone)]
pub enum Frame {
    /// An accepted message.
    Message(Box<Message>),
    /// Bytes that were framed and refused. The connection may go on, unless the next call of
    /// [`StreamFramer::next`] says otherwise.
    Invalid(ParseError),
    /// Double CRLF: answer with one CRLF (RFC 5626 section 4.4.1).
    Ping,
    /// The CRLF that answers a ping of ours.
    Pong,
}

/// Why a connection can bring nothing more: where the next message begins is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum FrameError {
    /// The first byte of a message cannot begin one.
    #[error("the stream is not SIP")]
    NotSip,
    /// No Content-Length, several, or one that is no number.
    #[error("a message on the stream has no single valid Content-Length")]
    ContentLength,
    /// A message larger than [`Limits::message_bytes`].
    #[error("a message on the stream is too large")]
    TooLarge,
    /// More was pushed than one message and one read, without a call of `next` in between.
    #[error("more bytes were pushed than may wait")]
    BufferFull,
}

/// Cuts a stream into messages. Push what a read brought, then call [`StreamFramer::next`] until
/// it returns nothing. Bytes are looked for a line end once, however small the reads are.
#[derive(Debug)]
pub struct StreamFramer {
    limits: Limits,
    buffer: BytesMut,
    /// Bytes of the buffer known to hold no end of headers.
    scanned: usize,
    /// Length of the waiting message, once its headers are complete.
    framed: Option<usize>,
    pings_sent: u32,
    failed: Option<FrameError>,
}

impl StreamFramer {
    /// A framer at the beginning of a stream.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            buffer: BytesMut::new(),
            scanned: 0,
            framed: None,
            pings_sent: 0,
            failed: None,
        }
    }

    /// Bytes that wait for the rest of their message.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Says that a double CRLF was sent: the next CRLF is its answer, not half a ping.
    pub fn ping_sent(&mut self) {
        self.pings_sent = self.pings_sent.saturating_add(1);
    }

    /// Takes what a read brought.
    ///
    /// # Errors
    /// [`FrameError`] when the stream has failed, or when more waits than may.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), FrameError> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        if self.buffer.len() + bytes.len() > self.limits.message_bytes.saturating_add(READ_AHEAD) {
            return Err(self.fail(FrameError::BufferFull));
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// The next thing that is complete; `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`FrameError`] when the stream can bring nothing more: close the connection. What can be
    /// answered before closing came as [`Frame::Invalid`].
    #[expect(
        clippy::should_implement_trait,
        reason = "a fallible pull that more input may revive is no iterator"
    )]
    pub fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        if self.framed.is_none() && self.scanned == 0 {
            if let Some(frame) = self.keep_alive() {
                return Ok(Some(frame));
            }
            match self.buffer.first() {
                None | Some(b'\r') if self.buffer.len() < 2 => return Ok(None),
                Some(b'\r') if self.buffer.starts_with(b"\r\n") => return Ok(None),
                Some(first) if grammar::is(*first, TOKEN) => {}
                _ => return Err(self.fail(FrameError::NotSip)),
            }
        }
        if self.framed.is_none() {
            match self.frame() {
                Ok(None) => return Ok(None),
                Ok(length) => self.framed = length,
                Err((failed, kind)) => {
                    self.fail(failed);
                    let head = self.buffer.split().freeze();
                    return Ok(Some(Frame::Invalid(ParseError::new(kind, &head))));
                }
            }
        }
        match self.framed {
            Some(length) if self.buffer.len() >= length => {
                self.framed = None;
                self.scanned = 0;
                Ok(Some(self.parse(length)))
            }
            _ => Ok(None),
        }
    }

    fn fail(&mut self, error: FrameError) -> FrameError {
        self.failed = Some(error);
        error
    }

    fn parse(&mut self, length: usize) -> Frame {
        let bytes: Bytes = self.buffer.split_to(length).freeze();
        match Message::parse_datagram(bytes, &self.limits) {
            Ok(message) => Frame::Message(Box::new(message)),
            Err(error) => Frame::Invalid(error),
        }
    }

    /// Takes CRLFs between messages. A single one waits: it may be half a ping, or stand before
    /// a message, where it means nothing (RFC 3261 section 7.5).
    fn keep_alive(&mut self) -> Option<Frame> {
        loop {
            if !self.buffer.starts_with(b"\r\n") {
                return None;
            }
            if self.pings_sent > 0 {
                self.pings_sent -= 1;
                self.take(2);
                return Some(Frame::Pong);
            }
            if self.buffer.starts_with(b"\r\n\r\n") {
                self.take(4);
                return Some(Frame::Ping);
            }
            match self.buffer.get(2) {
                None => return None,
                Some(b'\r') if self.buffer.len() == 3 => return None,
                Some(_) => self.take(2),
            }
        }
    }

    fn take(&mut self, bytes: usize) {
        let _ = self.buffer.split_to(bytes.min(self.buffer.len()));
    }

    /// Looks for the end of the headers, and there for the length of the whole message.
    fn frame(&mut self) -> Result<Option<usize>, (FrameError, ParseErrorKind)> {
        let too_large = (FrameError::TooLarge, ParseErrorKind::MessageTooLarge);
        let head = loop {
            let rest = self.buffer.get(self.scanned..).unwrap_or_default();
            let Some(feed) = memchr::memchr(b'\n', rest).map(|feed| self.scanned + feed) else {
                self.scanned = self.buffer.len();
                break None;
            };
            match (self.buffer.get(feed + 1), self.buffer.get(feed + 2)) {
                (Some(b'\n'), _) => break Some(feed + 2),
                (Some(b'\r'), Some(b'\n')) => break Some(feed + 3),
                // What follows the line end decides; look at it again when it is there.
                (None, _) | (Some(b'\r'), None) => {
                    self.scanned = feed;
                    break None;
                }
                _ => self.scanned = feed + 1,
            }
        };
        let Some(head) = head else {
            return if self.buffer.len() > self.limits.message_bytes {
                Err(too_large)
            } else {
                Ok(None)
            };
        };
        // The same answer as if it had come in pieces, its end not yet there.
        if head > self.limits.message_bytes {
            return Err(too_large);
        }
        let body = content_length(grammar::piece(&self.buffer, 0, head))?;
        match head.checked_add(body) {
            Some(length) if length <= self.limits.message_bytes => Ok(Some(length)),
            _ => Err(too_large),
        }
    }
}

/// The one Content-Length of a head, read as the header index reads lines.
fn content_length(head: &[u8]) -> Result<usize, (FrameError, ParseErrorKind)> {
    let malformed = (
        FrameError::ContentLength,
        ParseErrorKind::Value(HeaderKind::ContentLength),
    );
    let mut found = None;
    let first = memchr::memchr(b'\n', head).map_or(head.len(), |feed| feed + 1);
    for line in LogicalLines::new(head, first) {
        let Some(line) = line
            .header(head)
            .filter(|line| line.kind == HeaderKind::ContentLength)
        else {
            continue;
        };
        let number = grammar::decimal(line.value(head), u64::from(u32::MAX))
            .and_then(|number| usize::try_from(number).ok());
        let number = number.ok_or(malformed)?;
        if found.replace(number).is_some() {
            return Err((
                FrameError::ContentLength,
                ParseErrorKind::Duplicate(HeaderKind::ContentLength),
            ));
        }
    }
    found.ok_or((
        FrameError::ContentLength,
        ParseErrorKind::Missing(HeaderKind::ContentLength),
    ))
}
