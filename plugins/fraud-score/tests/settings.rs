//! Wrong settings of `fraud-score`: each is named.

use fraud_score::FraudScore;
use sipward_plugin_sdk::testing::{Harness, Value, json};

fn wrong(settings: &Value) -> String {
    match Harness::<FraudScore>::try_new(settings) {
        Err(error) => error.key().to_owned(),
        Ok(_) => "accepted".to_owned(),
    }
}

#[test]
fn each_wrong_key_is_named() {
    for (key, value) in [
        ("region", json!("Germany")),
        ("home", json!(vec!["AT"; 65])),
        ("forget_s", json!(59)),
        ("forget_s", json!(2_592_001)),
        ("lock_s", json!(59)),
        ("challenge_realm", json!("x".repeat(129))),
        ("recheck_s", json!(9)),
        ("recheck_s", json!(3_601)),
        ("score", json!(1)),
        (
            "rules",
            json!(
                (0..1_001)
                    .map(|i| json!({ "name": i.to_string(), "cpm": { "warning": 1 } }))
                    .collect::<Vec<_>>()
            ),
        ),
        ("emergency", json!(vec!["112"; 65])),
    ] {
        let mut settings = json!({ "region": "DE" });
        settings[key] = value;
        assert_eq!(wrong(&settings), key, "{settings}");
    }
}

#[test]
fn each_wrong_key_further_down_is_named() {
    for (settings, key) in [
        (json!({}), ""),
        (json!({ "region": "DE", "home": ["AT", "x"] }), "home[1]"),
        (
            json!({ "region": "DE", "emergency": ["", "112"] }),
            "emergency[0]",
        ),
        (
            json!({ "region": "DE", "clock": { "utc_offset_minutes": 900 } }),
            "clock.utc_offset_minutes",
        ),
        (
            json!({ "region": "DE", "usual": { "from": "7" } }),
            "usual.from",
        ),
        (
            json!({ "region": "DE", "usual": { "to": "25:00" } }),
            "usual.to",
        ),
        (
            json!({ "region": "DE", "usual": { "days": [] } }),
            "usual.days",
        ),
        (
            json!({ "region": "DE", "usual": { "days": ["monday"] } }),
            "usual.days[0]",
        ),
        (
            json!({ "region": "DE", "thresholds": { "warn": 1_000_001 } }),
            "thresholds.warn",
        ),
        (
            json!({ "region": "DE", "thresholds": { "challenge": 39 } }),
            "thresholds.challenge",
        ),
        (
            json!({ "region": "DE", "thresholds": { "reject": 10 } }),
            "thresholds.reject",
        ),
        (
            json!({ "region": "DE", "thresholds": { "lock": 99 } }),
            "thresholds.lock",
        ),
    ] {
        assert_eq!(wrong(&settings), key, "{settings}");
    }
}

#[test]
fn each_wrong_sign_is_named() {
    for (sign, field, value) in [
        ("rate", "calls_per_minute", json!(0)),
        ("rate", "points", json!(10_001)),
        ("repeated", "calls", json!(1)),
        ("repeated", "within_s", json!(0)),
        ("sequential", "numbers", json!(101)),
        ("sequential", "within_s", json!(2_592_001)),
        ("short", "shorter_than_s", json!(0)),
        ("short", "calls", json!(100_001)),
        ("short", "within_s", json!(0)),
        ("duration", "deviations", json!(0.4)),
        ("duration", "at_least_s", json!(59)),
        ("duration", "unlearned_s", json!(86_401)),
        ("concurrency", "deviations", json!(100.1)),
        ("concurrency", "at_least", json!(1)),
        ("concurrency", "unlearned", json!(1)),
        ("learning", "calls", json!(0)),
        ("learning", "weight", json!(0.6)),
        ("new_country", "forget_days", json!(201)),
        ("off_hours", "points", json!(10_001)),
        ("high_cost", "share_percent", json!(101)),
        ("high_cost", "at_least", json!(0)),
        ("high_cost", "within_s", json!(59)),
        ("failed", "ratio", json!(0.05)),
        ("failed", "at_least", json!(0)),
        ("failed", "within_s", json!(59)),
        ("new_origin", "forget_days", json!(0)),
        ("call_back", "rang_at_most_s", json!(61)),
        ("call_back", "within_s", json!(59)),
        ("wrong_answer", "points", json!(10_001)),
        ("wrong_answer", "point", json!(1)),
    ] {
        let mut settings = json!({ "region": "DE" });
        settings["signs"][sign][field] = value;
        assert_eq!(wrong(&settings), format!("signs.{sign}.{field}"));
    }
}

#[test]
fn each_wrong_rule_is_named() {
    for (field, value) in [
        ("name", json!("")),
        ("name", json!("a b")),
        ("prefix", json!("49")),
        ("prefix", json!("+")),
        ("start_hour", json!("8")),
        ("end_hour", json!("24:30")),
        ("end_hour", json!("00:00")),
        ("daysoftheweek", json!([])),
        ("cpm", json!({ "warning": 3, "critical": 2 })),
        ("cpm", json!({})),
        ("call_duration", json!({ "critical": 86_401 })),
        ("total_calls", json!({ "warning": 1_000_001 })),
        ("concurrent_calls", json!({ "warning": 0, "critical": 0 })),
        ("sequential_calls", json!({ "warning": 9, "critical": 8 })),
        ("warning_points", json!(10_001)),
        ("critical_points", json!(10_001)),
        ("profile", json!(1)),
    ] {
        let mut rule = json!({ "name": "x", "cpm": { "warning": 1 } });
        rule[field] = value;
        let settings = json!({ "region": "DE", "rules": [rule] });
        assert_eq!(wrong(&settings), format!("rules[0].{field}"), "{settings}");
    }
    let nothing = json!({ "region": "DE", "rules": [{ "name": "x" }] });
    assert_eq!(wrong(&nothing), "rules[0].cpm");
    let twice = json!({ "region": "DE", "rules": [
        { "name": "x", "cpm": { "warning": 1 } }, { "name": "x", "cpm": { "warning": 1 } },
    ]});
    assert_eq!(wrong(&twice), "rules[1].name");
}

#[test]
fn the_bounds_themselves_are_possible() {
    for settings in [
        json!({ "region": "DE", "forget_s": 60, "lock_s": 31_536_000, "recheck_s": 0 }),
        json!({ "region": "DE", "recheck_s": 10, "thresholds": { "warn": 0, "challenge": 0, "reject": 1, "lock": 1 } }),
        json!({ "region": "DE", "recheck_s": 3_600, "thresholds": { "lock": 1_000_000 } }),
        json!({ "region": "DE", "rules": [{ "name": "x", "prefix": "+123456789012345",
            "call_duration": { "warning": 86_400, "critical": 86_400 } }] }),
    ] {
        assert!(
            Harness::<FraudScore>::try_new(&settings).is_ok(),
            "{settings}"
        );
    }
}
