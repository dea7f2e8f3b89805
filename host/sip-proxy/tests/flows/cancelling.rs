//! CANCEL and Timer C: RFC 3261 sections 9, 16.6 step 11, 16.8 and 16.10.

use std::time::Duration;

use policy::Outcome;
use sip_message::Method;
use sip_proxy::EndReason;

use crate::harness::*;

fn cancel_of(invite: &Request) -> String {
    let mut cancel = invite.clone();
    cancel.method = "CANCEL";
    cancel.text()
}

#[test]
fn after_a_provisional_response_the_branch_is_cancelled_at_once() {
    let mut net = Net::new(routing());
    let invite = net.invite();
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    let forwarded = net.expect_request(TRUNK, Method::Invite);
    net.reply(&forwarded, 180, "bob");
    net.expect(PBX, 180);
    net.send(PBX, &cancel_of(&invite));
    net.expect(PBX, 200);
    let cancel = net.expect_request(TRUNK, Method::Cancel);
    assert_eq!(
        (cancel.branch(), cancel.uri()),
        (forwarded.branch(), forwarded.uri())
    );
    net.reply(&cancel, 200, "bob");
    net.reply(&forwarded, 487, "bob");
    net.expect_request(TRUNK, Method::Ack);
    net.expect(PBX, 487);
    net.quiet();
    assert_eq!(net.ended(), Some(EndReason::Cancelled));
    assert!(net.rest().at_rest(), "{:?}", net.proxy.figures());
}

#[test]
fn before_one_the_cancel_waits_for_it() {
    let mut net = Net::new(routing());
    let invite = net.invite();
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    let forwarded = net.expect_request(TRUNK, Method::Invite);
    net.send(PBX, &cancel_of(&invite));
    net.expect(PBX, 200);
    net.quiet();
    net.reply(&forwarded, 100, "");
    net.expect_request(TRUNK, Method::Cancel);
    net.reply(&forwarded, 487, "bob");
    net.expect_request(TRUNK, Method::Ack);
    net.expect(PBX, 487);
}

#[test]
fn before_the_policy_has_answered_the_invite_ends_here() {
    let mut net = Net::new(routing());
    net.slow_policy();
    let invite = net.invite();
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    net.send(PBX, &cancel_of(&invite));
    net.expect(PBX, 200);
    net.expect(PBX, 487);
    net.conclude(Outcome::next("too late"));
    net.quiet();
}

#[test]
fn a_cancel_of_nothing_is_481() {
    let mut net = Net::new(routing());
    let invite = net.invite();
    net.send(PBX, &cancel_of(&invite));
    net.expect(PBX, 481);
    net.quiet();
}

#[test]
fn a_2xx_that_crosses_a_cancel_is_forwarded() {
    let mut net = Net::new(routing());
    let invite = net.invite();
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    let forwarded = net.expect_request(TRUNK, Method::Invite);
    net.reply(&forwarded, 180, "bob");
    net.expect(PBX, 180);
    net.send(PBX, &cancel_of(&invite));
    net.expect(PBX, 200);
    net.expect_request(TRUNK, Method::Cancel);
    net.reply(&forwarded, 200, "bob");
    let ok = net.expect(PBX, 200);
    assert_eq!(ok.message.method(), Method::Invite);
    assert_eq!(net.proxy.figures().calls, 1);
}

#[test]
fn a_branch_that_never_answers_its_cancel_is_given_up() {
    let mut net = Net::new(routing());
    let invite = net.invite();
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    let forwarded = net.expect_request(TRUNK, Method::Invite);
    net.reply(&forwarded, 180, "bob");
    net.expect(PBX, 180);
    net.send(PBX, &cancel_of(&invite));
    net.expect(PBX, 200);
    net.wait(Duration::from_secs(31));
    assert!(net.ended().is_none());
    net.wait(Duration::from_secs(1));
    net.expect(PBX, 487);
    assert_eq!(net.ended(), Some(EndReason::Cancelled));
}

#[test]
fn cancel_stops_failover() {
    let mut net = Net::new(routing_to(&[TRUNK, TRUNK_2], |_| ()));
    let invite = net.invite();
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    let forwarded = net.expect_request(TRUNK, Method::Invite);
    net.send(PBX, &cancel_of(&invite));
    net.expect(PBX, 200);
    net.reply(&forwarded, 503, "a");
    net.expect_request(TRUNK, Method::Ack);
    assert!(net.next(PBX).message.status() >= Some(400));
    net.quiet();
}

#[test]
fn timer_c_cancels_what_rings_for_too_long() {
    let mut net = Net::new(routing());
    let invite = net.invite();
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    let forwarded = net.expect_request(TRUNK, Method::Invite);
    net.reply(&forwarded, 180, "bob");
    net.expect(PBX, 180);
    // A provisional response starts the timer again.
    net.wait(Duration::from_secs(180));
    net.reply(&forwarded, 180, "bob");
    net.expect(PBX, 180);
    net.wait(Duration::from_secs(184));
    net.quiet();
    net.wait(Duration::from_secs(1));
    let cancel = net.expect_request(TRUNK, Method::Cancel);
    net.reply(&cancel, 200, "bob");
    net.reply(&forwarded, 487, "bob");
    net.expect_request(TRUNK, Method::Ack);
    // Nobody upstream has cancelled: it is a timeout.
    net.expect(PBX, 408);
    assert_eq!(net.ended(), Some(EndReason::TimedOut));
    assert!(net.rest().at_rest(), "{:?}", net.proxy.figures());
}

#[test]
fn a_100_does_not_restart_timer_c() {
    let mut net = Net::new(routing());
    let invite = net.invite();
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    let forwarded = net.expect_request(TRUNK, Method::Invite);
    net.reply(&forwarded, 100, "");
    net.wait(Duration::from_secs(180));
    net.reply(&forwarded, 100, "");
    net.wait(Duration::from_secs(5));
    net.expect_request(TRUNK, Method::Cancel);
}
