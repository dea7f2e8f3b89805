//! `kill -9` at any moment loses nothing that was acknowledged.
//!
//! The test starts itself again as a child, which writes and says so on its
//! standard output, and kills it. What it said must be there afterwards.

#![expect(clippy::unwrap_used, reason = "a failed step ends a test")]

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use state::{Limits, State};

const NOW: u64 = 1_700_000_000_000;
const WINDOW_MS: u64 = 1_000_000_000;
const DIRECTORY: &str = "STATE_KILL_TEST_DIRECTORY";
const MODE: &str = "STATE_KILL_TEST_MODE";
const FIRST: &str = "STATE_KILL_TEST_FIRST_STEP";
/// Steps of a round are numbered from a multiple of this.
const STEPS: u64 = 1_000_000;
const KEYS: u64 = 23;

fn limits() -> Limits {
    // Small, so that background checkpoints happen all the time.
    Limits {
        journal_bytes: 128 << 10,
        ..Limits::default()
    }
}

/// What the child has acknowledged, over all rounds.
#[derive(Default)]
struct Acknowledged {
    counts: BTreeMap<u64, u64>,
    values: BTreeMap<u64, u64>,
    /// The step after the last acknowledged one: it may have been written.
    under_way: u64,
}

/// The child: writes until it is killed. Does nothing in an ordinary test run.
#[test]
fn child() {
    let Ok(directory) = std::env::var(DIRECTORY) else {
        return;
    };
    let checkpoints = std::env::var(MODE).is_ok_and(|mode| mode == "checkpoint");
    let state = State::open(Some(Path::new(&directory)), limits(), NOW).unwrap();
    if checkpoints {
        let state = state.clone();
        std::thread::spawn(move || {
            loop {
                state.checkpoint().unwrap();
            }
        });
    }
    let mut out = std::io::stdout();
    writeln!(out, "\nready").unwrap();
    let padding = "x".repeat(200);
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    for step in first.. {
        let key = step % KEYS;
        let count = state
            .add("p", "n", &key.to_be_bytes(), 1, WINDOW_MS, true, NOW)
            .unwrap();
        writeln!(out, "count {key} {count}").unwrap();
        let value = format!("{step} {padding}");
        state
            .set("p", &key.to_string(), value.as_bytes(), 0, NOW)
            .unwrap();
        writeln!(out, "value {key} {step}").unwrap();
    }
}

/// Starts a child, lets it run for a while, kills it and returns how many lines it
/// had acknowledged.
fn round(directory: &Path, mode: &str, number: u64, seen: &mut Acknowledged) -> usize {
    // Different lengths, so that the kill falls into every phase.
    let run = Duration::from_millis(5 + number * 37 % 60);
    seen.under_way = number * STEPS;
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, directory)
        .env(MODE, mode)
        .env(FIRST, seen.under_way.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = Vec::new();
    for line in &mut lines {
        let line = line.unwrap();
        let ready = line == "ready";
        said.push(line);
        if ready {
            break;
        }
    }
    let reader = std::thread::spawn(move || lines.map_while(Result::ok).collect::<Vec<_>>());
    std::thread::sleep(run);
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("panicked"), "{said:?} {errors}");
    let lines = reader.join().unwrap();
    for line in &lines {
        let mut words = line.split(' ');
        let kind = words.next();
        let figures: Vec<u64> = words.map_while(|word| word.parse().ok()).collect();
        // The last line may be torn by the kill; then it was not acknowledged.
        match (kind, figures.as_slice()) {
            (Some("count"), &[key, count]) if line != lines.last().unwrap() => {
                seen.counts.insert(key, count);
            }
            (Some("value"), &[key, step]) if line != lines.last().unwrap() => {
                seen.values.insert(key, step);
                seen.under_way = step + 1;
            }
            _ => {}
        }
    }
    lines.len()
}

/// Everything acknowledged is there; at most what was under way is there besides.
fn check(directory: &Path, seen: &mut Acknowledged) {
    let state = State::open(Some(directory), limits(), NOW).unwrap();
    for (key, acknowledged) in &mut seen.counts {
        let found = state
            .add("p", "n", &key.to_be_bytes(), 0, WINDOW_MS, true, NOW)
            .unwrap();
        assert!(
            (*acknowledged..=*acknowledged + 1).contains(&found),
            "count {key}: {acknowledged} acknowledged, {found} found"
        );
        *acknowledged = found;
    }
    for (key, step) in &mut seen.values {
        let found = state.get("p", &key.to_string(), NOW).unwrap().unwrap();
        let text = std::str::from_utf8(&found).unwrap();
        let found: u64 = text.split(' ').next().unwrap().parse().unwrap();
        let under_way = seen.under_way % KEYS == *key && found == seen.under_way;
        assert!(
            found == *step || under_way,
            "value {key}: {step} acknowledged, {found} found"
        );
        *step = found;
    }
}

fn rounds(mode: &str, count: u64) {
    let directory = tempfile::tempdir().unwrap();
    let mut seen = Acknowledged::default();
    let mut lines = 0;
    for number in 0..count {
        lines += round(directory.path(), mode, number, &mut seen);
        check(directory.path(), &mut seen);
    }
    assert!(lines > 100, "only {lines} lines were acknowledged");
    let mut sizes = 0;
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().starts_with("journal.") {
            sizes += entry.metadata().unwrap().len();
        }
    }
    assert!(
        sizes <= 2 * limits().journal_bytes,
        "journals hold {sizes} bytes"
    );
}

#[test]
fn killed_while_writing() {
    rounds("write", 25);
}

#[test]
fn killed_during_checkpoints() {
    rounds("checkpoint", 25);
}
