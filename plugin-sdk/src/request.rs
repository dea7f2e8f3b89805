//! What the host tells about a request: views over one buffer of text.

use crate::bindings::types::{self, RequestFacts, Span};
use crate::{AddressKind, Anomalies, Dialog, Method, Peer, Uri};

/// Where headers and body are fetched from.
#[cfg(target_arch = "wasm32")]
pub(crate) type MessageSource<'a> = &'a crate::bindings::messages::Message;
/// Where headers and body are fetched from.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) type MessageSource<'a> = &'a crate::testing::Message;

/// The buffer that spans point into.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a>(pub(crate) &'a [u8]);

impl<'a> Text<'a> {
    /// The bytes of a span; empty if it points outside, which a host never does.
    #[inline]
    pub(crate) fn at(self, span: Span) -> &'a [u8] {
        let start = (span >> 32) as usize;
        let end = start.saturating_add(span as u32 as usize);
        self.0.get(start..end).unwrap_or_default()
    }

    /// The text of a span that the host itself wrote; empty if it is not UTF-8.
    pub(crate) fn utf8(self, span: Span) -> &'a str {
        std::str::from_utf8(self.at(span)).unwrap_or_default()
    }
}

/// A request, parsed and bounded by the host.
///
/// What the accessors return is free: it has crossed into the guest already.
/// [`Request::header`], [`Request::headers`], [`Request::header_names`],
/// [`Request::body`] and [`Request::raw`] ask the host, each at about the tenth
/// of a microsecond plus a copy.
pub struct Request<'a> {
    facts: &'a RequestFacts,
    message: MessageSource<'a>,
}

impl<'a> Request<'a> {
    pub(crate) const fn new(facts: &'a RequestFacts, message: MessageSource<'a>) -> Self {
        Self { facts, message }
    }

    fn text(&self) -> Text<'a> {
        Text(&self.facts.text)
    }

    pub(crate) const fn message(&self) -> MessageSource<'a> {
        self.message
    }

    /// The method.
    #[must_use]
    pub const fn method(&self) -> Method {
        self.facts.method
    }

    /// The method as written: methods are case-sensitive.
    #[must_use]
    pub fn method_name(&self) -> &'a [u8] {
        self.text().at(self.facts.method_name)
    }

    /// The Request-URI, as an earlier plugin of the pipeline chose it, if one did.
    #[must_use]
    pub fn request_uri(&self) -> Uri<'a> {
        Uri::new(&self.facts.request_uri, self.text())
    }

    /// From (RFC 3261 section 20.20), as an earlier plugin chose it, if one did.
    #[must_use]
    pub fn from(&self) -> Party<'a> {
        Party {
            raw: &self.facts.from,
            text: self.text(),
        }
    }

    /// To (RFC 3261 section 20.39), as an earlier plugin chose it, if one did.
    #[must_use]
    pub fn to(&self) -> Party<'a> {
        Party {
            raw: &self.facts.to,
            text: self.text(),
        }
    }

    /// Call-ID.
    #[must_use]
    pub fn call_id(&self) -> &'a [u8] {
        self.text().at(self.facts.call_id)
    }

    /// User-Agent, if any.
    #[must_use]
    pub fn user_agent(&self) -> Option<&'a [u8]> {
        self.facts.user_agent.map(|span| self.text().at(span))
    }

    /// The sender.
    #[must_use]
    pub fn peer(&self) -> Peer<'a> {
        Peer::new(&self.facts.peer, self.text())
    }

    /// Where the request stands in a dialog that the host knows.
    #[must_use]
    pub const fn dialog(&self) -> Dialog {
        self.facts.dialog
    }

    /// Identity that an earlier plugin of the pipeline established.
    #[must_use]
    pub fn identity(&self) -> Option<&'a str> {
        self.facts.identity.map(|span| self.text().utf8(span))
    }

    /// The streams of the SDP offer; none without an offer.
    #[must_use]
    pub fn offer(&self) -> Offer<'a> {
        Offer {
            streams: self.facts.offer.iter(),
            text: self.text(),
        }
    }

    /// Oddities that the host saw and has already made harmless.
    #[must_use]
    pub const fn anomalies(&self) -> Anomalies {
        self.facts.anomalies
    }

    /// Points that earlier plugins of the pipeline added.
    #[must_use]
    pub const fn score(&self) -> i32 {
        self.facts.score
    }

    /// What earlier plugins of the pipeline annotated, oldest first.
    #[must_use]
    pub fn annotations(&self) -> Annotations<'a> {
        Annotations::new(self.text().utf8(self.facts.annotations))
    }

    /// The newest annotation under a key.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&'a str> {
        self.annotations().newest(key)
    }

    /// Size of the message in bytes.
    #[must_use]
    pub const fn size(&self) -> u32 {
        self.facts.size
    }

    /// First value of a header, unfolded. Names are matched without regard to
    /// case, and compact forms are found by their long name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<Vec<u8>> {
        self.message.header(name)
    }

    /// All values of a header in order, comma-joined ones apart.
    #[must_use]
    pub fn headers(&self, name: &str) -> Vec<Vec<u8>> {
        self.message.headers(name)
    }

    /// Names of all header lines in order, as written.
    #[must_use]
    pub fn header_names(&self) -> Vec<String> {
        self.message.header_names()
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        self.message.body()
    }

    /// The whole message, in the canonical form in which it is judged and
    /// forwarded: what the anomalies name has been made harmless.
    #[must_use]
    pub fn raw(&self) -> Vec<u8> {
        self.message.raw()
    }
}

/// A From or To header.
#[derive(Clone, Copy)]
pub struct Party<'a> {
    raw: &'a types::Party,
    text: Text<'a>,
}

impl<'a> Party<'a> {
    /// The address.
    #[must_use]
    pub fn uri(&self) -> Uri<'a> {
        Uri::new(&self.raw.uri, self.text)
    }

    /// The display name without its quotes.
    #[must_use]
    pub fn display(&self) -> Option<&'a [u8]> {
        self.raw.display.map(|span| self.text.at(span))
    }

    /// The tag.
    #[must_use]
    pub fn tag(&self) -> Option<&'a [u8]> {
        self.raw.tag.map(|span| self.text.at(span))
    }
}

/// Iterates over the streams of an SDP offer.
#[derive(Clone)]
pub struct Offer<'a> {
    streams: std::slice::Iter<'a, types::MediaStream>,
    text: Text<'a>,
}

impl<'a> Iterator for Offer<'a> {
    type Item = MediaStream<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let raw = self.streams.next()?;
        Some(MediaStream {
            kind: self.text.at(raw.kind),
            protocol: self.text.at(raw.protocol),
            encrypted: raw.encrypted,
            address: self.text.at(raw.address),
            port: raw.port,
            address_kind: raw.address_kind,
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.streams.size_hint()
    }
}

impl ExactSizeIterator for Offer<'_> {}

/// One media stream of an SDP offer (RFC 8866 section 5.14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaStream<'a> {
    /// `audio`, `video`, `image`, ...
    pub kind: &'a [u8],
    /// `RTP/AVP`, `RTP/SAVP`, `UDP/TLS/RTP/SAVP`, ...
    pub protocol: &'a [u8],
    /// Keys are offered or a DTLS fingerprint is.
    pub encrypted: bool,
    /// Connection address as written.
    pub address: &'a [u8],
    /// Port; 0 means rejected.
    pub port: u16,
    /// What sort of address `address` is. The host follows only public ones
    /// without question.
    pub address_kind: AddressKind,
}

/// Iterates over annotations as pairs of key and value.
#[derive(Clone)]
pub struct Annotations<'a> {
    lines: std::str::Lines<'a>,
}

impl<'a> Annotations<'a> {
    pub(crate) fn new(lines: &'a str) -> Self {
        Self {
            lines: lines.lines(),
        }
    }

    /// The value of the last one under a key.
    pub(crate) fn newest(self, key: &str) -> Option<&'a str> {
        self.filter(|(name, _)| *name == key)
            .last()
            .map(|(_, value)| value)
    }
}

impl<'a> Iterator for Annotations<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        self.lines.find_map(|line| line.split_once('='))
    }
}
