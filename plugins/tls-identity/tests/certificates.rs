//! Rules, rights and wrong settings of `tls-identity`.

use sipward_plugin_sdk::testing::{Harness, Request, Value, json};
use sipward_plugin_sdk::{Dialog, Transport, Zone};
use tls_identity::TlsIdentity;

fn harness(certificates: Value) -> Harness<TlsIdentity> {
    Harness::new(json!({ "certificates": certificates }))
}

fn with(names: &str) -> Request {
    Request::invite("sip:+4930123456@example.com")
        .transport(Transport::Tls)
        .certificate(names)
}

fn identity(harness: &Harness<TlsIdentity>, request: &Request) -> Option<String> {
    let outcome = harness.call(request);
    assert_eq!(outcome.is_next(), outcome.status().is_none());
    outcome.identity().map(str::to_owned)
}

#[test]
fn names_become_identities() {
    let harness = harness(json!([
        { "names": ["pbx.example.com"], "identity": "headquarters" },
        { "names": ["*.branches.example.com"] },
    ]));
    for (names, expected) in [
        ("pbx.example.com", Some("headquarters")),
        ("other.example.com, PBX.example.com", Some("headquarters")),
        ("sip:pbx.example.com", Some("headquarters")),
        (
            "Bonn.branches.example.com",
            Some("bonn.branches.example.com"),
        ),
        (
            "sip:bonn.branches.example.com",
            Some("bonn.branches.example.com"),
        ),
        ("a.bonn.branches.example.com", None),
        ("sip:alice@pbx.example.com", None),
        ("", None),
    ] {
        assert_eq!(
            identity(&harness, &with(names)).as_deref(),
            expected,
            "{names}"
        );
    }
    let outcome = harness.call(&with("pbx.example.org"));
    assert_eq!(outcome.status(), Some(403));
    let reason = outcome.reason();
    assert!(reason.starts_with("no rule for the certificate pbx.example.org, fingerprint 000"));
    assert!(reason.ends_with("of CN=Test CA"), "{reason}");
}

#[test]
fn everything_that_is_written_has_to_match() {
    let (one, two, three) = ("11".repeat(32), "22".repeat(32), "33".repeat(32));
    let harness = harness(json!([
        { "fingerprints": [two, one.to_uppercase()], "names": ["a.example.com"], "identity": "pinned" },
        { "names": ["a.example.com"], "issuers": ["CN=Own CA, O=Example"], "identity": "own" },
        { "issuers": ["CN=Own CA,O=Example"], "identity": "anybody" },
        { "fingerprints": [three], "issuers": ["CN=Own CA,O=Example"], "identity": "never first" },
    ]));
    let call = |names: &str, fingerprint: &str, issuer: &str| {
        let request = with(names)
            .certificate_fingerprint(fingerprint)
            .certificate_issuer(issuer);
        identity(&harness, &request)
    };
    let own = "cn=own ca,o=example";
    for (names, fingerprint, issuer, expected) in [
        ("a.example.com", one.as_str(), "CN=Test", Some("pinned")),
        ("b.example.com", one.as_str(), "CN=Test", None),
        ("a.example.com", one.as_str(), own, Some("pinned")),
        ("a.example.com", "44", own, Some("own")),
        ("b.example.com", "44", own, Some("anybody")),
        ("a.example.com", "44", "CN=Own CA", None),
        ("b.example.com", three.as_str(), own, Some("anybody")),
    ] {
        assert_eq!(
            call(names, fingerprint, issuer).as_deref(),
            expected,
            "{names} {fingerprint} {issuer}"
        );
    }
}

#[test]
fn holders_have_rights() {
    let harness = harness(json!([{
        "names": ["pbx.example.com"],
        "methods": ["INVITE", "REGISTER"],
        "zones": ["outside"],
        "users": ["reception", "+4930*"],
        "domains": ["example.com", "*.example.net"],
    }]));
    let refusal = |request: Request| {
        let request = request
            .transport(Transport::Tls)
            .certificate("pbx.example.com");
        let outcome = harness.call(&request);
        assert_eq!(outcome.status(), (!outcome.is_next()).then_some(403));
        outcome.reason().replace("pbx.example.com ", "")
    };
    let fine = "by certificate";
    for (request, expected) in [
        (Request::invite("sip:+4930123@example.com"), fine),
        (Request::invite("sip:%2b4930123@EXAMPLE.com"), fine),
        (Request::invite("sip:reception@a.example.net"), fine),
        (
            Request::invite("sip:+4931123@example.com"),
            "may not reach the user `+4931123` in Request-URI",
        ),
        (
            Request::invite("sip:reception2@example.com"),
            "may not reach the user `reception2` in Request-URI",
        ),
        (
            Request::invite("sip:reception@example.org"),
            "may not reach the domain `example.org` in Request-URI",
        ),
        (
            Request::invite("tel:+4930123"),
            "may not reach the domain `` in Request-URI",
        ),
        (
            Request::new("MESSAGE", "sip:reception@example.com"),
            "may not send MESSAGE",
        ),
        (
            Request::invite("sip:reception@example.com").zone(Zone::Inside),
            "may not come from this zone",
        ),
        (
            Request::register("sip:example.com").to_uri("sip:reception@example.com"),
            fine,
        ),
        (
            Request::register("sip:example.com").to_uri("sip:boss@example.com"),
            "may not reach the user `boss` in To",
        ),
        (
            Request::register("sip:example.com").to_uri("sip:reception@example.org"),
            "may not reach the domain `example.org` in To",
        ),
        (
            Request::invite("sip:contact@10.0.0.1").dialog(Dialog::Confirmed),
            fine,
        ),
    ] {
        assert_eq!(refusal(request.clone()), expected, "{request:?}");
    }
}

#[test]
fn certificates_can_be_required() {
    let settings = |more: Value| {
        let mut settings = json!({ "certificates": [{ "names": ["pbx.example.com"] }] });
        settings
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        Harness::<TlsIdentity>::new(settings)
    };
    let plain = Request::invite("sip:bob@example.com");
    let stranger = with("other.example.com");
    for (more, plain_passes, stranger_passes) in [
        (json!({}), true, false),
        (json!({ "unknown": "ignore" }), true, true),
        (json!({ "required": { "zones": ["inside"] } }), true, false),
        (
            json!({ "required": { "zones": ["outside"] }, "unknown": "ignore" }),
            false,
            false,
        ),
        (
            json!({ "required": { "peers": ["office"] }, "unknown": "ignore" }),
            true,
            true,
        ),
    ] {
        let harness = settings(more.clone());
        assert_eq!(harness.call(&plain).is_next(), plain_passes, "{more}");
        assert_eq!(harness.call(&stranger).is_next(), stranger_passes, "{more}");
    }
    let harness = settings(json!({ "required": { "peers": ["office"] }, "answer": "silence" }));
    let outcome = harness.call(&plain.peer_name("office"));
    assert!(outcome.is_silence());
    assert_eq!(outcome.reason(), "192.0.2.1 shows no certificate");
}

#[test]
fn another_identity_stays_goes_or_refuses() {
    let harness = |other: &str| {
        Harness::<TlsIdentity>::new(json!({
            "certificates": [{ "names": ["pbx.example.com"], "identity": "pbx" }],
            "other_identity": other,
        }))
    };
    let request = with("pbx.example.com").identity("alice");
    let kept = harness("keep").call(&request);
    assert!(kept.is_next());
    assert_eq!(kept.identity(), None);
    assert_eq!(kept.annotation("tls-identity"), Some("pbx"));
    assert_eq!(harness("replace").call(&request).identity(), Some("pbx"));
    let refused = harness("refuse").call(&request);
    assert_eq!(refused.status(), Some(403));
    assert_eq!(
        refused.reason(),
        "the certificate is pbx's, the request alice's"
    );
    let same = harness("refuse").call(&with("pbx.example.com").identity("pbx"));
    assert!(same.is_next());
}

#[test]
fn no_host_is_called() {
    let harness = harness(json!([{ "names": ["pbx.example.com"] }]));
    assert!(harness.call(&with("pbx.example.com")).is_next());
    harness.restart();
    assert!(harness.call(&with("pbx.example.com")).is_next());
    assert_eq!(harness.take_host_calls(), 0);
}

#[test]
fn the_number_of_rules_has_two_sides() {
    let settings = |count: u32| {
        let rules: Vec<_> = (0..count)
            .map(|n| json!({ "names": [format!("pbx{n}.example.com")] }))
            .collect();
        json!({ "certificates": rules })
    };
    let most = Harness::<TlsIdentity>::new(settings(1_024));
    assert_eq!(
        identity(&most, &with("pbx1023.example.com")).as_deref(),
        Some("pbx1023.example.com")
    );
    for count in [0, 1_025] {
        let error = Harness::<TlsIdentity>::try_new(&settings(count))
            .err()
            .unwrap();
        assert_eq!(error.key(), "certificates");
    }
}

#[test]
fn wrong_settings_name_their_key() {
    let rule = |rule: Value| json!({ "certificates": [{ "names": ["a.example.com"] }, rule] });
    let many = |count: usize| vec!["a.example.com"; count];
    for (settings, key) in [
        (json!({}), ""),
        (rule(json!({})), "certificates[1]"),
        (rule(json!({ "names": ["*"] })), "certificates[1].names[0]"),
        (rule(json!({ "names": many(257) })), "certificates[1].names"),
        (
            rule(json!({ "fingerprints": ["ab"], "identity": "x" })),
            "certificates[1].fingerprints[0]",
        ),
        (
            rule(json!({ "fingerprints": ["ab"] })),
            "certificates[1].identity",
        ),
        (
            rule(json!({ "issuers": ["CN=x"] })),
            "certificates[1].identity",
        ),
        (
            rule(json!({ "issuers": ["Example CA"], "identity": "x" })),
            "certificates[1].issuers[0]",
        ),
        (
            rule(json!({ "names": ["a.b"], "identity": "" })),
            "certificates[1].identity",
        ),
        (
            rule(json!({ "names": ["a.b"], "identity": "x".repeat(257) })),
            "certificates[1].identity",
        ),
        (
            rule(json!({ "names": ["a.b"], "methods": ["invite"] })),
            "certificates[1].methods[0]",
        ),
        (
            rule(json!({ "names": ["a.b"], "users": ["*"] })),
            "certificates[1].users[0]",
        ),
        (
            rule(json!({ "names": ["a.b"], "domains": ["a", "b*"] })),
            "certificates[1].domains[1]",
        ),
        (
            rule(json!({ "names": ["a.b"], "zones": ["dmz"] })),
            "certificates[1].zones[0]",
        ),
        (rule(json!({ "name": ["a.b"] })), "certificates[1].name"),
        (json!({ "certificates": [], "unknown": "ask" }), "unknown"),
        (
            json!({ "certificates": [{ "names": ["a.b"] }], "required": { "zone": [] } }),
            "required.zone",
        ),
    ] {
        let error = Harness::<TlsIdentity>::try_new(&settings).err().unwrap();
        assert_eq!(error.key(), key, "{settings}: {error}");
    }
}
