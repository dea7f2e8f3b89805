//! A second, much simpler reader of messages: it splits what leaves at CRLF and
//! trusts nothing that `sip-message` says of it.

use sip_message::HeaderKind;

/// The lines of a head without their line ends, and the body.
pub(super) struct Lines<'a> {
    pub(super) lines: Vec<&'a [u8]>,
    pub(super) body: &'a [u8],
}

/// Splits at the first empty line.
///
/// # Panics
/// There is none, or a CR, LF or NUL stands within a line: two readers could read
/// the message differently.
pub(super) fn split(bytes: &[u8]) -> Lines<'_> {
    let end = bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .expect("a message that leaves has an empty line");
    let (head, rest) = bytes.split_at(end);
    let mut lines = Vec::new();
    let mut line_start = 0;
    for at in 0..head.len() {
        if head[at..].starts_with(b"\r\n") {
            lines.push(&head[line_start..at]);
            line_start = at + 2;
        }
    }
    lines.push(&head[line_start..]);
    for line in &lines {
        assert!(!line.is_empty(), "a line that leaves is not empty");
        assert!(
            !line.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)),
            "a line that leaves is one line"
        );
    }
    Lines {
        lines,
        body: &rest[4..],
    }
}

impl<'a> Lines<'a> {
    /// Header lines, without the start-line.
    pub(super) fn headers(&self) -> impl Iterator<Item = (HeaderKind, &'a [u8])> {
        self.lines.iter().skip(1).map(|line| (kind(line), *line))
    }

    /// Header lines of none of these kinds.
    pub(super) fn without(&self, kinds: &[HeaderKind]) -> Vec<&'a [u8]> {
        let kept = self.headers().filter(|(kind, _)| !kinds.contains(kind));
        kept.map(|(_, line)| line).collect()
    }
}

/// The name of a line, without white space around it.
pub(super) fn name(line: &[u8]) -> &[u8] {
    let end = line.iter().position(|byte| *byte == b':');
    line[..end.expect("a header line has a colon")].trim_ascii()
}

fn kind(line: &[u8]) -> HeaderKind {
    HeaderKind::from_name(name(line))
}
