//! Requests within a call: what passes, what is judged, what is refused.

use std::time::Duration;

use policy::{DialogState, Outcome};
use sip_message::{HeaderKind, Method};
use sip_proxy::{CallEvent, EndReason, LogEvent};

use sip_transaction::{ConnectionId, Flow, ListenerId, Transport};

use crate::harness::*;

#[test]
fn a_call_is_set_up_and_ended_by_the_caller() {
    let mut net = Net::new(routing());
    let call = net.call();
    assert_eq!(net.proxy.figures().calls, 1);
    net.wait(Duration::from_secs(10));
    let bye = net.caller_request(&call, "BYE", 2);
    net.send(PBX, &bye.text());
    let forwarded = net.expect_request(TRUNK, Method::Bye);
    assert_eq!(forwarded.uri(), format!("sip:callee@{TRUNK}"));
    assert!(forwarded.values(HeaderKind::Route).is_empty());
    net.reply(&forwarded, 200, "bob");
    net.expect(PBX, 200);
    net.quiet();
    assert!(matches!(
        net.events.as_slice(),
        [
            CallEvent::Started { zone: policy::Zone::Inside, .. },
            CallEvent::Answered { .. },
            CallEvent::Ended { reason: EndReason::Bye, lasted: Some(lasted), .. },
        ] if *lasted == Duration::from_secs(10)
    ));
    assert!(net.rest().at_rest(), "{:?}", net.proxy.figures());
}

#[test]
fn the_callee_may_end_it_too() {
    let mut net = Net::new(routing());
    let call = net.call();
    let bye = net.callee_request(&call, "BYE", 1);
    net.send(TRUNK, &bye.text());
    let forwarded = net.expect_request(PBX, Method::Bye);
    assert_eq!(forwarded.uri(), format!("sip:alice@{PBX}"));
    net.reply(&forwarded, 200, "alice");
    net.expect(TRUNK, 200);
    assert_eq!(net.ended(), Some(EndReason::Bye));
}

#[test]
fn a_policy_that_refuses_everything_cannot_keep_a_call_from_ending() {
    let mut net = Net::new(routing());
    let call = net.call();
    net.policy(|_| panic!("a BYE is not judged"));
    let bye = net.caller_request(&call, "BYE", 2);
    net.send(PBX, &bye.text());
    net.expect_request(TRUNK, Method::Bye);
}

#[test]
fn a_bye_that_is_challenged_does_not_end_the_call() {
    let mut net = Net::new(routing());
    let call = net.call();
    let bye = net.caller_request(&call, "BYE", 2);
    net.send(PBX, &bye.text());
    let forwarded = net.expect_request(TRUNK, Method::Bye);
    net.reply(&forwarded, 407, "bob");
    net.expect(PBX, 407);
    assert_eq!(net.proxy.figures().calls, 1);
    let again = net.caller_request(&call, "BYE", 3);
    net.send(PBX, &again.text());
    let forwarded = net.expect_request(TRUNK, Method::Bye);
    net.reply(&forwarded, 481, "bob");
    net.expect(PBX, 481);
    assert_eq!(net.ended(), Some(EndReason::Bye));
}

#[test]
fn bye_prack_and_ack_outside_any_call_go_nowhere() {
    let mut net = Net::new(routing());
    net.policy(|_| panic!("nothing to judge"));
    for method in ["BYE", "PRACK"] {
        let branch = net.branch();
        let mut request = Request::new(method, PBX, &branch).call(method);
        request.to.push_str(";tag=nobody");
        net.send(PBX, &request.text());
        net.expect(PBX, 481);
    }
    let branch = net.branch();
    net.send(PBX, &Request::new("ACK", PBX, &branch).text());
    net.quiet();
    assert!(
        net.log
            .iter()
            .any(|event| matches!(event, LogEvent::Dropped { .. }))
    );
}

#[test]
fn a_wrong_tag_is_another_dialog() {
    let mut net = Net::new(routing());
    let call = net.call();
    let mut bye = net.caller_request(&call, "BYE", 2);
    bye.to = bye.to.replace("tag=bob", "tag=eve");
    net.send(PBX, &bye.text());
    net.expect(PBX, 481);
    let mut ack = net.caller_request(&call, "ACK", 1);
    ack.from = ack.from.replace("tag=alice", "tag=eve");
    net.send(PBX, &ack.text());
    net.quiet();
}

#[test]
fn a_request_that_names_us_gets_the_remote_target() {
    let mut net = Net::new(routing());
    let call = net.call();
    let mut bye = net
        .caller_request(&call, "BYE", 2)
        .uri("sip:100@proxy.example");
    bye.headers.retain(|(name, _)| name != "Route");
    net.send(PBX, &bye.text());
    let bye = net.expect_request(TRUNK, Method::Bye);
    assert_eq!(bye.uri(), format!("sip:callee@{TRUNK}"));
}

#[test]
fn a_contact_without_an_address_is_reached_the_way_it_came() {
    let mut net = Net::new(routing());
    let mut invite = net.invite();
    invite.headers = vec![("Contact".into(), "<sip:alice@pbx.local>".into())];
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    let forwarded = net.expect_request(TRUNK, Method::Invite);
    net.reply(&forwarded, 200, "bob");
    let call = Established {
        ok: net.expect(PBX, 200),
        invite: forwarded,
    };
    let bye = net
        .callee_request(&call, "BYE", 1)
        .uri("sip:alice@pbx.local");
    net.send(TRUNK, &bye.text());
    assert_eq!(
        net.expect_request(PBX, Method::Bye).uri(),
        "sip:alice@pbx.local"
    );
}

#[test]
fn a_repeated_ack_keeps_its_branch() {
    let mut net = Net::new(routing());
    let call = net.call();
    let ack = net.caller_request(&call, "ACK", 1);
    net.send(PBX, &ack.text());
    net.send(PBX, &ack.text());
    let first = net.expect_request(TRUNK, Method::Ack);
    let second = net.expect_request(TRUNK, Method::Ack);
    assert_eq!(first.branch(), second.branch());
    assert_eq!(first.message.max_forwards(), Some(69));
}

#[test]
fn a_re_invite_is_judged_within_its_dialog() {
    let mut net = Net::new(routing());
    let call = net.call();
    net.policy(|facts| {
        assert_eq!(facts.dialog, DialogState::Confirmed);
        Outcome::next("")
    });
    let again = net.caller_request(&call, "INVITE", 2);
    net.send(PBX, &again.text());
    net.expect(PBX, 100);
    let forwarded = net.expect_request(TRUNK, Method::Invite);
    assert_eq!(
        forwarded.uri(),
        format!("sip:callee@{TRUNK}"),
        "the remote target stays"
    );
    net.reply(&forwarded, 200, "bob");
    net.expect(PBX, 200);
    let ack = net.caller_request(&call, "ACK", 2);
    net.send(PBX, &ack.text());
    net.expect_request(TRUNK, Method::Ack);
    assert_eq!(net.proxy.figures().calls, 1);
    // A refusal ends the re-INVITE, not the call.
    net.policy(|_| Outcome::reject(488, ""));
    let more = net.callee_request(&call, "INVITE", 1);
    net.send(TRUNK, &more.text());
    net.expect(TRUNK, 488);
    assert_eq!(net.proxy.figures().calls, 1);
    assert!(net.ended().is_none());
}

#[test]
fn other_methods_are_judged_with_the_dialog_known() {
    let mut net = Net::new(routing());
    let call = net.call();
    net.policy(|facts| {
        assert_eq!(facts.dialog, DialogState::Confirmed);
        Outcome::reject(405, "")
    });
    for (cseq, method) in [(2, "REFER"), (3, "INFO"), (4, "MESSAGE"), (5, "UPDATE")] {
        let request = net.caller_request(&call, method, cseq);
        net.send(PBX, &request.text());
        net.expect(PBX, 405);
    }
    net.quiet();
}

#[test]
fn an_early_dialog_is_known_as_such() {
    let mut net = Net::new(routing());
    let invite = net.invite();
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    let forwarded = net.expect_request(TRUNK, Method::Invite);
    net.reply_with(
        &forwarded,
        183,
        "bob",
        &[("RSeq", "1"), ("Require", "100rel")],
    );
    let ok = net.expect(PBX, 183);
    let call = Established {
        invite: forwarded,
        ok,
    };
    let prack = net.caller_request(&call, "PRACK", 2);
    net.policy(|facts| {
        assert_eq!(facts.dialog, DialogState::Early);
        Outcome::next("")
    });
    net.send(PBX, &prack.text());
    let prack = net.expect_request(TRUNK, Method::Prack);
    net.reply(&prack, 200, "bob");
    net.expect(PBX, 200);
    let update = net.caller_request(&call, "UPDATE", 3);
    net.send(PBX, &update.text());
    net.expect_request(TRUNK, Method::Update);
}

#[test]
fn a_call_that_ended_while_its_request_was_judged_is_481() {
    let mut net = Net::new(routing());
    let call = net.call();
    net.slow_policy();
    let info = net.caller_request(&call, "INFO", 2);
    net.send(PBX, &info.text());
    let bye = net.callee_request(&call, "BYE", 1);
    net.send(TRUNK, &bye.text());
    let bye = net.expect_request(PBX, Method::Bye);
    net.reply(&bye, 200, "alice");
    net.conclude(Outcome::next(""));
    net.expect(PBX, 481);
}

#[test]
fn two_forked_answers_are_two_dialogs_of_one_call() {
    let mut net = Net::new(routing());
    let invite = net.invite();
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    let forwarded = net.expect_request(TRUNK, Method::Invite);
    // The trunk forks, and both phones answer.
    net.reply(&forwarded, 200, "bob");
    net.reply(&forwarded, 200, "carol");
    let bob = Established {
        ok: net.expect(PBX, 200),
        invite: forwarded,
    };
    net.expect(PBX, 200);
    assert_eq!(net.proxy.figures().calls, 1);
    let bye = net.caller_request(&bob, "BYE", 2);
    net.send(PBX, &bye.text());
    let forwarded = net.expect_request(TRUNK, Method::Bye);
    net.reply(&forwarded, 200, "bob");
    assert!(net.ended().is_none(), "carol is still there");
    let mut bye = net.caller_request(&bob, "BYE", 3);
    bye.to = bye.to.replace("tag=bob", "tag=carol");
    net.send(PBX, &bye.text());
    let forwarded = net.expect_request(TRUNK, Method::Bye);
    net.reply(&forwarded, 200, "carol");
    assert_eq!(net.ended(), Some(EndReason::Bye));
}

#[test]
fn a_subscription_keeps_its_recorded_route() {
    let mut net = Net::new(routing());
    let branch = net.branch();
    net.send(
        PBX,
        &Request::new("SUBSCRIBE", PBX, &branch)
            .with("Event", "presence")
            .text(),
    );
    let forwarded = net.expect_request(TRUNK, Method::Subscribe);
    net.reply(&forwarded, 200, "bob");
    net.expect(PBX, 200);
    let invite = Established {
        ok: forwarded.clone(),
        invite: forwarded,
    };
    let notify = net
        .callee_request(&invite, "NOTIFY", 1)
        .with("Event", "presence");
    net.send(TRUNK, &notify.text());
    let notify = net.expect_request(PBX, Method::Notify);
    assert_eq!(notify.uri(), format!("sip:alice@{PBX}"));
}

#[test]
fn a_caller_behind_a_connection_is_reached_by_it() {
    let mut net = Net::new(routing());
    let mut invite = net.invite();
    invite.via = "SIP/2.0/TCP 10.0.0.10:49152;branch=z9hG4bKtcp".into();
    invite.headers = vec![("Contact".into(), "<sip:alice@10.0.0.10:5060>".into())];
    let flow = Flow {
        transport: Transport::Tcp,
        listener: ListenerId(2),
        local: address(PROXY),
        peer: address("10.0.0.10:49152"),
        connection: Some(ConnectionId(5)),
    };
    net.send_by(flow, &invite.text());
    let trying = net.expect("10.0.0.10:49152", 100);
    assert_eq!(trying.transmit.to.connection, Some(ConnectionId(5)));
    let forwarded = net.expect_request(TRUNK, Method::Invite);
    net.reply(&forwarded, 200, "bob");
    let call = Established {
        ok: net.expect("10.0.0.10:49152", 200),
        invite: forwarded,
    };
    let bye = net.callee_request(&call, "BYE", 1);
    net.send(TRUNK, &bye.text());
    let bye = net.expect_request(PBX, Method::Bye);
    let to = &bye.transmit.to;
    assert_eq!(
        (to.transport, to.connection),
        (Transport::Tcp, Some(ConnectionId(5)))
    );
}
