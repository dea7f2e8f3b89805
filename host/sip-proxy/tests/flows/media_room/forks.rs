//! Several targets, several answers.

use media::Side;
use sip_message::Method;
use sip_proxy::{ForkMode, LogEvent};

use super::*;

fn forking(targets: &[&str], fork: ForkMode) -> Net {
    net_with(
        routing_to(targets, |peer| peer.fork = fork),
        20_000..=20_199,
    )
}

#[test]
fn targets_of_one_group_get_the_same_offer() {
    let mut net = forking(&[TRUNK, TRUNK_2], ForkMode::Parallel);
    let first = net.offered();
    let second = net.expect_request(TRUNK_2, Method::Invite);
    assert_eq!(first.message.body(), second.message.body());
    net.reply_sdp(&second, 200, "b", &[], &sdp("203.0.113.2", 6_000));
    our_port(&net.expect(PBX, 200));
    let remote = net.media.end(Side::Callee).remote.as_ref().unwrap().rtp;
    assert_eq!(remote, Some(address("203.0.113.2:6000")));
}

#[test]
fn the_next_target_gets_the_callers_own_offer_anew() {
    let mut net = forking(&[TRUNK, TRUNK_2], ForkMode::Serial);
    let first = net.offered();
    net.reply_sdp(&first, 183, "a", &[], &sdp(BOB, 6_000));
    our_port(&net.expect(PBX, 183));
    net.reply(&first, 503, "a");
    net.expect_request(TRUNK, Method::Ack);
    let second = net.expect_request(TRUNK_2, Method::Invite);
    let to_bob = our_port(&second);
    net.reply_sdp(&second, 200, "b", &[], &sdp("203.0.113.2", 6_000));
    our_port(&net.expect(PBX, 200));
    let end = net.media.end(Side::Callee);
    assert_eq!(end.local.rtp, to_bob);
    assert_eq!(
        end.remote.as_ref().unwrap().rtp,
        Some(address("203.0.113.2:6000"))
    );
    assert_eq!(net.media.open.len(), 1);
    let bye = net.proxy.calls().next().unwrap();
    net.proxy
        .end_call(net.now, bye, sip_proxy::EndReason::Operator);
    net.drain();
    net.forget();
    net.over();
    assert_eq!(net.media.closed, 1);
}

#[test]
fn of_several_early_answers_that_of_the_first_2xx_counts() {
    let mut net = net();
    let invite = net.offered();
    for (tag, port) in [("a", 6_000), ("b", 6_100), ("c", 6_200)] {
        net.reply_sdp(&invite, 183, tag, &[], &sdp(BOB, port));
        our_port(&net.expect(PBX, 183));
    }
    net.reply_sdp(&invite, 200, "b", &[], &sdp(BOB, 6_100));
    our_port(&net.expect(PBX, 200));
    let remote = net.media.end(Side::Callee).remote.as_ref().unwrap().rtp;
    assert_eq!(remote, Some(address("203.0.113.1:6100")));
}

#[test]
fn a_second_answer_is_turned_down() {
    let mut net = net();
    let invite = net.offered();
    net.reply_sdp(&invite, 200, "a", &[], &sdp(BOB, 6_000));
    our_port(&net.expect(PBX, 200));
    for repeated in [false, true] {
        net.reply_sdp(&invite, 200, "b", &[], &sdp(BOB, 6_100));
        let ack = net.expect_request(TRUNK, Method::Ack);
        assert_eq!(ack.message.to_tag(), Some(&b"b"[..]));
        no_body(&ack);
        if !repeated {
            let bye = net.expect_request(TRUNK, Method::Bye);
            assert_eq!(bye.message.to_tag(), Some(&b"b"[..]));
            net.reply(&bye, 200, "b");
        }
        net.quiet();
    }
    let remote = net.media.end(Side::Callee).remote.as_ref().unwrap().rtp;
    assert_eq!(remote, Some(address("203.0.113.1:6000")));
    assert_eq!(net.ended(), None);
    assert!(
        net.log
            .iter()
            .any(|event| matches!(event, LogEvent::MediaRefused { .. }))
    );
}
