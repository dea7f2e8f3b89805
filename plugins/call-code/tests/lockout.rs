//! Guessing ends with a lockout that outlives a restart and doubles.

use std::time::Duration;

use call_code::CallCode;
use sipward_plugin_sdk::testing::{Harness, Request, json};
use sipward_plugin_sdk::{Outcome, Severity};

fn harness() -> Harness<CallCode> {
    Harness::new(json!({ "region": "DE", "lockout": {
        "failures": 3, "first_s": 10, "longest_s": 40, "forget_s": 3600,
    }}))
    .with_code("alice", "7391")
    .with_code("bob", "7391")
    .with_one_time_code("carol", "7391")
}

fn dial(harness: &Harness<CallCode>, user: &str, code: &str) -> Outcome {
    harness.call(&Request::invite(&format!("sip:*{code}*09001234567@h")).identity(user))
}

fn opens(harness: &Harness<CallCode>, user: &str) -> bool {
    dial(harness, user, "7391").is_next()
}

#[test]
fn the_limit_locks_the_right_code_out_too() {
    let harness = harness();
    for _ in 0..2 {
        assert_eq!(dial(&harness, "alice", "0000").alerts().count(), 0);
    }
    assert!(opens(&harness, "alice"), "two are no lockout");
    let third = dial(&harness, "alice", "0000");
    let alert = third.alerts().next().unwrap();
    assert_eq!(
        (alert.severity, alert.key.as_str()),
        (Severity::Critical, "call-code/locked/alice")
    );
    assert!(!alert.text.contains("0000"));
    let locked = dial(&harness, "alice", "7391");
    assert_eq!(locked.reason(), "alice has dialled too many wrong codes");
    assert_eq!(locked.secrets().collect::<Vec<_>>(), ["7391"]);
    assert!(opens(&harness, "bob"), "others go on");
    harness.advance(Duration::from_millis(9_999));
    assert!(!opens(&harness, "alice"));
    harness.advance(Duration::from_millis(1));
    assert!(opens(&harness, "alice"));
}

#[test]
fn lockouts_double_up_to_the_longest_and_a_right_code_forgets_nothing() {
    let harness = harness();
    for _ in 0..3 {
        _ = dial(&harness, "alice", "0000");
    }
    for seconds in [10, 20, 40, 40] {
        harness.advance(Duration::from_millis(seconds * 1_000 - 1));
        assert!(!opens(&harness, "alice"), "{seconds}");
        harness.advance(Duration::from_millis(1));
        assert!(opens(&harness, "alice"), "{seconds}");
        assert_eq!(
            dial(&harness, "alice", "0000").alerts().count(),
            1,
            "{seconds}"
        );
    }
}

#[test]
fn a_restart_unlocks_nobody_and_forgets_no_guess() {
    let harness = harness();
    for _ in 0..2 {
        _ = dial(&harness, "alice", "0000");
    }
    harness.restart();
    assert_eq!(dial(&harness, "alice", "0000").alerts().count(), 1);
    harness.restart();
    assert!(!opens(&harness, "alice"));
}

#[test]
fn guesses_during_a_lockout_are_not_looked_at() {
    let harness = harness();
    for _ in 0..3 {
        _ = dial(&harness, "alice", "0000");
    }
    for _ in 0..100 {
        assert_eq!(dial(&harness, "alice", "0000").alerts().count(), 0);
    }
    harness.advance(Duration::from_secs(10));
    assert!(opens(&harness, "alice"));
}

#[test]
fn a_used_code_is_no_guess() {
    let harness = harness();
    assert!(opens(&harness, "carol"));
    for _ in 0..20 {
        assert!(!opens(&harness, "carol"));
    }
    assert_eq!(
        dial(&harness, "carol", "7391").reason(),
        "carol has dialled a code that was used before"
    );
}

#[test]
fn what_cannot_be_counted_or_kept_locks() {
    let full = harness();
    full.set_counters_full(true);
    assert!(!opens(&full, "alice"));
    let failing = harness();
    failing.set_keyvalue_fails(true);
    assert!(
        !opens(&failing, "alice"),
        "nobody knows whether there is a lock"
    );
    let lost = harness();
    for _ in 0..2 {
        _ = dial(&lost, "alice", "0000");
    }
    lost.set_counters_full(true);
    lost.set_counters_full(false);
    assert_eq!(dial(&lost, "alice", "0000").alerts().count(), 1);
    assert!(!opens(&lost, "alice"));
}

#[test]
fn guesses_are_forgotten_in_the_end() {
    let harness = harness();
    for _ in 0..2 {
        _ = dial(&harness, "alice", "0000");
    }
    harness.advance(Duration::from_secs(7_200));
    for _ in 0..2 {
        assert_eq!(dial(&harness, "alice", "0000").alerts().count(), 0);
    }
    assert!(opens(&harness, "alice"));
}

#[test]
fn who_has_the_password_alone_is_told_of() {
    let harness = harness();
    let call = |user: &str, number: &str| {
        harness.call(&Request::invite(&format!("sip:{number}@h")).identity(user))
    };
    for number in ["00882991234", "0088213991234"] {
        let outcome = call("alice", number);
        assert_eq!((outcome.status(), outcome.alerts().count()), (Some(403), 0));
    }
    assert_eq!(
        call("bob", "00882991234").alerts().count(),
        0,
        "each their own"
    );
    for _ in 0..2 {
        let third = call("alice", "00979123456789");
        let alert = third.alerts().next().unwrap();
        assert_eq!(
            (alert.severity, alert.key.as_str()),
            (Severity::Warning, "call-code/missing/alice")
        );
    }
    assert_eq!(dial(&harness, "alice", "7391").alerts().count(), 0);
    harness.advance(Duration::from_secs(1_200));
    assert_eq!(call("alice", "00882991234").alerts().count(), 0, "long ago");
    let silent = Harness::<CallCode>::new(json!({ "region": "DE", "tell_after": 0 }));
    for _ in 0..10 {
        let request = Request::invite("sip:00882991234@h").identity("alice");
        assert_eq!(silent.call(&request).alerts().count(), 0);
    }
}
