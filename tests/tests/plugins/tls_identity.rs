//! `tls-identity`: who the holder of a certificate is, and what they may do.

use serde_json::{Value, json};

use crate::asking::Ask;
use crate::refuses_settings;
use crate::scene::{SILENCE, Scene, answer, note, permit, said};

const GUEST: &str = "tls-identity";
const OWN: &str = "CN=Own CA,O=Example";

fn scene(certificates: Value) -> Scene {
    Scene::new(GUEST, json!({ "certificates": certificates }))
}

fn holder(names: &[&str]) -> Ask {
    of(Ask::invite("sip:+4930123456@example.com"), names)
}

fn of(ask: Ask, names: &[&str]) -> Ask {
    ask.certificate(names, &"44".repeat(32), OWN)
}

/// Who a request is by then, or nobody if it is refused.
fn identity(scene: &mut Scene, ask: &Ask) -> Option<String> {
    let conclusion = scene.judge(ask);
    match answer(&conclusion) {
        0 => permit(&conclusion).identity().map(str::to_owned),
        status => {
            assert_eq!(status, 403, "{}", said(&conclusion));
            None
        }
    }
}

#[test]
fn tls_identity_makes_names_issuers_and_fingerprints_one_identity() {
    let pinned = "9f".repeat(32);
    let mut scene = scene(json!([
        { "fingerprints": [pinned.to_uppercase()], "identity": "pinned" },
        { "names": ["pbx.example.com"], "identity": "headquarters" },
        { "names": ["*.branches.example.com"], "issuers": ["CN=Own CA, O=Example"] },
    ]));
    for (names, fingerprint, issuer, expected) in [
        (["pbx.example.com"], "44", OWN, Some("headquarters")),
        (["PBX.example.com"], "44", OWN, Some("headquarters")),
        (["sip:pbx.example.com"], "44", OWN, Some("headquarters")),
        (["a.pbx.example.com"], "44", OWN, None),
        (
            ["Bonn.branches.example.com"],
            "44",
            OWN,
            Some("bonn.branches.example.com"),
        ),
        (["bonn.branches.example.com"], "44", "CN=Other CA", None),
        (["a.bonn.branches.example.com"], "44", OWN, None),
        (
            ["pbx.example.com"],
            pinned.as_str(),
            "CN=Other CA",
            Some("pinned"),
        ),
        ([""], "44", OWN, None),
    ] {
        let ask = Ask::invite("sip:bob@example.com").certificate(&names, fingerprint, issuer);
        assert_eq!(identity(&mut scene, &ask).as_deref(), expected, "{names:?}");
    }
    let several = holder(&["other.example.com", "pbx.example.com"]);
    let known = identity(&mut scene, &several);
    assert_eq!(known.as_deref(), Some("headquarters"));
    let stranger = scene.judge(&holder(&["pbx.example.org"]));
    assert!(
        said(&stranger).starts_with("no rule for the certificate pbx.example.org, fingerprint 44"),
        "{}",
        said(&stranger)
    );
}

#[test]
fn tls_identity_gives_a_holder_its_rights_and_no_more() {
    let mut scene = scene(json!([{
        "names": ["pbx.example.com"],
        "methods": ["INVITE", "REGISTER"],
        "zones": ["outside"],
        "users": ["reception", "+4930*"],
        "domains": ["example.com", "*.example.net"],
    }]));
    let register = |to: &str| Ask::new("REGISTER", "sip:example.com").to(to);
    for (ask, status) in [
        (Ask::invite("sip:+4930123@example.com"), 0),
        (Ask::invite("sip:%2b4930123@EXAMPLE.com"), 0),
        (Ask::invite("sip:reception@a.example.net"), 0),
        (Ask::invite("sip:reception@a.b.example.net"), 403),
        (Ask::invite("sip:+4931123@example.com"), 403),
        (Ask::invite("sip:reception2@example.com"), 403),
        (Ask::invite("sip:reception@example.org"), 403),
        (Ask::invite("tel:+4930123"), 403),
        (Ask::new("MESSAGE", "sip:reception@example.com"), 403),
        (Ask::invite("sip:reception@example.com").inside(), 403),
        (register("sip:reception@example.com"), 0),
        (register("sip:boss@example.com"), 403),
        (register("sip:reception@example.org"), 403),
        (Ask::invite("sip:contact@10.0.0.1").within(), 0),
        (Ask::new("BYE", "sip:contact@10.0.0.1").within(), 403),
    ] {
        let given = scene.ask(&of(ask.clone(), &["pbx.example.com"]));
        assert_eq!(given, status, "{ask:?}");
    }
}

#[test]
fn tls_identity_demands_certificates_of_zones_and_peers() {
    let plain = || Ask::invite("sip:bob@example.com");
    let stranger = holder(&["other.example.com"]);
    for (more, without, unknown) in [
        (json!({}), 0, 403),
        (json!({ "unknown": "ignore" }), 0, 0),
        (json!({ "required": { "zones": ["inside"] } }), 0, 403),
        (
            json!({ "required": { "zones": ["outside"] }, "unknown": "ignore" }),
            403,
            403,
        ),
        (
            json!({ "required": { "zones": ["outside"] }, "answer": "silence" }),
            SILENCE,
            SILENCE,
        ),
    ] {
        let mut settings = json!({ "certificates": [{ "names": ["pbx.example.com"] }] });
        let all = settings.as_object_mut().expect("an object");
        all.extend(more.as_object().expect("an object").clone());
        let mut scene = Scene::new(GUEST, settings);
        assert_eq!(scene.ask(&plain()), without, "{more}");
        assert_eq!(scene.ask(&stranger), unknown, "{more}");
    }
    let mut office = Scene::new(
        GUEST,
        json!({ "certificates": [{ "names": ["a.b"] }], "required": { "peers": ["office"] } }),
    );
    assert_eq!(office.ask(&plain().peer("office")), 403);
    assert_eq!(office.ask(&plain().peer("branch")), 0);
    assert_eq!(office.ask(&of(plain(), &["a.b"]).peer("office")), 0);
}

#[test]
fn tls_identity_keeps_replaces_or_refuses_another_identity() {
    let ask = holder(&["pbx.example.com"]).by("alice");
    for (other, status, known) in [
        ("keep", 0, "alice"),
        ("replace", 0, "pbx"),
        ("refuse", 403, ""),
    ] {
        let mut scene = Scene::new(
            GUEST,
            json!({
                "certificates": [{ "names": ["pbx.example.com"], "identity": "pbx" }],
                "other_identity": other,
            }),
        );
        let conclusion = scene.judge(&ask);
        assert_eq!(answer(&conclusion), status, "{other}");
        if status == 0 {
            assert_eq!(permit(&conclusion).identity(), Some(known), "{other}");
            let noted = note(&conclusion, "tls-identity");
            assert_eq!(noted, (other == "keep").then_some("pbx"), "{other}");
        }
        assert_eq!(scene.ask(&holder(&["pbx.example.com"]).by("pbx")), 0);
    }
}

#[test]
fn tls_identity_takes_a_renewed_certificate_with_a_reload() {
    let (old, new) = ("11".repeat(32), "22".repeat(32));
    let rule = |prints: Value| json!({ "certificates": [{ "fingerprints": prints, "identity": "carrier" }] });
    let shows = |print: &str| Ask::invite("sip:bob@h").certificate(&["a.b"], print, OWN);
    let mut scene = Scene::new(GUEST, rule(json!([old])));
    assert_eq!(scene.ask(&shows(&new)), 403);
    scene.keeps_settings(rule(json!([old, "22"])), "certificates[0].fingerprints[1]");
    assert_eq!(scene.ask(&shows(&old)), 0);
    scene.reload(rule(json!([old, new])));
    assert_eq!((scene.ask(&shows(&old)), scene.ask(&shows(&new))), (0, 0));
    scene.reload(rule(json!([new])));
    assert_eq!(scene.ask(&shows(&old)), 403);
    // There is nothing to remember: a restart changes nothing.
    scene.restart();
    assert_eq!((scene.ask(&shows(&old)), scene.ask(&shows(&new))), (403, 0));
}

fn many(count: usize) -> Value {
    let rule = |number| json!({ "names": [format!("pbx{number}.example.com")] });
    (0..count).map(rule).collect()
}

/// Settings, and the key that is wrong in them.
fn wrong_settings() -> Vec<(Value, &'static str)> {
    let rule = |rule: Value| json!({ "certificates": [{ "names": ["a.example.com"] }, rule] });
    let one = |field: &str, value: Value| {
        let mut settings = rule(json!({ "names": ["a.b"] }));
        settings["certificates"][1][field] = value;
        settings
    };
    let also =
        |field: &str, value: Value| json!({ "certificates": [{ "names": ["a.b"] }], field: value });
    vec![
        (json!({}), ""),
        (json!({ "certificates": [] }), "certificates"),
        (json!({ "certificates": many(1_025) }), "certificates"),
        (rule(json!({})), "certificates[1]"),
        (one("names", json!(["*"])), "certificates[1].names[0]"),
        (
            one("names", json!(vec!["a.b"; 257])),
            "certificates[1].names",
        ),
        (
            one("issuers", json!(["Example CA"])),
            "certificates[1].issuers[0]",
        ),
        (
            one("fingerprints", json!(["ab"])),
            "certificates[1].fingerprints[0]",
        ),
        (
            rule(json!({ "issuers": ["CN=x"] })),
            "certificates[1].identity",
        ),
        (one("identity", json!("")), "certificates[1].identity"),
        (
            one("identity", json!("x".repeat(257))),
            "certificates[1].identity",
        ),
        (
            one("methods", json!(["invite"])),
            "certificates[1].methods[0]",
        ),
        (one("zones", json!(["dmz"])), "certificates[1].zones[0]"),
        (one("users", json!(["*"])), "certificates[1].users[0]"),
        (
            one("domains", json!(["a", "b*"])),
            "certificates[1].domains[1]",
        ),
        (one("name", json!("a")), "certificates[1].name"),
        (also("unknown", json!("ask")), "unknown"),
        (
            also("required", json!({ "zones": ["dmz"] })),
            "required.zones[0]",
        ),
        (
            also("required", json!({ "peers": vec!["a"; 1_025] })),
            "required.peers",
        ),
        (also("required", json!({ "zone": [] })), "required.zone"),
        (also("other_identity", json!("ask")), "other_identity"),
        (also("answer", json!("busy")), "answer"),
        (also("certificate", json!([])), "certificate"),
    ]
}

#[test]
fn tls_identity_takes_its_largest_settings_and_names_the_wrong_key() {
    let last = identity(&mut scene(many(1_024)), &holder(&["pbx1023.example.com"]));
    assert_eq!(last.as_deref(), Some("pbx1023.example.com"));
    refuses_settings(GUEST, &wrong_settings());
}
