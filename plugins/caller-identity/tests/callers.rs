//! What callers of an entry may show, and what is written instead.

#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

use caller_identity::CallerIdentity;
use sipward_plugin_sdk::testing::{Harness, Request, Value, json};
use sipward_plugin_sdk::{Dialog, Outcome, Zone};

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
    });
    let object = settings.as_object_mut().unwrap();
    object.extend(more.as_object().unwrap().clone());
    settings
}

fn harness(more: &Value) -> Harness<CallerIdentity> {
    Harness::new(settings(more)).with_group("support", ["bob", "alice"])
}

fn call(number: &str) -> Request {
    Request::invite("sip:+33123456789@gw")
        .zone(Zone::Inside)
        .from_uri(&format!("sip:{number}@10.0.0.20"))
}

fn alice(number: &str) -> Request {
    call(number).identity("alice")
}

fn asserted(outcome: &Outcome) -> Option<String> {
    let values = outcome.header("P-Asserted-Identity");
    values
        .first()
        .map(|value| String::from_utf8_lossy(value).into_owned())
}

fn removes(outcome: &Outcome, header: &str) -> bool {
    outcome.replaces_header(header) && outcome.header(header).is_empty()
}

#[test]
fn what_may_be_shown_passes_and_is_asserted() {
    let harness = harness(&json!({}));
    for (number, expected) in [
        ("+4930123456", "+4930123456"),
        ("%2B4930123456", "+4930123456"),
        ("+49-30-123456", "+4930123456"),
        ("030123456", "+4930123456"),
        ("004930123456", "+4930123456"),
        ("+493012349", "+493012349"),
        ("30123456;phone-context=+49", "+4930123456"),
    ] {
        let outcome = harness.call(&alice(number));
        assert!(outcome.is_next(), "{number}: {}", outcome.reason());
        assert_eq!(outcome.shown_from(), None, "{number}: {}", outcome.reason());
        assert_eq!(
            asserted(&outcome).unwrap(),
            format!("\"Example GmbH\" <sip:{expected}@sip.example.com;user=phone>")
        );
    }
    let extension = harness.call(&alice("101"));
    assert_eq!(
        asserted(&extension).unwrap(),
        "\"Example GmbH\" <sip:101@sip.example.com>"
    );
}

#[test]
fn what_may_not_be_shown_is_rewritten() {
    let harness = harness(&json!({}));
    let written = "\"Example GmbH\" <sip:+4930123456@sip.example.com;user=phone>";
    for number in [
        "+4930199",
        "0800123456",
        "boss",
        "anonymou",
        "1%3E2",
        "+49301235",
    ] {
        let outcome = harness.call(&alice(number));
        assert!(outcome.is_next());
        assert_eq!(outcome.shown_from(), Some(written), "{number}");
        assert_eq!(asserted(&outcome).unwrap(), written);
        let reason = outcome.reason();
        assert_eq!(reason, format!("alice shows {number} in From: rewritten"));
    }
    for (display, passes) in [("sales", true), ("ALICE", true), ("", true), ("CEO", false)] {
        let outcome = harness.call(&alice("+4930123400").from_display(display));
        assert_eq!(outcome.shown_from().is_none(), passes, "{display}");
    }
    let ceo = harness.call(&alice("+4930123400").from_display("CEO"));
    assert_eq!(
        ceo.shown_from(),
        Some("\"Example GmbH\" <sip:+4930123400@sip.example.com;user=phone>"),
        "the number was right"
    );
    let bob = harness.call(&call("+4930200").identity("bob").from_display("Any"));
    assert_eq!(
        bob.shown_from(),
        Some("<sip:+4930150@sip.example.com;user=phone>")
    );
    let bob = harness.call(&call("+4930199").identity("bob").from_display("Any"));
    assert_eq!(bob.shown_from(), None);
}

#[test]
fn what_may_not_be_shown_is_refused() {
    let harness =
        harness(&json!({ "answer": "reject", "check_contact": true, "domains": ["10.0.0.20"] }));
    let pai = "P-Asserted-Identity";
    for (request, reason) in [
        (alice("+4930123456"), ""),
        (alice("+4930199"), "alice may not show +4930199 in From"),
        (
            alice("+4930123456").from_display("CEO"),
            "alice may not show CEO in From",
        ),
        (
            alice("x").from_uri("sip:+4930123456@evil.example"),
            "alice may not show evil.example in From",
        ),
        (alice("x").from_uri("tel:+4930123456"), ""),
        (
            alice("+4930123456").header(pai, "<sip:+4930199@h>"),
            "alice may not show <sip:+4930199@h> in P-Asserted-Identity",
        ),
        (
            alice("+4930123456").header(pai, "<sip:101@h>, <tel:+4930123456>"),
            "",
        ),
        (
            alice("+4930123456").header(pai, "<sip:101@h>, <sip:101@h>, <sip:101@h>"),
            "alice may not show 3 values in P-Asserted-Identity",
        ),
        (
            alice("+4930123456").header(pai, "\"CEO\" <sip:101@h>"),
            "alice may not show \"CEO\" <sip:101@h> in P-Asserted-Identity",
        ),
        (
            alice("+4930123456").header(pai, "<sip:101@h"),
            "alice may not show <sip:101@h in P-Asserted-Identity",
        ),
        (
            alice("+4930123456").header("Remote-Party-ID", "<sip:110@h>;screen=yes"),
            "alice may not show <sip:110@h>;screen=yes in Remote-Party-ID",
        ),
        (
            alice("+4930123456").header("Diversion", "<tel:+4930199>;reason=unconditional"),
            "alice may not show <tel:+4930199>;reason=unconditional in Diversion",
        ),
        (
            alice("+4930123456").header("Contact", "<sip:+4930199@10.0.0.20>"),
            "alice may not show +4930199 in Contact",
        ),
        (alice("+4930123456").header("m", "<sip:pbx@10.0.0.20>"), ""),
        (alice("+4930123456").header("m", "<sip:101@10.0.0.20>"), ""),
    ] {
        let outcome = harness.call(&request);
        assert_eq!(outcome.reason(), reason, "{request:?}");
        assert_eq!(outcome.status(), (!reason.is_empty()).then_some(403));
    }
}

#[test]
fn identity_headers_of_callers_are_kept_or_replaced() {
    let harness = harness(&json!({}));
    let pai = "P-Asserted-Identity";
    let own = harness.call(&alice("+4930123456").header(pai, "<sip:101@h>"));
    assert_eq!(own.effects(), [], "right as it is");
    let foreign = harness.call(
        &alice("+4930123456")
            .header(pai, "<sip:+4930199@h>")
            .header("Remote-Party-ID", "<sip:+4930199@h>")
            .header("Diversion", "<sip:+4930199@h>")
            .header("P-Preferred-Identity", "<sip:101@h>")
            .header("P-Charge-Info", "<sip:+4930199@h>"),
    );
    assert_eq!(
        asserted(&foreign).unwrap(),
        "\"Example GmbH\" <sip:101@sip.example.com>",
        "as preferred"
    );
    for header in [
        "Remote-Party-ID",
        "Diversion",
        "P-Preferred-Identity",
        "P-Charge-Info",
    ] {
        assert!(removes(&foreign, header), "{header}");
    }
    let kept = harness.call(
        &alice("+4930123456")
            .header("Remote-Party-ID", "<sip:101@h>")
            .header("Diversion", "<sip:101@h>;reason=no-answer"),
    );
    assert!(!removes(&kept, "Remote-Party-ID") && !removes(&kept, "Diversion"));
}

#[test]
fn asserting_is_a_setting() {
    let pai = "P-Asserted-Identity";
    for (setting, adds, keeps) in [
        ("always", true, true),
        ("keep", false, true),
        ("never", false, false),
    ] {
        let harness = harness(&json!({ "assert": setting }));
        let without = harness.call(&alice("+4930123456"));
        assert_eq!(asserted(&without).is_some(), adds, "{setting}");
        let with = harness.call(&alice("+4930123456").header(pai, "<sip:101@h>"));
        assert_eq!(removes(&with, pai), !keeps, "{setting}");
    }
}

#[test]
fn anonymity_is_kept() {
    let anonymous = || {
        alice("x")
            .from_uri("sip:anonymous@anonymous.invalid")
            .from_display("Anonymous")
            .header("Privacy", "id;critical")
    };
    let trusted = harness(&json!({}));
    let outcome = trusted.call(&anonymous());
    assert!(outcome.is_next());
    assert_eq!(outcome.shown_from(), None, "nobody is revealed");
    assert!(!removes(&outcome, "Privacy"));
    assert_eq!(
        asserted(&outcome).unwrap(),
        "\"Example GmbH\" <sip:+4930123456@sip.example.com;user=phone>",
        "the trunk may know"
    );
    let hiding = harness(&json!({ "trusted_next": false }));
    let request = anonymous()
        .header("P-Asserted-Identity", "<sip:101@h>")
        .header("Remote-Party-ID", "<sip:101@h>");
    let outcome = hiding.call(&request);
    assert!(removes(&outcome, "P-Asserted-Identity") && removes(&outcome, "Remote-Party-ID"));
    assert_eq!(asserted(&outcome), None);
    let outcome = hiding.call(&alice("+4930123456").header("Privacy", "none"));
    assert!(asserted(&outcome).is_some());
    // A wrong number together with a wish for privacy is not replaced by a real one.
    let outcome = trusted.call(&alice("+4930199").header("Privacy", "user"));
    assert_eq!(
        outcome.shown_from(),
        Some("\"Anonymous\" <sip:anonymous@anonymous.invalid>")
    );
    let office = call("+49302000").peer_name("office");
    assert!(trusted.call(&office).is_next());
    for request in [
        office.clone().header("Privacy", "id"),
        office.from_uri("sip:anonymous@anonymous.invalid"),
    ] {
        let outcome = trusted.call(&request);
        assert_eq!(outcome.status(), Some(433));
        assert_eq!(outcome.reason(), "office may not be anonymous");
    }
}

#[test]
fn forwarded_calls_keep_the_number_of_the_caller() {
    let harness = harness(&json!({}));
    let forwarded = call("+33987654321")
        .peer_name("office")
        .header("Diversion", "<sip:+49302000@h>;reason=unconditional");
    let outcome = harness.call(&forwarded);
    assert_eq!(outcome.shown_from(), None);
    assert_eq!(
        asserted(&outcome).unwrap(),
        "<sip:+49302000@sip.example.com;user=phone>"
    );
    let foreign = call("+33987654321")
        .peer_name("office")
        .header("Diversion", "<sip:+49302001@h>");
    let outcome = harness.call(&foreign);
    assert!(removes(&outcome, "Diversion"));
    assert_eq!(
        outcome.shown_from(),
        Some("<sip:+49302000@sip.example.com;user=phone>")
    );
    let not_allowed = alice("+33987654321").header("Diversion", "<sip:101@h>");
    assert!(harness.call(&not_allowed).shown_from().is_some());
}

#[test]
fn in_dialogs_and_other_methods_headers_alone_are_judged() {
    let harness = harness(&json!({ "answer": "reject" }));
    let within = alice("+4930199").dialog(Dialog::Confirmed);
    let outcome = harness.call(&within);
    assert!(outcome.is_next());
    assert_eq!(outcome.effects(), []);
    let update = within.header("P-Asserted-Identity", "<sip:+4930199@h>");
    assert_eq!(harness.call(&update).status(), Some(403));
    let options = Request::new("OPTIONS", "sip:gw")
        .identity("alice")
        .from_uri("sip:x@y");
    assert!(harness.call(&options).is_next());
    for method in ["ACK", "BYE", "CANCEL", "PRACK", "REGISTER"] {
        let request = Request::new(method, "sip:gw")
            .identity("alice")
            .header("P-Asserted-Identity", "<sip:+4930199@h>");
        assert_eq!(harness.call(&request).effects(), [], "{method}");
    }
}

#[test]
fn the_first_entry_that_names_the_caller_counts() {
    let harness = harness(&json!({ "answer": "reject" }));
    // alice is in the group support too, but her own entry comes first.
    assert!(!harness.call(&alice("+4930150")).is_next());
    assert!(harness.call(&call("+4930150").identity("bob")).is_next());
    // An identity counts before the peer it came by.
    assert!(
        harness
            .call(&alice("+4930123456").peer_name("office"))
            .is_next()
    );
    assert!(
        !harness
            .call(&alice("+49302000").peer_name("office"))
            .is_next()
    );
    harness.restart();
    assert!(
        harness
            .call(&call("+49302000").identity("carol").peer_name("office"))
            .is_next()
    );
}

#[test]
fn a_request_costs_few_host_calls() {
    let harness = harness(&json!({}));
    assert!(harness.call(&alice("+4930123456")).is_next());
    assert_eq!(harness.take_host_calls(), 1, "groups; headers count apart");
}
