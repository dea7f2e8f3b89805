//! Which addresses are followed, and which families meet.

use super::*;
use crate::{Latch, Unacceptable};

const PLAIN: [Mode; 1] = [Mode::Plain];

/// Offer with that address and port; what becomes of the caller's remote.
fn followed(call: &mut Call, address: &str, port: u16) -> Result<Option<u16>, Refused> {
    call.try_pass(Side::Caller, 0, INVITE, &at(address, port, "RTP/AVP", &[]))?;
    let remote = call.end_of(Side::Caller).remote.clone().unwrap();
    Ok(remote.rtp.map(|rtp| rtp.port()))
}

#[test]
fn addresses_are_followed_by_class() {
    for (address, port, signalling, expected) in [
        ("192.0.2.77", 4000, "192.0.2.1", true),
        ("192.0.2.77", 1024, "192.0.2.1", true),
        ("192.0.2.77", 1023, "192.0.2.1", false),
        ("10.0.0.5", 4000, "192.0.2.1", false),
        ("10.0.0.5", 4000, "172.16.0.1", true),
        ("127.0.0.1", 4000, "10.0.0.1", false),
        ("127.0.0.1", 4000, "127.0.0.1", true),
        ("169.254.1.1", 4000, "192.0.2.1", false),
        ("224.0.0.5", 4000, "192.0.2.1", false),
        ("240.0.0.5", 4000, "240.0.0.5", false),
        ("::ffff:10.0.0.5", 4000, "192.0.2.1", false),
        ("198.51.100.1", 4000, "192.0.2.1", false),
        ("198.51.100.1", 4000, "198.51.100.2", true),
        ("198.51.100.1", 20_000, "198.51.100.2", false),
        ("media.example.com", 4000, "192.0.2.1", false),
    ] {
        let mut call = Call::new(&PLAIN, &PLAIN);
        call.terms[0].signalling = signalling.parse().unwrap();
        let result = followed(&mut call, address, port);
        if expected {
            assert_eq!(result, Ok(Some(port)), "{address}:{port} from {signalling}");
        } else {
            assert_eq!(
                result,
                Err(Unacceptable::Address.into()),
                "{address}:{port}"
            );
        }
    }
}

#[test]
fn networks_of_the_peer_are_followed() {
    let mut call = Call::new(&PLAIN, &PLAIN);
    let networks = ["10.0.0.0/8", "198.51.100.0/24"].map(|text| text.parse().unwrap());
    call.terms[0].networks = Arc::new(networks);
    assert_eq!(followed(&mut call, "10.0.0.5", 4000), Ok(Some(4000)));
    let remote = call.end_of(Side::Caller).remote.clone().unwrap();
    assert!(
        remote.fits("10.9.9.9:77".parse().unwrap(), false),
        "it may send from there too"
    );
    assert!(!remote.fits("192.0.2.1:4000".parse().unwrap(), false));
}

#[test]
fn behind_nat_the_first_source_is_waited_for() {
    for (address, known) in [
        ("192.0.2.77", true),
        ("10.0.0.5", false),
        ("host.example", false),
    ] {
        let mut call = Call::new(&PLAIN, &PLAIN);
        call.terms[0].nat = true;
        let result = followed(&mut call, address, 4000);
        assert_eq!(result, Ok(known.then_some(4000)), "{address}");
        let remote = call.end_of(Side::Caller).remote.clone().unwrap();
        assert_eq!(remote.latch, Latch::FirstFitting);
        assert!(
            remote.fits("192.0.2.1:61000".parse().unwrap(), false),
            "its signalling"
        );
        assert_eq!(
            remote.fits("192.0.2.77:61000".parse().unwrap(), false),
            known
        );
        assert!(!remote.fits("203.0.113.9:61000".parse().unwrap(), false));
    }
    let mut call = Call::new(&PLAIN, &PLAIN);
    call.terms[0].nat = true;
    assert_eq!(
        followed(&mut call, "239.1.1.1", 4000),
        Err(Unacceptable::Address.into())
    );
}

#[test]
fn an_answers_address_is_judged_too() {
    let mut call = Call::new(&PLAIN, &PLAIN);
    call.pass(Side::Caller, 0, INVITE, &audio("RTP/AVP", &[]));
    let result = call.try_pass(Side::Callee, 1, OK, &at("10.0.0.1", 5000, "RTP/AVP", &[]));
    assert_eq!(result, Err(Unacceptable::Address.into()));
}

#[test]
fn control_elsewhere_is_judged_by_itself() {
    let mut call = Call::new(&PLAIN, &PLAIN);
    call.pass(
        Side::Caller,
        0,
        INVITE,
        &audio("RTP/AVP", &["a=rtcp:53 IN IP4 192.0.2.1"]),
    );
    let remote = call.end_of(Side::Caller).remote.clone().unwrap();
    assert_eq!((remote.rtp.is_some(), remote.rtcp), (true, None));
    let mut call = Call::new(&PLAIN, &PLAIN);
    call.pass(
        Side::Caller,
        0,
        INVITE,
        &audio("RTP/AVP", &["a=rtcp:5353 IN IP4 10.0.0.1"]),
    );
    assert_eq!(call.end_of(Side::Caller).remote.clone().unwrap().rtcp, None);
    let mut call = Call::new(&PLAIN, &PLAIN);
    call.pass(
        Side::Caller,
        0,
        INVITE,
        &at("192.0.2.1", 65_535, "RTP/AVP", &[]),
    );
    assert_eq!(call.end_of(Side::Caller).remote.clone().unwrap().rtcp, None);
}

#[test]
fn families_meet() {
    let mut call = Call::new(&PLAIN, &PLAIN);
    call.terms[1].ipv6 = true;
    let offered = call.pass(Side::Caller, 0, INVITE, &audio("RTP/AVP", &[]));
    assert!(offered.contains("c=IN IP6 2001:db8::2\r\n"), "{offered}");
    let answered = call.pass(
        Side::Callee,
        1,
        OK,
        &at("2001:db8::99", 5000, "RTP/AVP", &[]),
    );
    assert!(answered.contains("c=IN IP4 198.51.100.1\r\n"));
    assert!(call.end_of(Side::Callee).local.ipv6 && !call.end_of(Side::Caller).local.ipv6);

    let mut call = Call::new(&PLAIN, &PLAIN);
    call.pass(Side::Caller, 0, INVITE, &audio("RTP/AVP", &[]));
    let result = call.try_pass(
        Side::Callee,
        1,
        OK,
        &at("2001:db8::99", 5000, "RTP/AVP", &[]),
    );
    assert_eq!(
        result,
        Err(Unacceptable::AddressFamily.into()),
        "we offered IPv4"
    );

    let mut call = Call::new(&PLAIN, &PLAIN);
    let result = call.try_pass(
        Side::Caller,
        0,
        INVITE,
        &at("2001:db8::1", 4000, "RTP/AVP", &[]),
    );
    assert_eq!(
        result,
        Err(Unacceptable::AddressFamily.into()),
        "the interface has none"
    );
}

#[test]
fn an_offer_may_change_its_family() {
    let mut call = Call::new(&PLAIN, &PLAIN);
    call.establish(
        &audio("RTP/AVP", &[]),
        &at("203.0.113.1", 5000, "RTP/AVP", &[]),
    );
    let before = call.plan(0).cloned();
    let six = at("2001:db8::99", 5000, "RTP/AVP", &[]);
    call.pass(Side::Callee, 1, Carrier::Invite { transaction: 1 }, &six);
    assert!(
        call.end_of(Side::Callee).local.ipv6,
        "the port is open before the answer names it"
    );
    call.refuse(Side::Callee, 1);
    assert_eq!(call.plan(0).cloned(), before);
}

#[test]
fn an_ipv4_zero_holds_an_ipv6_stream() {
    let mut call = Call::new(&PLAIN, &PLAIN);
    call.terms[1].ipv6 = true;
    let six = at("2001:db8::99", 5000, "RTP/AVP", &[]);
    call.establish(&audio("RTP/AVP", &[]), &six);
    let held = at("0.0.0.0", 5000, "RTP/AVP", &[]);
    call.pass(Side::Callee, 1, Carrier::Invite { transaction: 1 }, &held);
    let answered = call.pass(
        Side::Caller,
        1,
        Carrier::Success { transaction: 1 },
        &audio("RTP/AVP", &[]),
    );
    assert!(answered.contains("c=IN IP6 2001:db8::2\r\n"), "{answered}");
}
