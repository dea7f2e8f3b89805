//! Server transactions against the clock (RFC 3261 section 17.2, RFC 6026).

use super::stage::{Request, Stage};
use crate::{Gone, Transport};

fn invite() -> Request {
    Request::new("INVITE", "theirs")
}

fn options() -> Request {
    Request::new("OPTIONS", "theirs")
}

#[test]
fn timer_g_doubles_up_to_t2_until_timer_h() {
    let mut stage = Stage::over(Transport::Udp);
    let id = stage.accept(&invite());
    stage.respond(id, &invite(), 486);
    let log = stage.run_until(40_000);
    let repeats = [
        0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500,
    ];
    let mut expected: Vec<String> = repeats.iter().map(|at| format!("{at} 486")).collect();
    expected.extend([
        "32000 Unacknowledged".to_owned(),
        "32000 Terminated".to_owned(),
    ]);
    assert_eq!(log, expected);
    assert_eq!(stage.layer.figures().responses_repeated, 10);
    stage.assert_at_rest();
}

#[test]
fn an_ack_stops_the_repeats_and_its_own_repeats_are_absorbed() {
    let mut stage = Stage::over(Transport::Udp);
    let id = stage.accept(&invite());
    stage.respond(id, &invite(), 486);
    stage.run_until(600);
    stage.receive(&invite().method("ACK").to_tag("bob"));
    stage.receive(&invite().method("ACK").to_tag("bob"));
    stage.receive(&invite());
    assert!(stage.sent().is_empty() && stage.events().is_empty());
    assert_eq!(stage.run_until(40_000), ["5600 Terminated"]);
    stage.assert_at_rest();
}

#[test]
fn over_streams_only_timer_h_guards_a_failure() {
    let mut stage = Stage::over(Transport::Tcp);
    let id = stage.accept(&invite());
    stage.respond(id, &invite(), 486);
    let expected = ["0 486", "32000 Unacknowledged", "32000 Terminated"];
    assert_eq!(stage.run_until(40_000), expected);

    let mut stage = Stage::over(Transport::Tcp);
    let id = stage.accept(&invite());
    stage.respond(id, &invite(), 486);
    stage.receive(&invite().method("ACK").to_tag("bob"));
    assert_eq!(stage.events(), ["Terminated"]);
    stage.assert_at_rest();
}

#[test]
fn timers_end_states_at_their_microsecond_and_not_before() {
    // The request, the final response, whether an ACK comes, the end in microseconds.
    let cases = [
        (invite(), 486, false, 32_000_000),
        (invite(), 486, true, 5_000_000),
        (invite(), 200, false, 32_000_000),
        (options(), 200, false, 32_000_000),
    ];
    for (request, status, acknowledged, end) in cases {
        let mut stage = Stage::over(Transport::Udp);
        let id = stage.accept(&request);
        stage.respond(id, &request, status);
        if acknowledged {
            stage.receive(&request.method("ACK").to_tag("bob"));
        }
        stage.jump_to_micros(end - 1);
        assert!(stage.events().is_empty(), "{request:?} {status}");
        stage.jump_to_micros(end);
        assert_eq!(stage.events().last().unwrap(), "Terminated");
        stage.assert_at_rest();
    }
}

#[test]
fn timer_g_is_due_after_exactly_t1() {
    let mut stage = Stage::over(Transport::Udp);
    let id = stage.accept(&invite());
    stage.respond(id, &invite(), 500);
    stage.sent();
    stage.jump_to_micros(499_999);
    assert!(stage.sent().is_empty());
    stage.jump_to_micros(500_000);
    assert_eq!(stage.sent(), ["500"]);
}

#[test]
fn a_repeated_invite_gets_the_last_provisional() {
    let mut stage = Stage::over(Transport::Udp);
    let id = stage.accept(&invite());
    stage.receive(&invite());
    assert!(stage.sent().is_empty(), "nothing has been said yet");
    stage.respond(id, &invite(), 100);
    stage.respond(id, &invite(), 180);
    stage.receive(&invite());
    assert_eq!(stage.sent(), ["100", "180", "180"]);
    assert!(stage.events().is_empty());
    assert_eq!(stage.layer.figures().requests_absorbed, 2);
    assert_eq!(stage.layer.server_len(), 1);
}

#[test]
fn accepted_absorbs_invites_and_passes_2xx_and_acks() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut stage = Stage::over(transport);
        let id = stage.accept(&invite());
        stage.respond(id, &invite(), 180);
        stage.respond(id, &invite(), 200);
        stage.receive(&invite());
        stage.respond(id, &invite(), 200);
        stage.respond(id, &invite(), 486);
        stage.respond(id, &invite(), 180);
        assert_eq!(stage.sent(), ["180", "200", "200"]);
        // A client that reuses the branch for the ACK of a 2xx.
        stage.receive(&invite().method("ACK").to_tag("bob"));
        stage.receive(&invite().method("ACK").to_tag("bob"));
        assert_eq!(stage.events(), ["Ack", "Ack"]);
        assert_eq!(stage.run_until(40_000), ["32000 Terminated"]);
        stage.assert_at_rest();
    }
}

#[test]
fn an_ack_before_any_final_response_is_dropped() {
    let mut stage = Stage::over(Transport::Udp);
    let id = stage.accept(&invite());
    stage.receive(&invite().method("ACK").to_tag("bob"));
    assert!(stage.events().is_empty());
    stage.respond(id, &invite(), 486);
    assert_eq!(stage.sent(), ["486"]);
}

#[test]
fn a_repeated_request_gets_what_was_answered() {
    let mut stage = Stage::over(Transport::Udp);
    let id = stage.accept(&options());
    stage.receive(&options());
    assert!(stage.sent().is_empty());
    stage.respond(id, &options(), 100);
    stage.receive(&options());
    stage.respond(id, &options(), 200);
    stage.receive(&options());
    stage.respond(id, &options(), 404);
    assert_eq!(stage.sent(), ["100", "100", "200", "200"]);
    assert_eq!(stage.run_until(40_000), ["32000 Terminated"]);
    let late = stage
        .layer
        .respond(stage.now, id, 200, options().response(200, "bob"));
    assert_eq!(late, Err(Gone));
    stage.assert_at_rest();
}

#[test]
fn over_streams_a_final_ends_the_transaction() {
    let mut stage = Stage::over(Transport::Tls);
    let id = stage.accept(&options());
    stage.respond(id, &options(), 200);
    assert_eq!(stage.sent(), ["200"]);
    assert_eq!(stage.events(), ["Terminated"]);
    stage.assert_at_rest();
}

#[test]
fn a_transport_error_does_not_end_an_invite() {
    let mut stage = Stage::over(Transport::Udp);
    let id = stage.accept(&invite());
    stage.layer.handle_transport_error(stage.now, id);
    stage.respond(id, &invite(), 486);
    stage.layer.handle_transport_error(stage.now, id);
    assert_eq!(stage.events(), ["TransportFailed", "TransportFailed"]);
    stage.sent();
    stage.receive(&invite());
    assert_eq!(
        stage.sent(),
        ["486"],
        "RFC 6026: the repeat is not a new call"
    );

    let id = stage.accept(&options());
    stage.layer.handle_transport_error(stage.now, id);
    assert!(stage.events().is_empty(), "nothing has been sent yet");
    stage.respond(id, &options(), 200);
    stage.layer.handle_transport_error(stage.now, id);
    assert_eq!(stage.events(), ["TransportFailed", "Terminated"]);
}

#[test]
fn responses_leave_in_the_order_in_which_they_were_given() {
    let mut stage = Stage::over(Transport::Udp);
    let first = stage.accept(&invite());
    let other = Request::new("INVITE", "other");
    let second = stage.accept(&other);
    stage.respond(first, &invite(), 100);
    stage.respond(second, &other, 100);
    stage.respond(first, &invite(), 180);
    stage.respond(first, &invite(), 183);
    stage.respond(first, &invite(), 200);
    stage.respond(second, &other, 486);
    assert_eq!(stage.sent(), ["100", "100", "180", "183", "200", "486"]);
}
