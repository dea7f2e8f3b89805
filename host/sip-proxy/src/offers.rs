//! The SDP offer of a request as facts for policies (RFC 3264, RFC 8866), also where
//! it is one part of several (RFC 2046, RFC 5621).
//!
//! A body that claims to hold an offer and cannot be read is an anomaly, so that a
//! policy which wants encryption does not mistake it for a request without media.

use std::fmt;
use std::sync::Arc;

use media::{
    AddressClass, Interface, MediaLimits, OfferError, OfferLimits, Stream, Unreadable,
    find_description, read_offer,
};
use policy::{AddressKind, MediaStream, RequestFacts};
use sip_message::{Anomalies, HeaderKind};

/// Why what claims to be an offer is none that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnreadableOffer {
    /// The body, in which the description is looked for.
    Body(Unreadable),
    /// The description.
    Description(OfferError),
}

impl fmt::Display for UnreadableOffer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body(error) => write!(formatter, "SDP not found: {error}"),
            Self::Description(error) => write!(formatter, "SDP not understood: {error}"),
        }
    }
}

impl std::error::Error for UnreadableOffer {}

/// Reads offers.
#[derive(Debug, Clone)]
pub struct OfferReader {
    limits: OfferLimits,
    parts: usize,
    /// Where media is relayed: a stream to there comes back to us.
    own: Arc<[Interface]>,
}

impl OfferReader {
    /// A reader with these limits, which knows the interfaces that media is relayed at.
    pub fn new(limits: &MediaLimits, own: &[Interface]) -> Self {
        Self {
            limits: limits.offer,
            parts: limits.parts,
            own: Arc::from(own),
        }
    }

    /// Fill in what a request offers.
    ///
    /// # Errors
    /// It claims to hold an offer and cannot be read, which the facts now say too.
    pub fn read(&self, facts: &mut RequestFacts) -> Result<(), UnreadableOffer> {
        let read = self.fill(facts);
        if read.is_err() {
            facts.anomalies.insert(Anomalies::UNREADABLE_OFFER);
        }
        read
    }

    fn fill(&self, facts: &mut RequestFacts) -> Result<(), UnreadableOffer> {
        let message = Arc::clone(&facts.message);
        let body = message.body();
        if body.is_empty() {
            return Ok(());
        }
        let content_type = message.header(HeaderKind::ContentType);
        let found = find_description(content_type, body, self.parts);
        let Some(description) = found.map_err(UnreadableOffer::Body)? else {
            return Ok(());
        };
        let streams =
            read_offer(description, &self.limits).map_err(UnreadableOffer::Description)?;
        let slice = |part: &[u8]| message.bytes().slice_ref(part);
        facts.offer = streams
            .iter()
            .map(|stream| MediaStream {
                kind: slice(stream.kind),
                protocol: slice(stream.protocol),
                encrypted: stream.encrypted,
                address: slice(stream.address),
                port: stream.port,
                address_kind: self.address_kind(stream),
            })
            .collect();
        Ok(())
    }

    fn address_kind(&self, stream: &Stream<'_>) -> AddressKind {
        let own = |address| self.own.iter().any(|interface| interface.owns(address));
        match stream.address_class(own) {
            None if stream.address.is_empty() => AddressKind::Unspecified,
            // A name is never looked up.
            None | Some(AddressClass::Public) => AddressKind::Public,
            Some(AddressClass::Private) => AddressKind::Private,
            Some(AddressClass::Loopback) => AddressKind::Loopback,
            Some(AddressClass::LinkLocal) => AddressKind::LinkLocal,
            Some(AddressClass::Multicast) => AddressKind::Multicast,
            Some(AddressClass::Unspecified) => AddressKind::Unspecified,
            Some(AddressClass::Reserved) => AddressKind::Reserved,
            Some(AddressClass::Own) => AddressKind::Own,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use policy::{Peer, Zone};
    use sip_message::{Limits, Message};
    use sip_transaction::Transport;

    use super::*;

    fn reader() -> OfferReader {
        let own = Interface {
            advertised4: Some(Ipv4Addr::new(203, 0, 113, 1)),
            ..Interface::at([10, 0, 0, 10].into(), 20_000..=20_999)
        };
        OfferReader::new(&MediaLimits::default(), &[own])
    }

    /// An INVITE with this body as its facts.
    fn read(content_type: &str, body: &str) -> RequestFacts {
        let content_type = match content_type {
            "" => String::new(),
            kind => format!("Content-Type: {kind}\r\n"),
        };
        let text = format!(
            "INVITE sip:b@example.org SIP/2.0\r\n\
             Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKabc\r\nMax-Forwards: 70\r\n\
             From: <sip:a@example.org>;tag=1\r\nTo: <sip:b@example.org>\r\nCall-ID: c1\r\n\
             CSeq: 1 INVITE\r\n{content_type}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let message = Message::parse_datagram(text.into(), &Limits::default()).unwrap();
        let peer = Peer {
            address: IpAddr::from([192, 0, 2, 7]),
            port: 5060,
            transport: Transport::Udp,
            zone: Zone::Outside,
            name: None,
            certificate: None,
            tls: None,
        };
        let mut facts = RequestFacts::new(Arc::new(message), peer);
        let read = reader().read(&mut facts);
        let unreadable = facts.anomalies.contains(Anomalies::UNREADABLE_OFFER);
        assert_eq!(read.is_err(), unreadable);
        facts
    }

    fn sdp(address: &str) -> String {
        let family = if address.contains(':') { "IP6" } else { "IP4" };
        format!(
            "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN {family} {address}\r\nt=0 0\r\n\
             m=audio 4000 RTP/AVP 0\r\n"
        )
    }

    #[test]
    fn an_offer_is_a_fact_alone_and_among_other_parts() {
        let sdp = sdp("198.51.100.1");
        let mixed = format!(
            "--b1\r\nContent-Type: application/isup\r\n\r\n\x01\r\n\
             --b1\r\nContent-Type: application/sdp\r\n\r\n{sdp}\r\n--b1--\r\n"
        );
        for (kind, body) in [
            ("application/sdp", &sdp),
            ("Application/SDP;charset=utf-8", &sdp),
            ("multipart/mixed;boundary=b1", &mixed),
        ] {
            let facts = read(kind, body);
            let [stream] = &facts.offer[..] else {
                panic!("{kind}: {:?}", facts.offer)
            };
            assert_eq!((&stream.kind[..], stream.port), (&b"audio"[..], 4000));
            assert_eq!(stream.address_kind, AddressKind::Public);
            assert!(facts.anomalies.is_empty());
        }
        assert!(read("text/plain", &sdp).offer.is_empty());
        assert!(read("application/sdp", "").anomalies.is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_an_anomaly() {
        let sdp = sdp("198.51.100.1");
        let part = format!("--b1\r\nContent-Type: application/sdp\r\n\r\n{sdp}\r\n");
        for (kind, body) in [
            ("application/sdp", "v=1\r\n".to_owned()),
            ("application/sdp", format!("{sdp}m=audio x\r\n")),
            ("multipart/mixed", sdp.clone()),
            ("multipart/mixed;boundary=b1", format!("{part}{part}--b1--")),
            ("multipart/mixed;boundary=b1", part.clone()),
        ] {
            let facts = read(kind, &body);
            assert!(facts.offer.is_empty(), "{kind}");
            assert!(
                facts.anomalies.contains(Anomalies::UNREADABLE_OFFER),
                "{kind}"
            );
        }
    }

    #[test]
    fn every_kind_of_address_is_told_apart() {
        for (address, kind) in [
            ("198.51.100.1", AddressKind::Public),
            ("2001:db8::1", AddressKind::Public),
            ("phone.example.com", AddressKind::Public),
            ("192.168.0.1", AddressKind::Private),
            ("fd00::1", AddressKind::Private),
            ("127.0.0.1", AddressKind::Loopback),
            ("fe80::1", AddressKind::LinkLocal),
            ("224.0.0.1", AddressKind::Multicast),
            ("0.0.0.0", AddressKind::Unspecified),
            ("240.0.0.1", AddressKind::Reserved),
            ("10.0.0.10", AddressKind::Own),
            ("203.0.113.1", AddressKind::Own),
        ] {
            let facts = read("application/sdp", &sdp(address));
            assert_eq!(facts.offer[0].address_kind, kind, "{address}");
        }
        let without = sdp("198.51.100.1").replace("c=IN IP4 198.51.100.1\r\n", "");
        let facts = read("application/sdp", &without);
        assert_eq!(facts.offer[0].address_kind, AddressKind::Unspecified);
    }
}
