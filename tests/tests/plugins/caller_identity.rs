//! `caller-identity`: which numbers and names a caller may show.

use policy::{Conclusion, HeaderEdit};
use serde_json::{Value, json};

use crate::asking::Ask;
use crate::props::Props;
use crate::refuses_settings;
use crate::scene::{Scene, answer, permit, said};

const GUEST: &str = "caller-identity";
const PAI: &str = "P-Asserted-Identity";
const HEADERS: [&str; 5] = [
    PAI,
    "P-Preferred-Identity",
    "Remote-Party-ID",
    "Diversion",
    "P-Charge-Info",
];

fn settings(more: &Value) -> Value {
    let mut settings = json!({
        "domain": "sip.example.com",
        "region": "DE",
        "callers": [
            {
                "users": ["alice"],
                "numbers": ["+4930123456", "+49301234*", "101"],
                "names": ["Alice", "Sales"],
                "name": "Example GmbH",
            },
            { "groups": ["support"], "numbers": ["+4930100..+4930199"], "number": "+4930150" },
            { "peers": ["office"], "numbers": ["+49302000"], "diverts": true, "anonymous": false },
        ],
        "trusted_peers": ["carrier"],
    });
    let all = settings.as_object_mut().expect("an object");
    all.extend(more.as_object().expect("an object").clone());
    settings
}

fn scene(more: &Value) -> Scene {
    let props = Props::default().group("support", &["bob", "alice"]);
    Scene::with(props, GUEST, settings(more))
}

fn call(number: &str) -> Ask {
    Ask::invite("sip:+33123456789@gw")
        .inside()
        .from(&format!("sip:{number}@10.0.0.20"))
}

fn alice(number: &str) -> Ask {
    call(number).by("alice")
}

/// What is written into a header.
fn written(conclusion: &Conclusion, header: &str) -> Vec<String> {
    let edits = permit(conclusion).header_edits().iter();
    let named = edits.filter(|edit| edit.name().eq_ignore_ascii_case(header));
    let values = named.filter_map(HeaderEdit::value);
    values
        .map(|value| String::from_utf8_lossy(value).into_owned())
        .collect()
}

/// Headers that are taken out and not written anew.
fn removed(conclusion: &Conclusion) -> Vec<&str> {
    let edits = permit(conclusion).header_edits().iter();
    let names = edits.filter_map(|edit| match edit {
        HeaderEdit::Remove { name } => Some(name.as_str()),
        _ => None,
    });
    names
        .filter(|name| written(conclusion, name).is_empty())
        .collect()
}

fn shown(conclusion: &Conclusion) -> Option<&str> {
    permit(conclusion).rewrites()?.from.as_deref()
}

fn with_headers(ask: Ask) -> Ask {
    HEADERS.iter().fold(ask, |ask, header| {
        ask.header(header, "<sip:+33123456789@h>")
    })
}

#[test]
fn caller_identity_lets_own_numbers_pass_however_they_are_written_and_asserts_them() {
    let mut scene = scene(&json!({}));
    for (number, asserted) in [
        ("+4930123456", "+4930123456"),
        ("%2B4930123456", "+4930123456"),
        ("+49-30-123456", "+4930123456"),
        ("030123456", "+4930123456"),
        ("+493012349", "+493012349"),
        ("30123456;phone-context=+49", "+4930123456"),
    ] {
        let conclusion = scene.judge(&alice(number));
        assert_eq!(answer(&conclusion), 0, "{number}");
        assert_eq!(shown(&conclusion), None, "{number}");
        let value = format!("\"Example GmbH\" <sip:{asserted}@sip.example.com;user=phone>");
        assert_eq!(written(&conclusion, PAI), [value]);
    }
}

#[test]
fn caller_identity_rewrites_what_is_just_beyond_a_range() {
    let mut scene = scene(&json!({}));
    let own = Some("\"Example GmbH\" <sip:+4930123456@sip.example.com;user=phone>");
    for (ask, expected) in [
        (alice("+49301234"), None),
        (alice("+49301235"), own),
        (alice("0800123456"), own),
        (alice("boss"), own),
        (alice("+4930123400").display("sales"), None),
        (
            alice("+4930123400").display("CEO"),
            Some("\"Example GmbH\" <sip:+4930123400@sip.example.com;user=phone>"),
        ),
        (call("+4930100").by("bob"), None),
        (call("+4930199").by("bob"), None),
        (
            call("+4930200").by("bob"),
            Some("<sip:+4930150@sip.example.com;user=phone>"),
        ),
        (
            call("+4930099").by("bob"),
            Some("<sip:+4930150@sip.example.com;user=phone>"),
        ),
    ] {
        let conclusion = scene.judge(&ask);
        assert_eq!(answer(&conclusion), 0);
        assert_eq!(shown(&conclusion), expected, "{}", said(&conclusion));
    }
}

#[test]
fn caller_identity_can_refuse_instead() {
    let more = json!({ "answer": "reject", "check_contact": true, "domains": ["10.0.0.20"] });
    let mut scene = scene(&more);
    let good = || alice("+4930123456");
    for (ask, status) in [
        (good(), 0),
        (alice("+4930199"), 403),
        (good().display("CEO"), 403),
        (good().from("sip:+4930123456@evil.example"), 403),
        (good().from("tel:+4930123456"), 0),
        (good().header(PAI, "<sip:101@h>, <tel:+4930123456>"), 0),
        (good().header(PAI, "<sip:+4930199@h>"), 403),
        (good().header(PAI, "<sip:101@h"), 403),
        (
            good().header("Remote-Party-ID", "<sip:110@h>;screen=yes"),
            403,
        ),
        (
            good().header("Diversion", "<tel:+4930199>;reason=unconditional"),
            403,
        ),
        (good().header("Contact", "<sip:+4930199@10.0.0.20>"), 403),
        (good().header("Contact", "<sip:101@10.0.0.20>"), 0),
        (Ask::new("OPTIONS", "sip:gw").by("alice").inside(), 0),
        (alice("+4930199").within(), 0),
    ] {
        let conclusion = scene.judge(&ask);
        assert_eq!(answer(&conclusion), status, "{}", said(&conclusion));
    }
}

#[test]
fn caller_identity_strips_what_strangers_assert_and_refuses_our_numbers_from_outside() {
    let mut scene = scene(&json!({}));
    let stranger = |number: &str| call(number).outside();
    let conclusion = scene.judge(&with_headers(stranger("+33123456789")));
    assert_eq!(answer(&conclusion), 0);
    assert_eq!(removed(&conclusion), HEADERS);
    let within = scene.judge(&with_headers(stranger("+33123456789")).within());
    assert_eq!(removed(&within), HEADERS);
    let trusted = scene.judge(&with_headers(stranger("+33123456789")).peer("carrier"));
    assert!(permit(&trusted).header_edits().is_empty());
    for (number, status) in [
        ("+4930123456", 403),
        ("004930123456", 403),
        ("+493012349", 403),
        ("101", 403),
        ("102", 0),
        ("+4930099", 0),
        ("+4930100", 403),
        ("+4930199", 403),
        ("+4930200", 0),
        ("anonymous", 0),
    ] {
        assert_eq!(scene.ask(&stranger(number)), status, "{number}");
        let trusted = stranger(number).peer("carrier");
        assert_eq!(scene.ask(&trusted), status, "{number} of the carrier");
    }
    // Inside, nobody may call whom no entry names.
    assert_eq!(scene.ask(&call("+4930123456")), 403);
    assert_eq!(scene.ask(&call("+4930123456").by("eve")), 403);
}

#[test]
fn caller_identity_keeps_anonymity_and_who_called_first() {
    let hidden = || {
        alice("x")
            .from("sip:anonymous@anonymous.invalid")
            .display("Anonymous")
            .header("Privacy", "id")
    };
    let mut trusting = scene(&json!({}));
    let conclusion = trusting.judge(&hidden());
    assert_eq!(shown(&conclusion), None, "nobody is revealed");
    assert_eq!(
        written(&conclusion, PAI),
        ["\"Example GmbH\" <sip:+4930123456@sip.example.com;user=phone>"],
        "the trunk may know"
    );
    let mut hiding = scene(&json!({ "trusted_next": false }));
    let conclusion = hiding.judge(&hidden().header(PAI, "<sip:101@h>"));
    assert!(written(&conclusion, PAI).is_empty());
    assert!(removed(&conclusion).contains(&PAI));
    let wrong = trusting.judge(&alice("+4930199").header("Privacy", "user"));
    assert_eq!(
        shown(&wrong),
        Some("\"Anonymous\" <sip:anonymous@anonymous.invalid>")
    );
    let office = || call("+49302000").peer("office");
    assert_eq!(trusting.ask(&office()), 0);
    assert_eq!(trusting.ask(&office().header("Privacy", "id")), 433);
    let forwarded = call("+33987654321").peer("office");
    let own = trusting.judge(&forwarded.clone().header("Diversion", "<sip:+49302000@h>"));
    assert_eq!(shown(&own), None, "the caller's number stays");
    let foreign = trusting.judge(&forwarded.header("Diversion", "<sip:+49302001@h>"));
    assert_eq!(
        shown(&foreign),
        Some("<sip:+49302000@sip.example.com;user=phone>")
    );
    assert!(removed(&foreign).contains(&"Diversion"));
}

#[test]
fn caller_identity_changes_with_a_reload_and_has_nothing_to_forget() {
    let mut scene = scene(&json!({ "answer": "reject" }));
    assert_eq!(scene.ask(&alice("+4930199")), 403);
    scene.keeps_settings(settings(&json!({ "answer": "ask" })), "answer");
    assert_eq!(scene.ask(&alice("+4930199")), 403);
    scene.reload(settings(&json!({})));
    assert_eq!(scene.ask(&alice("+4930199")), 0);
    scene.restart();
    let conclusion = scene.judge(&alice("+4930199"));
    assert!(shown(&conclusion).is_some(), "{}", said(&conclusion));
    // Whoever leaves the group loses its numbers at once.
    assert_eq!(shown(&scene.judge(&call("+4930199").by("bob"))), None);
    scene.change(|_| Props::default());
    assert_eq!(scene.ask(&call("+4930199").by("bob")), 403);
}

/// Settings, and the key that is wrong in them.
fn wrong_settings() -> Vec<(Value, &'static str)> {
    let with = |field: &str, value: Value| settings(&json!({ field: value }));
    let caller = |field: &str, value: Value| {
        let mut caller = json!({ "users": ["a"], "numbers": ["+4930123456"] });
        caller[field] = value;
        settings(&json!({ "callers": [caller] }))
    };
    let many: Vec<_> = (0..1_025).map(|n| n.to_string()).collect();
    let few: Vec<_> = (0..257).map(|n| n.to_string()).collect();
    let one = json!({ "users": ["a"], "numbers": ["101"] });
    vec![
        (json!({}), ""),
        (with("domain", json!("a b")), "domain"),
        (with("region", json!("Germany")), "region"),
        (with("callers", json!(vec![one; 1_025])), "callers"),
        (caller("users", json!([])), "callers[0]"),
        (caller("users", json!(many)), "callers[0].users"),
        (caller("groups", json!(many)), "callers[0].groups"),
        (caller("peers", json!(few)), "callers[0].peers"),
        (caller("numbers", json!([])), "callers[0].numbers"),
        (
            caller("numbers", json!(["101", "+49 30"])),
            "callers[0].numbers[1]",
        ),
        (caller("names", json!(few)), "callers[0].names"),
        (caller("number", json!("+4930199")), "callers[0].number"),
        (caller("name", json!("a\nb")), "callers[0].name"),
        (caller("name", json!("x".repeat(129))), "callers[0].name"),
        (caller("anonymous", json!(1)), "callers[0].anonymous"),
        (caller("diverts", json!(1)), "callers[0].diverts"),
        (caller("user", json!(["a"])), "callers[0].user"),
        (with("answer", json!("ask")), "answer"),
        (
            with("unlisted", json!({ "inside": "drop" })),
            "unlisted.inside",
        ),
        (with("own_numbers", json!("strip")), "own_numbers"),
        (with("trusted_peers", json!(few)), "trusted_peers"),
        (with("trusted_next", json!(1)), "trusted_next"),
        (with("strip_also", json!(["X-A", "X A"])), "strip_also[1]"),
        (with("strip_also", json!(["from"])), "strip_also[0]"),
        (with("assert", json!("sometimes")), "assert"),
        (with("check_contact", json!(1)), "check_contact"),
        (with("domains", json!(["a", "b@c"])), "domains[1]"),
        (with("methods", json!(["INVITE", "BYE"])), "methods[1]"),
        (with("local_digits", json!(16)), "local_digits"),
        (with("caller", json!([])), "caller"),
    ]
}

#[test]
fn caller_identity_names_the_wrong_key() {
    refuses_settings(GUEST, &wrong_settings());
}
