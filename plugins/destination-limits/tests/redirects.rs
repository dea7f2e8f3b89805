//! Answers that send the caller elsewhere, and transfers.

use destination_limits::DestinationLimits;
use sipward_plugin_sdk::Dialog;
use sipward_plugin_sdk::testing::{Harness, Request, Response, Value, json};

fn german(redirects: &str) -> Harness<DestinationLimits> {
    Harness::unconfigured()
        .with_group("sales", ["alice"])
        .configured(settings(redirects))
}

fn settings(redirects: &str) -> Value {
    json!({
        "default": "deny", "allow": ["+49", "112"], "names": ["reception"],
        "country_code": "49", "national_prefix": "0", "redirects": redirects,
        "rules": [{ "groups": ["sales"], "allow": ["+49", "+33"] }],
    })
}

fn moved(contact: &str) -> Response {
    Response::new(302, "Moved Temporarily").header("Contact", contact)
}

#[test]
fn targets_of_a_redirection_are_destinations() {
    let harness = german("check");
    for (contact, allowed) in [
        ("<sip:+493023125000@gw>", true),
        ("sip:reception@gw", true),
        ("<tel:112>;q=0.5, <sip:030-23125000@gw>", true),
        ("<sip:+499001234567@gw>", false),
        ("<sip:0900-1234567@gw>", false),
        ("<sip:%30900%31234567@gw;user=phone>", false),
        ("<tel:9001234567;phone-context=+49>", false),
        ("<sip:+493023125000@gw>, <sip:+8816123456789@gw>", false),
        ("<sip:+33123456789@gw>", false),
        ("<sip:kitchen@gw>", false),
        ("<sip:+493023125000@gw", false),
        ("*", false),
    ] {
        let outcome = harness.answer(&moved(contact));
        let expected = if allowed { None } else { Some(403) };
        assert_eq!(
            outcome.status(),
            expected,
            "{contact}: {}",
            outcome.reason()
        );
    }
    let reason = harness.answer(&moved("<tel:09001234567>"));
    assert_eq!(
        reason.reason(),
        "a redirection: Contact +499001234567 is denied by class premium"
    );
    assert!(
        harness
            .answer(&Response::new(380, "Alternative Service"))
            .is_next()
    );
    let many = |count: usize| moved(&vec!["<tel:112>"; count].join(", "));
    assert!(harness.answer(&many(16)).is_next());
    assert_eq!(harness.answer(&many(17)).status(), Some(403));
}

#[test]
fn the_rules_of_the_caller_hold() {
    let harness = german("check");
    let france = moved("<sip:+33123456789@gw>");
    assert_eq!(harness.answer(&france).status(), Some(403));
    assert!(harness.answer(&france.clone().identity("alice")).is_next());
    assert_eq!(
        harness.answer(&france.identity("carol")).status(),
        Some(403)
    );
}

#[test]
fn other_answers_are_left_alone() {
    let harness = german("check");
    let contact = "<sip:+499001234567@gw>";
    for status in [183, 200, 299, 400, 486, 603] {
        let answer = Response::new(status, "x").header("Contact", contact);
        assert!(harness.answer(&answer).is_next(), "{status}");
    }
    for status in [300, 399] {
        let answer = Response::new(status, "x").header("Contact", contact);
        assert_eq!(harness.answer(&answer).status(), Some(403), "{status}");
    }
    assert!(
        harness
            .answer(&moved(contact).to_method("REGISTER"))
            .is_next()
    );
    assert!(german("pass").answer(&moved(contact)).is_next());
}

#[test]
fn transfers_follow_the_rules_of_the_caller() {
    let harness = german("check");
    let refer =
        |target: &str| Request::refer("sip:contact@10.0.0.1", target).dialog(Dialog::Confirmed);
    let (france, premium) = ("<sip:+33123456789@gw>", "<tel:0900-1234567>");
    assert_eq!(harness.call(&refer(france)).status(), Some(403));
    assert!(harness.call(&refer(france).identity("alice")).is_next());
    assert_eq!(
        harness.call(&refer(premium).identity("alice")).status(),
        Some(403)
    );
}
