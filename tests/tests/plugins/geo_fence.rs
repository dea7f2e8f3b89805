//! `geo-fence`: from where in the world somebody may call. Places come from databases
//! that were made for it, read as an operator's are.

use std::time::Duration;

use policy::Severity;
use serde_json::{Value, json};

use crate::asking::Ask;
use crate::props::Props;
use crate::refuses_settings;
use crate::scene::{SILENCE, Scene, alerted, answer, note, said};

const GUEST: &str = "geo-fence";

/// Public addresses of a small world.
fn world() -> Props {
    Props::default()
        .countries(&[
            ("81.0.0.0/16", "DE"),
            ("82.0.0.0/16", "AT"),
            ("83.0.0.0/16", "RU"),
            ("84.0.0.0/16", "DE"),
            ("2a01::/32", "DE"),
        ])
        .systems(&[
            ("81.0.0.0/16", 3320, "Telekom"),
            ("84.0.0.0/16", 24_940, "Hosting"),
            ("85.0.0.0/16", 64_500, "Carrier"),
        ])
        .group("sales", &["alice", "bob"])
}

fn from(address: &str) -> Ask {
    Ask::register("alice").at(address)
}

fn german() -> Value {
    json!({ "everybody": { "allow": ["DE"], "deny_asns": [24940] } })
}

fn with(key: &str, value: Value) -> Value {
    let mut settings = german();
    settings[key] = value;
    settings
}

#[test]
fn geo_fence_judges_countries_and_networks_on_both_sides_of_their_edges() {
    let mut scene = Scene::with(world(), GUEST, german());
    for (address, status, reason) in [
        ("81.0.0.0", 0, ""),
        ("81.0.255.255", 0, ""),
        ("81.1.0.0", 403, "81.1.0.0: its country is unknown"),
        ("80.255.255.255", 403, "its country is unknown"),
        ("82.0.0.1", 403, "AT is in no list, default deny"),
        ("83.0.0.1", 403, "RU is in no list, default deny"),
        ("84.0.0.1", 403, "AS24940 Hosting (DE) is denied"),
        ("85.0.0.1", 403, "its country is unknown"),
        ("2a01::1", 0, ""),
        ("2a02::1", 403, "its country is unknown"),
        ("10.0.0.1", 0, ""),
        ("100.64.0.1", 0, ""),
        ("fd00::1", 0, ""),
    ] {
        let conclusion = scene.judge(&from(address));
        assert_eq!(answer(&conclusion), status, "{address}");
        assert!(said(&conclusion).ends_with(reason), "{}", said(&conclusion));
    }
    let known = scene.judge(&from("81.0.0.1"));
    assert_eq!(note(&known, "geo.country"), Some("DE"), "for later plugins");
}

#[test]
fn geo_fence_counts_a_listed_network_more_than_its_country() {
    let settings = json!({
        "everybody": { "default": "allow", "deny": ["DE", "RU"], "allow_asns": [3320, 64500] },
        "answer": "silence",
    });
    let mut scene = Scene::with(world(), GUEST, settings);
    for (address, status) in [
        ("81.0.0.1", 0),
        ("84.0.0.1", SILENCE),
        ("83.0.0.1", SILENCE),
        ("82.0.0.1", 0),
        ("85.0.0.1", 0),
        ("86.0.0.1", SILENCE),
    ] {
        assert_eq!(scene.ask(&from(address)), status, "{address}");
    }
}

#[test]
fn geo_fence_has_rules_for_users_and_groups_and_exempts_zones_networks_and_peers() {
    let settings = json!({
        "everybody": { "allow": ["DE"] },
        "rules": [
            { "users": ["alice"], "fence": { "allow": ["DE", "RU"] } },
            { "groups": ["sales"], "fence": { "default": "allow", "deny": ["RU"] } },
        ],
        "travel": { "action": "off" },
        "exempt": { "networks": ["83.0.0.7/32"], "peers": ["carrier"] },
    });
    let mut scene = Scene::with(world(), GUEST, settings);
    for (ask, status) in [
        (from("83.0.0.1").by("alice"), 0),
        (from("82.0.0.1").by("alice"), 403),
        (from("82.0.0.1").by("bob"), 0),
        (from("83.0.0.1").by("bob"), 403),
        (from("81.0.0.1").by("carol"), 0),
        (from("82.0.0.1").by("carol"), 403),
        (from("83.0.0.7"), 0),
        (from("83.0.0.8"), 403),
        (from("83.0.0.1").peer("carrier"), 0),
        (from("83.0.0.1").peer("other"), 403),
        (from("83.0.0.1").inside(), 0),
    ] {
        assert_eq!(scene.ask(&ask), status, "{ask:?}");
    }
}

#[test]
fn geo_fence_without_a_database_lets_nobody_in_unless_told() {
    let mut scene = Scene::new(GUEST, german());
    let conclusion = scene.judge(&from("81.0.0.1"));
    assert_eq!(answer(&conclusion), 403);
    assert!(said(&conclusion).ends_with("there is no database to look it up in"));
    assert_eq!(scene.ask(&from("10.0.0.1")), 0);
    scene.reload(with("unknown", json!("allow")));
    assert_eq!(scene.ask(&from("81.0.0.1")), 0);
    // The operator adds one while the proxy runs.
    scene.reload(german());
    assert_eq!(scene.ask(&from("81.0.0.1")), 403);
    scene.change(|props| props.countries(&[("81.0.0.0/16", "DE")]));
    assert_eq!(scene.ask(&from("81.0.0.1")), 0);
    scene.change(|props| props.countries(&[("81.0.0.0/16", "FR")]));
    assert_eq!(scene.ask(&from("81.0.0.1")), 403, "it moved");
}

const BERLIN: &str = "81.0.0.1";
const PARIS: &str = "82.0.0.1";
const TOKYO: &str = "83.0.0.1";

fn cities() -> Props {
    Props::default().cities(&[
        ("81.0.0.0/16", "DE", 52.52, 13.405),
        ("82.0.0.0/16", "FR", 48.857, 2.352),
        ("83.0.0.0/16", "JP", 35.676, 139.65),
    ])
}

fn travelling(travel: Value) -> Scene {
    let settings = json!({ "everybody": { "default": "allow" }, "travel": travel });
    Scene::with(cities(), GUEST, settings)
}

fn flagged(scene: &mut Scene, user: &str, address: &str) -> bool {
    let conclusion = scene.judge(&from(address).by(user));
    assert_eq!(answer(&conclusion), 0);
    !conclusion.alerts.is_empty()
}

#[test]
fn geo_fence_flags_an_impossible_journey_and_not_the_one_who_stayed() {
    let mut scene = travelling(json!({}));
    assert!(!flagged(&mut scene, "alice", BERLIN));
    scene.pass_s(3_600);
    let conclusion = scene.judge(&from(TOKYO).by("alice"));
    assert_eq!((answer(&conclusion), conclusion.score), (0, 40));
    assert_eq!(alerted(&conclusion.alerts), ["impossible-travel/alice"]);
    let alert = &conclusion.alerts[0].alert;
    assert_eq!(alert.severity, Severity::Critical);
    assert_eq!(
        alert.text,
        "alice is at 83.0.0.1: from DE to JP, 8916 km in 60 min"
    );
    assert!(!flagged(&mut scene, "bob", TOKYO), "he lives there");
    assert!(!flagged(&mut scene, "alice", BERLIN), "she never left");
}

#[test]
fn geo_fence_knows_how_fast_and_how_far_on_both_sides() {
    // 8915.5 km at 1,000 km/h: 8 hours, 54 minutes and 56 seconds.
    for (seconds, expected) in [(32_095, true), (32_097, false)] {
        let mut scene = travelling(json!({}));
        assert!(!flagged(&mut scene, "alice", BERLIN));
        scene.pass_s(seconds);
        assert_eq!(flagged(&mut scene, "alice", TOKYO), expected, "{seconds}");
    }
    for (ignore_km, expected) in [(877, true), (879, false)] {
        let mut scene = travelling(json!({ "ignore_km": ignore_km }));
        assert!(!flagged(&mut scene, "alice", BERLIN));
        let given = flagged(&mut scene, "alice", PARIS);
        assert_eq!(given, expected, "{ignore_km}");
    }
    // Where coordinates are not known, countries count.
    for (millis, expected) in [(7_199_999, true), (7_200_000, false)] {
        let settings = json!({
            "everybody": { "default": "allow" }, "travel": { "neighbours": [["AT", "DE"]] },
        });
        let mut scene = Scene::with(world(), GUEST, settings);
        assert!(!flagged(&mut scene, "alice", "82.0.0.1"));
        assert!(!flagged(&mut scene, "alice", "81.0.0.1"), "neighbours");
        scene.pass(Duration::from_millis(millis));
        assert_eq!(flagged(&mut scene, "alice", "83.0.0.1"), expected);
    }
}

#[test]
fn geo_fence_keeps_places_over_a_restart_and_a_reload() {
    let mut scene = travelling(json!({}));
    assert!(!flagged(&mut scene, "alice", BERLIN));
    scene.restart();
    assert!(flagged(&mut scene, "alice", TOKYO));
    let fast = |kmh: u32| json!({ "action": "refuse", "max_kmh": kmh });
    let settings = |travel: Value| json!({ "everybody": { "default": "allow" }, "travel": travel });
    scene.keeps_settings(settings(fast(49)), "travel.max_kmh");
    assert!(flagged(&mut scene, "alice", TOKYO), "it still only tells");
    scene.reload(settings(fast(1_000)));
    assert_eq!(scene.ask(&from(TOKYO).by("alice")), 403);
    assert_eq!(scene.ask(&from(BERLIN).by("alice")), 0);
    scene.reload(settings(json!({ "action": "off" })));
    assert_eq!(scene.ask(&from(TOKYO).by("alice")), 0);
    scene.reload(settings(fast(1_000)));
    scene.restart();
    assert_eq!(scene.ask(&from(TOKYO).by("alice")), 403, "she is in Berlin");
}

/// Settings, and the key that is wrong in them.
fn wrong_settings() -> Vec<(Value, &'static str)> {
    let fence = |fence: Value| json!({ "everybody": fence });
    let numbers: Vec<u32> = (1..=4_097).collect();
    let users: Vec<_> = (0..1_025).map(|n| n.to_string()).collect();
    let rule = json!({ "users": ["a"], "fence": { "allow": ["DE"] } });
    let rules = |field: &str, value: &[String]| {
        with(
            "rules",
            json!([{ field: value, "fence": { "allow": ["DE"] } }]),
        )
    };
    let travel = |field: &str, value: Value| with("travel", json!({ field: value }));
    vec![
        (json!({}), ""),
        (fence(json!({})), "everybody.allow"),
        (fence(json!({ "allow": ["Germany"] })), "everybody.allow[0]"),
        (
            fence(json!({ "allow": ["DE"], "deny": ["DE"] })),
            "everybody.deny[0]",
        ),
        (
            fence(json!({ "allow_asns": [0] })),
            "everybody.allow_asns[0]",
        ),
        (
            fence(json!({ "allow": ["DE"], "deny_asns": numbers })),
            "everybody.deny_asns",
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
        (rules("users", &users), "rules[0].users"),
        (rules("groups", &users), "rules[0].groups"),
        (with("rules", vec![rule; 257].into()), "rules"),
        (with("zones", json!(["dmz"])), "zones[0]"),
        (
            with("exempt", json!({ "networks": ["10.0.0.0/33"] })),
            "exempt.networks[0]",
        ),
        (with("unknown", json!("drop")), "unknown"),
        (with("private_exempt", json!("no")), "private_exempt"),
        (with("answer", json!("busy")), "answer"),
        (travel("action", json!("stop")), "travel.action"),
        (travel("points", json!(10_001)), "travel.points"),
        (travel("max_kmh", json!(49)), "travel.max_kmh"),
        (travel("max_kmh", json!(10_001)), "travel.max_kmh"),
        (travel("ignore_km", json!(5_001)), "travel.ignore_km"),
        (
            travel("country_minutes", json!(0)),
            "travel.country_minutes",
        ),
        (
            travel("neighbours", json!([["DE", "A"]])),
            "travel.neighbours[0]",
        ),
        (with("countries", json!([])), "countries"),
    ]
}

#[test]
fn geo_fence_names_the_wrong_key() {
    refuses_settings(GUEST, &wrong_settings());
}
