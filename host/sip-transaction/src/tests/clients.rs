//! Client transactions against the clock (RFC 3261 section 17.1, RFC 6026).

use super::stage::{Request, Stage};
use crate::{Timers, Transport};

fn invite() -> Request {
    Request::new("INVITE", "ours")
}

fn options() -> Request {
    Request::new("OPTIONS", "ours")
}

#[test]
fn timer_a_doubles_from_t1_until_timer_b() {
    let mut stage = Stage::over(Transport::Udp);
    stage.send(&invite());
    let log = stage.run_until(40_000);
    let expected = [
        "0 INVITE",
        "500 INVITE",
        "1500 INVITE",
        "3500 INVITE",
        "7500 INVITE",
        "15500 INVITE",
        "31500 INVITE",
        "32000 Timeout",
        "32000 Terminated",
    ];
    assert_eq!(log, expected);
    assert_eq!(stage.layer.figures().requests_repeated, 6);
    stage.assert_at_rest();
}

#[test]
fn timer_e_doubles_up_to_t2_until_timer_f() {
    let mut stage = Stage::over(Transport::Udp);
    stage.send(&options());
    let log = stage.run_until(40_000);
    let repeats = [
        0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500,
    ];
    let mut expected: Vec<String> = repeats.iter().map(|at| format!("{at} OPTIONS")).collect();
    expected.extend(["32000 Timeout".to_owned(), "32000 Terminated".to_owned()]);
    assert_eq!(log, expected);
    stage.assert_at_rest();
}

#[test]
fn a_provisional_slows_timer_e_to_t2_and_leaves_timer_f() {
    let mut stage = Stage::over(Transport::Udp);
    stage.send(&options());
    stage.run_until(100);
    stage.receive_bytes(options().response(100, "bob"));
    let log = stage.run_until(40_000);
    assert_eq!(
        log[..4],
        [
            "100 Response 100",
            "500 OPTIONS",
            "4500 OPTIONS",
            "8500 OPTIONS"
        ]
    );
    assert_eq!(
        log[log.len() - 3..],
        ["28500 OPTIONS", "32000 Timeout", "32000 Terminated"]
    );
}

#[test]
fn reliable_transports_repeat_nothing_and_give_up_all_the_same() {
    for request in [invite(), options()] {
        let mut stage = Stage::over(Transport::Tls);
        stage.send(&request);
        let first = format!("0 {}", request.method);
        let expected = [first.as_str(), "32000 Timeout", "32000 Terminated"];
        assert_eq!(stage.run_until(40_000), expected);
        stage.assert_at_rest();
    }
}

#[test]
fn timers_fire_at_their_microsecond_and_not_before() {
    // The request, the status received at once, the timer's end in microseconds.
    let cases = [
        (invite(), None, 32_000_000),
        (invite(), Some(486), 32_000_000),
        (invite(), Some(200), 32_000_000),
        (options(), None, 32_000_000),
        (options(), Some(200), 5_000_000),
    ];
    for (request, status, end) in cases {
        let mut stage = Stage::over(Transport::Udp);
        stage.send(&request);
        if let Some(status) = status {
            stage.receive_bytes(request.response(status, "bob"));
        }
        stage.jump_to_micros(end - 1);
        assert!(
            !stage.events().contains(&"Terminated".to_owned()),
            "{request:?} {status:?}"
        );
        assert_eq!(stage.layer.client_len(), 1);
        stage.jump_to_micros(end);
        assert_eq!(stage.events().last().unwrap(), "Terminated");
        stage.assert_at_rest();
    }
}

#[test]
fn the_first_repeat_is_due_after_exactly_t1() {
    for request in [invite(), options()] {
        let mut stage = Stage::over(Transport::Udp);
        stage.send(&request);
        stage.sent();
        stage.jump_to_micros(499_999);
        assert!(stage.sent().is_empty());
        stage.jump_to_micros(500_000);
        assert_eq!(stage.sent(), [request.method]);
    }
}

#[test]
fn a_provisional_stops_the_repeats_of_an_invite_for_good() {
    let mut stage = Stage::over(Transport::Udp);
    let id = stage.send(&invite());
    stage.receive_bytes(invite().response(100, "bob"));
    stage.receive_bytes(invite().response(180, "bob"));
    let log = stage.run_until(400_000);
    assert_eq!(log, ["0 INVITE", "0 Response 100", "0 Response 180"]);
    // Timer C is the user's: only it can end a transaction that rings forever.
    assert_eq!(stage.layer.poll_timeout(), None);
    stage.layer.terminate(id);
    assert_eq!(stage.events(), ["Terminated"]);
    stage.assert_at_rest();
}

#[test]
fn each_repeat_of_a_failure_gets_the_same_ack_to_the_same_place() {
    let mut stage = Stage::over(Transport::Udp);
    stage.send(&invite());
    stage.sent();
    stage.receive_bytes(invite().response(486, "bob"));
    let ack = stage.layer.poll_transmit().unwrap();
    let message = super::stage::parse(ack.bytes.clone());
    assert_eq!(message.method_name(), b"ACK");
    assert_eq!(message.to_tag(), Some(&b"bob"[..]));
    assert_eq!(message.cseq().number, 1);
    assert_eq!(message.top_via().branch, Some(&b"z9hG4bKours"[..]));
    assert_eq!(message.request_uri().raw, b"sip:bob@192.0.2.200");
    assert_eq!(stage.events(), ["Response 486"]);

    stage.receive_bytes(invite().response(486, "bob"));
    assert_eq!(stage.layer.poll_transmit(), Some(ack));
    assert!(stage.events().is_empty());
    assert_eq!(stage.layer.figures().responses_absorbed, 1);

    // A 2xx after a failure is nonsense and is not passed on.
    stage.receive_bytes(invite().response(200, "bob"));
    assert!(stage.events().is_empty() && stage.sent().is_empty());
    assert_eq!(stage.run_until(40_000), ["32000 Terminated"]);
}

#[test]
fn over_streams_a_failure_ends_an_invite_with_its_ack() {
    let mut stage = Stage::over(Transport::Tcp);
    stage.send(&invite());
    stage.receive_bytes(invite().response(404, "bob"));
    assert_eq!(stage.sent(), ["INVITE", "ACK"]);
    assert_eq!(stage.events(), ["Response 404", "Terminated"]);
    stage.assert_at_rest();
}

#[test]
fn accepted_passes_every_2xx_on_and_nothing_else() {
    for transport in [Transport::Udp, Transport::Tls] {
        let mut stage = Stage::over(transport);
        stage.send(&invite());
        stage.receive_bytes(invite().response(180, "bob"));
        stage.receive_bytes(invite().response(200, "bob"));
        stage.receive_bytes(invite().response(200, "bob"));
        stage.receive_bytes(invite().response(200, "carol"));
        stage.receive_bytes(invite().response(180, "dave"));
        stage.receive_bytes(invite().response(486, "dave"));
        assert_eq!(
            stage.events(),
            [
                "Response 180",
                "Response 200",
                "Response 200",
                "Response 200"
            ]
        );
        assert_eq!(stage.sent(), ["INVITE"], "the ACK for a 2xx is not ours");
        assert_eq!(stage.run_until(40_000), ["32000 Terminated"]);
        stage.assert_at_rest();
    }
}

#[test]
fn a_final_to_another_request_is_delivered_once() {
    let mut stage = Stage::over(Transport::Udp);
    stage.send(&options());
    stage.receive_bytes(options().response(200, "bob"));
    stage.receive_bytes(options().response(200, "bob"));
    assert_eq!(stage.events(), ["Response 200"]);
    assert_eq!(stage.run_until(40_000), ["0 OPTIONS", "5000 Terminated"]);
    stage.receive_bytes(options().response(200, "bob"));
    assert_eq!(stage.events(), ["Stray 200"]);
}

#[test]
fn a_transport_error_ends_what_waits_for_it() {
    for request in [invite(), options()] {
        let mut stage = Stage::over(Transport::Tcp);
        let id = stage.send(&request);
        stage.layer.handle_transport_error(stage.now, id);
        stage.layer.handle_transport_error(stage.now, id);
        assert_eq!(stage.events(), ["TransportFailed", "Terminated"]);
        stage.assert_at_rest();
    }
    // What rings has been received: the error is about something else.
    let mut stage = Stage::over(Transport::Tcp);
    let id = stage.send(&invite());
    stage.receive_bytes(invite().response(180, "bob"));
    stage.layer.handle_transport_error(stage.now, id);
    assert_eq!(stage.events(), ["Response 180"]);
}

#[test]
fn a_late_driver_gives_up_without_repeating_first() {
    let mut stage = Stage::over(Transport::Udp);
    stage.send(&invite());
    stage.sent();
    stage.jump_to_micros(90_000_000);
    assert!(stage.sent().is_empty());
    assert_eq!(stage.events(), ["Timeout", "Terminated"]);
}

#[test]
fn new_timers_count_for_timers_set_from_then_on() {
    let mut stage = Stage::over(Transport::Udp);
    stage.send(&invite());
    let t1 = std::time::Duration::from_millis(100);
    stage.layer.set_timers(Timers {
        t1,
        ..Timers::default()
    });
    stage.send(&Request::new("OPTIONS", "second"));
    let log = stage.run_until(7_000);
    assert_eq!(
        log[..4],
        ["0 INVITE", "0 OPTIONS", "100 OPTIONS", "300 OPTIONS"]
    );
    assert!(log.contains(&"500 INVITE".to_owned()));
    assert_eq!(log[log.len() - 2..], ["6400 Timeout", "6400 Terminated"]);
}
