//! Every table on both sides of its limit.

use super::stage::{Request, Stage, parse};
use crate::{Refused, TableLimits, Transport};

fn limits(server: usize, reserve: usize, client: usize) -> TableLimits {
    TableLimits {
        server,
        reserve,
        client,
    }
}

#[test]
fn the_request_above_the_server_limit_gets_503_and_no_transaction() {
    let mut stage = Stage::with(Transport::Udp, limits(2, 0, 0));
    let first = stage.accept(&Request::new("INVITE", "one"));
    stage.accept(&Request::new("OPTIONS", "two"));
    let third = Request::new("INVITE", "three");
    stage.receive(&third);
    let refusal = stage.layer.poll_transmit().unwrap();
    assert_eq!(refusal.transaction, None);
    let refusal = parse(refusal.bytes);
    assert_eq!(refusal.status(), Some(503));
    assert_eq!(refusal.header_named(b"Retry-After"), Some(&b"10"[..]));
    assert_eq!(refusal.call_id(), b"call-three@192.0.2.1");
    assert!(stage.events().is_empty());
    assert_eq!(
        (stage.layer.server_len(), stage.layer.figures().overloaded),
        (2, 1)
    );

    // Its ACK is dropped; that of a call that is up is not.
    let tag = String::from_utf8(refusal.to_tag().unwrap().to_vec()).unwrap();
    stage.receive(&third.method("ACK").to_tag(&tag));
    assert!(stage.events().is_empty());
    assert_eq!(stage.layer.figures().acks_dropped, 1);
    stage.receive(&Request::new("ACK", "other").to_tag("bob"));
    assert_eq!(stage.events(), ["Ack"]);

    // Repeats of what is known are absorbed as ever, and a place that is free is taken.
    stage.receive(&Request::new("INVITE", "one"));
    assert!(stage.sent().is_empty());
    stage.layer.terminate(first);
    assert_eq!(stage.events(), ["Terminated"]);
    stage.accept(&third);
}

#[test]
fn cancel_and_bye_may_use_the_reserve_up_to_its_end() {
    let mut stage = Stage::with(Transport::Udp, limits(1, 2, 0));
    let invite = Request::new("INVITE", "one");
    stage.accept(&invite);
    stage.receive(&Request::new("OPTIONS", "two"));
    stage.receive(&Request::new("CANCEL", "three"));
    assert_eq!(
        stage.sent(),
        ["503", "503"],
        "a CANCEL of nothing has no claim"
    );
    stage.receive(&invite.method("CANCEL"));
    stage.receive(&Request::new("BYE", "four").to_tag("bob"));
    assert_eq!(stage.events(), ["Cancel found", "Request BYE"]);
    stage.receive(&Request::new("BYE", "five").to_tag("bob"));
    assert_eq!(stage.sent(), ["503"]);
    assert_eq!(stage.layer.server_len(), 3);
}

#[test]
fn the_request_above_the_client_limit_is_refused_to_its_user() {
    let mut stage = Stage::with(Transport::Udp, limits(0, 0, 2));
    stage.send(&Request::new("OPTIONS", "one"));
    let second = stage.send(&Request::new("OPTIONS", "two"));
    let third = Request::new("OPTIONS", "three");
    assert_eq!(stage.try_send(&third), Err(Refused::TableFull));
    assert_eq!(stage.sent().len(), 2);
    stage.layer.terminate(second);
    stage.send(&third);
    assert_eq!(stage.layer.client_len(), 2);
    stage.layer.set_limits(limits(0, 0, 3));
    stage.send(&Request::new("OPTIONS", "four"));
}

#[test]
fn the_timer_queue_stays_within_twice_the_transactions() {
    let mut stage = Stage::over(Transport::Tcp);
    stage.send(&Request::new("OPTIONS", "keep"));
    for number in 0..5_000 {
        let request = Request::new("OPTIONS", &number.to_string());
        stage.send(&request);
        stage.receive_bytes(request.response(200, "bob"));
        stage.sent();
        stage.events();
        assert!(
            stage.layer.queue_len() <= 2 + 64,
            "{}",
            stage.layer.queue_len()
        );
    }
    assert_eq!(stage.layer.len(), 1);
}

#[test]
fn the_timer_queue_of_running_transactions_is_bounded_too() {
    let mut stage = Stage::over(Transport::Udp);
    for number in 0..300 {
        let request = Request::new("INVITE", &number.to_string());
        let id = stage.accept(&request);
        stage.respond(id, &request, 486);
        stage.receive(&request.method("ACK").to_tag("bob"));
        stage.sent();
    }
    assert_eq!(stage.layer.len(), 300);
    assert!(stage.layer.queue_len() <= 2 * 300 + 64);
    stage.run_until(10_000);
    stage.assert_at_rest();
    assert_eq!(stage.layer.queue_len(), 0);
}
