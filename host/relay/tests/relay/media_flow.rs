//! What passes: RTP, RTCP, fax; plain, encrypted and from one to the other.

use std::net::{Ipv6Addr, SocketAddr, UdpSocket};

use media::{
    EndPlan, KeyMaterial, Latch, Protection, RelayCommand, RelayEvent, Side, StreamKind, Suite,
};
use srtp::{ContextLimits, ReceiveContext, SendContext};

use crate::harness::{Call, Party, free_ports, key, of, report, rtp, sdes};
use crate::on_each_backend;

fn sender(suite: Suite, seed: u8) -> SendContext {
    SendContext::new(&key(suite, seed), ContextLimits::default()).unwrap()
}

fn receiver(suite: Suite, seed: u8) -> ReceiveContext {
    ReceiveContext::new(&key(suite, seed), ContextLimits::default()).unwrap()
}

fn protect(context: &mut SendContext, packet: &[u8]) -> Vec<u8> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + 64, 0);
    let length = context.protect_rtp(&mut buffer, packet.len()).unwrap();
    buffer.truncate(length);
    buffer
}

fn unprotect(context: &mut ReceiveContext, mut packet: Vec<u8>) -> Vec<u8> {
    let length = packet.len();
    let length = context.unprotect_rtp(&mut packet, length).unwrap();
    packet.truncate(length);
    packet
}

on_each_backend! {
    fn plain_passes_both_ways(backend) {
        let call = Call::answered(backend, Protection::Plain, Protection::Plain);
        for sequence in 0..50 {
            let (there, back) = (rtp(1, sequence), rtp(2, sequence));
            call.caller.send(&there);
            assert_eq!(call.callee.receive(), there);
            call.callee.send(&back);
            assert_eq!(call.caller.receive(), back);
        }
        call.caller.send_rtcp(&report(1));
        assert_eq!(call.callee.receive_rtcp(), report(1));
        call.callee.send_rtcp(&report(2));
        assert_eq!(call.caller.receive_rtcp(), report(2));
        let figures = call.close();
        for side in Side::BOTH {
            let figures = of(&figures, side);
            assert_eq!((figures.packets, figures.octets), (50, 50 * 172));
            assert_eq!((figures.lost, figures.late, figures.duplicate), (0, 0, 0));
            assert_eq!(figures.rejected.total(), 0);
            assert_eq!(figures.cipher, "none");
            assert!(figures.mos_hundredths.is_some_and(|mos| mos > 400));
        }
    }

    fn bursts_pass_whole_and_in_order(backend) {
        let call = Call::answered(backend, Protection::Plain, Protection::Plain);
        for round in 0..5_u16 {
            for sequence in 0..100 {
                call.caller.send(&rtp(1, round * 100 + sequence));
            }
            for sequence in 0..100 {
                assert_eq!(call.callee.receive(), rtp(1, round * 100 + sequence));
            }
        }
    }

    fn srtp_and_plain_interwork(backend) {
        for suite in Suite::ALL {
            let call = Call::answered(backend, sdes(suite, 1), Protection::Plain);
            // The caller protects with what the relay receives with, and so on.
            let mut to_relay = sender(suite, 2);
            let mut from_relay = receiver(suite, 1);
            for sequence in 65_530..=65_535_u16 {
                let packet = rtp(1, sequence);
                call.caller.send(&protect(&mut to_relay, &packet));
                assert_eq!(call.callee.receive(), packet);
                call.callee.send(&packet);
                assert_eq!(unprotect(&mut from_relay, call.caller.receive()), packet);
            }
            let mut buffer = report(1);
            buffer.resize(128, 0);
            let length = to_relay.protect_rtcp(&mut buffer, report(1).len()).unwrap();
            call.caller.send_rtcp(&buffer[..length]);
            assert_eq!(call.callee.receive_rtcp(), report(1));
            // The callee's media has its SSRC too, so its report must name it.
            call.callee.send_rtcp(&report(1));
            let mut protected = call.caller.receive_rtcp();
            let length = protected.len();
            let length = from_relay.unprotect_rtcp(&mut protected, length).unwrap();
            assert_eq!(protected[..length], report(1));
            let figures = call.close();
            assert_eq!(of(&figures, Side::Caller).cipher, suite.name());
            assert_eq!(of(&figures, Side::Caller).packets, 6);
            assert_eq!(of(&figures, Side::Callee).cipher, "none");
        }
    }

    fn each_leg_has_its_own_suite(backend) {
        let (gcm, sha1) = (Suite::AeadAes256Gcm, Suite::AesCm128HmacSha1_80);
        let call = Call::answered(backend, sdes(gcm, 1), sdes(sha1, 11));
        let (mut caller, mut callee) = (sender(gcm, 2), receiver(sha1, 11));
        for sequence in 0..20 {
            let packet = rtp(7, sequence);
            call.caller.send(&protect(&mut caller, &packet));
            let heard = call.callee.receive();
            assert_ne!(heard[12..172], packet[12..]);
            assert_eq!(unprotect(&mut callee, heard), packet);
        }
    }

    fn contexts_outlive_a_new_plan_with_their_keys(backend) {
        let suite = Suite::AeadAes128Gcm;
        let mut call = Call::answered(backend, sdes(suite, 1), sdes(suite, 11));
        let (mut caller, mut callee) = (sender(suite, 2), receiver(suite, 11));
        let first = protect(&mut caller, &rtp(1, 1));
        call.caller.send(&first);
        assert_eq!(unprotect(&mut callee, call.callee.receive()), rtp(1, 1));
        // A re-INVITE with the same keys, then one with another key for the callee.
        let plans = call.plans(sdes(suite, 1), sdes(suite, 11));
        call.agree(plans);
        call.settle();
        call.caller.send(&first);
        call.callee.hears_nothing();
        call.caller.send(&protect(&mut caller, &rtp(1, 2)));
        assert_eq!(unprotect(&mut callee, call.callee.receive()), rtp(1, 2));
        let plans = call.plans(sdes(suite, 1), sdes(suite, 21));
        call.agree(plans);
        call.settle();
        call.caller.send(&protect(&mut caller, &rtp(1, 3)));
        let heard = call.callee.receive();
        assert_eq!(unprotect(&mut receiver(suite, 21), heard), rtp(1, 3));
        assert_eq!(of(&call.close(), Side::Caller).rejected.replay, 1);
    }

    fn a_key_that_returns_finds_its_contexts(backend) {
        for suite in [Suite::AeadAes128Gcm, Suite::AesCm128HmacSha1_80] {
            let leg = |send, receive| Protection::Sdes {
                send: key(suite, send),
                receive: key(suite, receive),
            };
            let first = |call: &Call| call.plans(leg(1, 2), leg(11, 12));
            let mut call = Call::new(backend);
            call.agree(first(&call));
            let (mut caller_says, mut callee_says) = (sender(suite, 2), sender(suite, 12));
            let (mut caller_hears, mut callee_hears) = (receiver(suite, 1), receiver(suite, 11));
            let mut said = Vec::new();
            let mut talk = |call: &Call, sequences: [u16; 3]| {
                for sequence in sequences {
                    let packet = protect(&mut caller_says, &rtp(1, sequence));
                    call.caller.send(&packet);
                    let heard = call.callee.receive();
                    assert_eq!(unprotect(&mut callee_hears, heard), rtp(1, sequence));
                    call.callee.send(&protect(&mut callee_says, &rtp(2, sequence)));
                    let heard = call.caller.receive();
                    assert_eq!(unprotect(&mut caller_hears, heard), rtp(2, sequence));
                    said.push(packet);
                }
                for packet in &said {
                    call.caller.send(packet);
                }
                call.callee.hears_nothing();
            };
            // Over the end of the sequence numbers, so that the rollover counter counts.
            talk(&call, [65_534, 65_535, 0]);
            // Another fork was heard for a while: it has the key of the offer and two of
            // its own.
            call.agree(call.plans(leg(3, 2), leg(11, 22)));
            call.settle();
            call.agree(first(&call));
            call.settle();
            talk(&call, [1, 2, 3]);
            // Both were in the clear, and nothing was agreed on, for a while.
            call.agree(call.plans(Protection::Plain, Protection::Plain));
            call.agree(call.plans(Protection::Closed, Protection::Closed));
            call.settle();
            call.agree(first(&call));
            call.settle();
            talk(&call, [4, 5, 6]);
            // The stream was off, and returns on other ports.
            call.handle.command(RelayCommand::RemoveStream { session: call.session, stream: 0 });
            call.caller.ours = free_ports();
            call.callee.ours = free_ports();
            call.agree(first(&call));
            call.settle();
            talk(&call, [7, 8, 9]);
            let rejected = of(&call.close(), Side::Caller).rejected;
            assert_eq!((rejected.replay, rejected.authentication), (3 + 6 + 9 + 12, 0));
        }
    }

    fn muxed_and_separate_reports_interwork(backend) {
        let mut call = Call::new(backend);
        let mut plans = call.plans(Protection::Plain, Protection::Plain);
        plans[0].rtcp_mux = true;
        call.agree(plans);
        call.caller.send(&rtp(1, 1));
        call.callee.receive();
        call.caller.send(&report(1));
        assert_eq!(call.callee.receive_rtcp(), report(1));
        call.callee.send_rtcp(&report(2));
        assert_eq!(call.caller.receive(), report(2));
        // Neither may come on the other's port.
        call.callee.send(&report(2));
        call.caller.hears_nothing();
        assert_eq!(of(&call.close(), Side::Callee).rejected.malformed, 1);
    }

    fn passthrough_touches_nothing(backend) {
        let call = Call::answered(backend, Protection::Passthrough, Protection::Passthrough);
        let mut between = sender(Suite::AesCm128HmacSha1_80, 5);
        for sequence in 0..5 {
            let packet = protect(&mut between, &rtp(1, sequence));
            call.caller.send(&packet);
            assert_eq!(call.callee.receive(), packet);
        }
        let handshake = [22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 7];
        call.callee.send(&handshake);
        assert_eq!(call.caller.receive(), handshake);
        let figures = call.close();
        assert_eq!(of(&figures, Side::Caller).cipher, "unknown");
        assert_eq!(of(&figures, Side::Caller).packets, 5);
    }

    fn fax_passes(backend) {
        let mut call = Call::new(backend);
        let fax = |party: &Party| EndPlan {
            kind: StreamKind::Udptl,
            ..party.plan(Protection::Plain)
        };
        let plans = [fax(&call.caller), fax(&call.callee)];
        call.agree(plans);
        for sequence in 0..3_u8 {
            let packet = [0, sequence, 6, 1, 2, 3, 4, 5, 6, 0];
            call.caller.send(&packet);
            assert_eq!(call.callee.receive(), packet);
            call.callee.send(&packet);
            assert_eq!(call.caller.receive(), packet);
        }
        assert_eq!(of(&call.close(), Side::Caller).packets, 3);
    }

    fn behind_nat_the_source_is_found(backend) {
        let mut call = Call::new(backend);
        let mut plans = call.plans(Protection::Plain, Protection::Plain);
        if let Some(remote) = &mut plans[1].remote {
            // What the phone believes its address to be.
            remote.rtp = Some("127.0.0.1:9".parse().unwrap());
            remote.rtcp = Some("127.0.0.1:10".parse().unwrap());
            remote.latch = Latch::FirstFitting;
        }
        call.agree(plans);
        call.callee.send(&rtp(2, 1));
        call.caller.hears_nothing();
        call.callee.send(&rtp(2, 2));
        assert_eq!(call.caller.receive(), rtp(2, 2));
        call.caller.send(&rtp(1, 1));
        assert_eq!(call.callee.receive(), rtp(1, 1));
        // Another source from the same address is too late.
        let other = Party::new();
        for sequence in 3..6 {
            other.rtp.send_to(&rtp(2, sequence), crate::harness::address(call.callee.ours.rtp)).unwrap();
        }
        call.caller.hears_nothing();
        // One packet on probation, three of another source.
        assert_eq!(of(&call.close(), Side::Callee).rejected.source, 4);
    }

    fn hold_stops_media_but_not_reports(backend) {
        let mut call = Call::answered(backend, Protection::Plain, Protection::Plain);
        call.caller.send(&rtp(1, 1));
        call.callee.receive();
        let mut plans = call.plans(Protection::Plain, Protection::Plain);
        plans[0].receives = false;
        plans[1].sends = false;
        call.agree(plans);
        call.settle();
        call.callee.send(&rtp(2, 1));
        call.caller.hears_nothing();
        call.caller.send(&rtp(1, 2));
        assert_eq!(call.callee.receive(), rtp(1, 2));
        call.callee.send_rtcp(&report(2));
        assert_eq!(call.caller.receive_rtcp(), report(2));
        let plans = call.plans(Protection::Plain, Protection::Plain);
        call.agree(plans);
        call.settle();
        call.callee.send(&rtp(2, 2));
        assert_eq!(call.caller.receive(), rtp(2, 2));
        assert_eq!(of(&call.close(), Side::Callee).rejected.closed, 1);
    }

    fn one_leg_has_ipv6(backend) {
        let mut call = Call::new(backend);
        let six = UdpSocket::bind("[::1]:0").unwrap();
        six.set_read_timeout(Some(crate::harness::SOON)).unwrap();
        let mut plans = call.plans(Protection::Plain, Protection::Plain);
        plans[1].local.ipv6 = true;
        if let Some(remote) = &mut plans[1].remote {
            remote.rtp = six.local_addr().ok();
            remote.rtcp = None;
        }
        let ours = SocketAddr::from((Ipv6Addr::LOCALHOST, call.callee.ours.rtp));
        call.agree(plans);
        let mut buffer = [0; 2_048];
        for sequence in 0..40 {
            call.caller.send(&rtp(1, sequence));
            let (length, from) = six.recv_from(&mut buffer).unwrap();
            assert_eq!((&buffer[..length], from), (&rtp(1, sequence)[..], ours));
            six.send_to(&rtp(2, sequence), ours).unwrap();
            assert_eq!(call.caller.receive(), rtp(2, sequence));
        }
        // Nobody told where its reports go.
        call.caller.send_rtcp(&report(1));
        call.settle();
        assert_eq!(of(&call.close(), Side::Caller).rejected.closed, 1);
    }

    fn fax_follows_speech_on_the_same_ports(backend) {
        let mut call = Call::answered(backend, Protection::Plain, Protection::Plain);
        call.caller.send(&rtp(1, 1));
        call.callee.receive();
        let mut plans = call.plans(Protection::Plain, Protection::Plain);
        for plan in &mut plans {
            plan.kind = StreamKind::Udptl;
        }
        call.agree(plans);
        call.settle();
        let packet = [0, 0, 6, 1, 2, 3, 4, 5, 6, 0];
        call.caller.send(&packet);
        assert_eq!(call.callee.receive(), packet);
        let plans = call.plans(Protection::Plain, Protection::Plain);
        call.agree(plans);
        call.settle();
        call.caller.send(&rtp(2, 1));
        assert_eq!(call.callee.receive(), rtp(2, 1));
        assert_eq!(of(&call.close(), Side::Caller).rejected.total(), 0);
    }

    fn a_key_that_is_used_up_is_told_once(backend) {
        let suite = Suite::AeadAes128Gcm;
        let mut send: KeyMaterial = key(suite, 1);
        send.lifetime = Some(5);
        let protection = Protection::Sdes { send, receive: key(suite, 2) };
        let call = Call::answered(backend, Protection::Plain, protection);
        for sequence in 0..5 {
            call.no_event();
            call.caller.send(&rtp(1, sequence));
            call.callee.receive();
        }
        assert_eq!(call.event(), RelayEvent::KeyExhausted { session: call.session });
        std::thread::sleep(std::time::Duration::from_millis(300));
        call.no_event();
    }

    fn early_packets_of_a_handshake_to_come_are_no_attack(backend) {
        let protection = Protection::Dtls { active: false, fingerprints: Vec::new() };
        let call = Call::answered(backend, protection, Protection::Plain);
        call.caller.send(&rtp(1, 1));
        call.callee.hears_nothing();
        call.no_event();
        assert_eq!(of(&call.close(), Side::Caller).rejected.closed, 1);
    }
}
