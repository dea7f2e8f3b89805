//! What an answer to a refused request can be built from: RFC 3261 section 8.2.6.

use bytes::Bytes;

use crate::grammar::{self, TOKEN, is_space};
use crate::header::HeaderKind;
use crate::index::{LogicalLines, physical};
use crate::name_addr::NameAddrParts;
use crate::normalise::unfold;
use crate::status::reason_phrase;
use crate::via::{Via, ViaParts};

/// Lines looked at in a refused message: as many as a sound one may have.
const LINES: usize = 256;

/// Bytes copied into an answer. A longer path of Vias is met with silence, so that nobody makes
/// us send more than a datagram's worth.
const ANSWER_BYTES: usize = 4_096;

/// The lines that an answer copies, unfolded.
#[derive(Debug, Clone)]
pub(crate) struct Salvage {
    vias: Vec<u8>,
    /// Value of the first Via within `vias`, up to its first comma.
    top: (usize, usize),
    from: Vec<u8>,
    to: Vec<u8>,
    call_id: Vec<u8>,
    cseq: Vec<u8>,
}

impl Salvage {
    /// Reads what there is. `None` when the request cannot be answered safely.
    pub(crate) fn read(received: &[u8]) -> Option<Self> {
        let start = received
            .iter()
            .position(|byte| !matches!(byte, b'\r' | b'\n'))?;
        let first = physical(received, start)?;
        answerable(grammar::piece(received, start, first.end))?;
        let mut salvage = Self {
            vias: Vec::new(),
            top: (0, 0),
            from: Vec::new(),
            to: Vec::new(),
            call_id: Vec::new(),
            cseq: Vec::new(),
        };
        for line in LogicalLines::new(received, first.next).take(LINES) {
            if let Some(line) = line.header(received) {
                salvage.keep(line.kind, line.value(received))?;
            }
        }
        salvage.complete()
    }

    /// Keeps a Via, or the first of the others.
    fn keep(&mut self, kind: HeaderKind, value: &[u8]) -> Option<()> {
        let slot = match kind {
            HeaderKind::Via => {
                if self.vias.len() + value.len() > ANSWER_BYTES {
                    return None;
                }
                self.vias.extend_from_slice(b"Via: ");
                let written = self.vias.len();
                unfold(&mut self.vias, value);
                if self.top.1 == 0 {
                    let text = grammar::piece(&self.vias, written, self.vias.len());
                    self.top = (
                        written,
                        written + grammar::next_comma(text, 0).unwrap_or(text.len()),
                    );
                }
                self.vias.extend_from_slice(b"\r\n");
                return Some(());
            }
            HeaderKind::From => &mut self.from,
            HeaderKind::To => &mut self.to,
            HeaderKind::CallId => &mut self.call_id,
            HeaderKind::CSeq => &mut self.cseq,
            _ => return Some(()),
        };
        if slot.is_empty() && value.len() <= ANSWER_BYTES {
            unfold(slot, value);
        }
        Some(())
    }

    fn complete(self) -> Option<Self> {
        let clean = |text: &[u8]| {
            !text
                .iter()
                .any(|byte| *byte < 0x20 && *byte != b'\t' || *byte == 0x7f)
        };
        let values = [&self.from, &self.to, &self.call_id, &self.cseq];
        let vias = self
            .vias
            .split(|byte| *byte == b'\n')
            .all(|line| clean(line.strip_suffix(b"\r").unwrap_or(line)));
        let whole = values.iter().all(|value| !value.is_empty() && clean(value));
        (vias && whole && self.top_via().is_some()).then_some(self)
    }

    pub(crate) fn top_via(&self) -> Option<Via<'_>> {
        let text = grammar::trim(self.vias.get(self.top.0..self.top.1)?);
        ViaParts::parse_version(text, None)
            .ok()
            .map(|parts| parts.view(text))
    }

    pub(crate) fn response(&self, status: u16, to_tag: &[u8]) -> Bytes {
        let mut out = Vec::with_capacity(self.vias.len() + self.from.len() + self.to.len() + 256);
        out.extend_from_slice(format!("SIP/2.0 {status} {}\r\n", reason_phrase(status)).as_bytes());
        out.extend_from_slice(&self.vias);
        for (name, value) in [
            ("From", &self.from),
            ("To", &self.to),
            ("Call-ID", &self.call_id),
            ("CSeq", &self.cseq),
        ] {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            let untagged = NameAddrParts::parse(value).is_ok_and(|to| to.tag(value).is_none());
            if name == "To" && untagged && grammar::all(to_tag, TOKEN) {
                out.extend_from_slice(b";tag=");
                out.extend_from_slice(to_tag);
            }
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
        out.into()
    }
}

/// A request-line of SIP, of any version, whose method may be answered at all.
fn answerable(line: &[u8]) -> Option<()> {
    let end = grammar::skip_class(line, 0, TOKEN);
    let method = line.get(..end)?;
    let tail = grammar::trim(line);
    let version = tail.rsplit(|byte| is_space(*byte)).next()?;
    let sip = version
        .get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/"));
    (end > 0 && line.get(end) == Some(&b' ') && sip && method != b"ACK").then_some(())
}
