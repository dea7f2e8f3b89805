//! `name-addr` and `addr-spec` with header parameters: From, To, Contact, Route, Record-Route
//! (RFC 3261 sections 20.10 and 25.1).

use crate::grammar::{self, Span};
use crate::uri::{Uri, UriError, UriParts};

/// Why a `name-addr` was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NameAddrError {
    /// The display name is neither a quoted string nor tokens.
    #[error("the display name is malformed")]
    Display,
    /// A bracket is missing, or bytes stand where none may.
    #[error("the angle brackets are malformed")]
    Brackets,
    /// Malformed, or a tag stands twice.
    #[error("the header parameters are malformed")]
    Params,
    /// The URI is at fault.
    #[error(transparent)]
    Uri(#[from] UriError),
}

/// An address with its display name and header parameters.
#[derive(Debug, Clone, Copy)]
pub struct NameAddr<'a> {
    /// Display name as written, with its quotes.
    pub display: Option<&'a [u8]>,
    /// The URI, without brackets.
    pub uri: Uri<'a>,
    /// Header parameters from the first semicolon on (included), or empty.
    pub params: &'a [u8],
}

impl<'a> NameAddr<'a> {
    /// Parses one value of From, To, Contact, Route and their like, of 65,535 bytes at most.
    ///
    /// # Errors
    /// [`NameAddrError`] says which part is at fault.
    pub fn parse(text: &'a [u8]) -> Result<Self, NameAddrError> {
        NameAddrParts::parse(text).map(|parts| parts.view(text))
    }

    /// A header parameter: `Some(None)` when it stands without a value. Quotes are kept.
    pub fn param(&self, name: &[u8]) -> Option<Option<&'a [u8]>> {
        grammar::find_param(self.params, name)
    }

    /// The tag.
    pub fn tag(&self) -> Option<&'a [u8]> {
        self.param(b"tag").flatten()
    }
}

/// A parsed address as offsets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NameAddrParts {
    display: Option<Span>,
    uri: UriParts,
    params: Span,
    tag: Option<Span>,
}

impl NameAddrParts {
    pub(crate) fn view<'a>(&self, base: &'a [u8]) -> NameAddr<'a> {
        NameAddr {
            display: self.display.map(|span| span.of(base)),
            uri: self.uri.view(base),
            params: self.params.of(base),
        }
    }

    /// Bytes of the URI.
    pub(crate) fn uri_len(&self) -> usize {
        self.uri.len()
    }

    pub(crate) fn tag<'a>(&self, base: &'a [u8]) -> Option<&'a [u8]> {
        self.tag.map(|span| span.of(base))
    }

    pub(crate) fn parse(text: &[u8]) -> Result<Self, NameAddrError> {
        let start = grammar::skip_space(text, 0);
        let open = if text.get(start) == Some(&b'"') {
            let end = grammar::skip_quoted(text, start).ok_or(NameAddrError::Display)?;
            let open = grammar::skip_space(text, end);
            if text.get(open) != Some(&b'<') {
                return Err(NameAddrError::Brackets);
            }
            Some(open)
        } else {
            memchr::memchr(b'<', text)
        };
        match open {
            Some(open) => Self::parse_bracketed(text, start, open),
            None => Self::parse_bare(text, start),
        }
    }

    fn parse_bracketed(text: &[u8], start: usize, open: usize) -> Result<Self, NameAddrError> {
        let display_end = grammar::skip_space_back(text, start, open);
        let display = grammar::piece(text, start, display_end);
        let quoted = display.starts_with(b"\"");
        if !quoted && display.iter().any(|byte| b"\"<>,;:@\\".contains(byte)) {
            return Err(NameAddrError::Display);
        }
        let rest = grammar::piece(text, open + 1, text.len());
        let close = open + 1 + memchr::memchr(b'>', rest).ok_or(NameAddrError::Brackets)?;
        let uri = UriParts::parse(grammar::piece(text, open + 1, close))?.shifted(open + 1);
        let params = grammar::skip_space(text, close + 1);
        let (end, tag) = header_params(text, params)?;
        Ok(Self {
            display: (!display.is_empty()).then(|| Span::new(start, display_end)),
            uri,
            params: Span::new(params, end),
            tag,
        })
    }

    /// Without brackets every `;` starts a header parameter, and `?` and `,` may not stand at
    /// all (RFC 3261 section 20.10): they would belong to the URI for one reader and to the
    /// header for another.
    fn parse_bare(text: &[u8], start: usize) -> Result<Self, NameAddrError> {
        let rest = grammar::piece(text, start, text.len());
        let semicolon = memchr::memchr(b';', rest).map_or(text.len(), |at| start + at);
        let end = grammar::skip_space_back(text, start, semicolon);
        let addr_spec = grammar::piece(text, start, end);
        if memchr::memchr2(b'?', b',', addr_spec).is_some() {
            return Err(NameAddrError::Brackets);
        }
        // A user may hold semicolons, but then only brackets say so.
        if memchr::memchr(b'@', grammar::piece(text, semicolon, text.len())).is_some()
            && memchr::memchr(b'@', addr_spec).is_none()
            && is_sip(addr_spec)
        {
            return Err(NameAddrError::Brackets);
        }
        let uri = UriParts::parse(addr_spec)?.shifted(start);
        let (end, tag) = header_params(text, semicolon)?;
        Ok(Self {
            display: None,
            uri,
            params: Span::new(semicolon, end),
            tag,
        })
    }
}

fn is_sip(addr_spec: &[u8]) -> bool {
    addr_spec
        .get(..3)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"sip"))
}

/// Checks the parameters from `at` on; returns where they end (white space trimmed) and the tag.
fn header_params(text: &[u8], mut at: usize) -> Result<(usize, Option<Span>), NameAddrError> {
    let mut tag = None;
    let mut end = at.min(text.len());
    while at < text.len() {
        if text.get(at) != Some(&b';') {
            return Err(NameAddrError::Brackets);
        }
        let param = grammar::next_param(text, at).ok_or(NameAddrError::Params)?;
        if param.name.of(text).eq_ignore_ascii_case(b"tag") {
            let value = param.value.ok_or(NameAddrError::Params)?;
            // Two tags would be two dialogs; a tag is a token (RFC 3261 section 19.3).
            if tag.is_some() || !grammar::all(value.of(text), grammar::TOKEN) {
                return Err(NameAddrError::Params);
            }
            tag = Some(value);
        }
        at = param.next;
        end = grammar::skip_space_back(text, end, at);
    }
    Ok((end, tag))
}
