//! Challenges, exemptions and identities of `digest-auth`.

use digest_auth::DigestAuth;
use sipward_plugin_sdk::testing::{Credentials, Harness, Nonce, Request, Value, json};
use sipward_plugin_sdk::{Dialog, DigestAlgorithm, Zone};

fn harness(more: Value) -> Harness<DigestAuth> {
    let mut settings = json!({ "realm": "example.com" });
    if let (Some(settings), Some(more)) = (settings.as_object_mut(), more.as_object()) {
        settings.extend(more.clone());
    }
    Harness::new(settings).with_user("alice", "secret")
}

fn invite() -> Request {
    Request::invite("sip:+4930123@example.com")
}

fn alice() -> Credentials {
    Credentials::new("example.com", "alice", "secret")
}

#[test]
fn who_says_nothing_is_asked() {
    let harness = harness(json!({}));
    let outcome = harness.call(&invite());
    let challenge = outcome.challenged().unwrap();
    assert_eq!(challenge.realm, "example.com");
    assert_eq!(
        challenge.algorithms,
        [DigestAlgorithm::Sha256, DigestAlgorithm::Md5]
    );
    assert!(!challenge.as_registrar && !challenge.stale);
    let register = harness.call(&Request::register("sip:example.com"));
    assert!(register.challenged().unwrap().as_registrar);
}

#[test]
fn the_right_password_identifies() {
    let harness = harness(json!({}));
    let outcome = harness.call(&invite().credentials(alice()));
    assert!(outcome.is_next());
    assert_eq!(outcome.identity(), Some("alice"));
}

#[test]
fn unknown_user_and_wrong_password_look_the_same() {
    let harness = harness(json!({}));
    let nothing = harness.call(&invite());
    for attempt in 0..8 {
        _ = harness.take_host_calls();
        let wrong =
            harness.call(&invite().credentials(Credentials::new("example.com", "alice", "x")));
        let calls = harness.take_host_calls();
        let unknown = harness.call(
            &invite()
                .from_address("192.0.2.2")
                .credentials(Credentials::new("example.com", "nobody", "x")),
        );
        assert_eq!(wrong.verdict(), unknown.verdict(), "attempt {attempt}");
        assert_eq!(calls, harness.take_host_calls(), "attempt {attempt}");
        assert_eq!(
            wrong.verdict() == nothing.verdict(),
            attempt < 5,
            "attempt {attempt}"
        );
        assert_eq!(wrong.status(), (attempt >= 5).then_some(403));
    }
}

#[test]
fn nonces_that_are_not_fresh_are_renewed_and_not_counted() {
    let harness = harness(json!({}));
    for _ in 0..50 {
        for nonce in [Nonce::Stale, Nonce::Replayed] {
            let outcome = harness.call(&invite().credentials(alice().nonce(nonce)));
            assert!(outcome.challenged().unwrap().stale);
        }
        let forged = Credentials::new("example.com", "alice", "x").nonce(Nonce::Forged);
        assert!(
            !harness
                .call(&invite().credentials(forged))
                .challenged()
                .unwrap()
                .stale
        );
    }
    assert!(harness.call(&invite().credentials(alice())).is_next());
}

#[test]
fn algorithms_and_realms_that_are_not_ours_are_asked_again() {
    let harness = harness(json!({ "algorithms": ["SHA-256"] }));
    let md5 = harness.call(&invite().credentials(alice().algorithm(DigestAlgorithm::Md5)));
    assert!(md5.challenged().is_some());
    let other = Credentials::new("other.example", "alice", "secret");
    assert!(
        harness
            .call(&invite().credentials(other))
            .challenged()
            .is_some()
    );
}

#[test]
fn dialogs_are_asked_for_refer_only() {
    let harness = harness(json!({}));
    assert!(harness.call(&invite().dialog(Dialog::Confirmed)).is_next());
    let refer = Request::refer("sip:bob@example.com", "<sip:1@example.com>");
    assert!(
        harness
            .call(&refer.dialog(Dialog::Confirmed))
            .challenged()
            .is_some()
    );
    for method in ["ACK", "CANCEL", "BYE", "OPTIONS"] {
        assert!(
            harness
                .call(&Request::new(method, "sip:bob@example.com"))
                .is_next(),
            "{method}"
        );
    }
    assert!(
        harness
            .call(&Request::new("invite", "sip:bob@example.com"))
            .is_next()
    );
}

#[test]
fn the_exempt_are_not_asked() {
    let harness = harness(json!({ "exempt": {
        "zones": ["outside"], "networks": ["10.0.0.0/8"], "peers": ["pbx"],
    }}));
    assert!(harness.call(&invite()).is_next());
    let inside = invite().zone(Zone::Inside);
    assert!(harness.call(&inside).challenged().is_some());
    assert!(
        harness
            .call(&inside.clone().from_address("10.255.255.255"))
            .is_next()
    );
    assert!(
        harness
            .call(&inside.clone().from_address("11.0.0.0"))
            .challenged()
            .is_some()
    );
    assert!(harness.call(&inside.clone().peer_name("pbx")).is_next());
    assert!(
        harness
            .call(&inside.peer_name("pbx2"))
            .challenged()
            .is_some()
    );
}

#[test]
fn from_has_to_match_where_told() {
    let harness = harness(json!({ "match_from": "user" }));
    let call = invite().credentials(alice());
    assert!(
        harness
            .call(&call.clone().from_uri("sip:alice@anywhere"))
            .is_next()
    );
    assert!(
        harness
            .call(&call.clone().from_uri("sip:%61lice@anywhere"))
            .is_next()
    );
    for from in [
        "sip:bob@example.com",
        "sip:Alice@example.com",
        "sip:example.com",
        "sip:%6@example.com",
    ] {
        let outcome = harness.call(&call.clone().from_uri(from));
        assert_eq!(
            (outcome.status(), outcome.identity()),
            (Some(403), None),
            "{from}"
        );
    }
    let register = Request::register("sip:example.com").credentials(alice());
    assert!(
        harness
            .call(&register.clone().to_uri("sip:alice@example.com"))
            .is_next()
    );
    assert_eq!(
        harness
            .call(&register.to_uri("sip:bob@example.com"))
            .status(),
        Some(403)
    );
}

#[test]
fn wrong_settings_name_their_key() {
    let wrong = |more: Value| {
        let mut settings = json!({ "realm": "r" });
        settings
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        Harness::<DigestAuth>::try_new(&settings).err().unwrap()
    };
    for (more, key) in [
        (json!({ "realm": "" }), "realm"),
        (json!({ "realm": "r".repeat(129) }), "realm"),
        (json!({ "algorithms": [] }), "algorithms"),
        (json!({ "algorithms": ["MD5", "SHA-1"] }), "algorithms[1]"),
        (json!({ "algorithms": ["MD5", "MD5"] }), "algorithms[1]"),
        (json!({ "methods": ["INVITE", "CANCEL"] }), "methods[1]"),
        (
            json!({ "methods_in_dialog": ["refer"] }),
            "methods_in_dialog[0]",
        ),
        (json!({ "match_from": "yes" }), "match_from"),
        (
            json!({ "exempt": { "networks": ["10.0.0.1/8"] } }),
            "exempt.networks[0]",
        ),
        (json!({ "exempt": { "zones": ["dmz"] } }), "exempt.zones[0]"),
        (
            json!({ "lockout": { "user_failures": 0 } }),
            "lockout.user_failures",
        ),
        (
            json!({ "lockout": { "first_s": 100, "longest_s": 99 } }),
            "lockout.longest_s",
        ),
        (
            json!({ "lockout": { "forget_s": 3599 } }),
            "lockout.forget_s",
        ),
        (
            json!({ "lockout": { "ipv6_prefix": 129 } }),
            "lockout.ipv6_prefix",
        ),
        (json!({ "locksout": {} }), "locksout"),
    ] {
        assert_eq!(wrong(more.clone()).key(), key, "{more}");
    }
    assert!(Harness::<DigestAuth>::try_new(&json!({ "realm": "r".repeat(128) })).is_ok());
    let schema = Harness::<DigestAuth>::settings_schema();
    assert_eq!(schema["properties"]["realm"]["type"], "string");
}
