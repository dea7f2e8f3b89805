//! `destination-limits`: which numbers may be called.

use serde_json::{Value, json};
use sipward_tests::guests::{Caller, Host, Worker, admitted, refusal};

use crate::asking::Ask;
use crate::props::Props;
use crate::refuses_settings;
use crate::scene::{Scene, answer, said};

const GUEST: &str = "destination-limits";

#[test]
fn destination_limits_read_a_number_however_it_is_dialled() {
    let host = Host::new();
    let plugin = host.plugin(
        "destination-limits",
        json!({
            "default": "deny", "country_code": "49", "national_prefix": "0",
            "allow": ["+49", "110"], "deny": ["+49900"], "names": ["reception"],
        }),
    );
    let mut worker = Worker::new(&[&plugin]);
    let caller = Caller::at("192.0.2.1");
    for (uri, status) in [
        ("sip:+4930123456@pbx.example", None),
        ("sip:004930123456@pbx.example", None),
        ("sip:030123456@pbx.example", None),
        ("sip:+49-30-123.456@pbx.example;user=phone", None),
        ("sip:%2B4930123456@pbx.example", None),
        ("tel:+4930123456", None),
        ("sip:110@pbx.example", None),
        ("sip:reception@pbx.example", None),
        ("sip:+49900123456@pbx.example", Some(403)),
        ("sip:0900123456@pbx.example", Some(403)),
        ("sip:%30900123456@pbx.example", Some(403)),
        ("sip:+8817123456789@pbx.example", Some(403)),
        ("sip:kitchen@pbx.example", Some(403)),
        ("sip:pbx.example", Some(484)),
        // Fifteen digits are a number, sixteen are none; so are seven and six.
        ("sip:+493012345678901@pbx.example", None),
        ("sip:+4930123456789012@pbx.example", Some(604)),
        ("sip:+4930123@pbx.example", None),
        ("sip:+493012@pbx.example", Some(484)),
    ] {
        let conclusion = worker.judge(caller.invite(uri));
        match status {
            None => assert!(admitted(&conclusion), "{uri}: {:?}", conclusion.decision),
            Some(status) => {
                let (given, plugin, reason) = refusal(&conclusion);
                assert_eq!(
                    (given, plugin),
                    (status, "destination-limits"),
                    "{uri}: {reason}"
                );
            }
        }
    }
    let refer = |target: &str| {
        caller.request(
            "REFER",
            "sip:110@pbx.example",
            &format!("Refer-To: <{target}>\r\n"),
        )
    };
    assert!(admitted(
        &worker.judge(refer("sip:+4930123456@pbx.example"))
    ));
    assert_eq!(
        refusal(&worker.judge(refer("sip:+49900123456@pbx.example"))).0,
        403
    );
    assert_eq!(
        refusal(&worker.judge(caller.request("REFER", "sip:110@pbx.example", ""))).0,
        400
    );
    assert!(admitted(&worker.judge(caller.request(
        "OPTIONS",
        "sip:+49900123456@pbx.example",
        ""
    ))));
}

/// Ten thousand barred numbers, some partners, and a group.
fn props() -> Props {
    let mut barred = String::from("+4916 = carriers of fraud\n*99\n");
    for number in 0..10_000 {
        barred.push_str(&format!("+4930{number:07}\n"));
    }
    Props::default()
        .list("barred", &barred)
        .list("partners", "+8821612345678\n+4990012345\n")
        .group("sales", &["alice", "bob"])
}

fn german(more: &Value) -> Value {
    let mut settings = json!({
        "default": "deny", "allow": ["+", "112"], "country_code": "49", "national_prefix": "0",
    });
    let all = settings.as_object_mut().expect("an object");
    all.extend(more.as_object().expect("an object").clone());
    settings
}

/// Each number passes, or is refused by this rule.
#[track_caller]
fn check(scene: &mut Scene, user: Option<&str>, cases: &[(&str, &str)]) {
    for (number, rule) in cases {
        let ask = Ask::invite(&format!("sip:{number}@gw"));
        let ask = match user {
            Some(user) => ask.by(user),
            None => ask,
        };
        let conclusion = scene.judge(&ask);
        let expected = if rule.is_empty() { 0 } else { 403 };
        assert_eq!(answer(&conclusion), expected, "{user:?} {number}");
        let ending = if rule.is_empty() {
            String::new()
        } else {
            format!("by {rule}")
        };
        let said = said(&conclusion);
        assert!(said.ends_with(&ending), "{user:?} {number}: {said}");
    }
}

#[test]
fn destination_limits_deny_what_is_dear_unless_it_is_allowed() {
    let mut scene = Scene::with(props(), GUEST, german(&json!({})));
    check(
        &mut scene,
        None,
        &[
            ("+493023125000", ""),
            ("+4915123456789", ""),
            ("+498001234567", ""),
            ("112", ""),
            ("+499001234567", "class premium"),
            ("09001234567", "class premium"),
            ("+19002345678", "class premium"),
            ("+447012345678", "class personal"),
            ("+8816123456789", "class satellite"),
            ("+870773111632", "class satellite"),
            ("+979123456789", "class premium"),
            ("+80012345678", "class international-service"),
            ("+49(0)900%201234567", "class premium"),
            ("+49900123456789", "class premium"),
        ],
    );
    scene.reload(german(
        &json!({ "exceptions": ["+49900123"], "deny": ["+499001239"], "deny_countries": ["JM"] }),
    ));
    check(
        &mut scene,
        None,
        &[
            ("+499001234567", ""),
            ("+499001239567", "+499001239"),
            ("+499003234567", "class premium"),
            ("+18765230123", "country JM"),
            ("+12125550123", ""),
        ],
    );
}

#[test]
fn destination_limits_look_into_lists_that_change_while_they_run() {
    let lists = json!([
        { "name": "partners", "action": "allow" },
        { "name": "barred", "action": "deny", "keys": "prefix" },
    ]);
    let mut scene = Scene::with(props(), GUEST, german(&json!({ "lists": lists })));
    check(
        &mut scene,
        None,
        &[
            ("+49300000000", "+49300000000 in list barred"),
            ("+49300009999", "+49300009999 in list barred"),
            ("+49300010000", ""),
            ("+493000099991", "+49300009999 in list barred"),
            ("016012345678", "+4916 in list barred"),
            ("*9912", "*99 in list barred"),
            ("+8821612345678", ""),
            ("+88216123456789", "class satellite"),
        ],
    );
    scene.change(|props| props.list("barred", "+4989\n"));
    check(
        &mut scene,
        None,
        &[
            ("+49300000000", ""),
            ("+4989123456", "+4989 in list barred"),
        ],
    );
    // What is gone lets nobody through who needed it, and a reload says so.
    scene.keeps_settings(
        german(&json!({ "lists": [{ "name": "nowhere", "action": "deny" }] })),
        "lists[0].name",
    );
    // Nothing is remembered, so nothing is lost.
    scene.restart();
    check(&mut scene, None, &[("+4989123456", "+4989 in list barred")]);
}

#[test]
fn destination_limits_have_rules_for_users_and_groups() {
    let settings = json!({
        "default": "deny", "allow": ["+49"],
        "rules": [
            { "identities": ["bob"], "deny_classes": [] },
            { "groups": ["sales"], "allow_countries": ["FR"], "allow": ["+1"] },
            { "identities": ["carol"], "default": "allow", "deny": ["+7"] },
        ],
    });
    let mut scene = Scene::with(props(), GUEST, settings);
    let strangers = [
        ("+493023125000", ""),
        ("+33123456789", "default"),
        ("+499001234567", "class premium"),
    ];
    check(&mut scene, None, &strangers);
    check(&mut scene, Some("nobody"), &strangers);
    check(
        &mut scene,
        Some("bob"),
        &[("+499001234567", ""), ("+33123456789", "default")],
    );
    check(
        &mut scene,
        Some("alice"),
        &[
            ("+33123456789", ""),
            ("+12125550123", ""),
            ("+493023125000", "default"),
        ],
    );
    check(
        &mut scene,
        Some("carol"),
        &[("+33123456789", ""), ("+79161234567", "+7")],
    );
}

#[test]
fn destination_limits_hold_for_redirections_and_transfers_too() {
    let settings = german(&json!({
        "allow": ["+49", "112"],
        "rules": [{ "groups": ["sales"], "allow": ["+49", "+33", "112"] }],
    }));
    let mut scene = Scene::with(props(), GUEST, settings);
    let stranger = scene.judge(&Ask::invite("sip:112@gw"));
    let alice = scene.judge(&Ask::invite("sip:112@gw").by("alice"));
    for (status, contact, strange, known) in [
        (302, "<sip:+493023125000@gw>", 0, 0),
        (302, "<tel:112>;q=0.5, <sip:030-23125000@gw>", 0, 0),
        (302, "<sip:+33123456789@gw>", 403, 0),
        (302, "<sip:%30900%31234567@gw;user=phone>", 403, 403),
        (302, "<sip:112@gw>, <sip:+8816123456789@gw>", 403, 403),
        (300, "<sip:+499001234567@gw>", 403, 403),
        (399, "<sip:+499001234567@gw>", 403, 403),
        (299, "<sip:+499001234567@gw>", 0, 0),
        (486, "<sip:+499001234567@gw>", 0, 0),
    ] {
        let contact = format!("Contact: {contact}\r\n");
        let given = scene.respond(&stranger, status, &contact);
        assert_eq!(given.0, strange, "{status} {contact}: {}", given.1);
        let given = scene.respond(&alice, status, &contact);
        assert_eq!(given.0, known, "{status} {contact}: {}", given.1);
    }
    let france = Ask::refer("<sip:+33123456789@gw>");
    assert_eq!(scene.ask(&france), 403);
    assert_eq!(scene.ask(&france.by("alice")), 0);
    let premium = Ask::refer("<tel:0900-1234567>");
    assert_eq!(scene.ask(&premium.by("alice")), 403);
}

#[test]
fn destination_limits_change_with_a_reload_and_keep_the_old_ones_if_it_is_wrong() {
    let mut scene = Scene::with(props(), GUEST, german(&json!({})));
    check(&mut scene, None, &[("+33123456789", "")]);
    let wrong = german(&json!({ "deny_countries": ["XX"] }));
    scene.keeps_settings(wrong, "deny_countries[0]");
    check(&mut scene, None, &[("+33123456789", "")]);
    scene.reload(german(&json!({ "deny_countries": ["FR"] })));
    check(&mut scene, None, &[("+33123456789", "country FR")]);
}

/// Whole settings, and the key that is wrong in them.
fn wrong_settings() -> Vec<(Value, &'static str)> {
    vec![
        (json!({ "default": "perhaps" }), "default"),
        (
            json!({ "default": "deny", "allow": ["+49", "forty-nine"] }),
            "allow[1]",
        ),
        (
            json!({ "default": "deny", "methods": ["invite"] }),
            "methods[0]",
        ),
        (
            json!({ "default": "deny", "allow": ["+49"], "deny": ["+49"] }),
            "allow",
        ),
    ]
}

/// Keys, values that they cannot have, and how they are named.
fn wrong_values() -> Vec<(&'static str, Value, &'static str)> {
    let list = json!([{ "name": "nowhere", "action": "deny" }]);
    let rule = |field: &str, value: Value| json!([{ "groups": ["a"], field: value }]);
    vec![
        ("alow", json!([]), "alow"),
        ("deny", json!(["x"]), "deny[0]"),
        ("exceptions", json!(["+49", "x"]), "exceptions[1]"),
        ("deny_classes", json!(["dear"]), "deny_classes[0]"),
        ("allow_countries", json!(["DE", "de"]), "allow_countries[1]"),
        ("deny_countries", json!(["XX"]), "deny_countries[0]"),
        ("lists", list.clone(), "lists[0].name"),
        ("lists", json!([{ "name": "a" }]), "lists[0]"),
        ("redirects", json!("follow"), "redirects"),
        ("region", json!("001"), "region"),
        (
            "international_prefixes",
            json!([""]),
            "international_prefixes[0]",
        ),
        ("country_code", json!("+49"), "country_code"),
        ("national_prefix", json!("0"), "national_prefix"),
        ("bare", json!("national"), "bare"),
        ("local_digits", json!(16), "local_digits"),
        ("min_digits", json!(0), "min_digits"),
        ("max_digits", json!(33), "max_digits"),
        ("letters", json!("ask"), "letters"),
        ("rules", json!([{}]), "rules[0]"),
        (
            "rules",
            json!(vec![json!({ "groups": ["a"] }); 65]),
            "rules",
        ),
        ("rules", rule("allow", json!(["x"])), "rules[0].allow[0]"),
        ("rules", rule("lists", list), "rules[0].lists[0].name"),
        ("rules", rule("methods", json!([])), "rules[0].methods"),
    ]
}

#[test]
fn destination_limits_name_the_wrong_key() {
    refuses_settings(GUEST, &wrong_settings());
    let mut cases = Vec::new();
    for (field, value, key) in wrong_values() {
        let mut settings = json!({ "default": "deny" });
        settings[field] = value;
        cases.push((settings, key));
    }
    refuses_settings(GUEST, &cases);
}
