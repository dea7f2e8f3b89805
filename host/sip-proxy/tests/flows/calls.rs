//! Calls that the host ends: limits on their duration, the operator, and draining.

use std::time::Duration;

use policy::{Effect, Outcome};
use sip_message::{HeaderKind, Method};
use sip_proxy::{CallEvent, CallId, EndReason};

use crate::harness::*;

fn call_id(net: &Net) -> CallId {
    net.events
        .iter()
        .find_map(|event| match event {
            CallEvent::Started { call, .. } => Some(*call),
            _ => None,
        })
        .unwrap()
}

/// Both sides get a BYE that they take for the other's; their answers stay here.
fn both_sides_get_a_bye(net: &mut Net, cseq: u32) {
    let to_trunk = net.expect_request(TRUNK, Method::Bye);
    assert_eq!(to_trunk.uri(), format!("sip:callee@{TRUNK}"));
    assert_eq!(to_trunk.message.from_tag(), Some(&b"alice"[..]));
    assert_eq!(to_trunk.message.to_tag(), Some(&b"bob"[..]));
    assert_eq!(to_trunk.message.cseq().number, cseq);
    let to_pbx = net.expect_request(PBX, Method::Bye);
    assert_eq!(to_pbx.uri(), format!("sip:alice@{PBX}"));
    assert_eq!(to_pbx.message.from_tag(), Some(&b"bob"[..]));
    assert_eq!(to_pbx.message.to_tag(), Some(&b"alice"[..]));
    for bye in [&to_trunk, &to_pbx] {
        assert_eq!(bye.message.call_id(), b"call-1");
        assert_eq!(bye.values(HeaderKind::Via).len(), 1);
    }
    net.reply(&to_trunk, 200, "bob");
    net.reply(&to_pbx, 481, "alice");
    net.quiet();
}

#[test]
fn a_limited_call_ends_when_its_time_is_up_and_not_before() {
    let mut net = Net::new(routing());
    net.policy(|_| Outcome::next("").with(Effect::LimitDuration(60)));
    net.call();
    net.wait(Duration::from_millis(59_999));
    net.quiet();
    net.wait(Duration::from_millis(1));
    both_sides_get_a_bye(&mut net, 2);
    assert_eq!(net.ended(), Some(EndReason::DurationLimit));
    assert!(net.rest().at_rest(), "{:?}", net.proxy.figures());
}

#[test]
fn the_bye_continues_the_callers_cseq() {
    let mut net = Net::new(routing());
    let call = net.call();
    let info = net.caller_request(&call, "INFO", 8);
    net.send(PBX, &info.text());
    let info = net.expect_request(TRUNK, Method::Info);
    net.reply(&info, 200, "bob");
    net.expect(PBX, 200);
    let id = call_id(&net);
    assert!(net.proxy.end_call(net.now, id, EndReason::Operator));
    net.drain();
    both_sides_get_a_bye(&mut net, 9);
    assert!(
        !net.proxy.end_call(net.now, id, EndReason::Operator),
        "it is over"
    );
}

#[test]
fn every_call_has_an_age_limit() {
    let mut routing = routing();
    routing.limits.call_age = Duration::from_secs(100);
    let mut net = Net::new(routing);
    net.policy(|_| Outcome::next("").with(Effect::LimitDuration(101)));
    net.call();
    net.wait(Duration::from_secs(99));
    assert!(net.ended().is_none());
    net.wait(Duration::from_secs(1));
    both_sides_get_a_bye(&mut net, 2);
    assert_eq!(net.ended(), Some(EndReason::AgeLimit));
}

#[test]
fn a_later_decision_may_shorten_a_call_but_not_lengthen_it() {
    let mut net = Net::new(routing());
    net.policy(|facts| {
        let seconds = match facts.message.cseq().number {
            1 => 60,
            2 => 600,
            _ => 10,
        };
        Outcome::next("").with(Effect::LimitDuration(seconds))
    });
    let call = net.call();
    for cseq in [2, 3] {
        let again = net.caller_request(&call, "INVITE", cseq);
        net.send(PBX, &again.text());
        net.expect(PBX, 100);
        let forwarded = net.expect_request(TRUNK, Method::Invite);
        net.reply(&forwarded, 200, "bob");
        net.expect(PBX, 200);
    }
    net.wait(Duration::from_secs(9));
    assert!(net.ended().is_none());
    net.wait(Duration::from_secs(1));
    both_sides_get_a_bye(&mut net, 4);
    assert_eq!(net.ended(), Some(EndReason::DurationLimit));
}

#[test]
fn ticks_come_after_the_answer_and_once_each() {
    let mut net = Net::new(routing());
    net.policy(|_| {
        let outcome = Outcome::next("").with(Effect::TickAfter(30));
        outcome.with(Effect::TickAfter(10))
    });
    net.call();
    let ticks = |net: &Net| -> Vec<u32> {
        let events = net.events.iter();
        let seconds = events.filter_map(|event| match event {
            CallEvent::Tick {
                plugin, seconds, ..
            } => {
                assert_eq!(&**plugin, "test");
                Some(*seconds)
            }
            _ => None,
        });
        seconds.collect()
    };
    net.wait(Duration::from_millis(9_999));
    assert!(ticks(&net).is_empty());
    net.wait(Duration::from_millis(1));
    assert_eq!(ticks(&net), [10]);
    let id = call_id(&net);
    let plugin = || "test".into();
    assert!(net.proxy.tick_after(net.now, id, plugin(), 20));
    assert!(
        !net.proxy.tick_after(net.now, id, plugin(), 10),
        "it has passed"
    );
    net.wait(Duration::from_secs(30));
    assert_eq!(ticks(&net), [10, 20, 30]);
    net.proxy.limit_call(net.now, id, Duration::from_secs(50));
    net.proxy.limit_call(net.now, id, Duration::from_secs(70));
    net.wait(Duration::from_millis(9_999));
    assert!(net.ended().is_none());
    net.wait(Duration::from_millis(1));
    both_sides_get_a_bye(&mut net, 2);
    assert_eq!(net.ended(), Some(EndReason::DurationLimit));
    assert!(
        !net.proxy.tick_after(net.now, id, plugin(), 99),
        "it is over"
    );
    assert!(net.rest().at_rest(), "{:?}", net.proxy.figures());
}

#[test]
fn a_call_that_rings_is_cancelled() {
    let mut net = Net::new(routing());
    let invite = net.invite();
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    let forwarded = net.expect_request(TRUNK, Method::Invite);
    net.reply(&forwarded, 180, "bob");
    net.expect(PBX, 180);
    let id = call_id(&net);
    assert!(net.proxy.end_call(net.now, id, EndReason::Operator));
    net.drain();
    net.expect_request(TRUNK, Method::Cancel);
    net.reply(&forwarded, 487, "bob");
    net.expect(PBX, 487);
    assert_eq!(net.ended(), Some(EndReason::Operator));
}

#[test]
fn a_call_that_answers_while_it_is_cancelled_is_hung_up() {
    let mut net = Net::new(routing());
    let invite = net.invite();
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    let forwarded = net.expect_request(TRUNK, Method::Invite);
    let id = call_id(&net);
    net.proxy.end_call(net.now, id, EndReason::Operator);
    net.drain();
    net.reply(&forwarded, 200, "bob");
    net.expect(PBX, 200);
    both_sides_get_a_bye(&mut net, 2);
    assert_eq!(net.ended(), Some(EndReason::Operator));
}

#[test]
fn route_sets_of_both_sides_are_respected() {
    let mut net = Net::new(routing());
    let invite = net
        .invite()
        .with("Record-Route", "<sip:10.0.0.2;lr>, <sip:10.0.0.3;lr>");
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    let forwarded = net.expect_request(TRUNK, Method::Invite);
    // Two proxies of the trunk recorded themselves above us; one is a strict router.
    let mut text = sip_message::build::Response::to(&forwarded.message, 200)
        .to_tag("bob")
        .header("Record-Route", "<sip:203.0.113.8;lr>, <sip:203.0.113.7>")
        .header("Contact", "<sip:bob@203.0.113.99>");
    for route in forwarded.message.values(HeaderKind::RecordRoute) {
        text = text.header("Record-Route", route);
    }
    let text = text.finish().unwrap();
    net.send(TRUNK, std::str::from_utf8(&text).unwrap());
    net.expect(PBX, 200);
    let id = call_id(&net);
    net.proxy.end_call(net.now, id, EndReason::Operator);
    net.drain();
    let to_trunk = net.expect_request("203.0.113.7:5060", Method::Bye);
    assert_eq!(to_trunk.uri(), "sip:203.0.113.7");
    assert_eq!(
        to_trunk.values(HeaderKind::Route),
        ["<sip:203.0.113.8;lr>", "<sip:bob@203.0.113.99>"]
    );
    let to_pbx = net.expect_request("10.0.0.2:5060", Method::Bye);
    assert_eq!(to_pbx.uri(), format!("sip:alice@{PBX}"));
    assert_eq!(
        to_pbx.values(HeaderKind::Route),
        ["<sip:10.0.0.2;lr>", "<sip:10.0.0.3;lr>"]
    );
}

#[test]
fn draining_refuses_new_calls_and_lets_old_ones_go_on() {
    let mut net = Net::new(routing());
    let call = net.call();
    net.proxy.start_drain(net.now);
    let invite = net.invite().call("new");
    net.send(PBX, &invite.text());
    let refused = net.expect(PBX, 503);
    assert_eq!(refused.values(HeaderKind::RetryAfter), ["5"]);
    let again = net.caller_request(&call, "INVITE", 2);
    net.send(PBX, &again.text());
    net.expect(PBX, 100);
    net.expect_request(TRUNK, Method::Invite);
    let bye = net.callee_request(&call, "BYE", 1);
    net.send(TRUNK, &bye.text());
    let bye = net.expect_request(PBX, Method::Bye);
    net.reply(&bye, 200, "alice");
    net.expect(TRUNK, 200);
    assert_eq!(net.ended(), Some(EndReason::Bye));
}

#[test]
fn a_swapped_config_leaves_calls_alone() {
    let mut net = Net::new(routing());
    let call = net.call();
    let mut changed = routing();
    changed.peers.clear();
    net.proxy.set_config(std::sync::Arc::new(changed));
    let invite = net.invite().call("new");
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    net.expect(PBX, 480);
    let bye = net.caller_request(&call, "BYE", 2);
    net.send(PBX, &bye.text());
    net.expect_request(TRUNK, Method::Bye);
}

#[test]
fn a_call_survives_that_its_listener_moves() {
    let mut net = Net::new(routing());
    let invite = net.invite();
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    let forwarded = net.expect_request(TRUNK, Method::Invite);
    let mut changed = routing();
    changed.listeners[0].host = "192.0.2.200".into();
    net.proxy.set_config(std::sync::Arc::new(changed));
    // The response has the old Via, the BYE the old Route.
    net.reply(&forwarded, 200, "bob");
    let call = Established {
        ok: net.expect(PBX, 200),
        invite: forwarded,
    };
    let bye = net.caller_request(&call, "BYE", 2);
    net.send(PBX, &bye.text());
    let bye = net.expect_request(TRUNK, Method::Bye);
    assert!(bye.values(HeaderKind::Route).is_empty());
    assert!(bye.text().contains("Via: SIP/2.0/UDP 192.0.2.200:5060;"));
}

#[test]
fn the_same_seed_and_inputs_make_the_same_bytes() {
    let run = || {
        let mut net = Net::new(routing());
        let call = net.call();
        (call.invite.text(), call.ok.text())
    };
    assert_eq!(run(), run());
}
