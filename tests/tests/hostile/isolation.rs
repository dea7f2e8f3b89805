//! What a plugin may try to find out about other calls, and whether it can be kept from
//! remembering.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use policy::RequestFacts;
use policy_wasm::Isolation;
use serde_json::json;
use sipward_tests::guests::{Caller, Host, Worker, admitted, report};

use crate::stage::{source, victim, wild};

fn caller(number: usize) -> RequestFacts {
    Caller::at(&format!("192.0.2.{}", 1 + number)).invite("sip:bob@pbx.example")
}

#[test]
fn what_it_keeps_in_its_memory_is_gone_at_the_next_call() {
    let host = Host::new();
    for (isolation, remembers) in [
        (Isolation::default(), false),
        (Isolation::SingleUse { ready: 1 }, false),
        (Isolation::PerCall, false),
        (Isolation::REUSE, true),
    ] {
        let mut source = source(&host, json!({ "behaviour": "keep-state" }));
        source.isolation = isolation;
        let wild = host.load(source).expect("it loads");
        assert_eq!(wild.isolation_fallback(), None);
        let mut worker = Worker::new(&[&wild]);
        for number in 0..40 {
            // Some come so close together that there is no instance ready.
            let conclusion = match number % 3 {
                0 => worker.judge(caller(number)),
                _ => worker.judge_at_once(caller(number)),
            };
            let told = &report(&conclusion.trace, "wild").reason;
            let configured = told == "asked 0 times, by []";
            assert_eq!(
                configured,
                !remembers || number == 0,
                "{isolation:?}, call {number}: {told}"
            );
        }
    }
}

#[test]
fn what_it_kept_is_gone_after_a_failure_too() {
    let host = Host::new();
    let wild = wild(&host, json!({ "behaviour": "trap-on-call" }));
    let mut worker = Worker::new(&[&wild]);
    for number in 0..10 {
        let conclusion = worker.judge(caller(number));
        assert!(!admitted(&conclusion));
        let figures = worker.executor.figures();
        assert_eq!(figures.failures, number as u64 + 1);
        assert_eq!(figures.instances_made, figures.calls + 4);
    }
}

#[test]
fn time_stands_still_for_whoever_counts() {
    let host = Host::new();
    let wild = wild(
        &host,
        json!({ "behaviour": "count-time", "amount": 20_000 }),
    );
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let clock = &host.clock;
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                clock.pass(Duration::from_millis(1));
                thread::yield_now();
            }
        });
        let mut worker = Worker::new(&[&wild]);
        let told: Vec<String> = (0..3)
            .map(|_| {
                let conclusion = worker.judge(victim());
                report(&conclusion.trace, "wild").reason.clone()
            })
            .collect();
        over.store(true, Ordering::Relaxed);
        assert_eq!(told, ["time stands still"; 3]);
    });
}

#[test]
fn what_holds_for_now_only_is_not_kept_and_the_operator_is_told() {
    let host = Host::new();
    for (settings, reason) in [
        (
            json!({ "behaviour": "host-call-flood", "hook": "configure", "amount": 1 }),
            "its configure asks for the time",
        ),
        (
            json!({ "behaviour": "draw-random", "hook": "configure" }),
            "its configure draws random numbers",
        ),
    ] {
        let wild = wild(&host, settings);
        assert_eq!(wild.isolation(), Isolation::REUSE);
        assert_eq!(wild.isolation_fallback(), Some(reason));
        assert!(admitted(&Worker::new(&[&wild]).judge(victim())));
    }
    // In a hook both are as good as ever.
    for behaviour in ["host-call-flood", "draw-random"] {
        let settings = json!({ "behaviour": behaviour, "amount": 1 });
        let wild = wild(&host, settings);
        assert_eq!(wild.isolation_fallback(), None, "{behaviour}");
        assert!(admitted(&Worker::new(&[&wild]).judge(victim())));
    }
}

#[test]
fn a_random_number_is_another_one_in_every_call() {
    let host = Host::new();
    let mut worker = Worker::new(&[&wild(&host, json!({ "behaviour": "draw-random" }))]);
    let mut drawn: Vec<String> = (0..8)
        .map(|_| {
            let conclusion = worker.judge(victim());
            report(&conclusion.trace, "wild").reason.clone()
        })
        .collect();
    drawn.sort();
    drawn.dedup();
    assert_eq!(drawn.len(), 8);
}

#[test]
fn a_plugin_never_has_more_instances_than_it_is_given() {
    let host = Host::new();
    let isolation = Isolation::SingleUse { ready: 3 };
    let mut source = source(&host, json!({ "behaviour": "none" }));
    source.isolation = isolation;
    let wild = host.load(source).expect("it loads");
    let mut worker = Worker::new(&[&wild]);
    worker.executor.warm(&worker.generation).expect("instances");
    assert_eq!(worker.executor.figures().instances, 3);
    for number in 0..50 {
        assert!(admitted(&worker.judge_at_once(caller(number))));
        assert!(worker.executor.figures().instances <= 3);
    }
    let figures = worker.executor.figures();
    assert_eq!((figures.instances, figures.instances_waited_for), (0, 47));
    worker.rest();
    assert_eq!(worker.executor.figures().instances, 3);
    assert_eq!(isolation.instances(), 4);
}
