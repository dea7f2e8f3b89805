//! Each sign on its own: below its edge, at it, and what it never hits.

#![expect(clippy::indexing_slicing, reason = "a test ends where it fails")]

use std::time::Duration;

use fraud_score::FraudScore;
use sipward_plugin_sdk::geo::Place;
use sipward_plugin_sdk::testing::{End, Harness, Request, Value, json};
use sipward_plugin_sdk::{Outcome, Zone};

/// Monday, 30 December 2024, noon in UTC.
const NOON_MS: u64 = 1_735_560_000_000;
const HOUR: Duration = Duration::from_secs(3_600);

/// One sign with 7 points, and no threshold.
fn only(sign: &str, settings: Value) -> Harness<FraudScore> {
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
    signs[sign] = settings;
    signs[sign]["points"] = json!(7);
    let harness = Harness::new(json!({
        "region": "DE", "home": ["AT"], "signs": signs, "recheck_s": 0,
        "thresholds": { "warn": 0, "challenge": 0, "reject": 0, "lock": 0 },
    }));
    harness.set_now_ms(NOON_MS);
    harness
}

fn call(dialled: &str) -> Request {
    Request::invite(&format!("sip:{dialled}@example.com"))
        .identity("alice")
        .zone(Zone::Inside)
}

fn points(harness: &Harness<FraudScore>, request: &Request) -> i32 {
    let outcome = harness.call(request);
    assert!(outcome.is_next(), "{outcome:?}");
    outcome.points()
}

/// What alice has got so far.
fn total(harness: &Harness<FraudScore>) -> Option<u64> {
    let outcome = harness.call(&call("reception"));
    outcome.annotation("fraud-score.total")?.parse().ok()
}

/// A call that is answered and lasts so long.
fn talk(harness: &Harness<FraudScore>, seconds: u64) -> Vec<Outcome> {
    let (_, handle) = harness.begin(&call("030123456"));
    let Some(handle) = handle else {
        return Vec::new();
    };
    handle.answered();
    let heard = handle.advance(Duration::from_secs(seconds));
    handle.ended("bye");
    heard
}

#[test]
fn calls_within_a_minute() {
    let harness = only("rate", json!({ "calls_per_minute": 3 }));
    let seen: Vec<_> = (0..4)
        .map(|_| points(&harness, &call("030123456")))
        .collect();
    assert_eq!(seen, [0, 0, 7, 7]);
    assert_eq!(points(&harness, &call("030123456").identity("bob")), 0);
    harness.advance(Duration::from_secs(120));
    assert_eq!(
        points(&harness, &call("030123456")),
        0,
        "the window slides on"
    );
}

#[test]
fn the_same_number_again_and_again() {
    let harness = only("repeated", json!({ "calls": 3, "within_s": 60 }));
    for dialled in [
        "030123456",
        "+49-30-123456",
        "0049 30 123456".replace(' ', "%20").as_str(),
    ] {
        let wanted = if dialled.starts_with("0049") { 7 } else { 0 };
        assert_eq!(points(&harness, &call(dialled)), wanted, "{dialled}");
    }
    assert_eq!(points(&harness, &call("030123457")), 0);
    harness.advance(Duration::from_secs(120));
    assert_eq!(points(&harness, &call("030123456")), 0);
}

#[test]
fn numbers_side_by_side_in_any_order() {
    let harness = only("sequential", json!({ "numbers": 4, "within_s": 60 }));
    let order = [7, 3, 7, 9, 3, 1, 2];
    let seen: Vec<_> = order
        .iter()
        .map(|last| points(&harness, &call(&format!("03012345{last}0"))))
        .collect();
    assert_eq!(seen, [0, 0, 0, 0, 0, 7, 7], "repeated ones count once");
    assert_eq!(points(&harness, &call("0301234600")), 0, "another block");
    for extension in ["4711", "4712", "4713", "4714", "4715"] {
        assert_eq!(
            points(&harness, &call(extension)),
            0,
            "extensions are side by side"
        );
    }
}

#[test]
fn many_short_calls() {
    let harness = only(
        "short",
        json!({ "shorter_than_s": 10, "calls": 2, "within_s": 600 }),
    );
    talk(&harness, 9);
    talk(&harness, 10);
    assert_eq!(total(&harness), Some(0));
    talk(&harness, 9);
    assert_eq!(total(&harness), Some(7));
    let (_, unanswered) = harness.begin(&call("030123456"));
    unanswered.unwrap().ended("cancelled");
    assert_eq!(
        total(&harness),
        Some(7),
        "what nobody answered was not short"
    );
}

#[test]
fn a_long_call_is_told_while_it_goes_on() {
    let harness = only("duration", json!({ "unlearned_s": 600 }));
    let (_, handle) = harness.begin(&call("030123456"));
    let handle = handle.unwrap();
    handle.answered();
    assert!(handle.advance(Duration::from_secs(599)).is_empty());
    let heard = handle.advance(Duration::from_secs(1));
    let alert = heard.first().unwrap().alerts().next().unwrap();
    assert_eq!(alert.key, "fraud-score/duration/user/alice");
    assert!(!handle.is_over());
    assert_eq!(total(&harness), Some(7));
    handle.advance(Duration::from_secs(600));
    assert_eq!(total(&harness), Some(14), "and as long again");
}

#[test]
fn what_is_long_is_learnt_from_the_account() {
    let harness = only(
        "duration",
        json!({ "at_least_s": 60, "unlearned_s": 7_200, "deviations": 3 }),
    );
    for call in 0..40 {
        assert_eq!(talk(&harness, 100 + call % 2 * 20).len(), 0);
    }
    // Mean 110, deviation about 10.
    assert_eq!(talk(&harness, 130).len(), 0);
    assert_eq!(talk(&harness, 160).len(), 1);
    let other = harness.begin(&call("030123456").identity("bob")).0;
    assert_eq!(
        other.ticks().collect::<Vec<_>>(),
        [7_200],
        "bob has habits of his own"
    );
}

#[test]
fn habits_outlive_a_restart_and_are_not_taught_in_a_night() {
    let harness = only("duration", json!({ "at_least_s": 60, "deviations": 3 }));
    for call in 0..40 {
        talk(&harness, 100 + call % 2 * 20);
    }
    let long_s = || harness.call(&call("030123456")).ticks().next().unwrap();
    let before = long_s();
    harness.restart();
    assert_eq!(long_s(), before);
    for _ in 0..3 {
        talk(&harness, 20_000);
    }
    assert!(long_s() < 2 * before, "{} {before}", long_s());
}

#[test]
fn more_calls_at_once_than_usual() {
    let settings = json!({ "at_least": 2, "unlearned": 4, "deviations": 2 });
    let harness = only("concurrency", settings);
    let begun: Vec<_> = (0..4).map(|_| harness.begin(&call("030123456"))).collect();
    let seen: Vec<_> = begun.iter().map(|(outcome, _)| outcome.points()).collect();
    assert_eq!(seen, [0, 0, 0, 7], "little is known of alice");
    for (_, handle) in begun {
        handle.unwrap().ended("bye");
    }
    assert_eq!(harness.leases(), []);
    for _ in 0..30 {
        talk(&harness, 60);
    }
    let (first, one) = harness.begin(&call("030123456"));
    let (second, two) = harness.begin(&call("030123456"));
    assert_eq!(
        (first.points(), second.points()),
        (0, 7),
        "one at a time is usual"
    );
    one.unwrap().ended("bye");
    two.unwrap().ended("bye");
}

#[test]
fn the_first_call_to_a_country() {
    let harness = only("new_country", json!({ "forget_days": 90 }));
    assert_eq!(points(&harness, &call("+41446681800")), 7);
    assert_eq!(points(&harness, &call("+41446681801")), 0);
    assert_eq!(
        points(&harness, &call("+43123456789")),
        0,
        "Austria is home"
    );
    assert_eq!(points(&harness, &call("030123456")), 0);
    assert_eq!(
        points(&harness, &call("+18762101234")),
        7,
        "Jamaica is not the USA"
    );
    assert_eq!(points(&harness, &call("+12015550123")), 7);
    assert_eq!(points(&harness, &call("+881612345678")), 7, "satellites");
    harness.restart();
    assert_eq!(points(&harness, &call("+41446681800")), 0, "it is durable");
    harness.advance(HOUR * 24 * 180);
    assert_eq!(points(&harness, &call("+41446681800")), 7);
}

#[test]
fn foreign_calls_off_hours() {
    let harness = only("off_hours", json!({}));
    let at = |hours: u64| harness.set_now_ms(NOON_MS + hours * 3_600_000);
    for (hours, foreign) in [(0, 0), (7, 0), (8, 7), (18, 7), (19, 0), (5 * 24, 7)] {
        at(hours);
        assert_eq!(
            points(&harness, &call("+41446681800")),
            foreign,
            "noon + {hours}"
        );
        assert_eq!(points(&harness, &call("030123456")), 0);
    }
}

#[test]
fn a_large_share_of_dear_calls() {
    let harness = only("high_cost", json!({ "share_percent": 50, "at_least": 2 }));
    assert_eq!(points(&harness, &call("09001234567")), 0);
    assert_eq!(points(&harness, &call("030123456")), 0);
    assert_eq!(points(&harness, &call("030123456")), 0);
    assert_eq!(points(&harness, &call("09001234567")), 7, "2 of 4");
    for _ in 0..4 {
        assert_eq!(points(&harness, &call("030123456")), 0);
    }
    assert_eq!(points(&harness, &call("09001234567")), 0, "3 of 9");
    let listed = only("high_cost", json!({ "list": "dear", "at_least": 1 }))
        .with_list("dear", [("+41", "")]);
    listed.set_now_ms(NOON_MS);
    assert_eq!(points(&listed, &call("+41446681800")), 7);
    assert_eq!(points(&listed, &call("+33123456789").identity("bob")), 0);
    assert_eq!(
        points(&listed, &call("+221111111111").identity("carol")),
        7,
        "in no plan"
    );
}

#[test]
fn many_calls_that_fail() {
    let harness = only("failed", json!({ "ratio": 2, "at_least": 4 }));
    talk(&harness, 60);
    let fail = |end: End| {
        let (_, handle) = harness.begin(&call("030123456"));
        handle.unwrap().ended(end);
    };
    for _ in 0..3 {
        fail(End::refused(404));
    }
    for status in [486, 487, 480, 603] {
        fail(End::refused(status));
    }
    fail(End::new("cancelled"));
    assert_eq!(total(&harness), Some(0));
    fail(End::new("timed-out"));
    assert_eq!(total(&harness), Some(7), "4 failed, 1 answered");
    for _ in 0..4 {
        talk(&harness, 60);
    }
    fail(End::refused(503));
    assert_eq!(total(&harness), Some(7), "5 failed, 5 answered");
}

#[test]
fn registrations_and_calls_from_a_new_country() {
    let harness = only("new_origin", json!({}))
        .with_place("192.0.2.0/24", Place::in_country("DE"))
        .with_place("198.51.100.0/24", Place::in_country("KP"));
    let register = |address: &str| {
        let request = Request::new("REGISTER", "sip:example.com");
        harness
            .call(&request.identity("alice").from_address(address))
            .points()
    };
    assert_eq!(register("192.0.2.1"), 0, "where it lives");
    assert_eq!(register("192.0.2.9"), 0);
    assert_eq!(register("10.0.0.1"), 0, "nobody knows where that is");
    assert_eq!(register("198.51.100.1"), 7);
    assert_eq!(register("198.51.100.1"), 0);
    let abroad = call("030123456")
        .from_address("198.51.100.1")
        .identity("bob");
    assert_eq!(
        points(
            &harness,
            &call("030123456").from_address("192.0.2.1").identity("bob")
        ),
        0
    );
    assert_eq!(points(&harness, &abroad), 7, "calls count as well");
    let unproved = Request::new("REGISTER", "sip:example.com").from_address("198.51.100.7");
    assert_eq!(
        harness.call(&unproved).points(),
        0,
        "nobody is blamed for a forged one"
    );
    let nowhere = only("new_origin", json!({}));
    assert_eq!(points(&nowhere, &call("030123456")), 0, "no database");
}

#[test]
fn calling_back_what_rang_only_briefly() {
    let harness = only(
        "call_back",
        json!({ "rang_at_most_s": 5, "within_s": 3_600 }),
    );
    let ring = |from: &str, seconds: u64| {
        let inbound = Request::invite("sip:+4930123456@example.com")
            .from_uri(&format!("sip:{from}@carrier.example"))
            .peer_name("carrier");
        let (_, handle) = harness.begin(&inbound);
        harness.advance(Duration::from_secs(seconds));
        handle.unwrap().ended("cancelled");
    };
    ring("+22170123456", 5);
    ring("+22170123457", 6);
    ring("+4930999999", 1);
    assert_eq!(points(&harness, &call("+22170123456")), 7);
    assert_eq!(points(&harness, &call("0022170123456")), 7);
    assert_eq!(
        points(&harness, &call("+22170123457")),
        0,
        "rang as people do"
    );
    assert_eq!(points(&harness, &call("030999999")), 0, "from home");
    harness.restart();
    assert_eq!(points(&harness, &call("+22170123456")), 7);
    harness.advance(HOUR * 2);
    assert_eq!(points(&harness, &call("+22170123456")), 0);
}

#[test]
fn a_trunks_calls_for_us_are_not_scored() {
    let harness = only("rate", json!({ "calls_per_minute": 1 }));
    let inbound = Request::invite("sip:+4930123456@example.com").peer_name("carrier");
    for _ in 0..5 {
        assert_eq!(points(&harness, &inbound), 0);
    }
    assert_eq!(
        points(&harness, &inbound.zone(Zone::Inside)),
        7,
        "a PBX's are"
    );
}
