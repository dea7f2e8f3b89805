//! Where the response to a request goes (RFC 3261 section 18.2.2, RFC 3581 section 4).

use std::net::{IpAddr, SocketAddr};

use sip_message::{Host, Via};

use crate::key::sent_by_port;
use crate::{Destination, Flow};

/// The way back for responses to a request that came in by `flow` with `via` on top.
///
/// - Streams: the same connection; should it be gone, the source address at the port of
///   sent-by.
/// - UDP: the source address, at the source port if the Via has `rport` (RFC 3581), else
///   at the port of sent-by.
/// - `maddr` counts only if the request itself came by multicast: otherwise it would let
///   any sender aim our responses at a third party.
///
/// The Via's own `received` and the value of its `rport` are ignored: what the transport
/// saw is the truth.
#[must_use]
pub fn response_destination(via: &Via<'_>, flow: &Flow) -> Destination {
    let address = match multicast_group(via, flow) {
        Some(group) => SocketAddr::new(group, sent_by_port(via)),
        None if !flow.transport.reliable() && via.rport.is_some() => flow.peer,
        None => SocketAddr::new(flow.peer.ip(), sent_by_port(via)),
    };
    Destination {
        address,
        ..flow.reply()
    }
}

/// What the receiver of a request must write into its top Via, be it forwarded or answered:
/// `received` and the value of `rport`.
///
/// `received` is due where sent-by is not the source address (RFC 3261 section 18.2.1) and
/// wherever the sender asked for `rport` (RFC 3581 section 4), which alone makes a port due.
#[must_use]
pub fn via_stamp(via: &Via<'_>, flow: &Flow) -> (Option<IpAddr>, Option<u16>) {
    let source = flow.peer.ip().to_canonical();
    let claimed = match via.host {
        Host::V4(address) => Some(IpAddr::V4(address)),
        Host::V6(address) => Some(IpAddr::V6(address).to_canonical()),
        Host::Name(_) => None,
    };
    let asked = via.rport.is_some();
    let received = (asked || claimed != Some(source)).then_some(source);
    (received, asked.then(|| flow.peer.port()))
}

fn multicast_group(via: &Via<'_>, flow: &Flow) -> Option<IpAddr> {
    if flow.transport.reliable() || !flow.local.ip().is_multicast() {
        return None;
    }
    let text = std::str::from_utf8(via.maddr?).ok()?;
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    bare.parse().ok().filter(IpAddr::is_multicast)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ConnectionId, ListenerId, Transport};

    fn flow(transport: Transport, local: &str) -> Flow {
        Flow {
            transport,
            listener: ListenerId(3),
            local: local.parse().unwrap(),
            peer: "192.0.2.7:40000".parse().unwrap(),
            connection: transport.reliable().then_some(ConnectionId(9)),
        }
    }

    fn address(via: &str, flow: &Flow) -> String {
        let to = response_destination(&Via::parse(via.as_bytes()).unwrap(), flow);
        assert_eq!(to.transport, flow.transport);
        assert_eq!(to.listener, Some(ListenerId(3)));
        assert_eq!(to.connection, flow.connection);
        to.address.to_string()
    }

    #[test]
    fn datagrams_go_to_sent_by_port_or_with_rport_to_the_source_port() {
        let udp = flow(Transport::Udp, "198.51.100.1:5060");
        assert_eq!(
            address("SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bKa", &udp),
            "192.0.2.7:5070"
        );
        assert_eq!(
            address("SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa", &udp),
            "192.0.2.7:5060"
        );
        assert_eq!(
            address("SIP/2.0/UDP 10.0.0.1;rport;branch=z9hG4bKa", &udp),
            "192.0.2.7:40000"
        );
        // A sender's claims about itself change nothing.
        let liar = "SIP/2.0/UDP 10.0.0.1;rport=99;received=203.0.113.5;branch=z9hG4bKa";
        assert_eq!(address(liar, &udp), "192.0.2.7:40000");
    }

    #[test]
    fn the_via_is_stamped_with_what_the_transport_saw() {
        let flow = flow(Transport::Udp, "198.51.100.1:5060");
        let stamp = |via: &str| via_stamp(&Via::parse(via.as_bytes()).unwrap(), &flow);
        let source = Some("192.0.2.7".parse().unwrap());
        assert_eq!(stamp("SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKa"), (None, None));
        assert_eq!(stamp("SIP/2.0/UDP 192.0.2.7;rport"), (source, Some(40_000)));
        assert_eq!(
            stamp("SIP/2.0/UDP 10.0.0.1;received=192.0.2.7"),
            (source, None)
        );
        assert_eq!(
            stamp("SIP/2.0/UDP pbx.example;rport=7"),
            (source, Some(40_000))
        );
        assert_eq!(stamp("SIP/2.0/UDP [::ffff:192.0.2.7]"), (None, None));
    }

    #[test]
    fn maddr_counts_for_multicast_alone() {
        let via = "SIP/2.0/UDP 10.0.0.1;maddr=224.0.1.75;branch=z9hG4bKa";
        assert_eq!(
            address(via, &flow(Transport::Udp, "198.51.100.1:5060")),
            "192.0.2.7:5060"
        );
        let group = flow(Transport::Udp, "224.0.1.75:5060");
        assert_eq!(address(via, &group), "224.0.1.75:5060");
        let victim = "SIP/2.0/UDP 10.0.0.1;maddr=203.0.113.5;branch=z9hG4bKa";
        assert_eq!(address(victim, &group), "192.0.2.7:5060");
    }

    #[test]
    fn streams_use_their_connection_and_fall_back_to_sent_by() {
        let tls = flow(Transport::Tls, "198.51.100.1:5061");
        assert_eq!(
            address("SIP/2.0/TLS pbx;branch=z9hG4bKa;rport", &tls),
            "192.0.2.7:5061"
        );
        assert_eq!(
            address("SIP/2.0/TLS pbx:5071;branch=z9hG4bKa", &tls),
            "192.0.2.7:5071"
        );
    }
}
