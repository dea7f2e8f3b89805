//! Reading an SDP session description: RFC 8866 sections 5.7, 5.14 and 6,
//! RFC 4568 (`a=crypto`), RFC 8122 (`a=fingerprint`).
//!
//! Only what a policy decides on is told here; the relay reads the same lines
//! through the same grammar.

use std::net::IpAddr;

use crate::AddressClass;
use crate::sdp::address;
use crate::sdp::grammar::{self, Item};

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

impl Stream<'_> {
    /// What kind of address the stream names, where `own` tells our own ones.
    /// `None` for a host name, or for no address at all.
    #[must_use]
    pub fn address_class(&self, own: impl Fn(IpAddr) -> bool) -> Option<AddressClass> {
        address::parse(self.address).map(|address| AddressClass::of(address, own))
    }
}

/// Read the streams of a session description.
///
/// # Errors
/// [`OfferError`] says which line breaks which rule or limit.
pub fn read_offer<'a>(sdp: &'a [u8], limits: &OfferLimits) -> Result<Vec<Stream<'a>>, OfferError> {
    let mut streams: Vec<Stream<'a>> = Vec::new();
    let mut session_address: &'a [u8] = b"";
    let mut session_keys = false;
    grammar::read(sdp, limits, |_, item| {
        match item {
            Item::Media(line) => streams.push(Stream {
                kind: line.kind,
                protocol: line.protocol,
                encrypted: false,
                address: b"",
                port: line.port,
            }),
            Item::Connection(address) => match streams.last_mut() {
                Some(stream) => stream.address = address,
                None => session_address = address,
            },
            Item::Attribute(attribute) if attribute.name == b"fingerprint" => {
                match streams.last_mut() {
                    Some(stream) => stream.encrypted = true,
                    None => session_keys = true,
                }
            }
            Item::Attribute(attribute) if attribute.name == b"crypto" => {
                if let Some(stream) = streams.last_mut() {
                    stream.encrypted = true;
                }
            }
            Item::Attribute(_) | Item::Bandwidth(_) => {}
        }
        Ok(())
    })?;
    for stream in &mut streams {
        if stream.address.is_empty() {
            stream.address = session_address;
        }
        // Keys beside a plain profile (an opportunistic offer) bind nobody.
        stream.encrypted = (stream.encrypted || session_keys) && is_secure(stream.protocol);
    }
    Ok(streams)
}

fn is_secure(protocol: &[u8]) -> bool {
    protocol.split(|&byte| byte == b'/').any(|part| {
        [&b"SAVP"[..], b"SAVPF", b"TLS", b"DTLS"]
            .iter()
            .any(|name| part.eq_ignore_ascii_case(name))
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
