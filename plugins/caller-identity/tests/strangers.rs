//! Callers that no entry names, trusted peers, and wrong settings.

#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

use caller_identity::CallerIdentity;
use sipward_plugin_sdk::testing::{Harness, Request, Value, json};
use sipward_plugin_sdk::{Dialog, Outcome, Zone};

fn settings(more: &Value) -> Value {
    let mut settings = json!({
        "domain": "sip.example.com",
        "region": "DE",
        "callers": [
            { "peers": ["office"], "numbers": ["+4930123456", "+49301234*", "+4940100..+4940199", "101"] },
        ],
        "trusted_peers": ["carrier"],
    });
    let object = settings.as_object_mut().unwrap();
    object.extend(more.as_object().unwrap().clone());
    settings
}

fn harness(more: &Value) -> Harness<CallerIdentity> {
    Harness::new(settings(more))
}

fn call(number: &str) -> Request {
    Request::invite("sip:101@example.com").from_uri(&format!("sip:{number}@h"))
}

const HEADERS: [&str; 5] = [
    "P-Asserted-Identity",
    "P-Preferred-Identity",
    "Remote-Party-ID",
    "Diversion",
    "P-Charge-Info",
];

fn with_headers(request: Request) -> Request {
    HEADERS.iter().fold(request, |request, header| {
        request.header(header, "<sip:+33123456789@h>")
    })
}

fn removes(outcome: &Outcome, header: &str) -> bool {
    outcome.replaces_header(header) && outcome.header(header).is_empty()
}

#[test]
fn identity_headers_from_outside_are_removed() {
    let harness = harness(&json!({}));
    let outcome = harness.call(&with_headers(call("+33123456789")).header("Privacy", "id"));
    assert!(outcome.is_next());
    assert_eq!(outcome.effects().len(), HEADERS.len());
    for header in HEADERS {
        assert!(removes(&outcome, header), "{header}");
    }
    assert_eq!(harness.call(&call("+33123456789")).effects(), []);
    let within = with_headers(call("+33123456789")).dialog(Dialog::Confirmed);
    assert_eq!(harness.call(&within).effects().len(), HEADERS.len());
    let trusted = with_headers(call("+33123456789")).peer_name("carrier");
    assert_eq!(harness.call(&trusted).effects(), []);
    let other = with_headers(call("+33123456789")).peer_name("other");
    assert_eq!(harness.call(&other).effects().len(), HEADERS.len());
}

#[test]
fn each_zone_has_an_answer_for_the_unlisted() {
    for (unlisted, status, effects) in [
        (json!({}), Some(403), 0),
        (json!({ "inside": "strip" }), None, 5),
        (json!({ "inside": "ignore" }), None, 0),
    ] {
        let harness = harness(&json!({ "unlisted": unlisted }));
        let outcome = harness.call(&with_headers(call("+4930123456")).zone(Zone::Inside));
        assert_eq!(
            (outcome.status(), outcome.effects().len()),
            (status, effects)
        );
    }
    let harness = harness(&json!({ "unlisted": { "outside": "reject" } }));
    let outcome = harness.call(&call("+33123456789").identity("eve"));
    assert_eq!(
        (outcome.status(), outcome.reason()),
        (Some(403), "eve at 192.0.2.1 is in no entry of `callers`")
    );
}

#[test]
fn nobody_outside_shows_our_numbers() {
    let harness = harness(&json!({}));
    for (number, passes) in [
        ("+4930123456", false),
        ("+49-30-123456", false),
        ("030123456", false),
        ("004930123456", false),
        ("+493012349", false),
        ("+4940099", true),
        ("+4940100", false),
        ("+4940199", false),
        ("+4940200", true),
        ("101", false),
        ("102", true),
        ("+33123456789", true),
        ("anonymous", true),
    ] {
        for peer in ["", "carrier"] {
            let request = match peer {
                "" => call(number),
                peer => call(number).peer_name(peer),
            };
            let outcome = harness.call(&request);
            assert_eq!(outcome.is_next(), passes, "{number} {peer}");
        }
    }
    let pai = call("+33123456789").header("P-Asserted-Identity", "<tel:+4930123456>");
    assert!(harness.call(&pai).is_next(), "removed");
    let believed = harness.call(&pai.peer_name("carrier"));
    assert_eq!(
        (believed.status(), believed.reason()),
        (Some(403), "192.0.2.1 shows +4930123456, a number of ours")
    );
    let options = Request::new("OPTIONS", "sip:gw").from_uri("sip:101@h");
    assert!(harness.call(&options).is_next());
    let lenient = self::harness(&json!({ "own_numbers": "allow" }));
    assert!(lenient.call(&call("+4930123456")).is_next());
}

fn with(more: Value) -> Value {
    settings(&more)
}

/// Settings of one caller, which are sound but for what is said here.
fn caller(caller: Value) -> Value {
    let mut full = json!({ "users": ["a"], "numbers": ["+4930123456"] });
    let object = full.as_object_mut().unwrap();
    object.extend(caller.as_object().unwrap().clone());
    settings(&json!({ "callers": [full] }))
}

fn one() -> Value {
    json!({ "users": ["a"], "numbers": ["101"] })
}

/// Settings that are wrong, and the key that is.
fn wrong_settings() -> Vec<(Value, &'static str)> {
    let many: Vec<_> = (0..1_025).map(|n| n.to_string()).collect();
    let few: Vec<_> = many.iter().take(257).collect();
    let ranges: Vec<_> = (0..1_024).map(|_| "+491..+499").collect();
    let two = json!([
        { "users": ["a"], "numbers": ranges },
        { "users": ["b"], "numbers": ["+491..+499"] },
    ]);
    let one = one();
    vec![
        (json!({}), ""),
        (with(json!({ "domain": "a b" })), "domain"),
        (with(json!({ "domain": "" })), "domain"),
        (with(json!({ "region": "Germany" })), "region"),
        (with(json!({ "callers": vec![one; 1_025] })), "callers"),
        (with(json!({ "callers": two })), "callers"),
        (caller(json!({ "users": [] })), "callers[0]"),
        (caller(json!({ "users": many })), "callers[0].users"),
        (caller(json!({ "groups": many })), "callers[0].groups"),
        (caller(json!({ "peers": few })), "callers[0].peers"),
        (caller(json!({ "numbers": many })), "callers[0].numbers"),
        (caller(json!({ "numbers": [] })), "callers[0].numbers"),
        (
            caller(json!({ "numbers": ["101", "+49 30"] })),
            "callers[0].numbers[1]",
        ),
        (
            caller(json!({ "numbers": ["+49-30-1"] })),
            "callers[0].numbers[0]",
        ),
        (caller(json!({ "names": few })), "callers[0].names"),
        (caller(json!({ "number": "+4930199" })), "callers[0].number"),
        (caller(json!({ "name": "" })), "callers[0].name"),
        (caller(json!({ "name": "a\nb" })), "callers[0].name"),
        (
            caller(json!({ "name": "x".repeat(129) })),
            "callers[0].name",
        ),
        (caller(json!({ "user": ["a"] })), "callers[0].user"),
        (with(json!({ "answer": "ask" })), "answer"),
        (
            with(json!({ "unlisted": { "inside": "drop" } })),
            "unlisted.inside",
        ),
        (with(json!({ "own_numbers": "strip" })), "own_numbers"),
        (with(json!({ "trusted_peers": few })), "trusted_peers"),
        (with(json!({ "strip_also": vec!["X-A"; 17] })), "strip_also"),
        (
            with(json!({ "strip_also": ["X-A", "X A"] })),
            "strip_also[1]",
        ),
        (with(json!({ "strip_also": ["from"] })), "strip_also[0]"),
        (with(json!({ "assert": "sometimes" })), "assert"),
        (with(json!({ "domains": ["a", "b@c"] })), "domains[1]"),
        (with(json!({ "domains": few })), "domains"),
        (with(json!({ "methods": ["invite"] })), "methods[0]"),
        (with(json!({ "methods": ["INVITE", "BYE"] })), "methods[1]"),
        (with(json!({ "methods": vec!["INVITE"; 33] })), "methods"),
        (with(json!({ "local_digits": 16 })), "local_digits"),
        (with(json!({ "caller": [] })), "caller"),
    ]
}

#[test]
fn wrong_settings_name_their_key() {
    for (settings, key) in wrong_settings() {
        let error = Harness::<CallerIdentity>::try_new(&settings).err().unwrap();
        assert_eq!(error.key(), key, "{settings}: {error}");
    }
    for settings in [
        with(json!({ "callers": vec![one(); 1_024] })),
        caller(json!({ "name": "x".repeat(128) })),
        with(json!({ "callers": [] })),
    ] {
        assert!(Harness::<CallerIdentity>::try_new(&settings).is_ok());
    }
}
