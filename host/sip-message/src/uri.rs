//! URIs: RFC 3261 sections 19.1 and 25.1, RFC 3966, RFC 5954 for IPv6.
//!
//! Strict where two readers could disagree about the host: one `@` at most, none after the
//! host, no number that a resolver would take for an address, no second value of a parameter
//! that routes.

use crate::grammar::{self, Span, UNRESERVED, URI_HEADER, URI_PARAM, USER};

mod equivalence;
mod host;

pub use host::Host;
pub(crate) use host::{HostKind, host, host_port};

/// Scheme of a URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:` (RFC 3966)
    Tel,
    /// Any other; [`Uri::scheme_name`] has it.
    Other,
}

/// Why a URI was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum UriError {
    /// No scheme, or one with bad characters.
    #[error("the URI has no valid scheme")]
    Scheme,
    /// More than one `@`, or bad characters before it.
    #[error("the user part of the URI is ambiguous or malformed")]
    User,
    /// No host, or none that every reader takes for the same.
    #[error("the host of the URI is malformed")]
    Host,
    /// Not a number from 1 to 65,535.
    #[error("the port of the URI is malformed")]
    Port,
    /// Malformed, or one that routes stands twice.
    #[error("the parameters of the URI are malformed")]
    Params,
    /// Malformed escaped headers.
    #[error("the headers of the URI are malformed")]
    Headers,
    /// White space, control characters, quotes or brackets.
    #[error("the URI holds a character that cannot stand there")]
    Character,
    /// Longer than [`Limits::uri_bytes`](crate::Limits::uri_bytes).
    #[error("the URI is too long")]
    TooLong,
}

/// A parsed URI: slices of the text it came from, escapes not decoded.
#[derive(Debug, Clone, Copy)]
pub struct Uri<'a> {
    /// Its scheme.
    pub scheme: Scheme,
    /// Before `@` and before its first colon. `None` without `@`, for `tel:` and unknown schemes.
    pub user: Option<&'a [u8]>,
    /// Between that colon and `@`.
    pub password: Option<&'a [u8]>,
    /// The host.
    pub host: Host<'a>,
    /// The port, 1 to 65,535.
    pub port: Option<u16>,
    /// Parameters from the first semicolon on (included), or empty.
    pub params: &'a [u8],
    /// Headers after `?` (excluded), or empty.
    pub headers: &'a [u8],
    /// All of it.
    pub raw: &'a [u8],
}

impl<'a> Uri<'a> {
    /// What a response gives for its Request-URI.
    pub(crate) const ABSENT: Uri<'static> = Uri {
        scheme: Scheme::Other,
        user: None,
        password: None,
        host: Host::Name(b""),
        port: None,
        params: b"",
        headers: b"",
        raw: b"",
    };

    /// Parses a whole URI without brackets or white space around it. The text may be 65,535
    /// bytes long at most.
    ///
    /// # Errors
    /// [`UriError`] says which part is at fault.
    pub fn parse(text: &'a [u8]) -> Result<Self, UriError> {
        UriParts::parse(text).map(|parts| parts.view(text))
    }

    /// Name of the scheme as written.
    pub fn scheme_name(&self) -> &'a [u8] {
        self.raw
            .split(|byte| *byte == b':')
            .next()
            .unwrap_or_default()
    }

    /// A parameter: `Some(None)` when it stands without a value. Names without regard to case.
    pub fn param(&self, name: &[u8]) -> Option<Option<&'a [u8]>> {
        params(self.params)
            .find(|(candidate, _)| candidate.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Value of the `transport` parameter.
    pub fn transport(&self) -> Option<&'a [u8]> {
        self.param(b"transport").flatten()
    }

    /// Value of the `maddr` parameter.
    pub fn maddr(&self) -> Option<&'a [u8]> {
        self.param(b"maddr").flatten()
    }

    /// True when the URI has the loose-routing parameter (RFC 3261 section 19.1.1).
    pub fn is_lr(&self) -> bool {
        self.param(b"lr").is_some()
    }

    /// The number of a `tel:` URI with its separators, without parameters.
    pub fn number(&self) -> Option<&'a [u8]> {
        if self.scheme != Scheme::Tel {
            return None;
        }
        let end = self.raw.len() - self.params.len();
        self.raw.get(4..end)
    }

    /// `host[:port]` as written; empty for `tel:` and unknown schemes.
    pub fn host_port(&self) -> &'a [u8] {
        match self.scheme {
            Scheme::Tel | Scheme::Other => b"",
            Scheme::Sip | Scheme::Sips => {
                let tail = self.params.len()
                    + if self.headers.is_empty() {
                        0
                    } else {
                        self.headers.len() + 1
                    };
                let scheme = self.scheme_name().len() + 1;
                let user = match (self.user, self.password) {
                    (Some(user), Some(password)) => user.len() + password.len() + 2,
                    (Some(user), None) => user.len() + 1,
                    (None, _) => 0,
                };
                self.raw
                    .get(scheme + user..self.raw.len() - tail)
                    .unwrap_or_default()
            }
        }
    }

    /// Equality of RFC 3261 section 19.1.4 for SIP URIs, of RFC 3966 section 4 for `tel:`, and
    /// of bytes for other schemes.
    pub fn equivalent(&self, other: &Uri<'_>) -> bool {
        equivalence::equivalent(self, other)
    }
}

/// The parameters in `text`, which starts at a semicolon.
fn params(text: &[u8]) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    text.split(|byte| *byte == b';')
        .skip(1)
        .map(|param| match memchr::memchr(b'=', param) {
            Some(equals) => (grammar::piece(param, 0, equals), param.get(equals + 1..)),
            None => (param, None),
        })
}

/// A parsed URI as offsets, so that a message can keep it beside its bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UriParts {
    scheme: Scheme,
    user: Option<Span>,
    password: Option<Span>,
    host: HostKind,
    host_text: Span,
    port: Option<u16>,
    params: Span,
    headers: Span,
    raw: Span,
}

impl UriParts {
    pub(crate) fn view<'a>(&self, base: &'a [u8]) -> Uri<'a> {
        Uri {
            scheme: self.scheme,
            user: self.user.map(|span| span.of(base)),
            password: self.password.map(|span| span.of(base)),
            host: self.host.view(self.host_text.of(base)),
            port: self.port,
            params: self.params.of(base),
            headers: self.headers.of(base),
            raw: self.raw.of(base),
        }
    }

    /// Bytes of the whole URI.
    pub(crate) fn len(&self) -> usize {
        self.raw.len()
    }

    /// The same parts, seen from a base that begins `offset` bytes earlier.
    pub(crate) fn shifted(mut self, offset: usize) -> Self {
        for span in [
            &mut self.host_text,
            &mut self.params,
            &mut self.headers,
            &mut self.raw,
        ] {
            *span = span.shifted(offset);
        }
        self.user = self.user.map(|span| span.shifted(offset));
        self.password = self.password.map(|span| span.shifted(offset));
        self
    }

    pub(crate) fn parse(text: &[u8]) -> Result<Self, UriError> {
        if text.len() > usize::from(u16::MAX) {
            return Err(UriError::TooLong);
        }
        if text
            .get(..4)
            .is_some_and(|start| start.eq_ignore_ascii_case(b"sip:"))
        {
            return Self::parse_sip(text, Scheme::Sip, 4);
        }
        let colon = memchr::memchr(b':', text).ok_or(UriError::Scheme)?;
        let name = grammar::piece(text, 0, colon);
        if name.eq_ignore_ascii_case(b"sips") {
            Self::parse_sip(text, Scheme::Sips, colon + 1)
        } else if name.eq_ignore_ascii_case(b"tel") {
            Self::parse_tel(text, colon + 1)
        } else {
            Self::parse_other(text, name)
        }
    }

    fn parse_sip(text: &[u8], scheme: Scheme, start: usize) -> Result<Self, UriError> {
        let rest = grammar::piece(text, start, text.len());
        let (user, password, host_start) = match memchr::memchr(b'@', rest) {
            None => (None, None, start),
            Some(at) => {
                let at = start + at;
                // No part after the host may hold a bare '@', so a second one makes two hosts.
                if memchr::memchr(b'@', grammar::piece(text, at + 1, text.len())).is_some() {
                    return Err(UriError::User);
                }
                let (user, password) = user_info(text, start, at)?;
                (Some(user), password, at + 1)
            }
        };
        let (host, host_end, port, end) = host_port(text, host_start)?;
        let question = match text.get(end) {
            None => text.len(),
            Some(b'?') => end,
            Some(b';') => memchr::memchr(b'?', grammar::piece(text, end, text.len()))
                .map_or(text.len(), |at| end + at),
            Some(_) => return Err(UriError::Host),
        };
        check_params(grammar::piece(text, end, question))?;
        let headers = grammar::piece(text, question, text.len());
        check_headers(headers)?;
        Ok(Self {
            scheme,
            user,
            password,
            host,
            host_text: Span::new(host_start, host_end),
            port,
            params: Span::new(end, question),
            headers: Span::new((question + 1).min(text.len()), text.len()),
            raw: Span::new(0, text.len()),
        })
    }

    fn parse_tel(text: &[u8], start: usize) -> Result<Self, UriError> {
        let end = memchr::memchr(b';', text).unwrap_or(text.len());
        let number = grammar::piece(text, start, end);
        let digits = number.strip_prefix(b"+").unwrap_or(number);
        let dialled = |byte: &u8| byte.is_ascii_hexdigit() || b"-.()*#".contains(byte);
        if !digits.iter().all(dialled)
            || !digits
                .iter()
                .any(|byte| byte.is_ascii_hexdigit() || b"*#".contains(byte))
        {
            return Err(UriError::User);
        }
        check_params(grammar::piece(text, end, text.len()))?;
        Ok(Self::opaque(Scheme::Tel, text, end))
    }

    fn parse_other(text: &[u8], name: &[u8]) -> Result<Self, UriError> {
        let starts = name.first().is_some_and(u8::is_ascii_alphabetic);
        if !starts
            || !name
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte))
        {
            return Err(UriError::Scheme);
        }
        if text.len() == name.len() + 1 {
            return Err(UriError::Host);
        }
        let plain = |byte: &u8| byte.is_ascii_graphic() && !b"<>\"\\".contains(byte);
        if !text.iter().all(plain) {
            return Err(UriError::Character);
        }
        Ok(Self::opaque(Scheme::Other, text, text.len()))
    }

    fn opaque(scheme: Scheme, text: &[u8], params: usize) -> Self {
        Self {
            scheme,
            user: None,
            password: None,
            host: HostKind::Name,
            host_text: Span::default(),
            port: None,
            params: Span::new(params, text.len()),
            headers: Span::default(),
            raw: Span::new(0, text.len()),
        }
    }
}

fn user_info(text: &[u8], start: usize, at: usize) -> Result<(Span, Option<Span>), UriError> {
    let info = grammar::piece(text, start, at);
    let (user_end, password) = match memchr::memchr(b':', info) {
        None => (at, None),
        Some(colon) => (start + colon, Some((start + colon + 1, at))),
    };
    let user = grammar::piece(text, start, user_end);
    if user.is_empty() || !grammar::all_or_escaped(user, USER) {
        return Err(UriError::User);
    }
    if let Some((from, to)) = password
        && !grammar::piece(text, from, to)
            .split(|byte| b"&=+$,".contains(byte))
            .all(|part| grammar::all_or_escaped(part, UNRESERVED))
    {
        return Err(UriError::User);
    }
    Ok((
        Span::new(start, user_end),
        password.map(|(from, to)| Span::new(from, to)),
    ))
}

/// Parameters that steer routing. Two values of one of them are two meanings of one URI.
const ROUTING: [&[u8]; 6] = [b"transport", b"maddr", b"lr", b"user", b"ttl", b"method"];

fn check_params(text: &[u8]) -> Result<(), UriError> {
    let mut seen = 0u8;
    for (name, value) in params(text) {
        let sound = !name.is_empty()
            && grammar::all_or_escaped(name, URI_PARAM)
            && value.is_none_or(|value| grammar::all_or_escaped(value, URI_PARAM));
        if !sound {
            return Err(UriError::Params);
        }
        if let Some(at) = ROUTING
            .iter()
            .position(|known| known.eq_ignore_ascii_case(name))
        {
            let bit = 1 << at;
            if seen & bit != 0 {
                return Err(UriError::Params);
            }
            seen |= bit;
        }
    }
    Ok(())
}

fn check_headers(text: &[u8]) -> Result<(), UriError> {
    let Some(headers) = text.strip_prefix(b"?") else {
        return Ok(());
    };
    let sound =
        headers
            .split(|byte| *byte == b'&')
            .all(|header| match memchr::memchr(b'=', header) {
                None | Some(0) => false,
                Some(equals) => {
                    grammar::all_or_escaped(grammar::piece(header, 0, equals), URI_HEADER)
                        && grammar::all_or_escaped(
                            grammar::piece(header, equals + 1, header.len()),
                            URI_HEADER,
                        )
                }
            });
    sound.then_some(()).ok_or(UriError::Headers)
}
