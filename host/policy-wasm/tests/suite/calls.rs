//! Calls of hooks: what goes in, what comes out, and every limit on the way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::guest::{
    BUSY, Guest, engine, facts, generation, judge, load, message, peer, services, source,
};
use policy::{
    Capability, Conclusion, ConsultId, Decision, Grants, HeaderEdit, OnFailure, ResponseFacts, Zone,
};
use policy_wasm::{Engine, Executor, Generation, Isolation, PipelineSpec, Plugin, Selection};

/// Refused because the plugin failed; says why.
fn failure(conclusion: &Conclusion) -> &str {
    match &conclusion.decision {
        Decision::Refuse(refusal) if refusal.status == 500 => &refusal.reason,
        other => panic!("{other:?}"),
    }
}

fn admitted(conclusion: &Conclusion) -> bool {
    matches!(conclusion.decision, Decision::Admit(_))
}

fn loaded(engine: &Engine, name: &str, guest: &Guest) -> Arc<Plugin> {
    load(engine, name, guest).unwrap()
}

/// The plugin fails with a reason that contains the text, is replaced for the
/// next call, and does not disturb another one on the same executor.
#[track_caller]
fn fails_with(guest: &Guest, grants: Grants, expected: &str) {
    let engine = engine(None);
    // Of six calls each has its own instance; of a reused one, calm once and wild twice.
    for (isolation, made) in [(Isolation::default(), 6), (Isolation::REUSE, 3)] {
        let plugin = |name: &str, guest: &Guest| {
            let mut source = source(name, guest);
            source.isolation = isolation;
            source.capabilities = grants;
            engine.load(source, services()).unwrap()
        };
        let plugins = [plugin("calm", &Guest::new(&[], &[])), plugin("wild", guest)];
        assert_eq!(failing(&plugins, expected), made, "{isolation:?}");
    }
}

/// How many instances two calls of both and two of the first took.
#[track_caller]
fn failing([calm, wild]: &[Arc<Plugin>; 2], expected: &str) -> u64 {
    let mut executor = Executor::new();
    for _ in 0..2 {
        let conclusion = judge(&mut executor, &[calm, wild]);
        let reason = failure(&conclusion);
        assert!(reason.contains(expected), "{reason}");
        assert_eq!(conclusion.trace.len(), 2);
        assert!(admitted(&judge(&mut executor, &[calm])));
    }
    assert_eq!(executor.figures().failures, 2);
    executor.figures().instances_made
}

#[test]
fn allow_admits_and_reject_refuses() {
    let engine = engine(None);
    let allow = loaded(&engine, "allow", &Guest::new(&[], &[]));
    let deny = loaded(
        &engine,
        "deny",
        &Guest::new(&[], &[]).rejects(403, "not you"),
    );
    let mut executor = Executor::new();
    let conclusion = judge(&mut executor, &[&allow]);
    let Decision::Admit(permit) = &conclusion.decision else {
        panic!("{conclusion:?}")
    };
    assert_eq!(permit.consult(), ConsultId::new(7));
    assert_eq!(conclusion.trace[0].reason, "fine");
    let conclusion = judge(&mut executor, &[&allow, &deny, &allow]);
    let Decision::Refuse(refusal) = &conclusion.decision else {
        panic!("{conclusion:?}")
    };
    assert_eq!((refusal.status, &*refusal.plugin), (403, "deny"));
    assert_eq!(refusal.reason, "not you");
    assert_eq!(conclusion.trace.len(), 2, "the third is not asked");
}

#[test]
fn a_trap_is_a_failure() {
    fails_with(
        &Guest::new(&[], &[]).does("unreachable"),
        Grants::NONE,
        "trapped",
    );
}

#[test]
fn an_endless_loop_meets_its_deadline() {
    let started = Instant::now();
    fails_with(
        &Guest::new(&[], &[]).does("(loop $again (br $again)) unreachable"),
        Grants::NONE,
        "deadline_ms = 50",
    );
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn memory_growth_meets_its_limit() {
    let hook = "(loop $again (drop (memory.grow (i32.const 16))) (br $again)) unreachable";
    fails_with(
        &Guest::new(&[], &[]).does(hook),
        Grants::NONE,
        "memory_bytes = 16777216",
    );
}

#[test]
fn deep_recursion_meets_the_end_of_the_stack() {
    let mut guest = Guest::new(&[], &[]).does("(call $deep (i32.const 1))");
    guest.functions =
        "(func $deep (param i32) (result i32) (i32.add (call $deep (local.get 0)) (local.get 0)))"
            .into();
    fails_with(&guest, Grants::NONE, "stack");
}

#[test]
fn a_flood_of_host_calls_meets_its_limit() {
    let mut guest =
        Guest::new(&[], &[]).does("(loop $again (drop (call $now)) (br $again)) unreachable");
    guest.imports =
        r#"(import "sipward:policy/clock@0.1.0" "now-ms" (func $now (result i64)))"#.into();
    fails_with(&guest, Grants::NONE, "host_calls = 1000");
}

fn logging(count: u32, len: u32) -> Guest {
    let mut guest = Guest::new(&[], &[]);
    let fine = guest.outcome(&[0; 6], &[], "");
    guest.imports =
        r#"(import "sipward:policy/log@0.1.0" "write" (func $log (param i32 i32 i32)))"#.into();
    guest.does(format!(
        "(local $n i32)
         (loop $again
           (call $log (i32.const 1) (i32.const 1024) (i32.const {len}))
           (local.set $n (i32.add (local.get $n) (i32.const 1)))
           (br_if $again (i32.lt_u (local.get $n) (i32.const {count}))))
         i32.const {fine}"
    ))
}

#[test]
fn a_log_flood_meets_its_limit_on_the_next_line() {
    fails_with(&logging(17, 5), Grants::NONE, "log_lines = 16");
    let engine = engine(None);
    let talker = loaded(&engine, "talker", &logging(16, 5));
    assert!(admitted(&judge(&mut Executor::new(), &[&talker])));
}

#[test]
fn bytes_given_to_the_host_are_bounded() {
    let mut guest = logging(1, 0x90000);
    guest.configure = format!("(drop (memory.grow (i32.const 16))) {}", guest.configure);
    fails_with(&guest, Grants::NONE, "host_bytes = 524288");
}

#[test]
fn an_oversized_reason_is_refused() {
    let engine = engine(None);
    let longest = "x".repeat(512);
    let fits = loaded(
        &engine,
        "fits",
        &Guest::new(&[], &[]).rejects(403, &longest),
    );
    let over = loaded(
        &engine,
        "over",
        &Guest::new(&[], &[]).rejects(403, &format!("{longest}x")),
    );
    let mut executor = Executor::new();
    let conclusion = judge(&mut executor, &[&fits]);
    assert_eq!(conclusion.decision.reason(), longest);
    let conclusion = judge(&mut executor, &[&over]);
    assert!(failure(&conclusion).contains("reason exceeds its limit of 512"));
}

#[test]
fn effects_are_counted_on_both_sides_of_the_limit() {
    let engine = engine(None);
    let points = [4, 1, 1024, 0, 0];
    let fits = loaded(&engine, "fits", &Guest::new(&[], &[]).has(&[points; 32]));
    let over = loaded(&engine, "over", &Guest::new(&[], &[]).has(&[points; 33]));
    let mut executor = Executor::new();
    let conclusion = judge(&mut executor, &[&fits]);
    assert!(admitted(&conclusion));
    assert_eq!(conclusion.score, 32);
    let conclusion = judge(&mut executor, &[&over]);
    assert!(failure(&conclusion).contains("number of effects exceeds its limit of 32"));
}

fn header_guest(value: &str) -> Guest {
    let mut guest = Guest::new(&[], &["edit-headers"]);
    let [name, name_len] = guest.text("X-Mark");
    let [value, value_len] = guest.text(value);
    guest.has(&[[1, name, name_len, value, value_len]])
}

#[test]
fn a_header_effect_passes_and_one_with_crlf_does_not() {
    let grants = Grants::NONE.with(Capability::EditHeaders);
    let engine = engine(None);
    let with = |name: &str, value: &str| {
        let mut source = source(name, &header_guest(value));
        source.capabilities = grants;
        engine.load(source, services()).unwrap()
    };
    let mut executor = Executor::new();
    let conclusion = judge(&mut executor, &[&with("good", "yes")]);
    let Decision::Admit(permit) = &conclusion.decision else {
        panic!("{conclusion:?}")
    };
    assert_eq!(
        permit.header_edits(),
        [HeaderEdit::Add {
            name: "X-Mark".into(),
            value: b"yes".to_vec()
        }]
    );
    let conclusion = judge(&mut executor, &[&with("bad", "yes\r\nVia: evil")]);
    assert!(
        failure(&conclusion).contains("control character"),
        "{conclusion:?}"
    );
}

/// Answers with the text of the facts as the reason.
fn echo() -> Guest {
    let mut guest = Guest::new(&[], &[]);
    let outcome = guest.outcome(&[0; 6], &[], "");
    guest.does(format!(
        "(i32.store offset=32 (i32.const {outcome}) (i32.load (local.get $facts)))
         (i32.store offset=36 (i32.const {outcome}) (i32.load offset=4 (local.get $facts)))
         i32.const {outcome}"
    ))
}

#[test]
fn later_plugins_see_what_earlier_ones_found() {
    let engine = engine(None);
    let mut first = Guest::new(&[], &[]);
    let [key, key_len] = first.text("country");
    let [value, value_len] = first.text("DE");
    let [who, who_len] = first.text("alice@pbx");
    let effects = [[3, key, key_len, value, value_len], [5, who, who_len, 0, 0]];
    let first = loaded(&engine, "first", &first.has(&effects));
    let echo = loaded(&engine, "echo", &echo());
    let conclusion = judge(&mut Executor::new(), &[&echo, &first, &echo]);
    assert!(admitted(&conclusion));
    let before = &conclusion.trace[0].reason;
    for part in [
        "INVITE",
        "sip:+4930123@pbx.example:5070;user=phone",
        "Alice",
        "call-1@",
        "Test/1",
    ] {
        assert!(before.contains(part), "{part} in {before}");
    }
    assert!(!before.contains("country"));
    let after = &conclusion.trace[2].reason;
    assert!(
        after.starts_with(before.as_str()) && after.ends_with("alice@pbxcountry=DE "),
        "{after}"
    );
}

#[test]
fn a_guest_fetches_headers_from_the_lent_message() {
    let mut guest = Guest::new(&[], &[]);
    let outcome = guest.outcome(&[0; 6], &[], "");
    let [name, len] = guest.text("x-custom");
    let area = guest.words(&[0; 3]);
    guest.imports = r#"(import "sipward:policy/messages@0.1.0" "[method]message.header"
        (func $header (param i32 i32 i32 i32)))"#
        .into();
    let guest = guest.does(format!(
        "(call $header (local.get $message) (i32.const {name}) (i32.const {len}) (i32.const {area}))
         (i32.store offset=32 (i32.const {outcome}) (i32.load offset=4 (i32.const {area})))
         (i32.store offset=36 (i32.const {outcome}) (i32.load offset=8 (i32.const {area})))
         i32.const {outcome}"
    ));
    let engine = engine(None);
    let plugin = loaded(&engine, "fetch", &guest);
    let conclusion = judge(&mut Executor::new(), &[&plugin]);
    assert_eq!(conclusion.trace[0].reason, "one");
}

#[test]
fn instances_are_recycled_as_configured() {
    let engine = engine(None);
    let made = |isolation| {
        let mut source = source("counted", &Guest::new(&[], &[]));
        source.isolation = isolation;
        let plugin = engine.load(source, services()).unwrap();
        let mut executor = Executor::new();
        for _ in 0..7 {
            assert!(admitted(&judge(&mut executor, &[&plugin])));
        }
        executor.figures().instances_made
    };
    assert_eq!(
        made(Isolation::Reuse {
            min_calls: 3,
            max_calls: 3
        }),
        3
    );
    assert_eq!(
        made(Isolation::Reuse {
            min_calls: 7,
            max_calls: 7
        }),
        1
    );
    assert_eq!(made(Isolation::PerCall), 7);
    assert_eq!(
        made(Isolation::SingleUse { ready: 2 }),
        7,
        "none is made ahead of need"
    );
}

#[test]
fn on_failure_next_goes_on_and_the_trace_says_so() {
    let engine = engine(None);
    let mut source = source("wild", &Guest::new(&[], &[]).does("unreachable"));
    source.on_failure = OnFailure::Next;
    let wild = engine.load(source, services()).unwrap();
    let conclusion = judge(&mut Executor::new(), &[&wild]);
    assert!(admitted(&conclusion));
    assert!(
        conclusion.trace[0]
            .failure
            .as_ref()
            .unwrap()
            .contains("trapped")
    );
}

#[test]
fn the_most_specific_pipeline_judges_and_none_refuses() {
    let engine = engine(None);
    let by = |name: &str| loaded(&engine, name, &Guest::new(&[], &[]).rejects(403, name));
    let spec = |name: &str, select: Selection| PipelineSpec {
        name: Arc::from(name),
        select,
        plugins: vec![by(name)],
    };
    let all = spec(
        "all",
        Selection {
            zone: Some(Zone::Outside),
            ..Selection::default()
        },
    );
    let peer = spec(
        "peer",
        Selection {
            peer: Some(Arc::from("carrier")),
            ..Selection::default()
        },
    );
    let inside = spec(
        "inside",
        Selection {
            zone: Some(Zone::Inside),
            ..Selection::default()
        },
    );
    let generation = Arc::new(Generation::new(3, vec![all, peer, inside]));
    let mut executor = Executor::new();
    let mut ask = |name: Option<&str>, zone| {
        let mut facts = facts();
        facts.peer.name = name.map(Arc::from);
        facts.peer.zone = zone;
        executor.judge(&generation, ConsultId::new(1), facts)
    };
    assert_eq!(
        ask(Some("carrier"), Zone::Outside).decision.reason(),
        "peer"
    );
    assert_eq!(ask(Some("other"), Zone::Outside).decision.reason(), "all");
    assert_eq!(ask(None, Zone::Inside).decision.reason(), "inside");
    let nothing = Arc::new(Generation::new(4, Vec::new()));
    let conclusion = executor.judge(&nothing, ConsultId::new(1), facts());
    assert!(matches!(&conclusion.decision, Decision::Refuse(refusal) if refusal.status == 403));
}

#[test]
fn instances_of_an_old_generation_go_with_it() {
    let engine = engine(None);
    let mut executor = Executor::new();
    let reused = |name: &str, guest: &Guest| {
        let mut source = source(name, guest);
        source.isolation = Isolation::REUSE;
        engine.load(source, services()).unwrap()
    };
    let old = generation(1, &[&reused("old", &Guest::new(&[], &[]))]);
    let guest = Guest::new(&[], &[]).rejects(403, "new");
    let new = generation(2, &[&reused("new", &guest)]);
    executor.warm(&old).unwrap();
    assert_eq!(executor.figures().instances, 1);
    assert!(admitted(&executor.judge(&old, ConsultId::new(1), facts())));
    assert_eq!(
        executor
            .judge(&new, ConsultId::new(2), facts())
            .decision
            .reason(),
        "new"
    );
    assert!(
        admitted(&executor.judge(&old, ConsultId::new(3), facts())),
        "pinned ones stay"
    );
    assert_eq!(executor.figures().instances_made, 2);
    drop(old);
    executor.judge(&new, ConsultId::new(4), facts());
    assert_eq!(executor.figures().instances, 1);
}

#[test]
fn responses_are_shown_to_those_who_asked() {
    let engine = engine(None);
    let allow = loaded(&engine, "allow", &Guest::new(&[], &[]));
    let mut shape = Guest::new(&[], &[]).rejects(480, "hide that they are busy");
    shape.kind = "response";
    let shape = loaded(&engine, "shape", &shape);
    let mut executor = Executor::new();
    let response = || ResponseFacts {
        message: Arc::new(message(BUSY)),
        peer: peer(),
        identity: None,
        caller: None,
    };
    let both = generation(1, &[&allow, &shape]);
    let conclusion = executor.judge(&both, ConsultId::new(1), facts());
    assert_eq!(
        conclusion.trace.len(),
        1,
        "without a request hook it is not asked"
    );
    let Decision::Admit(permit) = &conclusion.decision else {
        panic!("{conclusion:?}")
    };
    let pass = permit.call_pass();
    assert!(both.judges_responses(&pass));
    let conclusion = executor.judge_response(&both, &pass, response()).unwrap();
    assert_eq!(conclusion.replacement.unwrap().status, 480);
    let plain = generation(1, &[&allow]);
    assert!(executor.judge_response(&plain, &pass, response()).is_none());
}
