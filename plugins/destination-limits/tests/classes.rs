//! Classes, countries, lists and rules for some callers.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use destination_limits::DestinationLimits;
use sipward_plugin_sdk::testing::{Harness, Request, Value, json};

/// A host with two lists and a group.
fn host() -> Harness<DestinationLimits> {
    Harness::unconfigured()
        .with_list(
            "barred",
            [("+493012345678", ""), ("*99", ""), ("+4916", "x")],
        )
        .with_list("partners", [("+8821612345678", ""), ("+4990012345", "")])
        .with_group("sales", ["alice", "bob"])
}

fn limits(settings: Value) -> Harness<DestinationLimits> {
    host().configured(settings)
}

fn german(more: &Value) -> Harness<DestinationLimits> {
    let mut settings = json!({
        "default": "deny", "allow": ["+", "112"], "country_code": "49", "national_prefix": "0",
    });
    let object = settings.as_object_mut().unwrap();
    object.extend(more.as_object().unwrap().clone());
    limits(settings)
}

fn check(harness: &Harness<DestinationLimits>, cases: &[(&str, &str)]) {
    for (number, expected) in cases {
        let outcome = harness.call(&Request::invite(&format!("sip:{number}@gw")));
        match expected.is_empty() {
            true => assert!(outcome.is_next(), "{number}: {}", outcome.reason()),
            false => {
                assert_eq!(
                    outcome.status(),
                    Some(403),
                    "{number}: {}",
                    outcome.reason()
                );
                let reason = outcome.reason();
                assert!(
                    reason.ends_with(&format!("by {expected}")),
                    "{number}: {reason}"
                );
            }
        }
    }
}

#[test]
fn high_cost_classes_are_denied_unless_allowed() {
    check(
        &german(&json!({})),
        &[
            ("+493023125000", ""),
            ("+4915123456789", ""),
            ("+498001234567", ""),
            ("+499001234567", "class premium"),
            ("09001234567", "class premium"),
            ("+19002345678", "class premium"),
            ("+447012345678", "class personal"),
            ("+8816123456789", "class satellite"),
            ("+870773111632", "class satellite"),
            ("+8821612345678", "class satellite"),
            ("+979123456789", "class premium"),
            ("+80012345678", "class international-service"),
            ("112", ""),
        ],
    );
    check(
        &german(&json!({ "deny_classes": ["mobile"] })),
        &[
            ("+499001234567", ""),
            ("+8816123456789", ""),
            ("+4915123456789", "class mobile"),
        ],
    );
    check(
        &german(&json!({ "exceptions": ["+49900123"], "deny": ["+499001239"] })),
        &[
            ("+499001234567", ""),
            ("+499001239567", "+499001239"),
            ("+499003234567", "class premium"),
        ],
    );
}

#[test]
fn digits_too_many_and_prefixes_inside_hide_nothing() {
    check(
        &german(&json!({})),
        &[
            ("+49900123456789", "class premium"),
            ("+490900-1234567", "class premium"),
            ("+49(0)900%201234567", "class premium"),
            ("0049(0)9001234567", "class premium"),
        ],
    );
    check(
        &german(&json!({ "deny_classes": [], "deny": ["+49900"] })),
        &[("+4909001234567", "+49900"), ("+490302312500", "")],
    );
}

#[test]
fn countries_allow_and_deny() {
    let nearby = limits(json!({
        "default": "deny", "allow": ["+1"], "deny": ["+4930"],
        "allow_countries": ["DE", "FR"], "deny_countries": ["JM"],
    }));
    check(
        &nearby,
        &[
            ("+4989123456", ""),
            ("+33123456789", ""),
            ("+493023125000", "+4930"),
            ("+43123456789", "default"),
            ("+12125550123", ""),
            ("+18765230123", "country JM"),
            ("+499001234567", "class premium"),
        ],
    );
    let open =
        limits(json!({ "default": "allow", "deny_countries": ["JM"], "exceptions": ["+1876523"] }));
    check(
        &open,
        &[
            ("+18765230123", ""),
            ("+18765251234", "country JM"),
            ("+12125550123", ""),
        ],
    );
}

#[test]
fn lists_come_first() {
    let harness = german(&json!({
        "exceptions": ["+493012345"],
        "lists": [
            { "name": "partners", "action": "allow" },
            { "name": "barred", "action": "deny", "keys": "prefix" },
        ],
    }));
    check(
        &harness,
        &[
            ("+493012345678", "+493012345678 in list barred"),
            ("+493012345670", ""),
            ("+4916012345678", "+4916 in list barred"),
            ("016012345678", "+4916 in list barred"),
            ("*9912", "*99 in list barred"),
            ("+8821612345678", ""),
            ("+88216123456789", "class satellite"),
        ],
    );
    harness.set_list("barred", [("+4989", "")]);
    check(
        &harness,
        &[
            ("+493012345678", ""),
            ("+4989123456", "+4989 in list barred"),
        ],
    );
    let exact = german(&json!({ "lists": [{ "name": "barred", "action": "deny" }] }));
    check(
        &exact,
        &[
            ("+493012345678", "+493012345678 in list barred"),
            ("+4916012345678", ""),
        ],
    );
}

#[test]
fn some_callers_have_their_own_rules() {
    let harness = limits(json!({
        "default": "deny", "allow": ["+49"],
        "lists": [{ "name": "barred", "action": "deny" }],
        "rules": [
            { "identities": ["bob"], "deny_classes": [] },
            { "groups": ["sales", "board"], "allow_countries": ["FR"], "allow": ["+1"], "lists": [] },
            { "identities": ["carol"], "default": "allow", "deny": ["+7"] },
        ],
    }));
    for (identity, number, rule) in [
        (None, "+493023125000", ""),
        (None, "+33123456789", "default"),
        (None, "+499001234567", "class premium"),
        (Some("nobody"), "+33123456789", "default"),
        (Some("bob"), "+499001234567", ""),
        (Some("bob"), "+33123456789", "default"),
        (Some("alice"), "+33123456789", ""),
        (Some("alice"), "+12125550123", ""),
        (Some("alice"), "+493023125000", "default"),
        (Some("alice"), "+493012345678", "default"),
        (Some("carol"), "+33123456789", ""),
        (Some("carol"), "+79161234567", "+7"),
        (
            Some("carol"),
            "+493012345678",
            "+493012345678 in list barred",
        ),
    ] {
        let mut request = Request::invite(&format!("sip:{number}@gw"));
        if let Some(identity) = identity {
            request = request.identity(identity);
        }
        let outcome = harness.call(&request);
        let reason = outcome.reason();
        assert_eq!(
            outcome.is_next(),
            rule.is_empty(),
            "{identity:?} {number}: {reason}"
        );
        assert!(reason.ends_with(rule), "{identity:?} {number}: {reason}");
    }
}

#[test]
fn local_numbers_are_read_as_dialled_in_the_region_too() {
    let settings = json!({ "default": "allow", "deny": ["+4930"] });
    check(
        &limits(settings),
        &[("09001234567", ""), ("03023125000", "")],
    );
    let settings = json!({ "default": "allow", "deny": ["+4930"], "region": "DE" });
    check(
        &limits(settings),
        &[
            ("09001234567", "class premium"),
            ("03023125000", "+4930"),
            ("08923125000", ""),
            ("1234", ""),
            ("*72", ""),
        ],
    );
}

#[test]
fn names_of_parameters_are_not_escaped() {
    for user in [
        "030123456;phone-contex%74=+1",
        "+4930123456;%72n=+19002345678",
        "+4930123456;ci%63=+16789",
    ] {
        let outcome = german(&json!({})).call(&Request::invite(&format!("sip:{user}@gw")));
        assert_eq!(outcome.status(), Some(604), "{user}");
    }
}

#[test]
fn wrong_settings_name_their_key() {
    let list = |name: &str| json!([{ "name": name, "action": "deny" }]);
    for (more, key) in [
        (json!({ "deny_classes": ["dear"] }), "deny_classes[0]"),
        (
            json!({ "allow_countries": ["DE", "de"] }),
            "allow_countries[1]",
        ),
        (json!({ "deny_countries": ["XX"] }), "deny_countries[0]"),
        (json!({ "region": "001" }), "region"),
        (json!({ "exceptions": ["+49", "x"] }), "exceptions[1]"),
        (json!({ "exceptions": ["112"] }), "allow"),
        (json!({ "lists": list("nowhere") }), "lists[0].name"),
        (json!({ "lists": [{ "name": "barred" }] }), "lists[0]"),
        (
            json!({ "lists": vec![json!({ "name": "barred", "action": "deny" }); 17] }),
            "lists",
        ),
        (json!({ "redirects": "follow" }), "redirects"),
        (json!({ "rules": [{}] }), "rules[0]"),
        (
            json!({ "rules": [{ "groups": ["a"], "allow": ["x"] }] }),
            "rules[0].allow[0]",
        ),
        (
            json!({ "rules": [{ "groups": ["a"], "deny": ["112"] }] }),
            "rules[0].allow",
        ),
        (
            json!({ "rules": [{ "groups": ["a"], "deny_countries": ["X"] }] }),
            "rules[0].deny_countries[0]",
        ),
        (
            json!({ "rules": [{ "groups": ["a"], "lists": list("nowhere") }] }),
            "rules[0].lists[0].name",
        ),
        (
            json!({ "rules": [{ "groups": ["a"], "methods": [] }] }),
            "rules[0].methods",
        ),
        (
            json!({ "rules": vec![json!({ "groups": ["a"] }); 65] }),
            "rules",
        ),
    ] {
        let mut settings = json!({ "default": "deny", "allow": ["112"] });
        let object = settings.as_object_mut().unwrap();
        object.extend(more.as_object().unwrap().clone());
        let error = host().try_configured(&settings).err().unwrap();
        assert_eq!(error.key(), key, "{settings}: {error}");
    }
}
