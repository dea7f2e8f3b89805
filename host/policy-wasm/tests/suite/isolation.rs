//! Instances that begin with the memory that `configure` left, and what happens where
//! that is impossible.

use std::fs;
use std::sync::Arc;

use policy::{Decision, PolicyFailure};
use policy_wasm::{Engine, EngineConfig, Executor, Isolation, LoadError, Plugin, Provisions};
use serde_json::json;

use crate::guest::{Guest, engine, generation, judge, load, services, source};

/// Rejects with the status that a word of its memory and a global add up to, each of which
/// grows with every call. `configure` makes it 480.
fn counting() -> Guest {
    let mut guest = Guest::new(&[], &[]);
    let [phrase, len] = guest.text("");
    let outcome = guest.outcome(&[1, 400, phrase, len, 0, 0], &[], "");
    let status = outcome + 4;
    guest.functions = "(global $calls (mut i32) (i32.const 0))".into();
    guest.configure = format!(
        "(i32.store (i32.const {status}) (i32.const 400)) (global.set $calls (i32.const 80)) {}",
        guest.configure
    );
    guest.does(format!(
        "(i32.store (i32.const {status})
           (i32.add (i32.load (i32.const {status})) (global.get $calls)))
         (global.set $calls (i32.const 1))
         i32.const {outcome}"
    ))
}

fn status(executor: &mut Executor, plugin: &Arc<Plugin>) -> u16 {
    match judge(executor, &[plugin]).decision {
        Decision::Refuse(refusal) => refusal.status,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_call_begins_where_configure_ended() {
    let engine = engine(None);
    let mut source = source("counting", &counting());
    let once = engine.load(source.clone(), services()).unwrap();
    assert_eq!(once.isolation(), Isolation::default());
    assert_eq!(once.isolation_fallback(), None);
    let mut executor = Executor::new();
    executor.warm(&generation(1, &[&once])).unwrap();
    assert_eq!(executor.figures().instances, 4);
    for _ in 0..6 {
        assert_eq!(status(&mut executor, &once), 480);
    }
    while executor.wants_instances() {
        executor.replenish();
    }
    assert_eq!(executor.figures().instances, 4);
    assert_eq!(status(&mut executor, &once), 480);
    source.isolation = Isolation::REUSE;
    let reused = engine.load(source, services()).unwrap();
    let seen: Vec<u16> = (0..3).map(|_| status(&mut executor, &reused)).collect();
    assert_eq!(seen, [480, 481, 482]);
}

#[test]
fn a_turn_to_another_generation_makes_no_instance_and_throws_none_away() {
    let engine = Engine::new(EngineConfig {
        instances: 32,
        ..EngineConfig::default()
    })
    .unwrap();
    let [old, kept, new] =
        ["old", "kept", "new"].map(|name| load(&engine, name, &counting()).unwrap());
    let mut executor = Executor::new();
    let before = generation(1, &[&old, &kept]);
    executor.warm(&before).unwrap();
    assert_eq!(executor.figures().instances, 8);
    let next = generation(2, &[&kept, &new]);
    let (provisions, made) = Provisions::make(&next, Some(&before));
    made.unwrap();
    let made = executor.figures().instances_made;
    let retired = executor.turn_to(&next, provisions);
    assert_eq!(executor.figures().instances, 8);
    assert_eq!(executor.figures().instances_made, made + 4);
    assert_eq!(status(&mut executor, &new), 480);
    drop(retired);
    while executor.wants_instances() {
        executor.replenish();
    }
    assert_eq!(executor.figures().instances, 8);
}

#[test]
fn a_guest_that_cannot_be_rewritten_is_reused_and_the_reason_told() {
    let engine = engine(None);
    let mut guest = counting();
    guest.functions.push_str(
        "(table $more 1 funcref)
         (func $never (table.set $more (i32.const 0) (ref.null func)))",
    );
    let plugin = load(&engine, "p", &guest).unwrap();
    assert_eq!(plugin.isolation(), Isolation::REUSE);
    let reason = plugin.isolation_fallback().unwrap();
    assert!(reason.contains("table.set"), "{reason}");
    let mut executor = Executor::new();
    assert_eq!(status(&mut executor, &plugin), 480);
    assert_eq!(status(&mut executor, &plugin), 481);
    // Whoever wants a fresh one for each call gets it all the same.
    let mut source = source("p", &guest);
    source.isolation = Isolation::PerCall;
    let plugin = engine.load(source, services()).unwrap();
    assert_eq!(plugin.isolation_fallback(), None);
    assert_eq!(status(&mut executor, &plugin), 480);
    assert_eq!(status(&mut executor, &plugin), 480);
}

#[test]
fn a_guest_that_fails_fails_in_its_own_words() {
    let engine = engine(None);
    let mut guest = counting();
    guest.configure = "unreachable".into();
    let error = load(&engine, "p", &guest).unwrap_err();
    assert!(
        matches!(
            error,
            LoadError::Failed {
                function: "configure",
                failure: PolicyFailure::Trap(_)
            }
        ),
        "{error:?}"
    );
}

#[test]
fn all_memory_that_a_guest_may_have_can_be_kept() {
    let engine = engine(None);
    // The guest has two pages and grows by one.
    for (grows, fits) in [(1, true), (2, false)] {
        let mut guest = counting();
        guest.configure = format!(
            "(drop (memory.grow (i32.const {grows}))) {}",
            guest.configure
        );
        let mut source = source("p", &guest);
        source.limits.memory_bytes = 3 << 16;
        match engine.load(source, services()) {
            Ok(plugin) => {
                assert!(fits);
                assert_eq!(plugin.isolation_fallback(), None);
                assert_eq!(status(&mut Executor::new(), &plugin), 480);
            }
            Err(error) => {
                assert!(!fits, "{error}");
                assert!(error.to_string().contains("memory_bytes"), "{error}");
            }
        }
    }
}

#[test]
fn the_same_settings_make_the_same_code_and_are_compiled_once() {
    let folder = tempfile::tempdir().unwrap();
    let compiled = || {
        let files = fs::read_dir(folder.path()).unwrap().flatten();
        files
            .filter(|file| file.path().extension().is_some_and(|it| it == "aot"))
            .count()
    };
    let mut source = source("p", &counting());
    let load = |source: &policy_wasm::PluginSource| {
        let engine = engine(Some(folder.path()));
        let plugin = engine.load(source.clone(), services()).unwrap();
        assert_eq!(plugin.isolation_fallback(), None);
        assert_eq!(status(&mut Executor::new(), &plugin), 480);
    };
    load(&source);
    assert_eq!(compiled(), 2, "as it is configured, and as it is then");
    load(&source);
    assert_eq!(compiled(), 2);
    source.settings = json!({ "other": true });
    load(&source);
    assert_eq!(compiled(), 3, "its settings are in its memory");
}

#[test]
fn a_full_pool_makes_fewer_ahead_and_fails_no_call() {
    let engine = Engine::new(EngineConfig {
        instances: 8,
        ..EngineConfig::default()
    })
    .unwrap();
    let names = ["one", "two", "three"];
    let plugins = names.map(|name| {
        let guest = Guest::new(&[], &[]);
        load(&engine, name, &guest).unwrap()
    });
    let plugins: Vec<_> = plugins.iter().collect();
    let generation = generation(1, &plugins);
    let mut workers = [Executor::new(), Executor::new()];
    for executor in &mut workers {
        executor.warm(&generation).unwrap();
        assert!(executor.figures().instances >= 1);
        assert!(!executor.wants_instances(), "it does not try for ever");
    }
    let kept: usize = workers.iter().map(|it| it.figures().instances).sum();
    assert!(kept <= 8, "{kept}");
    for round in 0..20 {
        for executor in &mut workers {
            let conclusion = judge(executor, &plugins);
            assert!(
                matches!(conclusion.decision, Decision::Admit(_)),
                "round {round}: {:?}",
                conclusion.decision
            );
            while executor.wants_instances() {
                executor.replenish();
            }
        }
    }
    let failures: u64 = workers.iter().map(|it| it.figures().failures).sum();
    assert_eq!(failures, 0);
}
