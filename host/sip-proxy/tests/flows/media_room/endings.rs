//! However a call ends, its media ends with it, once; and media that fails ends the call.

use std::time::Duration;

use media::{RelayEvent, Side};
use policy::{Effect, Outcome};
use sip_message::Method;
use sip_proxy::{EndReason, LogEvent};

use super::*;

#[test]
fn media_that_fails_ends_the_call_both_ways() {
    let local = media::LocalPorts {
        interface: 0,
        ipv6: false,
        rtp: 20_000,
    };
    let session = |net: &Net| net.media.session();
    type Event = Box<dyn Fn(media::SessionId) -> RelayEvent>;
    let cases: [(Event, EndReason); 6] = [
        (
            Box::new(|session| RelayEvent::Silent { session }),
            EndReason::MediaTimeout,
        ),
        (
            Box::new(|session| RelayEvent::OneWay {
                session,
                side: Side::Callee,
            }),
            EndReason::OneWayMedia,
        ),
        (
            Box::new(|session| RelayEvent::HoldOver { session }),
            EndReason::HoldTimeout,
        ),
        (
            Box::new(move |session| RelayEvent::PortUnavailable { session, local }),
            EndReason::MediaFailed,
        ),
        (
            Box::new(|session| RelayEvent::HandshakeFailed {
                session,
                stream: 0,
                side: Side::Caller,
                reason: "no such certificate".into(),
            }),
            EndReason::MediaFailed,
        ),
        (
            Box::new(|session| RelayEvent::KeyExhausted { session }),
            EndReason::MediaFailed,
        ),
    ];
    for (event, reason) in cases {
        let mut net = net();
        net.talking();
        let event = event(session(&net));
        net.media_event(&event);
        assert_eq!(net.ended(), Some(reason), "{event:?}");
        // Said again, it ends nothing more.
        net.media_event(&event);
        net.ended_both_ways();
        assert_eq!(net.media.closed, 1);
    }
}

#[test]
fn a_port_that_cannot_be_had_cancels_a_call_that_rings() {
    let mut net = net();
    let invite = net.offered();
    net.reply(&invite, 180, "bob");
    net.expect(PBX, 180);
    let session = net.media.session();
    let local = net.media.end(Side::Callee).local;
    net.media_event(&RelayEvent::PortUnavailable { session, local });
    let cancel = net.expect_request(TRUNK, Method::Cancel);
    net.reply(&cancel, 200, "bob");
    net.reply(&invite, 487, "bob");
    net.expect_request(TRUNK, Method::Ack);
    net.expect(PBX, 487);
    assert_eq!(net.ended(), Some(EndReason::MediaFailed));
    net.rest();
    assert_eq!(net.media.closed, 1);
}

#[test]
fn foreign_packets_are_told_and_end_nothing() {
    let mut net = net();
    net.talking();
    let event = RelayEvent::ForeignSource {
        session: net.media.session(),
        stream: 0,
        side: Side::Callee,
        source: address(STRANGER),
        rejection: media::Rejection::Source,
    };
    net.media_event(&event);
    net.quiet();
    assert_eq!(net.ended(), None);
    assert!(net.log.iter().any(|event| matches!(
        event,
        LogEvent::ForeignMedia { side: Side::Callee, source, .. } if *source == address(STRANGER)
    )));
}

#[test]
fn the_record_comes_even_when_the_call_is_forgotten() {
    let mut net = net();
    net.closes = false;
    net.talking();
    let call = net.proxy.calls().next().unwrap();
    net.proxy.end_call(net.now, call, EndReason::Operator);
    net.drain();
    net.forget();
    let figures = net.rest();
    assert_eq!((figures.calls, figures.media_sessions), (0, 0));
    assert_eq!(figures.media_closing, 1);
    assert!(!figures.at_rest());
    assert!(net.records.is_empty());
    net.closes = true;
    net.drain();
    assert_eq!(net.records.len(), 1);
    assert_eq!(net.records[0].call, call);
    assert_eq!(&*net.records[0].call_id, b"call-1");
    net.over();
}

#[test]
fn a_call_that_is_refused_gives_its_ports_back() {
    let mut net = net();
    let invite = net.offered();
    net.reply(&invite, 486, "bob");
    net.expect_request(TRUNK, Method::Ack);
    net.expect(PBX, 486);
    assert_eq!(net.media.closed, 1);
    net.forget();
    net.rest();
    assert!(net.media.open.is_empty());
}

#[test]
fn so_does_one_that_is_cancelled_or_never_answered() {
    for cancelled in [true, false] {
        let mut net = net();
        let invite = net.invite().sdp(&sdp(ALICE, 4_000));
        net.send(PBX, &invite.text());
        let mut cancel = invite.clone();
        cancel.method = "CANCEL";
        cancel.body = String::new();
        if cancelled {
            net.send(PBX, &cancel.text());
        }
        net.wait(Duration::from_secs(200));
        net.forget();
        net.over();
        assert_eq!(net.media.closed, 1);
        let reason = if cancelled {
            EndReason::Cancelled
        } else {
            EndReason::TimedOut
        };
        assert_eq!(net.ended(), Some(reason));
    }
}

#[test]
fn so_does_one_whose_time_is_up() {
    let mut net = net();
    net.policy(|_| Outcome::next("").with(Effect::LimitDuration(30)));
    net.talking();
    net.wait(Duration::from_secs(29));
    assert_eq!(net.media.closed, 0);
    net.wait(Duration::from_secs(2));
    assert_eq!(net.ended(), Some(EndReason::DurationLimit));
    assert_eq!(net.media.closed, 1);
}

#[test]
fn so_does_one_that_has_nowhere_to_go() {
    let mut net = net();
    let invite = net.offered();
    net.proxy
        .handle_transport_error(net.now, invite.transmit.transaction.unwrap());
    net.drain();
    net.forget();
    net.over();
    assert_eq!(net.media.closed, 1);
}

#[test]
fn a_bye_that_nobody_answers_has_ended_the_media_all_the_same() {
    let mut net = net();
    let call = net.talking();
    let bye = net.callee_request(&call, "BYE", 1);
    net.send(TRUNK, &bye.text());
    net.expect_request(PBX, Method::Bye);
    assert_eq!(net.media.closed, 1);
    net.wait(Duration::from_secs(40));
    net.forget();
    net.over();
    assert_eq!(net.media.closed, 1);
}
