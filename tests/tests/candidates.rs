//! Versions of a plugin side by side in a running proxy, under calls by sipp: a shadow
//! that tells, a canary that fails and is taken back, a promotion that outlasts a restart.

use std::sync::Mutex;

use serde_json::Value;
use sipward_tests::stage::{Calls, Figures, Proxy, Stage, Trunk};

/// Tests of this file run one after the other: each wants the machine.
static MACHINE: Mutex<()> = Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    MACHINE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The number that the new rule bars.
const BARRED: &str = "+49900123456";

/// Destination limits that bar it.
const STRICTER: &str = r#"settings = { default = "deny", allow = ["+49"], deny = ["+49900"] }"#;

/// The usual configuration with a candidate for `destination-limits`.
fn configure(stage: &Stage, candidate: &str) {
    stage.configure(&[], "");
    let text = std::fs::read_to_string(stage.config()).expect("a configuration");
    let pipelines = "[[pipeline]]\nname = \"from-pbx\"";
    assert!(text.contains(pipelines));
    let with = format!("[plugin.candidate]\n{candidate}\n\n{pipelines}");
    stage.write(&text.replacen(pipelines, &with, 1));
}

fn candidate(status: &Value) -> &Value {
    &status["versions"]["candidates"][0]
}

fn said(proxy: &Proxy<'_>, command: &str) -> String {
    let output = proxy.ask(command);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command}: {text}");
    text
}

/// How a call to the barred number goes: refused with 403, or as usual.
fn barred(stage: &Stage, name: &'static str, refused: bool) -> Figures {
    let calls = Calls {
        name,
        number: BARRED,
        scenario: match refused {
            true => "pbx-is-refused.xml",
            false => "pbx-calls.xml",
        },
        count: 5,
        ..Calls::default()
    };
    calls.make(stage)
}

fn all(count: u64) -> Figures {
    Figures {
        successful: count,
        failed: 0,
        retransmissions: 0,
    }
}

#[test]
fn a_canary_that_fails_is_taken_back_while_no_call_fails() {
    let _alone = alone();
    let stage = Stage::new();
    stage.bring(&["hostile-plugins"]);
    stage.configure(&[], "");
    let proxy = Proxy::start(&stage);
    let _trunk = Trunk::answer(&stage);
    let calls = Calls {
        name: "many",
        count: 1_000,
        rate: 100,
        ..Calls::default()
    }
    .start(&stage);
    proxy.wait_until("calls run", |status| {
        status["total"]["calls_answered"].as_u64() > Some(50)
    });
    let bad = format!(
        "path = {:?}\ncapabilities = [\"edit-headers\"]\nmode = \"canary\"\nshare = 0.2\n\
         settings = {{ behaviour = \"trap-on-call\" }}",
        stage.plugin("hostile-plugins")
    );
    configure(&stage, &bad);
    proxy.reload().expect("a candidate that can be loaded");
    proxy.wait_until("the rollback", |status| {
        candidate(status)["stance"] == "withdrawn"
            && candidate(status)["decision"]["what"] == "rolled-back"
    });
    let figures = calls.finish();
    assert_eq!((figures.successful, figures.failed), (1_000, 0));
    let status = proxy.status();
    let failures = candidate(&status)["candidate"]["failures"].as_u64();
    assert!((Some(3)..=Some(8)).contains(&failures), "{status:#}");
    assert_eq!(status["total"]["decisions"]["reject"], 0, "{status:#}");
    proxy.wait_until("the alert", |status| {
        status["alerts"]["told"].as_u64() >= Some(1)
    });
    let failed = proxy.line("plugin failed", |line| {
        line["plugin"] == "destination-limits"
    });
    let version = failed["version"].as_str().unwrap_or_default();
    assert!(version.ends_with(" (candidate)"), "{failed}");
    let judged = proxy.decision("", |line| line["candidates"] != "-");
    assert_eq!(judged["verdict"], "admit");
    let shown = said(&proxy, "candidate status");
    assert!(
        shown.contains("withdrawn") && shown.contains("trap"),
        "{shown}"
    );

    // A reload does not let it come back, a word of the operator does.
    proxy.reload().expect("the same again");
    assert_eq!(candidate(&proxy.status())["stance"], "withdrawn");
    said(&proxy, "candidate resume destination-limits");
    assert_eq!(candidate(&proxy.status())["stance"], "canary");
}

#[test]
fn a_shadow_tells_and_its_promotion_outlasts_a_restart() {
    let _alone = alone();
    let stage = Stage::new();
    configure(&stage, STRICTER);
    let proxy = Proxy::start(&stage);
    let _trunk = Trunk::answer(&stage);
    assert_eq!(barred(&stage, "shadowed", false), all(5));
    proxy.wait_until("the report", |status| {
        candidate(status)["shadow"]["differed"] == 5
    });
    let status = proxy.status();
    let shown = candidate(&status);
    assert_eq!(shown["stance"], "shadow");
    let difference = &shown["shadow"]["differences"][0];
    for (key, value) in [
        ("peer", "office"),
        ("destination", "+49 DE"),
        ("live", "next"),
        ("candidate", "reject 403"),
    ] {
        assert_eq!(difference[key], value, "{shown:#}");
    }
    assert_eq!(status["total"]["decisions"]["reject"], 0, "{status:#}");

    let told = said(&proxy, "candidate promote destination-limits");
    assert!(told.contains("after a restart too"), "{told}");
    assert_eq!(barred(&stage, "promoted", true), all(5));
    let decision = proxy.decision("", |line| line["plugin"] == "destination-limits");
    let version = decision["version"].as_str().unwrap_or_default();
    assert!(version.ends_with(" (candidate)"), "{decision}");
    proxy.signal("KILL");
    drop(proxy);

    let proxy = Proxy::start(&stage);
    assert_eq!(candidate(&proxy.status())["stance"], "promoted");
    assert_eq!(barred(&stage, "restarted", true), all(5));
    said(&proxy, "candidate rollback destination-limits");
    assert_eq!(barred(&stage, "rolled-back", false), all(5));

    // The candidate goes from the configuration, and with it all about it.
    stage.configure(&[], "");
    proxy.reload().expect("without a candidate");
    assert_eq!(
        proxy.status()["versions"]["candidates"],
        Value::Array(Vec::new())
    );
    let refused = proxy.ask("candidate promote destination-limits");
    assert!(!refused.status.success());
    configure(&stage, STRICTER);
    proxy.reload().expect("a candidate again");
    assert_eq!(candidate(&proxy.status())["stance"], "shadow");
}
