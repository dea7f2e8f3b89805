//! baresip to baresip through Sipward, in every pair of modes and both ways round, with
//! a wiretap on both legs.

use sipward_tests::stage::media::baresip::{Baresip, Phone, sip_port};
use sipward_tests::stage::media::capture::{Capture, Tapped, tapped};
use sipward_tests::stage::media::linphone::Linphone;
use sipward_tests::stage::media::{Leg, PORTS, sound};
use sipward_tests::stage::{NUMBER, PBX, Proxy, Stage, TRUNK};

/// Half of the 200 packets of a call of four seconds.
const MANY: usize = 100;

/// baresip names 127.0.0.2 and sends from where the system's routes begin.
const SYSTEM: &[&str] = &["127.0.0.1/32"];

fn trunk(stage: &Stage, leg: Leg, plays: &[i16]) -> Phone {
    Baresip {
        name: "callee",
        address: TRUNK,
        port: stage.trunk,
        user: NUMBER,
        leg,
        plays,
        calls: None,
    }
    .start(stage)
}

fn pbx(stage: &Stage, leg: Leg, plays: &[i16]) -> Phone {
    Baresip {
        name: "caller",
        address: PBX,
        port: sip_port(PBX),
        user: "pbx",
        leg,
        plays,
        calls: Some(format!("sip:{NUMBER}@{PBX}:{}", stage.inside)),
    }
    .start(stage)
}

/// A stage whose trunk port suits baresip.
fn stage() -> Stage {
    let mut stage = Stage::new();
    stage.trunk = sip_port(TRUNK);
    stage
}

/// Bits in an octet of what is encrypted: nearly 8.
const SEALED: f64 = 7.9;
/// Of what a phone sends on a DTLS leg: baresip speaks in the clear until its handshake
/// is over, which the relay turns away and the tap hears.
const SEALED_AFTER_HANDSHAKE: f64 = 7.5;

/// What a wiretap on one leg learns of a sound that a phone sends on it.
fn check_phone(leg: Leg, tapped: &Tapped, sound: &[i16], what: &str) {
    let sealed = match leg {
        Leg::Dtls => SEALED_AFTER_HANDSHAKE,
        Leg::Plain | Leg::Sdes => SEALED,
    };
    check_leg(leg, tapped, sound, sealed, what);
}

/// The same of what Sipward sends: never anything in the clear.
fn check_relay(leg: Leg, tapped: &Tapped, sound: &[i16], what: &str) {
    check_leg(leg, tapped, sound, SEALED, what);
}

fn check_leg(leg: Leg, tapped: &Tapped, sound: &[i16], sealed: f64, what: &str) {
    assert!(tapped.packets > MANY, "{what}: {} packets", tapped.packets);
    let similarity = sound::similarity(&tapped.sound, sound);
    let entropy = sound::entropy(&tapped.payload);
    if leg == Leg::Plain {
        assert!(similarity > 0.9, "{what}: {similarity} is not the sound");
        assert!(entropy < 7.5, "{what}: {entropy} bits in an octet");
    } else {
        assert!(similarity < 0.3, "{what}: {similarity} is audible");
        assert!(entropy > sealed, "{what}: {entropy} bits in an octet");
    }
}

/// Both hear the other through Sipward, and the wire shows only what it may.
fn call(caller: Leg, callee: Leg) {
    let stage = stage();
    let first_port = stage.configure_media(caller, callee, SYSTEM);
    let proxy = Proxy::start(&stage);
    let capture = Capture::start(&stage, first_port);
    let (said, replied) = (sound::rising(4), sound::falling(4));
    let answering = trunk(&stage, callee, &replied);
    let calling = pbx(&stage, caller, &said);
    let (at_caller, at_callee) = (calling.heard(), answering.heard());
    let hears = |recording: &[i16], known: &[i16]| sound::similarity(recording, known);
    assert!(hears(&at_callee, &said) > 0.9);
    assert!(hears(&at_caller, &replied) > 0.9);
    assert!(hears(&at_callee, &replied) < 0.3);
    assert!(hears(&at_caller, &said) < 0.3);
    let datagrams = capture.datagrams();
    let relay = first_port..first_port + PORTS;
    let (pbx, trunk) = (calling.media(), answering.media());
    let tap = |from, to| tapped(&datagrams, from, to);
    check_phone(caller, &tap(&pbx, &relay), &said, "from the caller");
    check_relay(callee, &tap(&relay, &trunk), &said, "to the callee");
    check_phone(callee, &tap(&trunk, &relay), &replied, "from the callee");
    check_relay(caller, &tap(&relay, &pbx), &replied, "to the caller");
    proxy.wait_until("the call has ended", |status| status["total"]["calls"] == 0);
}

#[test]
fn plain_to_plain() {
    call(Leg::Plain, Leg::Plain);
}

#[test]
fn plain_to_sdes() {
    call(Leg::Plain, Leg::Sdes);
}

#[test]
fn sdes_to_plain() {
    call(Leg::Sdes, Leg::Plain);
}

#[test]
fn sdes_to_sdes() {
    call(Leg::Sdes, Leg::Sdes);
}

#[test]
fn dtls_to_sdes() {
    call(Leg::Dtls, Leg::Sdes);
}

#[test]
fn sdes_to_dtls() {
    call(Leg::Sdes, Leg::Dtls);
}

#[test]
fn dtls_to_dtls() {
    call(Leg::Dtls, Leg::Dtls);
}

/// Another family of phones: Linphone with SRTP calls a plain baresip.
#[test]
fn linphone_completes_a_call() {
    let stage = stage();
    let _first_port = stage.configure_media(Leg::Sdes, Leg::Plain, SYSTEM);
    let _proxy = Proxy::start(&stage);
    let (said, replied) = (sound::rising(5), sound::falling(5));
    let answering = trunk(&stage, Leg::Plain, &replied);
    let target = format!("sip:{NUMBER}@{PBX}:{}", stage.inside);
    let calling = Linphone::call(&stage, &target, Leg::Sdes, &said);
    let (at_caller, at_callee) = (calling.heard(), answering.heard());
    let at_callee = sound::similarity(&at_callee, &said);
    assert!(at_callee > 0.9, "{at_callee}");
    // Linphone stretches what it hears when packets come unevenly, as on a busy machine.
    let (heard, said) = (
        sound::similarity(&at_caller, &replied),
        sound::similarity(&at_caller, &said),
    );
    assert!(
        heard > 0.6 && said < 0.3,
        "{heard} of the callee, {said} of itself"
    );
}
