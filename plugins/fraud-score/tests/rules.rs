//! Rules as OpenSIPS `fraud_detection` has them, and the faults that it is known for.

#![expect(clippy::indexing_slicing, reason = "a test ends where it fails")]

use std::time::Duration;

use fraud_score::FraudScore;
use sipward_plugin_sdk::testing::{Harness, Request, Value, json};
use sipward_plugin_sdk::{Outcome, Severity, Zone};

/// Monday, 30 December 2024, 23:50 in UTC.
const EVENING_MS: u64 = 1_735_602_600_000;
const MINUTE: Duration = Duration::from_secs(60);

fn with(rules: Value) -> Harness<FraudScore> {
    let mut signs = json!({});
    for name in [
        "rate",
        "repeated",
        "sequential",
        "short",
        "duration",
        "concurrency",
        "new_country",
        "off_hours",
        "high_cost",
        "failed",
        "new_origin",
        "call_back",
    ] {
        signs[name] = json!({ "points": 0 });
    }
    let harness = Harness::new(json!({
        "region": "DE", "signs": signs, "rules": rules, "recheck_s": 0,
        "thresholds": { "warn": 0, "challenge": 0, "reject": 0, "lock": 0 },
    }));
    harness.set_now_ms(EVENING_MS);
    harness
}

/// A row of the table of OpenSIPS' documentation, with points that tell apart.
fn row(item: &str, warning: u32, critical: u32) -> Harness<FraudScore> {
    with(json!([{
        "name": "row", "prefix": "+49", "start_hour": "00:00", "end_hour": "24:00",
        item: { "warning": warning, "critical": critical },
        "warning_points": 1, "critical_points": 100,
    }]))
}

fn call(dialled: &str) -> Request {
    Request::invite(&format!("sip:{dialled}@example.com"))
        .identity("alice")
        .zone(Zone::Inside)
}

fn points(outcome: &Outcome) -> i32 {
    assert!(outcome.is_next(), "{outcome:?}");
    outcome.points()
}

fn seen(harness: &Harness<FraudScore>, calls: usize) -> Vec<i32> {
    (0..calls)
        .map(|_| points(&harness.call(&call("030123456"))))
        .collect()
}

#[test]
fn calls_per_minute() {
    assert_eq!(seen(&row("cpm", 3, 5), 6), [0, 0, 1, 1, 100, 100]);
    assert_eq!(
        seen(&row("cpm", 0, 2), 3),
        [0, 100, 100],
        "0 turns the warning off"
    );
    assert_eq!(seen(&row("cpm", 2, 0), 3), [0, 1, 1]);
}

#[test]
fn total_calls_have_no_midnight() {
    let harness = row("total_calls", 3, 4);
    assert_eq!(seen(&harness, 2), [0, 0]);
    harness.advance(MINUTE * 20);
    assert_eq!(
        seen(&harness, 2),
        [1, 100],
        "it is tomorrow, and nothing is forgotten"
    );
    harness.restart();
    assert_eq!(seen(&harness, 1), [100]);
    harness.advance(MINUTE * 60 * 48);
    assert_eq!(seen(&harness, 1), [0]);
}

#[test]
fn sequential_calls_are_calls_to_the_same_number_in_a_row() {
    let harness = row("sequential_calls", 2, 3);
    let dial = |number: &str| points(&harness.call(&call(number)));
    assert_eq!(dial("030123456"), 0);
    assert_eq!(dial("030123456"), 1);
    assert_eq!(dial("+4930123456"), 100, "the same, however it is written");
    assert_eq!(dial("030123457"), 0, "another one");
    assert_eq!(dial("030123456"), 0, "begins anew");
}

#[test]
fn calls_at_once_go_on_over_midnight_and_never_fall_below_zero() {
    let harness = row("concurrent_calls", 2, 3);
    let (first, one) = harness.begin(&call("030123456"));
    let (second, two) = harness.begin(&call("030123456"));
    assert_eq!((points(&first), points(&second)), (0, 1));
    let (one, two) = (one.unwrap(), two.unwrap());
    one.answered();
    two.answered();
    harness.advance(MINUTE * 20);
    // OpenSIPS counts from zero again here, and below it when those two end.
    let (third, three) = harness.begin(&call("030123456"));
    assert_eq!(points(&third), 100);
    one.ended("bye");
    two.ended("bye");
    three.unwrap().ended("cancelled");
    assert_eq!(harness.leases(), []);
    let (fourth, four) = harness.begin(&call("030123456"));
    assert_eq!(points(&fourth), 0);
    harness.restart();
    assert!(four.unwrap().is_over());
    let (fifth, _) = harness.begin(&call("030123456"));
    assert_eq!(points(&fifth), 0);
}

#[test]
fn durations_are_told_during_the_call() {
    let harness = row("call_duration", 600, 1_200);
    let (begun, handle) = harness.begin(&call("030123456"));
    assert_eq!(begun.ticks().collect::<Vec<_>>(), [600, 1_200]);
    let handle = handle.unwrap();
    handle.answered();
    assert!(handle.advance(Duration::from_millis(599_999)).is_empty());
    let warned = handle.advance(Duration::from_millis(1));
    let alert = |heard: &[Outcome]| heard.first().unwrap().alerts().next().unwrap().clone();
    assert_eq!(alert(&warned).severity, Severity::Warning);
    assert_eq!(
        alert(&warned).text,
        "user/alice: rule `row`: call-duration is 600, warning"
    );
    let critical = handle.advance(MINUTE * 10);
    assert_eq!(alert(&critical).severity, Severity::Critical);
    assert!(!handle.is_over(), "it is told while it goes on");
    handle.ended("bye");
    let after = harness.call(&call("030123456"));
    assert_eq!(after.annotation("fraud-score.total"), Some("101"));
}

#[test]
fn the_longest_prefix_of_the_hour_and_the_user_counts() {
    let harness = with(json!([
        { "name": "all", "cpm": { "critical": 1 }, "critical_points": 1 },
        { "name": "germany", "prefix": "+49", "cpm": { "critical": 1 }, "critical_points": 2 },
        { "name": "night", "prefix": "+4930", "start_hour": "22:00", "end_hour": "06:00",
          "daysoftheweek": ["mon"], "cpm": { "critical": 1 }, "critical_points": 3 },
        { "name": "sales", "prefix": "+4989", "groups": ["sales"], "users": ["bob"],
          "cpm": { "critical": 1 }, "critical_points": 4 },
    ]))
    .with_group("sales", ["carol"]);
    harness.set_now_ms(EVENING_MS);
    let dial = |user: &str, number: &str| points(&harness.call(&call(number).identity(user)));
    assert_eq!(dial("alice", "+41446681800"), 1);
    assert_eq!(dial("alice", "040123456"), 2);
    assert_eq!(dial("alice", "030123456"), 3);
    assert_eq!(dial("alice", "089123456"), 2);
    assert_eq!(dial("bob", "089123456"), 4);
    assert_eq!(dial("carol", "089123456"), 4);
    harness.advance(MINUTE * 60 * 6);
    assert_eq!(
        dial("alice", "030123456"),
        3,
        "05:50, still the night of Monday"
    );
    harness.advance(MINUTE * 10);
    assert_eq!(dial("alice", "030123456"), 2);
}

#[test]
fn accounts_and_rules_are_counted_apart() {
    let harness = with(json!([
        { "name": "germany", "prefix": "+49", "cpm": { "critical": 2 } },
        { "name": "suisse", "prefix": "+41", "cpm": { "critical": 2 } },
    ]));
    let dial = |user: &str, number: &str| points(&harness.call(&call(number).identity(user)));
    assert_eq!(dial("alice", "030123456"), 0);
    assert_eq!(dial("alice", "+41446681800"), 0);
    assert_eq!(dial("bob", "030123456"), 0);
    assert_eq!(dial("bob", "030123456"), 100);
}
