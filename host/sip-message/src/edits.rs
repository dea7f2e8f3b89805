//! Forwarding: what nobody changed leaves as it came, byte for byte and in order (RFC 3261
//! section 16.6).

use std::net::IpAddr;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::grammar;
use crate::header::HeaderKind;
use crate::message::Message;
use crate::splice::{self, EditError};

/// Room made for new lines at once: a Via, a Record-Route and Max-Forwards fit.
const SCRATCH_BYTES: usize = 384;

/// A line on its way out, either of the message or of the scratch text.
#[derive(Debug, Clone, Copy)]
struct Piece {
    kind: HeaderKind,
    /// Lies in the scratch text.
    fresh: bool,
    start: usize,
    end: usize,
    name_len: usize,
    value_start: usize,
    value_end: usize,
}

/// Changes to a message, written out by [`Edits::finish`].
///
/// Names are matched without regard to case, compact and long form alike. Nothing can be
/// injected: the first name or value with a CR, LF, NUL or other control character makes
/// `finish` refuse, and nothing of it is written.
#[derive(Debug, Clone)]
pub struct Edits<'m> {
    message: &'m Message,
    pieces: SmallVec<[Piece; 40]>,
    /// New lines, one after another.
    scratch: Vec<u8>,
    request_uri: Option<Vec<u8>>,
    body: Option<Vec<u8>>,
    error: Option<EditError>,
    touched: bool,
}

impl<'m> Edits<'m> {
    /// No changes yet.
    pub fn new(message: &'m Message) -> Self {
        let pieces = message.lines.iter().map(|line| Piece {
            kind: line.kind,
            fresh: false,
            start: line.start(),
            end: line.end(),
            name_len: line.name(&message.bytes).len(),
            value_start: line.value_start(),
            value_end: line.value_start() + line.value(&message.bytes).len(),
        });
        Self {
            message,
            pieces: pieces.collect(),
            scratch: Vec::new(),
            request_uri: None,
            body: None,
            error: None,
            touched: false,
        }
    }

    /// Replaces the Request-URI. Does nothing to a response.
    pub fn request_uri(&mut self, uri: impl AsRef<[u8]>) -> &mut Self {
        if self.accept(splice::check_uri(uri.as_ref())) && self.message.is_request() {
            self.request_uri = Some(uri.as_ref().to_vec());
        }
        self
    }

    /// Puts a Via above all others.
    pub fn push_via(&mut self, value: impl AsRef<[u8]>) -> &mut Self {
        self.insert_front("Via", value)
    }

    /// Takes the topmost Via value off, also from a line that holds several.
    pub fn pop_via(&mut self) -> &mut Self {
        self.remove_value(HeaderKind::Via, 0)
    }

    /// Fills `received` and `rport` into the topmost Via (RFC 3261 section 18.2.1, RFC 3581).
    /// What the peer wrote there itself is dropped. Call it before [`Edits::push_via`].
    pub fn stamp_via(&mut self, received: Option<IpAddr>, rport: Option<u16>) -> &mut Self {
        if let Some(at) = self.position(b"Via") {
            self.rewrite(at, |value, out| {
                splice::write_stamped(out, value, received, rport)
            });
        }
        self
    }

    /// Sets Max-Forwards, adding it where it was missing.
    pub fn max_forwards(&mut self, hops: u32) -> &mut Self {
        self.set("Max-Forwards", hops.to_string())
    }

    /// Takes the topmost Route value off.
    pub fn pop_route(&mut self) -> &mut Self {
        self.remove_value(HeaderKind::Route, 0)
    }

    /// Puts a Route value, brackets included, above all others.
    pub fn push_route(&mut self, value: impl AsRef<[u8]>) -> &mut Self {
        self.insert_front("Route", value)
    }

    /// Puts a Record-Route value, brackets included, above all others.
    pub fn push_record_route(&mut self, value: impl AsRef<[u8]>) -> &mut Self {
        self.insert_front("Record-Route", value)
    }

    /// Inserts a line above the first of this name; without one, below the Vias.
    pub fn insert_front(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> &mut Self {
        let vias = |pieces: &[Piece]| {
            pieces
                .iter()
                .take_while(|piece| piece.kind == HeaderKind::Via)
                .count()
        };
        let at = self
            .position(name.as_ref())
            .unwrap_or_else(|| vias(&self.pieces));
        if let Some(piece) = self.fresh(name.as_ref(), value.as_ref()) {
            self.pieces.insert(at.min(self.pieces.len()), piece);
        }
        self
    }

    /// Adds a line below all others.
    pub fn append(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> &mut Self {
        if let Some(piece) = self.fresh(name.as_ref(), value.as_ref()) {
            self.pieces.push(piece);
        }
        self
    }

    /// Makes this the only line of its name: in the place of the first one, or below all others.
    pub fn set(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> &mut Self {
        let Some(piece) = self.fresh(name.as_ref(), value.as_ref()) else {
            return self;
        };
        match self.position(name.as_ref()) {
            Some(at) => {
                self.remove(name);
                self.pieces.insert(at.min(self.pieces.len()), piece);
            }
            None => self.pieces.push(piece),
        }
        self
    }

    /// Removes all lines of this name.
    pub fn remove(&mut self, name: impl AsRef<[u8]>) -> &mut Self {
        let Self {
            message,
            pieces,
            scratch,
            touched,
            ..
        } = self;
        let before = pieces.len();
        pieces.retain(|piece| {
            let text: &[u8] = if piece.fresh { scratch } else { &message.bytes };
            let line_name = grammar::piece(text, piece.start, piece.start + piece.name_len);
            !splice::same_name(piece.kind, line_name, name.as_ref())
        });
        *touched |= pieces.len() != before;
        self
    }

    /// Removes the `nth` value (from 0) of this kind, counted across lines and commas.
    pub fn remove_value(&mut self, kind: HeaderKind, mut nth: usize) -> &mut Self {
        for at in 0..self.pieces.len() {
            let Some(piece) = self
                .pieces
                .get(at)
                .filter(|piece| piece.kind == kind && kind != HeaderKind::Other)
            else {
                continue;
            };
            let value = grammar::piece(self.text(piece), piece.value_start, piece.value_end);
            let count = if kind.is_list() {
                grammar::CommaSplit::new(value).count()
            } else {
                1
            };
            if nth >= count {
                nth -= count;
                continue;
            }
            if count == 1 {
                self.pieces.remove(at);
                self.touched = true;
            } else {
                self.rewrite(at, |value, out| {
                    let kept = grammar::CommaSplit::new(value)
                        .enumerate()
                        .filter(|(place, _)| *place != nth);
                    for (place, (_, value)) in kept.enumerate() {
                        if place > 0 {
                            out.extend_from_slice(b", ");
                        }
                        out.extend_from_slice(value);
                    }
                });
            }
            break;
        }
        self
    }

    /// Replaces the body and Content-Length. A content type replaces that of the message;
    /// without one it stays, unless the body is empty.
    pub fn body(&mut self, content_type: Option<&str>, body: impl AsRef<[u8]>) -> &mut Self {
        let body = body.as_ref();
        match content_type {
            Some(content_type) => {
                self.set("Content-Type", content_type);
            }
            None if body.is_empty() => {
                self.remove("Content-Type");
            }
            None => {}
        }
        self.set("Content-Length", body.len().to_string());
        self.body = Some(body.to_vec());
        self
    }

    /// Writes the message. Without changes this is the message itself, not a copy.
    ///
    /// # Errors
    /// The first [`EditError`] that any change met.
    pub fn finish(self) -> Result<Bytes, EditError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let message = self.message;
        if !self.touched && self.request_uri.is_none() && self.body.is_none() {
            return Ok(message.bytes.clone());
        }
        let body = self.body.as_deref().unwrap_or(message.body());
        let lines: usize = self
            .pieces
            .iter()
            .map(|piece| piece.end - piece.start)
            .sum();
        let uri_len = self.request_uri.as_ref().map_or(0, Vec::len);
        let mut out =
            Vec::with_capacity(message.start_line_end() + uri_len + lines + body.len() + 4);
        match &self.request_uri {
            Some(uri) => {
                let range = message.request_uri_range();
                out.extend_from_slice(grammar::piece(&message.bytes, 0, range.start));
                out.extend_from_slice(uri);
                out.extend_from_slice(grammar::piece(
                    &message.bytes,
                    range.end,
                    message.start_line_end(),
                ));
            }
            None => {
                out.extend_from_slice(grammar::piece(&message.bytes, 0, message.start_line_end()))
            }
        }
        out.extend_from_slice(b"\r\n");
        for piece in &self.pieces {
            out.extend_from_slice(grammar::piece(self.text(piece), piece.start, piece.end));
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(body);
        Ok(out.into())
    }

    fn text(&self, piece: &Piece) -> &[u8] {
        if piece.fresh {
            &self.scratch
        } else {
            &self.message.bytes
        }
    }

    fn position(&self, name: &[u8]) -> Option<usize> {
        self.pieces.iter().position(|piece| {
            let line_name =
                grammar::piece(self.text(piece), piece.start, piece.start + piece.name_len);
            splice::same_name(piece.kind, line_name, name)
        })
    }

    /// Remembers the first error; true when there is none.
    fn accept(&mut self, checked: Result<(), EditError>) -> bool {
        self.error = self.error.or(checked.err());
        self.error.is_none()
    }

    /// Writes a new line into the scratch text, if it is one.
    fn fresh(&mut self, name: &[u8], value: &[u8]) -> Option<Piece> {
        let checked = splice::check_name(name).and_then(|()| splice::check_value(value));
        if !self.accept(checked) {
            return None;
        }
        self.touched = true;
        let start = self.scratch.len();
        self.reserve();
        splice::write_header(&mut self.scratch, name, value);
        Some(self.piece(HeaderKind::from_name(name), start, name.len()))
    }

    /// Writes a line anew with the same name and another value.
    fn rewrite(&mut self, at: usize, write: impl FnOnce(&[u8], &mut Vec<u8>)) {
        let Some(piece) = self.pieces.get(at).copied() else {
            return;
        };
        // A line already made anew lies in the scratch text, which is about to grow.
        let copied = piece
            .fresh
            .then(|| grammar::piece(&self.scratch, piece.start, piece.end).to_vec());
        let (text, offset) = match &copied {
            Some(copied) => (copied.as_slice(), piece.start),
            None => (&*self.message.bytes, 0),
        };
        let start = self.scratch.len();
        self.reserve();
        let name_start = piece.start - offset;
        self.scratch.extend_from_slice(grammar::piece(
            text,
            name_start,
            name_start + piece.name_len,
        ));
        self.scratch.extend_from_slice(b": ");
        write(
            grammar::piece(text, piece.value_start - offset, piece.value_end - offset),
            &mut self.scratch,
        );
        self.scratch.extend_from_slice(b"\r\n");
        let fresh = self.piece(piece.kind, start, piece.name_len);
        if let Some(slot) = self.pieces.get_mut(at) {
            *slot = fresh;
        }
        self.touched = true;
    }

    fn reserve(&mut self) {
        if self.scratch.capacity() == 0 {
            self.scratch.reserve(SCRATCH_BYTES);
        }
    }

    /// The line at the end of the scratch text.
    fn piece(&self, kind: HeaderKind, start: usize, name_len: usize) -> Piece {
        let end = self.scratch.len();
        Piece {
            kind,
            fresh: true,
            start,
            end,
            name_len,
            value_start: start + name_len + 2,
            value_end: end.saturating_sub(2),
        }
    }
}
