//! Two baresips without a proxy between them: what the other tests are measured by.

use sipward_tests::stage::media::baresip::{Baresip, sip_port};
use sipward_tests::stage::media::{Leg, sound};
use sipward_tests::stage::{PBX, Stage, TRUNK};

/// Each hears the other, and neither hears itself.
fn hear_each_other(leg: Leg) {
    let stage = Stage::new();
    let (said, replied) = (sound::rising(4), sound::falling(4));
    let port = sip_port(TRUNK);
    let callee = Baresip {
        name: "callee",
        address: TRUNK,
        port,
        user: "callee",
        leg,
        plays: &replied,
        calls: None,
    }
    .start(&stage);
    let caller = Baresip {
        name: "caller",
        address: PBX,
        port: sip_port(PBX),
        user: "caller",
        leg,
        plays: &said,
        calls: Some(format!("sip:callee@{TRUNK}:{port}")),
    }
    .start(&stage);
    let (at_caller, at_callee) = (caller.heard(), callee.heard());
    assert!(sound::similarity(&at_callee, &said) > 0.9);
    assert!(sound::similarity(&at_caller, &replied) > 0.9);
    assert!(sound::similarity(&at_callee, &replied) < 0.3);
    assert!(sound::similarity(&at_caller, &said) < 0.3);
}

#[test]
fn plain_audio_arrives() {
    hear_each_other(Leg::Plain);
}

#[test]
fn audio_with_keys_in_sdp_arrives() {
    hear_each_other(Leg::Sdes);
}

#[test]
fn audio_with_keys_from_dtls_arrives() {
    hear_each_other(Leg::Dtls);
}
