//! Journeys that nobody makes, with and without coordinates.

use std::time::Duration;

use geo_fence::GeoFence;
use sipward_plugin_sdk::geo::Place;
use sipward_plugin_sdk::testing::{Harness, Request, Value, json};
use sipward_plugin_sdk::{Outcome, Severity};

const BERLIN: &str = "192.0.2.1";
const PARIS: &str = "198.51.100.1";
const TOKYO: &str = "203.0.113.1";
/// Places whose coordinates the database does not know.
const SOMEWHERE_DE: &str = "192.0.2.130";
const SOMEWHERE_AT: &str = "198.51.100.130";
const SOMEWHERE_BR: &str = "203.0.113.130";

fn harness(travel: Value) -> Harness<GeoFence> {
    let settings = json!({ "everybody": { "default": "allow" }, "travel": travel });
    let harness = Harness::new(settings)
        .with_place(
            "192.0.2.0/25",
            Place::in_country("DE").at(52_520_000, 13_405_000),
        )
        .with_place(
            "198.51.100.0/25",
            Place::in_country("FR").at(48_857_000, 2_352_000),
        )
        .with_place(
            "203.0.113.0/25",
            Place::in_country("JP").at(35_676_000, 139_650_000),
        )
        .with_place("192.0.2.128/25", Place::in_country("DE"))
        .with_place("198.51.100.128/25", Place::in_country("AT"))
        .with_place("203.0.113.128/25", Place::in_country("BR"));
    harness.set_now_ms(1_700_000_000_000);
    harness
}

fn from(harness: &Harness<GeoFence>, user: &str, address: &str) -> Outcome {
    let request = Request::register("sip:example.com");
    harness.call(&request.from_address(address).identity(user))
}

fn is_flagged(outcome: &Outcome) -> bool {
    outcome.alerts().next().is_some()
}

#[test]
fn nobody_flies_from_berlin_to_tokyo_in_an_hour() {
    let harness = harness(json!({}));
    assert!(!is_flagged(&from(&harness, "alice", BERLIN)));
    harness.restart();
    harness.advance(Duration::from_secs(3600));
    let outcome = from(&harness, "alice", TOKYO);
    assert!(outcome.is_next());
    assert_eq!(outcome.points(), 40);
    let alert = outcome.alerts().next().unwrap();
    assert_eq!(alert.severity, Severity::Critical);
    assert_eq!(alert.key, "impossible-travel/alice");
    assert_eq!(
        alert.text,
        "alice is at 203.0.113.1: from DE to JP, 8916 km in 60 min"
    );
    assert_eq!(outcome.reason(), alert.text);
    assert!(
        !is_flagged(&from(&harness, "bob", TOKYO)),
        "bob lives there"
    );
    assert!(
        !is_flagged(&from(&harness, "alice", BERLIN)),
        "she never left"
    );
}

#[test]
fn speed_has_two_sides() {
    // 8915.5 km at 1,000 km/h: 8 hours, 54 minutes and 56 seconds.
    for (seconds, flagged) in [(32_095, true), (32_097, false)] {
        let harness = harness(json!({}));
        assert!(!is_flagged(&from(&harness, "alice", BERLIN)));
        harness.advance(Duration::from_secs(seconds));
        let outcome = from(&harness, "alice", TOKYO);
        assert_eq!(
            is_flagged(&outcome),
            flagged,
            "{seconds}: {}",
            outcome.reason()
        );
    }
}

#[test]
fn short_ways_are_errors_of_the_database() {
    for (ignore_km, flagged) in [(877, true), (879, false)] {
        let harness = harness(json!({ "ignore_km": ignore_km }));
        assert!(!is_flagged(&from(&harness, "alice", BERLIN)));
        assert_eq!(is_flagged(&from(&harness, "alice", PARIS)), flagged);
    }
}

#[test]
fn where_somebody_was_last_is_written_now_and_then() {
    let harness = harness(json!({}));
    assert!(!is_flagged(&from(&harness, "alice", BERLIN)));
    for minutes in [4, 600] {
        harness.advance(Duration::from_secs(minutes * 60));
        assert!(!is_flagged(&from(&harness, "alice", BERLIN)));
    }
    // Ten hours after the first visit, but right after the last one.
    assert!(is_flagged(&from(&harness, "alice", TOKYO)));
    let _calls = harness.take_host_calls();
    assert!(!is_flagged(&from(&harness, "alice", BERLIN)));
    assert_eq!(harness.take_host_calls(), 3, "locate, clock, get");
}

#[test]
fn without_coordinates_countries_count() {
    for (seconds, flagged) in [(7_199, true), (7_200, false)] {
        let harness = harness(json!({ "neighbours": [["AT", "DE"]] }));
        assert!(!is_flagged(&from(&harness, "alice", SOMEWHERE_DE)));
        assert!(
            !is_flagged(&from(&harness, "alice", SOMEWHERE_AT)),
            "neighbours"
        );
        assert!(
            !is_flagged(&from(&harness, "alice", SOMEWHERE_DE)),
            "and back"
        );
        harness.advance(Duration::from_secs(seconds));
        let outcome = from(&harness, "alice", SOMEWHERE_BR);
        assert_eq!(is_flagged(&outcome), flagged, "{seconds}");
        if flagged {
            assert_eq!(
                outcome.reason(),
                "alice is at 203.0.113.130: from DE to BR in 119 min"
            );
        }
    }
    let harness = harness(json!({}));
    assert!(!is_flagged(&from(&harness, "alice", SOMEWHERE_DE)));
    assert!(is_flagged(&from(&harness, "alice", SOMEWHERE_AT)));
    assert!(
        is_flagged(&from(&harness, "alice", PARIS)),
        "one place has none"
    );
}

#[test]
fn journeys_can_be_refused_or_ignored() {
    let refusing = harness(json!({ "action": "refuse" }));
    assert!(from(&refusing, "alice", BERLIN).is_next());
    let outcome = from(&refusing, "alice", TOKYO);
    assert_eq!(outcome.status(), Some(403));
    assert!(is_flagged(&outcome));
    assert!(
        from(&refusing, "alice", BERLIN).is_next(),
        "the real one goes on"
    );
    let quiet = harness(json!({ "action": "off" }));
    assert!(!is_flagged(&from(&quiet, "alice", BERLIN)));
    assert!(!is_flagged(&from(&quiet, "alice", TOKYO)));
    let pointless = harness(json!({ "points": 0 }));
    assert!(!is_flagged(&from(&pointless, "alice", BERLIN)));
    assert_eq!(from(&pointless, "alice", TOKYO).points(), 0);
}

#[test]
fn people_with_two_phones_are_excepted() {
    let settings = json!({
        "everybody": { "default": "allow" },
        "rules": [{ "users": ["alice"], "fence": { "default": "allow" }, "travel": false }],
    });
    let harness = Harness::<GeoFence>::new(settings)
        .with_place("192.0.2.0/24", Place::in_country("DE"))
        .with_place("203.0.113.0/24", Place::in_country("JP"));
    for (user, flagged) in [("alice", false), ("bob", true)] {
        assert!(!is_flagged(&from(&harness, user, BERLIN)));
        assert_eq!(is_flagged(&from(&harness, user, TOKYO)), flagged, "{user}");
    }
}

#[test]
fn a_clock_set_back_accuses_nobody_at_home() {
    let harness = harness(json!({}));
    assert!(!is_flagged(&from(&harness, "alice", BERLIN)));
    harness.set_now_ms(1_600_000_000_000);
    assert!(!is_flagged(&from(&harness, "alice", BERLIN)));
    assert!(is_flagged(&from(&harness, "alice", TOKYO)));
}

#[test]
fn a_reload_keeps_places() {
    let harness = harness(json!({}));
    assert!(!is_flagged(&from(&harness, "alice", BERLIN)));
    let settings = json!({ "everybody": { "default": "allow" }, "travel": { "action": "refuse" } });
    harness.reload(&settings).unwrap();
    assert_eq!(from(&harness, "alice", TOKYO).status(), Some(403));
}
