//! What a plugin may do wrong when it is asked about a request.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use policy::{AddressKind, Decision, MediaRequirement, MediaStream, OnFailure};
use policy_wasm::Isolation;
use serde_json::json;
use sip_message::Anomalies;
use sipward_tests::guests::{Caller, Host, Worker, admitted, refusal, report};

use crate::stage::{HOSTILE, PATIENCE, Scene, acl, neighbour, source, victim, wild};

#[test]
fn one_that_behaves_is_asked_and_kept_if_it_is_reused() {
    // Nine calls of three plugins; four instances of each are ready if one is for one call.
    for (isolation, made) in [(Isolation::REUSE, 3), (Isolation::default(), 9 + 12)] {
        let mut scene = Scene::isolated(json!({ "behaviour": "none" }), isolation);
        for _ in 0..3 {
            let conclusion = scene.worker.judge(victim());
            assert!(admitted(&conclusion));
            assert_eq!(report(&conclusion.trace, "wild").reason, "behaves");
        }
        assert_eq!(scene.worker.executor.figures().instances_made, made);
    }
}

#[test]
fn an_endless_loop_ends_at_its_deadline() {
    let mut scene = Scene::new(json!({ "behaviour": "endless-loop" }));
    scene.refuses(&["ran longer than deadline_ms = 50"]);
}

#[test]
fn slow_is_refused_on_one_side_of_the_deadline_only() {
    let host = Host::new();
    let mut source = source(&host, json!({ "behaviour": "slow", "amount": 100 }));
    source.limits.deadline_ms = 2_000;
    let wild = host.load(source).expect("it loads");
    Scene::around(host, &wild).admits();
    let mut scene = Scene::new(json!({ "behaviour": "slow", "amount": u32::MAX }));
    scene.refuses(&["ran longer than deadline_ms = 50"]);
}

#[test]
fn a_deadline_of_its_own_is_named() {
    let host = Host::new();
    let mut source = source(&host, json!({ "behaviour": "endless-loop" }));
    source.limits.deadline_ms = 100;
    let wild = host.load(source).expect("it loads");
    let mut worker = Worker::new(&[&wild]);
    worker
        .executor
        .warm(&worker.generation)
        .expect("an instance");
    let started = Instant::now();
    let conclusion = worker.judge(victim());
    let took = started.elapsed();
    assert!(refusal(&conclusion).2.contains("deadline_ms = 100"));
    assert!(took >= Duration::from_millis(90), "it had {took:?} only");
    assert!(took < PATIENCE, "it had {took:?}");
}

#[test]
fn memory_growth_meets_its_limit() {
    let mut scene = Scene::new(json!({ "behaviour": "memory-growth" }));
    scene.refuses(&["memory_bytes = 16777216"]);
}

#[test]
fn deep_recursion_meets_the_end_of_the_stack() {
    Scene::new(json!({ "behaviour": "deep-recursion" })).refuses(&["exhausted its stack"]);
}

#[test]
fn a_trap_on_a_call_refuses_that_call() {
    Scene::new(json!({ "behaviour": "trap-on-call" })).refuses(&["the plugin trapped"]);
}

#[test]
fn an_oversized_outcome_is_refused() {
    // The largest annotation that may be, then one over it, over the outcome, over
    // what a call may hand over, and over all memory.
    Scene::new(json!({ "behaviour": "oversized-outcome", "amount": 1 })).admits();
    let outcome =
        |amount: u32| Scene::new(json!({ "behaviour": "oversized-outcome", "amount": amount }));
    outcome(2).refuses_outcome("a value over 1024 bytes");
    outcome(17).refuses_outcome("the outcome's text exceeds its limit of 16384");
    outcome(1_000).refuses(&["host_bytes = 524288"]);
    outcome(100_000).refuses(&["memory_bytes = 16777216"]);
}

#[test]
fn line_ends_in_a_header_effect_are_refused() {
    let mut scene = Scene::new(json!({ "behaviour": "crlf-effect" }));
    scene.refuses_outcome(
        "the effect set-header is not allowed: a control character in the value of X-Evil",
    );
}

#[test]
fn headers_of_the_proxy_are_refused_by_their_compact_name_too() {
    let mut scene = Scene::new(json!({ "behaviour": "via-effect" }));
    scene
        .refuses_outcome("the effect set-header is not allowed: the header v belongs to the proxy");
}

#[test]
fn a_status_that_is_no_refusal_is_refused() {
    let mut scene = Scene::new(json!({ "behaviour": "wrong-status" }));
    scene.refuses_outcome("the verdict reject is not allowed: status 200 is not 400 to 699");
}

#[test]
fn too_many_effects_are_refused_and_as_many_as_may_be_pass() {
    Scene::new(json!({ "behaviour": "too-many-effects", "amount": 32 })).admits();
    let mut scene = Scene::new(json!({ "behaviour": "too-many-effects", "amount": 33 }));
    scene.refuses_outcome("number of effects exceeds its limit of 32");
}

#[test]
fn a_log_flood_is_cut_at_its_limit() {
    let mut scene = Scene::new(json!({ "behaviour": "log-flood", "amount": 16 }));
    scene.admits();
    assert_eq!(scene.host.log.take().len(), 16);
    let mut scene = Scene::new(json!({ "behaviour": "log-flood" }));
    let conclusion = scene.worker.judge(victim());
    assert!(refusal(&conclusion).2.contains("log_lines = 16"));
    let lines = scene.host.log.take();
    assert_eq!(lines.len(), 16, "what it wrote before stays");
    for (number, (plugin, _, text)) in lines.iter().enumerate() {
        assert_eq!(
            (plugin.as_str(), text.as_str()),
            ("wild", format!("line {number} of 100000").as_str())
        );
    }
    Scene::new(json!({ "behaviour": "log-flood" })).refuses(&["log_lines = 16"]);
}

#[test]
fn a_flood_of_host_calls_meets_its_limit() {
    Scene::new(json!({ "behaviour": "host-call-flood", "amount": 1_000 })).admits();
    Scene::new(json!({ "behaviour": "host-call-flood", "amount": 1_001 }))
        .refuses(&["host_calls = 1000"]);
    Scene::new(json!({ "behaviour": "host-call-flood" })).refuses(&["host_calls = 1000"]);
}

#[test]
fn a_message_is_given_once_for_each_call() {
    let once = json!({ "behaviour": "hoard-messages", "amount": 1 });
    let mut scene = Scene::isolated(once, Isolation::REUSE);
    (0..3).for_each(|_| assert!(admitted(&scene.worker.judge(victim()))));
    Scene::new(json!({ "behaviour": "hoard-messages", "amount": 2 }))
        .refuses(&["there is no message to be given"]);
}

#[test]
fn on_failure_next_goes_on_without_the_plugin_and_only_without_it() {
    for behaviour in [
        "endless-loop",
        "trap-on-call",
        "memory-growth",
        "crlf-effect",
    ] {
        let host = Host::new();
        let mut source = source(&host, json!({ "behaviour": behaviour }));
        source.on_failure = OnFailure::Next;
        let wild = host.load(source).expect("it loads");
        let mut scene = Scene::around(host, &wild);
        let conclusion = scene.worker.judge(victim());
        let Decision::Admit(permit) = &conclusion.decision else {
            panic!("{behaviour}: {conclusion:?}")
        };
        assert!(
            permit.header_edits().is_empty(),
            "nothing of a failed outcome is kept"
        );
        assert_eq!(conclusion.trace.len(), 3, "the last plugin is asked");
        assert!(
            report(&conclusion.trace, "wild").failure.is_some(),
            "it is reported all the same"
        );
        // The others' objections count as before.
        let stranger = Caller::at("198.51.100.1")
            .named("victim")
            .invite("sip:bob@pbx.example");
        let conclusion = scene.worker.judge(stranger);
        assert_eq!(refusal(&conclusion).1, "first", "{behaviour}");
    }
}

#[test]
fn isolation_per_call_gives_each_call_its_own_instance() {
    for (behaviour, fails) in [
        ("none", false),
        ("trap-on-call", true),
        ("endless-loop", true),
    ] {
        let host = Host::new();
        let mut source = source(&host, json!({ "behaviour": behaviour }));
        source.isolation = Isolation::PerCall;
        let wild = host.load(source).expect("it loads");
        let mut scene = Scene::around(host, &wild);
        for _ in 0..3 {
            assert_eq!(
                admitted(&scene.worker.judge(victim())),
                !fails,
                "{behaviour}"
            );
            assert!(admitted(&scene.worker.judge(neighbour())));
        }
        let figures = scene.worker.executor.figures();
        assert_eq!(
            (figures.instances, figures.instances_made),
            (0, figures.calls),
            "{behaviour}"
        );
        assert_eq!(figures.failures, if fails { 3 } else { 0 });
    }
}

#[test]
fn a_reused_instance_is_replaced_after_its_calls() {
    let host = Host::new();
    let mut source = host.source(HOSTILE, json!({ "behaviour": "none" }));
    source.isolation = Isolation::Reuse {
        min_calls: 2,
        max_calls: 2,
    };
    let plugin = host.load(source).expect("it loads");
    let mut worker = Worker::new(&[&plugin]);
    for _ in 0..5 {
        assert!(admitted(&worker.judge(victim())));
    }
    assert_eq!(worker.executor.figures().instances_made, 3);
}

#[test]
fn a_loop_on_one_worker_does_not_hold_up_another() {
    let host = Host::new();
    let mut source = source(&host, json!({ "behaviour": "endless-loop" }));
    source.limits.deadline_ms = 500;
    let wild = host.load(source).expect("it loads");
    let calm = acl(&host, "calm");
    thread::scope(|scope| {
        let looping = scope.spawn(|| {
            let conclusion = Worker::new(&[&wild]).judge(victim());
            refusal(&conclusion).2.contains("deadline_ms = 500")
        });
        let mut worker = Worker::new(&[&calm]);
        let mut served = 0;
        while !looping.is_finished() {
            assert!(admitted(&worker.judge(neighbour())));
            served += 1;
        }
        assert!(looping.join().expect("no panic"));
        assert!(served > 100, "only {served} calls beside the loop");
    });
}

#[test]
fn the_strictest_demand_on_media_holds_whatever_a_later_plugin_says() {
    let host = Host::new();
    let demands = |name: &str, media: &str| {
        let mut source = source(
            &host,
            json!({ "behaviour": "demand-media", "media": media }),
        );
        source.name = name.into();
        host.load(source).expect("it loads")
    };
    let demanded = |plugins: &[&str]| {
        let plugins: Vec<_> = plugins.iter().map(|media| demands(media, media)).collect();
        let plugins: Vec<_> = plugins.iter().collect();
        match Worker::new(&plugins).judge(victim()).decision {
            Decision::Admit(permit) => permit.call_pass().media_requirement(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(demanded(&["any"]), MediaRequirement::Any);
    assert_eq!(demanded(&["encrypted", "any"]), MediaRequirement::Encrypted);
    assert_eq!(
        demanded(&["encrypted-both", "any", "encrypted"]),
        MediaRequirement::EncryptedBoth
    );
}

#[test]
fn an_offer_crosses_with_every_kind_of_address() {
    let host = Host::new();
    let mut worker = Worker::new(&[&wild(&host, json!({ "behaviour": "tell-offer" }))]);
    for (kind, name) in [
        (AddressKind::Public, "Public"),
        (AddressKind::Private, "Private"),
        (AddressKind::Loopback, "Loopback"),
        (AddressKind::LinkLocal, "LinkLocal"),
        (AddressKind::Multicast, "Multicast"),
        (AddressKind::Unspecified, "Unspecified"),
        (AddressKind::Reserved, "Reserved"),
        (AddressKind::Own, "Own"),
    ] {
        let mut facts = victim();
        facts.offer = vec![MediaStream {
            kind: "audio".into(),
            protocol: "RTP/SAVP".into(),
            encrypted: true,
            address: "192.0.2.9".into(),
            port: 4000,
            address_kind: kind,
        }];
        let conclusion = worker.judge(facts);
        assert_eq!(
            report(&conclusion.trace, "wild").reason,
            format!(
                "unreadable=false [audio RTP/SAVP encrypted=true AddressKind::{name} 192.0.2.9:4000]"
            )
        );
    }
    let mut facts = victim();
    facts.anomalies.insert(Anomalies::UNREADABLE_OFFER);
    let conclusion = worker.judge(facts);
    assert_eq!(
        report(&conclusion.trace, "wild").reason,
        "unreadable=true []"
    );
}

#[test]
fn a_machine_that_lets_the_guest_wait_does_not_refuse_the_call() {
    let host = Host::new();
    let slow = |amount: u32, deadline_ms: u32| {
        let mut source = source(&host, json!({ "behaviour": "slow", "amount": amount }));
        source.limits.deadline_ms = deadline_ms;
        let wild = host.load(source).expect("it loads");
        Worker::new(&[&wild])
    };
    // How much work takes 25 ms here, of the 50 that a call has.
    let mut trial = slow(1_000, 10_000);
    let began = worked();
    (0..5).for_each(|_| assert!(admitted(&trial.judge(victim()))));
    let once = (worked() - began) / 5;
    let rounds = Duration::from_millis(25).as_nanos() * 1_000 / once.as_nanos().max(1);
    let mut worker = slow(u32::try_from(rounds).expect("a possible amount"), 50);
    let stop = AtomicBool::new(false);
    let longest = thread::scope(|scope| {
        let cores = thread::available_parallelism().map_or(2, usize::from);
        for _ in 0..3 * cores {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let mut longest = Duration::ZERO;
        for _ in 0..40 {
            let started = Instant::now();
            let conclusion = worker.judge(victim());
            longest = longest.max(started.elapsed());
            assert!(admitted(&conclusion), "{:?}", conclusion.trace);
        }
        stop.store(true, Ordering::Relaxed);
        longest
    });
    assert!(
        longest > Duration::from_millis(51),
        "nobody had to wait: {longest:?}"
    );
}

/// What this thread has worked.
fn worked() -> Duration {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a clock");
    time.into()
}
