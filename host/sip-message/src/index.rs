//! The header index: one pass over the bytes that finds lines, classifies and bounds them (RFC
//! 3261 section 7.3).

use smallvec::SmallVec;

use crate::anomaly::Anomalies;
use crate::error::ParseErrorKind;
use crate::grammar::{self, TOKEN};
use crate::header::HeaderKind;
use crate::limits::Limits;

/// Lines kept without allocating. Calls between PBXs and trunks carry 12 to 30.
const INLINE_LINES: usize = 32;

/// One header line, its folds included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    pub(crate) kind: HeaderKind,
    /// Must be written anew: folded, white space before the colon, or a bare LF.
    pub(crate) odd: bool,
    /// Repeats a single-valued header; left out of the normalised view.
    pub(crate) dropped: bool,
    name_len: u16,
    value_start: u16,
    value_len: u16,
    len: u16,
    start: u32,
}

impl Line {
    pub(crate) fn name<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let start = self.start();
        grammar::piece(bytes, start, start + usize::from(self.name_len))
    }

    /// The value, trimmed; of an odd line with its folds.
    pub(crate) fn value<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let start = self.value_start();
        grammar::piece(bytes, start, start + usize::from(self.value_len))
    }

    /// Name, colon, value and line end.
    pub(crate) fn raw<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        grammar::piece(bytes, self.start(), self.end())
    }

    pub(crate) fn start(&self) -> usize {
        self.start as usize
    }

    pub(crate) fn end(&self) -> usize {
        self.start() + usize::from(self.len)
    }

    /// Where the value begins within the message.
    pub(crate) fn value_start(&self) -> usize {
        self.start() + usize::from(self.value_start)
    }
}

/// What the pass found.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    pub(crate) lines: SmallVec<[Line; INLINE_LINES]>,
    /// Where the start-line begins: after CRLFs that some peers send first.
    pub(crate) start: usize,
    /// Where the start-line ends, without its line end.
    pub(crate) start_line_end: usize,
    /// Where the body begins.
    pub(crate) body: usize,
    pub(crate) anomalies: Anomalies,
    /// The bytes must be written anew before anything else reads them.
    pub(crate) rewrite: bool,
    /// Control characters are somewhere in the headers.
    pub(crate) controls: bool,
}

/// A physical line: where its content ends and where the next one begins.
pub(crate) struct Physical {
    pub(crate) end: usize,
    pub(crate) next: usize,
    bare: bool,
}

pub(crate) fn physical(bytes: &[u8], start: usize) -> Option<Physical> {
    let feed = start + memchr::memchr(b'\n', bytes.get(start..)?)?;
    let before = feed.checked_sub(1).filter(|before| *before >= start);
    match before.and_then(|before| bytes.get(before)) {
        Some(b'\r') => Some(Physical {
            end: feed - 1,
            next: feed + 1,
            bare: false,
        }),
        _ => Some(Physical {
            end: feed,
            next: feed + 1,
            bare: true,
        }),
    }
}

impl Index {
    pub(crate) fn read(bytes: &[u8], limits: &Limits) -> Result<Self, ParseErrorKind> {
        if bytes.len() > limits.message_bytes {
            return Err(ParseErrorKind::MessageTooLarge);
        }
        let start = bytes
            .iter()
            .position(|byte| !matches!(byte, b'\r' | b'\n'))
            .ok_or(ParseErrorKind::Empty)?;
        let first = physical(bytes, start).ok_or(ParseErrorKind::Truncated)?;
        let mut index = Self {
            lines: SmallVec::new(),
            start,
            start_line_end: first.end,
            body: 0,
            anomalies: Anomalies::NONE,
            rewrite: false,
            controls: false,
        };
        if start > 0 {
            index.anomalies |= Anomalies::OTHER;
        }
        let mut line_ends = 0;
        index.note_line_end(&first, &mut line_ends);
        index.body = index.read_lines(bytes, first.next, limits, &mut line_ends)?;
        index.survey(bytes, line_ends)?;
        Ok(index)
    }

    fn note_line_end(&mut self, line: &Physical, line_ends: &mut usize) {
        if line.bare {
            self.anomalies |= Anomalies::BARE_LINE_FEED;
            self.rewrite = true;
        } else {
            *line_ends += 1;
        }
    }

    /// Reads header lines up to the empty one; returns where the body begins.
    fn read_lines(
        &mut self,
        bytes: &[u8],
        mut at: usize,
        limits: &Limits,
        line_ends: &mut usize,
    ) -> Result<usize, ParseErrorKind> {
        let ceiling = limits.header_bytes.min(usize::from(u16::MAX));
        let mut seen = 0u128;
        loop {
            if at == bytes.len() {
                // The datagram ends after a whole line, without the empty one.
                self.anomalies |= Anomalies::OTHER;
                self.rewrite = true;
                return Ok(at);
            }
            let line = physical(bytes, at).ok_or(ParseErrorKind::Truncated)?;
            self.note_line_end(&line, line_ends);
            if line.end == at {
                return Ok(line.next);
            }
            let mut odd = line.bare;
            let mut end = line.end;
            let mut next = line.next;
            while bytes.get(next).is_some_and(|byte| grammar::is_space(*byte)) {
                let fold = physical(bytes, next).ok_or(ParseErrorKind::Truncated)?;
                self.note_line_end(&fold, line_ends);
                self.anomalies |= Anomalies::FOLDED_HEADER;
                odd = true;
                end = fold.end;
                next = fold.next;
                if next - at > ceiling {
                    return Err(ParseErrorKind::HeaderTooLong);
                }
            }
            if next - at > ceiling {
                return Err(ParseErrorKind::HeaderTooLong);
            }
            if self.lines.len() >= limits.header_count {
                return Err(ParseErrorKind::TooManyHeaders);
            }
            let mut line = header_line(bytes, at, end, next).ok_or(ParseErrorKind::HeaderLine)?;
            line.odd |= odd;
            self.note_line(bytes, &mut line, &mut seen)?;
            self.lines.push(line);
            at = next;
        }
    }

    fn note_line(
        &mut self,
        bytes: &[u8],
        line: &mut Line,
        seen: &mut u128,
    ) -> Result<(), ParseErrorKind> {
        if bytes.get(line.start() + usize::from(line.name_len)) != Some(&b':') {
            self.anomalies |= Anomalies::SPACE_BEFORE_COLON;
            line.odd = true;
        }
        self.rewrite |= line.odd;
        if line.kind == HeaderKind::Other {
            return Ok(());
        }
        if line.name_len == 1 {
            self.anomalies |= Anomalies::COMPACT_FORM;
        }
        if *seen & line.kind.bit() != 0 && line.kind.is_single() {
            let first = self.lines.iter().find(|earlier| earlier.kind == line.kind);
            let same = first.is_some_and(|first| first.value(bytes) == line.value(bytes));
            if line.kind.is_once() || !same {
                return Err(ParseErrorKind::Duplicate(line.kind));
            }
            self.anomalies |= Anomalies::DUPLICATE_HEADER;
            line.dropped = true;
            self.rewrite = true;
        }
        *seen |= line.kind.bit();
        Ok(())
    }

    /// Looks at every byte of the head: control characters, lone CRs, what is not ASCII.
    fn survey(&mut self, bytes: &[u8], line_ends: usize) -> Result<(), ParseErrorKind> {
        let head = grammar::piece(bytes, self.start, self.body);
        let mut returns = 0usize;
        let mut found = 0u8;
        // Short chunks of plain comparisons, so that the compiler can use vectors.
        for chunk in head.chunks(64) {
            let mut count = 0u8;
            for byte in chunk {
                let control =
                    (*byte < 0x20) & (*byte != b'\t') & (*byte != b'\n') & (*byte != b'\r');
                found |= u8::from(control | (*byte == 0x7f)) | (*byte & 0x80);
                count += u8::from(*byte == b'\r');
            }
            returns += usize::from(count);
        }
        if returns != line_ends {
            return Err(ParseErrorKind::BareCarriageReturn);
        }
        if found & 1 != 0 {
            self.anomalies |= Anomalies::CONTROL_CHARACTER;
            self.controls = true;
            self.rewrite = true;
        }
        if found & 0x80 != 0 && std::str::from_utf8(head).is_err() {
            self.anomalies |= Anomalies::INVALID_UTF8;
        }
        Ok(())
    }
}

/// Splits one logical line that ends at `end` (line end at `next`).
fn header_line(bytes: &[u8], start: usize, end: usize, next: usize) -> Option<Line> {
    let name_end = grammar::skip_class(bytes, start, TOKEN);
    let colon = grammar::skip_space(bytes, name_end);
    if name_end == start || bytes.get(colon) != Some(&b':') {
        return None;
    }
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let mut value_start = colon + 1;
    while value_start < end && bytes.get(value_start).is_some_and(blank) {
        value_start += 1;
    }
    let mut value_end = end;
    while value_end > value_start
        && value_end
            .checked_sub(1)
            .and_then(|last| bytes.get(last))
            .is_some_and(blank)
    {
        value_end -= 1;
    }
    let name = grammar::piece(bytes, start, name_end);
    Some(Line {
        kind: HeaderKind::from_name(name),
        odd: false,
        dropped: false,
        name_len: u16::try_from(name.len()).ok()?,
        value_start: u16::try_from(value_start - start).ok()?,
        value_len: u16::try_from(value_end - value_start).ok()?,
        len: u16::try_from(next - start).ok()?,
        start: u32::try_from(start).ok()?,
    })
}

/// The header lines of a head, folds joined, until the empty line: for readers that go on where
/// the index would refuse.
pub(crate) struct LogicalLines<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// One of them: where it starts, where its content ends, where the next one starts.
pub(crate) struct LogicalLine {
    start: usize,
    end: usize,
    next: usize,
}

impl LogicalLine {
    /// Name and value, if it is a header.
    pub(crate) fn header(&self, bytes: &[u8]) -> Option<Line> {
        header_line(bytes, self.start, self.end, self.next)
    }
}

impl<'a> LogicalLines<'a> {
    /// Lines from `at`, the byte after the start-line, on.
    pub(crate) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }
}

impl Iterator for LogicalLines<'_> {
    type Item = LogicalLine;

    fn next(&mut self) -> Option<LogicalLine> {
        let start = self.at;
        let Physical {
            mut end, mut next, ..
        } = physical(self.bytes, start)?;
        if end == start {
            return None;
        }
        while self
            .bytes
            .get(next)
            .is_some_and(|byte| grammar::is_space(*byte))
        {
            let Some(fold) = physical(self.bytes, next) else {
                break;
            };
            (end, next) = (fold.end, fold.next);
        }
        self.at = next;
        Some(LogicalLine { start, end, next })
    }
}
