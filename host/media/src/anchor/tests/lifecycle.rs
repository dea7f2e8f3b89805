//! Sessions and ports from begin to end.

use super::*;
use crate::{RelayEvent, SessionFigures};

const PLAIN: [Mode; 1] = [Mode::Plain];

fn closed(session: SessionId) -> RelayEvent {
    RelayEvent::Closed {
        session,
        figures: Box::new(SessionFigures::default()),
    }
}

fn limited(change: impl FnOnce(&mut AnchorConfig)) -> Call {
    let mut call = Call::new(&PLAIN, &PLAIN);
    let mut config = config();
    change(&mut config);
    call.anchor = Anchor::new(config, [3; 32]);
    call
}

fn offer_as(call: &mut Call, number: u64) -> Result<String, Refused> {
    call.session = SessionId::new(0, number);
    call.try_pass(Side::Caller, 0, INVITE, &audio("RTP/AVP", &[]))
}

#[test]
fn commands_open_bind_and_close_in_order() {
    let mut call = Call::new(&PLAIN, &PLAIN);
    call.establish(
        &audio("RTP/AVP", &[]),
        &at("203.0.113.1", 5000, "RTP/AVP", &[]),
    );
    assert!(matches!(call.commands[0], RelayCommand::Open { .. }));
    assert!(matches!(
        call.commands[1],
        RelayCommand::Stream { generation: 1, .. }
    ));
    assert!(matches!(
        call.commands[2],
        RelayCommand::Stream { generation: 2, .. }
    ));
    let session = call.session;
    call.anchor.end(session);
    call.anchor.end(session);
    assert_eq!(
        call.anchor.poll_command(),
        Some(RelayCommand::Close { session })
    );
    assert_eq!(call.anchor.poll_command(), None);
    let figures = call.anchor.figures();
    assert_eq!(
        (figures.sessions, figures.closing, figures.ports_in_use),
        (0, 1, 2)
    );
    call.anchor.handle_event(&closed(session));
    let figures = call.anchor.figures();
    assert_eq!(
        (figures.closing, figures.ports_in_use, figures.ports_free),
        (0, 0, 300)
    );
}

#[test]
fn sessions_up_to_the_limit_and_no_further() {
    let mut call = limited(|config| config.limits.sessions = 2);
    assert!(offer_as(&mut call, 1).is_ok() && offer_as(&mut call, 2).is_ok());
    let refused = offer_as(&mut call, 3).unwrap_err();
    assert_eq!(
        (refused.status(), refused),
        (503, Refused::Limit("sessions"))
    );
    call.anchor.end(SessionId::new(0, 1));
    assert!(
        offer_as(&mut call, 3).is_err(),
        "its sockets are still open"
    );
    call.anchor.handle_event(&closed(SessionId::new(0, 1)));
    assert!(offer_as(&mut call, 3).is_ok());
}

#[test]
fn an_exhausted_pool_refuses_and_recovers() {
    let mut call = limited(|config| config.interfaces[1].ports = 20_000..=20_003);
    assert!(offer_as(&mut call, 1).is_ok() && offer_as(&mut call, 2).is_ok());
    let refused = offer_as(&mut call, 3).unwrap_err();
    assert_eq!((refused.status(), refused), (503, Refused::PortsExhausted));
    let figures = call.anchor.figures();
    assert_eq!(
        (figures.sessions, figures.ports_in_use),
        (2, 4),
        "what failed holds nothing"
    );
    call.anchor.end(SessionId::new(0, 1));
    call.anchor.handle_event(&closed(SessionId::new(0, 1)));
    assert!(offer_as(&mut call, 3).is_ok());
}

#[test]
fn ports_of_one_call_are_bounded() {
    let sdp = |streams: usize| {
        "v=0\r\nc=IN IP4 192.0.2.1\r\n".to_owned() + &"m=audio 4000 RTP/AVP 0\r\n".repeat(streams)
    };
    let mut call = limited(|config| config.limits.session_ports = 4);
    assert_eq!(media(&call.pass(Side::Caller, 0, INVITE, &sdp(2))).len(), 2);
    let mut call = limited(|config| config.limits.session_ports = 4);
    let result = call.try_pass(Side::Caller, 0, INVITE, &sdp(3));
    assert_eq!(result, Err(Refused::Limit("session_ports")));
    assert_eq!(call.anchor.figures().ports_in_use, 0);
    let mut call = limited(|_| {});
    assert_eq!(
        media(&call.pass(Side::Caller, 0, INVITE, &sdp(16))).len(),
        16,
        "the defaults agree"
    );
}

#[test]
fn an_unavailable_port_rests() {
    let mut call = Call::new(&PLAIN, &PLAIN);
    call.pass(Side::Caller, 0, INVITE, &audio("RTP/AVP", &[]));
    let (session, local) = (call.session, call.end_of(Side::Callee).local);
    call.anchor
        .handle_event(&RelayEvent::PortUnavailable { session, local });
    call.anchor.end(session);
    call.anchor.handle_event(&closed(session));
    let figures = call.anchor.figures();
    assert_eq!(
        (
            figures.ports_in_use,
            figures.ports_resting,
            figures.ports_free
        ),
        (0, 1, 299)
    );
}

#[test]
fn events_of_nobody_change_nothing() {
    let mut call = Call::new(&PLAIN, &PLAIN);
    let before = call.anchor.figures();
    let session = SessionId::new(4, 4);
    call.anchor.handle_event(&closed(session));
    call.anchor.handle_event(&RelayEvent::Silent { session });
    call.anchor.end(session);
    call.confirm(9);
    call.refuse(Side::Caller, 9);
    assert_eq!(
        call.send(Side::Callee, 1, OK, audio("RTP/AVP", &[]).as_bytes()),
        Ok(Body::Remove)
    );
    assert_eq!(call.anchor.figures(), before);
    assert!(call.commands.is_empty());
}

#[test]
fn another_configuration_holds_for_new_streams() {
    let mut call = Call::new(&PLAIN, &PLAIN);
    call.pass(Side::Caller, 0, INVITE, &audio("RTP/AVP", &[]));
    let mut other = config();
    other.interfaces[1].ports = 30_000..=30_009;
    call.anchor.set_config(Arc::new(other));
    call.session = SessionId::new(0, 2);
    call.pass(Side::Caller, 0, INVITE, &audio("RTP/AVP", &[]));
    assert!(call.end_of(Side::Callee).local.rtp >= 30_000);
}

#[test]
fn what_cannot_work_is_found() {
    use crate::ConfigFault;
    let faulty = |change: &dyn Fn(&mut AnchorConfig)| {
        let mut config = config();
        change(&mut config);
        config.check()
    };
    assert_eq!(faulty(&|_| {}), Ok(()));
    let overlap =
        |config: &mut AnchorConfig| config.interfaces[1].bind4 = config.interfaces[0].bind4;
    assert_eq!(faulty(&overlap), Err(ConfigFault::Overlap(0, 1)));
    let unbound = |config: &mut AnchorConfig| config.interfaces[0].bind4 = None;
    assert_eq!(faulty(&unbound), Err(ConfigFault::NoAddress(0)));
    let any = |config: &mut AnchorConfig| config.interfaces[0].bind4 = Some([0, 0, 0, 0].into());
    assert_eq!(faulty(&any), Err(ConfigFault::Unspecified(0)));
    let few = |last: u16| {
        move |config: &mut AnchorConfig| {
            config.interfaces[1].ports = 20_001..=last;
            config.shards = 2;
        }
    };
    assert_eq!(faulty(&few(20_004)), Err(ConfigFault::TooFewPorts(1)));
    assert_eq!(faulty(&few(20_005)), Ok(()));
    let zero = |config: &mut AnchorConfig| config.interfaces[0].ports = 0..=100;
    assert_eq!(faulty(&zero), Err(ConfigFault::PortZero(0)));
}
