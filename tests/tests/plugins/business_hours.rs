//! `business-hours`: who may call where at which hours.

use serde_json::{Value, json};

use crate::asking::Ask;
use crate::props::Props;
use crate::refuses_settings;
use crate::scene::{Scene, answer, said};

const GUEST: &str = "business-hours";
const HOUR_MS: u64 = 3_600_000;
/// Sunday, 2026-01-11 12:00 in Berlin.
const SUNDAY_MS: u64 = 1_768_129_200_000;
const MONDAY_MS: u64 = SUNDAY_MS + 24 * HOUR_MS;
/// 2026-03-29 01:00 in UTC: in Berlin two o'clock becomes three.
const SPRING_MS: u64 = 1_774_746_000_000;
/// 2026-10-25 01:00 in UTC: in Berlin three o'clock becomes two.
const AUTUMN_MS: u64 = 1_792_890_000_000;

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
        "holidays": ["01-13", "2026-01-14"],
    })
}

fn with(key: &str, value: Value) -> Value {
    let mut changed = settings();
    changed[key] = value;
    changed
}

fn scene(settings: Value) -> Scene {
    let props = Props::default().group("support", &["alice"]);
    let scene = Scene::with(props, GUEST, settings);
    scene.at(SUNDAY_MS);
    scene
}

/// One schedule for all calls.
fn only(hours: &str) -> Value {
    json!({
        "emergency": ["112"], "time_zone": "Europe/Berlin", "region": "DE",
        "schedules": { "office": { "hours": [hours] } }, "default": "office",
    })
}

fn abroad() -> Ask {
    Ask::invite("sip:+33123456789@gw").inside()
}

#[track_caller]
fn check(scene: &mut Scene, moments: &[(u64, bool)]) {
    for (at_ms, passes) in moments {
        scene.at(*at_ms);
        let status = scene.ask(&abroad());
        assert_eq!(status == 0, *passes, "{at_ms}: {status}");
    }
}

#[test]
fn business_hours_open_and_close_to_the_millisecond() {
    let mut scene = scene(settings());
    let eight_ms = MONDAY_MS - 4 * HOUR_MS;
    let six_ms = MONDAY_MS + 6 * HOUR_MS;
    let day_ms = 24 * HOUR_MS;
    check(
        &mut scene,
        &[
            (eight_ms - 1, false),
            (eight_ms, true),
            (six_ms - 1, true),
            (six_ms, false),
            // Tuesday is a holiday of every year, Wednesday of this one.
            (MONDAY_MS + day_ms, false),
            (MONDAY_MS + 2 * day_ms, false),
            (MONDAY_MS + 3 * day_ms, true),
            (MONDAY_MS + 4 * day_ms, true),
            (MONDAY_MS + 5 * day_ms, false),
        ],
    );
    scene.at(SUNDAY_MS);
    let refused = scene.judge(&abroad().peer("pbx"));
    assert_eq!(
        said(&refused),
        "pbx may not call +33123456789 at sun 2026-01-11 12:00 Europe/Berlin, by schedule office"
    );
}

#[test]
fn business_hours_know_the_nights_on_which_clocks_change() {
    let half_ms = HOUR_MS / 2;
    let mut early = scene(only("sun 01:00-02:30"));
    check(
        &mut early,
        &[
            (SPRING_MS - HOUR_MS - 1, false),
            (SPRING_MS - HOUR_MS, true),
            (SPRING_MS - 1, true),
            (SPRING_MS, false),
            (AUTUMN_MS - 2 * HOUR_MS, true),
            (AUTUMN_MS - half_ms - 1, true),
            (AUTUMN_MS - half_ms, false),
            // Two o'clock comes again.
            (AUTUMN_MS, true),
            (AUTUMN_MS + half_ms - 1, true),
            (AUTUMN_MS + half_ms, false),
        ],
    );
    let mut late = scene(only("sun 02:30-04:00"));
    check(
        &mut late,
        &[
            (SPRING_MS - 1, false),
            (SPRING_MS, true),
            (SPRING_MS + HOUR_MS, false),
            (AUTUMN_MS - half_ms - 1, false),
            (AUTUMN_MS - half_ms, true),
            (AUTUMN_MS, false),
            (AUTUMN_MS + half_ms, true),
            (AUTUMN_MS + 2 * HOUR_MS, false),
        ],
    );
}

#[test]
fn business_hours_never_hold_up_an_emergency_call() {
    let mut scene = scene(with("default", json!("never")));
    for (uri, passes) in [
        ("sip:112@gw", true),
        ("sip:0112@gw", true),
        ("tel:110", true),
        ("tel:1-1-0", true),
        ("sip:%31%31%32@gw", true),
        ("tel:112;phone-context=+49", true),
        ("urn:service:sos", true),
        ("urn:service:sos.fire", true),
        ("urn:service:sosx", false),
        ("sip:00112@gw", false),
        ("sip:1120@gw", false),
        ("sip:112;rn=+49900123456@gw", false),
        ("sip:112@gw;rn=+49900123456", false),
    ] {
        let status = scene.ask(&Ask::invite(uri).inside());
        assert_eq!(status == 0, passes, "{uri}: {status}");
    }
}

#[test]
fn business_hours_take_the_first_rule_for_caller_and_destination() {
    let mut scene = scene(settings());
    for (user, dialled, sunday, monday) in [
        ("carol", "030123456", false, true),
        ("alice", "+49900123456", true, true),
        ("bob", "+499001234567", false, false),
        ("bob", "0049-900-1234567", false, false),
        ("bob", "701", true, true),
        ("bob", "*72", true, true),
        ("bob", "201", false, true),
        ("bob", "+436641234567", true, true),
        ("bob", "00436641234567", true, true),
        ("bob", "+41446681800", true, true),
        ("bob", "+33123456789", false, true),
        ("guard", "+4930123456", true, false),
        ("guard", "+436641234567", false, false),
        ("guard", "+999123456789", false, false),
        ("bob", "+4930123456;rn=+499001234567", false, false),
    ] {
        for (at_ms, passes) in [(SUNDAY_MS, sunday), (MONDAY_MS, monday)] {
            scene.at(at_ms);
            let conclusion = scene.judge(&Ask::call(user, dialled));
            let status = answer(&conclusion);
            assert_eq!(
                status == 0,
                passes,
                "{user} {dialled}: {}",
                said(&conclusion)
            );
        }
    }
    scene.at(SUNDAY_MS);
    for (ask, status) in [
        (abroad().peer("alarm"), 0),
        (abroad().outside(), 0),
        (abroad().outside().by("bob"), 403),
        (abroad().within(), 0),
        (Ask::new("MESSAGE", "sip:+33123456789@gw").inside(), 0),
        (Ask::refer("<sip:701@gw>").inside(), 0),
        (Ask::refer("<sip:112@gw>").inside(), 0),
        (Ask::refer("<sip:+33123456789@gw>").inside(), 403),
        (Ask::refer("<sip:701@gw").inside(), 400),
    ] {
        assert_eq!(scene.ask(&ask), status, "{ask:?}");
    }
}

#[test]
fn business_hours_change_with_a_reload_and_outlive_a_restart() {
    let mut scene = scene(settings());
    assert_eq!(scene.ask(&abroad()), 403);
    scene.keeps_settings(with("time_zone", json!("Europe/Bonn")), "time_zone");
    assert_eq!(scene.ask(&abroad()), 403);
    scene.reload(with("status", json!(480)));
    assert_eq!(scene.ask(&abroad()), 480);
    scene.reload(with("default", json!("weekend")));
    assert_eq!(scene.ask(&abroad()), 0);
    // There is nothing to remember but the settings.
    scene.restart();
    check(&mut scene, &[(SUNDAY_MS, true), (MONDAY_MS, false)]);
}

/// Settings, and the key that is wrong in them.
fn wrong_settings() -> Vec<(Value, &'static str)> {
    let schedule = |schedule: Value| {
        let other = json!({ "hours": [] });
        with("schedules", json!({ "office": schedule, "weekend": other }))
    };
    let hours = |line: &str| schedule(json!({ "hours": ["mon 08:00-09:00", line] }));
    let rule =
        |field: &str, value: Value| with("rules", json!([{ "when": "never", field: value }]));
    let many: Vec<_> = (0..1_025).map(|n| n.to_string()).collect();
    let schedules: Value = (0..65)
        .map(|n| (format!("s{n}"), json!({ "hours": [] })))
        .collect();
    vec![
        (json!({}), ""),
        (with("emergency", json!([])), "emergency"),
        (with("emergency", json!(vec!["112"; 65])), "emergency"),
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
        (hours("mon 8-18"), "schedules.office.hours[1]"),
        (hours("weekdays 08:00-18:00"), "schedules.office.hours[1]"),
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
        (with("holidays", json!(["12-25", "24.12."])), "holidays[1]"),
        (with("holidays", json!(vec!["12-25"; 1_025])), "holidays"),
        (rule("when", json!("later")), "rules[0].when"),
        (
            rule("prefixes", json!(["+49", "x"])),
            "rules[0].prefixes[1]",
        ),
        (rule("users", json!(many)), "rules[0].users"),
        (rule("groups", json!(many)), "rules[0].groups"),
        (rule("peers", json!(many)), "rules[0].peers"),
        (
            rule("countries", json!(["Austria"])),
            "rules[0].countries[0]",
        ),
        (rule("classes", json!(["dear"])), "rules[0].classes[0]"),
        (rule("foreign", json!("yes")), "rules[0].foreign"),
        (rule("user", json!("a")), "rules[0].user"),
        (
            with("rules", json!(vec![json!({ "when": "never" }); 257])),
            "rules",
        ),
        (with("zones", json!(["dmz"])), "zones[0]"),
        (with("identified", json!(1)), "identified"),
        (with("methods", json!(["BYE"])), "methods[0]"),
        (with("local_digits", json!(16)), "local_digits"),
        (with("status", json!(200)), "status"),
        (with("hours", json!([])), "hours"),
    ]
}

#[test]
fn business_hours_name_the_wrong_key() {
    refuses_settings(GUEST, &wrong_settings());
}
