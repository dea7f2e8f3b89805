//! Header lines to be written: kept from a message or made anew, and the checks that keep what
//! we write one line (RFC 3261 section 7.3.1).

use std::net::IpAddr;

use crate::grammar::{self, TOKEN};
use crate::header::HeaderKind;
use crate::via::ViaParts;

/// Why something could not be written into a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum EditError {
    /// A header name that is no token.
    #[error("the header name is not a token")]
    Name,
    /// A value with CR, LF, NUL or another control character.
    #[error("the value holds a control character")]
    Value,
    /// A Request-URI or method with white space, control characters or brackets.
    #[error("the start-line would be malformed")]
    StartLine,
    /// A tag that is no token.
    #[error("the tag is not a token")]
    Tag,
    /// A status outside 100 to 699.
    #[error("the status is out of range")]
    Status,
}

/// A header name that stays one.
pub(crate) fn check_name(name: &[u8]) -> Result<(), EditError> {
    grammar::all(name, TOKEN)
        .then_some(())
        .ok_or(EditError::Name)
}

/// A value that stays on its line.
pub(crate) fn check_value(value: &[u8]) -> Result<(), EditError> {
    let control = |byte: &u8| *byte < 0x20 && *byte != b'\t' || *byte == 0x7f;
    (!value.iter().any(control))
        .then_some(())
        .ok_or(EditError::Value)
}

/// A URI that stays one word of the start-line.
pub(crate) fn check_uri(uri: &[u8]) -> Result<(), EditError> {
    let bad = |byte: &u8| *byte <= b' ' || *byte == 0x7f || b"<>\"".contains(byte);
    (!uri.is_empty() && !uri.iter().any(bad))
        .then_some(())
        .ok_or(EditError::StartLine)
}

/// Writes `name: value` and a line end; the parts were checked.
pub(crate) fn write_header(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(grammar::trim(value));
    out.extend_from_slice(b"\r\n");
}

/// True when a line called `name` of kind `kind` is what `wanted` means.
pub(crate) fn same_name(kind: HeaderKind, name: &[u8], wanted: &[u8]) -> bool {
    let wanted_kind = HeaderKind::from_name(wanted);
    kind == wanted_kind && (kind != HeaderKind::Other || name.eq_ignore_ascii_case(wanted))
}

/// Writes the first value of a Via line with `received` and `rport` as the receiver of a request
/// has to fill them in (RFC 3261 section 18.2.1, RFC 3581 section 4), and the other values as
/// they are. What the peer itself wrote into `received`, or as value of `rport`, is dropped.
pub(crate) fn write_stamped(
    out: &mut Vec<u8>,
    line: &[u8],
    received: Option<IpAddr>,
    rport: Option<u16>,
) {
    let end = grammar::next_comma(line, 0).unwrap_or(line.len());
    let value = grammar::trim(grammar::piece(line, 0, end));
    let params = ViaParts::parse(value)
        .map(|via| via.view(value).params.len())
        .unwrap_or_default();
    let mut at = value.len() - params;
    out.extend_from_slice(grammar::trim(grammar::piece(value, 0, at)));
    let mut asked = false;
    while let Some(param) = (at < value.len())
        .then(|| grammar::next_param(value, at))
        .flatten()
    {
        let name = param.name.of(value);
        let rport_param = name.eq_ignore_ascii_case(b"rport");
        asked |= rport_param;
        if !rport_param && !name.eq_ignore_ascii_case(b"received") {
            out.extend_from_slice(grammar::trim(grammar::piece(value, at, param.next)));
        }
        at = param.next;
    }
    match rport {
        Some(port) => out.extend_from_slice(format!(";rport={port}").as_bytes()),
        None if asked => out.extend_from_slice(b";rport"),
        None => {}
    }
    if let Some(address) = received {
        out.extend_from_slice(format!(";received={address}").as_bytes());
    }
    out.extend_from_slice(grammar::piece(line, end, line.len()));
}
