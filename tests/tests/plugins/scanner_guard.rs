//! `scanner-guard`: who looks for a way in, and against whom it counts.

use policy::Severity;
use serde_json::{Value, json};
use sip_message::Anomalies;
use sip_transaction::Transport;

use crate::asking::Ask;
use crate::door::ALICE;
use crate::props::Props;
use crate::refuses_settings;
use crate::scene::{SILENCE, Scene, alerted, answer, said};

const GUEST: &str = "scanner-guard";

fn scene(settings: Value) -> Scene {
    Scene::new(GUEST, settings)
}

fn call() -> Ask {
    Ask::invite("sip:200@pbx.example")
}

fn scan() -> Ask {
    call().agent("friendly-scanner")
}

/// A scene in which callers from inside prove who they are.
fn proving() -> Scene {
    let users = Props::default()
        .user(ALICE.user, ALICE.password)
        .user("mallory", "looking-glass");
    Scene::proving(users, GUEST, json!({}))
}

#[test]
fn scanner_guard_hears_scanners_out_in_silence_and_leaves_telephones_alone() {
    let mut scene = scene(json!({}));
    let sql = "x'%20or%20'1'='1";
    for (ask, reason) in [
        (scan(), "friendly-scanner"),
        (call().agent("sipcli/v1.8"), "sipcli"),
        (call().agent("SUNDAYDDR"), "sundayddr"),
        (call().display("sipvicious"), "From has `sipvicious`"),
        (call().to("sip:sipvicious@pbx.example"), "To has `sipvicious`"),
        (call().from("sip:100@1.1.1.1"), "address of sipvicious"),
        (
            call().header("Contact", "<sip:123@1.1.1.1>"),
            "address of sipvicious",
        ),
        (call().tag("31303030013737"), "tag of sipvicious"),
        (call().tag("313030300137370000"), ""),
        (call().from(&format!("sip:{sql}@pbx.example")), "From"),
        (
            Ask::invite(&format!("sip:{sql}@pbx.example")).to("sip:200@h"),
            "the Request-URI",
        ),
        (call().agent("a' UNION SELECT secret FROM sip"), "User-Agent"),
        (
            call().header(
                "Authorization",
                "Digest username=\"a'; DROP TABLE users\", realm=\"x\", nonce=\"n\", uri=\"sip:x\", response=\"0\"",
            ),
            "credentials",
        ),
    ] {
        let conclusion = scene.judge(&ask);
        let expected = if reason.is_empty() { 0 } else { SILENCE };
        assert_eq!(answer(&conclusion), expected, "{reason}: {ask:?}");
        assert!(said(&conclusion).contains(reason), "{}", said(&conclusion));
        assert!(conclusion.alerts.is_empty(), "one is not enough to tell");
    }
    for telephone in [
        call().agent("Yealink SIP-T46U 108.86.0.20"),
        call().display("Conor O'Brien"),
        Ask::register("alice"),
        call()
            .odd(Anomalies::COMPACT_FORM)
            .odd(Anomalies::VIA_MISMATCH),
    ] {
        let conclusion = scene.judge(&telephone);
        assert_eq!(
            (answer(&conclusion), conclusion.score),
            (0, 0),
            "{telephone:?}"
        );
    }
}

#[test]
fn scanner_guard_bans_a_proved_source_at_the_third_strike_over_a_restart_and_for_a_while() {
    let mut scene = scene(json!({}));
    for _ in 0..2 {
        let strike = scene.judge(&scan().tcp());
        assert_eq!(answer(&strike), SILENCE);
        assert!(strike.alerts.is_empty());
        assert_eq!(scene.ask(&call().tcp()), 0, "not banned yet");
    }
    let third = scene.judge(&scan().tcp());
    assert_eq!(alerted(&third.alerts), ["scanner/81.0.0.1/32"]);
    assert_eq!(third.alerts[0].alert.severity, Severity::Warning);
    let banned = scene.judge(&call().tcp());
    assert_eq!(answer(&banned), SILENCE);
    assert!(banned.alerts.is_empty(), "one alert is enough");
    assert_eq!(scene.ask(&call().tls()), SILENCE);
    for ask in [
        call().tcp().at("81.0.0.2"),
        call(),
        call().tcp().peer("carrier"),
    ] {
        assert_eq!(scene.ask(&ask), 0, "{ask:?}");
    }
    scene.restart();
    assert_eq!(
        scene.ask(&call().tcp()),
        SILENCE,
        "a restart forgets no ban"
    );
    scene.pass_s(2 * 3_600);
    assert_eq!(scene.ask(&call().tcp()), 0, "it ends");
}

#[test]
fn scanner_guard_never_bans_a_source_that_can_be_forged() {
    let mut scene = scene(json!({}));
    for _ in 0..1_000 {
        let conclusion = scene.judge(&scan());
        assert_eq!(answer(&conclusion), SILENCE);
        assert!(
            conclusion.alerts.is_empty(),
            "alarms cannot be forged either"
        );
    }
    for transport in [
        Transport::Udp,
        Transport::Tcp,
        Transport::Tls,
        Transport::Ws,
        Transport::Wss,
    ] {
        assert_eq!(scene.ask(&call().over(transport)), 0, "{transport:?}");
    }
    // An identity that nobody proved is no better.
    assert_eq!(scene.ask(&call().by("alice")), 0);
    // A subscriber's IPv6 network is one source, once it is proved.
    for host in 1..=3 {
        let address = format!("2a01::{host}");
        assert_eq!(scene.ask(&scan().tls().at(&address)), SILENCE);
    }
    assert_eq!(scene.ask(&call().tls().at("2a01::4")), SILENCE);
    assert_eq!(scene.ask(&call().tls().at("2a01:0:0:1::4")), 0);
}

#[test]
fn scanner_guard_bans_a_user_with_a_password_alone() {
    let mut scene = proving();
    let signed = |scene: &mut Scene, ask: Ask, user: &str, address: &str| {
        let ask = scene.signed(ask.inside().at(address), user);
        scene.ask(&ask)
    };
    for _ in 0..3 {
        assert_eq!(signed(&mut scene, scan(), "mallory", "81.0.0.7"), SILENCE);
    }
    assert_eq!(signed(&mut scene, call(), "mallory", "81.0.0.7"), SILENCE);
    assert_eq!(signed(&mut scene, call(), "alice", "81.0.0.7"), 0);
    // From another place it may be the one whose password was stolen.
    assert_eq!(signed(&mut scene, call(), "mallory", "81.0.0.8"), 0);
    assert_eq!(scene.ask(&call().tcp().at("81.0.0.7")), 0);
    scene.restart();
    assert_eq!(signed(&mut scene, call(), "mallory", "81.0.0.7"), SILENCE);
    assert_eq!(signed(&mut scene, call(), "alice", "81.0.0.7"), 0);
}

#[test]
fn scanner_guard_ends_counting_up_at_its_limit_and_lets_known_telephones_go_on() {
    let mut scene = scene(json!({ "enumeration": { "callers": 5, "targets": 6 } }));
    let register = |user: u32| Ask::register(&user.to_string());
    for user in 100..105 {
        assert_eq!(scene.ask(&register(user)), 0);
    }
    for _ in 0..2 {
        let conclusion = scene.judge(&register(105));
        assert_eq!(answer(&conclusion), SILENCE, "trying again helps nobody");
        assert!(said(&conclusion).contains("too many users"));
    }
    assert_eq!(scene.ask(&register(104)), 0, "it was there before");
    assert_eq!(scene.ask(&register(105).tcp()), 0, "counted apart");
    assert_eq!(scene.ask(&register(105).at("81.0.0.2")), 0);
    scene.pass_s(1_201);
    assert_eq!(scene.ask(&register(105)), 0);
    for target in 0..6 {
        let ask = Ask::invite(&format!("sip:{target}@pbx.example")).at("81.0.0.3");
        assert_eq!(scene.ask(&ask), 0, "{target}");
    }
    let seventh = Ask::invite("sip:6@pbx.example").at("81.0.0.3");
    assert_eq!(scene.ask(&seventh), SILENCE);
}

#[test]
fn scanner_guard_adds_up_what_is_odd_and_answers_no_strangers_options() {
    let mut scene = scene(json!({}));
    let malformed = call().odd(Anomalies::CONTROL_CHARACTER);
    let first = scene.judge(&malformed);
    assert_eq!((answer(&first), first.score), (0, 25));
    assert_eq!(scene.ask(&malformed), SILENCE, "50 and 50");
    assert_eq!(scene.ask(&call()), 0, "what is not suspicious goes on");
    scene.pass_s(2 * 3_600);
    assert_eq!(scene.ask(&malformed), 0, "forgotten");

    let options = Ask::new("OPTIONS", "sip:pbx.example").at("81.0.0.4");
    assert_eq!(scene.ask(&options), SILENCE);
    let signed = Ask::register("alice").at("81.0.0.4").header(
        "Authorization",
        "Digest username=\"alice\", realm=\"x\", nonce=\"n\", uri=\"sip:x\", response=\"0\"",
    );
    assert_eq!(scene.ask(&signed), 0);
    assert_eq!(scene.ask(&options), 0, "a telephone that registers");
    assert_eq!(scene.ask(&options.clone().at("81.0.0.5")), SILENCE);
    assert_eq!(scene.ask(&options.peer("carrier").at("81.0.0.5")), 0);
}

#[test]
fn scanner_guard_keeps_what_it_knows_through_a_reload() {
    let mut scene = scene(json!({}));
    for _ in 0..3 {
        assert_eq!(scene.ask(&scan().tcp()), SILENCE);
    }
    scene.keeps_settings(json!({ "limits": { "ban_at": 99 } }), "limits.ban_at");
    assert_eq!(scene.ask(&call().tcp()), SILENCE);
    scene.reload(json!({ "limits": { "ban_at": 500 } }));
    assert_eq!(scene.ask(&call().tcp()), 0);
    scene.reload(json!({ "exempt": { "networks": ["81.0.0.1/32"] } }));
    assert_eq!(scene.ask(&scan().tcp()), 0);
    scene.reload(json!({}));
    assert_eq!(scene.ask(&call().tcp()), SILENCE);
}

/// Settings, and the key that is wrong in them.
fn wrong_settings() -> Vec<(Value, &'static str)> {
    vec![
        (json!({ "exempted": {} }), "exempted"),
        (
            json!({ "exempt": { "networks": ["x"] } }),
            "exempt.networks[0]",
        ),
        (
            json!({ "exempt": { "configured_peers": 1 } }),
            "exempt.configured_peers",
        ),
        (json!({ "options": "answer" }), "options"),
        (json!({ "injection": true }), "injection"),
        (
            json!({ "signatures": { "user_agents": ["sipcli", "ab"] } }),
            "signatures.user_agents[1]",
        ),
        (
            json!({ "signatures": { "more_user_agents": vec!["abc"; 257] } }),
            "signatures.more_user_agents",
        ),
        (
            json!({ "signatures": { "names": ["x".repeat(65)] } }),
            "signatures.names[0]",
        ),
        (
            json!({ "signatures": { "habits": 1 } }),
            "signatures.habits",
        ),
        (
            json!({ "enumeration": { "callers": 100_001 } }),
            "enumeration.callers",
        ),
        (
            json!({ "enumeration": { "targets": 100_001 } }),
            "enumeration.targets",
        ),
        (
            json!({ "enumeration": { "window_s": 9 } }),
            "enumeration.window_s",
        ),
        (
            json!({ "points": { "signature": 1_001 } }),
            "points.signature",
        ),
        (json!({ "points": { "odd": -1 } }), "points.odd"),
        (
            json!({ "limits": { "silence_at": 0 } }),
            "limits.silence_at",
        ),
        (json!({ "limits": { "ban_at": 99 } }), "limits.ban_at"),
        (json!({ "limits": { "forget_s": 9 } }), "limits.forget_s"),
        (
            json!({ "limits": { "unproved_percent": 101 } }),
            "limits.unproved_percent",
        ),
        (
            json!({ "limits": { "ipv6_prefix": 129 } }),
            "limits.ipv6_prefix",
        ),
    ]
}

#[test]
fn scanner_guard_names_the_wrong_key() {
    refuses_settings(GUEST, &wrong_settings());
}
