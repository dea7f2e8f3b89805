//! Where a request goes: route information (RFC 3261 section 16.4), the target set
//! (16.5), and the next hop of a request that names it itself (16.6 steps 6 and 7).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use policy::{Peer, Zone};
use sip_message::{Host, Message, NameAddr, Scheme, Uri};
use sip_transaction::{Destination, Flow, ListenerId};
use smallvec::SmallVec;

use crate::config::{PeerConfig, PeerKind, Routing};
use crate::dialog::Leg;
use crate::entropy::Entropy;
use crate::forwarding::effective_uri;
use crate::own::{OwnAddresses, uri_transport};
use crate::record_route;
use crate::request_uri;
use crate::targets::{Choice, TargetSet};

/// The routing in force, and what follows from it.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) routing: Arc<Routing>,
    pub(crate) own: OwnAddresses,
}

impl Site {
    pub(crate) fn of(routing: Arc<Routing>) -> Self {
        Self {
            own: OwnAddresses::of(&routing),
            routing,
        }
    }
}

/// What remains of the route information when ours is taken off: section 16.4.
#[derive(Clone, Debug, Default)]
pub(crate) struct Approach {
    /// A Request-URI in place of the one received: that of a strict router's request,
    /// or one without a maddr that names us.
    pub(crate) request_uri: Option<Vec<u8>>,
    /// Topmost Route values that name us and are taken off.
    pub(crate) own_routes: usize,
    /// The last Route value has become the Request-URI.
    pub(crate) last_route_used: bool,
    /// One of our own values has our mark for this Call-ID: the route was recorded.
    pub(crate) marked: bool,
    /// The listener that our last own value names: the one to leave by.
    pub(crate) egress: Option<ListenerId>,
    /// URI of the first Route value that is left.
    pub(crate) next_route: Option<Vec<u8>>,
    /// That one is a strict router: section 16.6 step 6.
    pub(crate) next_is_strict: bool,
    /// No route is left, and the Request-URI names us and nobody behind us.
    pub(crate) ends_here: bool,
}

/// Takes our own route information off a request.
pub(crate) fn approach(site: &Site, entropy: &Entropy, request: &Message, flow: &Flow) -> Approach {
    let mut approach = Approach::default();
    let mut routes: SmallVec<[NameAddr<'_>; 4]> = request.routes().filter_map(Result::ok).collect();
    let received = request.request_uri();
    let mut uri = received;
    let recorded = record_route::is_marked(entropy, &received, request.call_id());
    if recorded && request.to_tag().is_some() && site.own.owns(&received, flow.local) {
        // A strict router put our Record-Route value into the Request-URI. Outside a dialog
        // nobody has a reason to, and the last Route would be an address that no policy saw.
        approach.marked = true;
        approach.egress = site.own.listener_of(&received);
        if let Some(last) = routes.pop() {
            approach.last_route_used = true;
            approach.request_uri = Some(last.uri.raw.to_vec());
            uri = last.uri;
        }
    } else if maddr_is_ours(site, &received, flow.local) {
        approach.request_uri = Some(request_uri::without_maddr(&received));
    }
    let ours = |route: &&NameAddr<'_>| site.own.owns(&route.uri, flow.local);
    for route in routes.iter().take_while(ours) {
        approach.own_routes += 1;
        approach.marked |= record_route::is_marked(entropy, &route.uri, request.call_id());
        approach.egress = site.own.listener_of(&route.uri).or(approach.egress);
    }
    match routes.get(approach.own_routes) {
        Some(next) => {
            approach.next_route = Some(next.uri.raw.to_vec());
            approach.next_is_strict = !next.uri.is_lr();
        }
        None => approach.ends_here = uri.user.is_none() && site.own.owns(&uri, flow.local),
    }
    approach
}

fn maddr_is_ours(site: &Site, uri: &Uri<'_>, local: SocketAddr) -> bool {
    let Some(maddr) = uri.maddr() else {
        return false;
    };
    let mut text = Vec::with_capacity(maddr.len() + 12);
    text.extend_from_slice(b"sip:");
    text.extend_from_slice(maddr);
    if let Some(port) = uri.port {
        text.push(b':');
        text.extend_from_slice(port.to_string().as_bytes());
    }
    Uri::parse(&text).is_ok_and(|maddr| site.own.owns(&maddr, local))
}

/// Why an admitted request has nowhere to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoRoute {
    pub(crate) status: u16,
    pub(crate) cause: &'static str,
}

/// The target set of a request outside any call: section 16.5.
///
/// A Route value that is left is followed when we recorded it, when the sender is
/// inside, or when it names a target of a peer inside: nobody outside may use us to
/// reach places that only we can reach. Then comes the policy's choice of a peer, then the
/// peer that the Request-URI names, then where the sender's requests go by config.
pub(crate) fn target_set(
    site: &Site,
    approach: &Approach,
    request_uri: &Uri<'_>,
    sender: &Peer,
    flow: &Flow,
    policy_route: Option<&str>,
) -> Result<TargetSet, NoRoute> {
    let routing = &*site.routing;
    if let Some(name) = policy_route {
        let peer = routing.peer(name).ok_or(NoRoute {
            status: 500,
            cause: "the policy routes to a peer that is not there",
        })?;
        return of_peer(site, peer, request_uri, flow);
    }
    if let Some(route) = &approach.next_route {
        return by_route(site, approach, route, sender);
    }
    if approach.marked && !approach.ends_here {
        // In a dialog that we recorded the route of, but not in a call: SUBSCRIBE.
        let destination = literal(routing, request_uri, None).ok_or(NoRoute {
            status: 480,
            cause: "the remote target has no address",
        })?;
        return Ok(TargetSet::one(Choice::literal(
            destination,
            approach.egress,
        )));
    }
    let peer = named_by(routing, request_uri, sender.zone)
        .or_else(|| {
            let name = sender.name.as_deref()?;
            routing.peer(routing.peer(name)?.route_to.as_deref()?)
        })
        .or_else(|| {
            let kind = match sender.zone {
                Zone::Inside => PeerKind::Trunk,
                Zone::Outside => PeerKind::Pbx,
            };
            routing.peers.iter().find(|peer| peer.kind == kind)
        })
        .ok_or(NoRoute {
            status: 480,
            cause: "no peer takes requests from this side",
        })?;
    of_peer(site, peer, request_uri, flow)
}

fn by_route(
    site: &Site,
    approach: &Approach,
    route: &[u8],
    sender: &Peer,
) -> Result<TargetSet, NoRoute> {
    let unreachable = NoRoute {
        status: 480,
        cause: "the next route has no address",
    };
    let uri = Uri::parse(route).map_err(|_| unreachable)?;
    if approach.next_is_strict && uri.user.is_some() {
        return Err(NoRoute {
            status: 403,
            cause: "a strict route would take the place of the address that was judged",
        });
    }
    let destination = literal(&site.routing, &uri, None).ok_or(unreachable)?;
    let configured = site.routing.peer_with_target(destination.address);
    let inside = configured.is_some_and(|peer| peer.zone == Zone::Inside);
    if !approach.marked && sender.zone == Zone::Outside && !inside {
        return Err(NoRoute {
            status: 403,
            cause: "a route from outside leads to nobody inside",
        });
    }
    let mut choice = Choice::literal(destination, approach.egress);
    choice.zone = configured.map(|peer| peer.zone);
    choice.peer = configured.map(|peer| Arc::clone(&peer.name));
    Ok(TargetSet::one(choice))
}

fn of_peer(
    site: &Site,
    peer: &PeerConfig,
    uri: &Uri<'_>,
    flow: &Flow,
) -> Result<TargetSet, NoRoute> {
    // A host that the peer answers for is its own business; ours would mean nothing to it.
    let keep_host = !site.own.owns_host(uri, flow.local) && in_domains(peer, &uri.host);
    let secure = uri.scheme == Scheme::Sips;
    let limit = site.routing.limits.targets_per_request;
    let targets = TargetSet::of_peer(peer, keep_host, secure, limit);
    if targets.is_empty() {
        let cause = if secure {
            "the peer has no encrypted target"
        } else {
            "the peer has no target"
        };
        return Err(NoRoute { status: 480, cause });
    }
    Ok(targets)
}

fn in_domains(peer: &PeerConfig, host: &Host<'_>) -> bool {
    match host {
        Host::Name(name) => peer
            .domains
            .iter()
            .any(|domain| host.same(&Host::Name(domain.as_bytes())) && !name.is_empty()),
        Host::V4(_) | Host::V6(_) => host.address().is_some_and(|address| {
            peer.domains
                .iter()
                .any(|domain| domain.parse() == Ok(address))
        }),
    }
}

/// The peer that a Request-URI names, by domain or by a target's address. From outside
/// only peers inside can be named: the way from outside to a trunk is toll fraud unless
/// the config (`route_to`) or a policy opens it.
fn named_by<'r>(routing: &'r Routing, uri: &Uri<'_>, from: Zone) -> Option<&'r PeerConfig> {
    if !matches!(uri.scheme, Scheme::Sip | Scheme::Sips) {
        return None;
    }
    let reachable = |peer: &&PeerConfig| from == Zone::Inside || peer.zone == Zone::Inside;
    let mut peers = routing.peers.iter().filter(reachable);
    peers
        .clone()
        .find(|peer| in_domains(peer, &uri.host))
        .or_else(|| {
            let host_port = uri.host_port();
            peers.find(|peer| {
                peer.targets.iter().any(|target| {
                    let address = target.destination.address;
                    let default_port = target.destination.transport.default_port();
                    let same_address = uri.host.address() == Some(address.ip())
                        && uri.port.unwrap_or(default_port) == address.port();
                    let same_host = target
                        .uri_host
                        .as_deref()
                        .is_some_and(|host| host.as_bytes().eq_ignore_ascii_case(host_port));
                    same_address || same_host
                })
            })
        })
}

/// Whether a request within a call would reach its next hop with an address that neither
/// side has given: that of a strict router which the route of the call does not have.
pub(crate) fn leads_astray(approach: &Approach, other_side: &Leg) -> bool {
    let strict = approach.next_route.as_deref();
    strict
        .filter(|_| approach.next_is_strict)
        .is_some_and(|strict| {
            let bare = |route: &[u8]| {
                let inner = route.strip_prefix(b"<").unwrap_or(route);
                inner.strip_suffix(b">").unwrap_or(inner) == strict
            };
            Uri::parse(strict).is_ok_and(|uri| uri.user.is_some())
                && !other_side.routes.iter().any(|route| bare(route))
        })
}

/// Whether a Request-URI is for another user than the one across: section 12.2.1.1.
fn names_another(uri: &Uri<'_>, other_side: &Leg) -> bool {
    Uri::parse(&other_side.remote_target).is_ok_and(|target| target.user != uri.user)
}

/// The way for a request within a call: what its Route or Request-URI says, and where
/// that says nothing that we can send to, the way the other side came by. A user agent
/// that addresses us or somebody else instead of the other's Contact gets that Contact
/// written for it: within a call no policy judges a Request-URI, and some gateways dial it.
pub(crate) fn within_call(
    site: &Site,
    approach: &mut Approach,
    request: &Message,
    flow: &Flow,
    other_side: &Leg,
) -> Choice {
    let written = effective_uri(request, approach);
    let is_ours = approach.next_route.is_none() && site.own.owns(&written, flow.local);
    if is_ours || names_another(&written, other_side) {
        approach.request_uri = Some(other_side.remote_target.to_vec());
    }
    let next = approach
        .next_route
        .as_deref()
        .and_then(|route| Uri::parse(route).ok());
    let hop = next.unwrap_or(effective_uri(request, approach));
    let destination = literal(&site.routing, &hop, Some(&other_side.destination))
        .unwrap_or_else(|| other_side.destination.clone());
    let egress = approach.egress.or(other_side.destination.listener);
    let peer = other_side.peer.as_deref();
    let peer = peer.and_then(|name| site.routing.peer(name));
    let mut choice = Choice::literal(destination, egress);
    choice.large_by_tcp = peer.is_some_and(|peer| peer.large_by_tcp);
    choice
}

/// Where a URI leads without DNS: its address, or that of a configured target which
/// goes by its name. `known` is the way that the other side is known to be at; its
/// connection is used again when the address is the same (section 18, RFC 5923).
pub(crate) fn literal(
    routing: &Routing,
    uri: &Uri<'_>,
    known: Option<&Destination>,
) -> Option<Destination> {
    let maddr = uri.maddr().and_then(parse_address);
    let Some(ip) = maddr.or_else(|| uri.host.address()) else {
        let named = |target: &&crate::config::Target| {
            let host = target
                .uri_host
                .as_deref()
                .or(target.destination.server_name.as_deref());
            host.is_some_and(|host| host.as_bytes().eq_ignore_ascii_case(uri.host_port()))
        };
        return routing
            .peers
            .iter()
            .flat_map(|peer| &peer.targets)
            .find(named)
            .map(|target| target.destination.clone());
    };
    let known = known.filter(|known| known.address.ip() == ip);
    let silent = uri.transport().is_none() && uri.scheme != Scheme::Sips;
    let transport = match known {
        Some(known) if silent => known.transport,
        _ => uri_transport(uri)?,
    };
    let address = SocketAddr::new(ip, uri.port.unwrap_or(transport.default_port()));
    let known = known.filter(|known| known.transport == transport);
    Some(Destination {
        transport,
        address,
        connection: known.and_then(|known| known.connection),
        listener: known.and_then(|known| known.listener),
        server_name: known.and_then(|known| known.server_name.clone()),
    })
}

fn parse_address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let bare = text
        .strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'))
        .unwrap_or(text);
    bare.parse().ok()
}

/// Whether to record our route: requests that create a dialog, or repeat what did
/// (section 16.6 step 4).
pub(crate) fn records_route(request: &Message) -> bool {
    use sip_message::Method;
    matches!(
        request.method(),
        Method::Invite | Method::Subscribe | Method::Refer | Method::Notify
    )
}
