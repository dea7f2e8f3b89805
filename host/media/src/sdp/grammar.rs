//! The one reader of session descriptions, for policies and for the relay:
//! RFC 8866 section 9.
//!
//! Bytes that do not follow the grammar are an error rather than a guess, since
//! the far end may guess otherwise.

use memchr::{memchr, memchr2};

use crate::{OfferError, OfferLimits};

/// One line, as far as anybody here cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Item<'a> {
    /// `m=`: a new section begins.
    Media(MediaLine<'a>),
    /// `c=`: the address without TTL or count.
    Connection(&'a [u8]),
    /// `a=name` or `a=name:value`.
    Attribute(Attribute<'a>),
    /// `b=type:value`.
    Bandwidth(&'a [u8]),
}

/// An attribute; the value of a flag is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attribute<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) value: &'a [u8],
}

/// The fields of an `m=` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MediaLine<'a> {
    pub(crate) kind: &'a [u8],
    pub(crate) port: u16,
    /// More than one port: layered streams, RFC 8866 section 5.14.
    pub(crate) layered: bool,
    pub(crate) protocol: &'a [u8],
    /// All formats, separated by spaces.
    pub(crate) formats: &'a [u8],
}

/// Read every line and hand on what matters, with its number from 1.
pub(crate) fn read<'a>(
    sdp: &'a [u8],
    limits: &OfferLimits,
    mut each: impl FnMut(usize, Item<'a>) -> Result<(), OfferError>,
) -> Result<(), OfferError> {
    if sdp.len() > limits.sdp_bytes {
        return Err(OfferError::TooLarge("sdp_bytes"));
    }
    let mut rest = sdp;
    let mut number = 0;
    let mut streams = 0;
    while !rest.is_empty() {
        let (line, next) = split_line(rest);
        rest = next;
        number += 1;
        if number > limits.sdp_lines {
            return Err(OfferError::TooLarge("sdp_lines"));
        }
        // RFC 8866 section 9, `byte-string`: neither stands in a line, and some
        // readers end a line at a bare CR.
        if memchr2(b'\r', 0, line).is_some() {
            return Err(OfferError::Line(number));
        }
        match line {
            // RFC 8866 section 5: records end in CRLF; a last empty line is
            // what bodies copied by hand have.
            b"" if rest.is_empty() => break,
            [b'v', b'=', b'0'] if number == 1 => {}
            _ if number == 1 => return Err(OfferError::Version),
            [b'm', b'=', value @ ..] => {
                streams += 1;
                if streams > limits.sdp_streams {
                    return Err(OfferError::TooLarge("sdp_streams"));
                }
                let media = media(value).ok_or(OfferError::Media(number))?;
                each(number, Item::Media(media))?;
            }
            [b'c', b'=', value @ ..] => {
                let address = connection(value).ok_or(OfferError::Connection(number))?;
                each(number, Item::Connection(address))?;
            }
            [b'a', b'=', value @ ..] => each(number, Item::Attribute(attribute(value)))?,
            [b'b', b'=', value @ ..] => each(number, Item::Bandwidth(value))?,
            [kind, b'=', ..] if kind.is_ascii_lowercase() => {}
            _ => return Err(OfferError::Line(number)),
        }
    }
    if number == 0 {
        return Err(OfferError::Version);
    }
    Ok(())
}

/// Fields between single spaces; none is empty.
pub(crate) fn fields(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b' ')
        .filter(|field| !field.is_empty())
}

/// A decimal number, digits only.
pub(crate) fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text)
        .ok()
        .filter(|_| digits)?
        .parse()
        .ok()
}

/// RFC 8866 section 9, `token-char`.
pub(crate) fn is_token(text: &[u8]) -> bool {
    let token = |byte: &u8| {
        matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'0'..=b'9' | b'A'..=b'Z')
            || matches!(byte, b'^'..=b'~')
    };
    !text.is_empty() && text.iter().all(token)
}

/// Printable ASCII: what a value may hold to be passed on.
pub(crate) fn is_printable(text: &[u8]) -> bool {
    text.iter().all(|byte| matches!(byte, b' '..=b'~'))
}

fn split_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let Some(end) = memchr(b'\n', bytes) else {
        return (bytes, b"");
    };
    let (line, rest) = (
        bytes.get(..end).unwrap_or_default(),
        bytes.get(end + 1..).unwrap_or_default(),
    );
    (line.strip_suffix(b"\r").unwrap_or(line), rest)
}

fn split_at_byte(text: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr(byte, text)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

fn attribute(value: &[u8]) -> Attribute<'_> {
    let (name, value) = split_at_byte(value, b':').unwrap_or((value, b""));
    Attribute { name, value }
}

fn media(value: &[u8]) -> Option<MediaLine<'_>> {
    let (kind, rest) = split_at_byte(value, b' ').filter(|(kind, _)| !kind.is_empty())?;
    let (ports, rest) = split_at_byte(rest, b' ')?;
    let (protocol, formats) = split_at_byte(rest, b' ').filter(|(name, _)| !name.is_empty())?;
    // RFC 8866 section 5.14: `port/count` for layered streams.
    let (port, count) = split_at_byte(ports, b'/').unwrap_or((ports, b"1"));
    let port = std::str::from_utf8(port).ok()?.parse().ok()?;
    Some(MediaLine {
        kind,
        port,
        layered: count != b"1",
        protocol,
        formats,
    })
}

fn connection(value: &[u8]) -> Option<&[u8]> {
    let mut fields = value.split(|&byte| byte == b' ');
    let network = fields.next()?;
    let family = fields.next()?;
    let address = fields.next().filter(|address| !address.is_empty())?;
    let known =
        network == b"IN" && (family == b"IP4" || family == b"IP6") && fields.next().is_none();
    known.then(|| {
        address
            .split(|&byte| byte == b'/')
            .next()
            .unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_numbers() {
        assert!(is_token(b"telephone-event") && is_token(b"H264") && is_token(b"x_y.z"));
        for text in [
            &b""[..],
            b"a b",
            b"a/b",
            b"a:b",
            b"a\tb",
            b"\xC3\xA9",
            b"a(b",
            b"a\"b",
        ] {
            assert!(!is_token(text), "{text:?}");
        }
        assert_eq!(number::<u16>(b"65535"), Some(65_535));
        for text in [&b""[..], b"65536", b"+1", b"-1", b" 1", b"1 "] {
            assert_eq!(number::<u16>(text), None, "{text:?}");
        }
    }

    #[test]
    fn items_come_with_their_line() {
        let sdp = b"v=0\r\nc=IN IP4 224.2.1.1/127/3\r\nb=AS:64\r\nm=audio 4/2 RTP/AVP 0 8\r\na=x:y:z\r\na=f";
        let mut seen = Vec::new();
        read(sdp, &OfferLimits::default(), |number, item| {
            seen.push((number, item));
            Ok(())
        })
        .unwrap();
        let media = MediaLine {
            kind: b"audio",
            port: 4,
            layered: true,
            protocol: b"RTP/AVP",
            formats: b"0 8",
        };
        assert_eq!(
            seen,
            [
                (2, Item::Connection(b"224.2.1.1")),
                (3, Item::Bandwidth(b"AS:64")),
                (4, Item::Media(media)),
                (
                    5,
                    Item::Attribute(Attribute {
                        name: b"x",
                        value: b"y:z"
                    })
                ),
                (
                    6,
                    Item::Attribute(Attribute {
                        name: b"f",
                        value: b""
                    })
                ),
            ]
        );
    }
}
