//! Who sent a message.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::abi::facts;
use crate::bindings::types;
use crate::request::Text;
use crate::{Transport, Zone};

/// The sender of a message.
///
/// ```
/// # use sipward_plugin_sdk::testing::Request;
/// use sipward_plugin_sdk::{Peer, Zone};
///
/// fn stranger(peer: Peer<'_>) -> bool {
///     peer.name().is_none() && peer.zone() == Zone::Outside
/// }
///
/// assert!(Request::invite("sip:bob@example.com").seen(|request| stranger(request.peer())));
/// ```
#[derive(Clone, Copy)]
pub struct Peer<'a> {
    raw: &'a facts::Peer,
    text: Text<'a>,
}

impl<'a> Peer<'a> {
    pub(crate) const fn new(raw: &'a facts::Peer, text: Text<'a>) -> Self {
        Self { raw, text }
    }

    /// Source address of the datagram or connection. Never an IPv4-mapped one.
    /// Over UDP it is unproved: see [`Peer::address_is_proved`].
    ///
    /// ```
    /// # use sipward_plugin_sdk::{Network, testing::Request};
    /// let here: Network = "192.0.2.0/24".parse()?;
    /// let call = Request::invite("sip:bob@example.com").from_address("192.0.2.7");
    /// assert!(call.seen(|request| here.contains(request.peer().address())));
    /// # Ok::<(), sipward_plugin_sdk::NetworkError>(())
    /// ```
    #[must_use]
    pub fn address(&self) -> IpAddr {
        match self.raw.address {
            facts::Address::Ipv4(octets) => IpAddr::V4(Ipv4Addr::from_octets(octets)),
            facts::Address::Ipv6(segments) => IpAddr::V6(Ipv6Addr::from_segments(segments)),
        }
    }

    /// Source port.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::Request;
    /// let call = Request::invite("sip:bob@example.com").from_port(40_000);
    /// assert_eq!(call.seen(|request| request.peer().port()), 40_000);
    /// ```
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.raw.port
    }

    /// The transport it came by.
    ///
    /// ```
    /// # use sipward_plugin_sdk::{Transport, testing::Request};
    /// let call = Request::invite("sip:bob@example.com").transport(Transport::Wss);
    /// assert_eq!(call.seen(|request| request.peer().transport()), Transport::Wss);
    /// ```
    #[must_use]
    pub const fn transport(&self) -> Transport {
        self.raw.transport
    }

    /// True unless the transport is UDP, whose source address can be forged.
    ///
    /// ```
    /// # use sipward_plugin_sdk::{Transport, testing::Request};
    /// let call = Request::invite("sip:bob@example.com");
    /// assert!(!call.seen(|request| request.peer().address_is_proved()));
    /// assert!(call.transport(Transport::Tcp).seen(|request| request.peer().address_is_proved()));
    /// ```
    #[must_use]
    pub fn address_is_proved(&self) -> bool {
        self.raw.transport != Transport::Udp
    }

    /// True over TLS and secure WebSocket.
    ///
    /// ```
    /// # use sipward_plugin_sdk::{Transport, testing::Request};
    /// let call = Request::invite("sip:bob@example.com").transport(Transport::Tls);
    /// assert!(call.seen(|request| request.peer().is_encrypted()));
    /// ```
    #[must_use]
    pub const fn is_encrypted(&self) -> bool {
        matches!(self.raw.transport, Transport::Tls | Transport::Wss)
    }

    /// The side of the proxy that the peer is on.
    ///
    /// ```
    /// # use sipward_plugin_sdk::{Zone, testing::Request};
    /// let call = Request::invite("sip:bob@example.com").zone(Zone::Inside);
    /// assert_eq!(call.seen(|request| request.peer().zone()), Zone::Inside);
    /// ```
    #[must_use]
    pub const fn zone(&self) -> Zone {
        self.raw.zone
    }

    /// Name of the `[[pbx]]` or `[[trunk]]` that the source matched.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::Request;
    /// let call = Request::invite("sip:bob@example.com").peer_name("office");
    /// call.seen(|request| assert_eq!(request.peer().name(), Some("office")));
    /// ```
    #[must_use]
    pub fn name(&self) -> Option<&'a str> {
        self.raw.name.get().map(|span| self.text.utf8(span))
    }

    /// The verified client certificate.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::Request;
    /// let call = Request::invite("sip:bob@example.com");
    /// assert!(call.seen(|request| request.peer().certificate().is_none()));
    /// ```
    #[must_use]
    pub fn certificate(&self) -> Option<Certificate<'a>> {
        let certificate = self.raw.certificate.get()?;
        Some(Certificate {
            names: self.text.utf8(certificate.names),
            fingerprint: self.text.utf8(certificate.fingerprint),
            issuer: self.text.utf8(certificate.issuer),
        })
    }
}

/// What is proved about a TLS peer.
///
/// ```
/// # use sipward_plugin_sdk::testing::Request;
/// let call = Request::invite("sip:bob@example.com").certificate("pbx.example.com");
/// call.seen(|request| {
///     let certificate = request.peer().certificate().unwrap();
///     assert!(certificate.names().any(|name| name == "pbx.example.com"));
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Certificate<'a> {
    names: &'a str,
    fingerprint: &'a str,
    issuer: &'a str,
}

impl<'a> Certificate<'a> {
    /// DNS names and URIs of subjectAltName, and the common name if there are none.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::Request;
    /// let call = Request::invite("sip:bob@example.com").certificate("a.example.com, b.example.com");
    /// call.seen(|request| {
    ///     let certificate = request.peer().certificate().unwrap();
    ///     assert!(certificate.names().eq(["a.example.com", "b.example.com"]));
    /// });
    /// ```
    pub fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.names
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
    }

    /// SHA-256 of the certificate, 64 hexadecimal digits.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::Request;
    /// let call = Request::invite("sip:bob@example.com")
    ///     .certificate("pbx.example.com")
    ///     .certificate_fingerprint("3f".repeat(32).as_str());
    /// call.seen(|request| {
    ///     assert!(request.peer().certificate().unwrap().fingerprint().starts_with("3f3f"));
    /// });
    /// ```
    #[must_use]
    pub const fn fingerprint(&self) -> &'a str {
        self.fingerprint
    }

    /// Distinguished name of the issuer, as RFC 4514 writes it:
    /// `CN=Example CA,O=Example,C=DE`.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::Request;
    /// let call = Request::invite("sip:bob@example.com")
    ///     .certificate("pbx.example.com")
    ///     .certificate_issuer("CN=Example CA,C=DE");
    /// call.seen(|request| {
    ///     assert_eq!(request.peer().certificate().unwrap().issuer(), "CN=Example CA,C=DE");
    /// });
    /// ```
    #[must_use]
    pub const fn issuer(&self) -> &'a str {
        self.issuer
    }
}

/// An address as the host hands it over.
pub(crate) const fn from_raw(address: types::IpAddress) -> IpAddr {
    match address {
        types::IpAddress::Ipv4((a, b, c, d)) => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
        types::IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => {
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h))
        }
    }
}

/// An address as the host wants it: an IPv4-mapped one as IPv4.
pub(crate) fn to_raw(address: IpAddr) -> types::IpAddress {
    match address.to_canonical() {
        IpAddr::V4(address) => types::IpAddress::Ipv4(address.octets().into()),
        IpAddr::V6(address) => types::IpAddress::Ipv6(address.segments().into()),
    }
}
