//! RFC 3261 section 16.3 and RFC 5393.

use sip_message::{HeaderKind, Method};
use sip_proxy::Routing;

use crate::harness::*;

/// Scanners look for any answer, and a forged source is somebody who never asked.
#[test]
fn strangers_by_udp_hear_nothing_of_what_no_policy_is_asked_about() {
    let silent = Routing {
        silent_to_strangers: true,
        ..routing()
    };
    for (from, hears) in [(STRANGER, false), (PBX, true)] {
        let mut net = Net::new(silent.clone());
        for method in ["BYE", "CANCEL", "PRACK"] {
            let branch = net.branch();
            let request = Request::new(method, from, &branch).call(method);
            net.send(from, &request.text());
            match hears {
                true => drop(net.expect(from, 481)),
                false => net.quiet(),
            }
        }
        let branch = net.branch();
        let spent = Request::new("INVITE", from, &branch).with("Max-Forwards", "0");
        net.send(from, &spent.text());
        match hears {
            true => drop(net.expect(from, 483)),
            false => net.quiet(),
        }
        assert_eq!(net.consults.len(), 0);
    }
}

fn refused(change: impl FnOnce(Request) -> Request) -> Sent {
    let mut net = Net::new(routing());
    net.policy(|_| panic!("no policy is asked about an invalid request"));
    let invite = net.invite();
    net.send(PBX, &change(invite).text());
    let answer = net.next(PBX);
    net.quiet();
    answer
}

#[test]
fn an_unknown_scheme_is_416() {
    let answer = refused(|invite| invite.uri("mailto:alice@example.com"));
    assert_eq!(answer.message.status(), Some(416));
}

#[test]
fn max_forwards_counts_down_and_0_is_483() {
    let answer = refused(|invite| invite.with("Max-Forwards", "0"));
    assert_eq!(answer.message.status(), Some(483));
    let mut net = Net::new(routing());
    let last = net.invite().with("Max-Forwards", "1");
    net.send(PBX, &last.text());
    assert_eq!(net.next(TRUNK).message.max_forwards(), Some(0));
    let without = net.invite().call("2").with("Max-Forwards", "-");
    net.send(PBX, &without.text());
    assert_eq!(net.next(TRUNK).message.max_forwards(), Some(70));
}

#[test]
fn options_without_hops_left_are_for_us() {
    let mut net = Net::new(routing());
    let branch = net.branch();
    let options = Request::new("OPTIONS", PBX, &branch).with("Max-Forwards", "0");
    net.send(PBX, &options.text());
    net.expect(PBX, 200);
    net.quiet();
}

#[test]
fn proxy_require_is_420_with_unsupported() {
    let answer = refused(|invite| invite.with("Proxy-Require", "sec-agree, foo"));
    assert_eq!(answer.message.status(), Some(420));
    assert_eq!(
        answer.values(HeaderKind::Unsupported).join(", "),
        "sec-agree, foo"
    );
}

#[test]
fn a_request_that_comes_back_unchanged_is_a_loop() {
    let mut net = Net::new(routing());
    let invite = net.invite();
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    let forwarded = net.expect_request(TRUNK, Method::Invite);
    // The PBX's own proxy sends it round again: the same request under our Via.
    let mut again = invite.clone();
    again.via = format!(
        "SIP/2.0/UDP {PBX};branch=z9hG4bKround\r\nVia: SIP/2.0/UDP {PROXY};branch={}\r\nVia: {}",
        forwarded.branch(),
        invite.via
    );
    net.send(PBX, &again.text());
    net.expect(PBX, 482);
}

#[test]
fn a_request_that_comes_back_changed_is_a_spiral() {
    let mut net = Net::new(routing());
    let invite = net.invite();
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    let forwarded = net.expect_request(TRUNK, Method::Invite);
    let mut again = invite.clone().uri("sip:200@proxy.example");
    again.via = format!(
        "SIP/2.0/UDP {PBX};branch=z9hG4bKround\r\nVia: SIP/2.0/UDP {PROXY};branch={}\r\nVia: {}",
        forwarded.branch(),
        invite.via
    );
    net.send(PBX, &again.text());
    net.expect(PBX, 100);
    assert!(
        net.expect_request(TRUNK, Method::Invite)
            .uri()
            .starts_with("sip:200@")
    );
}

#[test]
fn a_merged_request_is_482() {
    let mut net = Net::new(routing());
    let invite = net.invite();
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    net.expect_request(TRUNK, Method::Invite);
    let mut other = invite.clone();
    other.via = format!("SIP/2.0/UDP {PBX};branch=z9hG4bKother");
    net.send(PBX, &other.text());
    net.expect(PBX, 482);
    net.quiet();
}

#[test]
fn max_breadth_is_checked() {
    for (value, status) in [("0", 440), ("many", 400)] {
        let answer = refused(|invite| invite.with("Max-Breadth", value));
        assert_eq!(answer.message.status(), Some(status), "{value}");
    }
    let mut net = Net::new(routing());
    let invite = net.invite().with("Max-Breadth", "1");
    net.send(PBX, &invite.text());
    assert_eq!(net.next(TRUNK).values(HeaderKind::MaxBreadth), ["1"]);
}

#[test]
fn the_source_is_stamped_on_what_is_forwarded_and_answered() {
    let mut net = Net::new(routing());
    let mut invite = net.invite();
    invite.via = "SIP/2.0/UDP pbx.local:5099;rport;branch=z9hG4bKnat".into();
    net.send(PBX, &invite.text());
    // RFC 3581: back to where it came from.
    let trying = net.expect(PBX, 100);
    let via = trying.message.top_via();
    assert_eq!(
        (via.received, via.rport),
        (Some(&b"10.0.0.10"[..]), Some(Some(5060)))
    );
    let forwarded = net.expect_request(TRUNK, Method::Invite);
    let below = forwarded.message.vias().nth(1).unwrap();
    assert_eq!(
        (below.received, below.rport),
        (Some(&b"10.0.0.10"[..]), Some(Some(5060)))
    );
    let anomalies = &forwarded.message;
    assert!(anomalies.top_via().rport.is_some(), "we ask for rport too");
}
