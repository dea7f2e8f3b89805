//! Listeners, peers, targets, timers and limits of the proxy core and the
//! transport.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use policy::Zone;
use sip_message::{Host, Uri};
use sip_proxy::{FailoverOn, ForkMode, ListenerAddress, PeerConfig, PeerKind, Routing, Target};
use sip_transaction::{TableLimits, Timers, Transport};
use transport::{OutboundTls, TransportConfig};

use super::media::terms;
use super::{AssembleError, ListenerBook, MediaBook};
use crate::config::{self, Config};

/// Everything the proxy core decides routes by. `media` is the running relay's book;
/// without one no call is anchored.
///
/// # Errors
/// A target that is no SIP URI or whose host cannot be resolved; a listener whose
/// media interface the relay was started without.
pub(crate) fn routing(
    config: &Config,
    book: &ListenerBook,
    media: Option<&MediaBook>,
) -> Result<Routing, AssembleError> {
    let mut listeners = Vec::with_capacity(config.listeners.len());
    for listener in &config.listeners {
        let place = match (media, &config.media) {
            (Some(book), Some(media)) => book.place(media, listener)?,
            _ => None,
        };
        listeners.extend(address(listener, book, place));
    }
    let kinds = [
        (&config.trunks, PeerKind::Trunk),
        (&config.pbxs, PeerKind::Pbx),
    ];
    let peers = kinds
        .into_iter()
        .flat_map(|(peers, kind)| peers.iter().map(move |written| peer(written, kind)))
        .collect::<Result<Vec<_>, _>>()?;
    let mut routing = Routing {
        listeners,
        peers,
        silent_to_strangers: !config.server.answer_strangers,
        ..Routing::default()
    };
    routing.own_domains = config
        .server
        .domains
        .iter()
        .map(|domain| domain.to_ascii_lowercase())
        .collect();
    let timers = &config.timers;
    if let Some(millis) = timers.consult_ms {
        routing.timers.consult_deadline = Duration::from_millis(millis);
    }
    if let Some(calls) = config.limits.calls {
        routing.limits.calls = calls;
    }
    if let Some(seconds) = config.limits.call_age_seconds {
        routing.limits.call_age = Duration::from_secs(seconds);
    }
    Ok(routing)
}

/// Timers of the transaction layer.
pub(crate) fn transaction_timers(config: &Config) -> Timers {
    let mut timers = Timers::default();
    let written = &config.timers;
    for (timer, millis) in [
        (&mut timers.t1, written.t1_ms),
        (&mut timers.t2, written.t2_ms),
        (&mut timers.t4, written.t4_ms),
    ] {
        if let Some(millis) = millis {
            *timer = Duration::from_millis(millis);
        }
    }
    if let Some(seconds) = written.timer_c_seconds {
        timers.c = Duration::from_secs(seconds);
    }
    timers
}

/// Ceilings of the transaction layer.
pub(crate) fn transaction_limits(config: &Config) -> TableLimits {
    let mut limits = TableLimits::default();
    limits.server = config.limits.server_transactions.unwrap_or(limits.server);
    limits.client = config.limits.client_transactions.unwrap_or(limits.client);
    limits
}

/// Ceilings of messages.
pub(crate) fn message_limits(config: &Config) -> sip_message::Limits {
    let mut limits = sip_message::Limits::default();
    limits.message_bytes = config.limits.message_bytes.unwrap_or(limits.message_bytes);
    limits.header_count = config.limits.header_count.unwrap_or(limits.header_count);
    limits
}

/// What all workers' sockets share.
pub(crate) fn transport_config(
    config: &Config,
    outbound_tls: Option<Arc<OutboundTls>>,
) -> TransportConfig {
    let mut transport = TransportConfig {
        messages: message_limits(config),
        outbound_tls,
        ..Default::default()
    };
    let written = &config.limits;
    transport.limits.inbound = written.connections.unwrap_or(transport.limits.inbound);
    transport.limits.per_peer = written
        .connections_per_peer
        .unwrap_or(transport.limits.per_peer);
    transport
}

pub(crate) fn zone(zone: config::Zone) -> Zone {
    match zone {
        config::Zone::Inside => Zone::Inside,
        config::Zone::Outside => Zone::Outside,
    }
}

pub(crate) fn transport(transport: config::Transport) -> Transport {
    match transport {
        config::Transport::Udp => Transport::Udp,
        config::Transport::Tcp => Transport::Tcp,
        config::Transport::Tls => Transport::Tls,
    }
}

fn address(
    listener: &config::Listener,
    book: &ListenerBook,
    media: Option<u16>,
) -> Option<ListenerAddress> {
    let host = listener
        .advertised
        .clone()
        .unwrap_or_else(|| match listener.bind.ip() {
            std::net::IpAddr::V6(address) => format!("[{address}]"),
            std::net::IpAddr::V4(address) => address.to_string(),
        });
    Some(ListenerAddress {
        id: book.id(listener)?,
        transport: transport(listener.transport),
        host: host.to_ascii_lowercase(),
        port: listener.bind.port(),
        zone: listener.zone.map(zone),
        media,
    })
}

fn peer(written: &config::Peer, kind: PeerKind) -> Result<PeerConfig, AssembleError> {
    let default_zone = match kind {
        PeerKind::Trunk => Zone::Outside,
        PeerKind::Pbx => Zone::Inside,
    };
    let mut targets = Vec::new();
    for (priority, text) in written.targets.iter().enumerate() {
        let priority = match written.fork {
            config::Fork::Serial => u16::try_from(priority).unwrap_or(u16::MAX),
            config::Fork::Parallel => 0,
        };
        targets.extend(resolve(&written.name, text, priority)?);
    }
    let zone = written.zone.map_or(default_zone, zone);
    let mut peer = PeerConfig::new(&written.name, zone, kind, targets)
        .with_sources(written.sources.iter().copied());
    peer.certificate_names
        .clone_from(&written.certificate_names);
    peer.domains = written
        .domains
        .iter()
        .map(|domain| domain.to_ascii_lowercase())
        .collect();
    peer.route_to = written.route_to.as_deref().map(Arc::from);
    peer.large_by_tcp = written.large_by_tcp;
    peer.media = Some(terms(written.media.as_ref()));
    peer.fork = match written.fork {
        config::Fork::Serial => ForkMode::Serial,
        config::Fork::Parallel => ForkMode::Parallel,
    };
    peer.failover = match written.failover {
        config::Failover::Unavailable => FailoverOn::Unavailable,
        config::Failover::ServerErrors => FailoverOn::ServerErrors,
        config::Failover::AnyFailure => FailoverOn::AnyFailure,
    };
    Ok(peer)
}

/// The addresses of one target URI. A host name is looked up now, by the
/// system's resolver, and again at each reload.
fn resolve(peer: &str, text: &str, priority: u16) -> Result<Vec<Target>, AssembleError> {
    let wrong = |message: String| {
        AssembleError::value(format!("peer `{peer}`: targets: `{text}`"), message)
    };
    let uri = Uri::parse(text.as_bytes())
        .map_err(|error| wrong(format!("{error}; write `sip:host:port;transport=udp`")))?;
    let transport = match uri.transport() {
        Some(name) => Transport::from_name(name)
            .filter(|transport| {
                matches!(transport, Transport::Udp | Transport::Tcp | Transport::Tls)
            })
            .ok_or_else(|| wrong("the transport is none of udp, tcp, tls".to_owned()))?,
        None if text.starts_with("sips:") => Transport::Tls,
        None => Transport::Udp,
    };
    let port = uri.port.unwrap_or(transport.default_port());
    let (addresses, name): (Vec<SocketAddr>, Option<String>) = match uri.host {
        Host::V4(address) => (vec![SocketAddr::from((address, port))], None),
        Host::V6(address) => (vec![SocketAddr::from((address, port))], None),
        Host::Name(name) => {
            let name = String::from_utf8_lossy(name).into_owned();
            let found = (name.as_str(), port)
                .to_socket_addrs()
                .map_err(|error| wrong(format!("failed to look up `{name}`: {error}")))?;
            (found.collect(), Some(name))
        }
    };
    if addresses.is_empty() {
        return Err(wrong("the host has no address".to_owned()));
    }
    Ok(addresses
        .into_iter()
        .map(|address| {
            let mut target = Target::new(transport, address);
            target.priority = priority;
            target.destination.server_name = name.as_deref().map(Arc::from);
            target.uri_host = name.as_deref().map(|name| match uri.port {
                Some(port) => Arc::from(format!("{name}:{port}")),
                None => Arc::from(name),
            });
            target
        })
        .collect())
}
