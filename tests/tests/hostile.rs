//! Plugins that misbehave on purpose, through the real engine: the call is refused,
//! the reason says why, everybody else is served, and the next call finds a host as
//! good as new.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use policy::{
    CallPass, Decision, Grants, OnFailure, RequestFacts, ResponseConclusion, ResponseFacts,
};
use policy_wasm::{Isolation, LoadError, Plugin, PluginLimits, PluginSource};
use serde_json::{Value, json};
use sipward_tests::guests::{Caller, Host, Worker, admitted, message, pipeline, refusal, report};

const HOSTILE: &str = "hostile-plugins";

/// What any call may take at most, whatever it does: a loop gets 20 ms, a new
/// instance takes a little, and the machine may do many other things.
const PATIENCE: Duration = Duration::from_secs(8);

/// The peer whose requests meet the hostile plugin, and one whose do not.
fn victim() -> RequestFacts {
    Caller::at("192.0.2.7")
        .named("victim")
        .invite("sip:bob@pbx.example")
}

fn neighbour() -> RequestFacts {
    Caller::at("192.0.2.8")
        .named("neighbour")
        .invite("sip:bob@pbx.example")
}

fn acl(host: &Host, name: &str) -> Arc<Plugin> {
    let mut source = host.source(
        "ip-acl",
        json!({ "inside": { "default": "allow" }, "outside": { "default": "deny", "allow": ["192.0.2.0/24"] } }),
    );
    source.name = name.into();
    host.load(source).expect("the well-behaved plugin loads")
}

/// The hostile plugin under its default limits, except that those which are not
/// about time are met in time on a slow machine too.
fn source(host: &Host, settings: Value) -> PluginSource {
    let endless = [json!("endless-loop"), json!("slow")].contains(&settings["behaviour"]);
    let mut source = host.source(HOSTILE, settings);
    source.name = "wild".into();
    if endless {
        source.limits = PluginLimits::default();
    }
    source
}

fn wild(host: &Host, settings: Value) -> Arc<Plugin> {
    host.load(source(host, settings))
        .expect("the hostile plugin loads")
}

/// One worker on which a victim's requests go by calm, wild, calm, and a neighbour's
/// by the same calm plugins alone.
struct Scene {
    host: Host,
    calm: [Arc<Plugin>; 2],
    worker: Worker,
}

impl Scene {
    fn new(settings: Value) -> Self {
        let host = Host::new();
        let wild = wild(&host, settings);
        Self::around(host, &wild)
    }

    fn around(host: Host, wild: &Arc<Plugin>) -> Self {
        let calm = [acl(&host, "first"), acl(&host, "last")];
        let worker = Worker::of(vec![
            pipeline("attacked", Some("victim"), &[&calm[0], wild, &calm[1]]),
            pipeline("quiet", None, &[&calm[0], &calm[1]]),
        ]);
        Self { host, calm, worker }
    }

    /// The victim's request is refused because of the plugin, three times over, with
    /// a reason that holds one of the texts; nobody else notices.
    #[track_caller]
    fn refuses(&mut self, texts: &[&str]) {
        const ROUNDS: u64 = 3;
        for _ in 0..ROUNDS {
            let started = Instant::now();
            let conclusion = self.worker.judge(victim());
            assert!(
                started.elapsed() < PATIENCE,
                "it took {:?}",
                started.elapsed()
            );
            let (status, plugin, reason) = refusal(&conclusion);
            assert_eq!((status, plugin), (500, "wild"));
            assert!(texts.iter().any(|text| reason.contains(text)), "{reason}");
            assert_eq!(conclusion.trace.len(), 2, "the last plugin is not asked");
            assert_eq!(report(&conclusion.trace, "first").verdict, "next");
            let failed = report(&conclusion.trace, "wild");
            assert_eq!(
                (failed.verdict, failed.failure.as_deref()),
                ("failed", Some(reason))
            );
            let conclusion = self.worker.judge(neighbour());
            assert!(admitted(&conclusion), "{:?}", conclusion.decision);
        }
        let figures = self.worker.executor.figures();
        assert_eq!(
            figures.instances, 2,
            "the calm instances are kept, the wild one is not"
        );
        // What fails in the outcome is no failure of the instance.
        let wild = figures.instances_made - 2;
        assert_eq!(
            (figures.failures, wild),
            (ROUNDS, ROUNDS),
            "replaced after each failure"
        );
        self.without_it();
    }

    /// The outcome is refused, the instance did nothing wrong and is kept.
    #[track_caller]
    fn refuses_outcome(&mut self, text: &str) {
        for _ in 0..2 {
            let conclusion = self.worker.judge(victim());
            let (status, plugin, reason) = refusal(&conclusion);
            assert_eq!((status, plugin), (500, "wild"));
            assert!(reason.contains(text), "{reason}");
            assert!(admitted(&self.worker.judge(neighbour())));
        }
        let figures = self.worker.executor.figures();
        assert_eq!((figures.instances_made, figures.failures), (3, 0));
        self.without_it();
    }

    /// After a reload that leaves the plugin out, the victim is served.
    fn without_it(&mut self) {
        let made = self.worker.executor.figures().instances_made;
        self.worker.reload(vec![pipeline(
            "main",
            None,
            &[&self.calm[0], &self.calm[1]],
        )]);
        assert!(admitted(&self.worker.judge(victim())));
        let figures = self.worker.executor.figures();
        assert_eq!(
            figures.instances_made, made,
            "the calm plugins' instances went on"
        );
        assert_eq!(figures.instances, 2);
    }

    #[track_caller]
    fn admits(&mut self) {
        let conclusion = self.worker.judge(victim());
        assert!(admitted(&conclusion), "{:?}", conclusion.decision);
    }
}

#[test]
fn one_that_behaves_is_asked_and_kept() {
    let mut scene = Scene::new(json!({ "behaviour": "none" }));
    for _ in 0..3 {
        let conclusion = scene.worker.judge(victim());
        assert!(admitted(&conclusion));
        assert_eq!(report(&conclusion.trace, "wild").reason, "behaves");
    }
    assert_eq!(scene.worker.executor.figures().instances_made, 3);
}

#[test]
fn an_endless_loop_ends_at_its_deadline() {
    let mut scene = Scene::new(json!({ "behaviour": "endless-loop" }));
    scene.refuses(&["ran longer than deadline_ms = 20"]);
}

#[test]
fn slow_is_refused_on_one_side_of_the_deadline_only() {
    let host = Host::new();
    let mut source = source(&host, json!({ "behaviour": "slow", "amount": 100 }));
    source.limits.deadline_ms = 2_000;
    let wild = host.load(source).expect("it loads");
    Scene::around(host, &wild).admits();
    let mut scene = Scene::new(json!({ "behaviour": "slow", "amount": u32::MAX }));
    scene.refuses(&["ran longer than deadline_ms = 20"]);
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
            (2, 5),
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

#[track_caller]
fn load_error(host: &Host, guest: &str, settings: Value) -> LoadError {
    match host.load(host.source(guest, settings)) {
        Err(error) => error,
        Ok(plugin) => panic!("{guest} was loaded: {plugin:?}"),
    }
}

#[test]
fn a_trap_in_configure_is_told_at_load() {
    let host = Host::new();
    let started = Instant::now();
    let error = load_error(&host, HOSTILE, json!({ "behaviour": "trap-in-configure" }));
    assert!(
        matches!(
            error,
            LoadError::Failed {
                function: "configure",
                ..
            }
        ),
        "{error:?}"
    );
    let text = error.to_string();
    assert!(
        text.contains("failed in `configure`: the plugin trapped"),
        "{text}"
    );
    assert!(started.elapsed() < Duration::from_secs(120));
    // The engine is none the worse for it.
    assert!(admitted(
        &Worker::new(&[&acl(&host, "calm")]).judge(victim())
    ));
}

#[test]
fn wrong_settings_are_named_by_their_key() {
    let host = Host::new();
    for (settings, expected) in [
        (json!({ "behaviour": "refuse-settings" }), "behaviour"),
        (json!({ "behaviour": "fly" }), "behaviour"),
        (json!({ "behaviour": "none", "amount": -1 }), "amount"),
        (json!({ "behaviour": "none", "colour": "red" }), "colour"),
        (json!({}), "behaviour"),
    ] {
        let error = load_error(&host, HOSTILE, settings.clone());
        let text = error.to_string();
        assert!(
            matches!(error, LoadError::Settings { .. }),
            "{settings}: {error:?}"
        );
        assert!(text.contains(expected), "{settings}: {text}");
    }
}

#[test]
fn a_forbidden_import_is_refused_by_its_name() {
    let host = Host::new();
    let error = load_error(&host, "foreign-import", Value::Null);
    let LoadError::ForbiddenImport { import } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(import, "evil:network/dial@1.0.0");
    assert!(
        error
            .to_string()
            .contains("`evil:network/dial@1.0.0`, which is forbidden")
    );
    let text = load_error(&host, "forbidden-import", Value::Null).to_string();
    assert!(text.contains("wasi_snapshot_preview1"), "{text}");
}

#[test]
fn what_was_not_granted_is_refused_by_its_name() {
    let host = Host::new();
    let mut source = host.source(HOSTILE, json!({ "behaviour": "none" }));
    source.capabilities = Grants::NONE;
    let error = host
        .load(source)
        .expect_err("it asks for edit-headers")
        .to_string();
    assert!(
        error.contains("`edit-headers`, which is not granted"),
        "{error}"
    );
    let mut source = host.source("rate-limit", json!({ "rules": [] }));
    source.capabilities = Grants::NONE;
    let error = host
        .load(source)
        .expect_err("it imports counters")
        .to_string();
    assert!(error.contains("counters"), "{error}");
}

#[test]
fn a_failed_load_changes_nothing() {
    let mut scene = Scene::new(json!({ "behaviour": "none" }));
    scene.admits();
    let made = scene.worker.executor.figures().instances_made;
    for _ in 0..30 {
        load_error(
            &scene.host,
            HOSTILE,
            json!({ "behaviour": "trap-in-configure" }),
        );
    }
    scene.admits();
    assert_eq!(
        scene.worker.executor.figures().instances_made,
        made,
        "the running instances are used on"
    );
}

/// A call that this worker admitted, and what it makes of a 486 to it.
struct Answered {
    worker: Worker,
    pass: CallPass,
}

impl Answered {
    fn new(host: &Host, settings: Value) -> Self {
        let wild = wild(host, settings);
        let mut calm = host.source(HOSTILE, json!({ "behaviour": "none", "hook": "response" }));
        calm.name = "calm".into();
        let calm = host.load(calm).expect("it loads");
        let mut worker = Worker::new(&[&wild, &calm]);
        let conclusion = worker.judge(victim());
        let Decision::Admit(permit) = &conclusion.decision else {
            panic!("{conclusion:?}")
        };
        let pass = permit.call_pass();
        Self { worker, pass }
    }

    fn busy(&mut self) -> ResponseConclusion {
        let text = "SIP/2.0 486 Busy Here\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKabc\r\n\
            From: <sip:alice@caller.example>;tag=1\r\nTo: <sip:bob@pbx.example>;tag=2\r\n\
            Call-ID: call@caller.example\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n";
        let peer = Caller::at("192.0.2.9").inside().peer;
        let facts = ResponseFacts {
            message: Arc::new(message(text)),
            peer,
        };
        let conclusion =
            self.worker
                .executor
                .judge_response(&self.worker.generation, &self.pass, facts);
        conclusion.expect("two plugins want to see responses")
    }
}

#[test]
fn a_response_passes_whatever_a_plugin_does_to_it() {
    let host = Host::new();
    for (behaviour, text) in [
        ("endless-loop", "deadline_ms = 20"),
        ("memory-growth", "memory_bytes"),
        ("deep-recursion", "stack"),
        ("trap-on-call", "trapped"),
        ("oversized-outcome", "memory_bytes"),
        ("crlf-effect", "control character"),
        ("via-effect", "belongs to the proxy"),
        ("wrong-status", "status 200"),
        ("log-flood", "log_lines"),
        ("host-call-flood", "host_calls"),
    ] {
        let mut call = Answered::new(&host, json!({ "behaviour": behaviour, "hook": "response" }));
        for _ in 0..2 {
            let started = Instant::now();
            let conclusion = call.busy();
            assert!(started.elapsed() < PATIENCE);
            assert!(conclusion.replacement.is_none() && conclusion.header_edits.is_empty());
            assert_eq!(conclusion.trace.len(), 2, "{behaviour}");
            let failure = report(&conclusion.trace, "wild")
                .failure
                .clone()
                .expect("it failed");
            assert!(failure.contains(text), "{behaviour}: {failure}");
            assert_eq!(
                report(&conclusion.trace, "calm").reason,
                "behaves",
                "{behaviour}"
            );
        }
        assert!(
            admitted(&call.worker.judge(victim())),
            "{behaviour}: requests are served as before"
        );
        host.log.take();
    }
}
