//! What a flood of repeats costs: no allocation at all.

use std::sync::Arc;

use allocation_counter::measure;

use super::stage::{Request, Stage, parse};
use crate::Transport;

/// Allocations caused by receiving `message` again, once everything is warm.
fn allocations(stage: &mut Stage, message: sip_message::Message) -> u64 {
    let message = Arc::new(message);
    let once = |stage: &mut Stage| {
        stage
            .layer
            .handle_message(stage.now, Arc::clone(&message), &stage.flow);
        while stage.layer.poll_transmit().is_some() {}
        assert!(stage.layer.poll_event().is_none());
    };
    once(stage);
    measure(|| once(stage)).count_total
}

#[test]
fn the_counter_counts() {
    assert_eq!(
        measure(|| drop(std::hint::black_box(vec![0_u8; 100]))).count_total,
        1
    );
}

#[test]
fn repeated_requests_are_absorbed_without_allocating() {
    let mut stage = Stage::over(Transport::Udp);
    let ringing = Request::new("INVITE", "ringing");
    let id = stage.accept(&ringing);
    stage.respond(id, &ringing, 180);
    assert_eq!(allocations(&mut stage, ringing.message()), 0);

    let refused = Request::new("INVITE", "refused");
    let id = stage.accept(&refused);
    stage.respond(id, &refused, 486);
    assert_eq!(allocations(&mut stage, refused.message()), 0);
    let ack = refused.method("ACK").to_tag("bob").message();
    assert_eq!(allocations(&mut stage, ack), 0);

    let legacy = Request::legacy("OPTIONS");
    let id = stage.accept(&legacy);
    stage.respond(id, &legacy, 200);
    assert_eq!(allocations(&mut stage, legacy.message()), 0);
    assert!(stage.layer.figures().requests_absorbed >= 7);
}

#[test]
fn repeated_responses_are_absorbed_without_allocating() {
    let mut stage = Stage::over(Transport::Udp);
    for request in [
        Request::new("INVITE", "one"),
        Request::new("OPTIONS", "two"),
    ] {
        stage.send(&request);
        let response = request.response(486, "bob");
        stage.receive_bytes(response.clone());
        stage.sent();
        stage.events();
        assert_eq!(allocations(&mut stage, parse(response)), 0);
    }
    assert_eq!(stage.layer.figures().responses_absorbed, 4);
}

#[test]
fn repeats_by_timers_do_not_allocate() {
    let mut stage = Stage::over(Transport::Udp);
    stage.send(&Request::new("INVITE", "one"));
    stage.jump_to_micros(500_000);
    assert_eq!(stage.sent(), ["INVITE", "INVITE"]);
    let allocated = measure(|| stage.jump_to_micros(1_500_000)).count_total;
    assert_eq!((allocated, stage.sent().len()), (0, 1));
}
