//! Two versions of a plugin side by side, and plugins that are taken out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use policy::{
    BreakerTerms, Capability, Conclusion, ConsultId, Decision, Divergence, Grants, OnFailure,
    RequestFacts, RollbackCause, RollbackTerms, Share,
};
use policy_wasm::{
    Addition, Candidate, Clock, Counters, Engine, Executor, Generation, HostServices, PipelineSpec,
    Plugin, Rehearsed, Selection, Stance, StateCounters, StateLeases,
};
use sip_message::{Limits, Message};
use state::State;

use crate::guest::{Guest, INVITE, engine, facts, generation, peer, services, source};

const START: u64 = 1_700_000_000_000;

struct HandClock(AtomicU64);

impl Clock for HandClock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Services with a clock to turn, and counters and leases that last.
struct World {
    engine: Engine,
    clock: Arc<HandClock>,
    state: State,
    services: HostServices,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(HandClock(AtomicU64::new(START)));
        let state = State::open(None, state::Limits::default(), START).unwrap();
        Self {
            engine: engine(None),
            services: HostServices {
                clock: Arc::clone(&clock) as _,
                counters: Arc::new(StateCounters(state.clone())),
                leases: Arc::new(StateLeases(state.leases().clone())),
                ..services()
            },
            clock,
            state,
        }
    }

    fn pass(&self, ms: u64) {
        self.clock.0.fetch_add(ms, Ordering::Relaxed);
    }

    fn plugin(&self, guest: &Guest) -> Arc<Plugin> {
        self.granted(guest, Grants::NONE)
    }

    fn granted(&self, guest: &Guest, grants: Grants) -> Arc<Plugin> {
        let mut source = source("door", guest);
        source.capabilities = grants;
        self.engine.load(source, self.services.clone()).unwrap()
    }

    fn candidate(&self, guest: &Guest, stance: Stance, terms: RollbackTerms) -> Arc<Candidate> {
        let mut source = source("door", guest);
        source.capabilities = Grants::NONE
            .with(Capability::Counters)
            .with(Capability::Leases);
        let candidate = self.engine.load_candidate(source, &self.services).unwrap();
        candidate.set_stance(stance, terms);
        candidate
    }
}

fn side_by_side(plugin: &Arc<Plugin>, candidate: &Arc<Candidate>) -> Arc<Generation> {
    let spec = PipelineSpec {
        name: Arc::from("main"),
        select: Selection::default(),
        plugins: vec![Arc::clone(plugin)],
    };
    let candidates = [Arc::clone(candidate)];
    Arc::new(Generation::with_candidates(1, vec![spec], &candidates))
}

/// An INVITE of a call of its own.
fn call(number: u32) -> RequestFacts {
    let text = INVITE.replace("call-1@", &format!("call-{number}@"));
    let bytes = Bytes::from(text.replace('\n', "\r\n"));
    let message = Message::parse_datagram(bytes, &Limits::default()).unwrap();
    RequestFacts::new(Arc::new(message), peer())
}

fn judge(executor: &mut Executor, generation: &Arc<Generation>, number: u32) -> Conclusion {
    executor.judge(generation, ConsultId::new(number.into()), call(number))
}

fn admitted(conclusion: &Conclusion) -> bool {
    matches!(conclusion.decision, Decision::Admit(_))
}

fn rehearse(executor: &mut Executor) -> Vec<Rehearsed> {
    let mut rehearsals = executor.take_rehearsals();
    rehearsals
        .iter_mut()
        .filter_map(|rehearsal| executor.rehearse(rehearsal))
        .collect()
}

fn allow() -> Guest {
    Guest::new(&[], &[])
}

fn deny() -> Guest {
    Guest::new(&[], &[]).rejects(403, "new rule")
}

/// Counts each request under one key, and refuses from the third.
fn counting(step: u32) -> Guest {
    let mut guest = Guest::new(&[], &["counters"]);
    guest.imports = r#"(import "sipward:policy/counters@0.1.0" "add"
        (func $add (param i32 i32 i32 i32 i32 i64 i32 i32)))"#
        .into();
    let [name, len] = guest.text("calls");
    let area = guest.words(&[0; 4]);
    let fine = guest.outcome(&[0; 6], &[], "");
    let [phrase, none] = guest.text("");
    let enough = guest.outcome(&[1, 486, phrase, none, 0, 0], &[], "enough");
    guest.does(format!(
        "(call $add (i32.const {name}) (i32.const {len}) (i32.const {name}) (i32.const {len})
           (i32.const {step}) (i64.const 60000) (i32.const 0) (i32.const {area}))
         (select (i32.const {enough}) (i32.const {fine})
           (i64.ge_u (i64.load offset=8 (i32.const {area})) (i64.const 3)))"
    ))
}

/// Holds a place of two for the call.
fn holding() -> Guest {
    let mut guest = Guest::new(&[], &["leases"]);
    guest.imports = r#"(import "sipward:policy/leases@0.1.0" "hold"
        (func $hold (param i32 i32 i32 i32 i64 i64 i32)))"#
        .into();
    let [name, len] = guest.text("places");
    let area = guest.words(&[0; 6]);
    let fine = guest.outcome(&[0; 6], &[], "");
    let [phrase, none] = guest.text("");
    let full = guest.outcome(&[1, 486, phrase, none, 0, 0], &[], "full");
    guest.does(format!(
        "(call $hold (i32.const {name}) (i32.const {len}) (i32.const {name}) (i32.const {len})
           (i64.const 1) (i64.const 2) (i32.const {area}))
         (select (i32.const {fine}) (i32.const {full})
           (i32.load8_u offset=8 (i32.const {area})))"
    ))
}

#[test]
fn a_canary_judges_its_share_of_the_calls_and_always_the_same_ones() {
    let world = World::new();
    let share = Share::of_millionths(250_000);
    let candidate = world.candidate(&deny(), Stance::Canary(share), RollbackTerms::default());
    let generation = side_by_side(&world.plugin(&allow()), &candidate);
    let mut executor = Executor::new();
    let mut one = || -> Vec<bool> {
        (0..400)
            .map(|number| admitted(&judge(&mut executor, &generation, number)))
            .collect()
    };
    let first = one();
    assert_eq!(first, one(), "a call stays with its version");
    let denied = first.iter().filter(|admitted| !**admitted).count();
    assert!((50..=150).contains(&denied), "{denied} of 400");
    let conclusion = (0..400)
        .map(|number| judge(&mut executor, &generation, number))
        .find(|conclusion| !admitted(conclusion))
        .unwrap();
    let version = conclusion.version().unwrap();
    assert_eq!(version.to_string(), "1.2.3 (candidate)");
    assert_eq!(conclusion.candidates().count(), 1);
    let figures = candidate.figures();
    assert_eq!(figures.candidate.answers, figures.candidate.denied);
    assert_eq!((figures.live.denied, figures.live.failures), (0, 0));
    candidate.set_stance(Stance::Promoted, RollbackTerms::default());
    assert!((0..20).all(|number| !admitted(&judge(&mut executor, &generation, number))));
    candidate.set_stance(Stance::Withdrawn, RollbackTerms::default());
    assert!((0..400).all(|number| admitted(&judge(&mut executor, &generation, number))));
}

#[test]
fn a_candidate_that_fails_costs_no_call_and_is_withdrawn() {
    for (hook, kind) in [
        ("unreachable", "trap"),
        ("(loop $again (br $again)) unreachable", "deadline"),
    ] {
        let world = World::new();
        let guest = allow().does(hook);
        let candidate = world.candidate(&guest, Stance::Promoted, RollbackTerms::default());
        let generation = side_by_side(&world.plugin(&allow()), &candidate);
        let mut executor = Executor::new();
        for number in 0..2 {
            let conclusion = judge(&mut executor, &generation, number);
            assert!(admitted(&conclusion), "{conclusion:?}");
            let [failed, stood_in] = &conclusion.trace[..] else {
                panic!("{:?}", conclusion.trace)
            };
            assert!(failed.version.candidate && failed.failure.is_some());
            assert!(!stood_in.version.candidate);
            assert_eq!(stood_in.verdict, "next");
        }
        assert_eq!(candidate.rollback(), None);
        assert!(admitted(&judge(&mut executor, &generation, 2)));
        let rollback = candidate.rollback().unwrap();
        assert_eq!(candidate.stance(), Stance::Withdrawn);
        assert_eq!((rollback.from, rollback.at_ms), (Stance::Promoted, START));
        let RollbackCause::Failures { failures, last, .. } = rollback.cause else {
            panic!("{rollback:?}")
        };
        assert_eq!((failures, last), (3, kind));
        let conclusion = judge(&mut executor, &generation, 3);
        assert!(admitted(&conclusion) && conclusion.trace.len() == 1);
        // The operator may try again.
        candidate.set_stance(Stance::Canary(Share::ALL), RollbackTerms::default());
        assert_eq!(candidate.rollback(), None);
        assert_eq!(judge(&mut executor, &generation, 4).trace.len(), 2);
    }
}

#[test]
fn a_candidate_that_denies_outside_its_band_is_withdrawn() {
    let world = World::new();
    let terms = RollbackTerms {
        calls_min: 10,
        deny_max: Some(Share::of_millionths(200_000)),
        ..RollbackTerms::default()
    };
    let candidate = world.candidate(&deny(), Stance::Canary(Share::ALL), terms);
    let generation = side_by_side(&world.plugin(&allow()), &candidate);
    let mut executor = Executor::new();
    for number in 0..10 {
        assert!(!admitted(&judge(&mut executor, &generation, number)));
    }
    assert!(matches!(
        candidate.rollback().unwrap().cause,
        RollbackCause::DeniesMore { calls: 10, .. }
    ));
    assert!(admitted(&judge(&mut executor, &generation, 10)));
}

#[test]
fn a_shadow_tells_where_it_would_decide_otherwise_and_does_nothing() {
    let world = World::new();
    let candidate = world.candidate(&deny(), Stance::Shadow, RollbackTerms::default());
    let generation = side_by_side(&world.plugin(&allow()), &candidate);
    let mut executor = Executor::new();
    let conclusion = judge(&mut executor, &generation, 1);
    assert!(admitted(&conclusion));
    assert_eq!(conclusion.trace.len(), 1);
    let [told] = &rehearse(&mut executor)[..] else {
        panic!("one rehearsal")
    };
    let divergence = Divergence {
        live: "next".to_owned(),
        candidate: "reject 403".to_owned(),
    };
    assert_eq!(told.divergence.as_ref(), Some(&divergence));
    assert_eq!(told.reason, "new rule");
    // Denials of a shadow are no reason to take it back, failures are.
    assert_eq!(candidate.stance(), Stance::Shadow);
    let wild = world.candidate(
        &allow().does("unreachable"),
        Stance::Shadow,
        RollbackTerms::default(),
    );
    let generation = side_by_side(&world.plugin(&allow()), &wild);
    for number in 0..5 {
        assert!(admitted(&judge(&mut executor, &generation, number)));
        rehearse(&mut executor);
    }
    assert_eq!(wild.stance(), Stance::Withdrawn);
    assert_eq!(wild.figures().candidate.failures, 3);
}

#[test]
fn the_same_version_in_its_own_shadow_sees_what_it_saw_and_counts_nothing() {
    let world = World::new();
    let grants = Grants::NONE.with(Capability::Counters);
    let live = world.granted(&counting(1), grants);
    let candidate = world.candidate(&counting(1), Stance::Shadow, RollbackTerms::default());
    let generation = side_by_side(&live, &candidate);
    let mut executor = Executor::new();
    for number in 0..6 {
        let conclusion = judge(&mut executor, &generation, number);
        assert_eq!(admitted(&conclusion), number < 2, "call {number}");
        let told = rehearse(&mut executor);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].divergence, None, "call {number}");
    }
    let read = StateCounters(world.state.clone()).add(Addition {
        scope: "door",
        name: "calls",
        key: b"calls",
        amount: 0,
        window_ms: 60_000,
        durable: false,
        now_ms: START,
    });
    assert_eq!(read, Ok(6));
    // One that counts twice would refuse one call earlier.
    let fresh = World::new();
    let live = fresh.granted(&counting(1), grants);
    let stricter = fresh.candidate(&counting(2), Stance::Shadow, RollbackTerms::default());
    let generation = side_by_side(&live, &stricter);
    let differs: Vec<bool> = (0..4)
        .map(|number| {
            judge(&mut executor, &generation, number);
            rehearse(&mut executor)[0].divergence.is_some()
        })
        .collect();
    assert_eq!(differs, [false, true, false, false]);
}

#[test]
fn a_shadow_holds_beside_the_call_and_lets_go_with_it() {
    let world = World::new();
    let grants = Grants::NONE.with(Capability::Leases);
    let live = world.granted(&holding(), grants);
    let candidate = world.candidate(&holding(), Stance::Shadow, RollbackTerms::default());
    let generation = side_by_side(&live, &candidate);
    let mut executor = Executor::new();
    let mut calls = Vec::new();
    for number in 0..4 {
        let conclusion = judge(&mut executor, &generation, number);
        assert_eq!(admitted(&conclusion), number < 2);
        let told = rehearse(&mut executor);
        assert_eq!(told[0].divergence, None, "call {number}");
        calls.push(conclusion);
    }
    assert_eq!(world.state.leases().figures().units, 2);
    drop(calls);
    let figures = world.state.leases().figures();
    assert_eq!((figures.units, figures.conserved()), (0, true));
    let conclusion = judge(&mut executor, &generation, 9);
    assert!(admitted(&conclusion));
    assert_eq!(rehearse(&mut executor)[0].divergence, None);
}

#[test]
fn rehearsals_that_wait_have_a_ceiling() {
    let world = World::new();
    let candidate = world.candidate(&deny(), Stance::Shadow, RollbackTerms::default());
    let generation = side_by_side(&world.plugin(&allow()), &candidate);
    let mut executor = Executor::new();
    for number in 0..300 {
        assert!(admitted(&judge(&mut executor, &generation, number)));
    }
    let waiting = executor.take_rehearsals();
    assert_eq!((waiting.len(), candidate.figures().left_out), (256, 44));
    drop(waiting);
    judge(&mut executor, &generation, 300);
    assert_eq!(executor.take_rehearsals().len(), 1);
}

#[test]
fn a_plugin_that_keeps_failing_is_taken_out_and_tried_again() {
    for on_failure in [OnFailure::Deny, OnFailure::Next] {
        let world = World::new();
        let mut source = source("door", &allow().does("unreachable"));
        source.on_failure = on_failure;
        source.breaker = BreakerTerms {
            failures: 3,
            pause_ms: 100,
            pause_max_ms: 300,
        };
        let plugin = world.engine.load(source, world.services.clone()).unwrap();
        let generation = generation(1, &[&plugin]);
        let mut executor = Executor::new();
        let mut ask = || {
            let conclusion = executor.judge(&generation, ConsultId::new(1), facts());
            let failure = conclusion.trace[0].failure.clone().unwrap();
            assert_eq!(admitted(&conclusion), on_failure == OnFailure::Next);
            (failure, executor.figures().calls)
        };
        for calls in 1..=3 {
            let (failure, made) = ask();
            assert!(failure.contains("unreachable"), "{failure}");
            assert_eq!(made, calls);
        }
        let (failure, calls) = ask();
        assert!(failure.contains("tried again in 100 ms"), "{failure}");
        assert_eq!(calls, 3, "it is not asked");
        for (pause, asked) in [(100, 4), (200, 5), (300, 6), (300, 7)] {
            world.pass(pause - 1);
            assert_eq!(ask().1, asked - 1);
            world.pass(1);
            assert_eq!(ask().1, asked, "one trial");
            assert_eq!(ask().1, asked, "and no second");
        }
        let [figures] = plugin.breakers()[..] else {
            panic!("one hook")
        };
        assert_eq!((figures.hook, figures.state), ("on-request", "open"));
        assert_eq!((figures.opened, figures.pause_ms), (5, 300));
    }
}
