//! Who sends the requests that are judged, and what the proxy knows of them.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bytes::Bytes;
use policy::{Certificate, MediaStream, Peer, RequestFacts, TlsSession, Zone};
use sip_message::Message;
use sip_transaction::Transport;

/// A sender.
#[derive(Clone)]
pub(crate) struct Sender {
    pub(crate) peer: Peer,
    /// Established by plugins that are not measured.
    identity: Option<&'static str>,
    encrypted: bool,
}

impl Sender {
    /// The PBX of the four plugins: plain UDP.
    pub(crate) fn plain_pbx() -> Self {
        Self {
            peer: peer([192, 0, 2, 10], Transport::Udp, Zone::Inside, Some("pbx")),
            identity: None,
            encrypted: false,
        }
    }

    /// The PBX of `secure-trunk`, known by its certificate.
    pub(crate) fn office() -> Self {
        let mut sender = Self::by_tls([10, 0, 0, 20], Zone::Inside, Some("office"));
        sender.peer.certificate = Some(Arc::new(Certificate {
            names: vec!["pbx.example.com".to_owned()],
            fingerprint: "5e".repeat(32),
            issuer: "CN=Office CA".to_owned(),
        }));
        sender
    }

    /// Somebody at home.
    pub(crate) fn home() -> Self {
        Self::by_tls([81, 0, 0, 5], Zone::Outside, None)
    }

    /// The carrier.
    pub(crate) fn carrier() -> Self {
        Self::by_tls([198, 51, 100, 1], Zone::Outside, Some("carrier"))
    }

    /// The same, as whom a plugin before established.
    pub(crate) fn known_as(mut self, identity: Option<&'static str>) -> Self {
        self.identity = identity;
        self
    }

    fn by_tls(address: [u8; 4], zone: Zone, name: Option<&str>) -> Self {
        let mut peer = peer(address, Transport::Tls, zone, name);
        peer.tls = Some(TlsSession {
            version: "TLSv1.3",
            cipher: "TLS_AES_256_GCM_SHA384",
        });
        Self {
            peer,
            identity: None,
            encrypted: true,
        }
    }

    /// What the proxy knows of a request of this sender.
    pub(crate) fn facts(&self, message: Arc<Message>) -> RequestFacts {
        let mut facts = RequestFacts::new(message, self.peer.clone());
        facts.identity = self.identity.map(str::to_owned);
        let protocol: &'static [u8] = match self.encrypted {
            true => b"RTP/SAVP",
            false => b"RTP/AVP",
        };
        facts.offer = vec![MediaStream {
            kind: Bytes::from_static(b"audio"),
            protocol: Bytes::from_static(protocol),
            encrypted: self.encrypted,
            address: Bytes::from_static(b"192.0.2.10"),
            port: 16384,
            address_kind: policy::AddressKind::Public,
        }];
        facts
    }
}

fn peer(address: [u8; 4], transport: Transport, zone: Zone, name: Option<&str>) -> Peer {
    Peer {
        address: IpAddr::V4(Ipv4Addr::from(address)),
        port: 5060,
        transport,
        zone,
        name: name.map(Arc::from),
        certificate: None,
        tls: None,
    }
}
