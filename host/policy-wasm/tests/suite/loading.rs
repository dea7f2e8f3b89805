//! What is refused at load, with which words, and what the cache of compiled
//! components does.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::guest::{Guest, engine, judge, load, services, source};
use policy::{Capability, Decision, Grants};
use policy_wasm::{Engine, EngineConfig, Executor, Isolation, LoadError, PluginSource};

/// Why the bytes are refused.
#[track_caller]
fn refusal(wasm: impl Into<bytes::Bytes>) -> LoadError {
    engine(None)
        .load(PluginSource::new("p", wasm.into()), services())
        .expect_err("must be refused")
}

#[test]
fn a_core_module_and_its_component_both_load() {
    let guest = Guest::new(&["INVITE"], &[]);
    let engine = engine(None);
    let plugin = load(&engine, "p", &guest).unwrap();
    assert_eq!(plugin.manifest().name, "guest");
    assert_eq!(plugin.manifest().version, "1.2.3");
    assert_eq!(plugin.manifest().methods, ["INVITE"]);
    assert!(plugin.judges_requests() && !plugin.judges_responses());
    engine
        .load(PluginSource::new("p", guest.component()), services())
        .unwrap();
}

#[test]
fn what_is_not_wasm_is_named() {
    assert!(refusal(&b""[..]).to_string().contains("an empty file"));
    assert!(refusal(&b"(module)"[..]).to_string().contains("found text"));
    assert!(
        refusal(&b"\x7fELF\x02\x01"[..])
            .to_string()
            .contains("a native program")
    );
}

#[test]
fn truncated_files_are_refused() {
    let module = Guest::new(&[], &[]).module();
    for len in [8, 9, module.len() / 2, module.len() - 1] {
        let error = refusal(module[..len].to_vec());
        assert!(
            matches!(error, LoadError::Encode(_) | LoadError::NoHook { .. }),
            "{len}: {error}"
        );
    }
    let component = Guest::new(&[], &[]).component();
    for len in [9, component.len() / 2, component.len() - 1] {
        let error = refusal(component[..len].to_vec());
        assert!(matches!(error, LoadError::Invalid(_)), "{len}: {error}");
    }
}

#[test]
fn the_limit_of_instances_has_two_sides_however_long_they_live() {
    // The encoder adds no module to one that imports so little.
    for isolation in [Isolation::default(), Isolation::REUSE, Isolation::PerCall] {
        let load = |instances| {
            let mut source = source("p", &Guest::new(&[], &[]));
            source.isolation = isolation;
            source.limits.instances = instances;
            engine(None).load(source, services())
        };
        let plugin = load(1).unwrap();
        assert_eq!(plugin.isolation_fallback(), None, "{isolation:?}");
        let error = load(0).unwrap_err();
        assert!(matches!(error, LoadError::Failed { .. }), "{error}");
    }
}

#[test]
fn the_size_limit_has_two_sides() {
    let module = Guest::new(&[], &[]).module();
    let with_limit = |wasm_bytes| {
        let config = EngineConfig {
            wasm_bytes,
            instances: 4,
            ..EngineConfig::default()
        };
        Engine::new(config)
            .unwrap()
            .load(PluginSource::new("p", module.clone()), services())
    };
    let component = Guest::new(&[], &[]).component();
    let size = component.len().max(module.len());
    with_limit(size).unwrap();
    let error = with_limit(module.len() - 1).unwrap_err();
    assert!(matches!(error, LoadError::TooLarge { .. }), "{error}");
    // The plugin's own limit counts too.
    let engine = Engine::new(EngineConfig {
        instances: 4,
        ..EngineConfig::default()
    });
    let engine = engine.unwrap();
    let mut source = PluginSource::new("p", module);
    source.limits.wasm_bytes = size;
    engine.load(source.clone(), services()).unwrap();
    source.limits.wasm_bytes = size - 1;
    let error = engine.load(source, services()).unwrap_err().to_string();
    assert!(error.contains("limits.wasm_mib"), "{error}");
}

#[test]
fn a_forbidden_import_is_named() {
    let text = r#"(component (import "wasi:sockets/tcp@0.2.0" (instance)))"#;
    let error = refusal(wat::parse_str(text).unwrap());
    assert!(matches!(error, LoadError::ForbiddenImport { .. }));
    assert!(
        error.to_string().contains("wasi:sockets/tcp@0.2.0"),
        "{error}"
    );
}

#[test]
fn a_component_without_hooks_is_refused() {
    let error = refusal(wat::parse_str("(component)").unwrap());
    assert!(
        matches!(
            error,
            LoadError::NoHook {
                missing: "no lifecycle"
            }
        ),
        "{error}"
    );
}

fn counting() -> Guest {
    let mut guest = Guest::new(&[], &["counters"]);
    guest.imports = r#"(import "sipward:policy/counters@0.1.0" "reset"
        (func $reset (param i32 i32 i32 i32 i32)))"#
        .into();
    guest
}

#[test]
fn capabilities_must_be_granted() {
    let engine = engine(None);
    let error = load(&engine, "p", &counting()).unwrap_err().to_string();
    assert!(
        error.contains("imports `sipward:policy/counters@0.1.0`"),
        "{error}"
    );
    assert!(
        error.contains("add \"counters\" to the plugin's `capabilities`"),
        "{error}"
    );
    let error = load(&engine, "p", &Guest::new(&[], &["route"]))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("asks for `route`") && error.contains("add \"route\""),
        "{error}"
    );
    let mut granted = source("p", &counting());
    granted.capabilities = Grants::NONE.with(Capability::Counters);
    engine.load(granted, services()).unwrap();
    let error = load(&engine, "p", &Guest::new(&[], &["sockets"])).unwrap_err();
    assert!(matches!(error, LoadError::Manifest(_)), "{error}");
}

#[test]
fn state_is_out_of_reach_while_configuring() {
    let mut guest = counting();
    let area = guest.words(&[0; 2]);
    guest.configure = format!(
        "(call $reset (i32.const 1024) (i32.const 1) (i32.const 1024) (i32.const 1) (i32.const {area})) {}",
        guest.configure
    );
    let mut granted = source("p", &guest);
    granted.capabilities = Grants::NONE.with(Capability::Counters);
    let error = engine(None)
        .load(granted, services())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("counters cannot be used in describe or configure"),
        "{error}"
    );
}

#[test]
fn traps_and_loops_before_the_first_call_are_refused() {
    let engine = engine(None);
    let mut guest = Guest::new(&[], &[]);
    guest.configure = "unreachable".into();
    let error = load(&engine, "p", &guest).unwrap_err().to_string();
    assert!(
        error.contains("failed in `configure`") && error.contains("trapped"),
        "{error}"
    );
    let mut guest = Guest::new(&[], &[]);
    guest.describe = "(loop $again (br $again)) unreachable".into();
    let mut source = source("p", &guest);
    source.limits.configure_deadline_ms = 30;
    let error = engine.load(source, services()).unwrap_err().to_string();
    assert!(
        error.contains("failed in `describe`") && error.contains("deadline_ms = 30"),
        "{error}"
    );
}

#[test]
fn a_settings_error_names_the_key() {
    let mut guest = Guest::new(&[], &[]);
    let mut result = vec![1];
    result.extend(guest.text("allow.0"));
    result.extend(guest.text("not a CIDR\nexpected 192.0.2.0/24"));
    guest.configure = format!("i32.const {}", guest.words(&result));
    let error = load(&engine(None), "p", &guest).unwrap_err();
    let LoadError::Settings { key, message } = &error else {
        panic!("{error}")
    };
    assert_eq!(key, "allow.0");
    assert_eq!(message, "not a CIDR expected 192.0.2.0/24");
}

#[test]
fn a_method_that_never_matches_is_refused() {
    let error = load(&engine(None), "p", &Guest::new(&["invite"], &[])).unwrap_err();
    assert!(error.to_string().contains("upper case"), "{error}");
}

fn cached(directory: &Path) -> PathBuf {
    let mut files = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "aot"));
    let file = files.next().expect("one file is cached");
    assert!(files.next().is_none(), "one file only");
    file
}

#[test]
fn the_cache_is_used_and_a_changed_file_is_compiled_anew() {
    let directory = tempfile::tempdir().unwrap();
    let guest = Guest::new(&[], &[]).rejects(403, "cached");
    let check = || {
        let engine = engine(Some(directory.path()));
        let mut source = source("p", &guest);
        source.isolation = Isolation::REUSE;
        let plugin = engine.load(source, services()).unwrap();
        let conclusion = judge(&mut Executor::new(), &[&plugin]);
        assert!(matches!(conclusion.decision, Decision::Refuse(_)));
        assert_eq!(conclusion.decision.reason(), "cached");
    };
    check();
    let file = cached(directory.path());
    let written = fs::metadata(&file).unwrap().ino();
    check();
    let kept = fs::metadata(&file).unwrap().ino();
    assert_eq!(kept, written, "a hit writes nothing");
    let genuine = fs::read(&file).unwrap();
    let mut forged = genuine.clone();
    let middle = forged.len() / 2;
    forged[middle] ^= 0xff;
    fs::write(&file, &forged).unwrap();
    check();
    let repaired = fs::read(cached(directory.path())).unwrap();
    assert_ne!(repaired, forged);
    assert_eq!(repaired.len(), genuine.len());
}
