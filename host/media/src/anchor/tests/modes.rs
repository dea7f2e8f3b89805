//! Plain, SDES, DTLS and passthrough in every combination, and what a requirement
//! refuses.

use super::*;
use crate::{Protection, Unacceptable};

const CALLEE: &str = "203.0.113.1";

/// An offer of the mode, by a peer that wants nothing else.
fn offer(mode: Mode) -> String {
    match mode {
        Mode::Plain | Mode::Passthrough => audio("RTP/AVP", &[]),
        Mode::Sdes => audio("RTP/SAVP", &[&crypto(1, Suite::AeadAes128Gcm, 1)]),
        Mode::Dtls => audio(
            "UDP/TLS/RTP/SAVP",
            &[FINGERPRINT, "a=setup:actpass", "a=rtcp-mux"],
        ),
    }
}

/// What such a peer answers to our offer: the first key of ours that it knows.
fn accept(mode: Mode, offered: &str) -> String {
    match mode {
        Mode::Plain | Mode::Passthrough => answer(CALLEE, offered, &[]),
        Mode::Sdes => answer(CALLEE, offered, &[&crypto(1, Suite::AeadAes128Gcm, 2)]),
        Mode::Dtls => answer(
            CALLEE,
            offered,
            &[FINGERPRINT, "a=setup:active", "a=rtcp-mux"],
        ),
    }
}

fn mode_of(end: &EndPlan) -> Mode {
    match end.protection {
        Protection::Closed => panic!("closed"),
        Protection::Plain => Mode::Plain,
        Protection::Passthrough => Mode::Passthrough,
        Protection::Sdes { .. } => Mode::Sdes,
        Protection::Dtls { .. } => Mode::Dtls,
    }
}

#[test]
fn every_pair_of_modes_interworks() {
    let modes = [Mode::Plain, Mode::Sdes, Mode::Dtls];
    for (caller, callee) in modes
        .into_iter()
        .flat_map(|one| modes.map(|two| (one, two)))
    {
        let mut call = Call::new(&[caller], &[callee]);
        let offered = call.pass(Side::Caller, 0, INVITE, &offer(caller));
        assert_eq!(call.end_of(Side::Caller).protection, Protection::Closed);
        let answered = call.pass(Side::Callee, 1, OK, &accept(callee, &offered));
        call.confirm(1);
        assert_eq!(
            mode_of(call.end_of(Side::Caller)),
            caller,
            "{caller:?} {callee:?}"
        );
        assert_eq!(
            mode_of(call.end_of(Side::Callee)),
            callee,
            "{caller:?} {callee:?}"
        );
        for (sdp, mode) in [(&offered, callee), (&answered, caller)] {
            let (profile, crypto, fingerprint) = match mode {
                Mode::Sdes => ("RTP/SAVP", true, false),
                Mode::Dtls => ("UDP/TLS/RTP/SAVP", false, true),
                _ => ("RTP/AVP", false, false),
            };
            assert_eq!(media(sdp)[0].split(' ').nth(2), Some(profile));
            assert_eq!(!lines(sdp, "a=crypto:").is_empty(), crypto, "{sdp}");
            assert_eq!(
                !lines(sdp, "a=fingerprint:sha-256 AB:AB").is_empty(),
                fingerprint,
                "{sdp}"
            );
        }
    }
}

#[test]
fn our_keys_are_ours_and_differ_by_leg() {
    let mut call = Call::new(&[Mode::Sdes], &[Mode::Sdes]);
    let offered = call.pass(Side::Caller, 0, INVITE, &offer(Mode::Sdes));
    let lines_out = lines(&offered, "a=crypto:");
    let suites: Vec<_> = lines_out
        .iter()
        .map(|line| line.split(' ').nth(1).unwrap())
        .collect();
    assert_eq!(suites, Suite::OFFERED.map(Suite::name), "GCM first");
    call.pass(Side::Callee, 1, OK, &accept(Mode::Sdes, &offered));
    let keys = Side::BOTH.map(|side| match &call.end_of(side).protection {
        Protection::Sdes { send, receive } => (send.clone(), receive.clone()),
        other => panic!("{other:?}"),
    });
    assert_ne!(keys[0].0, keys[1].0);
    assert!(keys[0].1.key_salt.iter().all(|octet| *octet == 1));
    assert!(keys[1].1.key_salt.iter().all(|octet| *octet == 2));
    let shown = format!("{:?}", call.commands);
    assert!(shown.contains("KeyMaterial(AEAD_AES_128_GCM)") && !shown.contains("key_salt"));
}

#[test]
fn the_callers_order_of_suites_decides() {
    let mut call = Call::new(&[Mode::Sdes], &[Mode::Plain]);
    let sdp = audio(
        "RTP/SAVP",
        &[
            "a=crypto:1 F8_128_HMAC_SHA1_80 inline:AAAA",
            &crypto(7, Suite::AesCm256HmacSha1_32, 3),
            &crypto(8, Suite::AeadAes128Gcm, 3),
        ],
    );
    let offered = call.pass(Side::Caller, 0, INVITE, &sdp);
    let answered = call.pass(Side::Callee, 1, OK, &accept(Mode::Plain, &offered));
    assert!(lines(&answered, "a=crypto:")[0].starts_with("a=crypto:7 AES_256_CM_HMAC_SHA1_32 "));
}

#[test]
fn an_opportunistic_offer_takes_what_comes() {
    for (reply, expected) in [
        (vec![], Mode::Plain),
        (vec![crypto(1, Suite::AeadAes128Gcm, 2)], Mode::Sdes),
        (
            vec![FINGERPRINT.to_owned(), "a=setup:passive".to_owned()],
            Mode::Dtls,
        ),
    ] {
        let mut call = Call::new(&[Mode::Plain], &[Mode::Dtls, Mode::Sdes, Mode::Plain]);
        let offered = call.pass(Side::Caller, 0, INVITE, &offer(Mode::Plain));
        assert!(media(&offered)[0].contains(" RTP/AVP "), "{offered}");
        assert!(!lines(&offered, "a=crypto:").is_empty() && offered.contains("a=setup:actpass"));
        let reply: Vec<&str> = reply.iter().map(String::as_str).collect();
        call.pass(Side::Callee, 1, OK, &answer(CALLEE, &offered, &reply));
        assert_eq!(mode_of(call.end_of(Side::Callee)), expected);
    }
}

#[test]
fn an_opportunistic_offer_of_a_peer_is_taken_by_its_terms() {
    let sdp = audio("RTP/AVP", &[&crypto(3, Suite::AesCm128HmacSha1_80, 3)]);
    for (modes, expected) in [
        (vec![Mode::Sdes, Mode::Plain], Mode::Sdes),
        (vec![Mode::Plain, Mode::Sdes], Mode::Plain),
    ] {
        let mut call = Call::new(&modes, &[Mode::Plain]);
        let offered = call.pass(Side::Caller, 0, INVITE, &sdp);
        let answered = call.pass(Side::Callee, 1, OK, &accept(Mode::Plain, &offered));
        assert_eq!(mode_of(call.end_of(Side::Caller)), expected);
        assert!(media(&answered)[0].contains(" RTP/AVP "));
        assert_eq!(
            lines(&answered, "a=crypto:3 ").len(),
            usize::from(expected == Mode::Sdes)
        );
    }
}

#[test]
fn what_must_be_encrypted_and_is_not_is_refused() {
    use Requirement::{Any, Encrypted, EncryptedBoth};
    use Unacceptable::{Mode as Wrong, NotEncrypted, PeerCannotEncrypt};
    let both: &[Mode] = &[Mode::Sdes, Mode::Plain];
    for (requirement, caller, callee, sdp, expected) in [
        (Any, both, both, Mode::Plain, None),
        (Encrypted, both, both, Mode::Plain, Some(NotEncrypted)),
        (EncryptedBoth, both, both, Mode::Plain, Some(NotEncrypted)),
        (Encrypted, both, both, Mode::Sdes, None),
        (Encrypted, both, &[Mode::Plain], Mode::Sdes, None),
        (
            EncryptedBoth,
            both,
            &[Mode::Plain],
            Mode::Sdes,
            Some(PeerCannotEncrypt),
        ),
        (EncryptedBoth, both, both, Mode::Sdes, None),
        (Any, &[Mode::Sdes], both, Mode::Plain, Some(NotEncrypted)),
        (Any, &[Mode::Plain], both, Mode::Sdes, Some(Wrong)),
        (Any, &[Mode::Sdes], both, Mode::Dtls, Some(Wrong)),
        (Any, both, &[Mode::Passthrough], Mode::Plain, Some(Wrong)),
    ] {
        let mut call = Call::new(caller, callee).requiring(requirement);
        let result = call.try_pass(Side::Caller, 0, INVITE, &offer(sdp));
        let error = result.as_ref().err().cloned();
        assert_eq!(
            error,
            expected.map(Refused::Unacceptable),
            "{requirement:?} {caller:?} {callee:?}"
        );
        assert_eq!(error.map(|error| error.status()), expected.map(|_| 488));
        assert_eq!(
            call.anchor.figures().sessions,
            usize::from(expected.is_none())
        );
        if requirement == EncryptedBoth && expected.is_none() {
            assert!(
                media(&result.unwrap())[0].contains(" RTP/SAVP "),
                "strict, not opportunistic"
            );
        }
    }
}

#[test]
fn an_answer_without_the_offered_keys_is_refused() {
    for (mode, reply) in [
        (Mode::Sdes, at(CALLEE, 5000, "RTP/AVP", &[])),
        (Mode::Sdes, at(CALLEE, 5000, "RTP/SAVP", &[])),
        (
            Mode::Sdes,
            at(
                CALLEE,
                5000,
                "RTP/SAVP",
                &[&crypto(9, Suite::AeadAes128Gcm, 1)],
            ),
        ),
        (
            Mode::Sdes,
            at(
                CALLEE,
                5000,
                "RTP/SAVP",
                &[&crypto(1, Suite::AesCm128HmacSha1_80, 1)],
            ),
        ),
        (
            Mode::Dtls,
            at(CALLEE, 5000, "UDP/TLS/RTP/SAVP", &["a=setup:active"]),
        ),
        (Mode::Dtls, at(CALLEE, 5000, "RTP/AVP", &[])),
    ] {
        let mut call = Call::new(&[Mode::Plain], &[mode]);
        call.pass(Side::Caller, 0, INVITE, &offer(Mode::Plain));
        assert_eq!(
            call.try_pass(Side::Callee, 1, OK, &reply),
            Err(Unacceptable::AnswerNotEncrypted.into()),
            "{reply}"
        );
        assert_eq!(call.end_of(Side::Callee).protection, Protection::Closed);
    }
}

#[test]
fn the_profile_with_feedback_goes_on_with_feedback_only() {
    for (feedback, expected) in [
        (&["a=rtcp-fb:* nack"][..], " RTP/SAVPF "),
        (&[][..], " RTP/SAVP "),
    ] {
        let mut call = Call::new(&[Mode::Dtls], &[Mode::Sdes]);
        let lines = [&[FINGERPRINT, "a=setup:actpass"][..], feedback].concat();
        let offered = call.pass(Side::Caller, 0, INVITE, &audio("UDP/TLS/RTP/SAVPF", &lines));
        assert!(media(&offered)[0].contains(expected), "{offered}");
        assert_eq!(offered.contains("a=rtcp-fb"), !feedback.is_empty());
        let answered = call.pass(Side::Callee, 1, OK, &accept(Mode::Sdes, &offered));
        assert!(media(&answered)[0].contains(" UDP/TLS/RTP/SAVPF "));
    }
}

#[test]
fn roles_of_the_handshake() {
    for (setup, nat, expected) in [
        ("a=setup:actpass", false, Ok("a=setup:passive")),
        ("a=setup:actpass", true, Ok("a=setup:passive")),
        ("a=setup:active", false, Ok("a=setup:passive")),
        ("a=setup:passive", true, Ok("a=setup:active")),
        ("a=x:y", false, Ok("a=setup:passive")),
        ("a=setup:holdconn", false, Err(Unacceptable::Setup)),
    ] {
        let mut call = Call::new(&[Mode::Dtls], &[Mode::Plain]);
        call.terms[0].nat = nat;
        let sdp = audio("UDP/TLS/RTP/SAVPF", &[FINGERPRINT, setup]);
        match (call.try_pass(Side::Caller, 0, INVITE, &sdp), expected) {
            (Ok(offered), Ok(expected)) => {
                assert!(
                    media(&offered)[0].contains(" RTP/AVP "),
                    "no feedback is named"
                );
                let answered = call.pass(Side::Callee, 1, OK, &accept(Mode::Plain, &offered));
                assert_eq!(lines(&answered, "a=setup:"), [expected]);
                assert!(media(&answered)[0].contains(" UDP/TLS/RTP/SAVPF "));
            }
            (result, expected) => {
                assert_eq!(result.map(drop), expected.map(drop).map_err(Into::into))
            }
        }
    }
    for (setup, expected) in [
        ("active", Ok(false)),
        ("passive", Ok(true)),
        ("actpass", Err(())),
    ] {
        let mut call = Call::new(&[Mode::Plain], &[Mode::Dtls]);
        let offered = call.pass(Side::Caller, 0, INVITE, &offer(Mode::Plain));
        let reply = answer(
            CALLEE,
            &offered,
            &[FINGERPRINT, &format!("a=setup:{setup}")],
        );
        match (call.try_pass(Side::Callee, 1, OK, &reply), expected) {
            (Ok(_), Ok(ours)) => assert!(
                matches!(call.end_of(Side::Callee).protection, Protection::Dtls { active, .. } if active == ours)
            ),
            (result, expected) => assert_eq!(result.is_err(), expected.is_err()),
        }
    }
}

#[test]
fn weak_fingerprints_are_not_enough() {
    let mut call = Call::new(&[Mode::Dtls], &[Mode::Plain]);
    let weak = format!("a=fingerprint:sha-1 {}11", "11:".repeat(19));
    let sdp = audio("UDP/TLS/RTP/SAVP", &[&weak, "a=setup:actpass"]);
    assert!(call.try_pass(Side::Caller, 0, INVITE, &sdp).is_err());
}

#[test]
fn without_a_certificate_there_is_no_dtls() {
    let mut call = Call::new(&[Mode::Dtls], &[Mode::Dtls]);
    let bare = AnchorConfig {
        fingerprint: None,
        ..config()
    };
    call.anchor.set_config(Arc::new(bare));
    let result = call.try_pass(Side::Caller, 0, INVITE, &offer(Mode::Dtls));
    assert_eq!(result, Err(Unacceptable::Mode.into()));
}

#[test]
fn keys_pass_through_between_parties_that_both_say_so() {
    let modes = [Mode::Passthrough, Mode::Plain];
    let key = crypto(4, Suite::AesCm128HmacSha1_80, 8);
    let mut call = Call::new(&modes, &modes).requiring(Requirement::EncryptedBoth);
    let offered = call.pass(Side::Caller, 0, INVITE, &audio("RTP/SAVP", &[&key]));
    assert_eq!(lines(&offered, "a=crypto:"), [key.as_str()]);
    let answered = call.pass(Side::Callee, 1, OK, &answer(CALLEE, &offered, &[&key]));
    assert_eq!(lines(&answered, "a=crypto:"), [key.as_str()]);
    assert_eq!(
        call.end_of(Side::Caller).protection,
        Protection::Passthrough
    );
    assert!(
        !format!("{:?}", call.commands).contains("KeyMaterial"),
        "the relay holds none"
    );

    let mut call = Call::new(&modes, &modes);
    let offered = call.pass(
        Side::Caller,
        0,
        INVITE,
        &audio("UDP/TLS/RTP/SAVP", &[FINGERPRINT, "a=setup:actpass"]),
    );
    assert!(offered.contains(FINGERPRINT) && offered.contains("a=setup:actpass"));
    let plain = answer(CALLEE, &offered, &[]);
    assert_eq!(
        call.try_pass(Side::Callee, 1, OK, &plain),
        Err(Unacceptable::AnswerNotEncrypted.into())
    );
}

#[test]
fn passthrough_of_one_party_or_of_clear_media_is_none_where_it_matters() {
    let through = [Mode::Passthrough, Mode::Sdes];
    let mut call = Call::new(&through, &[Mode::Sdes]);
    let offered = call.pass(Side::Caller, 0, INVITE, &offer(Mode::Sdes));
    assert_eq!(lines(&offered, "a=crypto:").len(), 5, "ours");
    let mut call = Call::new(&through, &through).requiring(Requirement::Encrypted);
    assert!(
        call.try_pass(Side::Caller, 0, INVITE, &offer(Mode::Plain))
            .is_err()
    );
    let sdp = audio("RTP/AVP", &[&crypto(1, Suite::AeadAes128Gcm, 1)]);
    let offered = call.pass(Side::Caller, 0, INVITE, &sdp);
    assert!(
        media(&offered)[0].contains(" RTP/SAVP "),
        "not left to the far peer"
    );
}

#[test]
fn a_secure_answer_without_keys_is_not_taken_for_a_clear_one() {
    let mut call = Call::new(&[Mode::Plain], &[Mode::Sdes, Mode::Plain]);
    call.pass(Side::Caller, 0, INVITE, &offer(Mode::Plain));
    let result = call.try_pass(Side::Callee, 1, OK, &at(CALLEE, 5000, "RTP/SAVP", &[]));
    assert_eq!(result, Err(Unacceptable::AnswerNotEncrypted.into()));
}
