//! Addresses that a policy chooses: another Request-URI, and another From and To for the
//! callee, while the caller goes on seeing its own.

use policy::{Effect, Outcome};
use sip_message::{HeaderKind, Method};
use sip_proxy::EndReason;

use crate::harness::*;

const CALLER: &str = "<sip:alice@10.0.0.10>;tag=alice";
const SHOWN_CALLER: &str = "\"Reception\" <sip:+493012345@proxy.example>";
const CALLEE: &str = "<sip:100@proxy.example>";
const SHOWN_CALLEE: &str = "<sip:+49100@carrier.example>";

fn disguised() -> Net {
    disguised_to(&[TRUNK])
}

fn disguised_to(targets: &[&str]) -> Net {
    let mut net = Net::new(routing_to(targets, |_| {}));
    net.policy(|_| {
        Outcome::next("")
            .with(Effect::SetFrom(SHOWN_CALLER.into()))
            .with(Effect::SetTo(SHOWN_CALLEE.into()))
    });
    net
}

/// From and To of a message.
fn parties(sent: &Sent) -> (String, String) {
    let value = |kind| sent.values(kind).remove(0);
    (value(HeaderKind::From), value(HeaderKind::To))
}

fn pair(from: &str, to: &str) -> (String, String) {
    (from.to_owned(), to.to_owned())
}

/// The callee's view of a dialog: From and To of what it gets from the caller.
fn to_callee() -> (String, String) {
    pair(
        &format!("{SHOWN_CALLER};tag=alice"),
        &format!("{SHOWN_CALLEE};tag=bob"),
    )
}

/// A call in which the callee writes the addresses that it was shown.
fn call(net: &mut Net) -> Established {
    let invite = net.invite();
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    let forwarded = net.expect_request(TRUNK, Method::Invite);
    assert_eq!(
        parties(&forwarded),
        pair(&format!("{SHOWN_CALLER};tag=alice"), SHOWN_CALLEE)
    );
    net.reply(&forwarded, 180, "bob");
    let own = pair(CALLER, &format!("{CALLEE};tag=bob"));
    assert_eq!(parties(&net.expect(PBX, 180)), own);
    net.reply(&forwarded, 200, "bob");
    let ok = net.expect(PBX, 200);
    assert_eq!(parties(&ok), own);
    let established = Established {
        invite: forwarded,
        ok,
    };
    let ack = net.caller_request(&established, "ACK", 1);
    net.send(PBX, &ack.text());
    assert_eq!(
        parties(&net.expect_request(TRUNK, Method::Ack)),
        to_callee()
    );
    established
}

#[test]
fn requests_and_responses_of_both_sides_are_translated() {
    let mut net = disguised();
    let established = call(&mut net);
    for (cseq, method, kind) in [(2, "INVITE", Method::Invite), (3, "UPDATE", Method::Update)] {
        let request = net.caller_request(&established, method, cseq);
        net.send(PBX, &request.text());
        let sent = net.expect_request(TRUNK, kind);
        assert_eq!(parties(&sent), to_callee(), "{method}");
        net.reply(&sent, 488, "bob");
        if kind == Method::Invite {
            net.expect(PBX, 100);
            // The ACK of a refusal is the transaction's, made from what was sent.
            assert_eq!(
                parties(&net.expect_request(TRUNK, Method::Ack)),
                to_callee()
            );
        }
        let own = pair(CALLER, &format!("{CALLEE};tag=bob"));
        assert_eq!(parties(&net.expect(PBX, 488)), own, "{method}");
    }
    let mut info = net.callee_request(&established, "INFO", 9);
    (info.to, info.from) = to_callee();
    net.send(TRUNK, &info.text());
    let sent = net.expect_request(PBX, Method::Info);
    assert_eq!(parties(&sent), pair(&format!("{CALLEE};tag=bob"), CALLER));
    net.reply(&sent, 200, "alice");
    let (to, from) = to_callee();
    assert_eq!(parties(&net.expect(TRUNK, 200)), (from, to));
    let bye = net.caller_request(&established, "BYE", 4);
    net.send(PBX, &bye.text());
    assert_eq!(
        parties(&net.expect_request(TRUNK, Method::Bye)),
        to_callee()
    );
}

#[test]
fn a_bye_of_the_host_bears_what_each_side_knows() {
    let mut net = disguised();
    call(&mut net);
    let id = net.proxy.calls().next().unwrap();
    assert!(net.proxy.end_call(net.now, id, EndReason::Operator));
    net.drain();
    assert_eq!(
        parties(&net.expect_request(TRUNK, Method::Bye)),
        to_callee()
    );
    let bye = net.expect_request(PBX, Method::Bye);
    assert_eq!(parties(&bye), pair(&format!("{CALLEE};tag=bob"), CALLER));
}

#[test]
fn a_cancel_and_the_ack_of_its_487_match_the_invite_as_sent() {
    let mut net = disguised();
    let invite = net.invite();
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    let forwarded = net.expect_request(TRUNK, Method::Invite);
    net.reply(&forwarded, 180, "bob");
    net.expect(PBX, 180);
    let mut cancel = invite.clone();
    cancel.method = "CANCEL";
    net.send(PBX, &cancel.text());
    assert_eq!(parties(&net.expect(PBX, 200)).0, CALLER);
    let sent = net.expect_request(TRUNK, Method::Cancel);
    assert_eq!(parties(&sent), parties(&forwarded));
    net.reply(&forwarded, 487, "bob");
    assert_eq!(
        parties(&net.expect_request(TRUNK, Method::Ack)),
        to_callee()
    );
    assert_eq!(
        parties(&net.expect(PBX, 487)),
        pair(CALLER, &format!("{CALLEE};tag=bob"))
    );
}

#[test]
fn the_next_target_is_shown_the_same() {
    let mut net = disguised_to(&[TRUNK, TRUNK_2]);
    let invite = net.invite();
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    let first = net.expect_request(TRUNK, Method::Invite);
    net.reply(&first, 503, "bob");
    let second = net.expect_request(TRUNK_2, Method::Invite);
    assert_eq!(parties(&second), parties(&first));
    net.reply(&second, 404, "carol");
    assert_eq!(
        parties(&net.expect(PBX, 404)),
        pair(CALLER, &format!("{CALLEE};tag=carol"))
    );
}

#[test]
fn a_request_outside_a_call_is_translated_for_its_own_transaction() {
    let mut net = disguised();
    let branch = net.branch();
    net.send(PBX, &Request::new("MESSAGE", PBX, &branch).text());
    let sent = net.expect_request(TRUNK, Method::Message);
    assert_eq!(parties(&sent).1, SHOWN_CALLEE);
    net.reply(&sent, 202, "bob");
    assert_eq!(
        parties(&net.expect(PBX, 202)),
        pair(CALLER, &format!("{CALLEE};tag=bob"))
    );
}

#[test]
fn a_wish_within_a_call_changes_nothing() {
    let mut net = Net::new(routing());
    let established = net.call();
    net.policy(|_| {
        Outcome::next("")
            .with(Effect::SetFrom(SHOWN_CALLER.into()))
            .with(Effect::SetRequestUri("sip:other@elsewhere.example".into()))
    });
    let update = net.caller_request(&established, "UPDATE", 2);
    net.send(PBX, &update.text());
    let sent = net.expect_request(TRUNK, Method::Update);
    assert_eq!(parties(&sent).0, CALLER);
    assert_eq!(sent.uri(), format!("sip:callee@{TRUNK}"));
}

#[test]
fn the_chosen_request_uri_is_sent_and_routed_by() {
    let mut net = Net::new(routing());
    net.policy(|_| {
        Outcome::next("").with(Effect::SetRequestUri("sip:+49301@number.example".into()))
    });
    let invite = net.invite();
    net.send(PBX, &invite.text());
    let sent = net.expect_request(TRUNK, Method::Invite);
    assert_eq!(sent.uri(), format!("sip:+49301@{TRUNK}"));

    // A peer's domain in it leads to that peer, whatever the caller had dialled.
    let mut routing = routing();
    routing.peers[0].domains = vec!["office.example".into()];
    let mut net = Net::new(routing);
    net.policy(|_| Outcome::next("").with(Effect::SetRequestUri("sip:7@office.example".into())));
    let branch = net.branch();
    net.send(STRANGER, &Request::new("INVITE", STRANGER, &branch).text());
    assert_eq!(
        net.expect_request(PBX, Method::Invite).uri(),
        "sip:7@office.example"
    );
}

#[test]
fn an_options_to_us_can_be_sent_on() {
    let mut net = Net::new(routing());
    net.policy(|_| Outcome::next("").with(Effect::SetRequestUri("sip:9@x.example".into())));
    let branch = net.branch();
    let options = Request::new("OPTIONS", PBX, &branch).uri("sip:proxy.example");
    net.send(PBX, &options.text());
    let sent = net.expect_request(TRUNK, Method::Options);
    assert_eq!(sent.uri(), format!("sip:9@{TRUNK}"));
    let branch = net.branch();
    let last = Request::new("OPTIONS", PBX, &branch)
        .uri("sip:proxy.example")
        .call("last")
        .with("Max-Forwards", "0");
    net.send(PBX, &last.text());
    net.expect(PBX, 200);
}

#[test]
fn a_dialog_that_began_elsewhere_keeps_its_addresses() {
    let mut net = disguised();
    let branch = net.branch();
    let mut notify = Request::new("NOTIFY", PBX, &branch);
    notify.to = "<sip:100@proxy.example>;tag=old".into();
    net.send(PBX, &notify.text());
    let sent = net.expect_request(TRUNK, Method::Notify);
    assert_eq!(
        parties(&sent),
        pair(CALLER, "<sip:100@proxy.example>;tag=old")
    );
}
