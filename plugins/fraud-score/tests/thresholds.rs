//! What becomes of an account by its points, and a night of toll fraud.

#![expect(clippy::indexing_slicing, reason = "a test ends where it fails")]

use std::time::Duration;

use fraud_score::FraudScore;
use sipward_plugin_sdk::testing::{Credentials, Happened, Harness, Request, Value, json};
use sipward_plugin_sdk::{Dialog, Outcome, Severity, Zone};

/// Tuesday, 31 December 2024, 02:00 in UTC.
const NIGHT_MS: u64 = 1_735_610_400_000;

/// Ten points for each call.
fn with(more: Value) -> Harness<FraudScore> {
    let mut settings = json!({
        "region": "DE",
        "thresholds": { "warn": 20, "challenge": 30, "reject": 50, "lock": 70 },
        "lock_s": 3_600, "forget_s": 600, "recheck_s": 60,
        "rules": [{ "name": "each", "cpm": { "critical": 1 }, "critical_points": 10 }],
    });
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
        settings["signs"][name] = json!({ "points": 0 });
    }
    for key in ["challenge_realm", "thresholds", "emergency"] {
        if let Some(value) = more.get(key) {
            settings[key] = value.clone();
        }
    }
    Harness::new(settings).with_user("alice", "secret")
}

fn harness() -> Harness<FraudScore> {
    with(json!({}))
}

fn call() -> Request {
    Request::invite("sip:030123456@example.com")
        .identity("alice")
        .zone(Zone::Inside)
}

fn alert_keys(outcome: &Outcome) -> Vec<&str> {
    outcome.alerts().map(|alert| alert.key.as_str()).collect()
}

#[test]
fn warn_reject_and_lock_one_after_the_other() {
    let harness = harness();
    let seen: Vec<_> = (0..8).map(|_| harness.call(&call())).collect();
    let statuses: Vec<_> = seen.iter().map(Outcome::status).collect();
    let (passed, refused) = (None, Some(403));
    assert_eq!(
        statuses,
        [
            passed, passed, passed, passed, refused, refused, refused, refused
        ]
    );
    assert_eq!(alert_keys(seen.first().unwrap()), [""; 0]);
    assert_eq!(
        alert_keys(seen.get(1).unwrap()),
        ["fraud-score/warning/user/alice"]
    );
    assert_eq!(alert_keys(seen.get(2).unwrap()), [""; 0], "once is enough");
    assert_eq!(
        alert_keys(seen.get(4).unwrap()),
        ["fraud-score/refused/user/alice"]
    );
    let locked = seen.get(6).unwrap().alerts().next().unwrap();
    assert_eq!(
        (locked.severity, locked.key.as_str()),
        (Severity::Critical, "fraud-score/locked/user/alice")
    );
    assert_eq!(seen.get(7).unwrap().reason(), "user/alice is locked");
    assert!(harness.call(&call().identity("bob")).is_next());
}

#[test]
fn points_fade_and_a_lock_has_its_own_time() {
    let refused = harness();
    for _ in 0..5 {
        _ = refused.call(&call());
    }
    refused.advance(Duration::from_secs(1_200));
    assert!(
        refused.call(&call()).is_next(),
        "what was refused is forgotten"
    );
    let locked = harness();
    for _ in 0..7 {
        _ = locked.call(&call());
    }
    locked.restart();
    locked.advance(Duration::from_millis(3_599_999));
    assert_eq!(locked.call(&call()).reason(), "user/alice is locked");
    locked.advance(Duration::from_millis(1));
    assert!(locked.call(&call()).is_next());
}

#[test]
fn points_outlive_a_restart() {
    let harness = harness();
    for _ in 0..4 {
        _ = harness.call(&call());
    }
    harness.restart();
    assert_eq!(harness.call(&call()).status(), Some(403));
}

#[test]
fn a_lock_ends_the_calls_that_run() {
    let harness = harness();
    let (_, handle) = harness.begin(&call());
    let handle = handle.unwrap();
    handle.answered();
    harness.advance(Duration::from_secs(30));
    for _ in 0..7 {
        _ = harness.call(&call());
    }
    handle.advance(Duration::from_secs(29));
    assert!(!handle.is_over());
    handle.advance(Duration::from_secs(1));
    assert!(handle.is_over());
    let last = handle.steps().pop().unwrap();
    assert_eq!(last.event, Happened::Ended("policy".to_owned()));
}

#[test]
fn a_challenge_is_passed_by_who_knows_the_password() {
    let harness = with(json!({ "challenge_realm": "office" }));
    for _ in 0..2 {
        assert!(harness.call(&call()).is_next());
    }
    let challenged = harness.call(&call());
    assert_eq!(challenged.challenged().unwrap().realm, "office");
    let right = call().credentials(Credentials::new("office", "alice", "secret"));
    assert!(harness.call(&right).is_next());
    let proved = with(json!({ "challenge_realm": "office" }));
    for _ in 0..4 {
        assert!(
            proved.call(&call().verified("alice", "other")).is_next(),
            "already proved"
        );
    }
    let guessing = with(json!({ "challenge_realm": "office" }));
    for _ in 0..2 {
        _ = guessing.call(&call());
    }
    let wrong = call().credentials(Credentials::new("office", "alice", "guess"));
    // 10 for the call and 20 for the answer.
    assert_eq!(guessing.call(&wrong).status(), Some(403));
    let others = with(json!({ "challenge_realm": "office" })).with_user("mallory", "x");
    for _ in 0..2 {
        _ = others.call(&call());
    }
    let mallory = call().credentials(Credentials::new("office", "mallory", "x"));
    assert!(
        !others.call(&mallory).is_next(),
        "somebody else's password proves nothing"
    );
}

#[test]
fn without_a_realm_nobody_is_challenged() {
    let harness = harness();
    for _ in 0..4 {
        assert!(harness.call(&call()).is_next());
    }
}

#[test]
fn emergency_calls_pass_and_registrations_too() {
    let harness = harness();
    for _ in 0..8 {
        _ = harness.call(&call());
    }
    let emergency = Request::invite("sip:112@example.com").identity("alice");
    assert!(harness.call(&emergency).is_next());
    assert!(
        harness
            .call(&Request::new("REGISTER", "sip:example.com").identity("alice"))
            .is_next()
    );
    assert!(harness.call(&call().dialog(Dialog::Confirmed)).is_next());
}

#[test]
fn what_nobody_can_know_refuses() {
    let full = harness();
    full.set_counters_full(true);
    assert_eq!(full.call(&call()).status(), Some(503));
    let leases = harness();
    leases.set_leases_full(true);
    assert_eq!(leases.call(&call()).status(), Some(503));
    let failing = harness();
    failing.set_keyvalue_fails(true);
    assert_eq!(failing.call(&call()).status(), Some(503));
}

#[test]
fn a_reload_keeps_points_and_locks() {
    let harness = harness();
    for _ in 0..7 {
        _ = harness.call(&call());
    }
    harness.reload(&json!({ "region": "DE" })).unwrap();
    assert_eq!(harness.call(&call()).reason(), "user/alice is locked");
}

/// Stolen credentials, 400 calls to dear numbers within ten minutes, off hours.
#[test]
fn a_night_of_toll_fraud_ends_after_two_calls() {
    let harness = Harness::<FraudScore>::new(json!({ "region": "DE" }));
    harness.set_now_ms(NIGHT_MS);
    let (mut begun, mut first_alert) = (Vec::new(), None);
    for attempt in 0..400u32 {
        let number = match attempt % 2 {
            0 => format!("+8816{:08}", 10_000_000 + attempt * 37),
            _ => format!("+2217{:08}", 70_000_000 + attempt * 37),
        };
        let request = Request::invite(&format!("sip:{number}@example.com")).identity("alice");
        let (outcome, handle) = harness.begin(&request);
        if outcome.alerts().count() > 0 {
            first_alert.get_or_insert(attempt);
        }
        if let Some(handle) = handle {
            handle.answered();
            begun.push(handle);
        }
        harness.advance(Duration::from_millis(1_500));
    }
    assert!(begun.len() <= 3, "{} calls", begun.len());
    assert!(
        first_alert.is_some_and(|attempt| attempt <= 2),
        "{first_alert:?}"
    );
    // The lock ends what had begun within a minute.
    assert!(begun.iter().all(|handle| handle.is_over()));
    for handle in begun {
        let steps = handle.steps();
        let (start, end) = (steps.first().unwrap().at_ms, steps.last().unwrap().at_ms);
        assert!(end - start <= 60_000, "{} ms", end - start);
    }
    assert_eq!(harness.leases(), []);
}

/// A day at an office: nobody is bothered.
#[test]
fn a_usual_day_has_no_points_that_matter() {
    let harness = Harness::<FraudScore>::new(json!({ "region": "DE" }));
    for day in 0..5u64 {
        // From Monday, 6 January 2025, 08:00 in UTC.
        harness.set_now_ms(1_736_150_400_000 + day * 86_400_000);
        for number in 0..40u64 {
            let dialled = match number % 10 {
                0 => "+41446681800".to_owned(),
                3 => "4711".to_owned(),
                _ => format!("030{}", 1_000_000 + number * 7_919),
            };
            let request = Request::invite(&format!("sip:{dialled}@example.com"))
                .identity("alice")
                .zone(Zone::Inside);
            let (outcome, handle) = harness.begin(&request);
            assert!(
                outcome.is_next() && outcome.alerts().count() == 0,
                "{outcome:?}"
            );
            let handle = handle.unwrap();
            handle.answered();
            harness.advance(Duration::from_secs(60 + number * 13 % 400));
            handle.ended("bye");
            harness.advance(Duration::from_secs(120));
        }
    }
}
