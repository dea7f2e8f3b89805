//! Call records through the real binary: nothing that a peer was told is lost by
//! `kill -9`, and the operator finds it.

use std::process::Command;

use serde_json::Value;
use sipward_tests::stage::{Calls, Proxy, Stage, Trunk, binary};

const DURABLE: &str = "[records]\ndurable = true\n\n[records.lines]\npath = \"calls.jsonl\"\n";

/// What `sipward records` finds.
fn records(stage: &Stage, conditions: &[&str]) -> Vec<Value> {
    let output = Command::new(binary())
        .args(["records", "--json", "--limit", "100000", "--config"])
        .arg(stage.config())
        .args(conditions)
        .output()
        .expect("sipward runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).expect("text");
    let read = |line| serde_json::from_str(line).expect("JSON");
    text.lines().map(read).collect()
}

#[test]
fn a_killed_proxy_has_the_record_of_each_end_that_it_acknowledged() {
    let stage = Stage::new();
    stage.configure(&[], DURABLE);
    let _trunk = Trunk::answer(&stage);
    let proxy = Proxy::start(&stage);
    let calls = Calls {
        name: "many",
        count: 2_000,
        rate: 100,
        talk_ms: 500,
        // Nobody answers once the proxy is killed.
        patience_ms: 3_000,
        ..Calls::default()
    }
    .start(&stage);
    // Each call has two records: the challenge's and its own.
    proxy.wait_until("some ends are on the disk", |status| {
        status["records"]["written"].as_u64() > Some(1_000)
    });
    proxy.signal("KILL");
    let _killed = proxy.wait();
    let acknowledged = calls.finish().successful;
    assert!(acknowledged > 50, "{acknowledged}");
    let found = records(&stage, &["--verdict", "admit"]);
    let has_ended = |record: &&Value| record["end"] == "bye";
    let ended: Vec<&Value> = found.iter().filter(has_ended).collect();
    assert!(
        ended.len() as u64 >= acknowledged,
        "{} < {acknowledged}",
        ended.len()
    );
    let one = ended[0];
    assert_eq!(
        (&one["status"], &one["identity"]),
        (&200.into(), &"pbx".into()),
        "{one:#}"
    );
    assert_eq!(
        (&one["peer"], &one["callee"]),
        (&"office".into(), &"carrier".into()),
        "{one:#}"
    );
    assert!(one["lasted_ms"].as_u64() >= Some(400), "{one:#}");
    let text = std::fs::read_to_string(stage.path("calls.jsonl")).expect("JSON lines");
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let ended = lines
        .filter(|record: &Value| record["end"] == "bye")
        .count() as u64;
    assert!(ended >= acknowledged, "{ended} lines < {acknowledged}");
    // What was under way has left a trace, and the next process closes it.
    let going = found.iter().filter(|it| it["end"].is_null()).count();
    assert!(going > 0);
    let _next = Proxy::start(&stage);
    let interrupted = records(&stage, &[]);
    let is_interrupted = |record: &&Value| record["end"] == "interrupted";
    assert_eq!(interrupted.iter().filter(is_interrupted).count(), going);
}

#[test]
fn refusals_and_answers_wait_for_the_disk_and_no_call_suffers() {
    let stage = Stage::new();
    stage.configure(&["+49900"], DURABLE);
    let _trunk = Trunk::answer(&stage);
    let proxy = Proxy::start(&stage);
    let good = Calls {
        name: "good",
        count: 200,
        rate: 50,
        talk_ms: 100,
        ..Calls::default()
    }
    .start(&stage);
    let barred = Calls {
        name: "barred",
        scenario: "pbx-is-refused.xml",
        number: "+49900123",
        count: 100,
        rate: 50,
        ..Calls::default()
    };
    assert_eq!(barred.make(&stage).successful, 100);
    assert_eq!(good.finish().successful, 200);
    let rejected = records(&stage, &["--verdict", "reject", "--since", "10min"]);
    assert_eq!(rejected.len(), 100);
    assert_eq!(rejected[0]["plugin"], "destination-limits");
    assert_eq!(rejected[0]["status"], 403);
    let call_id = rejected[0]["call_id"].as_str().expect("a Call-ID");
    let same = records(&stage, &["--call-id", call_id]);
    assert_eq!(same.len(), 2, "the challenge and the refusal: {same:#?}");
    proxy.wait_until("all is written", |status| {
        status["total"]["held_responses"] == 0 && status["records"]["queued"] == 0
    });
    let status = proxy.status();
    assert_eq!(status["records"]["written"], 600, "{status:#}");
    assert_eq!(status["records"]["lost"], 0);
    assert_eq!(status["total"]["refused_for_records"], 0);
    // Switched off and on again while it runs.
    stage.configure(&["+49900"], "[records]\nenabled = false\n");
    proxy.reload().expect("a good configuration");
    assert_eq!(proxy.status()["records"], Value::Null);
    assert_eq!(barred.make(&stage).successful, 100);
    stage.configure(&["+49900"], DURABLE);
    proxy.reload().expect("a good configuration");
    assert_eq!(barred.make(&stage).successful, 100);
    assert_eq!(records(&stage, &["--verdict", "reject"]).len(), 200);
    let table = Command::new(binary())
        .args(["records", "--limit", "1", "--config"])
        .arg(stage.config())
        .output()
        .expect("sipward runs");
    let table = String::from_utf8(table.stdout).expect("text");
    assert!(
        table.contains("verdict") && table.contains("reject"),
        "{table}"
    );
}
