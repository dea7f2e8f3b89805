//! Beginnings and ends: ports, timeouts, figures, descriptors.

use std::net::UdpSocket;
use std::time::Duration;

use media::{MediaTimeouts, Protection, RelayCommand, RelayEvent, SessionId, Side};

use relay::{Relay, RelayConfig, RelayLimits};

use crate::harness::{
    Call, Party, address, agree_plain, free_ports, interface, of, open_plain, rtp, start, until,
};
use crate::on_each_backend;

fn quick() -> MediaTimeouts {
    MediaTimeouts {
        silence: Duration::from_millis(600),
        one_way: Duration::from_millis(1_000),
        hold: Duration::from_millis(700),
        setup: Duration::from_secs(2),
    }
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
        let (caller, callee) = agree_plain(&handle, session);
        for party in [&caller, &callee] {
            let refused = RelayEvent::PortUnavailable { session, local: party.ours };
            assert_eq!(events.try_recv(), Ok(refused));
        }
        handle.command(RelayCommand::RemoveStream { session, stream: 0 });
        handle.command(RelayCommand::OnHold { session, held: true });
        assert_eq!(handle.figures(session), None);
    }

    fn streams_are_bounded(backend) {
        let mut call = Call::new(backend);
        for (stream, passes) in [(3, true), (4, false)] {
            let plans = call.plans(Protection::Plain, Protection::Plain);
            call.agree_on(stream, plans);
            let refused = call.events.try_recv().is_ok();
            assert_eq!(refused, !passes);
            call.caller.ours = free_ports();
            call.callee.ours = free_ports();
        }
    }

    fn an_older_plan_changes_nothing(backend) {
        let mut call = Call::answered(backend, Protection::Plain, Protection::Plain);
        let plans = call.plans(Protection::Plain, Protection::Closed);
        call.handle.command(RelayCommand::Stream {
            session: call.session, stream: 0, generation: 0, ends: Box::new(plans),
        });
        call.caller.send(&rtp(1, 1));
        assert_eq!(call.callee.receive(), rtp(1, 1));
        let plans = call.plans(Protection::Plain, Protection::Closed);
        call.agree(plans);
        call.settle();
        call.caller.send(&rtp(1, 2));
        call.callee.hears_nothing();
    }

    fn totals_are_known(backend) {
        let call = Call::answered(backend, Protection::Plain, Protection::Plain);
        for sequence in 0..10 {
            call.caller.send(&rtp(1, sequence));
            call.callee.receive();
        }
        call.caller.send(b"x");
        until(|| {
            let totals = call.handle.totals();
            (totals.relayed, totals.rejected, totals.sockets) == (10, 1, 4)
        });
    }
}

/// Calls come and go while packets fly: every one ends, and nothing is left.
fn churn(backend: relay::BackendChoice) {
    let (relay, events) = start(backend);
    let handle = relay.handle();
    let stranger = Party::at([127, 0, 0, 2]);
    let mut closed = 0;
    for round in 0..60 {
        let mut calls = Vec::new();
        for number in 0..5 {
            let session = SessionId(round * 5 + number);
            let (caller, callee) = open_plain(&handle, session);
            calls.push((session, caller, callee));
        }
        for sequence in 0..20 {
            for (_, caller, callee) in &calls {
                caller.send(&rtp(1, sequence));
                callee.send(&rtp(2, sequence));
                stranger
                    .rtp
                    .send_to(&rtp(1, sequence), address(caller.ours.rtp))
                    .unwrap();
            }
        }
        for (session, ..) in calls {
            handle.command(RelayCommand::Close { session });
        }
        closed += events
            .try_iter()
            .filter(|event| matches!(event, RelayEvent::Closed { .. }))
            .count();
    }
    while closed < 300 {
        let event = events.recv_timeout(crate::harness::SOON).unwrap();
        closed += usize::from(matches!(event, RelayEvent::Closed { .. }));
    }
    assert_eq!(handle.session_count(), 0);
}

#[test]
fn churn_leaves_nothing_with_epoll() {
    churn(relay::BackendChoice::Epoll);
}

#[test]
fn churn_leaves_nothing_with_io_uring() {
    if crate::harness::io_uring_is_allowed() {
        churn(relay::BackendChoice::IoUring);
    }
}

#[test]
fn sessions_are_bounded_and_spread_over_workers() {
    let (sender, events) = std::sync::mpsc::channel();
    let config = RelayConfig {
        workers: 2,
        interfaces: vec![interface()],
        limits: RelayLimits {
            sessions: 8,
            ..RelayLimits::default()
        },
        backend: relay::BackendChoice::Auto,
    };
    let relay = Relay::start(config, move |event| drop(sender.send(event))).unwrap();
    let handle = relay.handle();
    let sessions = (0..64).map(SessionId);
    for session in sessions.clone() {
        handle.command(RelayCommand::Open {
            session,
            timeouts: MediaTimeouts::default(),
        });
    }
    assert_eq!(handle.session_count(), 16, "eight for each of two workers");
    for session in sessions {
        let open = handle.figures(session).is_some();
        let (caller, callee) = agree_plain(&handle, session);
        if open {
            caller.send(&rtp(1, 1));
            assert_eq!(callee.receive(), rtp(1, 1));
            handle.command(RelayCommand::Close { session });
            let event = events.recv_timeout(crate::harness::SOON).unwrap();
            assert!(
                matches!(event, RelayEvent::Closed { session: closed, .. } if closed == session)
            );
        } else {
            for _ in Side::BOTH {
                let event = events.try_recv().unwrap();
                assert!(matches!(event, RelayEvent::PortUnavailable { .. }));
            }
        }
    }
    assert_eq!(handle.session_count(), 0);
}
