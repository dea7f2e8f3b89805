//! What one party says of each stream: RFC 8866 sections 5 and 6, RFC 3605,
//! RFC 5761, RFC 4568, RFC 8122.
//!
//! Everything is read into values. What is not understood is not carried on, but
//! for the few attributes that [`super::write`] lists.

use std::net::IpAddr;

use smallvec::SmallVec;

use super::crypto::CryptoLine;
use super::dtls::{Setup, read_fingerprint};
use super::formats::{Encoding, Payload};
use super::grammar::{self, Attribute, Item, MediaLine, fields, is_token, number};
use super::protocol::Protocol;
use super::{address, dtls};
use crate::{Fingerprint, MediaLimits, OfferError};

/// Which way media flows, as the describing party sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Direction {
    pub(crate) sends: bool,
    pub(crate) receives: bool,
}

impl Direction {
    pub(crate) const BOTH: Self = Self {
        sends: true,
        receives: true,
    };

    fn read(name: &[u8]) -> Option<Self> {
        let (sends, receives) = match name {
            b"sendrecv" => (true, true),
            b"sendonly" => (true, false),
            b"recvonly" => (false, true),
            b"inactive" => (false, false),
            _ => return None,
        };
        Some(Self { sends, receives })
    }

    pub(crate) const fn name(self) -> &'static str {
        match (self.sends, self.receives) {
            (true, true) => "sendrecv",
            (true, false) => "sendonly",
            (false, true) => "recvonly",
            (false, false) => "inactive",
        }
    }
}

/// A description whose lines are sorted by section.
#[derive(Debug, Default)]
pub(crate) struct Description<'a> {
    session: Section<'a>,
    pub(crate) sections: Vec<Section<'a>>,
}

/// The lines of one section, or of the session.
#[derive(Debug, Default)]
pub(crate) struct Section<'a> {
    pub(crate) line: Option<MediaLine<'a>>,
    number: usize,
    address: Option<&'a [u8]>,
    pub(crate) attributes: Vec<Attribute<'a>>,
    pub(crate) bandwidths: SmallVec<[(&'static str, u64); 1]>,
}

impl<'a> Description<'a> {
    pub(crate) fn read(sdp: &'a [u8], limits: &MediaLimits) -> Result<Self, OfferError> {
        let mut description = Self::default();
        grammar::read(sdp, &limits.offer, |number, item| {
            if let Item::Media(line) = item {
                description.sections.push(Section {
                    line: Some(line),
                    number,
                    ..Section::default()
                });
                return Ok(());
            }
            let section = description
                .sections
                .last_mut()
                .unwrap_or(&mut description.session);
            match item {
                Item::Connection(address) => section.address = Some(address),
                Item::Attribute(attribute) => section.attributes.push(attribute),
                Item::Bandwidth(value) => section.bandwidths.extend(bandwidth(value)),
                Item::Media(_) => {}
            }
            Ok(())
        })?;
        Ok(description)
    }

    /// Everything that is said of one stream, the session's lines included.
    pub(crate) fn streams(&self, limits: &MediaLimits) -> Result<Vec<Said>, OfferError> {
        self.sections
            .iter()
            .map(|section| Said::read(section, &self.session, limits))
            .collect()
    }
}

impl Section<'_> {
    fn values<'s>(&'s self, name: &'s [u8]) -> impl Iterator<Item = &'s [u8]> {
        self.attributes
            .iter()
            .filter(move |each| each.name == name)
            .map(|each| each.value)
    }

    fn has(&self, name: &[u8]) -> bool {
        self.attributes.iter().any(|each| each.name == name)
    }

    fn direction(&self) -> Option<Direction> {
        self.attributes
            .iter()
            .filter(|each| each.value.is_empty())
            .filter_map(|each| Direction::read(each.name))
            .next_back()
    }
}

/// What one party says of one stream. Keys in it are wiped when it is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    /// `audio`, `video`, `image`; a token.
    pub(crate) kind: SmallVec<[u8; 12]>,
    pub(crate) protocol: Protocol,
    /// 0: refused, or not wanted any more.
    pub(crate) port: u16,
    /// Several ports for one stream.
    pub(crate) layered: bool,
    /// `None` for a host name or no address.
    pub(crate) address: Option<IpAddr>,
    /// Port and address of `a=rtcp`.
    pub(crate) rtcp: Option<(u16, Option<IpAddr>)>,
    pub(crate) rtcp_mux: bool,
    /// It names feedback of RFC 4585.
    pub(crate) feedback: bool,
    pub(crate) direction: Direction,
    /// Of RTP; empty for other protocols.
    pub(crate) payloads: SmallVec<[Payload; 8]>,
    /// The formats as tokens, for protocols without payload types.
    pub(crate) tokens: SmallVec<[SmallVec<[u8; 8]>; 1]>,
    pub(crate) crypto: SmallVec<[CryptoLine; 2]>,
    pub(crate) fingerprints: Vec<Fingerprint>,
    pub(crate) setup: Option<Setup>,
}

impl Said {
    fn read(
        section: &Section<'_>,
        session: &Section<'_>,
        limits: &MediaLimits,
    ) -> Result<Self, OfferError> {
        let broken = OfferError::Media(section.number);
        let line = section.line.ok_or(broken)?;
        let named = line.protocol.split(|&byte| byte == b'/').all(is_token);
        if !is_token(line.kind) || !named || line.protocol.len() > 64 || line.kind.len() > 64 {
            return Err(broken);
        }
        let protocol = Protocol::read(line.protocol);
        let address = section.address.or(session.address).and_then(address::parse);
        let mut direction = section
            .direction()
            .or_else(|| session.direction())
            .unwrap_or(Direction::BOTH);
        // RFC 3264 section 8.4: the older way to put on hold.
        if address.is_some_and(|address| address.is_unspecified()) {
            direction.receives = false;
        }
        let mut said = Self {
            kind: SmallVec::from_slice(line.kind),
            port: line.port,
            layered: line.layered,
            address,
            rtcp: section.values(b"rtcp").last().and_then(rtcp),
            feedback: section.has(b"rtcp-fb"),
            rtcp_mux: section.has(b"rtcp-mux") || section.has(b"rtcp-mux-only"),
            direction,
            payloads: SmallVec::new(),
            tokens: SmallVec::new(),
            crypto: SmallVec::new(),
            fingerprints: Vec::new(),
            setup: None,
            protocol,
        };
        said.read_formats(section, line.formats, broken, limits)?;
        said.read_keys(section, session, limits)?;
        Ok(said)
    }

    fn read_formats(
        &mut self,
        section: &Section<'_>,
        formats: &[u8],
        broken: OfferError,
        limits: &MediaLimits,
    ) -> Result<(), OfferError> {
        let rtp = matches!(self.protocol, Protocol::Rtp(_));
        for (index, format) in fields(formats).enumerate() {
            if index >= limits.formats {
                return Err(OfferError::TooLarge("formats"));
            }
            if !is_token(format) || format.len() > 64 {
                return Err(broken);
            }
            if rtp {
                let payload_type = number(format)
                    .filter(|number| *number < 128)
                    .ok_or(broken)?;
                if !self
                    .payloads
                    .iter()
                    .any(|payload| payload.payload_type == payload_type)
                {
                    self.payloads.push(Payload::new(payload_type));
                }
            } else {
                self.tokens.push(SmallVec::from_slice(format));
            }
        }
        if self.payloads.is_empty() && self.tokens.is_empty() {
            return Err(broken);
        }
        for value in section.values(b"rtpmap") {
            let mut parts = fields(value);
            let payload_type = parts.next().and_then(number::<u8>);
            let encoding = parts.next().and_then(Encoding::read);
            let payload = self
                .payloads
                .iter_mut()
                .find(|payload| !payload.mapped && Some(payload.payload_type) == payload_type);
            if let (Some(payload), Some(encoding)) = (payload, encoding) {
                payload.encoding = Some(encoding);
                payload.mapped = true;
            }
        }
        Ok(())
    }

    fn read_keys(
        &mut self,
        section: &Section<'_>,
        session: &Section<'_>,
        limits: &MediaLimits,
    ) -> Result<(), OfferError> {
        for (index, value) in section.values(b"crypto").enumerate() {
            if index >= limits.crypto_lines {
                return Err(OfferError::TooLarge("crypto_lines"));
            }
            self.crypto.extend(CryptoLine::read(value));
        }
        // RFC 8122 section 5: a section's own fingerprints stand instead of the
        // session's.
        let source = if section.has(b"fingerprint") {
            section
        } else {
            session
        };
        for (index, value) in source.values(b"fingerprint").enumerate() {
            if index >= limits.fingerprints {
                return Err(OfferError::TooLarge("fingerprints"));
            }
            self.fingerprints.extend(read_fingerprint(value));
        }
        let setup = section
            .values(b"setup")
            .last()
            .or_else(|| session.values(b"setup").last());
        self.setup = setup.and_then(Setup::read);
        Ok(())
    }

    /// It was said that nothing is to be sent here, by the address.
    pub(crate) fn is_held_by_address(&self) -> bool {
        self.address.is_some_and(|address| address.is_unspecified())
    }

    /// There is a fingerprint that a certificate can be trusted by.
    pub(crate) fn has_strong_fingerprint(&self) -> bool {
        self.fingerprints.iter().any(dtls::is_strong)
    }
}

/// RFC 3605: `port [IN IP4|IP6 address]`.
fn rtcp(value: &[u8]) -> Option<(u16, Option<IpAddr>)> {
    let mut parts = fields(value);
    let port = parts.next().and_then(number)?;
    let address = match (parts.next(), parts.next(), parts.next()) {
        (None, ..) => None,
        (Some(b"IN"), Some(b"IP4" | b"IP6"), Some(address)) => Some(address::parse(address)?),
        _ => return None,
    };
    Some((port, address))
}

/// The kinds that limit a receiver: RFC 8866 section 5.8, RFC 3556, RFC 3890.
fn bandwidth(value: &[u8]) -> Option<(&'static str, u64)> {
    let mut parts = value.splitn(2, |&byte| byte == b':');
    let kind = parts.next()?;
    let kind = ["AS", "TIAS", "RS", "RR"]
        .into_iter()
        .find(|known| known.as_bytes() == kind)?;
    Some((kind, number(parts.next()?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(lines: &str) -> Result<Vec<Said>, OfferError> {
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n{}",
            lines.replace('\n', "\r\n")
        );
        let limits = MediaLimits::default();
        Description::read(sdp.as_bytes(), &limits)?.streams(&limits)
    }

    #[test]
    fn session_lines_count_where_a_section_has_none() {
        let streams = said(
            "c=IN IP4 192.0.2.1\na=sendonly\na=setup:actpass\nm=audio 4000 RTP/AVP 0 101\n\
             a=rtpmap:101 telephone-event/8000\nm=audio 4002 RTP/AVP 8\nc=IN IP6 2001:db8::1\n\
             a=inactive\na=rtcp:5 IN IP6 2001:db8::2\na=rtcp-mux\na=setup:passive\n",
        )
        .unwrap();
        assert_eq!(streams[0].address, Some("192.0.2.1".parse().unwrap()));
        assert_eq!(streams[0].direction.name(), "sendonly");
        assert_eq!(streams[0].setup, Some(Setup::ActPass));
        assert_eq!(streams[0].payloads.len(), 2);
        assert!(streams[0].payloads[1].mapped);
        assert_eq!(streams[1].address, Some("2001:db8::1".parse().unwrap()));
        assert_eq!(streams[1].direction.name(), "inactive");
        assert_eq!(
            streams[1].rtcp,
            Some((5, Some("2001:db8::2".parse().unwrap())))
        );
        assert_eq!(
            (streams[1].rtcp_mux, streams[1].setup),
            (true, Some(Setup::Passive))
        );
    }

    #[test]
    fn an_unspecified_address_is_hold() {
        let streams = said("c=IN IP4 0.0.0.0\nm=audio 4000 RTP/AVP 0\n").unwrap();
        assert_eq!(streams[0].direction.name(), "sendonly");
        assert!(streams[0].is_held_by_address());
    }

    #[test]
    fn a_host_name_is_no_address() {
        let streams = said("c=IN IP4 media.example.com\nm=audio 4000 RTP/AVP 0\n").unwrap();
        assert_eq!(streams[0].address, None);
    }

    #[test]
    fn media_lines_that_cannot_be_written_again_are_refused() {
        for line in [
            "m=au\tdio 4 RTP/AVP 0",
            "m=audio 4 RTP/AVP 128",
            "m=audio 4 RTP/AVP x",
            "m=audio 4 RTP/AVP  ",
            "m=audio 4 RTP//AVP 0",
            "m=image 4 udptl t\"38",
        ] {
            assert!(matches!(said(line), Err(OfferError::Media(3))), "{line}");
        }
    }

    #[test]
    fn limits_on_both_sides() {
        let formats = |count: usize| {
            let list: Vec<_> = (0..count).map(|n| (n % 128).to_string()).collect();
            said(&format!("m=audio 4 RTP/AVP {}", list.join(" "))).map(drop)
        };
        assert_eq!(formats(64), Ok(()));
        assert_eq!(formats(65), Err(OfferError::TooLarge("formats")));
        let lines = |name: &str, count: usize| {
            said(&format!(
                "m=audio 4 RTP/AVP 0\n{}",
                format!("a={name}:x\n").repeat(count)
            ))
            .map(drop)
        };
        assert_eq!(lines("crypto", 16), Ok(()));
        assert_eq!(
            lines("crypto", 17),
            Err(OfferError::TooLarge("crypto_lines"))
        );
        assert_eq!(lines("fingerprint", 8), Ok(()));
        assert_eq!(
            lines("fingerprint", 9),
            Err(OfferError::TooLarge("fingerprints"))
        );
    }

    #[test]
    fn control_addresses_and_bandwidth() {
        assert_eq!(rtcp(b"53020"), Some((53_020, None)));
        assert_eq!(rtcp(b"53020 IN IP4 host"), None);
        assert_eq!(rtcp(b"x"), None);
        assert_eq!(bandwidth(b"AS:64"), Some(("AS", 64)));
        assert_eq!(bandwidth(b"X-Y:64"), None);
        assert_eq!(bandwidth(b"AS:-1"), None);
    }
}
