//! The SDP offer of a request as facts for policies (RFC 3264, RFC 8866), also where
//! it is one part of several (RFC 2046, RFC 5621).
//!
//! A body that claims to hold an offer and cannot be read is an anomaly, so that a
//! policy which wants encryption does not mistake it for a request without media.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use media::{Interface, OfferLimits, read_offer};
use memchr::memmem;
use policy::{AddressKind, MediaStream, RequestFacts};
use sip_message::{Anomalies, HeaderKind};

/// Parts of a multipart body that are looked at; SDP and ISUP make two.
const PARTS_MAX: usize = 8;

/// Bytes of a boundary: RFC 2046 section 5.1.1.
const BOUNDARY_BYTES_MAX: usize = 70;

/// Reads offers.
#[derive(Debug, Clone)]
pub(crate) struct OfferReader {
    limits: OfferLimits,
    /// Where media is relayed: a stream to there comes back to us.
    own: Arc<[Interface]>,
}

impl OfferReader {
    pub(crate) fn new(limits: OfferLimits, own: &[Interface]) -> Self {
        Self {
            limits,
            own: Arc::from(own),
        }
    }

    /// Fill in what a request offers.
    pub(crate) fn read(&self, facts: &mut RequestFacts) {
        let message = Arc::clone(&facts.message);
        let body = message.body();
        if body.is_empty() {
            return;
        }
        let content_type = message.header(HeaderKind::ContentType).unwrap_or_default();
        let description = match description(content_type, body) {
            Ok(Some(description)) => description,
            Ok(None) => return,
            Err(Unreadable) => {
                tracing::debug!(source = %facts.peer.address, "body of several parts not understood");
                return facts.anomalies.insert(Anomalies::UNREADABLE_OFFER);
            }
        };
        match read_offer(description, &self.limits) {
            Ok(streams) => {
                let slice = |part: &[u8]| message.bytes().slice_ref(part);
                facts.offer = streams
                    .iter()
                    .map(|stream| MediaStream {
                        kind: slice(stream.kind),
                        protocol: slice(stream.protocol),
                        encrypted: stream.encrypted,
                        address: slice(stream.address),
                        port: stream.port,
                        address_kind: self.address_kind(stream.address),
                    })
                    .collect();
            }
            Err(error) => {
                tracing::debug!(source = %facts.peer.address, %error, "SDP not understood");
                facts.anomalies.insert(Anomalies::UNREADABLE_OFFER);
            }
        }
    }

    fn address_kind(&self, written: &[u8]) -> AddressKind {
        if written.is_empty() {
            return AddressKind::Unspecified;
        }
        let text = std::str::from_utf8(written).unwrap_or_default();
        let Ok(address) = text.parse::<IpAddr>() else {
            // A name is never looked up.
            return AddressKind::Public;
        };
        let address = address.to_canonical();
        if address.is_unspecified() {
            AddressKind::Unspecified
        } else if self.own.iter().any(|interface| interface.owns(address)) {
            AddressKind::Own
        } else if address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST) {
            AddressKind::Multicast
        } else if address.is_loopback() {
            AddressKind::Loopback
        } else if is_link_local(address) {
            AddressKind::LinkLocal
        } else if is_private(address) {
            AddressKind::Private
        } else {
            AddressKind::Public
        }
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            // RFC 6598: 100.64.0.0/10.
            address.is_private() || (first == 100 && second & 0xc0 == 64)
        }
        IpAddr::V6(address) => address.is_unique_local(),
    }
}

/// The body is of several parts, and which of them is the offer cannot be said.
#[derive(Debug, PartialEq, Eq)]
struct Unreadable;

/// The session description of a body, if it claims to have one.
fn description<'b>(content_type: &[u8], body: &'b [u8]) -> Result<Option<&'b [u8]>, Unreadable> {
    match media_type(content_type) {
        kind if kind.eq_ignore_ascii_case(b"application/sdp") => Ok(Some(body)),
        kind if is_multipart(kind) => part_with_description(content_type, body),
        _ => Ok(None),
    }
}

/// `type/subtype` of a Content-Type.
fn media_type(content_type: &[u8]) -> &[u8] {
    let end = content_type
        .iter()
        .position(|byte| *byte == b';')
        .unwrap_or(content_type.len());
    content_type.get(..end).unwrap_or_default().trim_ascii()
}

fn is_multipart(kind: &[u8]) -> bool {
    kind.get(..10)
        .is_some_and(|kind| kind.eq_ignore_ascii_case(b"multipart/"))
}

/// RFC 2046 section 5.1. Exactly one part is the description; two, or parts within
/// parts, could be read differently by the far end.
fn part_with_description<'b>(
    content_type: &[u8],
    body: &'b [u8],
) -> Result<Option<&'b [u8]>, Unreadable> {
    let boundary = boundary(content_type).ok_or(Unreadable)?;
    let delimiter = [b"--", boundary].concat();
    let mut found = None;
    let mut rest = after_delimiter(body, &delimiter).ok_or(Unreadable)?;
    for _ in 0..PARTS_MAX {
        if rest.starts_with(b"--") {
            return Ok(found);
        }
        let part = line_end(rest).ok_or(Unreadable)?;
        let line_delimiter = [b"\r\n", delimiter.as_slice()].concat();
        let end = memmem::find(part, &line_delimiter).ok_or(Unreadable)?;
        let (part, next) = part.split_at_checked(end).ok_or(Unreadable)?;
        rest = next.get(line_delimiter.len()..).ok_or(Unreadable)?;
        let (kind, content) = part_content(part)?;
        if is_multipart(kind) {
            return Err(Unreadable);
        }
        if kind.eq_ignore_ascii_case(b"application/sdp") && found.replace(content).is_some() {
            return Err(Unreadable);
        }
    }
    Err(Unreadable)
}

/// The `boundary` of a Content-Type, quoted or not.
fn boundary(content_type: &[u8]) -> Option<&[u8]> {
    let mut parameters = content_type.split(|byte| *byte == b';').skip(1);
    let value = parameters.find_map(|parameter| {
        let (name, value) = parameter.split_at_checked(memchr::memchr(b'=', parameter)?)?;
        name.trim_ascii()
            .eq_ignore_ascii_case(b"boundary")
            .then(|| value.get(1..).unwrap_or_default().trim_ascii())
    })?;
    let value = match value {
        [b'"', inner @ .., b'"'] => inner,
        value => value,
    };
    let is_sound = (1..=BOUNDARY_BYTES_MAX).contains(&value.len())
        && value
            .iter()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\') || *byte == b' ');
    is_sound.then_some(value)
}

/// What follows the first delimiter, which begins a line.
fn after_delimiter<'b>(body: &'b [u8], delimiter: &[u8]) -> Option<&'b [u8]> {
    if let Some(rest) = body.strip_prefix(delimiter) {
        return Some(rest);
    }
    let line = [b"\r\n", delimiter].concat();
    body.get(memmem::find(body, &line)? + line.len()..)
}

/// What follows the end of a delimiter's line: white space and CRLF.
fn line_end(rest: &[u8]) -> Option<&[u8]> {
    let blanks = rest
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t'))
        .count();
    rest.get(blanks..)?.strip_prefix(b"\r\n")
}

/// Type and content of a part. Without a Content-Type it is text.
fn part_content(part: &[u8]) -> Result<(&[u8], &[u8]), Unreadable> {
    let (mut kind, mut rest) = (&b""[..], part);
    loop {
        let end = memmem::find(rest, b"\r\n").ok_or(Unreadable)?;
        let line = rest.get(..end).unwrap_or_default();
        rest = rest.get(end + 2..).unwrap_or_default();
        if line.is_empty() {
            return Ok((kind, rest));
        }
        let colon = memchr::memchr(b':', line).ok_or(Unreadable)?;
        let (name, value) = line.split_at_checked(colon).ok_or(Unreadable)?;
        if name.trim_ascii().eq_ignore_ascii_case(b"content-type") {
            if !kind.is_empty() {
                return Err(Unreadable);
            }
            kind = media_type(value.get(1..).unwrap_or_default());
        }
        if name
            .trim_ascii()
            .eq_ignore_ascii_case(b"content-transfer-encoding")
        {
            let how = value.get(1..).unwrap_or_default().trim_ascii();
            let plain = [&b"binary"[..], b"8bit", b"7bit"];
            if !plain.iter().any(|it| it.eq_ignore_ascii_case(how)) {
                return Err(Unreadable);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SDP: &[u8] = b"v=0\r\nm=audio 4 RTP/AVP 0";

    fn mixed(parts: &[(&str, &[u8])]) -> Vec<u8> {
        let mut body = b"preamble\r\n".to_vec();
        for (headers, content) in parts {
            body.extend_from_slice(b"--b1\r\n");
            body.extend_from_slice(headers.as_bytes());
            body.extend_from_slice(b"\r\n");
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--b1--\r\n");
        body
    }

    const SDP_PART: (&str, &[u8]) = ("Content-Type: application/sdp\r\n", SDP);
    const ISUP_PART: (&str, &[u8]) = (
        "Content-Type: application/isup;version=x\r\n",
        b"\x01\r\n--b",
    );

    #[test]
    fn the_description_is_the_body_or_one_part_of_it() {
        assert_eq!(description(b"application/sdp", SDP), Ok(Some(SDP)));
        assert_eq!(
            description(b"Application/SDP ; charset=x", SDP),
            Ok(Some(SDP))
        );
        assert_eq!(description(b"application/sdpx", SDP), Ok(None));
        assert_eq!(description(b"text/plain", SDP), Ok(None));
        assert_eq!(description(b"", SDP), Ok(None));
        for kind in [
            &b"multipart/mixed;boundary=b1"[..],
            b"Multipart/Mixed ; x=y; Boundary=\"b1\"",
            b"multipart/alternative; boundary=b1; z",
        ] {
            for parts in [
                &[SDP_PART][..],
                &[ISUP_PART, SDP_PART],
                &[SDP_PART, ISUP_PART],
            ] {
                assert_eq!(description(kind, &mixed(parts)), Ok(Some(SDP)));
            }
            assert_eq!(description(kind, &mixed(&[ISUP_PART])), Ok(None));
        }
        let without_preamble = b"--b1\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b1--";
        let kind = b"multipart/mixed;boundary=b1";
        assert_eq!(description(kind, without_preamble), Ok(Some(&b"v=0"[..])));
    }

    #[test]
    fn what_two_could_read_differently_is_unreadable() {
        let kind = b"multipart/mixed;boundary=b1";
        let nested = ("Content-Type: multipart/mixed;boundary=b2\r\n", &b"x"[..]);
        let twice = (
            "Content-Type: text/plain\r\nContent-Type: application/sdp\r\n",
            SDP,
        );
        let encoded = (
            "Content-Type: application/sdp\r\nContent-Transfer-Encoding: base64\r\n",
            &b"dj0wDQo="[..],
        );
        let torn = ("Content-Type application/sdp\r\n", SDP);
        for parts in [
            &[SDP_PART, SDP_PART][..],
            &[nested],
            &[twice],
            &[encoded],
            &[torn],
        ] {
            assert_eq!(description(kind, &mixed(parts)), Err(Unreadable));
        }
        let whole = mixed(&[SDP_PART]);
        for wrong in [
            &b"multipart/mixed"[..],
            b"multipart/mixed;boundary=",
            b"multipart/mixed;boundary=\"\"",
            b"multipart/mixed;boundary=b2",
            b"multipart/mixed;boundary=\xff",
        ] {
            assert_eq!(description(wrong, &whole), Err(Unreadable));
        }
        let open = &whole[..whole.len() - 8];
        assert_eq!(description(kind, open), Err(Unreadable));
        assert_eq!(description(kind, b"--b1"), Err(Unreadable));
        let full = vec![ISUP_PART; PARTS_MAX];
        assert_eq!(description(kind, &mixed(&full[..PARTS_MAX - 1])), Ok(None));
        assert_eq!(description(kind, &mixed(&full)), Err(Unreadable));
    }

    #[test]
    fn every_kind_of_address_is_told_apart() {
        let own = Interface {
            bind4: Some(Ipv4Addr::new(10, 0, 0, 10)),
            bind6: None,
            advertised4: Some(Ipv4Addr::new(203, 0, 113, 1)),
            advertised6: None,
            ports: 20_000..=20_999,
        };
        let reader = OfferReader::new(OfferLimits::default(), &[own]);
        for (kind, addresses) in [
            (
                AddressKind::Public,
                &[
                    "198.51.100.1",
                    "2001:db8::1",
                    "phone.example.com",
                    "100.128.0.1",
                ][..],
            ),
            (
                AddressKind::Private,
                &[
                    "10.0.0.11",
                    "172.16.0.1",
                    "192.168.0.1",
                    "100.64.0.1",
                    "100.127.255.255",
                    "fd00::1",
                    "::ffff:10.0.0.1",
                ],
            ),
            (
                AddressKind::Loopback,
                &["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"],
            ),
            (AddressKind::LinkLocal, &["169.254.1.1", "fe80::1"]),
            (
                AddressKind::Multicast,
                &["224.0.0.1", "239.255.255.255", "ff02::1", "255.255.255.255"],
            ),
            (AddressKind::Unspecified, &["0.0.0.0", "::", ""]),
            (
                AddressKind::Own,
                &["10.0.0.10", "203.0.113.1", "::ffff:10.0.0.10"],
            ),
        ] {
            for address in addresses {
                assert_eq!(reader.address_kind(address.as_bytes()), kind, "{address}");
            }
        }
    }
}
