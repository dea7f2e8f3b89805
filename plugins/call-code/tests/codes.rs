//! Codes that are right, wrong, used and missing, and that they are never shown.

use call_code::CallCode;
use sipward_plugin_sdk::testing::{Credentials, Harness, Request, Value, json};
use sipward_plugin_sdk::{Dialog, Effect, Outcome, Zone};

const CODE: &str = "735911";

fn with(settings: Value) -> Harness<CallCode> {
    let mut all = json!({ "region": "DE" });
    if let (Some(all), Some(settings)) = (all.as_object_mut(), settings.as_object()) {
        all.extend(settings.clone());
    }
    Harness::new(all)
        .with_code("alice", CODE)
        .with_one_time_code("bob", CODE)
}

fn harness() -> Harness<CallCode> {
    with(json!({}))
}

fn call(dialled: &str) -> Request {
    Request::invite(&format!("sip:{dialled}@example.com")).identity("alice")
}

/// The code stands nowhere but where it is said to be secret.
fn hides(outcome: &Outcome) {
    let shown = outcome
        .effects()
        .iter()
        .filter(|effect| !matches!(effect, Effect::Conceal(_)));
    let shown = format!(
        "{:?} {:?} {}",
        outcome.verdict(),
        shown.collect::<Vec<_>>(),
        outcome.reason()
    );
    assert!(!shown.contains(CODE), "{shown}");
    assert!(
        outcome.secrets().any(|secret| secret == CODE),
        "{outcome:?}"
    );
}

#[test]
fn a_right_code_opens_and_goes_no_further() {
    let harness = harness();
    let outcome = harness.call(&call("*735911*0041446681800"));
    assert!(outcome.is_next(), "{outcome:?}");
    hides(&outcome);
    assert_eq!(outcome.request_uri(), Some("sip:0041446681800@example.com"));
    assert_eq!(outcome.shown_to(), Some("<sip:0041446681800@example.com>"));
    assert_eq!(outcome.annotation("call-code"), Some("verified"));
    // Its own To stays as it is if it shows nothing.
    let other = harness.call(&call("*735911*09001234567").to_uri("sip:shop@example.com"));
    assert!(other.is_next() && other.shown_to().is_none());
}

#[test]
fn a_code_before_a_number_that_needs_none_is_checked_and_taken_out() {
    let harness = harness();
    let outcome = harness.call(&call("*735911*030123456"));
    assert_eq!(outcome.request_uri(), Some("sip:030123456@example.com"));
    assert_eq!(harness.call(&call("*111111*030123456")).status(), Some(403));
}

#[test]
fn chosen_destinations_need_a_code() {
    let harness = harness();
    for (dialled, reason) in [
        ("0041446681800", "+41446681800 in CH needs a code"),
        ("%2b41446681800", "+41446681800 in CH needs a code"),
        ("09001234567", "+499001234567 (premium) needs a code"),
        ("+881612345678", "+881612345678 (satellite) needs a code"),
        ("*21*09001234567", "what is no number needs a code"),
        (
            "09001234567;phone-context=+49",
            "what is no plain number needs a code",
        ),
        ("%EF%BC%90900", "what is no plain number needs a code"),
    ] {
        let outcome = harness.call(&call(dialled));
        assert_eq!(
            (outcome.status(), outcome.reason()),
            (Some(403), reason),
            "{dialled}"
        );
    }
    for dialled in ["030123456", "4711", "*43", "112", "reception"] {
        assert!(harness.call(&call(dialled)).is_next(), "{dialled}");
    }
}

#[test]
fn destinations_are_chosen_by_the_operator() {
    let harness = with(json!({
        "destinations": {
            "foreign": false, "classes": ["mobile"], "prefixes": ["+4930"], "list": "dear",
            "internal_digits": 0,
        },
        "emergency": ["110"],
    }))
    .with_list("dear", [("+41", "")]);
    for dialled in ["030123456", "015112345678", "+41446681800"] {
        assert_eq!(
            harness.call(&call(dialled)).status(),
            Some(403),
            "{dialled}"
        );
    }
    for dialled in ["+12125550123", "089123456", "110"] {
        assert!(harness.call(&call(dialled)).is_next(), "{dialled}");
    }
    let missing = with(json!({ "destinations": { "list": "nowhere" } }));
    assert_eq!(
        missing.call(&call("030123456")).status(),
        Some(403),
        "nobody can say"
    );
}

#[test]
fn exempt_users_and_groups_need_none() {
    let harness = with(json!({ "exempt_users": ["carol"], "exempt_groups": ["managers"] }))
        .with_group("managers", ["dave"]);
    for (user, passes) in [("carol", true), ("dave", true), ("alice", false)] {
        let outcome = harness.call(&call("09001234567").identity(user));
        assert_eq!(outcome.is_next(), passes, "{user}");
    }
}

#[test]
fn a_wrong_code_is_hidden_too() {
    let harness = harness();
    let wrong = harness.call(&call("*735912*0041446681800"));
    assert_eq!(
        (wrong.status(), wrong.reason()),
        (Some(403), "alice has dialled a wrong code")
    );
    assert_eq!(wrong.secrets().collect::<Vec<_>>(), ["735912"]);
    // Somebody else's code is wrong, and nobody's as well.
    let theirs = harness.call(&call("*735911*0041446681800").identity("carol"));
    assert_eq!(theirs.reason(), "carol has dialled a wrong code");
    hides(&theirs);
    let nobody = Request::invite("sip:*735911*0041446681800@example.com").zone(Zone::Inside);
    let nobody = harness.call(&nobody);
    assert_eq!(nobody.status(), Some(403));
    hides(&nobody);
}

#[test]
fn a_code_that_was_used_is_refused() {
    let harness = harness();
    let request = call("*735911*0041446681800").identity("bob");
    assert!(harness.call(&request).is_next());
    let again = harness.call(&request);
    assert_eq!(
        again.reason(),
        "bob has dialled a code that was used before"
    );
    assert_eq!(again.alerts().next().unwrap().key, "call-code/replayed/bob");
    hides(&again);
}

#[test]
fn codes_are_hidden_however_they_are_written() {
    let harness = harness();
    let escaped = harness.call(&call("%2a7359%31%31%2A09001234567"));
    assert!(escaped.is_next());
    assert_eq!(escaped.request_uri(), Some("sip:09001234567@example.com"));
    assert_eq!(
        escaped.secrets().collect::<Vec<_>>(),
        ["735911", "7359%31%31"]
    );
    let tel = Request::invite("tel:*735911*09001234567").identity("alice");
    assert_eq!(harness.call(&tel).request_uri(), Some("tel:09001234567"));
    let sips = Request::invite("sips:*735911*+49-900-1234567;x=y@[2001:db8::1]:5061;lr");
    assert_eq!(
        harness.call(&sips.identity("alice")).request_uri(),
        Some("sips:+499001234567;x=y@[2001:db8::1]:5061;lr")
    );
}

#[test]
fn something_like_a_code_is_neither_forwarded_nor_shown() {
    let harness = harness();
    for dialled in [
        "*735911",
        "*735911*",
        "*735911*bob",
        "*735911#0900",
        "*735911*0900%2",
    ] {
        let outcome = harness.call(&call(dialled));
        assert_eq!(outcome.status(), Some(484), "{dialled}");
        assert!(
            outcome.secrets().any(|secret| secret.contains(CODE)),
            "{dialled}"
        );
        assert!(!outcome.reason().contains(CODE));
    }
    let only_to = harness.call(&call("030123456").to_uri("sip:*735911*030@example.com"));
    assert_eq!(only_to.status(), Some(400));
    hides(&only_to);
    let broken_to = harness.call(&call("*735911*0900123456").to_uri("sip:*735911@example.com"));
    assert_eq!(broken_to.status(), Some(400));
    hides(&broken_to);
}

#[test]
fn headers_that_show_the_code_are_left_out() {
    let harness = harness();
    let request = call("*735911*09001234567")
        .header("P-Called-Party-ID", "<sip:*735911*09001234567@example.com>")
        .header("History-Info", "<sip:%2A735911%2a0900@example.com>;index=1")
        .header("Subject", "lunch");
    let outcome = harness.call(&request);
    assert!(outcome.is_next());
    let removed: Vec<_> = outcome
        .effects()
        .iter()
        .filter_map(|effect| match effect {
            Effect::RemoveHeader(name) => Some(name.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(removed, ["P-Called-Party-ID", "History-Info"]);
    for name in ["Contact", "f", "Call-ID"] {
        let fixed = call("*735911*0900").header(name, "<sip:*735911*@h>");
        let outcome = harness.call(&fixed);
        assert_eq!(outcome.status(), Some(400), "{name}");
        hides(&outcome);
    }
}

#[test]
fn credentials_hold_what_was_dialled_and_go_only_as_far_as_us() {
    let harness = harness();
    let digest = r#"Digest username="alice", realm="office", uri="sip:*735911*0900@h""#;
    let request = call("*735911*0900").header("Proxy-Authorization", digest);
    assert_eq!(
        harness.call(&request).status(),
        Some(400),
        "another realm gets them"
    );
    let ours = request.verified("alice", "office");
    assert!(harness.call(&ours).is_next());
    // Credentials of the double: nothing of them is looked at here.
    let other = ours.credentials(Credentials::new("office", "alice", "x"));
    assert!(harness.call(&other).is_next());
}

#[test]
fn transfers_carry_no_code() {
    let harness = harness();
    let refer = |target: &str| {
        Request::new("REFER", "sip:bob@example.com")
            .dialog(Dialog::Confirmed)
            .identity("alice")
            .header("Refer-To", target)
    };
    assert!(
        harness
            .call(&refer("<sip:030123456@example.com>"))
            .is_next()
    );
    assert_eq!(
        harness
            .call(&refer("<sip:09001234567@example.com>"))
            .status(),
        Some(403)
    );
    assert_eq!(
        harness.call(&refer("<sip:x@h>, <sip:y@h>")).status(),
        Some(400)
    );
    let coded = harness.call(&refer("<sip:*735911*0900@example.com>"));
    assert_eq!(coded.status(), Some(403));
    hides(&coded);
    let allowed = with(json!({ "transfers": "allow" }));
    assert!(
        allowed
            .call(&refer("<sip:09001234567@example.com>"))
            .is_next()
    );
    hides(&allowed.call(&refer("<sip:*735911*0900@example.com>")));
}

#[test]
fn a_trunks_call_for_us_needs_no_code() {
    let harness = harness();
    let inbound = Request::invite("sip:+41446681800@example.com").peer_name("carrier");
    assert!(harness.call(&inbound).is_next());
    assert!(!harness.call(&inbound.zone(Zone::Inside)).is_next());
    let inside = call("09001234567").dialog(Dialog::Confirmed);
    assert!(
        harness.call(&inside).is_next(),
        "its Request-URI is a Contact"
    );
}

#[test]
fn an_instance_before_the_password_only_hides() {
    let first = with(json!({ "hide_only": true }));
    for request in [
        call("*735911*0041446681800"),
        Request::invite("sip:*735911*0041446681800@example.com"),
        Request::invite("sip:1@example.com").to_uri("sip:*735911*0041446681800@example.com"),
        Request::new("REFER", "sip:1@example.com")
            .header("Refer-To", "<sip:*735911*0041446681800@example.com>"),
    ] {
        let outcome = first.call(&request);
        assert!(outcome.is_next(), "{outcome:?}");
        hides(&outcome);
        let others = |effect: &&Effect| !matches!(effect, Effect::Conceal(_));
        assert_eq!(outcome.effects().iter().filter(others).count(), 0);
    }
    let plain = first.call(&call("0041446681800"));
    assert!(plain.is_next() && plain.effects().is_empty());
}
