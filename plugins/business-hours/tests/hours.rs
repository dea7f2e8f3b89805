//! Weekly hours, holidays and the nights on which the clocks change.

#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

use business_hours::BusinessHours;
use sipward_plugin_sdk::Zone;
use sipward_plugin_sdk::testing::{Harness, Request, Value, json};

/// One schedule for all calls.
fn harness(zone: &str, schedule: Value) -> Harness<BusinessHours> {
    Harness::new(json!({
        "emergency": ["112"],
        "time_zone": zone,
        "region": "DE",
        "schedules": { "office": schedule },
        "default": "office",
    }))
}

fn is_open(harness: &Harness<BusinessHours>, moment: &str) -> bool {
    let moment: jiff::Timestamp = moment.parse().unwrap();
    harness.set_now_ms(moment.as_millisecond().try_into().unwrap());
    let call = Request::invite("sip:+4930123456@gw").zone(Zone::Inside);
    let outcome = harness.call(&call);
    assert_eq!(outcome.status(), (!outcome.is_next()).then_some(403));
    outcome.is_next()
}

fn check(harness: &Harness<BusinessHours>, moments: &[(&str, bool)]) {
    for (moment, expected) in moments {
        assert_eq!(is_open(harness, moment), *expected, "{moment}");
    }
}

#[test]
fn weekly_hours_have_two_sides() {
    let berlin = harness(
        "Europe/Berlin",
        json!({ "hours": ["mon-fri 08:00-12:00 13:00-18:00", "sat 09:00-13:00"] }),
    );
    check(
        &berlin,
        &[
            // Winter: one hour ahead of UTC. 2026-01-05 is a Monday.
            ("2026-01-05T06:59:59.999Z", false),
            ("2026-01-05T07:00:00Z", true),
            ("2026-01-05T10:59:59.999Z", true),
            ("2026-01-05T11:00:00Z", false),
            ("2026-01-05T12:00:00Z", true),
            ("2026-01-05T16:59:59Z", true),
            ("2026-01-05T17:00:00Z", false),
            ("2026-01-10T08:00:00Z", true),
            ("2026-01-10T12:00:00Z", false),
            ("2026-01-11T10:00:00Z", false),
            // Summer: two hours.
            ("2026-07-06T05:59:59Z", false),
            ("2026-07-06T06:00:00Z", true),
            ("2026-07-06T15:59:59Z", true),
            ("2026-07-06T16:00:00Z", false),
        ],
    );
    let closed = Request::invite("sip:+4930123456@gw").zone(Zone::Inside);
    berlin.set_now_ms(1_768_129_200_000);
    assert_eq!(
        berlin.call(&closed.peer_name("pbx")).reason(),
        "pbx may not call +4930123456 at sun 2026-01-11 12:00 Europe/Berlin, by schedule office"
    );
}

#[test]
fn half_past_two_on_the_nights_when_clocks_change() {
    let night = harness("Europe/Berlin", json!({ "hours": ["sun 01:00-02:30"] }));
    check(
        &night,
        &[
            // 2026-03-29: from 02:00 CET to 03:00 CEST at 01:00 UTC. 02:30 never comes.
            ("2026-03-28T23:59:59Z", false),
            ("2026-03-29T00:00:00Z", true),
            ("2026-03-29T00:59:59Z", true),
            ("2026-03-29T01:00:00Z", false),
            // 2026-10-25: from 03:00 CEST to 02:00 CET at 01:00 UTC. 02:30 comes twice.
            ("2026-10-24T22:59:59Z", false),
            ("2026-10-24T23:00:00Z", true),
            ("2026-10-25T00:29:59Z", true),
            ("2026-10-25T00:30:00Z", false),
            ("2026-10-25T00:59:59Z", false),
            ("2026-10-25T01:00:00Z", true),
            ("2026-10-25T01:29:59Z", true),
            ("2026-10-25T01:30:00Z", false),
        ],
    );
    let later = harness("Europe/Berlin", json!({ "hours": ["sun 02:30-04:00"] }));
    check(
        &later,
        &[
            ("2026-03-29T00:59:59Z", false),
            ("2026-03-29T01:00:00Z", true),
            ("2026-03-29T02:00:00Z", false),
            ("2026-10-25T00:29:59Z", false),
            ("2026-10-25T00:30:00Z", true),
            ("2026-10-25T01:00:00Z", false),
            ("2026-10-25T01:30:00Z", true),
            ("2026-10-25T03:00:00Z", false),
        ],
    );
    // From midnight to midnight, on a day of 23 hours and one of 25.
    let day = harness("Europe/Berlin", json!({ "hours": ["sun 00:00-24:00"] }));
    check(
        &day,
        &[
            ("2026-03-28T22:59:59Z", false),
            ("2026-03-28T23:00:00Z", true),
            ("2026-03-29T21:59:59Z", true),
            ("2026-03-29T22:00:00Z", false),
            ("2026-10-24T21:59:59Z", false),
            ("2026-10-24T22:00:00Z", true),
            ("2026-10-25T22:59:59Z", true),
            ("2026-10-25T23:00:00Z", false),
        ],
    );
}

#[test]
fn clocks_that_change_at_midnight() {
    // Cairo, 2026-04-24 (a Friday): from 00:00 to 01:00; midnight never comes.
    // 2026-10-29 (a Thursday): from 24:00 back to 23:00.
    let friday = harness("Africa/Cairo", json!({ "hours": ["fri 00:00-02:00"] }));
    check(
        &friday,
        &[
            ("2026-04-23T21:59:59Z", false),
            ("2026-04-23T22:00:00Z", true),
            ("2026-04-23T22:59:59Z", true),
            ("2026-04-23T23:00:00Z", false),
        ],
    );
    let thursday = harness("Africa/Cairo", json!({ "hours": ["thu 23:30-00:30"] }));
    check(
        &thursday,
        &[
            ("2026-10-29T20:29:59Z", false),
            ("2026-10-29T20:30:00Z", true),
            ("2026-10-29T20:59:59Z", true),
            ("2026-10-29T21:00:00Z", false),
            ("2026-10-29T21:30:00Z", true),
            ("2026-10-29T22:00:00Z", true),
            ("2026-10-29T22:30:00Z", false),
        ],
    );
}

#[test]
fn hours_over_midnight_belong_to_the_day_they_begin_on() {
    let night = harness(
        "Europe/Berlin",
        json!({
            "hours": ["mon-fri 22:00-06:00"],
            "holidays": ["2026-01-06"],
            "holiday_hours": ["23:00-01:00"],
        }),
    );
    check(
        &night,
        &[
            ("2026-01-05T20:59:59Z", false),
            ("2026-01-05T21:00:00Z", true),
            ("2026-01-05T23:00:00Z", true),
            // Tuesday is a holiday; what began on Monday goes on.
            ("2026-01-06T04:59:59Z", true),
            ("2026-01-06T05:00:00Z", false),
            ("2026-01-06T21:30:00Z", false),
            ("2026-01-06T22:00:00Z", true),
            ("2026-01-06T23:59:59Z", true),
            ("2026-01-07T00:00:00Z", false),
            // Friday's night ends on Saturday.
            ("2026-01-10T04:59:59Z", true),
            ("2026-01-10T05:00:00Z", false),
            ("2026-01-10T21:00:00Z", false),
            ("2026-01-11T21:00:00Z", false),
            ("2026-01-12T04:00:00Z", false),
        ],
    );
}

#[test]
fn holidays_are_dates_and_yearly_dates() {
    let settings = json!({
        "emergency": ["112"],
        "time_zone": "America/New_York",
        "region": "US",
        "schedules": {
            "office": { "hours": ["mon-sun 09:00-17:00"] },
            "support": { "hours": ["mon-sun 09:00-17:00"], "holidays": [] },
        },
        "default": "office",
        "rules": [{ "users": ["support"], "when": "support" }],
        "holidays": ["07-04", "02-29", "2026-11-26"],
    });
    let harness = Harness::new(settings);
    let is_open = |moment: &str| is_open(&harness, moment);
    for year in [2026, 2027] {
        assert!(!is_open(&format!("{year}-07-04T16:00:00Z")));
        assert!(is_open(&format!("{year}-07-05T16:00:00Z")));
    }
    assert!(!is_open("2026-11-26T16:00:00Z"));
    assert!(is_open("2027-11-26T16:00:00Z"));
    assert!(!is_open("2028-02-29T16:00:00Z"));
    assert!(is_open("2027-03-01T16:00:00Z"));
    harness.restart();
    assert!(!is_open("2026-07-04T16:00:00Z"));
    let call = Request::invite("sip:+12125551234@gw").zone(Zone::Inside);
    assert!(harness.call(&call.clone().identity("support")).is_next());
    assert_eq!(
        harness.call(&call.identity("alice")).reason(),
        "alice may not call +12125551234 at sat 2026-07-04 12:00 America/New_York, a holiday, by schedule office"
    );
}

#[test]
fn schedules_have_time_zones_of_their_own() {
    let tokyo = harness(
        "Europe/Berlin",
        json!({ "hours": ["mon 09:00-10:00"], "time_zone": "asia/tokyo" }),
    );
    check(
        &tokyo,
        &[
            ("2026-01-04T23:59:59Z", false),
            ("2026-01-05T00:00:00Z", true),
            ("2026-01-05T01:00:00Z", false),
        ],
    );
    // Half-hour shifts too: Lord Howe Island.
    let island = harness(
        "Australia/Lord_Howe",
        json!({ "hours": ["mon 09:00-10:00"] }),
    );
    check(
        &island,
        &[
            ("2026-01-04T22:00:00Z", true),
            ("2026-01-04T21:59:59Z", false),
            ("2026-07-05T22:29:59Z", false),
            ("2026-07-05T22:30:00Z", true),
        ],
    );
}
