//! Whole calls in the harness, with the policy of `examples/prepaid.rs`.

#[expect(unreachable_pub, reason = "as an example it is a library of its own")]
#[path = "../examples/prepaid.rs"]
mod prepaid;

use std::time::Duration;

use prepaid::Prepaid;
use sipward_plugin_sdk::geo::Place;
use sipward_plugin_sdk::testing::{End, Happened, Harness, Request, Response, json};
use sipward_plugin_sdk::{MediaFigures, Severity};

fn harness() -> Harness<Prepaid> {
    Harness::new(json!({ "region": "DE", "budget": 10, "calls": 2, "dear": ["premium"] }))
        .with_list("prices", [("+49", "1"), ("+41", "3"), ("+49900", "5")])
        .with_group("managers", ["alice"])
        .with_code("alice", "7391")
}

fn call(dialled: &str) -> Request {
    Request::invite(&format!("sip:{dialled}@example.com"))
        .identity("alice")
        .peer_name("office")
}

#[test]
fn calls_hold_their_places_until_they_end() {
    let harness = harness();
    let (_, first) = harness.begin(&call("030123456"));
    let (_, second) = harness.begin(&call("030123456"));
    let (refused, none) = harness.begin(&call("030123456"));
    assert!(refused.status() == Some(486) && none.is_none());
    assert_eq!(harness.held("calls", "alice"), 2);
    // Refused after the first hold: nothing of it is kept.
    harness.set_list("prices", []);
    first.unwrap().ended("cancelled");
    assert_eq!(harness.call(&call("030123456")).status(), Some(403));
    assert_eq!(harness.held("calls", "alice"), 1);
    second.unwrap().ended(End::refused(486));
    assert_eq!(harness.leases(), []);
}

#[test]
fn what_is_only_asked_is_given_back() {
    let harness = harness();
    assert!(harness.call(&call("030123456")).is_next());
    assert_eq!(harness.leases(), []);
}

#[test]
fn money_is_held_minute_by_minute_and_ends_the_call() {
    let harness = harness();
    let (admitted, handle) = harness.begin(&call("+41-44-668.18.00"));
    let handle = handle.unwrap();
    assert_eq!(admitted.ticks().collect::<Vec<_>>(), [60]);
    assert_eq!(admitted.annotation("price"), Some("3"));
    // Ringing costs nothing: the minutes count from the answer.
    assert!(handle.advance(Duration::from_secs(300)).is_empty());
    assert!(handle.answered_by("carrier").is_next());
    assert!(handle.advance(Duration::from_millis(59_999)).is_empty());
    assert_eq!(handle.advance(Duration::from_millis(1)).len(), 1);
    assert_eq!(harness.held("reserved", "alice"), 6);
    let heard = handle.advance(Duration::from_secs(600));
    // 120 s is paid, 180 s is not, and then it is over.
    assert_eq!(heard.len(), 3);
    let refused = heard.get(1).unwrap();
    assert_eq!(refused.reason(), "has spent its money");
    assert!(handle.is_over());
    let steps = handle.steps();
    let happened: Vec<_> = steps
        .iter()
        .map(|step| (step.at_ms, step.event.clone()))
        .collect();
    assert_eq!(
        happened,
        [
            (0, Happened::Started),
            (300_000, Happened::Answered),
            (360_000, Happened::Tick(60)),
            (420_000, Happened::Tick(120)),
            (480_000, Happened::Tick(180)),
            (480_000, Happened::Ended("policy".to_owned())),
        ]
    );
    assert_eq!(harness.leases(), []);
    // Nine of ten cents are gone: a minute for one is left.
    assert_eq!(harness.call(&call("+41446681800")).status(), Some(402));
    assert!(harness.call(&call("030123456")).is_next());
}

#[test]
fn two_calls_cannot_spend_the_same_money() {
    let harness = harness();
    let (_, first) = harness.begin(&call("+41446681800"));
    let (_, second) = harness.begin(&call("+41446681800"));
    let (first, second) = (first.unwrap(), second.unwrap());
    first.answered();
    harness.advance(Duration::from_secs(30));
    second.answered();
    let steps = harness.advance(Duration::from_secs(90));
    let calls: Vec<_> = steps
        .iter()
        .map(|step| (step.call, step.outcome.status()))
        .collect();
    // 3 + 3 held, 9 after the first's tick; the second's is one too many.
    assert_eq!(
        calls,
        [
            (first.number(), None),
            (second.number(), Some(402)),
            (second.number(), None),
            (first.number(), Some(402)),
            (first.number(), None),
        ]
    );
}

#[test]
fn a_code_opens_dear_numbers_and_is_concealed() {
    let harness = harness();
    assert_eq!(harness.call(&call("09001234567")).status(), Some(403));
    let (opened, handle) = harness.begin(&call("739109001234567"));
    assert_eq!(opened.request_uri(), Some("sip:+499001234567@example.com"));
    assert_eq!(opened.secrets().collect::<Vec<_>>(), ["7391"]);
    assert_eq!(handle.unwrap().ended("bye").reason(), "");
    let wrong = harness.call(&call("739209001234567"));
    assert_eq!(wrong.reason(), "wrong code");
    assert_eq!(wrong.secrets().collect::<Vec<_>>(), ["7392"]);
    let stranger = harness.call(&call("739109001234567").identity("bob"));
    assert_eq!(stranger.reason(), "is no manager");
}

#[test]
fn places_are_asked_for_and_the_unknown_passes() {
    let at_home = harness().with_place("192.0.2.0/24", Place::in_country("DE"));
    assert!(at_home.call(&call("030123456")).is_next());
    let abroad = harness()
        .with_place("192.0.2.0/24", Place::in_country("KP"))
        .with_place(
            "192.0.2.128/25",
            Place::in_country("DE").announced_by(64_496, "Example"),
        );
    assert_eq!(
        abroad.call(&call("030123456")).reason(),
        "calls from abroad"
    );
    assert!(
        abroad
            .call(&call("030123456").from_address("192.0.2.200"))
            .is_next()
    );
    assert!(
        abroad
            .call(&call("030123456").from_address("10.0.0.1"))
            .is_next()
    );
}

#[test]
fn media_of_others_and_refusals_of_the_trunk_are_reported() {
    let harness = harness();
    let (_, handle) = harness.begin(&call("030123456"));
    let handle = handle.unwrap();
    handle.answered();
    let told = handle.foreign_media("203.0.113.9:4000", "ssrc");
    let alert = told.alerts().next().unwrap();
    assert_eq!(
        (alert.severity, alert.key.as_str()),
        (Severity::Warning, "foreign-media/alice")
    );
    assert!(alert.text.contains("203.0.113.9:4000") && alert.text.ends_with("ssrc"));
    let lost = MediaFigures {
        lost: 9,
        ..MediaFigures::default()
    };
    handle.ended(End::new("bye").caller_media(lost));
    let refused = Response::new(402, "Payment Required")
        .identity("alice")
        .caller("office");
    assert_eq!(harness.answer(&refused).alerts().count(), 1);
    assert_eq!(
        harness
            .answer(&Response::new(402, "Payment Required"))
            .alerts()
            .count(),
        0
    );
}

#[test]
fn a_restart_ends_calls_and_gives_back_what_they_held() {
    let harness = harness();
    let (_, handle) = harness.begin(&call("030123456"));
    harness.restart();
    assert!(handle.unwrap().is_over());
    assert_eq!(harness.leases(), []);
    assert!(harness.advance(Duration::from_secs(3600)).is_empty());
}

#[test]
fn a_full_table_is_the_limit_reached() {
    let harness = harness();
    harness.set_leases_full(true);
    assert_eq!(harness.call(&call("030123456")).status(), Some(486));
}

#[test]
fn wrong_settings_are_named() {
    let wrong = |settings| Harness::<Prepaid>::try_new(&settings).err().unwrap();
    let error = wrong(json!({ "region": "Germany", "budget": 1, "calls": 1, "dear": [] }));
    assert_eq!(error.key(), "region");
    let error = wrong(json!({ "region": "DE", "budget": 1, "calls": 1, "dear": ["cheap"] }));
    assert_eq!(error.key(), "dear[0]");
    assert!(error.message().contains("toll-free"), "{error}");
}
