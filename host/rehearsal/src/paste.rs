//! A message that somebody pasted: out of a log, a mail or a capture's text.

use bytes::Bytes;
use sip_message::{Limits, Message, ParseError};

/// Bytes that are read. 64 KiB: a datagram cannot be larger.
pub const PASTED_BYTES: usize = 65_536;

/// What was pasted, and what had to be done to read it.
#[derive(Clone, Debug)]
pub struct Pasted {
    /// The message.
    pub message: Message,
    /// Repairs, each a sentence without its full stop.
    pub repairs: Vec<&'static str>,
}

/// Why it cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PasteError {
    /// Nothing but white space.
    #[error("there is no message; paste one, from its request line to its body")]
    Empty,
    /// More than [`PASTED_BYTES`].
    #[error("more than {PASTED_BYTES} bytes are no single message")]
    TooLarge,
    /// No SIP message.
    #[error("no valid SIP message: {0}")]
    Malformed(#[from] ParseError),
    /// It answers something.
    #[error("this is a response; policies decide on requests")]
    Response,
}

/// Reads a pasted request. Where lines end in a bare line feed, as terminals and mails
/// have them, they are given their carriage returns, and Content-Length is made right
/// again; bytes that have carriage returns are read as they are.
///
/// # Errors
/// See [`PasteError`].
pub fn read(pasted: &[u8], limits: &Limits) -> Result<Pasted, PasteError> {
    if pasted.len() > PASTED_BYTES {
        return Err(PasteError::TooLarge);
    }
    let pasted = pasted.trim_ascii_start();
    if pasted.is_empty() {
        return Err(PasteError::Empty);
    }
    let mut repairs = Vec::new();
    let bytes = if pasted.contains(&b'\r') {
        Bytes::copy_from_slice(pasted)
    } else {
        repairs.push("line feeds became line ends of SIP, and Content-Length was counted again");
        with_line_ends(pasted)
    };
    let message = Message::parse_datagram(bytes, limits)?;
    if !message.is_request() {
        return Err(PasteError::Response);
    }
    Ok(Pasted { message, repairs })
}

/// Carriage returns before line feeds, and the length of the body as it is then.
fn with_line_ends(pasted: &[u8]) -> Bytes {
    let (head, body) = match pasted.windows(2).position(|pair| pair == b"\n\n") {
        Some(end) => {
            let (head, rest) = pasted.split_at(end);
            (head, rest.get(2..).unwrap_or_default())
        }
        None => (pasted.trim_ascii_end(), &b""[..]),
    };
    let mut text = Vec::with_capacity(pasted.len() * 2);
    let body = body.trim_ascii_end();
    let mut lines: Vec<u8> = Vec::with_capacity(body.len() * 2);
    if !body.is_empty() {
        for line in body.split(|byte| *byte == b'\n') {
            lines.extend_from_slice(line);
            lines.extend_from_slice(b"\r\n");
        }
    }
    for line in head.split(|byte| *byte == b'\n') {
        if !is_length(line) {
            text.extend_from_slice(line);
            text.extend_from_slice(b"\r\n");
        }
    }
    text.extend_from_slice(format!("Content-Length: {}\r\n\r\n", lines.len()).as_bytes());
    text.extend_from_slice(&lines);
    Bytes::from(text)
}

fn is_length(line: &[u8]) -> bool {
    let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
    let name = name.trim_ascii();
    line.contains(&b':')
        && (name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(b"l"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &str = "INVITE sip:bob@example.org SIP/2.0\n\
        Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKa\nMax-Forwards: 70\n\
        From: <sip:alice@example.org>;tag=1\nTo: <sip:bob@example.org>\nCall-ID: c1\n\
        CSeq: 1 INVITE\nContent-Type: application/sdp\nContent-Length: 999\n\nv=0\ns=-\n\n";

    #[test]
    fn a_paste_from_a_terminal_is_a_message() {
        let pasted = read(format!("\n\n{INVITE}").as_bytes(), &Limits::default()).unwrap();
        assert_eq!(pasted.message.body(), b"v=0\r\ns=-\r\n");
        assert!(pasted.message.anomalies().is_empty());
        assert_eq!(pasted.repairs.len(), 1);
    }

    #[test]
    fn without_a_body_or_its_length_it_is_one_too() {
        let head = INVITE.split("Content-Type").next().unwrap();
        for end in ["", "\n", "\n\n\n"] {
            let text = format!("{}{end}", head.trim_end());
            let pasted = read(text.as_bytes(), &Limits::default()).unwrap();
            assert!(pasted.message.body().is_empty());
        }
    }

    #[test]
    fn bytes_with_line_ends_are_left_alone() {
        let text = INVITE.replace('\n', "\r\n");
        let error = read(text.as_bytes(), &Limits::default()).unwrap_err();
        assert!(matches!(error, PasteError::Malformed(_)), "{error}");
        let text = text.replace("999", "12");
        let pasted = read(text.as_bytes(), &Limits::default()).unwrap();
        assert!(pasted.repairs.is_empty());
    }

    #[test]
    fn what_is_no_request_is_refused_by_name() {
        let limits = Limits::default();
        assert!(matches!(read(b" \n", &limits), Err(PasteError::Empty)));
        assert!(matches!(
            read(b"hello", &limits),
            Err(PasteError::Malformed(_))
        ));
        let large = vec![b'a'; PASTED_BYTES + 1];
        assert!(matches!(read(&large, &limits), Err(PasteError::TooLarge)));
        let answer = INVITE.replace("INVITE sip:bob@example.org SIP/2.0", "SIP/2.0 200 OK");
        let answer = read(answer.as_bytes(), &limits);
        assert!(matches!(answer, Err(PasteError::Response)));
    }
}
