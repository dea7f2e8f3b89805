//! Wrong settings of `call-code`: each is named.

use call_code::CallCode;
use sipward_plugin_sdk::testing::{Harness, Request, Value, json};

/// Settings, and the key that is wrong in them.
fn wrong() -> Vec<(Value, &'static str)> {
    vec![
        (json!({}), ""),
        (json!({ "region": "Germany" }), "region"),
        (json!({ "region": "DE", "code": 1 }), "code"),
        (
            json!({ "region": "DE", "pattern": "<code><number>" }),
            "pattern",
        ),
        (
            json!({ "region": "DE", "pattern": "*<code><number>" }),
            "pattern",
        ),
        (
            json!({ "region": "DE", "pattern": "*<code>1<number>" }),
            "pattern",
        ),
        (
            json!({ "region": "DE", "pattern": "<code>*<number>" }),
            "pattern",
        ),
        (
            json!({ "region": "DE", "pattern": "*<number>*<code>" }),
            "pattern",
        ),
        (
            json!({ "region": "DE", "pattern": "*<code>*<number>#" }),
            "pattern",
        ),
        (
            json!({ "region": "DE", "pattern": "pin<code>*<number>" }),
            "pattern",
        ),
        (
            json!({ "region": "DE", "pattern": "*********<code>*<number>" }),
            "pattern",
        ),
        (json!({ "region": "DE", "min_digits": 3 }), "min_digits"),
        (
            json!({ "region": "DE", "min_digits": 17, "max_digits": 17 }),
            "min_digits",
        ),
        (json!({ "region": "DE", "max_digits": 17 }), "max_digits"),
        (
            json!({ "region": "DE", "min_digits": 6, "max_digits": 5 }),
            "max_digits",
        ),
        (
            json!({ "region": "DE", "destinations": { "home": ["at"] } }),
            "destinations.home[0]",
        ),
        (
            json!({ "region": "DE", "destinations": { "home": vec!["AT"; 65] } }),
            "destinations.home",
        ),
        (
            json!({ "region": "DE", "destinations": { "classes": ["cheap"] } }),
            "destinations.classes[0]",
        ),
        (
            json!({ "region": "DE", "destinations": { "prefixes": ["+49", "49"] } }),
            "destinations.prefixes[1]",
        ),
        (
            json!({ "region": "DE", "destinations": { "prefixes": vec!["+49"; 1001] } }),
            "destinations.prefixes",
        ),
        (
            json!({ "region": "DE", "destinations": { "internal_digits": 11 } }),
            "destinations.internal_digits",
        ),
        (
            json!({ "region": "DE", "destinations": { "all": true } }),
            "destinations.all",
        ),
        (json!({ "region": "DE", "transfers": "maybe" }), "transfers"),
        (json!({ "region": "DE", "tell_after": 1001 }), "tell_after"),
        (
            json!({ "region": "DE", "lockout": { "failures": 0 } }),
            "lockout.failures",
        ),
        (
            json!({ "region": "DE", "lockout": { "failures": 1001 } }),
            "lockout.failures",
        ),
        (
            json!({ "region": "DE", "lockout": { "first_s": 0 } }),
            "lockout.first_s",
        ),
        (
            json!({ "region": "DE", "lockout": { "first_s": 60, "longest_s": 59 } }),
            "lockout.longest_s",
        ),
        (
            json!({ "region": "DE", "lockout": { "longest_s": 2_592_001 } }),
            "lockout.longest_s",
        ),
        (
            json!({ "region": "DE", "lockout": { "forget_s": 0 } }),
            "lockout.forget_s",
        ),
        (
            json!({ "region": "DE", "emergency": ["112", "help"] }),
            "emergency[1]",
        ),
        (
            json!({ "region": "DE", "emergency": vec!["112"; 65] }),
            "emergency",
        ),
    ]
}

#[test]
fn each_wrong_key_is_named() {
    for (settings, key) in wrong() {
        match Harness::<CallCode>::try_new(&settings) {
            Err(error) => assert_eq!(error.key(), key, "{settings}"),
            Ok(_) => panic!("accepted: {settings}"),
        }
    }
}

#[test]
fn patterns_are_the_operators() {
    let harness = Harness::<CallCode>::new(json!({
        "region": "DE", "pattern": "##99<code>#*<number>", "min_digits": 4, "max_digits": 16,
        "lockout": { "failures": 1000, "first_s": 86_400, "longest_s": 2_592_000, "forget_s": 1 },
    }))
    .with_code("alice", "1234123412341234");
    let call = Request::invite("sip:%23%23991234123412341234%23*09001234567@h").identity("alice");
    assert_eq!(harness.call(&call).request_uri(), Some("sip:09001234567@h"));
    let other = Request::invite("sip:*1234*09001234567@h").identity("alice");
    assert_eq!(harness.call(&other).status(), Some(403));
}

#[test]
fn a_reload_keeps_lockouts() {
    let harness = Harness::<CallCode>::new(json!({
        "region": "DE", "lockout": { "failures": 1 },
    }))
    .with_code("alice", "7391");
    let dial = |code: &str| Request::invite(&format!("sip:*{code}*0900123@h")).identity("alice");
    assert_eq!(harness.call(&dial("0000")).alerts().count(), 1);
    harness.reload(&json!({ "region": "DE" })).unwrap();
    assert_eq!(harness.call(&dial("7391")).status(), Some(403));
}
