//! The normalised copy of a message with oddities: each one that two readers could read
//! differently is written in the one way that all read alike.

use crate::error::ParseErrorKind;
use crate::grammar::{self, is_space};
use crate::index::{Index, Line};

/// Writes the message anew. `body` is what Content-Length announced, or all there is.
pub(crate) fn rewrite(
    bytes: &[u8],
    index: &Index,
    body: &[u8],
    add_length: bool,
) -> Result<Vec<u8>, ParseErrorKind> {
    let mut out = Vec::with_capacity(bytes.len() + 64);
    write_start_line(
        &mut out,
        grammar::piece(bytes, index.start, index.start_line_end),
    )?;
    for line in index.lines.iter().filter(|line| !line.dropped) {
        let written = out.len();
        write_line(&mut out, bytes, line);
        if index.controls {
            replace_controls(out.get_mut(written..).unwrap_or_default())?;
        }
    }
    if add_length {
        out.extend_from_slice(b"Content-Length: ");
        out.extend_from_slice(body.len().to_string().as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
    Ok(out)
}

/// Writes the version in upper case and the space after a status code; refuses control
/// characters and leaves the rest to the parser.
fn write_start_line(out: &mut Vec<u8>, line: &[u8]) -> Result<(), ParseErrorKind> {
    if line.iter().any(|byte| *byte < 0x20 || *byte == 0x7f) {
        return Err(ParseErrorKind::ControlCharacter);
    }
    let version = |text: &[u8]| text.eq_ignore_ascii_case(b"SIP/2.0");
    if line.get(..7).is_some_and(version) {
        out.extend_from_slice(b"SIP/2.0");
        out.extend_from_slice(line.get(7..).unwrap_or_default());
        if line.len() == 11 {
            out.push(b' ');
        }
    } else {
        let end = line.len().saturating_sub(7);
        let tail = line.get(end..).unwrap_or_default();
        out.extend_from_slice(line.get(..end).unwrap_or_default());
        out.extend_from_slice(if version(tail) { b"SIP/2.0" } else { tail });
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// Writes one header line: as it came, or anew with one space for each fold.
pub(crate) fn write_line(out: &mut Vec<u8>, bytes: &[u8], line: &Line) {
    if !line.odd {
        out.extend_from_slice(line.raw(bytes));
        return;
    }
    out.extend_from_slice(line.name(bytes));
    out.extend_from_slice(b": ");
    unfold(out, line.value(bytes));
    out.extend_from_slice(b"\r\n");
}

/// Writes a trimmed value with one space for each fold.
pub(crate) fn unfold(out: &mut Vec<u8>, value: &[u8]) {
    let mut rest = value;
    while let Some(feed) = memchr::memchr2(b'\r', b'\n', rest) {
        out.extend_from_slice(rest.get(..feed).unwrap_or_default());
        while out.last().is_some_and(|byte| is_space(*byte)) {
            out.pop();
        }
        out.push(b' ');
        rest = rest.get(feed..).unwrap_or_default();
        while let [b'\r' | b'\n' | b' ' | b'\t', after @ ..] = rest {
            rest = after;
        }
    }
    out.extend_from_slice(rest);
}

/// Replaces control characters in quoted strings of one written line; refuses others.
fn replace_controls(line: &mut [u8]) -> Result<(), ParseErrorKind> {
    let content = line.len().saturating_sub(2);
    let mut quoted = false;
    let mut escaped = false;
    for byte in line.iter_mut().take(content) {
        let control = *byte < 0x20 && *byte != b'\t' || *byte == 0x7f;
        if control {
            if !quoted {
                return Err(ParseErrorKind::ControlCharacter);
            }
            *byte = b'?';
            escaped = false;
        } else if escaped {
            escaped = false;
        } else {
            match byte {
                b'"' => quoted = !quoted,
                b'\\' if quoted => escaped = true,
                _ => {}
            }
        }
    }
    Ok(())
}
