//! Wrong settings of `call-limits`: each is named.

#![expect(clippy::indexing_slicing, reason = "a test ends where it fails")]

use call_limits::CallLimits;
use sipward_plugin_sdk::testing::{Harness, Value, json};

fn wrong(settings: &Value) -> String {
    match Harness::<CallLimits>::try_new(settings) {
        Err(error) => error.key().to_owned(),
        Ok(_) => "accepted".to_owned(),
    }
}

fn limit(mut limit: Value) -> Value {
    if limit.get("name").is_none() {
        limit["name"] = json!("x");
    }
    if limit.get("per").is_none() {
        limit["per"] = json!("user");
    }
    json!({ "region": "DE", "limits": [limit] })
}

/// Settings outside `limits`, and the key that is wrong in them.
fn wrong_around() -> Vec<(Value, &'static str)> {
    vec![
        (json!({}), ""),
        (json!({ "region": "de" }), "region"),
        (json!({ "region": "DEU" }), "region"),
        (json!({ "region": "DE", "limits": [] }), "limits"),
        (json!({ "region": "DE", "limit": [] }), "limit"),
        (
            json!({ "region": "DE", "prices": { "list": "" } }),
            "prices.list",
        ),
        (
            json!({ "region": "DE", "prices": { "default_per_minute": -0.1 } }),
            "prices.default_per_minute",
        ),
        (
            json!({ "region": "DE", "prices": { "default_per_minute": 1000.1 } }),
            "prices.default_per_minute",
        ),
        (
            json!({ "region": "DE", "prices": { "internal_digits": 11 } }),
            "prices.internal_digits",
        ),
        (
            json!({ "region": "DE", "prices": { "free": true } }),
            "prices.free",
        ),
        (json!({ "region": "DE", "periods": "weekly" }), "periods"),
        (
            json!({ "region": "DE", "utc_offset_minutes": 841 }),
            "utc_offset_minutes",
        ),
        (
            json!({ "region": "DE", "utc_offset_minutes": -721 }),
            "utc_offset_minutes",
        ),
        (
            json!({ "region": "DE", "charge_every_s": 5 }),
            "charge_every_s",
        ),
        (
            json!({ "region": "DE", "charge_every_s": 3601 }),
            "charge_every_s",
        ),
        (json!({ "region": "DE", "warn_percent": 0 }), "warn_percent"),
        (
            json!({ "region": "DE", "warn_percent": 101 }),
            "warn_percent",
        ),
        (
            json!({ "region": "DE", "emergency": ["112", ""] }),
            "emergency[1]",
        ),
        (
            json!({ "region": "DE", "emergency": ["one"] }),
            "emergency[0]",
        ),
        (
            json!({ "region": "DE", "emergency": vec!["1"; 65] }),
            "emergency",
        ),
    ]
}

/// The same of a limit.
fn wrong_limits() -> Vec<(Value, &'static str)> {
    vec![
        (limit(json!({})), "limits[0].calls"),
        (limit(json!({ "calls": 1, "name": "" })), "limits[0].name"),
        (
            limit(json!({ "calls": 1, "name": "a b" })),
            "limits[0].name",
        ),
        (
            limit(json!({ "calls": 1, "name": "x".repeat(33) })),
            "limits[0].name",
        ),
        (
            limit(json!({ "calls": 1, "per": "phone" })),
            "limits[0].per",
        ),
        (
            limit(json!({ "calls": 1, "per": "all", "of": ["alice"] })),
            "limits[0].of",
        ),
        (limit(json!({ "calls": 1, "of": [""] })), "limits[0].of"),
        (
            limit(json!({ "calls": 1, "of": ["alice"], "rest": true })),
            "limits[0].rest",
        ),
        (
            limit(json!({ "calls": 1, "per": "all", "rest": true })),
            "limits[0].rest",
        ),
        (limit(json!({ "calls": 0 })), "limits[0].calls"),
        (limit(json!({ "calls": 1_000_001 })), "limits[0].calls"),
        (
            limit(json!({ "calls_per_second": 0.0009 })),
            "limits[0].calls_per_second",
        ),
        (
            limit(json!({ "calls_per_second": 10_000.1 })),
            "limits[0].calls_per_second",
        ),
        (
            limit(json!({ "calls_per_second": 1, "per": "trunk" })),
            "limits[0].calls_per_second",
        ),
        (
            limit(json!({ "calls_per_hour": 0 })),
            "limits[0].calls_per_hour",
        ),
        (
            limit(json!({ "calls_per_hour": 1, "per": "trunk" })),
            "limits[0].calls_per_hour",
        ),
        (limit(json!({ "longest_s": 86_401 })), "limits[0].longest_s"),
        (
            limit(json!({ "minutes_per_day": 0 })),
            "limits[0].minutes_per_day",
        ),
        (
            limit(json!({ "minutes_per_month": 100_000_001 })),
            "limits[0].minutes_per_month",
        ),
        (
            limit(json!({ "cost_per_day": 0 })),
            "limits[0].cost_per_day",
        ),
        (
            limit(json!({ "cost_per_month": -1 })),
            "limits[0].cost_per_month",
        ),
        (
            limit(json!({ "cost_per_week": 1 })),
            "limits[0].cost_per_week",
        ),
    ]
}

#[test]
fn each_wrong_key_is_named() {
    for (settings, key) in wrong_around().into_iter().chain(wrong_limits()) {
        assert_eq!(wrong(&settings), key, "{settings}");
    }
    let twice = json!({ "region": "DE", "limits": [
        { "name": "x", "per": "user", "calls": 1 }, { "name": "x", "per": "peer", "calls": 1 },
    ]});
    assert_eq!(wrong(&twice), "limits[1].name");
    let many: Vec<_> = (0..33)
        .map(|index| json!({ "name": index.to_string(), "per": "all", "calls": 1 }))
        .collect();
    assert_eq!(wrong(&json!({ "region": "DE", "limits": many })), "limits");
}

#[test]
fn the_bounds_themselves_are_possible() {
    for settings in [
        limit(
            json!({ "calls": 1_000_000, "calls_per_second": 10_000, "calls_per_hour": 1_000_000 }),
        ),
        limit(
            json!({ "longest_s": 86_400, "minutes_per_day": 100_000_000, "cost_per_month": 100_000_000 }),
        ),
        limit(json!({ "calls_per_second": 0.001, "cost_per_day": 0.0001 })),
        limit(json!({ "name": "x".repeat(32), "per": "trunk", "longest_s": 1 })),
        json!({ "region": "DE", "charge_every_s": 6, "warn_percent": 100, "utc_offset_minutes": 840 }),
        json!({ "region": "DE", "charge_every_s": 3600, "warn_percent": 1, "utc_offset_minutes": -720 }),
        json!({ "region": "DE", "prices": { "default_per_minute": 1000, "internal_digits": 10 } }),
    ] {
        assert!(
            Harness::<CallLimits>::try_new(&settings).is_ok(),
            "{settings}"
        );
    }
}

#[test]
fn the_schema_describes_every_setting() {
    let schema = Harness::<CallLimits>::settings_schema().to_string();
    for key in [
        "charge_every_s",
        "inbound_free",
        "minutes_per_month",
        "utc_offset_minutes",
    ] {
        assert!(schema.contains(key), "{key}");
    }
}
