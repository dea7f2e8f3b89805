//! Why a message is let in or not, and why a call was.

use serde_json::Value;
use sipward_tests::stage::{Calls, Proxy, Stage, Trunk};

use crate::{block, is_in_book, json, printed, sipward};

/// The stage's configuration for the office of the book.
fn office(denied: &[&str]) -> Stage {
    let stage = Stage::new();
    let template = include_str!("../../src/stage/four-plugins.toml");
    let text = stage.filled(template, denied);
    stage.write(&text.replace("127.0.0.1/32", "192.0.2.10/32"));
    stage
}

const CIRCUMSTANCES: [&str; 4] = ["explain", "--at", "2026-01-31T08:00:00Z", "--no-times"];

#[test]
fn the_book_shows_what_is_printed() {
    let stage = office(&["+4990"]);
    let message = block("operate/explain.md", "message");
    let arguments = [
        &CIRCUMSTANCES[..],
        &["--identity", "pbx", "--state", "empty"],
    ]
    .concat();
    let output = printed(&sipward(&stage, &arguments, &message));
    is_in_book("operate/explain.md", "explained", &output);
}

#[test]
fn a_message_is_explained_plugin_by_plugin_as_data() {
    let stage = office(&[]);
    let message = block("operate/explain.md", "message");
    let arguments = [&CIRCUMSTANCES[..], &["--json"]].concat();
    let told = json(&sipward(&stage, &arguments, &message));
    assert_eq!(told["verdict"], "challenge", "{told:#}");
    assert_eq!(told["status"], 407);
    assert_eq!(told["plugin"], "digest-auth");
    assert_eq!(told["request"]["peer"], "office");
    assert_eq!(told["request"]["zone"], "inside");
    assert_eq!(told["at_ms"], 1_769_846_400_000_u64);
    let stages = told["stages"].as_array().expect("stages");
    let plugins: Vec<&Value> = stages.iter().map(|stage| &stage["plugin"]).collect();
    assert_eq!(plugins, ["ip-acl", "rate-limit", "digest-auth"]);
    let calls = stages[1]["calls"].as_array().expect("calls");
    let took = calls.iter().any(|call| call["function"] == "counters.take");
    assert!(took, "{calls:#?}");
    let verify = stages[2]["calls"].as_array().expect("calls");
    let verify = verify
        .iter()
        .find(|call| call["function"] == "credentials.verify")
        .expect("it verified");
    assert_eq!(verify["answer"], "missing");
    assert!(stages[0]["micros"].is_null());

    // Microseconds are told unless they are not wanted.
    let arguments = &arguments[..arguments.len() - 2];
    let timed = json(&sipward(
        &stage,
        &[arguments, &["--json"]].concat(),
        &message,
    ));
    assert!(timed["stages"][0]["micros"].is_u64(), "{timed:#}");
}

#[test]
fn circumstances_decide() {
    let stage = office(&[]);
    let message = block("operate/explain.md", "message");
    let with = |more: &[&str]| {
        let arguments = [&CIRCUMSTANCES[..], &["--json"], more].concat();
        json(&sipward(&stage, &arguments, &message))
    };
    let stranger = with(&["--from", "203.0.113.66:5060"]);
    assert_eq!(stranger["request"]["peer"], Value::Null);
    assert_ne!(stranger["verdict"], "admit");
    let carrier = with(&["--from", "127.0.0.2"]);
    assert_eq!(carrier["request"]["peer"], "carrier");
    assert_eq!(carrier["pipeline"], "from-trunk");
    assert_eq!(carrier["verdict"], "admit");
    let known = with(&["--identity", "pbx"]);
    assert_eq!(
        (&known["verdict"], &known["identity"]),
        (&"admit".into(), &"pbx".into())
    );
    let note = known["notes"].to_string();
    assert!(note.contains("no password was looked at"), "{note}");
    assert!(note.contains("state: empty"), "{note}");
}

#[test]
fn what_is_no_message_is_refused_with_a_word() {
    let stage = office(&[]);
    for (input, wanted) in [
        ("", "there is no message"),
        ("hello\n", "no valid SIP message"),
        (
            "SIP/2.0 200 OK\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\nFrom: <sip:a@b>;tag=1\nTo: <sip:b@b>;tag=2\nCall-ID: 1\nCSeq: 1 INVITE\n\n",
            "this is a response",
        ),
    ] {
        let output = sipward(&stage, &["explain"], input);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && errors.contains(wanted),
            "{errors}"
        );
    }
    let output = sipward(&stage, &["explain", "--call-id", "nobody"], "");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{errors}");
}

#[test]
fn a_call_is_explained_by_its_record_and_once_more() {
    let stage = Stage::new();
    stage.configure(&[], "");
    let _trunk = Trunk::answer(&stage);
    let proxy = Proxy::start(&stage);
    let calls = Calls {
        name: "one",
        count: 2,
        talk_ms: 3_000,
        ..Calls::default()
    }
    .start(&stage);
    proxy.wait_until("both calls are under way", |status| {
        status["total"]["calls_answered"] == 2
    });
    let found = |verdict: &str| {
        let arguments = ["records", "--json", "--verdict", verdict];
        let text = printed(&sipward(&stage, &arguments, ""));
        let line = text.lines().next()?.to_owned();
        serde_json::from_str::<Value>(&line).ok()
    };
    let mut record = None;
    for _ in 0..200 {
        record = found("admit");
        if record.is_some() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let record = record.expect("a record of a call that is under way");
    let call_id = record["call_id"].as_str().expect("a Call-ID").to_owned();
    let explain = |more: &[&str]| {
        let arguments = [&["explain", "--call-id", &call_id][..], more].concat();
        sipward(&stage, &arguments, "")
    };
    let live = printed(&explain(&[]));
    assert!(live.contains("under way"), "{live}");
    assert_eq!(calls.finish().failed, 0);
    // Ends are written within a second, and all of them before an orderly end.
    proxy.signal("TERM");
    assert!(proxy.wait().success());

    let attempts = json(&explain(&["--json"]));
    let admitted = attempts
        .as_array()
        .and_then(|attempts| attempts.last())
        .expect("an attempt");
    assert_eq!(admitted["recorded"]["end"], "bye", "{admitted:#}");
    let stages = admitted["recorded_stages"].as_array().expect("stages");
    let told: Vec<(&Value, &Value)> = stages
        .iter()
        .map(|stage| (&stage["plugin"], &stage["verdict"]))
        .collect();
    let next = Value::from("next");
    let names = ["ip-acl", "rate-limit", "digest-auth", "destination-limits"].map(Value::from);
    assert_eq!(
        told,
        names.iter().map(|name| (name, &next)).collect::<Vec<_>>()
    );
    let rerun = &admitted["rerun"];
    assert_eq!(rerun["verdict"], "admit", "{rerun:#}");
    assert_eq!(rerun["identity"], "pbx");
    let notes = rerun["notes"].to_string();
    assert!(notes.contains("made from the record"), "{notes}");
    let tree = printed(&explain(&["--no-times"]));
    assert!(
        tree.contains("re-run by the configuration as it is now"),
        "{tree}"
    );
}
