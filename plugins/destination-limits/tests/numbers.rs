//! Numbering plans, prefixes and disguises of `destination-limits`.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use destination_limits::DestinationLimits;
use sipward_plugin_sdk::Dialog;
use sipward_plugin_sdk::testing::{Harness, Request, Value, json};

fn german(more: &Value) -> Harness<DestinationLimits> {
    let mut settings = json!({
        "default": "deny",
        "allow": ["+49", "+44", "110", "112", "2", "+1"],
        "deny": ["+49900", "+44-9", "+1 900", "29"],
        "country_code": "49",
        "national_prefix": "0",
        "names": ["reception"],
        "contexts": ["example.com"],
    });
    settings
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    Harness::new(settings)
}

/// 0 if the call passes, the status if not.
fn status(harness: &Harness<DestinationLimits>, uri: &str) -> u16 {
    let outcome = harness.call(&Request::invite(uri));
    if outcome.is_next() {
        0
    } else {
        outcome.status().unwrap()
    }
}

fn check(harness: &Harness<DestinationLimits>, cases: &[(&str, u16)]) {
    for (uri, expected) in cases {
        let outcome = harness.call(&Request::invite(uri));
        assert_eq!(
            outcome.status().unwrap_or(0),
            *expected,
            "{uri}: {}",
            outcome.reason()
        );
    }
}

#[test]
fn all_ways_to_dial_one_number_are_one() {
    let harness = german(&json!({}));
    for user in [
        "+4930123456",
        "004930123456",
        "01149 30 123456".replace(' ', "").as_str(),
        "030123456",
        "+49-30-123456",
        "+49.30.123456",
        "+49(30)123456",
        "%2B4930123456",
        "%2b49%33%30123456",
        "+49%20(30)%20123456",
        "(030)123-456",
    ] {
        assert_eq!(status(&harness, &format!("sip:{user}@gw")), 0, "{user}");
        let premium = user
            .replace("30", "900")
            .replace("%33%900", "900")
            .replace("%33%30", "900");
        assert_eq!(
            status(&harness, &format!("sip:{premium}@gw")),
            403,
            "{premium}"
        );
    }
    check(
        &harness,
        &[
            ("tel:+4930123456", 0),
            ("tel:+49-900-123456", 403),
            ("sips:+4930123456@gw;user=phone", 0),
            ("sip:+4930123456:password@gw", 0),
            ("sip:+4930123456;ext=22;isub=7@gw", 0),
        ],
    );
}

#[test]
fn longest_prefix_and_default() {
    check(
        &german(&json!({})),
        &[
            ("sip:+441234567@gw", 0),
            ("sip:+449123456@gw", 403),
            ("sip:+19001234567@gw", 403),
            ("sip:+12125551234@gw", 0),
            ("sip:+33123456789@gw", 403),
            ("sip:112@gw", 0),
            ("sip:0112@gw", 403),
            ("sip:113@gw", 403),
            ("sip:200@gw", 0),
            ("sip:290@gw", 403),
        ],
    );
    // What begins like an international number may be too short for one.
    check(
        &german(&json!({ "allow": ["+49", "112", "0112"] })),
        &[
            ("sip:0112@gw", 0),
            ("sip:0113@gw", 403),
            ("sip:01149112@gw", 484),
        ],
    );
    let open = Harness::new(json!({ "default": "allow", "deny": ["+88"] }));
    check(
        &open,
        &[
            ("sip:+8835100123@gw", 403),
            ("sip:+8712345678@gw", 0),
            ("sip:999@gw", 0),
        ],
    );
}

#[test]
fn lengths_have_two_sides() {
    let harness = german(&json!({ "min_digits": 8, "max_digits": 12, "local_digits": 4 }));
    check(
        &harness,
        &[
            ("sip:+4930123@gw", 484),
            ("sip:+49301234@gw", 0),
            ("sip:+493012345678@gw", 0),
            ("sip:+4930123456789@gw", 604),
            ("sip:2345@gw", 0),
            ("sip:23456@gw", 0),
            ("sip:0301234@gw", 0),
            ("sip:030123@gw", 484),
            ("sip:234567890123@gw", 403),
            ("sip:2345678901234@gw", 604),
            ("sip:+@gw", 484),
            ("sip:()@gw", 484),
            ("sip:gw", 484),
        ],
    );
    let long = "2".repeat(257);
    assert_eq!(status(&harness, &format!("sip:{long}@gw")), 604);
}

#[test]
fn disguises_are_seen_through() {
    check(
        &german(&json!({})),
        &[
            ("sip:%25%32%42@gw", 604),
            ("sip:%252b49900123456@gw", 604),
            ("sip:+49%D9%A9%D9%A0%D9%A0123@gw", 604),
            ("sip:\u{0664}\u{0669}@gw", 604),
            ("sip:+49+900123456@gw", 604),
            ("sip:+4930123456%3Bext=1@gw", 604),
            ("sip:+4930123456%00@gw", 604),
            ("sip:+4930,,123456@gw", 604),
            ("sip:+49301234#1@gw", 604),
            ("sip:+49301%@gw", 604),
            ("sip:000049900123456@gw", 604),
            ("sip:+0049900123456@gw", 604),
            ("sip:*7230123456@gw", 403),
            ("sip:%2a72@gw", 403),
            ("urn:service:sos", 403),
        ],
    );
}

#[test]
fn every_reading_of_a_context_has_to_be_allowed() {
    check(
        &german(&json!({})),
        &[
            ("tel:030123456;phone-context=+49", 0),
            ("tel:0900123456;phone-context=+49", 403),
            ("tel:9001234567;phone-context=+1", 403),
            ("tel:0301234567;phone-context=+1", 0),
            ("tel:0301234567;phone-context=%2B33", 403),
            ("sip:0900123456;phone-context=+1@gw;user=phone", 403),
            ("sip:030123456@gw;phone-context=+33", 403),
            ("tel:200;phone-context=Example.COM", 0),
            ("tel:200;phone-context=evil.example", 403),
            ("tel:200;phone-context=example.com;phone-context=+49", 604),
            ("tel:+4930123456;phone-context=+33", 0),
        ],
    );
}

#[test]
fn routing_numbers_and_carriers_are_destinations() {
    check(
        &german(&json!({})),
        &[
            ("sip:+4930123456;rn=+4930999999;npdi@gw", 0),
            ("sip:+4930123456;rn=+19005551234@gw", 403),
            ("tel:+4930123456;RN=+4990012345", 403),
            ("sip:+4930123456;cic=+1-6789@gw", 403),
            ("sip:+4930123456;tgrp=premium;trunk-context=x@gw", 403),
        ],
    );
}

/// A strict router puts a Route into the Request-URI.
#[test]
fn routes_with_a_user_are_destinations() {
    let harness = german(&json!({}));
    let by = |route: &str| {
        let request = Request::invite("sip:+4930123456@gw").header("Route", route);
        harness.call(&request).status().unwrap_or(0)
    };
    for (route, expected) in [
        ("<sip:gw;lr>", 0),
        ("<sip:10.0.0.1>, <sip:10.0.0.2;lr>", 0),
        ("<sip:+4930123456@gw>", 0),
        ("<sip:reception@gw;lr>", 0),
        ("<sip:0900123456@gw>", 403),
        ("<sip:0900123456@gw;lr>", 403),
        ("<sip:gw;lr>, <sip:%30900123456@gw>", 403),
        ("<sip:token@gw;lr>", 403),
        ("<tel:0900123456>", 403),
        ("<sip:gw", 400),
    ] {
        assert_eq!(by(route), expected, "{route}");
    }
    let many = |count: usize| by(&vec!["<sip:gw;lr>"; count].join(", "));
    assert_eq!((many(16), many(17)), (0, 403));
    let within = Request::invite("sip:alice@10.0.0.1").header("Route", "<sip:token@gw;lr>");
    assert!(harness.call(&within.dialog(Dialog::Confirmed)).is_next());
}

#[test]
fn names_and_letters() {
    check(
        &german(&json!({})),
        &[
            ("sip:reception@gw", 0),
            ("sip:%72eception@gw", 0),
            ("sip:Reception@gw", 403),
            ("sip:alice@gw", 403),
            ("sip:1800FLOWERS@gw", 403),
        ],
    );
    let keypad = german(&json!({ "letters": "keypad" }));
    check(
        &keypad,
        &[
            ("sip:+1800FLOWERS@gw", 0),
            ("sip:+1XZZ5551234@gw", 0),
            ("sip:+1w005551234@gw", 403),
        ],
    );
}

#[test]
fn bare_numbers_are_read_as_told() {
    let plan = |more: Value| {
        let mut settings = json!({ "default": "deny", "allow": ["+1", "2"], "deny": ["+12"] });
        settings
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        Harness::<DestinationLimits>::new(settings)
    };
    // Without a word they are local, and long ones have to be allowed as both.
    check(
        &plan(json!({})),
        &[
            ("sip:212555@gw", 0),
            ("sip:2125551@gw", 403),
            ("sip:13055551234@gw", 403),
            ("sip:+13055551234;rn=2125551234@gw", 403),
        ],
    );
    check(
        &plan(json!({ "bare": "local" })),
        &[("sip:2125551234@gw", 0), ("sip:13055551234@gw", 403)],
    );
    check(
        &plan(json!({ "bare": "international" })),
        &[("sip:13055551234@gw", 0), ("sip:12125551234@gw", 403)],
    );
    check(
        &plan(json!({ "country_code": "1" })),
        &[("sip:3055551234@gw", 0), ("sip:2125551234@gw", 403)],
    );
    check(
        &plan(json!({ "country_code": "1", "national_prefix": "1", "bare": "national" })),
        &[
            ("sip:13055551234@gw", 0),
            ("sip:3055551234@gw", 0),
            ("sip:12125551234@gw", 403),
        ],
    );
}

#[test]
fn transfers_are_calls() {
    let harness = german(&json!({}));
    let refer = |target: &str| {
        let request = Request::refer("sip:contact@10.0.0.1", target).dialog(Dialog::Confirmed);
        harness.call(&request).status().unwrap_or(0)
    };
    for (target, expected) in [
        ("<sip:+4930123456@gw>", 0),
        ("<sip:0900123456@gw?Replaces=1%3Bto-tag%3D2>;x", 403),
        ("tel:+19005551234", 403),
        ("\"Sales\" <tel:030123456>", 0),
        ("<http://example.com/>", 403),
        ("<sip:+4930123456@gw", 400),
        ("sip:0900123456;phone-context=+1@gw", 400),
        ("", 400),
    ] {
        assert_eq!(refer(target), expected, "{target}");
    }
    let two = Request::refer("sip:200@gw", "<sip:200@gw>").header("r", "<sip:0900123456@gw>");
    assert_eq!(harness.call(&two).status(), Some(400));
    assert_eq!(
        harness.call(&Request::new("REFER", "sip:200@gw")).status(),
        Some(400)
    );
    let outside = Request::refer("sip:0900123456@gw", "<sip:200@gw>");
    assert_eq!(harness.call(&outside).status(), Some(403));
}

#[test]
fn dialogs_and_other_methods_are_left_alone() {
    let harness = german(&json!({}));
    let contact = Request::invite("sip:alice@10.0.0.1");
    assert_eq!(harness.call(&contact).status(), Some(403));
    assert!(harness.call(&contact.dialog(Dialog::Confirmed)).is_next());
    assert!(harness.call(&Request::register("sip:gw")).is_next());
    let foreign = Request::new("MESSAGE", "sip:+331234567@gw");
    assert_eq!(harness.call(&foreign).status(), Some(403), "texts cost too");
    let messages = german(&json!({ "methods": ["MESSAGE"] }));
    assert_eq!(
        messages
            .call(&Request::new("MESSAGE", "sip:+331234567@gw"))
            .status(),
        Some(403)
    );
    assert!(
        messages
            .call(&Request::invite("sip:+331234567@gw"))
            .is_next()
    );
}

#[test]
fn reasons_name_number_and_rule() {
    let harness = german(&json!({}));
    let reason = |uri: &str| harness.call(&Request::invite(uri)).reason().to_owned();
    assert_eq!(
        reason("sip:0900123456@gw"),
        "Request-URI +49900123456 is denied by +49900"
    );
    assert_eq!(
        reason("sip:0033123456@gw"),
        "Request-URI +33123456 is denied by default"
    );
    assert_eq!(reason("sip:+49@gw"), "Request-URI `+49`: too few digits");
}

#[test]
fn wrong_settings_name_their_key() {
    for (settings, key) in [
        (json!({}), ""),
        (json!({ "default": "ask" }), "default"),
        (json!({ "default": "deny", "alow": [] }), "alow"),
        (
            json!({ "default": "deny", "allow": ["+49", "0x"] }),
            "allow[1]",
        ),
        (
            json!({ "default": "deny", "allow": ["+49"], "deny": ["+49"] }),
            "allow",
        ),
        (
            json!({ "default": "deny", "country_code": "+49" }),
            "country_code",
        ),
        (
            json!({ "default": "deny", "national_prefix": "0" }),
            "national_prefix",
        ),
        (json!({ "default": "deny", "bare": "national" }), "bare"),
        (
            json!({ "default": "deny", "international_prefixes": [""] }),
            "international_prefixes[0]",
        ),
        (
            json!({ "default": "deny", "local_digits": 16 }),
            "local_digits",
        ),
        (json!({ "default": "deny", "min_digits": 0 }), "min_digits"),
        (
            json!({ "default": "deny", "min_digits": 9, "max_digits": 8 }),
            "max_digits",
        ),
        (json!({ "default": "deny", "max_digits": 33 }), "max_digits"),
        (
            json!({ "default": "deny", "methods": ["invite"] }),
            "methods[0]",
        ),
    ] {
        let error = Harness::<DestinationLimits>::try_new(&settings)
            .err()
            .unwrap();
        assert_eq!(error.key(), key, "{settings}: {error}");
    }
}
