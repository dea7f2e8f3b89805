//! RTP bleed: whoever is not the party reaches nobody, and is counted.

use media::{Protection, Rejection, RelayEvent, Side, Suite};
use srtp::{ContextLimits, SendContext};

use crate::harness::{Call, Party, address, key, of, report, rtp, sdes};
use crate::on_each_backend;

/// Sprays both ports that face each party.
fn spray(call: &Call, from: &Party, ssrc: u32) {
    for ours in [call.caller.ours, call.callee.ours] {
        for sequence in 0..20 {
            from.rtp
                .send_to(&rtp(ssrc, sequence), address(ours.rtp))
                .unwrap();
            from.rtp
                .send_to(&report(ssrc), address(ours.rtcp()))
                .unwrap();
        }
    }
}

fn silent(call: &Call) {
    call.caller.hears_nothing();
    call.callee.hears_nothing();
}

on_each_backend! {
    fn nothing_passes_before_the_answer_or_after_the_end(backend) {
        let mut call = Call::new(backend);
        let plans = call.plans(Protection::Plain, Protection::Closed);
        call.agree(plans);
        let stranger = Party::at([127, 0, 0, 2]);
        spray(&call, &stranger, 9);
        call.caller.send(&rtp(1, 1));
        call.callee.send(&rtp(2, 1));
        silent(&call);
        call.settle();
        let plans = call.plans(Protection::Plain, Protection::Plain);
        call.agree(plans);
        call.settle();
        call.caller.send(&rtp(1, 2));
        assert_eq!(call.callee.receive(), rtp(1, 2));
        let figures = call.close();
        assert_eq!(of(&figures, Side::Caller).rejected.source, 40);
        assert_eq!(of(&figures, Side::Callee).rejected.closed, 41);
        spray(&call, &stranger, 9);
        call.caller.send(&rtp(1, 3));
        silent(&call);
    }

    fn strangers_reach_nobody_in_a_call_and_are_told_of_once(backend) {
        let mut call = Call::answered(backend, Protection::Plain, Protection::Plain);
        call.caller.send(&rtp(1, 1));
        call.callee.send(&rtp(2, 1));
        call.callee.receive();
        call.caller.receive();
        let stranger = Party::at([127, 0, 0, 2]);
        // With the very numbers of the party.
        spray(&call, &stranger, 1);
        spray(&call, &stranger, 2);
        silent(&call);
        call.settle();
        let mut told = [0; 2];
        while let Ok(event) = call.events.try_recv() {
            let RelayEvent::ForeignSource { side, source, rejection, stream, session } = event else {
                panic!("{event:?}");
            };
            assert_eq!((session, stream), (call.session, 0));
            assert_eq!(source, stranger.rtp.local_addr().unwrap());
            assert_eq!(rejection, Rejection::Source);
            told[side as usize] += 1;
        }
        assert_eq!(told, [1, 1]);
        // Also while the call changes.
        for _ in 0..5 {
            let plans = call.plans(Protection::Plain, Protection::Plain);
            call.agree(plans);
            spray(&call, &stranger, 1);
        }
        silent(&call);
        call.caller.send(&rtp(1, 2));
        assert_eq!(call.callee.receive(), rtp(1, 2));
        let figures = call.close();
        for side in Side::BOTH {
            assert_eq!(of(&figures, side).rejected.source, 7 * 40);
        }
    }

    fn a_wrong_ssrc_from_the_right_address_reaches_nobody(backend) {
        let mut call = Call::answered(backend, Protection::Plain, Protection::Plain);
        for sequence in 0..20 {
            call.caller.send(&rtp(1, sequence));
            assert_eq!(call.callee.receive(), rtp(1, sequence));
            call.caller.send(&rtp(66, sequence));
        }
        call.caller.send_rtcp(&report(66));
        silent(&call);
        let plans = call.plans(Protection::Plain, Protection::Plain);
        call.agree(plans);
        call.settle();
        call.caller.send(&rtp(66, 20));
        call.caller.send(&rtp(66, 21));
        silent(&call);
        call.caller.send(&rtp(1, 20));
        assert_eq!(call.callee.receive(), rtp(1, 20));
        let figures = call.close();
        assert_eq!(of(&figures, Side::Caller).rejected.ssrc, 23);
        assert_eq!(of(&figures, Side::Caller).packets, 21);
    }

    fn forged_and_replayed_srtp_reaches_nobody(backend) {
        for suite in [Suite::AeadAes128Gcm, Suite::AesCm128HmacSha1_80] {
            let call = Call::answered(backend, sdes(suite, 1), Protection::Plain);
            let mut sender = SendContext::new(&key(suite, 2), ContextLimits::default()).unwrap();
            let mut packets = Vec::new();
            for sequence in 0..10 {
                let packet = rtp(1, sequence);
                let mut buffer = packet.clone();
                buffer.resize(256, 0);
                let length = sender.protect_rtp(&mut buffer, packet.len()).unwrap();
                buffer.truncate(length);
                call.caller.send(&buffer);
                assert_eq!(call.callee.receive(), packet);
                packets.push(buffer);
            }
            // Forged: what comes next, with the tag of another, and in the clear.
            for sequence in 10..30 {
                let mut forged = packets[9].clone();
                forged[2..4].copy_from_slice(&u16::to_be_bytes(sequence));
                call.caller.send(&forged);
                call.caller.send(&rtp(1, sequence));
            }
            for packet in &packets {
                call.caller.send(packet);
            }
            call.caller.send_rtcp(&report(1));
            silent(&call);
            let packet = rtp(1, 10);
            let mut buffer = packet.clone();
            buffer.resize(256, 0);
            let length = sender.protect_rtp(&mut buffer, packet.len()).unwrap();
            call.caller.send(&buffer[..length]);
            assert_eq!(call.callee.receive(), packet, "the call goes on");
            let figures = call.close();
            let rejected = of(&figures, Side::Caller).rejected;
            assert_eq!(rejected.authentication, 40);
            assert_eq!(rejected.replay, 10);
            // The report is too short for SRTCP.
            assert_eq!(rejected.malformed, 1);
        }
    }

    fn floods_are_cut_and_leave_the_party_its_share(backend) {
        let mut call = Call::new(backend);
        let mut plans = call.plans(Protection::Plain, Protection::Plain);
        for plan in &mut plans {
            plan.packets_per_second = 100;
        }
        call.agree(plans);
        call.settle();
        let stranger = Party::at([127, 0, 0, 2]);
        for sequence in 0..200 {
            stranger.rtp.send_to(&rtp(1, sequence), address(call.caller.ours.rtp)).unwrap();
        }
        call.settle();
        // A quarter of a second's worth at once, and what a few milliseconds add.
        for _ in 0..200 {
            call.caller.send_rtcp(&report(1));
        }
        call.settle();
        call.caller.send(&rtp(1, 1));
        assert_eq!(call.callee.receive(), rtp(1, 1));
        let mut heard = 0;
        call.callee.rtcp.set_nonblocking(true).unwrap();
        let mut buffer = [0; 64];
        while call.callee.rtcp.recv_from(&mut buffer).is_ok() {
            heard += 1;
        }
        assert!((25..60).contains(&heard), "{heard}");
        let figures = call.close();
        assert_eq!(of(&figures, Side::Caller).rejected.rate, 200 - heard);
        assert_eq!(of(&figures, Side::Caller).rejected.source, 200);
    }

    fn sizes_kinds_and_payload_types_are_bounded(backend) {
        let call = Call::answered(backend, Protection::Plain, Protection::Plain);
        let sized = |length: usize| {
            let mut packet = rtp(1, length as u16);
            packet.resize(length, 0);
            packet
        };
        call.caller.send(&sized(1_472));
        assert_eq!(call.callee.receive().len(), 1_472);
        for length in [1_473, 1_600, 3_000] {
            call.caller.send(&sized(length));
        }
        for packet in [&b""[..], b"\0\x01\0\0", b"jaK", &[0x80; 11], &[22; 40]] {
            call.caller.send(packet);
        }
        let mut other = rtp(1, 1_473);
        other[1] = 18;
        call.caller.send(&other);
        other[1] = 0x80 | 101;
        call.caller.send(&other);
        assert_eq!(call.callee.receive(), other);
        call.callee.hears_nothing();
        let rejected = of(&call.close(), Side::Caller).rejected;
        assert_eq!((rejected.size, rejected.malformed), (3, 6));
    }
}
