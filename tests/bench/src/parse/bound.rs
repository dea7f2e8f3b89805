//! The lower bound: find lines with memchr, and say which header each one is. Nothing is
//! kept, checked or parsed; no parser that looks at header names can be much faster.

use memchr::memchr;

/// Header lines by kind; the last place counts those without a kind of their own.
pub(crate) type Kinds = [u32; NAMES.len() + 1];

const NAMES: [&[u8]; 21] = [
    b"Via",
    b"Max-Forwards",
    b"Route",
    b"Record-Route",
    b"From",
    b"To",
    b"Call-ID",
    b"CSeq",
    b"Contact",
    b"Allow",
    b"Supported",
    b"Session-Expires",
    b"Min-SE",
    b"Expires",
    b"Accept",
    b"Date",
    b"P-Asserted-Identity",
    b"User-Agent",
    b"Server",
    b"Content-Type",
    b"Content-Length",
];

/// Counts the header lines of a message by kind.
pub(crate) fn classify(message: &[u8]) -> Kinds {
    let mut kinds = [0; NAMES.len() + 1];
    let Some(first) = memchr(b'\n', message) else {
        return kinds;
    };
    let mut rest = message.get(first + 1..).unwrap_or_default();
    while let Some(end) = memchr(b'\n', rest) {
        let line = rest.get(..end).unwrap_or_default();
        let Some(colon) = memchr(b':', line) else {
            break;
        };
        let kind = kind(line.get(..colon).unwrap_or_default());
        if let Some(count) = kinds.get_mut(kind) {
            *count += 1;
        }
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    kinds
}

fn kind(name: &[u8]) -> usize {
    NAMES
        .iter()
        .position(|known| known.len() == name.len() && known.eq_ignore_ascii_case(name))
        .unwrap_or(NAMES.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sipward_bench::messages;

    #[test]
    fn each_line_of_the_head_is_counted_once() {
        let invite = classify(&messages::invite());
        assert_eq!(invite.iter().sum::<u32>(), 19);
        assert_eq!(invite[NAMES.len()], 0);
        assert_eq!(classify(&messages::ok())[0], 2);
        assert_eq!(classify(b"").iter().sum::<u32>(), 0);
    }
}
