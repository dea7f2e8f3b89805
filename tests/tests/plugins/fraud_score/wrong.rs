//! Wrong settings of `fraud-score`: each is named.

use serde_json::{Value, json};

use super::GUEST;
use crate::refuses_settings;

/// Keys, values that they cannot have, and how they are named.
fn wrong_values() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        ("region", json!("Germany"), "region"),
        ("home", json!(["AT", "x"]), "home[1]"),
        ("forget_s", json!(59), "forget_s"),
        ("lock_s", json!(59), "lock_s"),
        ("challenge_realm", json!("x".repeat(129)), "challenge_realm"),
        ("recheck_s", json!(9), "recheck_s"),
        ("score", json!(1), "score"),
        ("emergency", json!(["", "112"]), "emergency[0]"),
        (
            "clock",
            json!({ "utc_offset_minutes": 900 }),
            "clock.utc_offset_minutes",
        ),
        ("usual", json!({ "from": "7" }), "usual.from"),
        ("usual", json!({ "to": "25:00" }), "usual.to"),
        ("usual", json!({ "days": ["monday"] }), "usual.days[0]"),
        (
            "thresholds",
            json!({ "warn": 1_000_001 }),
            "thresholds.warn",
        ),
        (
            "thresholds",
            json!({ "challenge": 39 }),
            "thresholds.challenge",
        ),
        ("thresholds", json!({ "reject": 10 }), "thresholds.reject"),
        ("thresholds", json!({ "lock": 99 }), "thresholds.lock"),
    ]
}

/// The same of signs and rules, by their whole key.
fn wrong_parts() -> Vec<(&'static str, Value)> {
    vec![
        ("signs.rate.calls_per_minute", json!(0)),
        ("signs.rate.points", json!(10_001)),
        ("signs.repeated.calls", json!(1)),
        ("signs.sequential.numbers", json!(101)),
        ("signs.short.shorter_than_s", json!(0)),
        ("signs.duration.deviations", json!(0.4)),
        ("signs.duration.unlearned_s", json!(86_401)),
        ("signs.concurrency.at_least", json!(1)),
        ("signs.learning.weight", json!(0.6)),
        ("signs.new_country.forget_days", json!(201)),
        ("signs.off_hours.points", json!(10_001)),
        ("signs.high_cost.share_percent", json!(101)),
        ("signs.failed.ratio", json!(0.05)),
        ("signs.new_origin.forget_days", json!(0)),
        ("signs.call_back.rang_at_most_s", json!(61)),
        ("signs.wrong_answer.points", json!(10_001)),
        ("signs.wrong_answer.point", json!(1)),
        ("rules[0].name", json!("a b")),
        ("rules[0].prefix", json!("49")),
        ("rules[0].start_hour", json!("8")),
        ("rules[0].end_hour", json!("24:30")),
        ("rules[0].daysoftheweek", json!([])),
        ("rules[0].cpm", json!({ "warning": 3, "critical": 2 })),
        ("rules[0].call_duration", json!({ "critical": 86_401 })),
        ("rules[0].total_calls", json!({ "warning": 1_000_001 })),
        ("rules[0].concurrent_calls", json!({})),
        (
            "rules[0].sequential_calls",
            json!({ "warning": 9, "critical": 8 }),
        ),
        ("rules[0].warning_points", json!(10_001)),
        ("rules[0].critical_points", json!(10_001)),
        ("rules[0].profile", json!(1)),
    ]
}

#[test]
fn fraud_score_names_the_wrong_key() {
    let mut cases = vec![(json!({}), "")];
    let with = |field: &str, value: Value| {
        let mut settings = json!({ "region": "DE" });
        settings[field] = value;
        settings
    };
    for (field, value, key) in wrong_values() {
        cases.push((with(field, value), key));
    }
    for (key, value) in wrong_parts() {
        let parts: Vec<_> = key.split('.').collect();
        cases.push(match parts[..] {
            ["signs", sign, field] => (with("signs", json!({ sign: { field: value } })), key),
            [_, field] => {
                let mut rule = json!({ "name": "x", "cpm": { "warning": 1 } });
                rule[field] = value;
                (with("rules", json!([rule])), key)
            }
            _ => panic!("{key}"),
        });
    }
    refuses_settings(GUEST, &cases);
}
