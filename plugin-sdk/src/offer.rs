//! The streams of an SDP offer.

use crate::AddressKind;
use crate::abi::facts;
use crate::request::Text;

/// Iterates over the streams of an SDP offer.
///
/// ```
/// # use sipward_plugin_sdk::testing::Request;
/// let call = Request::invite("sip:bob@example.com")
///     .offer("audio", "RTP/SAVP", true)
///     .offer("video", "RTP/AVP", false);
/// call.seen(|request| {
///     assert_eq!(request.offer().len(), 2);
///     assert!(!request.offer().all(|stream| stream.encrypted));
/// });
/// ```
#[derive(Clone)]
pub struct Offer<'a> {
    streams: core::slice::Iter<'a, facts::MediaStream>,
    text: Text<'a>,
}

impl<'a> Offer<'a> {
    pub(crate) fn new(streams: &'a [facts::MediaStream], text: Text<'a>) -> Self {
        Self {
            streams: streams.iter(),
            text,
        }
    }
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
///
/// ```
/// # use sipward_plugin_sdk::testing::Request;
/// use sipward_plugin_sdk::{AddressKind, MediaStream};
///
/// fn looks_inside(stream: &MediaStream<'_>) -> bool {
///     matches!(stream.address_kind, AddressKind::Private | AddressKind::Loopback)
/// }
///
/// let call = Request::invite("sip:bob@example.com")
///     .offer("audio", "RTP/AVP", false)
///     .offer_address("10.0.0.1", AddressKind::Private);
/// assert!(call.seen(|request| request.offer().any(|stream| looks_inside(&stream))));
/// ```
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
