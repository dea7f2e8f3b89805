//! Reading an SDP session description: RFC 8866 sections 5.7, 5.14 and 6,
//! RFC 4568 (`a=crypto`), RFC 8122 (`a=fingerprint`).
//!
//! Only what a policy decides on is read. Bytes that do not follow the grammar
//! are an error rather than a guess, since the far end may guess otherwise.

use memchr::{memchr, memchr2};

/// What one session description may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfferLimits {
    /// Bytes of the whole description. Offers with many codecs and candidates
    /// stay well under 8 kB.
    pub sdp_bytes: usize,
    /// Lines of the description.
    pub sdp_lines: usize,
    /// Media streams; a call has one to three.
    pub sdp_streams: usize,
}

impl Default for OfferLimits {
    fn default() -> Self {
        Self {
            sdp_bytes: 16_384,
            sdp_lines: 512,
            sdp_streams: 16,
        }
    }
}

/// Why a description cannot be read: the peer's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    /// One of [`OfferLimits`] is exceeded.
    #[error("the session description exceeds the limit {0}")]
    TooLarge(&'static str),
    /// The first line is not `v=0`.
    #[error("the session description does not begin with v=0")]
    Version,
    /// A line is not `x=value`, or holds NUL or a CR without LF.
    #[error("line {0} of the session description is not of the form x=value")]
    Line(usize),
    /// An `m=` line lacks a field or its port is no number.
    #[error("line {0} of the session description is not a media description")]
    Media(usize),
    /// A `c=` line is not `IN IP4|IP6 address`.
    #[error("line {0} of the session description is not connection data")]
    Connection(usize),
}

/// One `m=` section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream<'a> {
    /// `audio`, `video`, `image`, ...
    pub kind: &'a [u8],
    /// `RTP/AVP`, `RTP/SAVP`, `UDP/TLS/RTP/SAVP`, ...
    pub protocol: &'a [u8],
    /// Keys (`a=crypto`) or a fingerprint stand in the section or, for the
    /// fingerprint, at session level, and the protocol is a secure one.
    pub encrypted: bool,
    /// Connection address of the section or of the session; empty if neither.
    pub address: &'a [u8],
    /// Port; 0 rejects the stream.
    pub port: u16,
}

/// Read the streams of a session description.
///
/// # Errors
/// [`OfferError`] says which line breaks which rule or limit.
pub fn read_offer<'a>(sdp: &'a [u8], limits: &OfferLimits) -> Result<Vec<Stream<'a>>, OfferError> {
    if sdp.len() > limits.sdp_bytes {
        return Err(OfferError::TooLarge("sdp_bytes"));
    }
    let mut reader = Reader {
        streams: Vec::new(),
        session_address: b"",
        session_keys: false,
        limits: *limits,
    };
    let mut rest = sdp;
    let mut number = 0;
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
            [kind, b'=', value @ ..] if kind.is_ascii_lowercase() => {
                reader.line(*kind, value, number)?
            }
            _ => return Err(OfferError::Line(number)),
        }
    }
    if number == 0 {
        return Err(OfferError::Version);
    }
    Ok(reader.finish())
}

struct Reader<'a> {
    streams: Vec<Stream<'a>>,
    session_address: &'a [u8],
    session_keys: bool,
    limits: OfferLimits,
}

impl<'a> Reader<'a> {
    fn line(&mut self, kind: u8, value: &'a [u8], number: usize) -> Result<(), OfferError> {
        match kind {
            b'm' => {
                if self.streams.len() >= self.limits.sdp_streams {
                    return Err(OfferError::TooLarge("sdp_streams"));
                }
                self.streams
                    .push(media(value).ok_or(OfferError::Media(number))?);
            }
            b'c' => {
                let address = connection(value).ok_or(OfferError::Connection(number))?;
                match self.streams.last_mut() {
                    Some(stream) => stream.address = address,
                    None => self.session_address = address,
                }
            }
            b'a' if value.starts_with(b"fingerprint:") => match self.streams.last_mut() {
                Some(stream) => stream.encrypted = true,
                None => self.session_keys = true,
            },
            b'a' if value.starts_with(b"crypto:") => {
                if let Some(stream) = self.streams.last_mut() {
                    stream.encrypted = true;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(mut self) -> Vec<Stream<'a>> {
        for stream in &mut self.streams {
            if stream.address.is_empty() {
                stream.address = self.session_address;
            }
            // Keys beside a plain profile (an opportunistic offer) bind nobody.
            stream.encrypted =
                (stream.encrypted || self.session_keys) && is_secure(stream.protocol);
        }
        self.streams
    }
}

fn is_secure(protocol: &[u8]) -> bool {
    protocol.split(|&byte| byte == b'/').any(|part| {
        [&b"SAVP"[..], b"SAVPF", b"TLS", b"DTLS"]
            .iter()
            .any(|name| part.eq_ignore_ascii_case(name))
    })
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

fn media(value: &[u8]) -> Option<Stream<'_>> {
    let mut fields = value.split(|&byte| byte == b' ');
    let kind = fields.next().filter(|kind| !kind.is_empty())?;
    // RFC 8866 section 5.14: `port/count` for layered streams.
    let port = fields.next()?.split(|&byte| byte == b'/').next()?;
    let port = std::str::from_utf8(port).ok()?.parse().ok()?;
    let protocol = fields.next().filter(|protocol| !protocol.is_empty())?;
    fields.next()?;
    Some(Stream {
        kind,
        protocol,
        encrypted: false,
        address: b"",
        port,
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

    const OFFER: &[u8] =
        b"v=0\r\no=a 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
        m=audio 49170 RTP/SAVP 0 8\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA\r\n\
        m=video 0 RTP/AVP 31\r\nc=IN IP6 2001:db8::1\r\n";

    #[test]
    fn streams_keys_and_addresses_are_read() {
        let streams = read_offer(OFFER, &OfferLimits::default()).unwrap();
        assert_eq!(streams.len(), 2);
        assert_eq!(
            streams[0],
            Stream {
                kind: b"audio",
                protocol: b"RTP/SAVP",
                encrypted: true,
                address: b"192.0.2.1",
                port: 49170
            }
        );
        assert_eq!(
            streams[1],
            Stream {
                kind: b"video",
                protocol: b"RTP/AVP",
                encrypted: false,
                address: b"2001:db8::1",
                port: 0
            }
        );
    }

    #[test]
    fn keys_beside_a_plain_profile_are_not_encryption() {
        let sdp = b"v=0\r\nm=audio 4 RTP/AVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:A\r\n";
        assert!(!read_offer(sdp, &OfferLimits::default()).unwrap()[0].encrypted);
    }

    #[test]
    fn a_session_fingerprint_covers_every_secure_stream() {
        let sdp = b"v=0\r\na=fingerprint:sha-256 AB\r\nm=audio 4 UDP/TLS/RTP/SAVP 0\r\nm=audio 6 RTP/AVP 0\r\n";
        let streams = read_offer(sdp, &OfferLimits::default()).unwrap();
        assert!(streams[0].encrypted);
        assert!(!streams[1].encrypted);
    }

    #[test]
    fn broken_lines_are_named() {
        let limits = OfferLimits::default();
        assert_eq!(read_offer(b"", &limits), Err(OfferError::Version));
        assert_eq!(read_offer(b"o=x\r\n", &limits), Err(OfferError::Version));
        assert_eq!(
            read_offer(b"v=0\r\nhello\r\n", &limits),
            Err(OfferError::Line(2))
        );
        assert_eq!(
            read_offer(b"v=0\r\nm=audio x RTP/AVP 0\r\n", &limits),
            Err(OfferError::Media(2))
        );
        assert_eq!(
            read_offer(b"v=0\r\nm=audio 1 RTP/AVP\r\n", &limits),
            Err(OfferError::Media(2))
        );
        assert_eq!(
            read_offer(b"v=0\r\nc=IN IP4 a b\r\n", &limits),
            Err(OfferError::Connection(2))
        );
    }

    #[test]
    fn no_line_hides_another() {
        let limits = OfferLimits::default();
        for (sdp, line) in [
            (&b"v=0\r\ns=-\rm=audio 4 RTP/AVP 0\r\n"[..], 2),
            (b"v=0\r\nc=IN IP4 192.0.2.1\r", 2),
            (b"v=0\r\ns=-\r\r\n", 2),
            (b"v=0\nm=audio 4 RTP/AVP\0 0\n", 2),
            (b"v=0\r", 1),
        ] {
            assert_eq!(
                read_offer(sdp, &limits),
                Err(OfferError::Line(line)),
                "{sdp:?}"
            );
        }
        assert!(
            read_offer(b"v=0\r\ns=-", &limits).is_ok(),
            "the last line end may be missing"
        );
    }

    #[test]
    fn each_limit_holds_on_both_sides() {
        let limits = OfferLimits {
            sdp_bytes: 60,
            sdp_lines: 3,
            sdp_streams: 1,
        };
        let one = b"v=0\r\nm=audio 4 RTP/AVP 0\r\n";
        assert!(read_offer(one, &limits).is_ok());
        let two = b"v=0\r\nm=audio 4 RTP/AVP 0\r\nm=audio 4 RTP/AVP 0\r\n";
        assert_eq!(
            read_offer(two, &limits),
            Err(OfferError::TooLarge("sdp_streams"))
        );
        assert!(read_offer(b"v=0\r\ns=a\r\ns=b\r\n", &limits).is_ok());
        assert_eq!(
            read_offer(b"v=0\r\ns=a\r\ns=b\r\ns=c\r\n", &limits),
            Err(OfferError::TooLarge("sdp_lines"))
        );
        let exact = [b"v=0\r\ns=".as_slice(), &[b'x'; 51], b"\r\n"].concat();
        assert_eq!(exact.len(), 60);
        assert!(read_offer(&exact, &limits).is_ok());
        let over = [b"v=0\r\ns=".as_slice(), &[b'x'; 52], b"\r\n"].concat();
        assert_eq!(
            read_offer(&over, &limits),
            Err(OfferError::TooLarge("sdp_bytes"))
        );
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let mut sdp = b"v=0\r\nm=".to_vec();
            sdp.extend(bytes);
            if let Ok(streams) = read_offer(&sdp, &OfferLimits::default()) {
                proptest::prop_assert!(streams.len() <= 16);
            }
        }
    }
}
