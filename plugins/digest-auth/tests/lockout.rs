//! Lockouts of `digest-auth`: whom they hit, how long, and whom they never hit.

use std::time::Duration;

use digest_auth::DigestAuth;
use sipward_plugin_sdk::testing::{Credentials, Harness, Nonce, Request, json};
use sipward_plugin_sdk::{Effect, Outcome};

fn harness() -> Harness<DigestAuth> {
    Harness::new(json!({ "realm": "r", "lockout": {
        "user_failures": 3, "source_failures": 6, "user_failures_everywhere": 10,
        "first_s": 10, "longest_s": 60, "forget_s": 600,
    }}))
    .with_user("alice", "secret")
    .with_user("bob", "hidden")
}

const HOME: &str = "192.0.2.10";
const ATTACKER: &str = "203.0.113.66";

fn attempt(harness: &Harness<DigestAuth>, address: &str, user: &str, password: &str) -> Outcome {
    let credentials = Credentials::new("r", user, password);
    harness.call(
        &Request::invite("sip:1@h")
            .from_address(address)
            .credentials(credentials),
    )
}

fn fail(harness: &Harness<DigestAuth>, address: &str, user: &str) -> Outcome {
    attempt(harness, address, user, "wrong")
}

fn locks(outcome: &Outcome) -> bool {
    outcome
        .effects()
        .iter()
        .any(|effect| matches!(effect, Effect::Alert(_)))
}

#[test]
fn the_limit_locks_the_right_password_out_too() {
    let harness = harness();
    assert!(!locks(&fail(&harness, ATTACKER, "alice")));
    assert!(!locks(&fail(&harness, ATTACKER, "alice")));
    let third = fail(&harness, ATTACKER, "alice");
    assert!(
        locks(&third) && third.challenged().is_some(),
        "the answer stays the same"
    );
    assert_eq!(
        attempt(&harness, ATTACKER, "alice", "secret").status(),
        Some(403)
    );
    assert_eq!(fail(&harness, ATTACKER, "alice").status(), Some(403));
    harness.advance(Duration::from_millis(9_999));
    assert_eq!(
        attempt(&harness, ATTACKER, "alice", "secret").status(),
        Some(403)
    );
    harness.advance(Duration::from_millis(1));
    assert!(attempt(&harness, ATTACKER, "alice", "secret").is_next());
}

#[test]
fn lockouts_double_up_to_the_longest() {
    let harness = harness();
    for _ in 0..3 {
        _ = fail(&harness, ATTACKER, "alice");
    }
    for seconds in [10, 20, 40, 60] {
        harness.advance(Duration::from_millis(seconds * 1_000 - 1));
        assert_eq!(
            fail(&harness, ATTACKER, "alice").status(),
            Some(403),
            "{seconds}"
        );
        harness.advance(Duration::from_millis(1));
        assert!(locks(&fail(&harness, ATTACKER, "alice")), "{seconds}");
    }
}

#[test]
fn failures_are_forgotten() {
    let harness = harness();
    _ = fail(&harness, ATTACKER, "alice");
    _ = fail(&harness, ATTACKER, "alice");
    harness.advance(Duration::from_secs(1_200));
    assert!(!locks(&fail(&harness, ATTACKER, "alice")));
    assert!(!locks(&fail(&harness, ATTACKER, "alice")));
    assert!(
        attempt(&harness, ATTACKER, "alice", "secret").is_next(),
        "and by a success"
    );
    assert!(!locks(&fail(&harness, ATTACKER, "alice")));
}

#[test]
fn an_attacker_elsewhere_never_locks_the_user_out_at_home() {
    let harness = harness();
    for host in 1..=200 {
        let address = format!("198.51.100.{host}");
        for _ in 0..4 {
            _ = fail(&harness, &address, "alice");
        }
    }
    assert!(
        attempt(&harness, HOME, "alice", "secret").is_next(),
        "even before any success there"
    );
    assert!(
        !locks(&fail(&harness, HOME, "alice")),
        "a proven source keeps all its attempts"
    );
    assert!(!locks(&fail(&harness, HOME, "alice")));
    assert!(attempt(&harness, HOME, "alice", "secret").is_next());
    let new = fail(&harness, "203.0.113.1", "alice");
    assert!(
        locks(&new),
        "a source without success has one attempt while under attack"
    );
}

#[test]
fn the_global_threshold_has_two_sides() {
    let harness = harness();
    for host in 1..=10 {
        assert!(
            !locks(&fail(&harness, &format!("198.51.100.{host}"), "alice")),
            "{host}"
        );
    }
    assert!(
        locks(&fail(&harness, "198.51.100.11", "alice")),
        "the eleventh"
    );
    assert!(
        !locks(&fail(&harness, "198.51.100.12", "bob")),
        "other users are not concerned"
    );
}

#[test]
fn a_source_that_tries_many_users_is_locked_but_for_those_who_succeeded() {
    let harness = harness();
    assert!(attempt(&harness, ATTACKER, "bob", "hidden").is_next());
    for user in ["u1", "u2", "u3", "u4", "u5"] {
        assert!(!locks(&fail(&harness, ATTACKER, user)), "{user}");
    }
    assert!(locks(&fail(&harness, ATTACKER, "u6")));
    assert_eq!(fail(&harness, ATTACKER, "u7").status(), Some(403));
    assert_eq!(
        attempt(&harness, ATTACKER, "alice", "secret").status(),
        Some(403)
    );
    assert!(attempt(&harness, ATTACKER, "bob", "hidden").is_next());
    assert!(attempt(&harness, HOME, "alice", "secret").is_next());
}

#[test]
fn a_forged_source_is_never_counted() {
    let harness = harness();
    for _ in 0..100 {
        let forged = Credentials::new("r", "alice", "wrong").nonce(Nonce::Forged);
        let call = Request::invite("sip:1@h").from_address(HOME);
        assert!(
            harness
                .call(&call.clone().credentials(forged))
                .challenged()
                .is_some()
        );
        assert!(harness.call(&call).challenged().is_some());
    }
    assert!(attempt(&harness, HOME, "alice", "secret").is_next());
}

#[test]
fn one_ipv6_subscriber_is_one_source() {
    let harness = harness();
    for host in 1..=3 {
        _ = fail(&harness, &format!("2001:db8:0:1::{host}"), "alice");
    }
    assert_eq!(
        fail(&harness, "2001:db8:0:1:ffff::", "alice").status(),
        Some(403)
    );
    assert!(attempt(&harness, "2001:db8:0:2::1", "alice", "secret").is_next());
}

#[test]
fn lockouts_survive_a_restart() {
    let harness = harness();
    for _ in 0..3 {
        _ = fail(&harness, ATTACKER, "alice");
    }
    harness.restart();
    assert_eq!(
        attempt(&harness, ATTACKER, "alice", "secret").status(),
        Some(403)
    );
    harness.advance(Duration::from_secs(10));
    assert!(
        locks(&fail(&harness, ATTACKER, "alice")),
        "and the count with them"
    );
}

#[test]
fn a_full_table_counts_as_the_limit_reached() {
    let harness = harness();
    harness.set_counters_full(true);
    assert_eq!(
        attempt(&harness, HOME, "alice", "secret").status(),
        Some(403)
    );
    harness.set_counters_full(false);
    assert!(attempt(&harness, HOME, "alice", "secret").is_next());
}

#[test]
fn a_failed_store_locks_longer_not_shorter() {
    let harness = harness();
    _ = fail(&harness, ATTACKER, "alice");
    harness.set_keyvalue_fails(true);
    assert_eq!(
        attempt(&harness, ATTACKER, "alice", "secret").status(),
        Some(403)
    );
    assert!(
        attempt(&harness, HOME, "alice", "secret").is_next(),
        "who never failed needs no store"
    );
    harness.set_keyvalue_fails(false);
    assert!(attempt(&harness, ATTACKER, "alice", "secret").is_next());
}

#[test]
fn long_names_have_counts_of_their_own() {
    let harness = harness();
    let (one, two) = (
        format!("{}1", "x".repeat(300)),
        format!("{}2", "x".repeat(300)),
    );
    for _ in 0..3 {
        _ = fail(&harness, ATTACKER, &one);
    }
    assert_eq!(fail(&harness, ATTACKER, &one).status(), Some(403));
    assert!(fail(&harness, ATTACKER, &two).challenged().is_some());
}
