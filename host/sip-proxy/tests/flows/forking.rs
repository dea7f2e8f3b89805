//! RFC 3261 section 16.7: forking, failover and the best response.

use std::time::Duration;

use sip_message::{HeaderKind, Method};
use sip_proxy::{EndReason, FailoverOn, ForkMode, LogEvent, PeerConfig};

use crate::harness::*;

fn invited(targets: &[&str], change: impl FnOnce(&mut PeerConfig)) -> Net {
    let mut net = Net::new(routing_to(targets, change));
    let invite = net.invite();
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    net
}

fn in_parallel(peer: &mut PeerConfig) {
    peer.fork = ForkMode::Parallel;
}

#[test]
fn a_target_that_says_503_is_followed_by_the_next() {
    let mut net = invited(&[TRUNK, TRUNK_2], |_| ());
    let first = net.expect_request(TRUNK, Method::Invite);
    net.quiet();
    net.reply(&first, 503, "a");
    net.expect_request(TRUNK, Method::Ack);
    let second = net.expect_request(TRUNK_2, Method::Invite);
    assert_eq!(second.uri(), format!("sip:100@{TRUNK_2}"));
    assert_ne!(first.branch(), second.branch());
    assert!(net.log.contains(&LogEvent::Failover {
        target: address(TRUNK),
        status: 503
    }));
    net.reply(&second, 200, "b");
    net.expect(PBX, 200);
    net.quiet();
}

#[test]
fn a_target_that_says_nothing_is_followed_by_the_next() {
    let mut net = invited(&[TRUNK, TRUNK_2], |_| ());
    net.wait(Duration::from_secs(33));
    let second = net.expect_request(TRUNK_2, Method::Invite);
    net.reply(&second, 486, "b");
    net.expect(PBX, 486);
}

#[test]
fn a_target_that_cannot_be_reached_is_followed_by_the_next() {
    let mut net = invited(&[TRUNK, TRUNK_2], |_| ());
    let first = net.expect_request(TRUNK, Method::Invite);
    net.proxy
        .handle_transport_error(net.now, first.transmit.transaction.unwrap());
    net.drain();
    net.expect_request(TRUNK_2, Method::Invite);
}

#[test]
fn a_busy_callee_is_no_reason_to_try_the_next_target() {
    let mut net = invited(&[TRUNK, TRUNK_2], |_| ());
    let first = net.expect_request(TRUNK, Method::Invite);
    net.reply(&first, 486, "a");
    net.expect_request(TRUNK, Method::Ack);
    net.expect(PBX, 486);
    net.quiet();
    assert_eq!(net.ended(), Some(EndReason::Refused { status: 486 }));
}

#[test]
fn which_errors_fail_over_is_configured() {
    for (failover, status, tries_next) in [
        (FailoverOn::Unavailable, 500, false),
        (FailoverOn::ServerErrors, 500, true),
        (FailoverOn::ServerErrors, 486, false),
        (FailoverOn::AnyFailure, 486, true),
        (FailoverOn::AnyFailure, 603, false),
    ] {
        let mut net = invited(&[TRUNK, TRUNK_2], |peer| peer.failover = failover);
        let first = net.expect_request(TRUNK, Method::Invite);
        net.reply(&first, status, "a");
        net.expect_request(TRUNK, Method::Ack);
        if tries_next {
            net.expect_request(TRUNK_2, Method::Invite);
        } else {
            net.expect(PBX, status);
        }
        net.quiet();
    }
}

#[test]
fn in_parallel_the_first_2xx_wins_and_the_others_are_cancelled() {
    let mut net = invited(&[TRUNK, TRUNK_2, TRUNK_3], in_parallel);
    let first = net.expect_request(TRUNK, Method::Invite);
    let second = net.expect_request(TRUNK_2, Method::Invite);
    let third = net.expect_request(TRUNK_3, Method::Invite);
    // The sum of the shares is what came in.
    let breadth: u32 = [&first, &second, &third]
        .iter()
        .map(|sent| {
            sent.values(HeaderKind::MaxBreadth)[0]
                .parse::<u32>()
                .unwrap()
        })
        .sum();
    assert_eq!(breadth, 60);
    net.reply(&second, 180, "b");
    net.expect(PBX, 180);
    net.reply(&first, 200, "a");
    let ok = net.expect(PBX, 200);
    assert_eq!(ok.message.to_tag(), Some(&b"a"[..]));
    // The second has rung, so it is cancelled; the third has said nothing yet.
    let cancel = net.expect_request(TRUNK_2, Method::Cancel);
    assert_eq!(cancel.branch(), second.branch());
    net.quiet();
    net.reply(&third, 100, "");
    net.expect_request(TRUNK_3, Method::Cancel);
    net.reply(&cancel, 200, "b");
    net.reply(&second, 487, "b");
    net.expect_request(TRUNK_2, Method::Ack);
    net.reply(&third, 487, "c");
    net.expect_request(TRUNK_3, Method::Ack);
    net.quiet();
}

#[test]
fn every_2xx_is_forwarded() {
    let mut net = invited(&[TRUNK, TRUNK_2], in_parallel);
    let first = net.expect_request(TRUNK, Method::Invite);
    let second = net.expect_request(TRUNK_2, Method::Invite);
    net.reply(&first, 200, "a");
    net.reply(&second, 200, "b");
    assert_eq!(net.expect(PBX, 200).message.to_tag(), Some(&b"a"[..]));
    assert_eq!(net.expect(PBX, 200).message.to_tag(), Some(&b"b"[..]));
    // And so are its repetitions.
    net.reply(&second, 200, "b");
    assert_eq!(net.expect(PBX, 200).message.to_tag(), Some(&b"b"[..]));
    net.quiet();
}

#[test]
fn a_6xx_stops_the_others_and_wins() {
    let mut net = invited(&[TRUNK, TRUNK_2], in_parallel);
    let first = net.expect_request(TRUNK, Method::Invite);
    let second = net.expect_request(TRUNK_2, Method::Invite);
    net.reply(&second, 180, "b");
    net.expect(PBX, 180);
    net.reply(&first, 603, "a");
    net.expect_request(TRUNK, Method::Ack);
    net.expect_request(TRUNK_2, Method::Cancel);
    net.quiet();
    net.reply(&second, 487, "b");
    net.expect_request(TRUNK_2, Method::Ack);
    net.expect(PBX, 603);
    net.quiet();
}

#[test]
fn challenges_of_all_branches_are_gathered() {
    let mut net = invited(&[TRUNK, TRUNK_2, TRUNK_3], in_parallel);
    let first = net.expect_request(TRUNK, Method::Invite);
    let second = net.expect_request(TRUNK_2, Method::Invite);
    let third = net.expect_request(TRUNK_3, Method::Invite);
    net.reply_with(
        &first,
        401,
        "a",
        &[("WWW-Authenticate", "Digest realm=\"a\"")],
    );
    net.reply_with(&second, 404, "b", &[]);
    net.reply_with(
        &third,
        407,
        "c",
        &[("Proxy-Authenticate", "Digest realm=\"c\"")],
    );
    let best = net.expect(PBX, 401);
    assert_eq!(
        best.values(HeaderKind::WwwAuthenticate),
        ["Digest realm=\"a\""]
    );
    assert_eq!(
        best.values(HeaderKind::ProxyAuthenticate),
        ["Digest realm=\"c\""]
    );
}

#[test]
fn a_503_of_the_last_target_is_500_upstream() {
    let mut net = invited(&[TRUNK, TRUNK_2], |_| ());
    let first = net.expect_request(TRUNK, Method::Invite);
    net.reply(&first, 503, "a");
    let second = net.expect_request(TRUNK_2, Method::Invite);
    net.reply(&second, 503, "b");
    net.expect(PBX, 500);
}

#[test]
fn a_503_of_the_only_target_of_the_only_trunk_stays_503() {
    let mut net = invited(&[TRUNK], |_| ());
    let only = net.expect_request(TRUNK, Method::Invite);
    net.reply_with(&only, 503, "a", &[("Retry-After", "9")]);
    let answer = net.expect(PBX, 503);
    assert_eq!(answer.values(HeaderKind::RetryAfter), ["9"]);
}

#[test]
fn nobody_there_is_408() {
    let mut net = invited(&[TRUNK, TRUNK_2], |_| ());
    net.wait(Duration::from_secs(70));
    net.expect(PBX, 408);
    assert_eq!(net.ended(), Some(EndReason::TimedOut));
    assert!(net.rest().at_rest(), "{:?}", net.proxy.figures());
}

#[test]
fn a_timeout_of_anything_but_invite_is_silence() {
    // RFC 4320 section 4.2.
    let mut net = Net::new(routing());
    let branch = net.branch();
    net.send(PBX, &Request::new("MESSAGE", PBX, &branch).text());
    net.wait(Duration::from_secs(40));
    while net.proxy.figures().client_transactions > 0 {
        net.wait(Duration::from_secs(1));
    }
    for _ in 0..11 {
        net.expect_request(TRUNK, Method::Message);
    }
    net.quiet();
    assert!(net.proxy.figures().at_rest(), "{:?}", net.proxy.figures());
}

#[test]
fn priority_groups_go_one_after_another() {
    let mut net = invited(&[TRUNK, TRUNK_2, TRUNK_3], |peer| {
        peer.fork = ForkMode::Parallel;
        peer.targets[2].priority = 1;
        peer.failover = FailoverOn::AnyFailure;
    });
    let first = net.expect_request(TRUNK, Method::Invite);
    let second = net.expect_request(TRUNK_2, Method::Invite);
    net.quiet();
    net.reply(&first, 404, "a");
    net.expect_request(TRUNK, Method::Ack);
    net.quiet();
    net.reply(&second, 486, "b");
    net.expect_request(TRUNK_2, Method::Ack);
    let third = net.expect_request(TRUNK_3, Method::Invite);
    net.reply(&third, 500, "c");
    net.expect(PBX, 404);
}

#[test]
fn max_breadth_1_makes_a_parallel_fork_serial() {
    let mut net = Net::new(routing_to(&[TRUNK, TRUNK_2], in_parallel));
    let invite = net.invite().with("Max-Breadth", "1");
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    let first = net.expect_request(TRUNK, Method::Invite);
    net.quiet();
    net.reply(&first, 503, "a");
    net.expect_request(TRUNK, Method::Ack);
    let second = net.expect_request(TRUNK_2, Method::Invite);
    assert_eq!(second.values(HeaderKind::MaxBreadth), ["1"]);
}

#[test]
fn responses_leave_in_the_order_in_which_they_came() {
    let mut net = invited(&[TRUNK], |_| ());
    let invite = net.expect_request(TRUNK, Method::Invite);
    for status in [180, 183, 181, 200] {
        net.reply(&invite, status, "bob");
    }
    for status in [180, 183, 181, 200] {
        net.expect(PBX, status);
    }
    // What comes after the final response stays here.
    net.reply(&invite, 180, "bob");
    net.quiet();
}

#[test]
fn a_response_that_is_nobodys_is_dropped() {
    let mut net = invited(&[TRUNK], |_| ());
    let invite = net.expect_request(TRUNK, Method::Invite);
    let mut stray = invite.clone();
    let text = invite.text().replace(&invite.branch(), "z9hG4bKforged");
    stray.message = parse(text.as_bytes());
    net.reply(&stray, 200, "evil");
    net.quiet();
    assert!(
        net.log
            .iter()
            .any(|event| matches!(event, LogEvent::Dropped { .. }))
    );
}
