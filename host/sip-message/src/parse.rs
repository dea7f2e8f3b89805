//! From indexed bytes to a checked [`Message`]: RFC 3261 sections 7, 8.1.1 and 18.3.

use bytes::Bytes;

use crate::anomaly::Anomalies;
use crate::error::{ParseError, ParseErrorKind};
use crate::grammar::{self, CommaSplit, TOKEN, WORD};
use crate::header::HeaderKind;
use crate::index::{Index, Line};
use crate::limits::Limits;
use crate::message::{Core, Message, NO_LINE, StartLine};
use crate::method::Method;
use crate::name_addr::{NameAddrError, NameAddrParts};
use crate::normalise;
use crate::uri::{UriError, UriParts};
use crate::via::ViaParts;

/// What `u16`-indexed lines cannot exceed, and 2^31 for CSeq (RFC 3261 section 8.1.1.5).
const CSEQ_MAXIMUM: u64 = (1 << 31) - 1;

pub(crate) fn parse(received: Bytes, limits: &Limits) -> Result<Message, ParseError> {
    match read(&received, limits) {
        Ok(Reading {
            bytes: None,
            end,
            index,
            start,
            core,
            anomalies,
        }) => {
            // Cloning or slicing may allocate; a message without a tail is moved.
            let (bytes, received) = if end < received.len() {
                (received.slice(..end), Some(received))
            } else {
                (received, None)
            };
            Ok(Message {
                bytes,
                received,
                lines: index.lines,
                anomalies,
                start,
                core,
            })
        }
        Ok(Reading {
            bytes: Some(bytes),
            index,
            start,
            core,
            anomalies,
            ..
        }) => Ok(Message {
            bytes: bytes.into(),
            received: Some(received),
            lines: index.lines,
            anomalies,
            start,
            core,
        }),
        Err(kind) => Err(ParseError::new(kind, &received)),
    }
}

/// A checked message before its bytes are taken over.
struct Reading {
    /// The normalised copy, if one was needed.
    bytes: Option<Vec<u8>>,
    /// Where the message ends within the received bytes.
    end: usize,
    index: Index,
    start: StartLine,
    core: Core,
    anomalies: Anomalies,
}

fn read(received: &[u8], limits: &Limits) -> Result<Reading, ParseErrorKind> {
    let index = Index::read(received, limits)?;
    let mut anomalies = index.anomalies;
    let there = received.len() - index.body;
    let announced = content_length(received, &index.lines)?;
    let length = announced.unwrap_or(there);
    if length > there {
        // The start-line first: what is not SIP gets no answer about its length.
        start_line(
            grammar::piece(received, index.start, index.start_line_end),
            limits,
        )?;
        return Err(ParseErrorKind::BodyTruncated);
    }
    let end = index.body + length;
    if length < there {
        anomalies |= Anomalies::TRAILING_BYTES;
    }
    if announced.is_none() {
        anomalies |= Anomalies::MISSING_CONTENT_LENGTH;
    }
    let odd_start = start_line_is_odd(grammar::piece(received, index.start, index.start_line_end));
    if odd_start {
        anomalies |= Anomalies::OTHER;
    }
    if !(index.rewrite || odd_start || announced.is_none() || index.start > 0) {
        let (start, core) = check(received, &index, limits, &mut anomalies)?;
        return Ok(Reading {
            bytes: None,
            end,
            index,
            start,
            core,
            anomalies,
        });
    }
    let body = grammar::piece(received, index.body, end);
    let bytes = normalise::rewrite(received, &index, body, announced.is_none())?;
    // The copy may be longer by a few line ends and a Content-Length; its limits were checked.
    let relaxed = Limits {
        message_bytes: usize::MAX,
        header_count: limits.header_count + 1,
        header_bytes: usize::MAX,
        ..*limits
    };
    let index = Index::read(&bytes, &relaxed)?;
    if index.rewrite {
        return Err(ParseErrorKind::HeaderLine);
    }
    let (start, core) = check(&bytes, &index, limits, &mut anomalies)?;
    Ok(Reading {
        bytes: Some(bytes),
        end,
        index,
        start,
        core,
        anomalies,
    })
}

fn content_length(bytes: &[u8], lines: &[Line]) -> Result<Option<usize>, ParseErrorKind> {
    let Some(line) = lines
        .iter()
        .find(|line| line.kind == HeaderKind::ContentLength)
    else {
        return Ok(None);
    };
    let number = grammar::decimal(line.value(bytes), u64::from(u32::MAX))
        .and_then(|number| usize::try_from(number).ok());
    number
        .map(Some)
        .ok_or(ParseErrorKind::Value(HeaderKind::ContentLength))
}

/// True for what [`normalise::rewrite`] corrects in a start-line.
fn start_line_is_odd(line: &[u8]) -> bool {
    if line
        .get(..7)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/2.0"))
    {
        return line.len() == 11 || !line.starts_with(b"SIP/2.0");
    }
    let tail = line.get(line.len().saturating_sub(7)..).unwrap_or_default();
    tail.eq_ignore_ascii_case(b"SIP/2.0") && tail != b"SIP/2.0"
}

fn start_line(line: &[u8], limits: &Limits) -> Result<StartLine, ParseErrorKind> {
    if line
        .get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/"))
    {
        status_line(line)
    } else {
        request_line(line, limits)
    }
}

fn status_line(line: &[u8]) -> Result<StartLine, ParseErrorKind> {
    let rest = line.get(7..).unwrap_or_default();
    if !line
        .get(..7)
        .is_some_and(|version| version.eq_ignore_ascii_case(b"SIP/2.0"))
    {
        return Err(ParseErrorKind::Version);
    }
    let (Some(b' '), Some(b' ') | None) = (rest.first(), rest.get(4)) else {
        return Err(ParseErrorKind::StartLine);
    };
    let status = grammar::decimal(grammar::piece(rest, 1, 4), 699).filter(|status| *status >= 100);
    let status = status
        .and_then(|status| u16::try_from(status).ok())
        .ok_or(ParseErrorKind::StartLine)?;
    if line.contains(&b'\t') {
        return Err(ParseErrorKind::StartLine);
    }
    Ok(StartLine::Response {
        status,
        end: line.len(),
    })
}

fn request_line(line: &[u8], limits: &Limits) -> Result<StartLine, ParseErrorKind> {
    let method_end = grammar::skip_class(line, 0, TOKEN);
    let method = grammar::piece(line, 0, method_end);
    let version_start = memchr::memrchr(b' ', line).map_or(line.len(), |space| space + 1);
    let version = grammar::piece(line, version_start, line.len());
    if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        return Err(other_version(line, version));
    }
    let uri_start = method_end + 1;
    let uri = line
        .get(uri_start..version_start.saturating_sub(1))
        .unwrap_or_default();
    if method.is_empty()
        || line.get(method_end) != Some(&b' ')
        || uri.is_empty()
        || uri.iter().any(|byte| grammar::is_space(*byte))
    {
        return Err(ParseErrorKind::StartLine);
    }
    if uri.len() > limits.uri_bytes {
        return Err(ParseErrorKind::RequestUri(UriError::TooLong));
    }
    let parts = UriParts::parse(uri).map_err(ParseErrorKind::RequestUri)?;
    // RFC 3261 section 19.1.1: headers may not stand in a Request-URI.
    if !parts.view(uri).headers.is_empty() {
        return Err(ParseErrorKind::RequestUri(UriError::Headers));
    }
    Ok(StartLine::Request {
        method: Method::from_name(method),
        method_end,
        uri: parts,
    })
}

fn other_version(line: &[u8], version: &[u8]) -> ParseErrorKind {
    let digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let numbered = version
        .get(4..)
        .is_some_and(|number| number.split(|byte| *byte == b'.').all(digits));
    if version
        .get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/"))
        && numbered
    {
        ParseErrorKind::Version
    } else if memchr::memmem::find(line, b" SIP/2.0").is_some() {
        ParseErrorKind::StartLine
    } else {
        ParseErrorKind::NotSip
    }
}

/// Checks what accessors promise.
fn check(
    bytes: &[u8],
    index: &Index,
    limits: &Limits,
    anomalies: &mut Anomalies,
) -> Result<(StartLine, Core), ParseErrorKind> {
    let start = start_line(
        grammar::piece(bytes, index.start, index.start_line_end),
        limits,
    )?;
    let mut fields = Fields::default();
    for (at, line) in index.lines.iter().enumerate() {
        fields.read(
            bytes,
            u16::try_from(at).unwrap_or(NO_LINE),
            line,
            limits,
            anomalies,
        )?;
    }
    let core = fields.complete(index.body)?;
    if let StartLine::Request {
        method,
        method_end,
        uri,
    } = &start
    {
        let cseq_method = index
            .lines
            .get(usize::from(core.cseq_line))
            .map(|line| line.value(bytes))
            .unwrap_or_default();
        let same = if *method == Method::Other {
            cseq_method.ends_with(grammar::piece(bytes, 0, *method_end))
                && core.cseq_method_len == *method_end
        } else {
            core.cseq_method == *method
        };
        if !same {
            return Err(ParseErrorKind::MethodMismatch);
        }
        if core.max_forwards.is_none() {
            *anomalies |= Anomalies::MISSING_MAX_FORWARDS;
        }
        let base = bytes.get(method_end + 1..).unwrap_or_default();
        if uri.view(base).user.is_some_and(needless_escape) {
            *anomalies |= Anomalies::NEEDLESS_ESCAPE;
        }
    }
    let via = index
        .lines
        .get(usize::from(core.via_line))
        .map(|line| line.value(bytes))
        .unwrap_or_default();
    if !core.via.branch_is_rfc3261(via) {
        *anomalies |= Anomalies::RFC2543_BRANCH;
    }
    Ok((start, core))
}

fn needless_escape(user: &[u8]) -> bool {
    let mut rest = user;
    while let Some(at) = memchr::memchr(b'%', rest) {
        let code = std::str::from_utf8(grammar::piece(rest, at + 1, at + 3)).ok();
        if code
            .and_then(|code| u8::from_str_radix(code, 16).ok())
            .is_some_and(|byte| grammar::is(byte, grammar::UNRESERVED))
        {
            return true;
        }
        rest = rest.get(at + 1..).unwrap_or_default();
    }
    false
}

/// Core fields as they are found.
#[derive(Default)]
struct Fields {
    via: Option<(u16, ViaParts)>,
    vias: usize,
    from: Option<(u16, NameAddrParts)>,
    to: Option<(u16, NameAddrParts)>,
    call_id: Option<u16>,
    cseq: Option<(u16, u32, Method, usize)>,
    max_forwards: Option<u8>,
    expires: Option<u32>,
}

impl Fields {
    fn read(
        &mut self,
        bytes: &[u8],
        at: u16,
        line: &Line,
        limits: &Limits,
        anomalies: &mut Anomalies,
    ) -> Result<(), ParseErrorKind> {
        let value = line.value(bytes);
        match line.kind {
            HeaderKind::Via => return self.read_vias(at, value, limits),
            HeaderKind::From => self.from = Some((at, address(line.kind, value, limits)?)),
            HeaderKind::To => self.to = Some((at, address(line.kind, value, limits)?)),
            HeaderKind::CallId => {
                if !grammar::all(value, WORD) {
                    return Err(ParseErrorKind::Value(line.kind));
                }
                self.call_id = Some(at);
            }
            HeaderKind::CSeq => {
                let (number, method, len) = cseq(value).ok_or(ParseErrorKind::Value(line.kind))?;
                self.cseq = Some((at, number, method, len));
            }
            HeaderKind::MaxForwards => {
                let number =
                    grammar::decimal(value, 255).and_then(|number| u8::try_from(number).ok());
                self.max_forwards = Some(number.ok_or(ParseErrorKind::Value(line.kind))?);
            }
            HeaderKind::Expires => {
                self.expires = grammar::decimal(value, u64::from(u32::MAX))
                    .and_then(|number| u32::try_from(number).ok());
                if self.expires.is_none() {
                    *anomalies |= Anomalies::OTHER;
                }
            }
            HeaderKind::Route | HeaderKind::RecordRoute => {
                for value in CommaSplit::new(value) {
                    // Without brackets `;lr` would belong to the header, not to the URI.
                    if memchr::memchr(b'<', value).is_none() {
                        return Err(ParseErrorKind::Address(line.kind, NameAddrError::Brackets));
                    }
                    address(line.kind, value, limits)?;
                }
            }
            HeaderKind::Contact if value != b"*" => {
                for value in CommaSplit::new(value) {
                    address(line.kind, value, limits)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn read_vias(&mut self, at: u16, line: &[u8], limits: &Limits) -> Result<(), ParseErrorKind> {
        for value in CommaSplit::new(line) {
            let parts = ViaParts::parse(value)?;
            self.vias += 1;
            if self.vias > limits.via_count {
                return Err(ParseErrorKind::TooManyVias);
            }
            self.via.get_or_insert((at, parts));
        }
        Ok(())
    }

    fn complete(self, body: usize) -> Result<Core, ParseErrorKind> {
        let missing = ParseErrorKind::Missing;
        let (via_line, via) = self.via.ok_or(missing(HeaderKind::Via))?;
        let (from_line, from) = self.from.ok_or(missing(HeaderKind::From))?;
        let (to_line, to) = self.to.ok_or(missing(HeaderKind::To))?;
        let call_id_line = self.call_id.ok_or(missing(HeaderKind::CallId))?;
        let (cseq_line, cseq_number, cseq_method, cseq_method_len) =
            self.cseq.ok_or(missing(HeaderKind::CSeq))?;
        Ok(Core {
            via_line,
            via,
            from_line,
            from,
            to_line,
            to,
            call_id_line,
            cseq_line,
            cseq_number,
            cseq_method,
            cseq_method_len,
            max_forwards: self.max_forwards,
            expires: self.expires,
            body,
        })
    }
}

fn address(
    kind: HeaderKind,
    value: &[u8],
    limits: &Limits,
) -> Result<NameAddrParts, ParseErrorKind> {
    let parts =
        NameAddrParts::parse(value).map_err(|error| ParseErrorKind::Address(kind, error))?;
    if parts.uri_len() > limits.uri_bytes {
        return Err(ParseErrorKind::Address(
            kind,
            NameAddrError::Uri(UriError::TooLong),
        ));
    }
    Ok(parts)
}

/// Number, method and length of the method's name.
fn cseq(value: &[u8]) -> Option<(u32, Method, usize)> {
    let digits = value.iter().position(|byte| !byte.is_ascii_digit())?;
    let number = grammar::decimal(value.get(..digits)?, CSEQ_MAXIMUM)?;
    let start = grammar::skip_space(value, digits);
    let method = value.get(start..)?;
    let sound = start > digits && grammar::all(method, TOKEN);
    sound.then_some((
        u32::try_from(number).ok()?,
        Method::from_name(method),
        method.len(),
    ))
}
