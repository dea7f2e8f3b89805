//! Emergency calls, groups, destinations and wrong settings of `business-hours`.

#![expect(clippy::indexing_slicing, reason = "a test ends where it fails")]

use business_hours::BusinessHours;
use sipward_plugin_sdk::testing::{Harness, Request, Value, json};
use sipward_plugin_sdk::{Dialog, Zone};

/// Sunday, 2026-01-11 12:00 in Berlin.
const SUNDAY_MS: u64 = 1_768_129_200_000;
/// Monday, 2026-01-12 12:00 in Berlin.
const MONDAY_MS: u64 = SUNDAY_MS + 24 * 3_600_000;

fn settings() -> Value {
    json!({
        "emergency": ["112", "110", "0112"],
        "time_zone": "Europe/Berlin",
        "region": "DE",
        "schedules": {
            "office": { "hours": ["mon-fri 08:00-18:00"] },
            "weekend": { "hours": ["sat,sun 00:00-24:00"] },
        },
        "default": "office",
        "rules": [
            { "groups": ["support"], "when": "always" },
            { "users": ["guard"], "foreign": true, "when": "never" },
            { "users": ["guard"], "when": "weekend" },
            { "classes": ["premium"], "when": "never" },
            { "prefixes": ["7", "*"], "when": "always" },
            { "prefixes": ["+43"], "countries": ["CH"], "when": "always" },
            { "peers": ["alarm"], "when": "always" },
        ],
    })
}

fn harness() -> Harness<BusinessHours> {
    let harness = Harness::new(settings()).with_group("support", ["alice"]);
    harness.set_now_ms(SUNDAY_MS);
    harness
}

fn call(uri: &str) -> Request {
    Request::invite(uri).zone(Zone::Inside)
}

#[test]
fn emergency_calls_always_pass() {
    let harness = harness();
    for (uri, passes) in [
        ("sip:112@gw", true),
        ("sip:0112@gw", true),
        ("tel:110", true),
        ("tel:1-1-0", true),
        ("sip:%31%31%32@gw", true),
        ("tel:112;phone-context=+49", true),
        ("sip:112;phone-context=+49@gw;user=phone", true),
        ("urn:service:sos", true),
        ("URN:service:SOS.fire", true),
        ("urn:service:sosx", false),
        ("urn:service:counseling", false),
        ("sip:00112@gw", false),
        ("sip:1120@gw", false),
        ("sip:+49112@gw", false),
        ("sip:112;rn=+49900123456@gw", false),
        ("sip:112@gw;rn=+49900123456", false),
        ("sip:gw", false),
    ] {
        assert_eq!(harness.call(&call(uri)).is_next(), passes, "{uri}");
    }
    let _calls = harness.take_host_calls();
    assert!(harness.call(&call("sip:112@gw")).is_next());
    assert_eq!(harness.take_host_calls(), 0, "nothing that could fail");
}

#[test]
fn the_first_rule_for_caller_and_destination_counts() {
    let harness = harness();
    for (user, uri, sunday, monday) in [
        ("", "sip:+4930123456@gw", false, true),
        ("", "sip:030123456@gw", false, true),
        ("alice", "sip:+49900123456@gw", true, true),
        ("bob", "sip:+499001234567@gw", false, false),
        ("bob", "sip:09001234567@gw", false, false),
        ("bob", "sip:0049-900-1234567@gw", false, false),
        ("bob", "sip:701@gw", true, true),
        ("bob", "sip:*72@gw", true, true),
        ("bob", "sip:201@gw", false, true),
        ("bob", "sip:+436641234567@gw", true, true),
        ("bob", "sip:00436641234567@gw", true, true),
        ("bob", "sip:+41446681800@gw", true, true),
        ("bob", "sip:+33123456789@gw", false, true),
        ("guard", "sip:+4930123456@gw", true, false),
        ("guard", "sip:+436641234567@gw", false, false),
        ("guard", "sip:+999123456789@gw", false, false),
        ("bob", "sip:reception@gw", false, true),
    ] {
        let request = call(uri);
        let request = match user {
            "" => request,
            user => request.identity(user),
        };
        for (now_ms, passes) in [(SUNDAY_MS, sunday), (MONDAY_MS, monday)] {
            harness.set_now_ms(now_ms);
            let outcome = harness.call(&request);
            assert_eq!(
                outcome.is_next(),
                passes,
                "{user} {uri}: {}",
                outcome.reason()
            );
        }
    }
    harness.set_now_ms(SUNDAY_MS);
    let outcome = harness.call(&call("sip:09001234567@gw"));
    assert_eq!(
        outcome.reason(),
        "the caller may not call +499001234567 at any time"
    );
    assert!(
        harness
            .call(&call("sip:+4930123456@gw").peer_name("alarm"))
            .is_next()
    );
}

#[test]
fn every_reading_has_to_be_possible() {
    let harness = harness();
    harness.set_now_ms(MONDAY_MS);
    for (uri, passes) in [
        ("tel:30123456;phone-context=+49", true),
        ("tel:9001234567;phone-context=+49", false),
        ("sip:9001234567@gw;phone-context=+49", false),
        ("sip:+4930123456;rn=+499001234567@gw", false),
        ("sip:+4930123456@gw;rn=+499001234567", false),
        ("sip:+4930123456;rn=+4930999999@gw", true),
    ] {
        assert_eq!(harness.call(&call(uri)).is_next(), passes, "{uri}");
    }
}

#[test]
fn zones_identities_and_methods_choose_who_is_looked_at() {
    let harness = harness();
    let uri = "sip:+4930123456@gw";
    let outside = Request::invite(uri);
    assert!(harness.call(&outside).is_next(), "a call that comes in");
    assert!(!harness.call(&outside.clone().identity("bob")).is_next());
    assert!(
        harness
            .call(&Request::new("MESSAGE", uri).zone(Zone::Inside))
            .is_next()
    );
    assert!(harness.call(&call(uri).dialog(Dialog::Confirmed)).is_next());
    let mut changed = settings();
    changed["identified"] = json!(false);
    changed["zones"] = json!(["outside"]);
    changed["exempt_peers"] = json!(["carrier"]);
    changed["methods"] = json!(["MESSAGE"]);
    changed["status"] = json!(480);
    let harness = Harness::<BusinessHours>::new(changed);
    harness.set_now_ms(SUNDAY_MS);
    let message = Request::new("MESSAGE", uri);
    assert_eq!(harness.call(&message).status(), Some(480));
    assert!(
        harness
            .call(&message.clone().peer_name("carrier"))
            .is_next()
    );
    assert!(
        harness
            .call(&message.zone(Zone::Inside).identity("bob"))
            .is_next()
    );
    assert!(harness.call(&outside).is_next());
}

#[test]
fn transfers_are_calls() {
    let harness = harness();
    let refer = |target: &str| {
        let request = Request::refer("sip:contact@10.0.0.1", target)
            .zone(Zone::Inside)
            .dialog(Dialog::Confirmed);
        harness.call(&request).status().unwrap_or(0)
    };
    assert_eq!(refer("<sip:701@gw>"), 0);
    assert_eq!(refer("<sip:112@gw>"), 0);
    assert_eq!(refer("<sip:+4930123456@gw>"), 403);
    assert_eq!(refer("<sip:701@gw"), 400);
    assert_eq!(refer(""), 400);
}

#[test]
fn local_digits_have_two_sides() {
    let mut settings = settings();
    settings["local_digits"] = json!(7);
    settings["rules"] =
        json!([{ "foreign": true, "when": "never" }, { "prefixes": ["123"], "when": "always" }]);
    settings["default"] = json!("never");
    let harness = Harness::<BusinessHours>::new(settings);
    assert!(harness.call(&call("sip:1234567@gw")).is_next());
    assert!(!harness.call(&call("sip:12345678@gw")).is_next());
}

fn with(key: &str, value: Value) -> Value {
    let mut changed = settings();
    changed[key] = value;
    changed
}

/// Settings that are wrong, and the key that is.
fn wrong_settings() -> Vec<(Value, &'static str)> {
    let schedule = |schedule: Value| {
        with(
            "schedules",
            json!({ "office": schedule, "weekend": { "hours": [] } }),
        )
    };
    let rule = |rule: Value| with("rules", json!([rule]));
    let hours = |line: &str| schedule(json!({ "hours": ["mon 08:00-09:00", line] }));
    let dates: Vec<_> = vec!["12-25"; 1_025];
    let many: Vec<_> = (0..1_025).map(|n| n.to_string()).collect();
    let schedules: Value = (0..65)
        .map(|n| (format!("s{n}"), json!({ "hours": [] })))
        .collect();
    vec![
        (json!({}), ""),
        (with("emergency", json!([])), "emergency"),
        (
            with("emergency", vec![json!("112"); 65].into()),
            "emergency",
        ),
        (with("emergency", json!(["112", "1 1 2"])), "emergency[1]"),
        (with("time_zone", json!("Europe/Bonn")), "time_zone"),
        (with("region", json!("de")), "region"),
        (with("schedules", json!({})), "schedules"),
        (with("schedules", schedules), "schedules"),
        (
            with("schedules", json!({ "always": { "hours": [] } })),
            "schedules.always",
        ),
        (with("default", json!("nights")), "default"),
        (hours("mon"), "schedules.office.hours[1]"),
        (hours("mon 8-18"), "schedules.office.hours[1]"),
        (hours("weekdays 08:00-18:00"), "schedules.office.hours[1]"),
        (hours(""), "schedules.office.hours[1]"),
        (
            schedule(json!({ "hours": vec!["mon 08:00-09:00"; 65] })),
            "schedules.office.hours",
        ),
        (
            schedule(json!({ "hours": [], "holiday_hours": ["mon 08:00-09:00"] })),
            "schedules.office.holiday_hours[0]",
        ),
        (
            schedule(json!({ "hours": [], "time_zone": "Mars/Olympus" })),
            "schedules.office.time_zone",
        ),
        (
            schedule(json!({ "hours": [], "holidays": ["12-25", "2026-02-29"] })),
            "schedules.office.holidays[1]",
        ),
        (schedule(json!({ "hour": [] })), "schedules.office.hour"),
        (with("holidays", json!(["24.12."])), "holidays[0]"),
        (with("holidays", json!(["12-25", "2-29"])), "holidays[1]"),
        (with("holidays", json!(["13-01"])), "holidays[0]"),
        (with("holidays", json!(["2026-01-01-01"])), "holidays[0]"),
        (with("holidays", json!(dates)), "holidays"),
        (rule(json!({ "when": "later" })), "rules[0].when"),
        (rule(json!({})), "rules[0].when"),
        (
            rule(json!({ "prefixes": ["+49", "x"], "when": "never" })),
            "rules[0].prefixes[1]",
        ),
        (
            rule(json!({ "prefixes": many, "when": "never" })),
            "rules[0].prefixes",
        ),
        (
            rule(json!({ "users": many, "when": "never" })),
            "rules[0].users",
        ),
        (
            rule(json!({ "groups": many, "when": "never" })),
            "rules[0].groups",
        ),
        (
            rule(json!({ "peers": many, "when": "never" })),
            "rules[0].peers",
        ),
        (
            rule(json!({ "countries": ["Austria"], "when": "never" })),
            "rules[0].countries[0]",
        ),
        (
            rule(json!({ "classes": ["dear"], "when": "never" })),
            "rules[0].classes[0]",
        ),
        (
            with("rules", vec![json!({ "when": "never" }); 257].into()),
            "rules",
        ),
        (with("zones", json!(["dmz"])), "zones[0]"),
        (with("methods", json!(["BYE"])), "methods[0]"),
        (with("local_digits", json!(16)), "local_digits"),
        (with("status", json!(200)), "status"),
        (with("hours", json!([])), "hours"),
    ]
}

#[test]
fn wrong_settings_name_their_key() {
    for (settings, key) in wrong_settings() {
        let error = Harness::<BusinessHours>::try_new(&settings).err().unwrap();
        assert_eq!(error.key(), key, "{settings}: {error}");
    }
    let most = with("rules", vec![json!({ "when": "never" }); 256].into());
    assert!(Harness::<BusinessHours>::try_new(&most).is_ok());
}
