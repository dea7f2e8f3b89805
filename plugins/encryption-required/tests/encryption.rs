//! Demands, floors, downgrades and wrong settings of `encryption-required`.

use std::time::Duration;

use encryption_required::EncryptionRequired;
use sipward_plugin_sdk::testing::{Harness, Request, Value, json};
use sipward_plugin_sdk::{Dialog, MediaRequirement, Transport, Zone};

fn harness(settings: Value) -> Harness<EncryptionRequired> {
    Harness::new(settings)
}

fn invite() -> Request {
    Request::invite("sip:+4930123456@example.com")
}

/// 0 if the request passes, the status if not, and the highest for silence.
fn status(harness: &Harness<EncryptionRequired>, request: &Request) -> u16 {
    let outcome = harness.call(request);
    if outcome.is_next() {
        0
    } else {
        outcome.status().unwrap_or(u16::MAX)
    }
}

#[test]
fn everything_is_required_by_default() {
    let harness = harness(json!({}));
    for zone in [Zone::Inside, Zone::Outside] {
        for transport in [Transport::Udp, Transport::Tcp, Transport::Ws] {
            let outcome = harness.call(&invite().zone(zone).transport(transport));
            assert_eq!(outcome.status(), Some(403), "{transport:?}");
            assert_eq!(
                outcome.reason(),
                "an unknown peer at 192.0.2.1 has to use TLS"
            );
        }
    }
    let harness = self::harness(json!({}));
    for transport in [Transport::Tls, Transport::Wss] {
        let outcome = harness.call(&invite().transport(transport));
        assert!(outcome.is_next());
        assert_eq!(outcome.media_requirement(), MediaRequirement::EncryptedBoth);
    }
}

#[test]
fn zones_and_peers_differ() {
    let harness = harness(json!({
        "inside": { "signalling": "any", "media": "encrypted" },
        "peers": {
            "fax": { "media": "any" },
            "old": { "signalling": "any", "media": "any" },
        },
    }));
    let inside = invite().zone(Zone::Inside);
    let outcome = harness.call(&inside);
    assert!(outcome.is_next());
    assert_eq!(outcome.media_requirement(), MediaRequirement::Encrypted);
    let fax = harness.call(&inside.clone().peer_name("fax"));
    assert!(fax.is_next());
    assert_eq!(fax.media_requirement(), MediaRequirement::Any);
    let outside = harness.call(&invite().peer_name("fax"));
    assert_eq!(
        outside.reason(),
        "fax at 192.0.2.1 has to use TLS",
        "only media is excepted"
    );
    let old = harness.call(&invite().peer_name("old"));
    assert!(old.is_next());
    assert_eq!(old.effects(), []);
}

#[test]
fn media_is_required_when_a_call_begins() {
    let harness = harness(json!({}));
    for request in [
        Request::register("sip:example.com"),
        Request::new("MESSAGE", "sip:bob@example.com"),
        invite().dialog(Dialog::Confirmed),
    ] {
        let outcome = harness.call(&request.transport(Transport::Tls));
        assert!(outcome.is_next());
        assert_eq!(outcome.effects(), []);
    }
}

#[test]
fn sips_is_a_promise() {
    let open = json!({ "signalling": "any" });
    let harness = harness(json!({ "inside": open, "outside": open }));
    let sips = Request::invite("sips:bob@example.com");
    assert_eq!(status(&harness, &sips), 403);
    assert_eq!(status(&harness, &sips.transport(Transport::Tls)), 0);
    assert_eq!(
        status(
            &harness,
            &Request::invite("sip:bob@example.com").from_address("192.0.2.2")
        ),
        0
    );
}

#[test]
fn sessions_below_the_floor_are_refused() {
    let strong = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384";
    let short = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
    let cbc = "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384";
    let rsa = "TLS_RSA_WITH_AES_256_GCM_SHA384";
    let judge = |settings: Value, version: &str, cipher: &str| {
        status(&harness(settings), &invite().tls(version, cipher))
    };
    for (settings, version, cipher, expected) in [
        (json!({}), "TLSv1.2", short, 0),
        (json!({}), "TLSv1.1", short, 403),
        (json!({}), "TLSv1.4", strong, 403),
        (json!({ "tls_version": "1.3" }), "TLSv1.2", strong, 403),
        (
            json!({ "tls_version": "1.3" }),
            "TLSv1.3",
            "TLS_AES_128_GCM_SHA256",
            0,
        ),
        (json!({ "cipher_bits": 256 }), "TLSv1.2", short, 403),
        (json!({ "cipher_bits": 256 }), "TLSv1.2", strong, 0),
        (json!({}), "TLSv1.2", cbc, 403),
        (json!({ "aead": false }), "TLSv1.2", cbc, 0),
        (json!({}), "TLSv1.2", rsa, 403),
        (json!({ "forward_secrecy": false }), "TLSv1.2", rsa, 0),
        (json!({ "ciphers": [strong] }), "TLSv1.2", strong, 0),
        (json!({ "ciphers": [strong] }), "TLSv1.2", short, 403),
        (json!({}), "TLSv1.2", "TLS_ECDHE_RSA_WITH_NULL_SHA", 403),
    ] {
        let text = settings.to_string();
        assert_eq!(
            judge(settings, version, cipher),
            expected,
            "{text} {cipher}"
        );
    }
    let harness = harness(json!({}));
    assert_eq!(
        harness.call(&invite().tls("TLSv1.2", cbc)).reason(),
        format!("an unknown peer at 192.0.2.1: {cbc} is no AEAD")
    );
}

#[test]
fn silence_is_an_answer() {
    let harness = harness(json!({ "answer": "silence" }));
    assert!(harness.call(&invite()).is_silence());
}

#[test]
fn a_downgrade_is_reported_and_refused_where_tls_is_required() {
    let harness = harness(json!({}));
    let first = harness.call(&invite());
    assert_eq!(
        first.alerts().count(),
        0,
        "nothing is known of the source yet"
    );
    assert!(harness.call(&invite().transport(Transport::Tls)).is_next());
    harness.restart();
    let outcome = harness.call(&invite());
    assert_eq!(outcome.status(), Some(403));
    let alert = outcome.alerts().next().unwrap();
    assert_eq!(alert.key, "downgrade/192.0.2.1");
    assert_eq!(
        alert.text,
        "192.0.2.1 used TLS before and comes without, from 192.0.2.1, an address that can be forged"
    );
    let other = harness.call(&invite().from_address("192.0.2.2"));
    assert_eq!(other.alerts().count(), 0);
}

#[test]
fn where_nothing_is_required_a_downgrade_passes_or_not() {
    let open = json!({ "signalling": "any", "media": "any" });
    for (downgrade, expected) in [("alert", 0), ("refuse", 403)] {
        let harness = harness(json!({ "inside": open, "outside": open, "downgrade": downgrade }));
        let alice = invite().identity("alice");
        assert_eq!(status(&harness, &alice), 0);
        assert_eq!(
            status(&harness, &alice.clone().transport(Transport::Tls)),
            0
        );
        let elsewhere = alice.clone().from_address("203.0.113.9");
        let outcome = harness.call(&elsewhere);
        assert_eq!(outcome.status().unwrap_or(0), expected);
        let alert = outcome.alerts().next().unwrap();
        assert_eq!(alert.key, "downgrade/alice");
        assert_eq!(
            alert.text,
            "alice used TLS before and comes without, from 203.0.113.9"
        );
        assert_eq!(status(&harness, &invite().identity("bob")), 0);
        assert_eq!(status(&harness, &invite().peer_name("alice")), 0);
    }
}

#[test]
fn media_is_remembered_too() {
    let open = json!({ "signalling": "any", "media": "any" });
    let harness = harness(json!({ "inside": open, "outside": open }));
    let alice = invite().identity("alice");
    let plain = alice.clone().offer("audio", "RTP/AVP", false);
    let secure = alice.clone().offer("audio", "RTP/SAVP", true);
    assert_eq!(harness.call(&plain).alerts().count(), 0);
    assert_eq!(harness.call(&secure).alerts().count(), 0);
    let outcome = harness.call(&plain);
    assert!(outcome.is_next());
    assert_eq!(
        outcome.alerts().next().unwrap().text,
        "alice used SRTP before and comes without, from 192.0.2.1"
    );
    let both = secure.clone().offer("audio", "RTP/AVP", false);
    assert_eq!(harness.call(&both).alerts().count(), 0, "keys are offered");
    let fax = alice.clone().offer("image", "udptl", false);
    assert_eq!(harness.call(&fax).alerts().count(), 0);
    assert_eq!(harness.call(&alice).alerts().count(), 0, "no offer at all");
}

#[test]
fn forged_addresses_teach_nothing() {
    let open = json!({ "signalling": "any", "media": "any" });
    let harness = harness(json!({ "inside": open, "outside": open }));
    let secure = invite().offer("audio", "RTP/SAVP", true);
    let plain = invite().offer("audio", "RTP/AVP", false);
    assert!(harness.call(&secure).is_next());
    assert_eq!(harness.call(&plain).alerts().count(), 0);
    assert!(harness.call(&secure.transport(Transport::Tcp)).is_next());
    assert_eq!(harness.call(&plain).alerts().count(), 1);
}

#[test]
fn memory_ends() {
    let harness = harness(json!({ "remember_days": 1 }));
    let tls = invite().transport(Transport::Tls);
    assert!(harness.call(&tls).is_next());
    harness.advance(Duration::from_secs(24 * 3600 - 1));
    assert_eq!(harness.call(&invite()).alerts().count(), 1);
    harness.advance(Duration::from_secs(25 * 3600));
    assert_eq!(harness.call(&invite()).alerts().count(), 0);
    let none = self::harness(json!({ "remember_days": 0 }));
    assert!(none.call(&tls).is_next());
    assert_eq!(none.call(&invite()).alerts().count(), 0);
    let named = self::harness(json!({ "remember_sources": false }));
    assert!(named.call(&tls).is_next());
    assert_eq!(named.call(&invite()).alerts().count(), 0);
    let trunk = tls.peer_name("carrier");
    assert!(named.call(&trunk).is_next());
    assert_eq!(
        named
            .call(&trunk.transport(Transport::Udp))
            .alerts()
            .count(),
        1
    );
}

#[test]
fn full_counters_refuse_where_downgrades_are_refused() {
    let open = json!({ "signalling": "any", "media": "any" });
    for (downgrade, expected) in [("alert", 0), ("refuse", 403)] {
        let harness = harness(json!({ "inside": open, "outside": open, "downgrade": downgrade }));
        harness.set_counters_full(true);
        assert_eq!(status(&harness, &invite()), expected);
        assert_eq!(status(&harness, &invite().transport(Transport::Tls)), 0);
    }
}

#[test]
fn a_request_costs_few_host_calls() {
    let harness = harness(json!({}));
    let call = invite()
        .transport(Transport::Tls)
        .offer("audio", "RTP/SAVP", true);
    assert!(harness.call(&call).is_next());
    let _first = harness.take_host_calls();
    assert!(harness.call(&call).is_next());
    assert_eq!(harness.take_host_calls(), 3);
}

#[test]
fn wrong_settings_name_their_key() {
    let names: Vec<_> = (0..65).map(|_| "TLS_AES_256_GCM_SHA384").collect();
    for (settings, key) in [
        (
            json!({ "inside": { "signalling": "none" } }),
            "inside.signalling",
        ),
        (json!({ "outside": { "media": "srtp" } }), "outside.media"),
        (json!({ "outside": { "medium": "any" } }), "outside.medium"),
        (json!({ "peers": { "a": {} } }), "peers.a"),
        (json!({ "peers": { "": { "media": "any" } } }), "peers."),
        (json!({ "tls_version": "1.1" }), "tls_version"),
        (json!({ "cipher_bits": 129 }), "cipher_bits"),
        (json!({ "ciphers": names }), "ciphers"),
        (json!({ "ciphers": ["AES256-SHA"] }), "ciphers[0]"),
        (json!({ "answer": "busy" }), "answer"),
        (json!({ "remember_days": 366 }), "remember_days"),
        (json!({ "downgrade": "ignore" }), "downgrade"),
        (json!({ "tls": true }), "tls"),
    ] {
        let error = Harness::<EncryptionRequired>::try_new(&settings)
            .err()
            .unwrap();
        assert_eq!(error.key(), key, "{settings}: {error}");
    }
    assert!(Harness::<EncryptionRequired>::try_new(&json!({ "remember_days": 365 })).is_ok());
}

#[test]
fn a_reload_keeps_what_is_remembered() {
    let open = json!({ "signalling": "any", "media": "any" });
    let harness = harness(json!({}));
    assert!(harness.call(&invite().transport(Transport::Tls)).is_next());
    harness
        .reload(&json!({ "inside": open, "outside": open }))
        .unwrap();
    let outcome = harness.call(&invite());
    assert!(outcome.is_next());
    assert_eq!(outcome.alerts().count(), 1);
    assert!(harness.reload(&json!({ "cipher_bits": 64 })).is_err());
    assert!(harness.call(&invite()).is_next(), "the old settings hold");
}
