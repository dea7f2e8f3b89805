//! RFC 3261 section 18.1.1: a request that UDP would cut into fragments goes by TCP, to a
//! peer that takes it, and by UDP after all if no connection comes about.

use sip_message::{HeaderKind, Method};
use sip_proxy::Routing;
use sip_transaction::Transport;

use crate::harness::*;

fn with_tcp() -> Routing {
    routing_to(&[TRUNK], |trunk| trunk.large_by_tcp = true)
}

/// An INVITE with so many bytes of filling.
fn filled(net: &mut Net, bytes: usize) -> Request {
    net.invite().with("Subject", &"x".repeat(bytes))
}

fn forwarded(net: &mut Net, bytes: usize) -> Sent {
    let invite = filled(net, bytes);
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    net.expect_request(TRUNK, Method::Invite)
}

fn via(sent: &Sent) -> String {
    sent.values(HeaderKind::Via).remove(0)
}

#[test]
fn the_limit_is_that_of_the_rfc() {
    let mut net = Net::new(with_tcp());
    let empty = forwarded(&mut net, 1).transmit.bytes.len() - 1;
    for (size, transport) in [(1_300, Transport::Udp), (1_301, Transport::Tcp)] {
        let mut net = Net::new(with_tcp());
        let sent = forwarded(&mut net, size - empty);
        assert_eq!(sent.transmit.to.transport, transport, "{size}");
        assert!(via(&sent).starts_with(&format!("SIP/2.0/{} 192.0.2.1:5060", transport.name())));
    }
}

#[test]
fn the_call_goes_on_by_the_connection() {
    let mut net = Net::new(with_tcp());
    let sent = forwarded(&mut net, 1_500);
    // Both ways to us are recorded: RFC 5658.
    let routes = sent.values(HeaderKind::RecordRoute);
    assert_eq!(routes.len(), 2);
    assert!(routes[0].contains("transport=tcp"), "{routes:?}");
    net.reply(&sent, 200, "bob");
    let ok = net.expect(PBX, 200);
    let call = Established { invite: sent, ok };
    let ack = net.caller_request(&call, "ACK", 1);
    net.send(PBX, &ack.text());
    let acked = net.expect_request(TRUNK, Method::Ack);
    assert_eq!(acked.transmit.to.transport, Transport::Tcp);
}

#[test]
fn a_peer_that_does_not_say_so_gets_udp() {
    let mut net = Net::new(routing());
    let sent = forwarded(&mut net, 1_500);
    assert_eq!(sent.transmit.to.transport, Transport::Udp);
}

#[test]
fn without_a_connection_the_same_target_gets_it_by_udp() {
    let mut net = Net::new(with_tcp());
    let first = forwarded(&mut net, 1_500);
    let transaction = first.transmit.transaction.unwrap();
    net.proxy.handle_transport_error(net.now, transaction);
    net.drain();
    let second = net.expect_request(TRUNK, Method::Invite);
    assert_eq!(second.transmit.to.transport, Transport::Udp);
    assert!(via(&second).starts_with("SIP/2.0/UDP"));
    assert_ne!(first.branch(), second.branch());
    assert!(net.log.is_empty(), "{:?}", net.log);
    // A failure of that one is the target's.
    net.proxy
        .handle_transport_error(net.now, second.transmit.transaction.unwrap());
    net.drain();
    net.expect(PBX, 500);
    assert!(net.rest().at_rest(), "{:?}", net.proxy.figures());
}

#[test]
fn a_connection_that_fails_later_is_no_reason_to_repeat() {
    let mut net = Net::new(with_tcp());
    let sent = forwarded(&mut net, 1_500);
    net.reply(&sent, 180, "bob");
    net.expect(PBX, 180);
    net.proxy
        .handle_transport_error(net.now, sent.transmit.transaction.unwrap());
    net.drain();
    net.quiet();
    net.reply(&sent, 486, "bob");
    net.expect(PBX, 486);
}

#[test]
fn a_cancelled_call_is_not_tried_again() {
    let mut net = Net::new(with_tcp());
    let invite = filled(&mut net, 1_500);
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    let sent = net.expect_request(TRUNK, Method::Invite);
    let mut cancel = invite.clone();
    cancel.method = "CANCEL";
    net.send(PBX, &cancel.text());
    net.expect(PBX, 200);
    net.proxy
        .handle_transport_error(net.now, sent.transmit.transaction.unwrap());
    net.drain();
    assert!(
        net.next(PBX)
            .message
            .status()
            .is_some_and(|status| status >= 400)
    );
    net.quiet();
}

#[test]
fn a_request_within_a_call_follows_the_same_rule() {
    let mut net = Net::new(with_tcp());
    let call = net.call();
    let update = net
        .caller_request(&call, "UPDATE", 2)
        .with("Subject", &"x".repeat(1_500));
    net.send(PBX, &update.text());
    let sent = net.expect_request(TRUNK, Method::Update);
    assert_eq!(sent.transmit.to.transport, Transport::Tcp);
    net.proxy
        .handle_transport_error(net.now, sent.transmit.transaction.unwrap());
    net.drain();
    let again = net.expect_request(TRUNK, Method::Update);
    assert_eq!(again.transmit.to.transport, Transport::Udp);
    net.reply(&again, 200, "bob");
    net.expect(PBX, 200);
}
