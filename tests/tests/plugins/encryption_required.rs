//! `encryption-required`: TLS for signalling, SRTP for media.

use std::time::Duration;

use policy::MediaRequirement;
use serde_json::{Value, json};
use sip_transaction::Transport;

use crate::asking::Ask;
use crate::refuses_settings;
use crate::scene::{SILENCE, Scene, alerted, answer, permit, said};

const GUEST: &str = "encryption-required";

fn scene(settings: Value) -> Scene {
    Scene::new(GUEST, settings)
}

/// Nothing is demanded, only remembered.
fn open(downgrade: &str) -> Value {
    let any = json!({ "signalling": "any", "media": "any" });
    json!({ "inside": any, "outside": any, "downgrade": downgrade })
}

fn call() -> Ask {
    Ask::invite("sip:+4930123456@pbx.example")
}

/// Alerts that a request raises, by key.
fn alerts(scene: &mut Scene, ask: &Ask) -> Vec<String> {
    let conclusion = scene.judge(ask);
    let keys = alerted(&conclusion.alerts);
    keys.into_iter().map(str::to_owned).collect()
}

#[test]
fn encryption_required_takes_tls_alone_and_asks_for_srtp_on_both_legs() {
    let mut scene = scene(json!({}));
    for (transport, status) in [
        (Transport::Udp, 403),
        (Transport::Tcp, 403),
        (Transport::Ws, 403),
    ] {
        for ask in [call().over(transport), call().over(transport).inside()] {
            let conclusion = scene.judge(&ask);
            assert_eq!(answer(&conclusion), status, "{transport:?}");
            assert!(said(&conclusion).ends_with("has to use TLS"));
        }
    }
    let conclusion = scene.judge(&call().tls());
    assert_eq!(answer(&conclusion), 0, "{}", said(&conclusion));
    let media = permit(&conclusion).media_requirement();
    assert_eq!(media, MediaRequirement::EncryptedBoth);
    let later = scene.judge(&call().tls().within());
    assert_eq!(permit(&later).media_requirement(), MediaRequirement::Any);
    // A session that nobody knows anything about is no session.
    assert_eq!(scene.ask(&call().over(Transport::Tls)), 403);
}

#[test]
fn encryption_required_has_a_floor_with_two_sides() {
    let short = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
    let long = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384";
    let cbc = "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384";
    let rsa = "TLS_RSA_WITH_AES_256_GCM_SHA384";
    for (settings, version, cipher, status) in [
        (json!({}), "TLSv1.2", short, 0),
        (json!({}), "TLSv1.1", short, 403),
        (json!({ "tls_version": "1.3" }), "TLSv1.2", long, 403),
        (
            json!({ "tls_version": "1.3" }),
            "TLSv1.3",
            "TLS_AES_128_GCM_SHA256",
            0,
        ),
        (json!({ "cipher_bits": 256 }), "TLSv1.2", short, 403),
        (json!({ "cipher_bits": 256 }), "TLSv1.2", long, 0),
        (json!({}), "TLSv1.2", cbc, 403),
        (json!({ "aead": false }), "TLSv1.2", cbc, 0),
        (json!({}), "TLSv1.2", rsa, 403),
        (json!({ "forward_secrecy": false }), "TLSv1.2", rsa, 0),
        (json!({ "ciphers": [long] }), "TLSv1.2", short, 403),
        (json!({ "ciphers": [long] }), "TLSv1.2", long, 0),
    ] {
        let text = settings.to_string();
        let given = scene(settings).ask(&call().session(version, cipher));
        assert_eq!(given, status, "{text} {version} {cipher}");
    }
}

#[test]
fn encryption_required_excepts_peers_and_zones_as_told_and_keeps_the_promise_of_sips() {
    let mut scene = scene(json!({
        "inside": { "signalling": "any", "media": "encrypted" },
        "peers": {
            "fax": { "media": "any" },
            "old": { "signalling": "any", "media": "any" },
        },
        "answer": "silence",
    }));
    for (ask, expected) in [
        (call().inside(), Ok(MediaRequirement::Encrypted)),
        (call().inside().peer("fax"), Ok(MediaRequirement::Any)),
        (call().peer("fax"), Err(SILENCE)),
        (call().peer("fax").tls(), Ok(MediaRequirement::Any)),
        (call().peer("old"), Ok(MediaRequirement::Any)),
        (call(), Err(SILENCE)),
        (Ask::invite("sips:bob@pbx.example").inside(), Err(SILENCE)),
    ] {
        let conclusion = scene.judge(&ask);
        let given = match answer(&conclusion) {
            0 => Ok(permit(&conclusion).media_requirement()),
            status => Err(status),
        };
        assert_eq!(given, expected, "{ask:?}");
    }
}

#[test]
fn encryption_required_reports_or_refuses_a_downgrade() {
    for (downgrade, status) in [("alert", 0), ("refuse", 403)] {
        let mut scene = scene(open(downgrade));
        let alice = call().by("alice");
        assert_eq!(scene.ask(&alice), 0, "nothing is known of her yet");
        assert_eq!(scene.ask(&alice.clone().tls()), 0);
        let fallen = scene.judge(&alice.clone().at("81.0.0.9"));
        assert_eq!(answer(&fallen), status);
        assert_eq!(alerted(&fallen.alerts), ["downgrade/alice"]);
        assert_eq!(scene.ask(&call().by("bob")), 0);
        // Keys in the offer are remembered apart, and only what is proved.
        let (plain, secure) = (
            call().offer("audio", "RTP/AVP", false),
            call().offer("audio", "RTP/SAVP", true),
        );
        assert_eq!(scene.ask(&secure), 0);
        assert!(alerts(&mut scene, &plain).is_empty(), "it may be forged");
        assert_eq!(scene.ask(&secure.tcp()), 0);
        assert_eq!(alerts(&mut scene, &plain), ["downgrade/81.0.0.1"]);
        assert_eq!(scene.ask(&plain), status);
    }
}

#[test]
fn encryption_required_remembers_over_a_restart_and_for_its_days_only() {
    let mut settings = open("refuse");
    settings["remember_days"] = json!(1);
    let mut scene = scene(settings);
    assert_eq!(scene.ask(&call().tls()), 0);
    scene.restart();
    assert_eq!(scene.ask(&call()), 403);
    scene.pass(Duration::from_millis(24 * 3_600_000 - 1));
    assert_eq!(scene.ask(&call()), 403);
    scene.restart();
    scene.pass(Duration::from_secs(25 * 3_600));
    assert_eq!(scene.ask(&call()), 0, "forgotten");
}

#[test]
fn encryption_required_goes_on_remembering_through_a_reload() {
    let mut scene = scene(json!({}));
    assert_eq!(scene.ask(&call().tls()), 0);
    assert_eq!(scene.ask(&call()), 403);
    scene.keeps_settings(json!({ "cipher_bits": 64 }), "cipher_bits");
    assert_eq!(scene.ask(&call()), 403, "the old ones hold");
    scene.reload(open("alert"));
    let conclusion = scene.judge(&call());
    assert_eq!(answer(&conclusion), 0);
    assert_eq!(alerted(&conclusion.alerts), ["downgrade/81.0.0.1"]);
    scene.reload(open("refuse"));
    assert_eq!(scene.ask(&call()), 403);
}

/// Settings, and the key that is wrong in them.
fn wrong_settings() -> Vec<(Value, &'static str)> {
    let names = vec!["TLS_AES_256_GCM_SHA384"; 65];
    vec![
        (
            json!({ "inside": { "signalling": "none" } }),
            "inside.signalling",
        ),
        (json!({ "outside": { "media": "srtp" } }), "outside.media"),
        (json!({ "outside": { "medium": "any" } }), "outside.medium"),
        (json!({ "peers": { "a": {} } }), "peers.a"),
        (
            json!({ "peers": { "a": { "media": "no" } } }),
            "peers.a.media",
        ),
        (json!({ "tls_version": "1.1" }), "tls_version"),
        (json!({ "cipher_bits": 129 }), "cipher_bits"),
        (json!({ "forward_secrecy": "yes" }), "forward_secrecy"),
        (json!({ "aead": 1 }), "aead"),
        (json!({ "ciphers": names }), "ciphers"),
        (json!({ "ciphers": ["AES256-SHA"] }), "ciphers[0]"),
        (json!({ "answer": "busy" }), "answer"),
        (json!({ "remember_days": 366 }), "remember_days"),
        (json!({ "remember_sources": 1 }), "remember_sources"),
        (json!({ "downgrade": "ignore" }), "downgrade"),
        (json!({ "tls": true }), "tls"),
    ]
}

#[test]
fn encryption_required_names_the_wrong_key() {
    refuses_settings(GUEST, &wrong_settings());
    assert_eq!(scene(json!({ "remember_days": 365 })).ask(&call()), 403);
}
