//! Offers and answers in every message that may carry them.

use media::{Protection, Side};
use policy::Outcome;
use sip_message::Method;

use super::*;

const RELIABLE: [(&str, &str); 2] = [("Require", "100rel"), ("RSeq", "1")];

#[test]
fn offer_and_answer_name_nobody_but_us() {
    let mut net = net();
    let invite = net.offered();
    let to_bob = our_port(&invite);
    assert!((20_000..20_200).contains(&to_bob) && to_bob.is_multiple_of(2));
    net.reply_sdp(&invite, 200, "bob", &[], &sdp(BOB, 6_000));
    let ok = net.expect(PBX, 200);
    let to_alice = our_port(&ok);
    assert_ne!(to_alice, to_bob);
    let (alice, bob) = (net.media.end(Side::Caller), net.media.end(Side::Callee));
    assert_eq!((alice.local.rtp, bob.local.rtp), (to_alice, to_bob));
    let remote = |end: &media::EndPlan| end.remote.as_ref().unwrap().rtp.unwrap().to_string();
    assert_eq!(remote(alice), format!("{ALICE}:4000"));
    assert_eq!(remote(bob), format!("{BOB}:6000"));
    assert_eq!(alice.protection, Protection::Plain);
    let call = Established { invite, ok };
    net.acknowledge(&call, 1);
    assert_eq!(net.proxy.figures().media_sessions, 1);
    let bye = net.caller_request(&call, "BYE", 2);
    net.send(PBX, &bye.text());
    assert_eq!(net.media.closed, 1, "media ends with the BYE");
    let bye = net.expect_request(TRUNK, Method::Bye);
    net.reply(&bye, 200, "bob");
    net.expect(PBX, 200);
    net.over();
}

#[test]
fn nothing_is_opened_before_the_policy_has_admitted_the_call() {
    let mut net = net();
    net.slow_policy();
    for call in ["1", "2"] {
        let invite = net.invite().call(call).sdp(&sdp(ALICE, 4_000));
        net.send(PBX, &invite.text());
        net.expect(PBX, 100);
    }
    assert!(net.media.commands.is_empty());
    net.conclude(Outcome::reject(403, ""));
    net.expect(PBX, 403);
    assert!(net.media.commands.is_empty());
    net.conclude(Outcome::next(""));
    our_port(&net.expect_request(TRUNK, Method::Invite));
    assert_eq!(net.media.open.len(), 1);
}

#[test]
fn before_the_answer_no_packet_passes() {
    let mut net = net();
    net.offered();
    for command in &net.media.commands {
        if let media::RelayCommand::Stream { ends, .. } = command {
            let closed = ends.iter().any(|end| end.protection == Protection::Closed);
            assert!(closed, "{ends:?}");
        }
    }
}

#[test]
fn a_late_offer_is_answered_in_the_ack() {
    let mut net = net();
    let invite = net.invite();
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    let invite = net.expect_request(TRUNK, Method::Invite);
    no_body(&invite);
    net.reply_sdp(&invite, 200, "bob", &[], &sdp(BOB, 6_000));
    let ok = net.expect(PBX, 200);
    let to_alice = our_port(&ok);
    let call = Established { invite, ok };
    let ack = net.caller_request(&call, "ACK", 1).sdp(&sdp(ALICE, 4_000));
    net.send(PBX, &ack.text());
    let first = net.expect_request(TRUNK, Method::Ack);
    let to_bob = our_port(&first);
    assert_eq!(net.media.end(Side::Caller).local.rtp, to_alice);
    assert_eq!(net.media.end(Side::Callee).local.rtp, to_bob);
    let before = net.media.commands.len();
    net.send(PBX, &ack.text());
    let again = net.expect_request(TRUNK, Method::Ack);
    assert_eq!(again.transmit.bytes, first.transmit.bytes);
    assert_eq!(net.media.commands.len(), before);
}

#[test]
fn early_media_and_a_new_offer_before_the_answer() {
    let mut net = net();
    let invite = net.offered();
    net.reply_sdp(&invite, 183, "bob", &RELIABLE, &sdp(BOB, 6_000));
    let early = net.expect(PBX, 183);
    let to_alice = our_port(&early);
    assert_eq!(net.media.end(Side::Callee).protection, Protection::Plain);
    let call = Established { invite, ok: early };
    let prack = net
        .caller_request(&call, "PRACK", 2)
        .with("RAck", "1 1 INVITE");
    net.send(PBX, &prack.text());
    let prack = net.expect_request(TRUNK, Method::Prack);
    no_body(&prack);
    net.reply(&prack, 200, "bob");
    no_body(&net.expect(PBX, 200));
    let update = net
        .caller_request(&call, "UPDATE", 3)
        .sdp(&sdp(ALICE, 4_100));
    net.send(PBX, &update.text());
    let update = net.expect_request(TRUNK, Method::Update);
    our_port(&update);
    net.reply_sdp(&update, 200, "bob", &[], &sdp(BOB, 6_100));
    assert_eq!(our_port(&net.expect(PBX, 200)), to_alice);
    let remote = |end: &media::EndPlan| end.remote.as_ref().unwrap().rtp.unwrap().port();
    assert_eq!(remote(net.media.end(Side::Caller)), 4_100);
    assert_eq!(remote(net.media.end(Side::Callee)), 6_100);
    net.reply(&call.invite, 200, "bob");
    no_body(&net.expect(PBX, 200));
    net.acknowledge(&call, 1);
}

#[test]
fn an_offer_in_a_provisional_response_is_answered_in_its_prack() {
    let mut net = net();
    let invite = net.invite();
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    let invite = net.expect_request(TRUNK, Method::Invite);
    net.reply_sdp(&invite, 183, "bob", &RELIABLE, &sdp(BOB, 6_000));
    let ok = net.expect(PBX, 183);
    our_port(&ok);
    let call = Established { invite, ok };
    let prack = net
        .caller_request(&call, "PRACK", 2)
        .with("RAck", "1 1 INVITE");
    net.send(PBX, &prack.sdp(&sdp(ALICE, 4_000)).text());
    let prack = net.expect_request(TRUNK, Method::Prack);
    our_port(&prack);
    assert_eq!(net.media.end(Side::Caller).protection, Protection::Plain);
    net.reply(&prack, 200, "bob");
    net.expect(PBX, 200);
}

#[test]
fn an_offer_in_a_prack_is_answered_in_its_200() {
    let mut net = net();
    let invite = net.offered();
    net.reply_sdp(&invite, 183, "bob", &RELIABLE, &sdp(BOB, 6_000));
    let ok = net.expect(PBX, 183);
    let call = Established { invite, ok };
    let prack = net
        .caller_request(&call, "PRACK", 2)
        .with("RAck", "1 1 INVITE");
    net.send(PBX, &prack.sdp(&sdp(ALICE, 4_200)).text());
    let prack = net.expect_request(TRUNK, Method::Prack);
    our_port(&prack);
    net.reply_sdp(&prack, 200, "bob", &[], &sdp(BOB, 6_200));
    our_port(&net.expect(PBX, 200));
    let remote = |end: &media::EndPlan| end.remote.as_ref().unwrap().rtp.unwrap().port();
    assert_eq!(remote(net.media.end(Side::Callee)), 6_200);
}

#[test]
fn either_side_may_offer_again_and_hold() {
    let mut net = net();
    let call = net.talking();
    let held = sdp(BOB, 6_000).replace("o=- 1 1", "o=- 1 2") + "a=sendonly\r\n";
    let again = net.callee_request(&call, "INVITE", 1).sdp(&held);
    net.send(TRUNK, &again.text());
    net.expect(TRUNK, 100);
    let again = net.expect_request(PBX, Method::Invite);
    our_port(&again);
    let answer = sdp(ALICE, 4_000) + "a=recvonly\r\n";
    net.reply_sdp(&again, 200, "alice", &[], &answer);
    our_port(&net.expect(TRUNK, 200));
    let ack = net.callee_request(&call, "ACK", 1);
    net.send(TRUNK, &ack.text());
    net.expect_request(PBX, Method::Ack);
    let held = net
        .media
        .commands
        .iter()
        .any(|command| matches!(command, media::RelayCommand::OnHold { held: true, .. }));
    assert!(held, "{:?}", net.media.commands);
    assert!(!net.media.end(Side::Caller).sends);
}

#[test]
fn an_answer_that_is_repeated_leaves_with_the_same_bytes() {
    let mut net = net();
    let invite = net.offered();
    let answer = sdp(BOB, 6_000);
    net.reply_sdp(&invite, 200, "bob", &[], &answer);
    let first = net.expect(PBX, 200);
    let before = net.media.commands.len();
    net.reply_sdp(&invite, 200, "bob", &[], &answer);
    let again = net.expect(PBX, 200);
    assert_eq!(first.transmit.bytes, again.transmit.bytes);
    assert_eq!(net.media.commands.len(), before);
}

#[test]
fn descriptions_that_negotiate_nothing_stay_here() {
    let mut net = net();
    let call = net.talking();
    let info = net.caller_request(&call, "INFO", 2).sdp(&sdp(ALICE, 4_000));
    net.send(PBX, &info.text());
    let info = net.expect_request(TRUNK, Method::Info);
    no_body(&info);
    net.reply_sdp(&info, 200, "bob", &[], &sdp(BOB, 6_000));
    no_body(&net.expect(PBX, 200));
    let again = net
        .caller_request(&call, "INVITE", 3)
        .sdp(&sdp(ALICE, 4_400));
    net.send(PBX, &again.text());
    net.expect(PBX, 100);
    let again = net.expect_request(TRUNK, Method::Invite);
    net.reply_sdp(&again, 488, "bob", &[], &sdp(BOB, 6_000));
    net.expect_request(TRUNK, Method::Ack);
    no_body(&net.expect(PBX, 488));
    let bye = net.caller_request(&call, "BYE", 4).sdp(&sdp(ALICE, 4_000));
    net.send(PBX, &bye.text());
    no_body(&net.expect_request(TRUNK, Method::Bye));
}

#[test]
fn other_bodies_pass_as_they_are() {
    let mut net = net();
    let call = net.talking();
    let mut info = net
        .caller_request(&call, "INFO", 2)
        .sdp("Signal=5\r\n")
        .text();
    info = info.replace("application/sdp", "application/dtmf-relay");
    net.send(PBX, &info);
    let info = net.expect_request(TRUNK, Method::Info);
    assert_eq!(info.message.body(), b"Signal=5\r\n");
    assert!(info.text().contains("Content-Type: application/dtmf-relay"));
}

#[test]
fn without_an_interface_on_both_sides_descriptions_pass_untouched() {
    let mut routing = routing();
    routing.listeners[1].media = Some(0);
    let mut config = ProxyConfig::new([42; 32], Arc::new(routing));
    config.media = Some(MediaConfig {
        anchor: interface(20_000..=20_199),
        seed: [7; 32],
    });
    let mut net = Net::with(config);
    let invite = net.offered();
    assert_eq!(invite.message.body(), sdp(ALICE, 4_000).as_bytes());
    net.reply_sdp(&invite, 200, "bob", &[], &sdp(BOB, 6_000));
    let ok = net.expect(PBX, 200);
    assert_eq!(ok.message.body(), sdp(BOB, 6_000).as_bytes());
    assert!(net.media.commands.is_empty());
}

#[test]
fn outside_a_call_descriptions_stay_here() {
    let mut net = net();
    let branch = net.branch();
    net.send(
        PBX,
        &Request::new("OPTIONS", PBX, &branch)
            .sdp(&sdp(ALICE, 4_000))
            .text(),
    );
    let options = net.expect_request(TRUNK, Method::Options);
    no_body(&options);
    net.reply_sdp(&options, 200, "bob", &[], &sdp(BOB, 6_000));
    no_body(&net.expect(PBX, 200));
    let mut update = Request::new("UPDATE", PBX, "z9hG4bKlost").sdp(&sdp(ALICE, 4_000));
    update.to = "<sip:100@proxy.example>;tag=gone".into();
    net.send(PBX, &update.call("forgotten").text());
    net.expect(PBX, 481);
    net.quiet();
    assert!(net.media.commands.is_empty());
}
