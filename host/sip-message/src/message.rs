//! A received message: its bytes, the index over them, and checked core fields.

use bytes::Bytes;
use smallvec::SmallVec;

use crate::anomaly::Anomalies;
use crate::error::ParseError;
use crate::grammar::{self, CommaSplit};
use crate::header::{Header, HeaderKind};
use crate::index::Line;
use crate::limits::Limits;
use crate::method::Method;
use crate::name_addr::{NameAddr, NameAddrError, NameAddrParts};
use crate::parse;
use crate::uri::{Uri, UriParts};
use crate::via::{Via, ViaParts};

/// Stands for a line that is not there.
pub(crate) const NO_LINE: u16 = u16::MAX;

/// The parsed start-line; offsets are from the first byte of the message.
#[derive(Debug, Clone)]
pub(crate) enum StartLine {
    Request {
        method: Method,
        method_end: usize,
        uri: UriParts,
    },
    Response {
        status: u16,
        end: usize,
    },
}

/// Checked core fields, each relative to the value of its line.
#[derive(Debug, Clone)]
pub(crate) struct Core {
    pub(crate) via_line: u16,
    pub(crate) via: ViaParts,
    pub(crate) from_line: u16,
    pub(crate) from: NameAddrParts,
    pub(crate) to_line: u16,
    pub(crate) to: NameAddrParts,
    pub(crate) call_id_line: u16,
    pub(crate) cseq_line: u16,
    pub(crate) cseq_number: u32,
    pub(crate) cseq_method: Method,
    pub(crate) cseq_method_len: usize,
    pub(crate) max_forwards: Option<u8>,
    pub(crate) expires: Option<u32>,
    pub(crate) body: usize,
}

/// CSeq: RFC 3261 section 20.16.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// Below 2^31.
    pub number: u32,
    /// The method.
    pub method: Method,
    /// Its name as written.
    pub method_name: &'a [u8],
}

/// A request or response that was accepted. Cloning copies the index, not the bytes.
#[derive(Debug, Clone)]
pub struct Message {
    pub(crate) bytes: Bytes,
    /// As received, where `bytes` had to differ from it.
    pub(crate) received: Option<Bytes>,
    pub(crate) lines: SmallVec<[Line; 32]>,
    pub(crate) anomalies: Anomalies,
    pub(crate) start: StartLine,
    pub(crate) core: Core,
}

impl Message {
    /// Parses one datagram, or the bytes of one message framed elsewhere.
    ///
    /// # Errors
    /// [`ParseError`] says what is wrong and what may be answered.
    pub fn parse_datagram(bytes: Bytes, limits: &Limits) -> Result<Self, ParseError> {
        parse::parse(bytes, limits)
    }

    /// The message as every reader in this house sees it: the received bytes, or a normalised
    /// copy where they held something ambiguous. All slices point into these.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The bytes as received, with everything odd about them: for logs, never for forwarding.
    pub fn received(&self) -> &Bytes {
        self.received.as_ref().unwrap_or(&self.bytes)
    }

    /// True for a request.
    pub fn is_request(&self) -> bool {
        matches!(self.start, StartLine::Request { .. })
    }

    /// Method of the request, or of CSeq for a response.
    pub fn method(&self) -> Method {
        self.core.cseq_method
    }

    /// Its name as written.
    pub fn method_name(&self) -> &[u8] {
        self.cseq().method_name
    }

    /// The Request-URI. A response has none and gives an empty URI of scheme `Other`.
    pub fn request_uri(&self) -> Uri<'_> {
        match &self.start {
            StartLine::Request {
                method_end, uri, ..
            } => uri.view(self.bytes.get(method_end + 1..).unwrap_or_default()),
            StartLine::Response { .. } => Uri::ABSENT,
        }
    }

    /// Where the Request-URI stands within [`Message::bytes`]; empty for a response.
    pub(crate) fn request_uri_range(&self) -> std::ops::Range<usize> {
        match &self.start {
            StartLine::Request {
                method_end, uri, ..
            } => {
                let start = method_end + 1;
                let rest = self.bytes.get(start..).unwrap_or_default();
                start..start + uri.view(rest).raw.len()
            }
            StartLine::Response { .. } => 0..0,
        }
    }

    /// Where the start-line ends, without its line end.
    pub(crate) fn start_line_end(&self) -> usize {
        match self.start {
            StartLine::Request { .. } => self.request_uri_range().end + b" SIP/2.0".len(),
            StartLine::Response { end, .. } => end,
        }
    }

    /// Status code of a response, 100 to 699.
    pub fn status(&self) -> Option<u16> {
        match self.start {
            StartLine::Request { .. } => None,
            StartLine::Response { status, .. } => Some(status),
        }
    }

    /// Reason phrase of a response, perhaps empty.
    pub fn reason_phrase(&self) -> &[u8] {
        match self.start {
            StartLine::Request { .. } => b"",
            StartLine::Response { end, .. } => grammar::piece(&self.bytes, 12.min(end), end),
        }
    }

    /// The topmost Via.
    pub fn top_via(&self) -> Via<'_> {
        self.core.via.view(self.value_of(self.core.via_line))
    }

    /// All Vias from the top, comma-joined ones apart.
    pub fn vias(&self) -> impl Iterator<Item = Via<'_>> {
        // Every one was checked when the message was parsed.
        self.values(HeaderKind::Via)
            .filter_map(|value| Via::parse(value).ok())
    }

    /// From.
    pub fn from(&self) -> NameAddr<'_> {
        self.core.from.view(self.value_of(self.core.from_line))
    }

    /// To.
    pub fn to(&self) -> NameAddr<'_> {
        self.core.to.view(self.value_of(self.core.to_line))
    }

    /// Tag of From; RFC 2543 peers send none.
    pub fn from_tag(&self) -> Option<&[u8]> {
        self.core.from.tag(self.value_of(self.core.from_line))
    }

    /// Tag of To.
    pub fn to_tag(&self) -> Option<&[u8]> {
        self.core.to.tag(self.value_of(self.core.to_line))
    }

    /// Call-ID; compared byte by byte.
    pub fn call_id(&self) -> &[u8] {
        self.value_of(self.core.call_id_line)
    }

    /// CSeq.
    pub fn cseq(&self) -> CSeq<'_> {
        let value = self.value_of(self.core.cseq_line);
        let start = value.len().saturating_sub(self.core.cseq_method_len);
        CSeq {
            number: self.core.cseq_number,
            method: self.core.cseq_method,
            method_name: value.get(start..).unwrap_or_default(),
        }
    }

    /// Max-Forwards, 0 to 255.
    pub fn max_forwards(&self) -> Option<u32> {
        self.core.max_forwards.map(u32::from)
    }

    /// Content-Length as the peer sent it: `None` when it sent none.
    pub fn content_length(&self) -> Option<usize> {
        (!self.anomalies.contains(Anomalies::MISSING_CONTENT_LENGTH)).then(|| self.body().len())
    }

    /// Expires in seconds; `None` when it is missing or unreadable.
    pub fn expires(&self) -> Option<u32> {
        self.core.expires
    }

    /// Every header line in order.
    pub fn headers(&self) -> impl Iterator<Item = Header<'_>> {
        self.lines.iter().map(|line| Header {
            kind: line.kind,
            name: line.name(&self.bytes),
            value: line.value(&self.bytes),
        })
    }

    /// Value of the first line of this kind.
    pub fn header(&self, kind: HeaderKind) -> Option<&[u8]> {
        self.lines
            .iter()
            .find(|line| line.kind == kind && kind != HeaderKind::Other)
            .map(|line| line.value(&self.bytes))
    }

    /// Value of the first line of this name, without regard to case; compact and long form are
    /// the same.
    pub fn header_named(&self, name: &[u8]) -> Option<&[u8]> {
        self.lines_named(name)
            .next()
            .map(|line| line.value(&self.bytes))
    }

    /// All values of this kind in order, comma-joined ones apart where the grammar joins them.
    pub fn values(&self, kind: HeaderKind) -> impl Iterator<Item = &[u8]> {
        self.lines
            .iter()
            .filter(move |line| line.kind == kind && kind != HeaderKind::Other)
            .flat_map(move |line| self.split(line))
    }

    /// All values of this name in order. Values of unknown headers are not split.
    pub fn values_named(&self, name: &[u8]) -> impl Iterator<Item = &[u8]> {
        self.lines_named(name)
            .flat_map(move |line| self.split(line))
    }

    /// Routes in order. Those of an accepted message are all well formed.
    pub fn routes(&self) -> impl Iterator<Item = Result<NameAddr<'_>, NameAddrError>> {
        self.values(HeaderKind::Route).map(NameAddr::parse)
    }

    /// Record-Routes in order. Those of an accepted message are all well formed.
    pub fn record_routes(&self) -> impl Iterator<Item = Result<NameAddr<'_>, NameAddrError>> {
        self.values(HeaderKind::RecordRoute).map(NameAddr::parse)
    }

    /// Contacts in order; `*` (RFC 3261 section 10.2.2) is left out.
    pub fn contacts(&self) -> impl Iterator<Item = Result<NameAddr<'_>, NameAddrError>> {
        self.values(HeaderKind::Contact)
            .filter(|value| *value != b"*")
            .map(NameAddr::parse)
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        self.bytes.get(self.core.body..).unwrap_or_default()
    }

    /// What was odd about the message.
    pub fn anomalies(&self) -> Anomalies {
        self.anomalies
    }

    fn value_of(&self, line: u16) -> &[u8] {
        self.lines
            .get(usize::from(line))
            .map(|line| line.value(&self.bytes))
            .unwrap_or_default()
    }

    fn lines_named(&self, name: &[u8]) -> impl Iterator<Item = &Line> {
        let kind = HeaderKind::from_name(name);
        self.lines.iter().filter(move |line| {
            line.kind == kind
                && (kind != HeaderKind::Other || line.name(&self.bytes).eq_ignore_ascii_case(name))
        })
    }

    fn split<'a>(&'a self, line: &Line) -> impl Iterator<Item = &'a [u8]> {
        let value = line.value(&self.bytes);
        let joined = line.kind.is_list();
        CommaSplit::new(if joined { value } else { b"" })
            .filter(move |_| joined)
            .chain((!joined).then_some(value))
    }
}
