//! RFC 3261 sections 16.4 to 16.6: where requests go, and what is written on them.

use policy::{Effect, Outcome, Zone};
use sip_message::{HeaderKind, Method};
use sip_proxy::{ListenerAddress, PeerConfig, PeerKind, Target};
use sip_transaction::{ListenerId, Transport};

use crate::harness::*;

#[test]
fn inside_goes_to_the_trunk_and_outside_to_the_pbx() {
    let mut net = Net::new(routing());
    let invite = net.invite();
    net.send(PBX, &invite.text());
    let out = net.expect_request(TRUNK, Method::Invite);
    assert_eq!(out.uri(), format!("sip:100@{TRUNK}"));
    net.forget();
    let branch = net.branch();
    let incoming = Request::new("INVITE", TRUNK, &branch)
        .call("in")
        .uri("sip:7@192.0.2.1;user=phone");
    net.send(TRUNK, &incoming.text());
    let inward = net.expect_request(PBX, Method::Invite);
    assert_eq!(inward.uri(), format!("sip:7@{PBX};user=phone"));
    assert_eq!(inward.values(HeaderKind::Via).len(), 2);
}

#[test]
fn register_and_message_are_routed_like_others() {
    let mut net = Net::new(routing());
    for (method, wire) in [("REGISTER", Method::Register), ("MESSAGE", Method::Message)] {
        let branch = net.branch();
        let request = Request::new(method, PBX, &branch)
            .uri("sip:proxy.example")
            .call(method);
        net.send(PBX, &request.text());
        let forwarded = net.expect_request(TRUNK, wire);
        assert_eq!(forwarded.uri(), format!("sip:{TRUNK}"));
        assert!(forwarded.values(HeaderKind::RecordRoute).is_empty());
        net.reply(&forwarded, 200, "bob");
        net.expect(PBX, 200);
    }
    net.quiet();
}

#[test]
fn a_policy_may_choose_the_peer() {
    let mut net = {
        let mut routing = routing();
        let spare = vec![udp(TRUNK_3)];
        routing.peers.push(PeerConfig::new(
            "spare",
            Zone::Outside,
            PeerKind::Trunk,
            spare,
        ));
        Net::new(routing)
    };
    net.policy(|_| Outcome::next("").with(Effect::Route("spare".into())));
    let invite = net.invite();
    net.send(PBX, &invite.text());
    net.expect_request(TRUNK_3, Method::Invite);
    net.policy(|_| Outcome::next("").with(Effect::Route("nobody".into())));
    let invite = net.invite().call("2");
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    net.expect(PBX, 100);
    net.expect(PBX, 500);
}

#[test]
fn config_may_send_a_peer_elsewhere() {
    let mut routing = routing();
    let mut spare = PeerConfig::new("spare", Zone::Outside, PeerKind::Trunk, vec![udp(TRUNK_3)]);
    spare.domains = vec!["spare.example".into()];
    routing.peers.push(spare);
    routing.peers[0].route_to = Some("spare".into());
    let mut net = Net::new(routing);
    let invite = net.invite();
    net.send(PBX, &invite.text());
    net.expect_request(TRUNK_3, Method::Invite);
    // A domain that a peer answers for stays in the Request-URI.
    let invite = net.invite().call("2").uri("sip:100@Spare.Example");
    net.send(PBX, &invite.text());
    assert_eq!(
        net.expect_request(TRUNK_3, Method::Invite).uri(),
        "sip:100@Spare.Example"
    );
}

#[test]
fn nobody_outside_reaches_a_trunk_by_naming_it() {
    let mut net = Net::new(routing());
    let branch = net.branch();
    let uri = format!("sip:00999@{TRUNK}");
    net.send(
        STRANGER,
        &Request::new("INVITE", STRANGER, &branch).uri(&uri).text(),
    );
    net.expect_request(PBX, Method::Invite);
    let branch = net.branch();
    let preloaded = Request::new("INVITE", STRANGER, &branch)
        .call("2")
        .with("Route", &format!("<sip:{PROXY};lr>, <sip:{TRUNK};lr>"));
    net.send(STRANGER, &preloaded.text());
    net.expect(STRANGER, 100);
    net.expect(STRANGER, 100);
    net.expect(STRANGER, 403);
    net.quiet();
}

#[test]
fn a_tel_uri_becomes_sip_for_a_static_target() {
    let mut net = Net::new(routing());
    let invite = net.invite().uri("tel:+12015550123");
    net.send(PBX, &invite.text());
    let forwarded = net.expect_request(TRUNK, Method::Invite);
    assert_eq!(
        forwarded.uri(),
        format!("sip:+12015550123@{TRUNK};user=phone")
    );
}

#[test]
fn sips_wants_an_encrypted_target() {
    let mut net = Net::new(routing());
    let invite = net.invite().uri("sips:100@proxy.example");
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    net.expect(PBX, 480);
    net.quiet();
}

#[test]
fn our_own_route_is_taken_off_and_the_next_one_followed() {
    let mut net = Net::new(routing());
    let invite = net.invite().uri("sip:100@192.0.2.77").with(
        "Route",
        &format!("<sip:{PROXY};lr>, <sip:10.0.0.99:5070;lr>"),
    );
    net.send(PBX, &invite.text());
    let forwarded = net.expect_request("10.0.0.99:5070", Method::Invite);
    assert_eq!(forwarded.uri(), "sip:100@192.0.2.77");
    assert_eq!(
        forwarded.values(HeaderKind::Route),
        ["<sip:10.0.0.99:5070;lr>"]
    );
}

#[test]
fn a_strict_router_behind_us_gets_what_it_wants() {
    let mut net = Net::new(routing());
    let invite = net
        .invite()
        .uri("sip:100@192.0.2.77")
        .with("Route", "<sip:10.0.0.99:5070>, <sip:10.0.0.98;lr>");
    net.send(PBX, &invite.text());
    let forwarded = net.expect_request("10.0.0.99:5070", Method::Invite);
    assert_eq!(forwarded.uri(), "sip:10.0.0.99:5070");
    assert_eq!(
        forwarded.values(HeaderKind::Route),
        ["<sip:10.0.0.98;lr>", "<sip:100@192.0.2.77>"]
    );
}

/// What a policy judged is what the next hop dials.
#[test]
fn no_strict_route_takes_the_place_of_the_judged_address() {
    let mut net = Net::new(routing());
    for (call, route) in [
        ("one", "<sip:900@10.0.0.99:5070>"),
        ("two", "<sip:900@10.0.0.99:5070;x=lr>"),
    ] {
        let invite = net.invite().call(call).uri("sip:100@192.0.2.77");
        let invite = invite.with("Route", route);
        net.send(PBX, &invite.text());
        net.expect(PBX, 100);
        net.expect(PBX, 403);
    }
    net.quiet();
}

#[test]
fn our_own_route_as_request_uri_hides_nothing_outside_a_dialog() {
    let mut net = Net::new(routing());
    for (call, mark) in [("one", ""), ("two", ";swm=0123456789abcdef")] {
        let invite = net
            .invite()
            .call(call)
            .uri(&format!("sip:{PROXY};lr{mark}"))
            .with("Route", "<sip:900@10.0.0.99:5070;lr>");
        net.send(PBX, &invite.text());
        net.expect(PBX, 100);
        let forwarded = net.expect_request("10.0.0.99:5070", Method::Invite);
        assert_eq!(forwarded.uri(), format!("sip:{PROXY};lr{mark}"));
        net.reply(&forwarded, 486, "bob");
        net.expect_request("10.0.0.99:5070", Method::Ack);
        net.expect(PBX, 486);
    }
}

#[test]
fn within_a_call_nobody_else_can_be_addressed() {
    let mut net = Net::new(routing());
    let call = net.call();
    let mut info = net.caller_request(&call, "INFO", 2);
    info.uri = format!("sip:900@{TRUNK}");
    net.send(PBX, &info.text());
    let forwarded = net.expect_request(TRUNK, Method::Info);
    assert_eq!(forwarded.uri(), format!("sip:callee@{TRUNK}"));
    net.reply(&forwarded, 200, "bob");
    net.expect(PBX, 200);
    let mut info = net.caller_request(&call, "INFO", 3);
    info = info.with("Route", &format!("<sip:900@{TRUNK}>"));
    net.send(PBX, &info.text());
    net.expect(PBX, 403);
    net.quiet();
}

#[test]
fn a_strict_router_before_us_is_understood() {
    let mut net = Net::new(routing());
    let call = net.call();
    let mut bye = net.caller_request(&call, "BYE", 2);
    // It put our Record-Route into the Request-URI and the remote target last.
    let ours = call.ok.values(HeaderKind::RecordRoute).remove(0);
    bye.headers.retain(|(name, _)| name != "Route");
    bye.uri = ours.trim_matches(['<', '>']).to_owned();
    let bye = bye.with("Route", &format!("<sip:callee@{TRUNK}>"));
    net.send(PBX, &bye.text());
    let forwarded = net.expect_request(TRUNK, Method::Bye);
    assert_eq!(forwarded.uri(), format!("sip:callee@{TRUNK}"));
    assert!(forwarded.values(HeaderKind::Route).is_empty());
}

#[test]
fn a_maddr_that_names_us_is_taken_off() {
    let mut net = Net::new(routing());
    let invite = net
        .invite()
        .uri("sip:100@elsewhere.example:5060;maddr=192.0.2.1;transport=udp");
    net.send(PBX, &invite.text());
    assert_eq!(
        net.expect_request(TRUNK, Method::Invite).uri(),
        format!("sip:100@{TRUNK}")
    );
}

#[test]
fn one_listener_records_one_route() {
    let mut net = Net::new(routing());
    let call = net.call();
    let routes = call.invite.values(HeaderKind::RecordRoute);
    assert_eq!(routes.len(), 1, "{routes:?}");
    assert!(
        routes[0].starts_with("<sip:192.0.2.1:5060;lr;swm="),
        "{routes:?}"
    );
}

#[test]
fn two_transports_record_two_routes() {
    let mut routing = routing();
    routing.peers[1].targets = vec![Target::new(Transport::Tcp, address(TRUNK))];
    let mut net = Net::new(routing);
    let call = {
        let invite = net.invite();
        net.send(PBX, &invite.text());
        net.expect(PBX, 100);
        let invite = net.expect_request(TRUNK, Method::Invite);
        assert_eq!(invite.transmit.to.listener, Some(ListenerId(2)));
        assert!(
            invite
                .text()
                .contains("Via: SIP/2.0/TCP 192.0.2.1:5060;branch=")
        );
        let contact = [("Contact", "<sip:callee@203.0.113.1:5060;transport=tcp>")];
        net.reply_with(&invite, 200, "bob", &contact);
        Established {
            ok: net.expect(PBX, 200),
            invite,
        }
    };
    let routes = call.invite.values(HeaderKind::RecordRoute);
    assert_eq!(routes.len(), 2, "{routes:?}");
    assert!(
        routes[0].starts_with("<sip:192.0.2.1:5060;transport=tcp;lr;swm="),
        "{routes:?}"
    );
    assert!(
        routes[1].starts_with("<sip:192.0.2.1:5060;lr;swm="),
        "{routes:?}"
    );
    // Both are ours, both come off, and the message leaves by the other listener.
    let ack = net.caller_request(&call, "ACK", 1);
    net.send(PBX, &ack.text());
    let ack = net.expect_request(TRUNK, Method::Ack);
    assert_eq!(ack.transmit.to.transport, Transport::Tcp);
    assert!(ack.values(HeaderKind::Route).is_empty());
    let bye = net.callee_request(&call, "BYE", 1);
    net.send_over(Transport::Tcp, TRUNK, &bye.text());
    let bye = net.expect_request(PBX, Method::Bye);
    assert_eq!(bye.transmit.to.transport, Transport::Udp);
}

#[test]
fn two_zones_record_two_routes() {
    let mut routing = routing();
    routing.listeners = vec![
        ListenerAddress {
            id: ListenerId(1),
            transport: Transport::Udp,
            host: "192.0.2.1".into(),
            port: 5060,
            zone: Some(Zone::Inside),
            media: None,
        },
        ListenerAddress {
            id: ListenerId(7),
            transport: Transport::Udp,
            host: "198.51.100.1".into(),
            port: 5062,
            zone: Some(Zone::Outside),
            media: None,
        },
    ];
    let mut net = Net::new(routing);
    let invite = net.invite();
    net.send(PBX, &invite.text());
    let forwarded = net.expect_request(TRUNK, Method::Invite);
    assert_eq!(forwarded.transmit.to.listener, Some(ListenerId(7)));
    let routes = forwarded.values(HeaderKind::RecordRoute);
    assert!(
        routes[0].starts_with("<sip:198.51.100.1:5062;lr;"),
        "{routes:?}"
    );
    assert!(
        routes[1].starts_with("<sip:192.0.2.1:5060;lr;"),
        "{routes:?}"
    );
}

#[test]
fn no_peer_takes_it_is_480() {
    let mut routing = routing();
    routing.peers.truncate(1);
    let mut net = Net::new(routing);
    let invite = net.invite();
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    net.expect(PBX, 480);
}

#[test]
fn the_body_and_unknown_headers_are_untouched() {
    let mut net = Net::new(routing());
    let body = "v=0\r\no=- 0 0 IN IP4 10.0.0.10\r\n";
    let text = net.invite().with("X-Odd", "a;b, c").text().replace(
        "Content-Length: 0\r\n\r\n",
        &format!(
            "Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    );
    net.send(PBX, &text);
    let forwarded = net.expect_request(TRUNK, Method::Invite);
    assert_eq!(forwarded.message.body(), body.as_bytes());
    assert!(forwarded.text().contains("\r\nX-Odd: a;b, c\r\n"));
}
