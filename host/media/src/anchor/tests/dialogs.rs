//! Who offers when: late offers, early media, forks, re-INVITE, UPDATE, PRACK.

use super::*;
use crate::{Protection, Unacceptable};

const PLAIN: [Mode; 1] = [Mode::Plain];
const CALLEE: &str = "203.0.113.1";

fn offer() -> String {
    audio("RTP/AVP", &[])
}

fn reply() -> String {
    at(CALLEE, 5000, "RTP/AVP", &[])
}

fn remote_port(call: &Call, side: Side) -> u16 {
    call.end_of(side)
        .remote
        .as_ref()
        .unwrap()
        .rtp
        .unwrap()
        .port()
}

fn version(sdp: &str) -> u64 {
    lines(sdp, "o=")[0]
        .split(' ')
        .nth(2)
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn the_same_message_gives_the_same_bytes_and_no_new_port() {
    let mut call = Call::new(&[Mode::Sdes], &[Mode::Sdes]);
    let offer = audio("RTP/SAVP", &[&crypto(1, Suite::AeadAes128Gcm, 1)]);
    let offered = call.pass(Side::Caller, 0, INVITE, &offer);
    assert_eq!(call.pass(Side::Caller, 0, INVITE, &offer), offered);
    let reply = answer(CALLEE, &offered, &[&crypto(1, Suite::AeadAes128Gcm, 2)]);
    let early = call.pass(Side::Callee, 1, RINGING, &reply);
    assert_eq!(call.pass(Side::Callee, 1, RINGING, &reply), early);
    let commands = call.commands.len();
    assert_eq!(
        call.pass(Side::Callee, 1, OK, &reply),
        early,
        "the 2xx repeats the 18x"
    );
    call.confirm(1);
    assert_eq!(call.pass(Side::Callee, 1, OK, &reply), early);
    assert_eq!(call.commands.len(), commands);
    assert_eq!(call.anchor.figures().ports_in_use, 2);
}

#[test]
fn a_late_offer_is_answered_in_the_ack() {
    let mut call = Call::new(&PLAIN, &[Mode::Sdes]);
    assert_eq!(call.send(Side::Caller, 0, INVITE, b""), Ok(Body::AsIs));
    assert!(call.commands.is_empty(), "nothing to relay yet");
    let late = at(
        CALLEE,
        5000,
        "RTP/SAVP",
        &[&crypto(1, Suite::AeadAes256Gcm, 2)],
    );
    let offered = call.pass(Side::Callee, 1, OK, &late);
    call.confirm(1);
    assert!(media(&offered)[0].contains(" RTP/AVP ") && offered.contains("198.51.100.1"));
    assert_eq!(call.pass(Side::Callee, 1, OK, &late), offered);
    let answered = call.pass(Side::Caller, 1, ACK, &offer());
    assert_eq!(call.pass(Side::Caller, 1, ACK, &offer()), answered);
    assert!(lines(&answered, "a=crypto:1 AEAD_AES_256_GCM").len() == 1);
    assert_eq!(call.end_of(Side::Caller).protection, Protection::Plain);
    assert_eq!(remote_port(&call, Side::Caller), 4000);
    assert!(matches!(
        call.end_of(Side::Callee).protection,
        Protection::Sdes { .. }
    ));
}

#[test]
fn a_late_offer_must_be_answered_and_encrypted_if_required() {
    let mut call = Call::new(&[Mode::Sdes, Mode::Plain], &PLAIN).requiring(Requirement::Encrypted);
    call.send(Side::Caller, 0, INVITE, b"").unwrap();
    let offered = call.pass(Side::Callee, 1, OK, &reply());
    assert!(media(&offered)[0].contains(" RTP/SAVP "));
    let result = call.try_pass(Side::Caller, 1, ACK, &offer());
    assert_eq!(result, Err(Unacceptable::AnswerNotEncrypted.into()));
    let result = call.send(Side::Caller, 1, ACK, b"");
    assert_eq!(result, Err(Unacceptable::AnswerMissing.into()));
    assert!(call.plan(0).is_none(), "the ports wait for nobody now");
}

#[test]
fn a_success_without_an_answer_is_refused() {
    let mut call = Call::new(&PLAIN, &PLAIN);
    call.pass(Side::Caller, 0, INVITE, &offer());
    let result = call.send(Side::Callee, 1, OK, b"");
    assert_eq!(result, Err(Unacceptable::AnswerMissing.into()));
    let mut call = Call::new(&PLAIN, &PLAIN);
    call.pass(Side::Caller, 0, INVITE, &offer());
    assert_eq!(call.send(Side::Callee, 1, RINGING, b""), Ok(Body::AsIs));
    call.pass(Side::Callee, 1, RELIABLE, &reply());
    assert_eq!(
        call.send(Side::Callee, 1, OK, b""),
        Ok(Body::AsIs),
        "it was answered"
    );
}

#[test]
fn early_media_flows_and_the_last_early_answer_is_heard() {
    let mut call = Call::new(&PLAIN, &PLAIN);
    call.pass(Side::Caller, 0, INVITE, &offer());
    for (dialog, port) in [(1, 5000), (2, 5100), (3, 5200)] {
        call.pass(
            Side::Callee,
            dialog,
            RINGING,
            &at(CALLEE, port, "RTP/AVP", &[]),
        );
        assert_eq!(remote_port(&call, Side::Callee), port);
        assert!(call.end_of(Side::Callee).sends);
    }
    call.pass(Side::Callee, 2, OK, &at(CALLEE, 5100, "RTP/AVP", &[]));
    call.confirm(2);
    assert_eq!(remote_port(&call, Side::Callee), 5100);
    call.pass(Side::Callee, 3, RINGING, &at(CALLEE, 5202, "RTP/AVP", &[]));
    assert_eq!(remote_port(&call, Side::Callee), 5100, "the others are out");
    assert_eq!(call.anchor.figures().ports_in_use, 2, "forks share ports");
}

#[test]
fn forks_get_keys_of_their_own_and_versions_that_grow() {
    let mut call = Call::new(&[Mode::Sdes], &PLAIN);
    let sdp = audio("RTP/SAVP", &[&crypto(1, Suite::AeadAes128Gcm, 1)]);
    call.pass(Side::Caller, 0, INVITE, &sdp);
    let one = call.pass(Side::Callee, 1, RINGING, &reply());
    let two = call.pass(Side::Callee, 2, RINGING, &reply());
    assert_ne!(lines(&one, "a=crypto:"), lines(&two, "a=crypto:"));
    assert!(version(&two) > version(&one));
}

#[test]
fn forks_beyond_the_limit_push_out_the_oldest() {
    let mut call = Call::new(&PLAIN, &PLAIN);
    call.pass(Side::Caller, 0, INVITE, &offer());
    for dialog in 1..=40 {
        call.pass(Side::Callee, dialog, RINGING, &reply());
    }
    let session = call.anchor.sessions.values().next().unwrap();
    assert_eq!(
        session.dialogs.len(),
        17,
        "16 forks and what they begin with"
    );
    call.pass(Side::Callee, 1, OK, &reply());
    call.confirm(1);
    assert_eq!(remote_port(&call, Side::Callee), 5000);
}

#[test]
fn an_unreliable_answer_may_change_and_a_reliable_one_may_not() {
    let mut call = Call::new(&PLAIN, &PLAIN);
    call.pass(Side::Caller, 0, INVITE, &offer());
    call.pass(Side::Callee, 1, RINGING, &reply());
    let other = at(CALLEE, 6000, "RTP/AVP", &["a=sendonly"]);
    let second = call.pass(Side::Callee, 1, RELIABLE, &other);
    assert_eq!(remote_port(&call, Side::Callee), 6000);
    let third = call.pass(Side::Callee, 1, OK, &reply());
    assert_eq!((third, remote_port(&call, Side::Callee)), (second, 6000));
}

#[test]
fn prack_carries_an_answer_or_an_offer() {
    let mut call = Call::new(&PLAIN, &PLAIN);
    call.send(Side::Caller, 0, INVITE, b"").unwrap();
    assert_eq!(
        call.send(Side::Callee, 1, RINGING, reply().as_bytes()),
        Ok(Body::Remove)
    );
    call.pass(Side::Callee, 1, RELIABLE, &reply());
    call.pass(Side::Caller, 1, Carrier::Prack { transaction: 2 }, &offer());
    assert_eq!(remote_port(&call, Side::Caller), 4000);
    let again = at("192.0.2.1", 4400, "RTP/AVP", &[]);
    call.pass(Side::Caller, 1, Carrier::Prack { transaction: 3 }, &again);
    assert_eq!(
        remote_port(&call, Side::Caller),
        4000,
        "not before it is answered"
    );
    call.pass(
        Side::Callee,
        1,
        Carrier::PrackSuccess { transaction: 3 },
        &reply(),
    );
    assert_eq!(remote_port(&call, Side::Caller), 4400);
    assert_eq!(call.send(Side::Callee, 1, OK, b""), Ok(Body::AsIs));
}

#[test]
fn update_in_an_early_dialog_and_the_answer_of_the_invite_after_it() {
    let mut call = Call::new(&PLAIN, &PLAIN);
    call.pass(Side::Caller, 0, INVITE, &offer());
    call.pass(Side::Callee, 1, RELIABLE, &reply());
    let update = Carrier::Update { transaction: 2 };
    let moved = at("192.0.2.1", 4600, "RTP/AVP", &[]);
    call.pass(Side::Caller, 1, update, &moved);
    let answered = call.pass(
        Side::Callee,
        1,
        Carrier::UpdateSuccess { transaction: 2 },
        &reply(),
    );
    assert_eq!(remote_port(&call, Side::Caller), 4600);
    let repeated = call.pass(Side::Callee, 1, OK, &at(CALLEE, 5002, "RTP/AVP", &[]));
    assert_eq!(repeated, answered, "what is agreed now");
    assert_eq!(remote_port(&call, Side::Callee), 5000);
}

#[test]
fn one_offer_at_a_time() {
    let mut call = Call::new(&PLAIN, &PLAIN);
    call.establish(&offer(), &reply());
    call.pass(
        Side::Caller,
        1,
        Carrier::Invite { transaction: 2 },
        &offer(),
    );
    let glare = call.try_pass(
        Side::Callee,
        1,
        Carrier::Invite { transaction: 1 },
        &reply(),
    );
    assert_eq!(glare.as_ref().map_err(Refused::status), Err(491));
    let second = call.try_pass(
        Side::Caller,
        1,
        Carrier::Update { transaction: 3 },
        &offer(),
    );
    assert_eq!(second.as_ref().map_err(Refused::status), Err(500));
    call.refuse(Side::Caller, 2);
    call.pass(
        Side::Callee,
        1,
        Carrier::Invite { transaction: 1 },
        &reply(),
    );
}

#[test]
fn a_refused_offer_leaves_everything_as_it_was() {
    let mut call = Call::new(&PLAIN, &PLAIN);
    let (first, _) = call.establish(&offer(), &reply());
    let before = call.plan(0).cloned();
    let with_video = offer() + "m=video 4002 RTP/AVP 31\r\n";
    let offered = call.pass(
        Side::Caller,
        1,
        Carrier::Invite { transaction: 2 },
        &with_video,
    );
    assert!(version(&offered) > version(&first));
    assert!(
        call.plan(1).is_some(),
        "its ports are open before it leaves"
    );
    assert_eq!(call.plan(0).cloned(), before, "what flows goes on");
    call.refuse(Side::Caller, 2);
    assert!(call.plan(1).is_none());
    assert_eq!(call.plan(0).cloned(), before);
    let again = call.pass(
        Side::Caller,
        1,
        Carrier::Invite { transaction: 3 },
        &with_video,
    );
    assert_eq!(media(&again), media(&offered), "the same ports");
    assert_eq!(call.anchor.figures().ports_in_use, 4);
}

#[test]
fn a_provisional_agreement_falls_with_its_transaction() {
    let mut call = Call::new(&PLAIN, &PLAIN);
    call.establish(&offer(), &reply());
    call.pass(
        Side::Caller,
        1,
        Carrier::Invite { transaction: 2 },
        &offer(),
    );
    let early = Carrier::Provisional {
        transaction: 2,
        reliable: false,
    };
    call.pass(Side::Callee, 1, early, &at(CALLEE, 5600, "RTP/AVP", &[]));
    assert_eq!(remote_port(&call, Side::Callee), 5600);
    call.refuse(Side::Caller, 2);
    assert_eq!(remote_port(&call, Side::Callee), 5000);
}

#[test]
fn streams_are_added_and_removed() {
    let mut call = Call::new(&PLAIN, &PLAIN);
    call.establish(&offer(), &reply());
    let video = "m=video 4002 RTP/AVP 31\r\n";
    call.pass(
        Side::Callee,
        1,
        Carrier::Invite { transaction: 1 },
        &(reply() + video),
    );
    let ok = Carrier::Success { transaction: 1 };
    let answered = call.pass(Side::Caller, 1, ok, &(offer() + video));
    assert_eq!(media(&answered).len(), 2);
    assert!(call.plan(1).unwrap().iter().all(|end| end.sends));
    let gone = "m=video 0 RTP/AVP 31\r\n";
    call.pass(
        Side::Caller,
        1,
        Carrier::Update { transaction: 5 },
        &(offer() + gone),
    );
    assert!(call.plan(1).is_some());
    let ok = Carrier::UpdateSuccess { transaction: 5 };
    call.pass(Side::Callee, 1, ok, &(reply() + gone));
    assert!(call.plan(1).is_none() && call.plan(0).is_some());
}

#[test]
fn a_reinvite_that_changes_nothing_changes_nothing() {
    let mut call = Call::new(&[Mode::Sdes], &[Mode::Dtls]);
    let sdp = audio("RTP/SAVP", &[&crypto(1, Suite::AeadAes128Gcm, 1)]);
    let offered = call.pass(Side::Caller, 0, INVITE, &sdp);
    let reply = answer(
        CALLEE,
        &offered,
        &[FINGERPRINT, "a=setup:passive", "a=rtcp-mux"],
    );
    let answered = call.pass(Side::Callee, 1, OK, &reply);
    call.confirm(1);
    let commands = call.commands.len();
    let again = call.pass(Side::Caller, 1, Carrier::Invite { transaction: 2 }, &sdp);
    let ok = Carrier::Success { transaction: 2 };
    let answered_again = call.pass(Side::Callee, 1, ok, &reply);
    assert_eq!(
        (again, answered_again),
        (offered, answered),
        "keys, ports and version too"
    );
    assert_eq!(call.commands.len(), commands);
}

#[test]
fn a_reoffer_of_the_other_side_keeps_keys_and_roles() {
    let mut call = Call::new(&[Mode::Sdes, Mode::Plain], &[Mode::Dtls]);
    let key = crypto(1, Suite::AesCm128HmacSha1_80, 1);
    let offered = call.pass(Side::Caller, 0, INVITE, &audio("RTP/SAVP", &[&key]));
    let reply = answer(
        CALLEE,
        &offered,
        &[FINGERPRINT, "a=setup:active", "a=rtcp-mux"],
    );
    call.pass(Side::Callee, 1, OK, &reply);
    call.confirm(1);
    let before = call.plan(0).cloned();
    let again = reply.replace("a=setup:active", "a=setup:actpass");
    let offered = call.pass(Side::Callee, 1, Carrier::Invite { transaction: 1 }, &again);
    assert!(
        media(&offered)[0].contains(" RTP/SAVP "),
        "a secure leg stays strict"
    );
    assert!(lines(&offered, "a=crypto:")[0].starts_with("a=crypto:1 AES_CM_128_HMAC_SHA1_80 "));
    let ok = Carrier::Success { transaction: 1 };
    let answered = call.pass(Side::Caller, 1, ok, &audio("RTP/SAVP", &[&key]));
    assert_eq!(lines(&answered, "a=setup:"), ["a=setup:passive"]);
    assert_eq!(
        call.plan(0).cloned(),
        before,
        "no new handshake, no new key"
    );
}

#[test]
fn another_target_with_other_terms_gets_its_own_offer() {
    let mut call = Call::new(&PLAIN, &[Mode::Sdes]);
    let first = call.pass(Side::Caller, 0, INVITE, &offer());
    let other = terms(&PLAIN, Side::Callee);
    let strict = std::mem::replace(&mut call.terms[1], other);
    let second = call.pass(Side::Caller, 0, INVITE, &offer());
    assert!(media(&first)[0].contains(" RTP/SAVP ") && media(&second)[0].contains(" RTP/AVP "));
    call.terms[1] = strict;
    let reply = answer(CALLEE, &first, &[&crypto(1, Suite::AeadAes128Gcm, 2)]);
    call.pass(Side::Callee, 1, OK, &reply);
    assert!(matches!(
        call.end_of(Side::Callee).protection,
        Protection::Sdes { .. }
    ));
}

#[test]
fn a_failed_target_is_followed_by_another() {
    let mut call = Call::new(&PLAIN, &PLAIN);
    let first = call.pass(Side::Caller, 0, INVITE, &offer());
    call.refuse(Side::Caller, 1);
    assert!(call.plan(0).is_none());
    let second = call.pass(Side::Caller, 0, INVITE, &offer());
    assert_eq!(first, second);
    assert!(call.plan(0).is_some(), "its ports are open again");
    call.pass(Side::Callee, 1, OK, &reply());
}

#[test]
fn the_early_media_of_a_failed_target_ends_with_it() {
    for answer in [RINGING, RELIABLE] {
        let mut call = Call::new(&PLAIN, &PLAIN);
        call.pass(Side::Caller, 0, INVITE, &offer());
        call.pass(Side::Callee, 1, answer, &reply());
        assert_eq!(remote_port(&call, Side::Callee), 5000);
        call.refuse(Side::Caller, 1);
        assert!(call.plan(0).is_none(), "nothing is relayed any more");
        // The next target is another fork of the same INVITE.
        call.pass(Side::Caller, 0, INVITE, &offer());
        let next = at(CALLEE, 6000, "RTP/AVP", &[]);
        call.pass(Side::Callee, 2, answer, &next);
        assert_eq!(remote_port(&call, Side::Callee), 6000);
    }
}
