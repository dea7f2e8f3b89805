//! Which addresses are ours: for Route, Via and Request-URI (RFC 3261 sections 16.3
//! step 4, 16.4 and 16.7 step 3).

use std::net::{IpAddr, SocketAddr};

use policy::Zone;
use sip_message::{Host, Scheme, Uri, Via};
use sip_transaction::{Destination, ListenerId, Transport};

use crate::config::{ListenerAddress, Routing};
use crate::limits::RETIRED_LISTENERS;

/// A host, ready for comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
enum HostKey {
    Address(IpAddr),
    Name(Box<[u8]>),
}

impl HostKey {
    fn of(text: &str) -> Self {
        let bare = text
            .strip_prefix('[')
            .and_then(|inner| inner.strip_suffix(']'))
            .unwrap_or(text);
        bare.parse().map_or_else(
            |_| Self::Name(text.as_bytes().into()),
            |address: IpAddr| Self::Address(address.to_canonical()),
        )
    }

    fn is(&self, host: &Host<'_>) -> bool {
        match self {
            Self::Address(address) => host
                .address()
                .is_some_and(|other| other.to_canonical() == *address),
            Self::Name(name) => host.same(&Host::Name(name)),
        }
    }
}

/// One listener, ready for comparison.
#[derive(Clone, Debug)]
struct OwnListener {
    id: ListenerId,
    transport: Transport,
    host: HostKey,
    port: u16,
    zone: Option<Zone>,
}

impl OwnListener {
    fn is_like(&self, other: &Self) -> bool {
        self.transport == other.transport && self.host == other.host && self.port == other.port
    }
}

/// The hosts and ports of the listeners and the own domains.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnAddresses {
    listeners: Vec<OwnListener>,
    /// Listeners of earlier configs: calls that began then still name them in Via and
    /// Route.
    retired: Vec<OwnListener>,
    domains: Vec<HostKey>,
}

impl OwnAddresses {
    pub(crate) fn of(routing: &Routing) -> Self {
        let own = |listener: &ListenerAddress| OwnListener {
            id: listener.id,
            transport: listener.transport,
            host: HostKey::of(&listener.host),
            port: listener.port,
            zone: listener.zone,
        };
        Self {
            listeners: routing.listeners.iter().map(own).collect(),
            retired: Vec::new(),
            domains: routing
                .own_domains
                .iter()
                .map(|domain| HostKey::of(domain))
                .collect(),
        }
    }

    /// The same, and still knowing the listeners of the config before.
    pub(crate) fn after(mut self, before: &Self) -> Self {
        for listener in before.listeners.iter().chain(&before.retired) {
            let known = self.everything().any(|other| listener.is_like(other));
            if !known && self.retired.len() < RETIRED_LISTENERS {
                self.retired.push(listener.clone());
            }
        }
        self
    }

    fn everything(&self) -> impl Iterator<Item = &OwnListener> {
        self.listeners.iter().chain(&self.retired)
    }

    /// The listener that a URI names: by host, port and transport if one fits, else
    /// by host and port.
    pub(crate) fn listener_of(&self, uri: &Uri<'_>) -> Option<ListenerId> {
        if !matches!(uri.scheme, Scheme::Sip | Scheme::Sips) {
            return None;
        }
        let transport = uri_transport(uri)?;
        let port = uri.port.unwrap_or(transport.default_port());
        let mut fallback = None;
        for listener in &self.listeners {
            if listener.port == port && listener.host.is(&uri.host) {
                if listener.transport == transport {
                    return Some(listener.id);
                }
                fallback = fallback.or(Some(listener.id));
            }
        }
        fallback
    }

    /// Whether a URI names us: a listener, an own domain without a port, or the very
    /// address that the message came to.
    pub(crate) fn owns(&self, uri: &Uri<'_>, local: SocketAddr) -> bool {
        if self.listener_of(uri).is_some() {
            return true;
        }
        if !matches!(uri.scheme, Scheme::Sip | Scheme::Sips) {
            return false;
        }
        let port = uri
            .port
            .unwrap_or(uri_transport(uri).map_or(5060, Transport::default_port));
        let is_retired =
            |listener: &OwnListener| listener.port == port && listener.host.is(&uri.host);
        if self.retired.iter().any(is_retired) {
            return true;
        }
        (uri.host.address() == Some(local.ip()) && port == local.port())
            || (uri.port.is_none() && self.domains.iter().any(|domain| domain.is(&uri.host)))
    }

    /// Whether the host of a URI is ours, whatever its port: then there is nothing of
    /// the caller's in it that a target would have to see.
    pub(crate) fn owns_host(&self, uri: &Uri<'_>, local: SocketAddr) -> bool {
        uri.host.address() == Some(local.ip())
            || self
                .everything()
                .any(|listener| listener.host.is(&uri.host))
            || self.domains.iter().any(|domain| domain.is(&uri.host))
    }

    /// Whether a Via was written by us.
    pub(crate) fn wrote(&self, via: &Via<'_>) -> bool {
        let transport = Transport::from_name(via.transport);
        self.everything().any(|listener| {
            listener.host.is(&via.host)
                && listener.port
                    == via
                        .port
                        .unwrap_or(transport.map_or(5060, Transport::default_port))
        })
    }

    /// The listener to send from: the destination's own choice, else the one hinted at
    /// if it has the transport, else the first one with the transport that faces the
    /// zone, else the first one with the transport.
    pub(crate) fn listener_for(
        &self,
        destination: &Destination,
        hint: Option<ListenerId>,
        zone: Option<Zone>,
    ) -> Option<ListenerId> {
        let usable = |id: ListenerId| {
            self.listeners
                .iter()
                .any(|listener| listener.id == id && listener.transport == destination.transport)
        };
        let mut fitting = self
            .listeners
            .iter()
            .filter(|listener| listener.transport == destination.transport)
            .filter(|listener| same_family(&listener.host, destination.address));
        let first = fitting.clone().next();
        let facing = fitting.find(|listener| zone.is_some() && listener.zone == zone);
        destination
            .listener
            .filter(|id| usable(*id))
            .or(hint.filter(|id| usable(*id)))
            .or(facing.or(first).map(|listener| listener.id))
    }
}

/// A socket of one address family cannot reach the other; a name says nothing.
fn same_family(host: &HostKey, address: SocketAddr) -> bool {
    match host {
        HostKey::Address(own) => own.is_ipv4() == address.ip().to_canonical().is_ipv4(),
        HostKey::Name(_) => true,
    }
}

/// The transport that a SIP URI asks for without DNS: RFC 3263 section 4.1. None for
/// one that we do not speak.
pub(crate) fn uri_transport(uri: &Uri<'_>) -> Option<Transport> {
    let named = uri.transport().map(Transport::from_name);
    match (uri.scheme, named) {
        (_, Some(None)) => None,
        (Scheme::Sips, Some(Some(Transport::Ws | Transport::Wss))) => Some(Transport::Wss),
        (Scheme::Sips, _) => Some(Transport::Tls),
        (_, Some(named)) => named,
        (_, None) => Some(Transport::Udp),
    }
}
