//! Descriptions that do not pass, and who hears of it.

use media::{Protection, Side};
use policy::{Effect, MediaRequirement, Outcome};
use sip_message::{HeaderKind, Method};
use sip_proxy::{EndReason, FullTable, LogEvent};

use super::*;

fn refused(net: &Net) -> usize {
    let refused = |event: &&LogEvent| matches!(event, LogEvent::MediaRefused { .. });
    net.log.iter().filter(refused).count()
}

#[test]
fn what_must_be_encrypted_and_is_not_is_488() {
    let mut net = net();
    net.policy(|_| Outcome::next("").with(Effect::RequireMedia(MediaRequirement::Encrypted)));
    let invite = net.invite().sdp(&sdp(ALICE, 4_000));
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    let refusal = net.expect(PBX, 488);
    let expected = "302 192.0.2.1 \"Incompatible transport protocol\"";
    assert_eq!(refusal.values(HeaderKind::Warning), [expected]);
    assert_eq!(net.ended(), Some(EndReason::MediaRefused));
    assert_eq!(refused(&net), 1);
    net.quiet();
    net.over();
}

#[test]
fn without_a_relay_nothing_can_be_said_to_be_encrypted() {
    let mut net = Net::new(routing());
    net.policy(|_| Outcome::next("").with(Effect::RequireMedia(MediaRequirement::Encrypted)));
    let invite = net.invite().sdp(&sdp(ALICE, 4_000));
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    net.expect(PBX, 488);
    assert_eq!(net.ended(), Some(EndReason::MediaRefused));
    net.policy(|_| Outcome::next("").with(Effect::RequireMedia(MediaRequirement::Any)));
    let invite = net.invite().call("2").sdp(&sdp(ALICE, 4_000));
    net.send(PBX, &invite.text());
    net.expect_request(TRUNK, Method::Invite);
}

#[test]
fn an_offer_that_cannot_be_read_is_400() {
    let mut net = net();
    let invite = net.invite().sdp(GARBAGE);
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    net.expect(PBX, 400);
    net.quiet();
    assert_eq!(net.ended(), Some(EndReason::MediaRefused));
    net.over();
}

#[test]
fn without_a_port_new_calls_are_refused_until_one_is_free() {
    // Two pairs: one for each leg of one call.
    let mut net = net_with(routing(), 20_000..=20_003);
    net.closes = false;
    let call = net.talking();
    let attempt = |net: &mut Net, name: &str| {
        let invite = net.invite().call(name).sdp(&sdp(ALICE, 4_000));
        net.send(PBX, &invite.text());
        net.expect(PBX, 100);
    };
    attempt(&mut net, "2");
    let busy = net.expect(PBX, 503);
    assert_eq!(busy.values(HeaderKind::RetryAfter), ["5"]);
    assert!(net.log.contains(&LogEvent::Full(FullTable::Media)));
    let bye = net.caller_request(&call, "BYE", 2);
    net.send(PBX, &bye.text());
    let bye = net.expect_request(TRUNK, Method::Bye);
    net.reply(&bye, 200, "bob");
    net.expect(PBX, 200);
    // The relay still holds the ports.
    attempt(&mut net, "3");
    net.expect(PBX, 503);
    net.closes = true;
    net.drain();
    attempt(&mut net, "4");
    our_port(&net.expect_request(TRUNK, Method::Invite));
}

#[test]
fn a_bad_early_answer_is_left_out() {
    let mut net = net();
    let invite = net.offered();
    net.reply_sdp(&invite, 183, "bob", &[], GARBAGE);
    no_body(&net.expect(PBX, 183));
    assert_eq!(refused(&net), 1);
    net.reply_sdp(&invite, 200, "bob", &[], &sdp(BOB, 6_000));
    our_port(&net.expect(PBX, 200));
}

#[test]
fn a_bad_answer_is_acknowledged_and_turned_down() {
    let mut net = net();
    let invite = net.offered();
    net.reply_sdp(&invite, 200, "bob", &[], GARBAGE);
    let ack = net.expect_request(TRUNK, Method::Ack);
    assert_eq!(ack.message.cseq().number, 1);
    assert_eq!(ack.uri(), format!("sip:callee@{TRUNK}"));
    assert_eq!(ack.message.to_tag(), Some(&b"bob"[..]));
    let bye = net.expect_request(TRUNK, Method::Bye);
    assert_eq!(bye.message.cseq().number, 2);
    net.expect(PBX, 488);
    net.quiet();
    assert_eq!(net.ended(), Some(EndReason::MediaRefused));
    // It did not hear the ACK.
    net.reply_sdp(&invite, 200, "bob", &[], GARBAGE);
    let again = net.expect_request(TRUNK, Method::Ack);
    assert_eq!(again.transmit.bytes, ack.transmit.bytes);
    net.quiet();
    net.reply(&bye, 200, "bob");
    net.quiet();
    net.forget();
    net.over();
}

#[test]
fn an_answer_that_is_missing_is_a_bad_one() {
    let mut net = net();
    let invite = net.offered();
    net.reply(&invite, 200, "bob");
    net.expect_request(TRUNK, Method::Ack);
    net.expect_request(TRUNK, Method::Bye);
    net.expect(PBX, 488);
}

#[test]
fn after_a_bad_answer_the_other_target_may_still_answer() {
    let routing = routing_to(&[TRUNK, TRUNK_2], |peer| {
        peer.fork = sip_proxy::ForkMode::Parallel;
    });
    let mut net = net_with(routing, 20_000..=20_199);
    let first = net.offered();
    let second = net.expect_request(TRUNK_2, Method::Invite);
    net.reply_sdp(&first, 200, "a", &[], GARBAGE);
    net.expect_request(TRUNK, Method::Ack);
    net.expect_request(TRUNK, Method::Bye);
    net.quiet();
    net.reply_sdp(&second, 200, "b", &[], &sdp("203.0.113.2", 6_000));
    our_port(&net.expect(PBX, 200));
    assert_eq!(net.ended(), None);
}

#[test]
fn a_bad_answer_in_an_ack_ends_the_call() {
    let mut net = net();
    let invite = net.invite();
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    let invite = net.expect_request(TRUNK, Method::Invite);
    net.reply_sdp(&invite, 200, "bob", &[], &sdp(BOB, 6_000));
    let ok = net.expect(PBX, 200);
    let call = Established { invite, ok };
    let ack = net.caller_request(&call, "ACK", 1).sdp(GARBAGE);
    net.send(PBX, &ack.text());
    no_body(&net.expect_request(TRUNK, Method::Ack));
    assert_eq!(net.ended(), Some(EndReason::MediaRefused));
    net.ended_both_ways();
}

#[test]
fn a_refused_offer_changes_nothing() {
    let mut net = net();
    let call = net.talking();
    let agreed = (
        net.media.end(Side::Caller).clone(),
        net.media.end(Side::Callee).clone(),
    );
    for (method, status, cseq) in [("INVITE", 488, 2), ("UPDATE", 500, 3), ("INVITE", 491, 4)] {
        let offer = sdp(ALICE, 4_400).replace("o=- 1 1", &format!("o=- 1 {cseq}"));
        let offer = net.caller_request(&call, method, cseq).sdp(&offer);
        net.send(PBX, &offer.text());
        if method == "INVITE" {
            net.expect(PBX, 100);
        }
        let offer = net.next(TRUNK);
        our_port(&offer);
        net.reply(&offer, status, "bob");
        if method == "INVITE" {
            net.expect_request(TRUNK, Method::Ack);
        }
        net.expect(PBX, status);
        net.quiet();
        let now = (net.media.end(Side::Caller), net.media.end(Side::Callee));
        assert_eq!((&agreed.0, &agreed.1), now, "after {status} to {method}");
    }
}

#[test]
fn an_offer_that_the_relay_cannot_take_is_answered_here_and_the_call_goes_on() {
    let mut net = net();
    let call = net.talking();
    let before = net.media.end(Side::Caller).clone();
    let again = net.caller_request(&call, "INVITE", 2).sdp(GARBAGE);
    net.send(PBX, &again.text());
    net.expect(PBX, 100);
    net.expect(PBX, 400);
    net.quiet();
    assert_eq!(net.media.end(Side::Caller), &before);
    assert_eq!(net.ended(), None);
    let update = net
        .caller_request(&call, "UPDATE", 3)
        .sdp(&sdp(ALICE, 4_500));
    net.send(PBX, &update.text());
    our_port(&net.expect_request(TRUNK, Method::Update));
}

#[test]
fn a_bad_answer_within_the_call_ends_it() {
    let mut net = net();
    let call = net.talking();
    let offer = sdp(ALICE, 4_400).replace("o=- 1 1", "o=- 1 2");
    let again = net.caller_request(&call, "INVITE", 2).sdp(&offer);
    net.send(PBX, &again.text());
    net.expect(PBX, 100);
    let again = net.expect_request(TRUNK, Method::Invite);
    net.reply_sdp(&again, 200, "bob", &[], GARBAGE);
    let ack = net.expect_request(TRUNK, Method::Ack);
    assert_eq!(ack.message.cseq().number, 2);
    net.expect(PBX, 488);
    assert_eq!(net.ended(), Some(EndReason::MediaRefused));
    net.ended_both_ways();
}

#[test]
fn two_offers_at_once_are_glare() {
    let mut net = net();
    let call = net.talking();
    let ours = sdp(ALICE, 4_400).replace("o=- 1 1", "o=- 1 2");
    let first = net.caller_request(&call, "INVITE", 2).sdp(&ours);
    net.send(PBX, &first.text());
    net.expect(PBX, 100);
    net.expect_request(TRUNK, Method::Invite);
    let theirs = sdp(BOB, 6_400).replace("o=- 1 1", "o=- 1 2");
    let second = net.callee_request(&call, "INVITE", 1).sdp(&theirs);
    net.send(TRUNK, &second.text());
    net.expect(TRUNK, 100);
    net.expect(TRUNK, 491);
    assert_eq!(net.ended(), None);
}

#[test]
fn after_the_bye_no_offer_is_taken() {
    let mut net = net();
    let call = net.talking();
    let bye = net.caller_request(&call, "BYE", 2);
    net.send(PBX, &bye.text());
    net.expect_request(TRUNK, Method::Bye);
    let again = net.callee_request(&call, "INVITE", 1).sdp(&sdp(BOB, 6_400));
    net.send(TRUNK, &again.text());
    net.expect(TRUNK, 100);
    net.expect(TRUNK, 488);
    assert_eq!(net.media.closed, 1);
    assert!(net.media.open.is_empty());
}

#[test]
fn a_later_permit_may_demand_more() {
    let mut net = net();
    let call = net.talking();
    net.policy(|_| Outcome::next("").with(Effect::RequireMedia(MediaRequirement::EncryptedBoth)));
    let offer = sdp(ALICE, 4_400).replace("o=- 1 1", "o=- 1 2");
    let again = net.caller_request(&call, "INVITE", 2).sdp(&offer);
    net.send(PBX, &again.text());
    net.expect(PBX, 100);
    net.expect(PBX, 488);
    assert_eq!(net.media.end(Side::Caller).protection, Protection::Plain);
}

#[test]
fn who_knows_the_tags_cannot_turn_the_media_to_himself() {
    let mut net = net();
    let invite = net.invite();
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    let invite = net.expect_request(TRUNK, Method::Invite);
    let reliable = [("Require", "100rel"), ("RSeq", "1")];
    net.reply_sdp(&invite, 183, "bob", &reliable, &sdp(BOB, 6_000));
    let ok = net.expect(PBX, 183);
    let call = Established { invite, ok };
    let stolen = sdp("198.51.100.66", 4_000);
    let prack = |net: &mut Net, body: &str| {
        let prack = net.caller_request(&call, "PRACK", 2);
        prack.with("RAck", "1 1 INVITE").sdp(body).text()
    };
    let forged = prack(&mut net, &stolen);
    net.send(STRANGER, &forged);
    assert!(
        net.log
            .iter()
            .any(|event| matches!(event, LogEvent::Rejected { status: 403, .. }))
    );
    net.forget();
    let true_one = prack(&mut net, &sdp(ALICE, 4_000));
    net.send(PBX, &true_one);
    our_port(&net.expect_request(TRUNK, Method::Prack));

    let mut net = self::net();
    let invite = net.invite();
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    let invite = net.expect_request(TRUNK, Method::Invite);
    net.reply_sdp(&invite, 200, "bob", &[], &sdp(BOB, 6_000));
    let ok = net.expect(PBX, 200);
    let call = Established { invite, ok };
    for body in ["", &stolen] {
        let ack = net.caller_request(&call, "ACK", 1).sdp(body);
        net.send(STRANGER, &ack.text());
        net.quiet();
    }
    let ack = net.caller_request(&call, "ACK", 1).sdp(&sdp(ALICE, 4_000));
    net.send(PBX, &ack.text());
    our_port(&net.expect_request(TRUNK, Method::Ack));
    let remote = net.media.end(Side::Caller).remote.as_ref().unwrap().rtp;
    assert_eq!(remote, Some(address("10.0.0.10:4000")));
    // Another address of the same PBX may speak for it.
    let again = net.caller_request(&call, "ACK", 1).sdp(&sdp(ALICE, 4_000));
    net.send("10.0.0.77:5060", &again.text());
    net.expect_request(TRUNK, Method::Ack);
}
