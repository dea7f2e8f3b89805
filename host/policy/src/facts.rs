//! What a policy is told: the message, who sent it, and what earlier plugins
//! of the same pipeline found out.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use sip_message::{Anomalies, Message};
use sip_transaction::Transport;

/// Names one question to the policy and the answer to it. Never reused while
/// the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConsultId(u64);

impl ConsultId {
    /// Wraps a number that the asker has not used before.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ConsultId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

/// Which side of the proxy a peer is on, decided by the operator's config.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Zone {
    /// A PBX or another trusted-network peer.
    Inside,
    /// A trunk, or the Internet.
    Outside,
}

impl Zone {
    /// The name used in the config: `inside` or `outside`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inside => "inside",
            Self::Outside => "outside",
        }
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// What is proved about a TLS peer's certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// DNS names and URIs of subjectAltName, and the common name if there are
    /// none.
    pub names: Vec<String>,
    /// SHA-256 of the certificate, 64 hexadecimal digits.
    pub fingerprint: String,
    /// Distinguished name of the issuer: RFC 4514.
    pub issuer: String,
}

/// The TLS session of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsSession {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite by IANA's name.
    pub cipher: &'static str,
}

/// Who sent a message.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Source address of the datagram or connection.
    pub address: IpAddr,
    /// Source port.
    pub port: u16,
    /// The transport it came by.
    pub transport: Transport,
    /// The side of the proxy that the peer is on.
    pub zone: Zone,
    /// Name of the `[[pbx]]` or `[[trunk]]` that the source matched.
    pub name: Option<Arc<str>>,
    /// Verified client certificate.
    pub certificate: Option<Arc<Certificate>>,
    /// TLS session of the connection that it came by.
    pub tls: Option<TlsSession>,
}

/// Where the request stands in a dialog: RFC 3261 section 12.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DialogState {
    /// Outside any dialog that the host knows.
    #[default]
    None,
    /// In a dialog that has had a provisional response only.
    Early,
    /// In a confirmed dialog of a call that was admitted.
    Confirmed,
}

/// What sort of address a media stream asks to be sent to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AddressKind {
    /// A global unicast address, or a name, which is never looked up.
    Public,
    /// RFC 1918, RFC 6598 (shared) and RFC 4193 (unique local).
    Private,
    /// 127.0.0.0/8 and ::1.
    Loopback,
    /// 169.254.0.0/16 and fe80::/10.
    LinkLocal,
    /// A group of receivers: RFC 5771 and RFC 4291 section 2.7.
    Multicast,
    /// 0.0.0.0 or ::, which RFC 2543 peers write to hold a call, or no address
    /// at all.
    #[default]
    Unspecified,
    /// Set aside for other uses, and no party's address: RFC 6890.
    Reserved,
    /// An address of the proxy's own media interfaces.
    Own,
}

impl AddressKind {
    /// The case's name, as in the WIT and in logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::Loopback => "loopback",
            Self::LinkLocal => "link-local",
            Self::Multicast => "multicast",
            Self::Unspecified => "unspecified",
            Self::Reserved => "reserved",
            Self::Own => "own",
        }
    }
}

/// One media stream of an SDP offer: RFC 8866 section 5.14.
///
/// The texts are usually slices of the message they were read from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaStream {
    /// `audio`, `video`, `image`, ...
    pub kind: Bytes,
    /// `RTP/AVP`, `RTP/SAVP`, `UDP/TLS/RTP/SAVP`, ...
    pub protocol: Bytes,
    /// Keys are offered (a=crypto) or a DTLS fingerprint is.
    pub encrypted: bool,
    /// Connection address as written.
    pub address: Bytes,
    /// Port; 0 means rejected.
    pub port: u16,
    /// What sort of address `address` is.
    pub address_kind: AddressKind,
}

/// Everything the host knows about a request, parsed and bounded.
#[derive(Clone, Debug)]
pub struct RequestFacts {
    /// The request.
    pub message: Arc<Message>,
    /// Who sent it.
    pub peer: Peer,
    /// The dialog, if one is known.
    pub dialog: DialogState,
    /// Streams of the SDP offer; empty without one.
    pub offer: Vec<MediaStream>,
    /// What was odd about the message, and about how it came.
    pub anomalies: Anomalies,
    /// Identity that an earlier plugin of this pipeline established.
    pub identity: Option<String>,
    /// Points that earlier plugins of this pipeline added.
    pub score: i32,
    /// What earlier plugins of this pipeline annotated, in order.
    pub annotations: Vec<(String, String)>,
}

impl RequestFacts {
    /// Facts about a request on which no plugin has spoken: no dialog, no
    /// offer, the message's own anomalies.
    pub fn new(message: Arc<Message>, peer: Peer) -> Self {
        let anomalies = message.anomalies();
        Self {
            message,
            peer,
            dialog: DialogState::None,
            offer: Vec::new(),
            anomalies,
            identity: None,
            score: 0,
            annotations: Vec::new(),
        }
    }
}

/// What the host knows about a response.
#[derive(Clone, Debug)]
pub struct ResponseFacts {
    /// The response.
    pub message: Arc<Message>,
    /// Who answered.
    pub peer: Peer,
    /// Identity that the request's pipeline established for the caller.
    pub identity: Option<Arc<str>>,
    /// Name of the peer that the request came from.
    pub caller: Option<Arc<str>>,
}
