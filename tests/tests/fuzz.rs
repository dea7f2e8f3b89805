//! Fuzzing on stable Rust: each rule of `sipward_tests::fuzz` for a set time, from a
//! set seed.
//!
//! - `SIPWARD_FUZZ_SECONDS`: how long each rule is tried; 5 without it, 60 in CI;
//! - `SIPWARD_FUZZ_SEED`: another course than the usual one;
//! - `SIPWARD_FUZZ_INPUT`: one input in hexadecimal digits, as a broken rule printed
//!   it; then only this one is tried.

use std::thread;
use std::time::Duration;

use sipward_tests::campaign::{Campaign, Report, from_hex, seeds};
use sipward_tests::fuzz;

const SEED: u64 = 2026;

/// What one second must bring at least. A tenth and less of what a slow, shared
/// machine does: it shows a campaign that hardly ran, not a slow afternoon.
const INPUTS_PER_SECOND: u64 = 100;

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    match std::env::var(name) {
        Err(_) => default,
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {text:?}")),
    }
}

/// Runs a campaign. None if one input only was asked for.
fn run(name: &'static str, rule: fn(&[u8]) -> u64, seeds: Vec<Vec<u8>>) -> Option<Report> {
    if let Ok(digits) = std::env::var("SIPWARD_FUZZ_INPUT") {
        let input = from_hex(&digits).expect("SIPWARD_FUZZ_INPUT has pairs of hexadecimal digits");
        println!("{name}: treated as {:x}", rule(&input));
        return None;
    }
    let seconds = setting("SIPWARD_FUZZ_SECONDS", 5);
    let seed = setting("SIPWARD_FUZZ_SEED", SEED);
    let report = Campaign {
        name,
        rule,
        seeds,
        seed,
    }
    .run(Duration::from_secs(seconds), u64::MAX);
    println!(
        "{name}: {} inputs in {seconds} s, treated in {} ways, seed {seed}",
        report.inputs, report.kinds
    );
    assert!(
        report.inputs >= seconds * INPUTS_PER_SECOND,
        "{name} hardly ran: {report:?}"
    );
    Some(report)
}

#[test]
fn framing() {
    if let Some(report) = run("framing", fuzz::framing, seeds::streams()) {
        assert!(report.kinds > 50, "{report:?}");
    }
}

#[test]
fn message() {
    if let Some(report) = run("message", fuzz::message, seeds::messages()) {
        assert!(report.kinds > 200, "{report:?}");
    }
}

#[test]
fn transactions() {
    if let Some(report) = run("transactions", fuzz::transactions, seeds::programs()) {
        assert!(report.kinds > 200, "{report:?}");
    }
}

#[test]
fn effects() {
    if let Some(report) = run("effects", fuzz::effects, seeds::programs()) {
        assert!(report.kinds > 200, "{report:?}");
    }
}

#[test]
fn offer() {
    if let Some(report) = run("offer", fuzz::offer, seeds::offers()) {
        assert!(report.kinds > 50, "{report:?}");
    }
}

#[test]
fn exchange() {
    if let Some(report) = run("exchange", fuzz::exchange, seeds::exchanges()) {
        assert!(report.kinds > 200, "{report:?}");
    }
}

#[test]
fn a_million_mutated_messages_leave_as_they_were_understood() {
    const INPUTS: u64 = 1_000_000;
    const THREADS: u64 = 2;
    let seed = setting("SIPWARD_FUZZ_SEED", SEED);
    let course = |thread| Campaign {
        name: "a million messages",
        rule: fuzz::forwarding,
        seeds: seeds::messages(),
        seed: seed + 1 + thread,
    };
    let reports: Vec<Report> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope
                    .spawn(move || course(thread).run(Duration::from_secs(1_200), INPUTS / THREADS))
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no rule is broken"))
            .collect()
    });
    println!("a million messages: {reports:?}");
    assert_eq!(
        reports.iter().map(|report| report.inputs).sum::<u64>(),
        INPUTS
    );
    assert!(reports.iter().all(|report| report.kinds > 50));
}
