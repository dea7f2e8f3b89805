//! What a plugin may do wrong before it is asked anything.

use std::time::{Duration, Instant};

use policy::Grants;
use policy_wasm::{Isolation, LoadError};
use serde_json::{Value, json};
use sipward_tests::guests::{Host, Worker, admitted, component, pipeline};

use crate::stage::{HOSTILE, Scene, acl, source, victim};

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
    let before = scene.worker.executor.figures();
    for _ in 0..30 {
        load_error(
            &scene.host,
            HOSTILE,
            json!({ "behaviour": "trap-in-configure" }),
        );
    }
    scene.admits();
    let after = scene.worker.executor.figures();
    assert_eq!(
        after.instances_made - before.instances_made,
        after.calls - before.calls,
        "the instances that were ready are used on, and replaced after their call"
    );
    assert_eq!(after.instances, before.instances);
}

#[test]
fn configure_is_held_to_its_limits_while_its_memory_is_taken() {
    let host = Host::new();
    let (memory, deadline) = (
        "memory_bytes = 16777216",
        "ran longer than deadline_ms = 500",
    );
    for (behaviour, text) in [
        ("endless-loop", deadline),
        ("memory-growth", memory),
        ("deep-recursion", "exhausted its stack"),
        ("log-flood", "log_lines = 16"),
        ("host-call-flood", "host_calls = 1000"),
    ] {
        for isolation in [Isolation::default(), Isolation::REUSE] {
            let settings = json!({ "behaviour": behaviour, "hook": "configure" });
            let mut source = source(&host, settings);
            source.isolation = isolation;
            let error = host.load(source).expect_err(behaviour);
            let in_configure = matches!(
                error,
                LoadError::Failed {
                    function: "configure",
                    ..
                }
            );
            let shown = error.to_string();
            assert!(in_configure && shown.contains(text), "{behaviour}: {shown}");
        }
    }
}

#[test]
fn one_that_is_cut_off_is_refused_wherever_that_is() {
    let host = Host::new();
    let whole = component(HOSTILE);
    let cuts = (1..24).map(|part| whole.len() * part / 24);
    for cut in cuts.chain([1, 4, 7, 8, 9, whole.len() - 1]) {
        for isolation in [Isolation::default(), Isolation::REUSE] {
            let mut source = host.source(HOSTILE, json!({ "behaviour": "none" }));
            source.wasm = whole.slice(..cut);
            source.isolation = isolation;
            let error = host.load(source).expect_err("it is not whole");
            let expected = matches!(
                error,
                LoadError::Invalid(_) | LoadError::NotWasm { .. } | LoadError::NoHook { .. }
            );
            assert!(expected, "{cut} of {}: {error:?}", whole.len());
        }
    }
}

#[test]
fn one_that_is_too_large_is_refused_by_its_size() {
    let host = Host::new();
    let mut source = host.source(HOSTILE, json!({ "behaviour": "none" }));
    let limit = source.limits.wasm_bytes;
    source.wasm = vec![0; limit + 1].into();
    let error = host.load(source.clone()).expect_err("it is too large");
    assert!(matches!(error, LoadError::TooLarge { .. }), "{error:?}");
    source.wasm = vec![0; limit].into();
    let error = host.load(source).expect_err("it is nothing but zeros");
    assert!(matches!(error, LoadError::NotWasm { .. }), "{error:?}");
}

#[test]
fn an_upgrade_that_asks_for_more_waits_for_the_grant_and_the_running_one_stays() {
    let host = Host::new();
    let settings = json!({ "outside": { "default": "allow" }, "inside": { "default": "allow" } });
    let mut running = host.source("ip-acl", settings);
    running.name = "door".into();
    let mut worker = Worker::new(&[&host.load(running).expect("it asks for nothing")]);
    let rule = json!({ "name": "all", "per": "source", "per_second": 10.0, "burst": 100 });
    assert!(admitted(&worker.judge(victim())));
    for (guest, settings, asked) in [
        ("rate-limit", json!({ "rules": [rule] }), "counters"),
        (HOSTILE, json!({ "behaviour": "none" }), "edit-headers"),
    ] {
        let mut upgrade = host.source(guest, settings);
        upgrade.name = "door".into();
        let wanted = upgrade.capabilities;
        upgrade.capabilities = Grants::NONE;
        let error = host.load(upgrade.clone()).expect_err("it asks for more");
        let shown = error.to_string();
        assert!(shown.contains(&format!("add \"{asked}\"")), "{shown}");
        assert!(admitted(&worker.judge(victim())), "the running one stays");
        assert_eq!(worker.executor.figures().failures, 0);
        upgrade.capabilities = wanted;
        let granted = host.load(upgrade).expect("it has what it asks for");
        worker.reload(vec![pipeline("main", None, &[&granted])]);
        assert!(admitted(&worker.judge(victim())));
    }
}
