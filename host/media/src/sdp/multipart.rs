//! Where the description stands in a body: RFC 2046 section 5.1, RFC 5621.
//!
//! Only what carries exactly one description in its outermost parts is changed.
//! What could hide another one is refused.

use std::ops::Range;

use memchr::memmem;

/// Where a body's description is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// There is none.
    Absent,
    /// The body is one.
    Whole,
    /// One part of several.
    Part(Part),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// From the delimiter before it to the delimiter after it.
    outer: Range<usize>,
    /// The description.
    content: Range<usize>,
    /// Digits of the part's own Content-Length.
    length: Option<Range<usize>>,
    /// There are other parts.
    accompanied: bool,
}

/// A body of several parts that two readers could take apart differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the multipart body cannot be read")]
pub struct Unreadable;

/// The session description of a body: the whole of it, or the one such part among
/// at most `parts`. `None` if it has none.
///
/// # Errors
/// [`Unreadable`]: it may hide one.
pub fn find_description<'b>(
    content_type: Option<&[u8]>,
    body: &'b [u8],
    parts: usize,
) -> Result<Option<&'b [u8]>, Unreadable> {
    let place = Place::find(content_type, body, parts)?;
    Ok((place != Place::Absent).then(|| place.content(body)))
}

impl Place {
    /// Find it. Without a Content-Type a body that begins like a description is
    /// one, since its receiver may think so too.
    pub(crate) fn find(
        content_type: Option<&[u8]>,
        body: &[u8],
        parts: usize,
    ) -> Result<Self, Unreadable> {
        if body.is_empty() {
            return Ok(Self::Absent);
        }
        let Some(content_type) = content_type else {
            return Ok(if body.starts_with(b"v=") {
                Self::Whole
            } else {
                Self::Absent
            });
        };
        let kind = media_type(content_type);
        if kind.eq_ignore_ascii_case(b"application/sdp") {
            return Ok(Self::Whole);
        }
        if !is_multipart(kind) {
            return Ok(Self::Absent);
        }
        let boundary = boundary(content_type).ok_or(Unreadable)?;
        find_part(body, boundary, parts)
    }

    /// The description itself.
    pub(crate) fn content<'b>(&self, body: &'b [u8]) -> &'b [u8] {
        match self {
            Self::Absent => b"",
            Self::Whole => body,
            Self::Part(part) => body.get(part.content.clone()).unwrap_or_default(),
        }
    }

    /// The body with another description in its place.
    pub(crate) fn replace(&self, body: &[u8], description: &[u8]) -> Vec<u8> {
        let Self::Part(part) = self else {
            return description.to_vec();
        };
        let mut out = Vec::with_capacity(body.len() + description.len());
        let head = body.get(..part.content.start).unwrap_or_default();
        match &part.length {
            Some(length) => {
                out.extend_from_slice(head.get(..length.start).unwrap_or_default());
                out.extend_from_slice(description.len().to_string().as_bytes());
                out.extend_from_slice(head.get(length.end..).unwrap_or_default());
            }
            None => out.extend_from_slice(head),
        }
        out.extend_from_slice(description);
        out.extend_from_slice(body.get(part.content.end..).unwrap_or_default());
        out
    }

    /// The body without it; `None` if nothing else remains.
    pub(crate) fn remove(&self, body: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Part(part) if part.accompanied => {
                let before = body.get(..part.outer.start)?;
                let after = body.get(part.outer.end..)?;
                Some([before, after].concat())
            }
            _ => None,
        }
    }
}

fn find_part(body: &[u8], boundary: &[u8], limit: usize) -> Result<Place, Unreadable> {
    let delimiters = delimiters(body, boundary, limit)?;
    let mut found: Option<Part> = None;
    let mut count = 0;
    for pair in delimiters.windows(2) {
        let [(start, after), (end, _)] = pair else {
            return Err(Unreadable);
        };
        count += 1;
        let part = body.get(*after..*end).ok_or(Unreadable)?;
        let Some((content, length)) = description_in(part)? else {
            continue;
        };
        let shift = |range: Range<usize>| range.start + after..range.end + after;
        if found.is_some() {
            return Err(Unreadable);
        }
        found = Some(Part {
            outer: *start..*end,
            content: shift(content),
            length: length.map(shift),
            accompanied: false,
        });
    }
    Ok(found.map_or(Place::Absent, |part| {
        Place::Part(Part {
            accompanied: count > 1,
            ..part
        })
    }))
}

/// Start of each delimiter, its line break included, and the start of what
/// follows its line. The last one closes the body.
fn delimiters(
    body: &[u8],
    boundary: &[u8],
    limit: usize,
) -> Result<Vec<(usize, usize)>, Unreadable> {
    let needle = [b"--", boundary].concat();
    let mut found = Vec::new();
    for at in memmem::find_iter(body, &needle) {
        let before = body.get(..at).unwrap_or_default();
        let start = match before {
            b"" => 0,
            [.., b'\r', b'\n'] if found.is_empty() => at,
            [.., b'\r', b'\n'] => at - 2,
            // A reader that takes bare line feeds would see a part here.
            [.., b'\n'] => return Err(Unreadable),
            _ => continue,
        };
        let rest = body.get(at + needle.len()..).unwrap_or_default();
        let (closing, rest) = match rest {
            [b'-', b'-', rest @ ..] => (true, rest),
            _ => (false, rest),
        };
        let blank = rest
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count();
        let line_end = rest.get(blank..).unwrap_or_default();
        if closing {
            // Nothing but a line end may follow that another reader could take
            // for a part.
            found.push((start, body.len()));
            let quiet = line_end.iter().all(u8::is_ascii_whitespace);
            return if quiet { Ok(found) } else { Err(Unreadable) };
        }
        match line_end {
            [b'\r', b'\n', ..] => {}
            [] | [b'\n' | b'\r', ..] => return Err(Unreadable),
            // Another boundary that begins like this one.
            _ => continue,
        }
        if found.len() >= limit {
            return Err(Unreadable);
        }
        found.push((start, body.len() - rest.len() + blank + 2));
    }
    // Not closed.
    Err(Unreadable)
}

/// Where a part's content and its Content-Length are, if it is a description.
#[expect(
    clippy::type_complexity,
    reason = "two ranges, one of them optional, used once"
)]
fn description_in(part: &[u8]) -> Result<Option<(Range<usize>, Option<Range<usize>>)>, Unreadable> {
    // No header at all: plain text.
    if part.starts_with(b"\r\n") {
        return Ok(None);
    }
    let end = memmem::find(part, b"\r\n\r\n").ok_or(Unreadable)?;
    let (mut is_description, mut length, mut start) = (false, None, 0);
    for line in part
        .get(..end)
        .unwrap_or_default()
        .split(|&byte| byte == b'\n')
    {
        let (name, value) = header(line).ok_or(Unreadable)?;
        if name.eq_ignore_ascii_case(b"content-type") || name.eq_ignore_ascii_case(b"c") {
            let kind = media_type(value);
            if is_multipart(kind) || is_description {
                return Err(Unreadable);
            }
            is_description = kind.eq_ignore_ascii_case(b"application/sdp");
        } else if name.eq_ignore_ascii_case(b"content-transfer-encoding") {
            let known = [&b"binary"[..], b"8bit", b"7bit"];
            if !known.iter().any(|each| value.eq_ignore_ascii_case(each)) {
                return Err(Unreadable);
            }
        } else if name.eq_ignore_ascii_case(b"content-encoding") {
            return Err(Unreadable);
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let at = start + memmem::rfind(line, value).ok_or(Unreadable)?;
            length = Some(at..at + value.len());
        }
        start += line.len() + 1;
    }
    Ok(is_description.then_some((end + 4..part.len(), length)))
}

/// Name and value of a header line; folded ones are not read.
fn header(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr::memchr(b':', line)?;
    let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?);
    let folded = line.first().is_none_or(u8::is_ascii_whitespace);
    (!folded).then(|| (name.trim_ascii(), value.trim_ascii()))
}

fn media_type(content_type: &[u8]) -> &[u8] {
    content_type
        .split(|&byte| byte == b';')
        .next()
        .unwrap_or_default()
        .trim_ascii()
}

fn is_multipart(kind: &[u8]) -> bool {
    kind.get(..10)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"multipart/"))
}

/// RFC 2046 section 5.1.1: 1 to 70 characters.
fn boundary(content_type: &[u8]) -> Option<&[u8]> {
    let mut parameters = content_type
        .split(|&byte| byte == b';')
        .skip(1)
        .map(<[u8]>::trim_ascii);
    let value = parameters.find_map(|parameter| {
        let (name, value) = parameter.split_at_checked(9)?;
        name.eq_ignore_ascii_case(b"boundary=").then_some(value)
    })?;
    let bare = value
        .strip_prefix(b"\"")
        .and_then(|value| value.strip_suffix(b"\""))
        .unwrap_or(value);
    let legal = bare
        .iter()
        .all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    let quoted = bare.iter().any(|byte| matches!(byte, b'"' | b'\\'));
    ((1..=70).contains(&bare.len()) && legal && !quoted).then_some(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &[u8] = b"multipart/mixed; boundary=\"b1\"";
    const BODY: &[u8] =
        b"--b1\r\nContent-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n\r\n\
        --b1\r\nContent-Type: application/isup;version=itu\r\n\r\n\x01\x02\r\n--b1--\r\n";

    fn find(body: &[u8]) -> Result<Place, Unreadable> {
        Place::find(Some(TYPE), body, 8)
    }

    #[test]
    fn the_part_is_replaced_and_others_are_kept() {
        let place = find(BODY).unwrap();
        assert_eq!(place.content(BODY), b"v=0\r\n");
        let replaced = place.replace(BODY, b"v=0\r\nlonger\r\n");
        let expected = String::from_utf8_lossy(BODY)
            .replace("Length: 5", "Length: 13")
            .replace("v=0\r\n", "v=0\r\nlonger\r\n");
        assert_eq!(String::from_utf8_lossy(&replaced), expected);
        let removed = place.remove(BODY).unwrap();
        assert_eq!(
            removed,
            b"\r\n--b1\r\nContent-Type: application/isup;version=itu\r\n\r\n\x01\x02\r\n--b1--\r\n"
        );
        assert_eq!(find(&removed), Ok(Place::Absent));
    }

    #[test]
    fn kinds_of_bodies() {
        let whole = |kind: Option<&[u8]>, body: &[u8]| Place::find(kind, body, 8);
        assert_eq!(whole(Some(b"application/sdp"), b"v=0"), Ok(Place::Whole));
        assert_eq!(
            whole(Some(b"Application/SDP ;x=y"), b"v=0"),
            Ok(Place::Whole)
        );
        assert_eq!(whole(Some(b"application/sdp"), b""), Ok(Place::Absent));
        assert_eq!(whole(Some(b"text/plain"), b"v=0"), Ok(Place::Absent));
        assert_eq!(whole(None, b"v=0"), Ok(Place::Whole));
        assert_eq!(whole(None, b"<xml/>"), Ok(Place::Absent));
        assert_eq!(whole(Some(b"multipart/mixed"), b"v=0"), Err(Unreadable));
        let only = b"--b1\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\r\n--b1--";
        assert_eq!(find(only).unwrap().remove(only), None);
    }

    #[test]
    fn what_could_hide_a_description_is_refused() {
        let part = "--b1\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\r\n";
        for body in [
            format!("{part}{part}--b1--\r\n"),
            part.to_owned(),
            format!("{part}--b1--\r\n{part}"),
            "--b1\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c--\r\n--b1--".to_owned(),
            "--b1\r\nContent-Type:\r\n application/sdp\r\n\r\nv=0\r\n--b1--".to_owned(),
            part.replace(
                "\r\n\r\nv",
                "\r\nContent-Transfer-Encoding: base64\r\n\r\nv",
            ) + "--b1--",
            part.replace("\r\n\r\nv", "\r\nContent-Encoding: gzip\r\n\r\nv") + "--b1--",
        ] {
            assert_eq!(find(body.as_bytes()), Err(Unreadable), "{body}");
        }
    }

    #[test]
    fn parts_on_both_sides_of_the_limit() {
        let body = |parts: usize| {
            let part = "--b1\r\nContent-Type: text/plain\r\n\r\nx\r\n";
            format!("{}--b1--", part.repeat(parts))
        };
        assert_eq!(find(body(8).as_bytes()), Ok(Place::Absent));
        assert_eq!(find(body(9).as_bytes()), Err(Unreadable));
    }

    #[test]
    fn boundaries() {
        assert_eq!(boundary(b"multipart/mixed;boundary=a_b"), Some(&b"a_b"[..]));
        assert_eq!(
            boundary(b"multipart/mixed; x=y; BOUNDARY=\"a b\""),
            Some(&b"a b"[..])
        );
        for bad in [
            "multipart/mixed",
            "multipart/mixed;boundary=",
            "multipart/mixed;boundary=\"\"",
        ] {
            assert_eq!(boundary(bad.as_bytes()), None, "{bad}");
        }
        let of = |length| format!("multipart/mixed;boundary={}", "x".repeat(length));
        assert!(boundary(of(70).as_bytes()).is_some() && boundary(of(71).as_bytes()).is_none());
    }

    proptest::proptest! {
        #[test]
        fn any_body_is_taken_apart_or_refused(
            pieces in proptest::collection::vec("(--b1)?(--)?(\r\n)?(Content-Type: application/sdp)?(\r\n){0,2}[a-z=]{0,3}", 0..12)
        ) {
            let body = pieces.concat();
            if let Ok(place) = find(body.as_bytes()) {
                let content = place.content(body.as_bytes()).to_vec();
                if place != Place::Absent {
                    proptest::prop_assert_eq!(place.replace(body.as_bytes(), &content), body.as_bytes());
                }
            }
        }
    }
}
