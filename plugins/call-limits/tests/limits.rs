//! Calls at once, by second and hour, and how long one may last.

use std::time::Duration;

use call_limits::CallLimits;
use sipward_plugin_sdk::counters::key;
use sipward_plugin_sdk::testing::{End, Happened, Harness, Request, Value, json};
use sipward_plugin_sdk::{Dialog, Outcome, Severity, Verdict, Zone};

fn harness(limits: Value) -> Harness<CallLimits> {
    Harness::new(json!({ "region": "DE", "limits": limits }))
}

fn call(user: &str) -> Request {
    Request::invite("sip:030123456@example.com")
        .identity(user)
        .peer_name("office")
}

fn refusal(outcome: &Outcome) -> (u16, u32) {
    match outcome.verdict() {
        Verdict::Reject(rejection) => (rejection.status, rejection.retry_after),
        _ => (0, 0),
    }
}

#[test]
fn calls_at_once_end_with_the_last_place() {
    let harness = harness(json!([{ "name": "user", "per": "user", "calls": 2 }]));
    let (_, first) = harness.begin(&call("alice"));
    let (_, second) = harness.begin(&call("alice"));
    let (third, none) = harness.begin(&call("alice"));
    assert!(none.is_none());
    assert_eq!(refusal(&third), (486, 0));
    assert_eq!(
        third.reason(),
        "alice has reached limit `user`: 2 calls at once"
    );
    let alert = third.alerts().next().unwrap();
    assert_eq!(
        (alert.severity, alert.key.as_str()),
        (Severity::Warning, "call-limits/user/calls/alice")
    );
    assert!(
        harness.call(&call("bob")).is_next(),
        "others have their own"
    );
    assert_eq!(harness.held("calls-user", key(&[b"alice"])), 2);
    first.unwrap().ended("cancelled");
    let (again, fourth) = harness.begin(&call("alice"));
    assert!(again.is_next());
    second.unwrap().ended(End::refused(486));
    fourth.unwrap().ended("bye");
    assert_eq!(harness.leases(), []);
}

#[test]
fn a_restart_leaves_nothing_held_and_a_full_table_lets_nobody_in() {
    let harness = harness(json!([{ "name": "user", "per": "user", "calls": 1 }]));
    let (_, held) = harness.begin(&call("alice"));
    assert!(held.is_some());
    harness.restart();
    assert_eq!(harness.leases(), []);
    assert!(harness.call(&call("alice")).is_next());
    harness.set_leases_full(true);
    assert_eq!(harness.call(&call("alice")).status(), Some(486));
}

#[test]
fn the_operator_is_warned_once_before_the_limit() {
    let harness = harness(json!([{ "name": "all", "per": "all", "calls": 5 }]));
    let warnings: Vec<_> = (0..5)
        .map(|_| harness.begin(&call("alice")).0.alerts().count())
        .collect();
    assert_eq!(warnings, [0, 0, 0, 1, 0], "80 % of 5");
}

#[test]
fn groups_peers_and_names() {
    let grouped = Harness::<CallLimits>::new(json!({ "region": "DE", "limits": [
        { "name": "sales", "per": "group", "of": ["sales"], "calls": 1 },
    ]}))
    .with_group("sales", ["alice", "bob"])
    .with_group("staff", ["alice", "bob", "carol"]);
    let (_, first) = grouped.begin(&call("alice"));
    assert!(first.is_some());
    assert_eq!(grouped.call(&call("bob")).status(), Some(486));
    assert!(grouped.call(&call("carol")).is_next());
    let peers = harness(json!([{ "name": "peer", "per": "peer", "of": ["office"], "calls": 1 }]));
    let (_, first) = peers.begin(&call("alice"));
    assert!(first.is_some());
    assert_eq!(peers.call(&call("bob")).status(), Some(486));
    assert!(peers.call(&call("bob").peer_name("branch")).is_next());
    let unknown = Request::invite("sip:030123456@example.com");
    assert!(peers.call(&unknown).is_next());
}

#[test]
fn a_trunk_is_limited_from_the_answer_on() {
    let harness = harness(json!([
        { "name": "trunk", "per": "trunk", "of": ["carrier"], "calls": 1, "longest_s": 600 },
    ]));
    let (_, first) = harness.begin(&call("alice"));
    let (_, second) = harness.begin(&call("bob"));
    let (_, third) = harness.begin(&call("carol"));
    let (first, second, third) = (first.unwrap(), second.unwrap(), third.unwrap());
    assert_eq!(first.answered_by("carrier").duration_limit(), Some(600));
    let refused = second.answered_by("carrier");
    assert_eq!(
        refused.reason(),
        "carrier has reached limit `trunk`: 1 calls at once"
    );
    assert!(second.is_over());
    assert!(third.answered_by("other").is_next());
    harness.advance(Duration::from_secs(600));
    assert!(first.is_over() && !third.is_over());
    assert_eq!(harness.leases(), []);
}

#[test]
fn calls_per_second_refill() {
    let harness = harness(json!([{ "name": "user", "per": "user", "calls_per_second": 0.5 }]));
    assert!(harness.call(&call("alice")).is_next());
    assert_eq!(refusal(&harness.call(&call("alice"))), (503, 2));
    harness.advance(Duration::from_millis(1_999));
    assert_eq!(refusal(&harness.call(&call("alice"))), (503, 1));
    harness.advance(Duration::from_millis(1));
    assert!(harness.call(&call("alice")).is_next());
}

#[test]
fn calls_per_hour_count_what_passed() {
    let harness = harness(json!([{ "name": "user", "per": "user", "calls_per_hour": 3 }]));
    for _ in 0..3 {
        assert!(harness.call(&call("alice")).is_next());
    }
    for _ in 0..10 {
        assert_eq!(refusal(&harness.call(&call("alice"))), (503, 300));
    }
    harness.advance(Duration::from_millis(3_599_999));
    assert!(!harness.call(&call("alice")).is_next());
    // From here on the three fade within an hour; the refused ones left nothing.
    harness.advance(Duration::from_secs(1_201));
    assert!(harness.call(&call("alice")).is_next());
}

#[test]
fn a_full_counter_table_is_the_limit_reached() {
    for limit in ["calls_per_second", "calls_per_hour"] {
        let harness = harness(json!([{ "name": "user", "per": "user", limit: 5 }]));
        harness.set_counters_full(true);
        assert_eq!(harness.call(&call("alice")).status(), Some(503), "{limit}");
    }
}

#[test]
fn the_longest_call_is_the_shortest_limit() {
    let harness = harness(json!([
        { "name": "user", "per": "user", "longest_s": 100 },
        { "name": "peer", "per": "peer", "longest_s": 60 },
    ]));
    let (_, handle) = harness.begin(&call("alice"));
    let handle = handle.unwrap();
    handle.answered();
    handle.advance(Duration::from_millis(59_999));
    assert!(!handle.is_over());
    handle.advance(Duration::from_millis(1));
    let last = handle.steps().pop().unwrap();
    assert_eq!(last.event, Happened::Ended("duration-limit".to_owned()));
}

#[test]
fn emergency_calls_are_never_limited() {
    let harness = harness(json!([
        { "name": "user", "per": "user", "calls": 1, "cost_per_day": 0.01, "longest_s": 5 },
    ]));
    harness.set_leases_full(true);
    let emergency = Request::invite("sip:112@example.com").identity("alice");
    let (admitted, handle) = harness.begin(&emergency);
    assert!(admitted.is_next() && admitted.duration_limit().is_none());
    let handle = handle.unwrap();
    handle.answered();
    handle.advance(Duration::from_secs(7_200));
    assert!(!handle.is_over());
    let tricked = Request::invite("sip:1120@example.com").identity("alice");
    assert!(!harness.call(&tricked).is_next());
}

#[test]
fn only_what_begins_a_call_is_counted() {
    let harness = harness(json!([{ "name": "user", "per": "user", "calls": 1 }]));
    let (_, held) = harness.begin(&call("alice"));
    assert!(held.is_some());
    assert!(
        harness
            .call(&call("alice").dialog(Dialog::Confirmed))
            .is_next()
    );
    assert!(
        harness
            .call(&Request::new("BYE", "sip:bob@h").identity("alice"))
            .is_next()
    );
}

#[test]
fn the_defaults_are_what_the_documentation_says() {
    let harness =
        Harness::<CallLimits>::new(json!({ "region": "DE" })).with_list("rates", [("+", "0.01")]);
    let second = Duration::from_millis(500);
    let mut handles = Vec::new();
    for _ in 0..4 {
        harness.advance(second);
        let (outcome, handle) = harness.begin(&call("alice"));
        assert_eq!(outcome.duration_limit(), Some(14_400), "{outcome:?}");
        handles.push(handle.unwrap());
    }
    harness.advance(second);
    assert_eq!(harness.call(&call("alice")).status(), Some(486));
    // A trunk's call for us is limited as its peer's, and free.
    let inbound = Request::invite("sip:+4930123456@example.com")
        .peer_name("carrier")
        .zone(Zone::Outside);
    let (outcome, handle) = harness.begin(&inbound);
    assert_eq!(outcome.annotation("call-limits.price"), Some("0 0"));
    handle.unwrap().ended("bye");
    for handle in handles {
        handle.ended("bye");
    }
    assert_eq!(harness.leases(), []);
}

#[test]
fn the_rest_are_those_that_no_limit_of_their_kind_names() {
    let harness = harness(json!([
        { "name": "rest", "per": "user", "rest": true, "calls": 1 },
        { "name": "named", "per": "user", "of": ["alice"], "calls": 2 },
        { "name": "office", "per": "peer", "of": ["bob", "office"], "calls": 9 },
    ]));
    let statuses = |user: &str| {
        let calls = (0..3).map(|_| harness.begin(&call(user)));
        let calls: Vec<_> = calls.map(|(outcome, _)| outcome.status()).collect();
        calls
    };
    assert_eq!(statuses("alice"), [None, None, Some(486)]);
    // A limit of peers names `bob`, which is no limit of users.
    assert_eq!(statuses("bob"), [None, Some(486), Some(486)]);
    assert_eq!(harness.held("calls-rest", key(&[b"alice"])), 0);
}
