//! Turns texts into the facts that a host would hand over.

use std::net::IpAddr;

use crate::abi::{Maybe, facts};
use crate::bindings::types::Span;
use crate::{Method, Transport, Uri, Zone};

/// The buffer that spans point into, while it grows.
#[derive(Default)]
pub(super) struct Arena(pub(super) Vec<u8>);

impl Arena {
    pub(super) fn put(&mut self, text: &[u8]) -> Span {
        let bits = |length: usize| u64::from(u32::try_from(length).unwrap_or(u32::MAX));
        let start = bits(self.0.len());
        self.0.extend_from_slice(text);
        start << 32 | bits(text.len())
    }

    pub(super) fn maybe(&mut self, text: Option<impl AsRef<[u8]>>) -> Maybe<Span> {
        text.map(|text| self.put(text.as_ref())).into()
    }

    pub(super) fn uri(&mut self, text: &str) -> facts::Uri {
        let Some(uri) = Uri::parse(text.as_bytes()) else {
            panic!("`{text}` is no URI: a host would have refused the message");
        };
        facts::Uri {
            scheme: uri.scheme(),
            whole: self.put(uri.whole()),
            user: self.maybe(uri.user()),
            host: self.put(uri.host()),
            port: uri.port().into(),
            params: self.put(uri.params()),
        }
    }

    pub(super) fn peer(&mut self, sender: &Sender) -> facts::Peer {
        facts::Peer {
            address: match sender.address.to_canonical() {
                IpAddr::V4(address) => facts::Address::Ipv4(address.octets()),
                IpAddr::V6(address) => facts::Address::Ipv6(address.segments()),
            },
            port: sender.port,
            transport: sender.transport,
            zone: sender.zone,
            name: self.maybe(sender.name.as_ref()),
            certificate: sender
                .certificate
                .as_ref()
                .map(|certificate| facts::Certificate {
                    names: self.put(certificate.names.as_bytes()),
                    fingerprint: self.put(certificate.fingerprint.as_bytes()),
                    issuer: self.put(certificate.issuer.as_bytes()),
                })
                .into(),
        }
    }
}

/// Who sends.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    pub(super) address: IpAddr,
    pub(super) port: u16,
    pub(super) transport: Transport,
    pub(super) zone: Zone,
    pub(super) name: Option<String>,
    pub(super) certificate: Option<Certificate>,
}

/// A verified client certificate.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    pub(super) names: String,
    pub(super) fingerprint: String,
    pub(super) issuer: String,
}

impl Certificate {
    pub(super) fn new(names: &str) -> Self {
        Self {
            names: names.to_owned(),
            fingerprint: "00".repeat(32),
            issuer: "CN=Test CA".to_owned(),
        }
    }
}

impl Default for Sender {
    fn default() -> Self {
        Self {
            address: IpAddr::from([192, 0, 2, 1]),
            port: 5060,
            transport: Transport::Udp,
            zone: Zone::Outside,
            name: None,
            certificate: None,
        }
    }
}

/// Methods are case-sensitive: RFC 3261 section 7.1.
pub(super) fn method(name: &str) -> Method {
    match name {
        "INVITE" => Method::Invite,
        "ACK" => Method::Ack,
        "BYE" => Method::Bye,
        "CANCEL" => Method::Cancel,
        "REGISTER" => Method::Register,
        "OPTIONS" => Method::Options,
        "PRACK" => Method::Prack,
        "SUBSCRIBE" => Method::Subscribe,
        "NOTIFY" => Method::Notify,
        "PUBLISH" => Method::Publish,
        "INFO" => Method::Info,
        "REFER" => Method::Refer,
        "MESSAGE" => Method::Message,
        "UPDATE" => Method::Update,
        _ => Method::Other,
    }
}
