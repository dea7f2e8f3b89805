//! Beginnings and ends: ports, timeouts, figures, descriptors.

use std::net::UdpSocket;
use std::time::Duration;

use media::{MediaTimeouts, Protection, RelayCommand, RelayEvent, SessionId, Side};

use crate::harness::{Call, Party, address, free_ports, of, rtp, start, until};
use crate::on_each_backend;

fn quick() -> MediaTimeouts {
    MediaTimeouts {
        silence: Duration::from_millis(600),
        one_way: Duration::from_millis(1_000),
        hold: Duration::from_millis(700),
        setup: Duration::from_secs(2),
    }
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

on_each_backend! {
    fn silence_is_told_and_told_again(backend) {
        let mut call = Call::with(backend, quick());
        let plans = call.plans(Protection::Plain, Protection::Plain);
        call.agree(plans);
        assert_eq!(call.event(), RelayEvent::Silent { session: call.session });
        assert_eq!(call.event(), RelayEvent::Silent { session: call.session });
    }

    fn nothing_times_out_before_the_answer(backend) {
        let mut call = Call::with(backend, quick());
        let plans = call.plans(Protection::Plain, Protection::Closed);
        call.agree(plans);
        std::thread::sleep(Duration::from_millis(1_300));
        call.no_event();
    }

    fn strangers_do_not_put_silence_off(backend) {
        let mut call = Call::with(backend, quick());
        let plans = call.plans(Protection::Plain, Protection::Plain);
        call.agree(plans);
        let stranger = Party::at([127, 0, 0, 2]);
        let mut silent = false;
        for sequence in 0..60 {
            stranger.rtp.send_to(&rtp(1, sequence), address(call.caller.ours.rtp)).unwrap();
            std::thread::sleep(Duration::from_millis(20));
            silent |= call.events.try_iter().any(|event| matches!(event, RelayEvent::Silent { .. }));
        }
        assert!(silent);
    }

    fn one_side_alone_is_told(backend) {
        let mut call = Call::with(backend, quick());
        let plans = call.plans(Protection::Plain, Protection::Plain);
        call.agree(plans);
        let mut event = None;
        for sequence in 0..150 {
            call.caller.send(&rtp(1, sequence));
            std::thread::sleep(Duration::from_millis(20));
            event = call.events.try_recv().ok();
            if event.is_some() {
                break;
            }
        }
        let expected = RelayEvent::OneWay { session: call.session, side: Side::Callee };
        assert_eq!(event, Some(expected));
    }

    fn a_hold_has_its_own_time(backend) {
        let mut call = Call::with(backend, quick());
        let plans = call.plans(Protection::Plain, Protection::Plain);
        call.agree(plans);
        call.handle.command(RelayCommand::OnHold { session: call.session, held: true });
        assert_eq!(call.event(), RelayEvent::HoldOver { session: call.session });
        call.handle.command(RelayCommand::OnHold { session: call.session, held: false });
        assert_eq!(call.event(), RelayEvent::Silent { session: call.session });
    }

    fn figures_are_live(backend) {
        let call = Call::answered(backend, Protection::Plain, Protection::Plain);
        for sequence in 0..10 {
            call.caller.send(&rtp(1, sequence));
            call.callee.receive();
        }
        until(|| {
            let figures = call.handle.figures(call.session).unwrap();
            !figures.streams.is_empty() && of(&figures, Side::Caller).packets == 10
        });
        assert_eq!(call.handle.session_count(), 1);
        assert_eq!(call.handle.sessions(10), [call.session]);
        call.close();
        assert_eq!(call.handle.figures(call.session), None);
        assert_eq!(call.handle.session_count(), 0);
    }

    fn a_port_that_is_taken_is_told_at_once(backend) {
        let mut call = Call::new(backend);
        let taken = UdpSocket::bind(address(call.callee.ours.rtcp())).unwrap();
        let plans = call.plans(Protection::Plain, Protection::Plain);
        call.agree(plans.clone());
        // Before `command` returns.
        let expected = RelayEvent::PortUnavailable { session: call.session, local: call.callee.ours };
        assert_eq!(call.events.try_recv(), Ok(expected));
        drop(taken);
        call.agree(plans);
        call.caller.send(&rtp(1, 1));
        assert_eq!(call.callee.receive(), rtp(1, 1));
    }

    fn sockets_are_open_when_the_order_returns(backend) {
        let mut call = Call::new(backend);
        let plans = call.plans(Protection::Plain, Protection::Closed);
        call.agree(plans);
        for ours in [call.caller.ours, call.callee.ours] {
            assert!(UdpSocket::bind(address(ours.rtp)).is_err());
            assert!(UdpSocket::bind(address(ours.rtcp())).is_err());
        }
    }

    fn ports_are_free_when_closed_is_told(backend) {
        let mut call = Call::answered(backend, Protection::Plain, Protection::Plain);
        for _ in 0..20 {
            call.caller.send(&rtp(1, 1));
            call.callee.receive();
            call.close();
            for ours in [call.caller.ours, call.callee.ours] {
                drop(UdpSocket::bind(address(ours.rtp)).unwrap());
                drop(UdpSocket::bind(address(ours.rtcp())).unwrap());
            }
            let (session, timeouts) = (SessionId(call.session.0 + 1_000), quick());
            call.session = session;
            call.handle.command(RelayCommand::Open { session, timeouts });
            let plans = call.plans(Protection::Plain, Protection::Plain);
            call.agree(plans);
        }
    }

    fn a_changed_port_and_a_removed_stream_let_go(backend) {
        let mut call = Call::answered(backend, Protection::Plain, Protection::Plain);
        call.caller.send(&rtp(1, 1));
        call.callee.receive();
        let before = call.callee.ours;
        call.callee.ours = free_ports();
        let plans = call.plans(Protection::Plain, Protection::Plain);
        call.agree(plans);
        until(|| UdpSocket::bind(address(before.rtp)).is_ok());
        call.caller.send(&rtp(1, 2));
        assert_eq!(call.callee.receive(), rtp(1, 2));
        call.handle.command(RelayCommand::RemoveStream { session: call.session, stream: 0 });
        until(|| UdpSocket::bind(address(call.caller.ours.rtp)).is_ok());
        call.caller.send(&rtp(1, 3));
        call.callee.hears_nothing();
        // And again, on the same ports.
        let plans = call.plans(Protection::Plain, Protection::Plain);
        call.agree(plans);
        call.caller.send(&rtp(1, 4));
        assert_eq!(call.callee.receive(), rtp(1, 4));
        assert_eq!(of(&call.close(), Side::Caller).packets, 3);
    }

    fn unknown_sessions_are_answered(backend) {
        let (relay, events) = start(backend);
        let handle = relay.handle();
        let session = SessionId(77);
        handle.command(RelayCommand::Close { session });
        let closed = RelayEvent::Closed { session, figures: Box::default() };
        assert_eq!(events.try_recv(), Ok(closed));
        let (caller, callee) = (Party::new(), Party::new());
        let ends = [caller.plan(Protection::Plain), callee.plan(Protection::Plain)];
        handle.command(RelayCommand::Stream { session, stream: 0, generation: 1, ends: Box::new(ends) });
        for party in [&caller, &callee] {
            let refused = RelayEvent::PortUnavailable { session, local: party.ours };
            assert_eq!(events.try_recv(), Ok(refused));
        }
        handle.command(RelayCommand::RemoveStream { session, stream: 0 });
        handle.command(RelayCommand::OnHold { session, held: true });
        assert_eq!(handle.figures(session), None);
    }
}

#[test]
#[ignore = "counts the descriptors of the whole process: run alone"]
fn every_descriptor_comes_back() {
    for backend in [relay::BackendChoice::Epoll, relay::BackendChoice::Auto] {
        let before = descriptors();
        {
            let (relay, events) = start(backend);
            let handle = relay.handle();
            let running = descriptors();
            for round in 0..20 {
                let session = SessionId(round);
                handle.command(RelayCommand::Open { session, timeouts: quick() });
                let (caller, callee) = (Party::new(), Party::new());
                let ends = [caller.plan(Protection::Plain), callee.plan(Protection::Plain)];
                handle.command(RelayCommand::Stream { session, stream: 0, generation: 1, ends: Box::new(ends) });
                caller.send(&rtp(1, 1));
                callee.receive();
                assert_eq!(descriptors(), running + 8);
                handle.command(RelayCommand::Close { session });
                events.recv_timeout(crate::harness::SOON).unwrap();
                drop((caller, callee));
                assert_eq!(descriptors(), running);
            }
        }
        assert_eq!(descriptors(), before);
    }
}
