//! Who sent a message: zone and peer from listener, source and certificate; and what a
//! policy is told of it.

use std::sync::Arc;

use policy::{Certificate, DialogState, Peer, RequestFacts, TlsSession, Zone};
use sip_message::{Anomalies, Message};
use sip_transaction::Flow;

use crate::config::{PeerConfig, Routing};
use crate::forwarding::via_differs;

/// What a connection proves about whoever sends by it, beyond an address.
#[derive(Clone, Debug, Default)]
pub struct Proof {
    /// The peer's certificate, verified.
    pub certificate: Option<Arc<Certificate>>,
    /// The TLS session, with a certificate of the peer or without.
    pub tls: Option<TlsSession>,
}

/// The sender of a message, as the policy will see it. A source that matches no
/// peer has no name, and is on the listener's side, or outside.
pub fn classify(routing: &Routing, flow: &Flow, proof: Option<&Proof>) -> Peer {
    let certificate = proof.and_then(|proof| proof.certificate.as_ref());
    let listener_zone = routing
        .listener(flow.listener)
        .and_then(|listener| listener.zone);
    let best = routing
        .peers
        .iter()
        .filter(|peer| listener_zone.is_none_or(|zone| zone == peer.zone))
        .filter_map(|peer| Some((strength(peer, flow, certificate.map(Arc::as_ref))?, peer)))
        // The first one of equals, so that the order of the config decides.
        .reduce(|best, other| if other.0 > best.0 { other } else { best })
        .map(|(_, peer)| peer);
    Peer {
        address: flow.peer.ip().to_canonical(),
        port: flow.peer.port(),
        transport: flow.transport,
        zone: best.map_or(listener_zone.unwrap_or(Zone::Outside), |peer| peer.zone),
        name: best.map(|peer| Arc::clone(&peer.name)),
        certificate: certificate.cloned(),
        tls: proof.and_then(|proof| proof.tls),
    }
}

/// What a policy is told of a request, but for its offer, which an
/// [`OfferReader`](crate::OfferReader) reads.
pub fn request_facts(
    request: &Arc<Message>,
    peer: Peer,
    flow: &Flow,
    dialog: DialogState,
) -> RequestFacts {
    let mut facts = RequestFacts::new(Arc::clone(request), peer);
    facts.dialog = dialog;
    if via_differs(request, flow) {
        facts.anomalies.insert(Anomalies::VIA_MISMATCH);
    }
    facts
}

/// How strongly a peer is recognised; none if it is not. A certificate proves more
/// than an address, a longer prefix more than a shorter one.
fn strength(
    peer: &PeerConfig,
    flow: &Flow,
    certificate: Option<&Certificate>,
) -> Option<(bool, u8)> {
    let prefix = if peer.sources.is_empty() {
        None
    } else {
        Some(peer.source_prefix(flow.peer.ip().to_canonical())?)
    };
    let proved = if peer.certificate_names.is_empty() {
        false
    } else {
        let shown = &certificate?.names;
        let known = |name: &String| shown.iter().any(|other| other.eq_ignore_ascii_case(name));
        if !peer.certificate_names.iter().any(known) {
            return None;
        }
        true
    };
    (proved || prefix.is_some()).then_some((proved, prefix.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use sip_transaction::{ListenerId, Transport};

    use super::*;
    use crate::config::{ListenerAddress, PeerKind};

    const SESSION: TlsSession = TlsSession {
        version: "TLSv1.3",
        cipher: "TLS_AES_256_GCM_SHA384",
    };

    fn routing(listener_zone: Option<Zone>) -> Routing {
        let peer = |name, zone, kind, source: &str| {
            PeerConfig::new(name, zone, kind, Vec::new()).with_sources([source.parse().unwrap()])
        };
        let mut named = PeerConfig::new("vault", Zone::Outside, PeerKind::Trunk, Vec::new());
        named.certificate_names = vec!["sip.vault.example".into()];
        Routing {
            listeners: vec![ListenerAddress {
                id: ListenerId(1),
                transport: Transport::Udp,
                host: "192.0.2.1".into(),
                port: 5060,
                zone: listener_zone,
                media: None,
            }],
            peers: vec![
                peer("wide", Zone::Inside, PeerKind::Pbx, "10.0.0.0/8"),
                peer("narrow", Zone::Inside, PeerKind::Pbx, "10.1.0.0/16"),
                peer("carrier", Zone::Outside, PeerKind::Trunk, "203.0.113.0/24"),
                named,
            ],
            ..Routing::default()
        }
    }

    fn flow(source: &str) -> Flow {
        Flow {
            transport: Transport::Udp,
            listener: ListenerId(1),
            local: "192.0.2.1:5060".parse().unwrap(),
            peer: source.parse().unwrap(),
            connection: None,
        }
    }

    fn named(zone: Option<Zone>, source: &str, names: &[&str]) -> (Option<String>, Zone) {
        let proof = (!names.is_empty()).then(|| Proof {
            certificate: Some(Arc::new(Certificate {
                names: names.iter().map(|name| (*name).to_owned()).collect(),
                fingerprint: String::new(),
                issuer: String::new(),
            })),
            tls: Some(SESSION),
        });
        let peer = classify(&routing(zone), &flow(source), proof.as_ref());
        assert_eq!(peer.tls, proof.map(|_| SESSION));
        (peer.name.map(|name| name.to_string()), peer.zone)
    }

    #[test]
    fn the_longest_prefix_wins() {
        assert_eq!(
            named(None, "10.1.2.3:5060", &[]),
            (Some("narrow".into()), Zone::Inside)
        );
        assert_eq!(
            named(None, "10.2.2.3:5060", &[]),
            (Some("wide".into()), Zone::Inside)
        );
        assert_eq!(
            named(None, "[::ffff:10.2.2.3]:5060", &[]),
            (Some("wide".into()), Zone::Inside)
        );
    }

    #[test]
    fn a_certificate_outweighs_an_address() {
        let names = ["SIP.vault.example"];
        assert_eq!(
            named(None, "203.0.113.9:5061", &names),
            (Some("vault".into()), Zone::Outside)
        );
        assert_eq!(
            named(None, "198.51.100.9:5061", &["other.example"]),
            (None, Zone::Outside)
        );
    }

    #[test]
    fn an_inside_address_on_an_outside_listener_is_a_stranger() {
        assert_eq!(
            named(Some(Zone::Outside), "10.1.2.3:5060", &[]),
            (None, Zone::Outside)
        );
        assert_eq!(
            named(Some(Zone::Inside), "10.1.2.3:5060", &[]),
            (Some("narrow".into()), Zone::Inside)
        );
    }

    #[test]
    fn strangers_are_outside_unless_the_listener_says_otherwise() {
        assert_eq!(named(None, "198.51.100.9:5060", &[]), (None, Zone::Outside));
        assert_eq!(
            named(Some(Zone::Inside), "198.51.100.9:5060", &[]),
            (None, Zone::Inside)
        );
    }
}
