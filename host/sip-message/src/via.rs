//! Via: RFC 3261 section 20.42, RFC 3581 (rport), RFC 5118 section 4.5 (received without
//! brackets).

use std::net::IpAddr;

use crate::grammar::{self, Span, TOKEN};
use crate::uri::{self, Host, HostKind, UriError};

/// What the branch of an RFC 3261 peer begins with (section 8.1.1.7).
pub const MAGIC_COOKIE: &[u8] = b"z9hG4bK";

/// Why a Via was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ViaError {
    /// Not `SIP / 2.0 / transport`.
    #[error("the sent-protocol of Via is malformed")]
    Protocol,
    /// Not `host[:port]`.
    #[error("the sent-by of Via is malformed")]
    SentBy,
    /// Malformed, or one that routes stands twice.
    #[error("the parameters of Via are malformed")]
    Params,
}

/// One Via value.
#[derive(Debug, Clone, Copy)]
pub struct Via<'a> {
    /// Transport as written: `UDP`, `TCP`, `TLS`, `WS`, ...
    pub transport: &'a [u8],
    /// Host of sent-by.
    pub host: Host<'a>,
    /// Port of sent-by.
    pub port: Option<u16>,
    /// The branch.
    pub branch: Option<&'a [u8]>,
    /// `received` as written, brackets and all.
    pub received: Option<&'a [u8]>,
    /// `rport` (RFC 3581): `Some(None)` when it asks, `Some(Some(_))` when it is filled in.
    pub rport: Option<Option<u16>>,
    /// `maddr`.
    pub maddr: Option<&'a [u8]>,
    /// `ttl`.
    pub ttl: Option<u8>,
    /// All parameters from the first semicolon on (included), or empty.
    pub params: &'a [u8],
    /// All of it.
    pub raw: &'a [u8],
    sent_by: &'a [u8],
}

impl<'a> Via<'a> {
    /// Parses one Via value of 65,535 bytes at most.
    ///
    /// # Errors
    /// [`ViaError`] says which part is at fault.
    pub fn parse(text: &'a [u8]) -> Result<Self, ViaError> {
        ViaParts::parse(text).map(|parts| parts.view(text))
    }

    /// `host[:port]` as written.
    pub fn sent_by(&self) -> &'a [u8] {
        self.sent_by
    }

    /// `received` as an address.
    pub fn received_address(&self) -> Option<IpAddr> {
        let text = self.received?;
        let bare = text
            .strip_prefix(b"[")
            .and_then(|text| text.strip_suffix(b"]"))
            .unwrap_or(text);
        std::str::from_utf8(bare).ok()?.parse().ok()
    }

    /// True when the branch begins with the magic cookie and goes on after it: only then does
    /// it name the transaction (RFC 3261 section 17.2.3).
    pub fn has_rfc3261_branch(&self) -> bool {
        self.branch.is_some_and(is_rfc3261_branch)
    }

    /// Any parameter: `Some(None)` when it stands without a value.
    pub fn param(&self, name: &[u8]) -> Option<Option<&'a [u8]>> {
        grammar::find_param(self.params, name)
    }
}

fn is_rfc3261_branch(branch: &[u8]) -> bool {
    branch.len() > MAGIC_COOKIE.len()
        && branch
            .get(..MAGIC_COOKIE.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(MAGIC_COOKIE))
}

/// A parsed Via as offsets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ViaParts {
    transport: Span,
    host: HostKind,
    host_text: Span,
    port: Option<u16>,
    sent_by: Span,
    branch: Option<Span>,
    received: Option<Span>,
    rport: Option<Option<u16>>,
    maddr: Option<Span>,
    ttl: Option<u8>,
    params: Span,
    raw: Span,
}

impl ViaParts {
    pub(crate) fn view<'a>(&self, base: &'a [u8]) -> Via<'a> {
        Via {
            transport: self.transport.of(base),
            host: self.host.view(self.host_text.of(base)),
            port: self.port,
            branch: self.branch.map(|span| span.of(base)),
            received: self.received.map(|span| span.of(base)),
            rport: self.rport,
            maddr: self.maddr.map(|span| span.of(base)),
            ttl: self.ttl,
            params: self.params.of(base),
            raw: self.raw.of(base),
            sent_by: self.sent_by.of(base),
        }
    }

    pub(crate) fn parse(text: &[u8]) -> Result<Self, ViaError> {
        Self::parse_version(text, Some(b"2.0"))
    }

    /// Parses a Via of the given SIP version, or of any: a 505 must find its way back.
    pub(crate) fn parse_version(text: &[u8], wanted: Option<&[u8]>) -> Result<Self, ViaError> {
        let (transport, at) = sent_protocol(text, wanted)?;
        let start = grammar::skip_space(text, at);
        if start == at {
            return Err(ViaError::Protocol);
        }
        let (host, host_end) = uri::host(text, start).map_err(|_: UriError| ViaError::SentBy)?;
        let (port, sent_by_end, params) = port(text, host_end)?;
        let mut parts = Self {
            transport,
            host,
            host_text: Span::new(start, host_end),
            port,
            sent_by: Span::new(start, sent_by_end),
            branch: None,
            received: None,
            rport: None,
            maddr: None,
            ttl: None,
            params: Span::new(params, text.len()),
            raw: Span::new(0, text.len()),
        };
        parts.read_params(text, params)?;
        Ok(parts)
    }

    fn read_params(&mut self, text: &[u8], mut at: usize) -> Result<(), ViaError> {
        let mut ttl_seen = false;
        while at < text.len() {
            if text.get(at) != Some(&b';') {
                return Err(ViaError::SentBy);
            }
            let param = grammar::next_param(text, at).ok_or(ViaError::Params)?;
            at = param.next;
            let name = param.name.of(text);
            let value = param.value.map(|span| span.of(text));
            // Each of these steers where a response goes or what it matches: two are a conflict.
            let (slot, class) = match name.len() {
                6 if name.eq_ignore_ascii_case(b"branch") => (&mut self.branch, TOKEN),
                8 if name.eq_ignore_ascii_case(b"received") => {
                    (&mut self.received, grammar::PARAM_VALUE)
                }
                5 if name.eq_ignore_ascii_case(b"maddr") => (&mut self.maddr, grammar::PARAM_VALUE),
                5 if name.eq_ignore_ascii_case(b"rport") => {
                    self.read_rport(value)?;
                    continue;
                }
                3 if name.eq_ignore_ascii_case(b"ttl") => {
                    if std::mem::replace(&mut ttl_seen, true) {
                        return Err(ViaError::Params);
                    }
                    let number = value
                        .and_then(|value| grammar::decimal(value, 255))
                        .ok_or(ViaError::Params)?;
                    self.ttl = u8::try_from(number).ok();
                    continue;
                }
                _ => continue,
            };
            if slot.is_some() || !value.is_some_and(|value| grammar::all(value, class)) {
                return Err(ViaError::Params);
            }
            *slot = param.value;
        }
        Ok(())
    }

    fn read_rport(&mut self, value: Option<&[u8]>) -> Result<(), ViaError> {
        if self.rport.is_some() {
            return Err(ViaError::Params);
        }
        let port = match value {
            None => None,
            Some(value) => {
                let port =
                    grammar::decimal(value, 65_535).and_then(|port| u16::try_from(port).ok());
                Some(port.filter(|port| *port > 0).ok_or(ViaError::Params)?)
            }
        };
        self.rport = Some(port);
        Ok(())
    }

    /// True when the branch names the transaction.
    pub(crate) fn branch_is_rfc3261(&self, base: &[u8]) -> bool {
        self.branch
            .is_some_and(|span| is_rfc3261_branch(span.of(base)))
    }
}

/// `SIP / 2.0 / transport`: the transport and where it ends.
fn sent_protocol(text: &[u8], wanted: Option<&[u8]>) -> Result<(Span, usize), ViaError> {
    let start = grammar::skip_space(text, 0);
    let name_end = grammar::skip_class(text, start, TOKEN);
    let slash = grammar::skip_space(text, name_end);
    let version = grammar::skip_space(text, slash + 1);
    let version_end = grammar::skip_class(text, version, TOKEN);
    let second = grammar::skip_space(text, version_end);
    let transport = grammar::skip_space(text, second + 1);
    let end = grammar::skip_class(text, transport, TOKEN);
    let sound = grammar::piece(text, start, name_end).eq_ignore_ascii_case(b"SIP")
        && text.get(slash) == Some(&b'/')
        && wanted.is_none_or(|wanted| grammar::piece(text, version, version_end) == wanted)
        && text.get(second) == Some(&b'/')
        && end > transport;
    sound
        .then(|| (Span::new(transport, end), end))
        .ok_or(ViaError::Protocol)
}

/// The port after a host, around which white space may stand: the port, where sent-by ends, and
/// where the parameters begin.
fn port(text: &[u8], host_end: usize) -> Result<(Option<u16>, usize, usize), ViaError> {
    let colon = grammar::skip_space(text, host_end);
    if text.get(colon) != Some(&b':') {
        return Ok((None, host_end, colon));
    }
    let digits = grammar::skip_space(text, colon + 1);
    let mut end = digits;
    while text.get(end).is_some_and(u8::is_ascii_digit) {
        end += 1;
    }
    let port = grammar::decimal(grammar::piece(text, digits, end), 65_535)
        .and_then(|port| u16::try_from(port).ok());
    match port {
        Some(port) if port > 0 => Ok((Some(port), end, grammar::skip_space(text, end))),
        _ => Err(ViaError::SentBy),
    }
}
