//! Countries, networks, rules and wrong settings of `geo-fence`.

#![expect(clippy::indexing_slicing, reason = "a test ends where it fails")]

use geo_fence::GeoFence;
use sipward_plugin_sdk::geo::Place;
use sipward_plugin_sdk::testing::{Harness, Request, Value, json};
use sipward_plugin_sdk::{Dialog, Severity, Zone};

/// A small world.
fn harness(settings: Value) -> Harness<GeoFence> {
    Harness::new(settings)
        .with_place(
            "192.0.2.0/24",
            Place::in_country("DE").announced_by(3320, "Telekom"),
        )
        .with_place(
            "198.51.100.0/24",
            Place::in_country("AT").announced_by(8447, "A1"),
        )
        .with_place("203.0.113.0/24", Place::in_country("RU"))
        .with_place(
            "203.0.113.128/25",
            Place::in_country("DE").announced_by(24940, "Hosting"),
        )
        .with_place("100.100.0.0/16", Place::in_country("US"))
        .with_place(
            "11.0.0.0/8",
            Place::unknown().announced_by(64500, "Carrier"),
        )
}

fn from(address: &str) -> Request {
    Request::register("sip:example.com").from_address(address)
}

fn german() -> Value {
    json!({ "everybody": { "allow": ["DE"], "deny_asns": [24940] } })
}

#[test]
fn countries_and_networks_decide() {
    let harness = harness(german());
    for (address, reason) in [
        ("192.0.2.1", ""),
        (
            "198.51.100.1",
            "198.51.100.1, nobody known: AT is in no list, default deny",
        ),
        (
            "203.0.113.1",
            "203.0.113.1, nobody known: RU is in no list, default deny",
        ),
        (
            "203.0.113.128",
            "203.0.113.128, nobody known: AS24940 Hosting (DE) is denied",
        ),
        ("8.8.8.8", "8.8.8.8: its country is unknown"),
        ("2001:db8::1", "2001:db8::1: its country is unknown"),
        ("11.0.0.1", "11.0.0.1: its country is unknown"),
        ("10.0.0.1", ""),
        ("100.100.0.1", ""),
        ("fd00::1", ""),
    ] {
        let outcome = harness.call(&from(address));
        assert_eq!(outcome.reason(), reason);
        assert_eq!(
            outcome.status(),
            (!reason.is_empty()).then_some(403),
            "{address}"
        );
    }
    let country = harness.call(&from("192.0.2.1"));
    assert_eq!(country.annotation("geo.country"), Some("DE"));
}

#[test]
fn a_network_counts_more_than_its_country() {
    let harness = harness(json!({
        "everybody": { "default": "allow", "deny": ["DE", "RU"], "allow_asns": [3320, 64500] },
    }));
    for (address, status) in [
        ("192.0.2.1", None),
        ("203.0.113.128", Some(403)),
        ("203.0.113.1", Some(403)),
        ("198.51.100.1", None),
        ("11.0.0.1", None),
        ("8.8.8.8", Some(403)),
    ] {
        assert_eq!(harness.call(&from(address)).status(), status, "{address}");
    }
}

#[test]
fn users_and_groups_have_rules_of_their_own() {
    let harness = harness(json!({
        "everybody": { "allow": ["DE"] },
        "rules": [
            { "users": ["alice"], "fence": { "allow": ["DE", "RU"] } },
            { "groups": ["sales"], "fence": { "default": "allow", "deny": ["RU"] } },
        ],
        "travel": { "action": "off" },
    }))
    .with_group("sales", ["alice", "bob"]);
    for (user, address, allowed) in [
        ("alice", "203.0.113.1", true),
        ("alice", "198.51.100.1", false),
        ("bob", "198.51.100.1", true),
        ("bob", "203.0.113.1", false),
        ("carol", "192.0.2.1", true),
        ("carol", "198.51.100.1", false),
    ] {
        let outcome = harness.call(&from(address).identity(user));
        assert_eq!(outcome.is_next(), allowed, "{user} {address}");
    }
    let reason = harness.call(&from("203.0.113.1").identity("bob"));
    assert_eq!(reason.reason(), "203.0.113.1, bob: RU is denied");
}

#[test]
fn inside_a_call_nobody_is_identified_again() {
    let harness = harness(json!({
        "everybody": { "allow": ["DE"] },
        "rules": [{ "users": ["alice"], "fence": { "allow": ["RU"] } }],
    }));
    let russian = Request::invite("sip:bob@example.com").from_address("203.0.113.1");
    assert_eq!(harness.call(&russian).status(), Some(403));
    let hold = russian.dialog(Dialog::Confirmed);
    assert!(harness.call(&hold).is_next(), "whose call it was");
    let austrian = hold.from_address("198.51.100.1").identity("alice");
    let transfer = harness.call(&austrian);
    assert_eq!(transfer.status(), Some(403), "digest-auth asks some again");
}

#[test]
fn zones_peers_and_networks_are_exempt() {
    let mut settings = german();
    settings["exempt"] = json!({ "networks": ["203.0.113.7"], "peers": ["carrier"] });
    settings["answer"] = json!("silence");
    let harness = harness(settings);
    let russian = from("203.0.113.1");
    assert!(harness.call(&russian).is_silence());
    assert!(harness.call(&russian.clone().zone(Zone::Inside)).is_next());
    assert!(harness.call(&russian.peer_name("carrier")).is_next());
    assert!(harness.call(&from("203.0.113.7")).is_next());
    assert!(harness.call(&from("203.0.113.8")).is_silence());
    let _calls = harness.take_host_calls();
    assert!(harness.call(&from("203.0.113.7")).is_next());
    assert_eq!(harness.take_host_calls(), 0);
}

#[test]
fn the_unknown_and_the_private_have_settings() {
    let mut settings = german();
    settings["unknown"] = json!("allow");
    let lenient = harness(settings.clone());
    assert!(lenient.call(&from("8.8.8.8")).is_next());
    settings["private_exempt"] = json!(false);
    let strict = harness(settings);
    assert!(
        strict.call(&from("10.0.0.1")).is_next(),
        "unknown, which passes"
    );
    let shared = strict.call(&from("100.100.0.1"));
    assert_eq!(shared.status(), Some(403), "the database knows it");
    let mut settings = german();
    settings["private_exempt"] = json!(false);
    assert_eq!(
        harness(settings).call(&from("10.0.0.1")).status(),
        Some(403)
    );
}

#[test]
fn without_a_database_everything_is_unknown() {
    let harness = Harness::<GeoFence>::new(german());
    let outcome = harness.call(&from("192.0.2.1"));
    assert_eq!(outcome.status(), Some(403));
    assert_eq!(
        outcome.reason(),
        "192.0.2.1: there is no database to look it up in"
    );
    let mut settings = german();
    settings["unknown"] = json!("allow");
    let lenient = Harness::<GeoFence>::new(settings);
    assert!(lenient.call(&from("192.0.2.1")).is_next());
}

#[test]
fn a_failing_store_refuses_where_journeys_are_refused() {
    for (action, passes) in [("alert", true), ("refuse", false), ("off", true)] {
        let mut settings = german();
        settings["travel"] = json!({ "action": action });
        let harness = harness(settings);
        harness.set_keyvalue_fails(true);
        let outcome = harness.call(&from("192.0.2.1").identity("alice"));
        assert_eq!(outcome.is_next(), passes, "{action}");
        let alerts: Vec<_> = outcome.alerts().map(|alert| alert.severity).collect();
        let expected = if action == "alert" {
            vec![Severity::Warning]
        } else {
            vec![]
        };
        assert_eq!(alerts, expected, "{action}");
        assert!(
            harness.call(&from("192.0.2.1")).is_next(),
            "nobody to remember"
        );
    }
}

fn with(key: &str, value: Value) -> Value {
    let mut settings = german();
    settings[key] = value;
    settings
}

fn rule() -> Value {
    json!({ "users": ["a"], "fence": { "allow": ["DE"] } })
}

/// Settings that are wrong, and the key that is.
fn wrong_settings() -> Vec<(Value, &'static str)> {
    let fence = |fence: Value| json!({ "everybody": fence });
    let asns: Vec<u32> = (1..=4_097).collect();
    let users: Vec<_> = (0..1_025).map(|n| n.to_string()).collect();
    let rule = rule();
    vec![
        (json!({}), ""),
        (fence(json!({})), "everybody.allow"),
        (fence(json!({ "deny": ["RU"] })), "everybody.allow"),
        (fence(json!({ "allow": ["Germany"] })), "everybody.allow[0]"),
        (
            fence(json!({ "allow": ["DE", "de"] })),
            "everybody.allow[1]",
        ),
        (
            fence(json!({ "allow": ["DE"], "deny": ["DE"] })),
            "everybody.deny[0]",
        ),
        (
            fence(json!({ "allow_asns": [0] })),
            "everybody.allow_asns[0]",
        ),
        (
            fence(json!({ "allow": ["DE"], "deny_asns": asns })),
            "everybody.deny_asns",
        ),
        (
            fence(json!({ "allow": ["DE"], "allow_asns": [1], "deny_asns": [1] })),
            "everybody.deny_asns[0]",
        ),
        (fence(json!({ "default": "ask" })), "everybody.default"),
        (fence(json!({ "alow": [] })), "everybody.alow"),
        (
            with("rules", json!([{ "fence": { "allow": ["DE"] } }])),
            "rules[0]",
        ),
        (
            with(
                "rules",
                json!([rule.clone(), { "users": ["a"], "fence": {} }]),
            ),
            "rules[1].fence.allow",
        ),
        (
            with(
                "rules",
                json!([{ "users": users, "fence": { "allow": ["DE"] } }]),
            ),
            "rules[0].users",
        ),
        (
            with(
                "rules",
                json!([{ "groups": users, "fence": { "allow": ["DE"] } }]),
            ),
            "rules[0].groups",
        ),
        (with("rules", vec![rule; 257].into()), "rules"),
        (with("zones", json!(["dmz"])), "zones[0]"),
        (
            with("exempt", json!({ "networks": ["10.0.0.0/33"] })),
            "exempt.networks[0]",
        ),
        (with("unknown", json!("drop")), "unknown"),
        (with("answer", json!("busy")), "answer"),
        (with("travel", json!({ "action": "stop" })), "travel.action"),
        (with("travel", json!({ "points": 10_001 })), "travel.points"),
        (with("travel", json!({ "max_kmh": 49 })), "travel.max_kmh"),
        (
            with("travel", json!({ "max_kmh": 10_001 })),
            "travel.max_kmh",
        ),
        (
            with("travel", json!({ "ignore_km": 5_001 })),
            "travel.ignore_km",
        ),
        (
            with("travel", json!({ "country_minutes": 0 })),
            "travel.country_minutes",
        ),
        (
            with("travel", json!({ "country_minutes": 10_081 })),
            "travel.country_minutes",
        ),
        (
            with("travel", json!({ "neighbours": [["DE", "A"]] })),
            "travel.neighbours[0]",
        ),
        (with("countries", json!([])), "countries"),
    ]
}

#[test]
fn wrong_settings_name_their_key() {
    for (settings, key) in wrong_settings() {
        let error = Harness::<GeoFence>::try_new(&settings).err().unwrap();
        assert_eq!(error.key(), key, "{settings}: {error}");
    }
    for (key, value) in [
        (
            "travel",
            json!({ "max_kmh": 50, "country_minutes": 10_080, "points": 0 }),
        ),
        ("rules", vec![rule(); 256].into()),
    ] {
        assert!(
            Harness::<GeoFence>::try_new(&with(key, value)).is_ok(),
            "{key}"
        );
    }
}
