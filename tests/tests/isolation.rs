//! How long the instances of a running proxy's plugins live, what it says of that, and
//! plugin files that are none.

use std::fs::{self, File};
use std::process::Output;

use serde_json::Value;
use sipward_tests::stage::{Calls, Proxy, Stage, Trunk, binary};

fn text(output: &Output) -> String {
    let bytes = [&*output.stdout, &*output.stderr].concat();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Isolation of each plugin, by name, and why it is not what was asked for.
fn isolations(status: &Value) -> Vec<(String, String, Value)> {
    let plugins = status["plugins"].as_array().expect("plugins");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    plugins
        .iter()
        .map(|plugin| {
            (
                text(&plugin["name"]),
                text(&plugin["isolation"]),
                plugin["isolation_fallback"].clone(),
            )
        })
        .collect()
}

/// The most memory that a process has had, in kilobytes.
fn peak_kb(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("a process");
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let figure = line.and_then(|line| line.split_whitespace().nth(1));
    figure.and_then(|it| it.parse().ok()).expect("a figure")
}

#[test]
fn each_call_has_its_own_instances_and_they_are_made_ahead() {
    let stage = Stage::new();
    stage.configure(&[], "");
    let proxy = Proxy::start(&stage);
    let _trunk = Trunk::answer(&stage);
    let status = proxy.status();
    let known = isolations(&status);
    assert!(known.len() >= 4, "{known:?}");
    for (name, isolation, fallback) in &known {
        assert_eq!(isolation, "single-use", "{name}: {fallback}");
        assert_eq!(fallback, &Value::Null);
    }
    let shown = text(&proxy.ask("status"));
    assert!(shown.contains("plugin ip-acl 0.1.0: single-use"), "{shown}");
    let ready = status["total"]["plugin_instances"].as_u64();
    let workers = status["workers"].as_u64().expect("workers");
    assert_eq!(ready, Some(known.len() as u64 * 4 * workers));

    let made = Calls {
        name: "isolated",
        count: 200,
        ..Calls::default()
    }
    .make(&stage);
    assert_eq!((made.successful, made.failed), (200, 0));
    let status = proxy.status();
    let total = &status["total"];
    assert_eq!(total["plugin_failures"], 0);
    // Each call takes two requests, one of them without credentials; a burst may take more
    // than are ready, but not usually.
    let calls = total["plugin_calls"].as_u64().expect("a figure");
    let waited = total["plugin_instances_waited_for"].as_u64();
    assert!(calls >= 800, "{calls}");
    assert!(
        waited.is_some_and(|it| it < calls / 4),
        "{waited:?} of {calls}"
    );
    proxy.wait_until("all are ready again", |status| {
        status["total"]["plugin_instances"].as_u64() == ready
    });
}

#[test]
fn what_is_no_plugin_is_refused_and_what_runs_stays() {
    let stage = Stage::new();
    stage.configure(&[], "");
    let proxy = Proxy::start(&stage);
    let before = isolations(&proxy.status());
    let path = stage.plugin("ip-acl");
    let good = fs::read(&path).expect("a plugin");
    let peak = peak_kb(proxy.id());

    // 500 MB that take no room on the disk.
    let file = File::create(&path).expect("a file");
    file.set_len(500 << 20).expect("a sparse file");
    let refusal = proxy.reload().expect_err("it is far too large");
    assert!(
        refusal.contains("has 524288000 bytes; at most wasm_bytes = 16777216"),
        "{refusal}"
    );
    let grown = peak_kb(proxy.id()) - peak;
    assert!(grown < 100 << 10, "it took {grown} kB to look at its size");

    for part in [1, 3, 7] {
        fs::write(&path, &good[..good.len() * part / 8]).expect("a file");
        let refusal = proxy.reload().expect_err("it is cut off");
        assert!(refusal.contains("ip-acl"), "{refusal}");
    }

    // Under its name comes one that asks for more than it is granted.
    fs::copy(stage.plugin("rate-limit"), &path).expect("a copy");
    let refusal = proxy.reload().expect_err("it asks for more");
    assert!(refusal.contains("add \"counters\""), "{refusal}");

    let status = proxy.status();
    assert_eq!(status["total"]["generation"], 1);
    assert_eq!(isolations(&status), before);
    fs::write(&path, &good).expect("a file");
    proxy.reload().expect("it is as it was");
}

#[test]
fn isolation_is_what_the_configuration_says() {
    let stage = Stage::new();
    stage.configure(&[], "");
    let text_of = |more: &str| {
        stage.configure(&[], "");
        let config = fs::read_to_string(stage.config()).expect("a configuration");
        stage.write(&config.replacen("[[plugin]]", &format!("[[plugin]]\n{more}"), 1));
        let mut command = std::process::Command::new(binary());
        let output = command.args(["check", "--config"]).arg(stage.config());
        text(&output.output().expect("the command runs"))
    };
    for isolation in ["single-use", "reuse", "per-call"] {
        let said = text_of(&format!("isolation = \"{isolation}\""));
        let line = format!(" 0.1.0: {isolation}\n");
        assert!(said.contains(&line) && said.contains("good;"), "{said}");
    }
    let said = text_of("isolation = \"once\"");
    assert!(
        !said.contains("good;") && said.contains("isolation"),
        "{said}"
    );
}
