//! What a policy would have made of a capture.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use sipward_tests::stage::{Calls, Proxy, Stage, Trunk};

use crate::calls::{Call, capture, many};
use crate::{is_in_book, json, printed, sipward};

/// Limits on calls, so that leases and durations count.
const CALL_LIMITS: &str = r#"
[[plugin]]
name = "call-limits"
path = "@FOLDER@/plugins/call-limits.wasm"
capabilities = ["counters", "leases", "lists"]

[plugin.settings]
region = "DE"

[[plugin.settings.limits]]
name = "office"
per = "user"
calls = 80
longest_s = 120
"#;

/// The stage's configuration, with limits on calls and without these numbers.
fn configure(stage: &Stage, name: &str, denied: &[&str]) -> std::path::PathBuf {
    stage.bring(&["call-limits"]);
    let template = include_str!("../../src/stage/four-plugins.toml");
    let template = template.replace(
        "\"destination-limits\"]",
        "\"destination-limits\", \"call-limits\"]",
    );
    let text = stage.filled(&format!("{template}{CALL_LIMITS}"), denied);
    let file = stage.path(name);
    std::fs::write(&file, text).expect("a configuration");
    file
}

/// A stage with a capture and the configuration it is replayed against.
fn replayed(calls: &[Call]) -> Stage {
    let stage = Stage::new();
    configure(&stage, "sipward.toml", &[]);
    std::fs::write(stage.path("calls.pcap"), capture(&stage, calls)).expect("a capture");
    stage
}

fn replay(stage: &Stage, more: &[&str]) -> std::process::Output {
    let file = stage.path("calls.pcap");
    let file = file.to_str().expect("a path");
    sipward(stage, &[&["replay", file][..], more].concat(), "")
}

#[test]
fn a_thousand_calls_are_decided_alike_twice() {
    let stage = replayed(&many(1_000));
    let first = printed(&replay(&stage, &["--json"]));
    let second = printed(&replay(&stage, &["--json"]));
    assert!(first == second, "the same bytes twice");

    let lines: Vec<Value> = first
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let (summary, decisions) = lines.split_last().expect("a summary");
    assert_eq!(decisions.len(), 2_000, "{summary:#}");
    let figures = &summary["figures"];
    assert_eq!(figures["judged"], 2_000);
    assert_eq!(figures["challenged"], 1_000);
    assert_eq!(figures["left_out"], 0);
    assert_eq!(figures["of_no_call"].as_u64().map(|it| it > 0), Some(true));
    // Each is let in but for those that find 80 others.
    let admitted = figures["admitted"].as_u64().expect("a number");
    let rejected = figures["rejected"].as_u64().expect("a number");
    assert_eq!(admitted + rejected, 1_000);
    assert!(rejected > 50 && admitted > 500, "{figures:#}");
    let by = decisions
        .iter()
        .filter(|it| it["verdict"] == "reject")
        .all(|it| it["plugin"] == "call-limits");
    assert!(by, "only the limit refuses");
    // What was given back at a BYE was held again: more than 80 were let in.
    let ends = |end: &str| {
        let of = |it: &&Value| it["call"]["end"] == end;
        decisions.iter().filter(of).count()
    };
    let (bye, limit, refused) = (ends("bye"), ends("duration-limit"), ends("refused"));
    assert!(
        bye > 80 && limit > 80 && refused > 80,
        "{bye} {limit} {refused}"
    );
    assert_eq!((bye + limit + refused) as u64, admitted);
    for decided in decisions {
        let talked_ms = decided["call"]["talked_ms"].as_u64().unwrap_or(0);
        assert!(talked_ms <= 120_000, "{decided:#}");
    }
    let identities = decisions.iter().filter(|it| it["identity"] == "pbx");
    assert_eq!(identities.count(), 1_000);
}

#[test]
fn two_policies_are_held_against_each_other() {
    let stage = replayed(&many(200));
    let stricter = configure(&stage, "stricter.toml", &["+49900"]);
    let stricter = stricter.to_str().expect("a path");
    let difference = json(&replay(&stage, &["--against", stricter, "--json"]));
    let rows = difference["rows"].as_array().expect("rows");
    let [row] = &rows[..] else {
        panic!("{rows:#?}")
    };
    assert_eq!(
        (&row["peer"], &row["destination"]),
        (&"office".into(), &"DE".into())
    );
    assert_eq!(row["attempts"], 400);
    let cost = |side: &str, of: &str| row[side][of].as_u64().expect("a number");
    assert!(cost("first", "admitted") >= cost("second", "admitted"));
    let listed = difference["listed"].as_array().expect("a list");
    let stricter_refuses = listed.iter().filter(|it| {
        it["second"]["plugin"] == "destination-limits" && it["second"]["verdict"] == "reject"
    });
    assert_eq!(
        stricter_refuses.count(),
        20 - refused_alike(&difference),
        "{row:#}"
    );
    let text = printed(&replay(&stage, &["--against", stricter]));
    assert!(text.contains("first differences:"), "{text}");
    let same = printed(&replay(
        &stage,
        &["--against", stage.config().to_str().unwrap()],
    ));
    assert!(same.contains("400 alike, 0 different"), "{same}");
}

/// Dear calls that both refuse with the same status are no difference.
fn refused_alike(difference: &Value) -> usize {
    let listed = difference["listed"].as_array().expect("a list");
    let dear = |it: &&Value| {
        let decided = if it["first"].is_null() {
            &it["second"]
        } else {
            &it["first"]
        };
        decided["request_uri"]
            .as_str()
            .is_some_and(|uri| uri.contains("+4990"))
    };
    20 - listed.iter().filter(dear).count()
}

#[test]
fn the_book_shows_what_is_printed() {
    let stage = replayed(&many(40));
    let text = printed(&replay(&stage, &[]));
    is_in_book("operate/replay.md", "replayed", &text);
    let stricter = configure(&stage, "stricter.toml", &["+49900"]);
    let text = printed(&replay(&stage, &["--against", stricter.to_str().unwrap()]));
    is_in_book("operate/replay.md", "compared", &text);
}

#[test]
fn what_is_no_capture_is_refused_with_a_word() {
    let stage = replayed(&many(1));
    let with = |bytes: &[u8]| {
        std::fs::write(stage.path("calls.pcap"), bytes).expect("a file");
        let output = replay(&stage, &[]);
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let error = with(b"");
    assert!(error.contains("it is empty"), "{error}");
    let error = with(b"#!/bin/sh\n");
    assert!(
        error.contains("neither a pcap nor a pcapng file"),
        "{error}"
    );
    let error = with(&crate::writer::pcap(1, &[]));
    assert!(error.contains("holds no SIP message"), "{error}");
}

/// Live calls, captured by tcpdump where there is one that may.
#[test]
fn a_capture_of_live_calls_is_decided_as_they_were() {
    let stage = Stage::new();
    stage.configure(&[], "");
    let file = stage.path("calls.pcap");
    let tcpdump = Command::new("tcpdump")
        .args(["-i", "lo", "-U", "-s", "0", "-w"])
        .arg(&file)
        .args(["udp", "port", &stage.inside.to_string(), "or", "port"])
        .arg(stage.trunk.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut tcpdump) = tcpdump else {
        eprintln!("no tcpdump; nothing is captured");
        return;
    };
    std::thread::sleep(Duration::from_secs(2));
    if tcpdump.try_wait().expect("to look at tcpdump").is_some() {
        eprintln!("tcpdump may not capture here");
        return;
    }
    let _trunk = Trunk::answer(&stage);
    let proxy = Proxy::start(&stage);
    let calls = Calls {
        name: "live",
        count: 20,
        ..Calls::default()
    }
    .start(&stage);
    let successful = calls.finish().successful;
    drop(proxy);
    std::thread::sleep(Duration::from_secs(1));
    let id = tcpdump.id().to_string();
    let stopped = Command::new("kill").args(["-s", "INT", &id]).status();
    assert!(stopped.expect("kill runs").success());
    let _ended = tcpdump.wait().expect("tcpdump ends");
    let text = printed(&replay(&stage, &["--json"]));
    let decisions: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let ended = decisions.iter().filter(|it| it["call"]["end"] == "bye");
    assert_eq!(ended.count() as u64, successful, "{text}");
    let again = printed(&replay(&stage, &["--json"]));
    assert!(text == again, "the same bytes twice");
}
