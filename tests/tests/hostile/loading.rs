//! What a plugin may do wrong before it is asked anything.

use std::time::{Duration, Instant};

use policy::Grants;
use policy_wasm::LoadError;
use serde_json::{Value, json};
use sipward_tests::guests::{Host, Worker, admitted};

use crate::stage::{HOSTILE, Scene, acl, victim};

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
