//! Minutes and money: reserved, spent in advance, kept over restarts.

use std::time::Duration;

use call_limits::CallLimits;
use sipward_plugin_sdk::testing::{Happened, Harness, Request, Value, json};
use sipward_plugin_sdk::{Outcome, Severity, Zone};

const HOUR: Duration = Duration::from_secs(3_600);

/// A price of 3 for a minute to Germany, and 10 to spend.
fn harness() -> Harness<CallLimits> {
    with(json!({ "name": "user", "per": "user", "cost_per_day": 10 }))
}

fn with(limit: Value) -> Harness<CallLimits> {
    Harness::new(json!({ "region": "DE", "limits": [limit] })).with_list(
        "rates",
        [
            ("+49", "3"),
            ("+4930", "3"),
            ("+49900", "6 2"),
            ("+41", "0"),
            ("+43", "cheap"),
        ],
    )
}

fn call(dialled: &str) -> Request {
    Request::invite(&format!("sip:{dialled}@example.com"))
        .identity("alice")
        .zone(Zone::Inside)
}

fn talks(harness: &Harness<CallLimits>, seconds: u64) -> bool {
    let (_, handle) = harness.begin(&call("030123456"));
    let Some(handle) = handle else { return false };
    handle.answered();
    handle.advance(Duration::from_secs(seconds));
    let over = handle.is_over();
    if !over {
        handle.ended("bye");
    }
    !over
}

fn price(harness: &Harness<CallLimits>, request: &Request) -> Option<String> {
    let outcome = harness.call(request);
    outcome.annotation("call-limits.price").map(str::to_owned)
}

#[test]
fn the_budget_is_talked_away_to_the_second_and_not_beyond() {
    let harness = harness();
    let (_, handle) = harness.begin(&call("030123456"));
    let handle = handle.unwrap();
    // Ringing costs nothing.
    harness.advance(HOUR);
    let answered = handle.answered();
    assert_eq!(answered.ticks().collect::<Vec<_>>(), [60]);
    handle.advance(Duration::from_millis(179_999));
    assert!(!handle.is_over());
    let heard = handle.advance(Duration::from_millis(1));
    let refused: &Outcome = heard.first().unwrap();
    assert_eq!(
        refused.reason(),
        "alice has reached limit `user`: a cost of 10.00 a day"
    );
    let alert = refused.alerts().next().unwrap();
    assert_eq!(
        (alert.severity, alert.key.as_str()),
        (Severity::Critical, "call-limits/user/cost-per-day/alice")
    );
    assert_eq!(
        handle.steps().pop().unwrap().event,
        Happened::Ended("policy".to_owned())
    );
    assert_eq!(harness.leases(), []);
    assert_eq!(harness.call(&call("030123456")).status(), Some(403));
    assert!(
        harness.call(&call("0041446681800")).is_next(),
        "free ones go on"
    );
}

#[test]
fn what_is_left_has_to_pay_for_the_first_piece() {
    let harness = with(json!({ "name": "user", "per": "user", "cost_per_day": 6 }));
    assert!(talks(&harness, 59));
    assert!(talks(&harness, 59), "exactly what is left");
    assert!(harness.begin(&call("030123456")).1.is_none());
    let poor = with(json!({ "name": "user", "per": "user", "cost_per_day": 2.9999 }));
    assert_eq!(poor.call(&call("030123456")).status(), Some(403));
    let exact = with(json!({ "name": "user", "per": "user", "cost_per_day": 3 }));
    assert!(exact.call(&call("030123456")).is_next());
}

#[test]
fn many_calls_at_once_cannot_spend_the_same_money() {
    let harness = harness();
    let begun: Vec<_> = (0..400)
        .filter_map(|_| harness.begin(&call("030123456")).1)
        .collect();
    assert_eq!(begun.len(), 3);
    for handle in &begun {
        handle.answered();
    }
    harness.advance(HOUR);
    assert!(begun.iter().all(|handle| handle.is_over()));
    let minutes: usize = begun
        .iter()
        .flat_map(|handle| handle.steps())
        .filter(|step| step.event == Happened::Answered || step.outcome.ticks().count() > 0)
        .count();
    assert_eq!(minutes, 3, "9 of 10");
    assert_eq!(harness.leases(), []);
}

#[test]
fn a_call_that_nobody_answers_costs_nothing() {
    let harness = harness();
    for _ in 0..50 {
        let (_, handle) = harness.begin(&call("030123456"));
        handle.unwrap().ended("cancelled");
    }
    assert!(talks(&harness, 179));
}

#[test]
fn kill_9_forgets_nothing_that_was_spent() {
    let harness = harness();
    let (_, handle) = harness.begin(&call("030123456"));
    handle.unwrap().answered();
    harness.advance(Duration::from_secs(61));
    // Two minutes are paid: 6.
    harness.restart();
    assert_eq!(harness.leases(), []);
    assert!(talks(&harness, 59));
    assert!(!talks(&harness, 0));
}

#[test]
fn the_operator_is_warned_once_during_the_call() {
    let harness = with(json!({ "name": "user", "per": "user", "minutes_per_day": 10 }));
    let (_, handle) = harness.begin(&call("030123456"));
    let handle = handle.unwrap();
    handle.answered();
    let heard = handle.advance(Duration::from_secs(599));
    let warnings: Vec<_> = heard
        .iter()
        .map(|outcome| outcome.alerts().count())
        .collect();
    // At 7 minutes the eighth is paid.
    assert_eq!(warnings, [0, 0, 0, 0, 0, 0, 1, 0, 0]);
    let alert = heard
        .iter()
        .flat_map(|outcome| outcome.alerts())
        .next()
        .unwrap();
    assert_eq!(alert.key, "call-limits/user/minutes-per-day/warning/alice");
    assert_eq!(
        alert.text,
        "alice has used 80 % of limit `user`: 10 minutes a day"
    );
    assert!(!handle.is_over());
    handle.advance(Duration::from_secs(1));
    assert!(handle.is_over());
}

#[test]
fn sliding_periods_have_no_midnight() {
    let harness = with(json!({ "name": "user", "per": "user", "minutes_per_day": 10 }));
    harness.set_now_ms(1_800_000_000_000 / 86_400_000 * 86_400_000 - 60_000);
    assert!(talks(&harness, 479));
    // It is past midnight now, and 2 of 10 minutes are left all the same.
    assert!(talks(&harness, 119));
    assert!(!talks(&harness, 0));
    harness.advance(24 * HOUR);
    assert!(!talks(&harness, 700), "not all of it is there again");
    harness.advance(48 * HOUR);
    assert!(talks(&harness, 599));
}

#[test]
fn calendar_days_begin_at_the_operators_midnight_and_calls_go_on_over_it() {
    let harness = Harness::<CallLimits>::new(json!({
        "region": "DE", "periods": "calendar", "utc_offset_minutes": 60,
        "limits": [{ "name": "user", "per": "user", "minutes_per_day": 10, "minutes_per_month": 14, "calls": 2 }],
    }));
    // 29 December 2024, 23:52 at UTC+1.
    harness.set_now_ms(1_735_512_720_000);
    let (_, handle) = harness.begin(&call("030123456"));
    let handle = handle.unwrap();
    handle.answered();
    // Eight minutes today, and the next ones tomorrow: the call holds its place on.
    handle.advance(Duration::from_secs(10 * 60));
    assert!(!handle.is_over());
    assert_eq!(harness.leases().len(), 3);
    handle.ended("bye");
    assert!(talks(&harness, 179), "the day has 7 left, the month 3");
    assert!(!talks(&harness, 0));
    harness.advance(24 * HOUR);
    assert!(!talks(&harness, 0), "the month is the same");
    harness.advance(24 * HOUR);
    assert!(talks(&harness, 599), "January");
}

#[test]
fn prices_are_by_the_longest_prefix_and_by_default() {
    let harness = harness();
    for (dialled, wanted) in [
        ("030123456", "30000 0"),
        ("0049301234567", "30000 0"),
        ("%2b4930123456", "30000 0"),
        ("+49-900-1234567", "60000 20000"),
        ("0900/1234567", "5000 0"),
        ("+41446681800", "0 0"),
        ("+12125550123", "5000 0"),
        // Extensions and names are free; what only looks like one is not.
        ("4711", "0 0"),
        ("11833", "30000 0"),
        ("*21*0900", "5000 0"),
        ("bob", "0 0"),
        ("bob2", "5000 0"),
        ("%C2%B2", "5000 0"),
        ("30;phone-context=+49", "5000 0"),
    ] {
        assert_eq!(
            price(&harness, &call(dialled)).as_deref(),
            Some(wanted),
            "{dialled}"
        );
    }
    let refused = harness.call(&call("+431234567"));
    assert_eq!(refused.status(), Some(403));
    assert_eq!(
        refused.reason(),
        "the list `rates` has `cheap` for +43, which is no price"
    );
    assert_eq!(refused.alerts().count(), 1);
}

#[test]
fn who_comes_in_is_free_only_if_the_settings_say_so() {
    let inbound = Request::invite("sip:030123456@example.com").peer_name("carrier");
    assert_eq!(price(&harness(), &inbound).as_deref(), Some("0 0"));
    assert_eq!(
        price(&harness(), &inbound.clone().identity("bob")).as_deref(),
        Some("30000 0")
    );
    let charged = Harness::<CallLimits>::new(json!({
        "region": "DE", "prices": { "inbound_free": false },
        "limits": [{ "name": "peer", "per": "peer", "cost_per_day": 0.2 }],
    }));
    let refused = charged.call(&inbound);
    assert_eq!(refused.status(), Some(403));
}

#[test]
fn without_a_list_all_has_the_default_price_and_the_operator_hears_of_it() {
    let harness = Harness::<CallLimits>::new(json!({ "region": "DE" }));
    let outcome = harness.call(&call("030123456"));
    assert_eq!(outcome.annotation("call-limits.price"), Some("5000 0"));
    assert_eq!(
        outcome.alerts().next().unwrap().key,
        "call-limits/no-prices"
    );
}

#[test]
fn the_price_of_the_call_itself_is_paid_once() {
    let harness = with(json!({ "name": "user", "per": "user", "cost_per_day": 20 }));
    let (_, handle) = harness.begin(&call("09001234567"));
    let handle = handle.unwrap();
    handle.answered();
    // 8, 14, 20 and no more.
    handle.advance(Duration::from_secs(179));
    assert!(!handle.is_over());
    handle.advance(Duration::from_secs(1));
    assert!(handle.is_over());
}

#[test]
fn what_cannot_be_counted_is_not_spent() {
    let harness = harness();
    let (_, ringing) = harness.begin(&call("030123456"));
    let (_, talking) = harness.begin(&call("030123456"));
    let (ringing, talking) = (ringing.unwrap(), talking.unwrap());
    talking.answered();
    harness.set_counters_full(true);
    assert_eq!(harness.call(&call("030123456")).status(), Some(403));
    ringing.answered();
    assert!(ringing.is_over());
    talking.advance(Duration::from_secs(60));
    assert!(talking.is_over());
}

#[test]
fn a_trunk_pays_from_the_answer_on() {
    let harness = with(json!({ "name": "trunk", "per": "trunk", "cost_per_day": 5 }));
    let (_, first) = harness.begin(&call("030123456"));
    let (_, second) = harness.begin(&call("030123456"));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert!(first.answered_by("carrier").is_next());
    let refused = second.answered_by("carrier");
    assert_eq!(
        refused.reason(),
        "carrier has reached limit `trunk`: a cost of 5.00 a day"
    );
    first.advance(Duration::from_secs(60));
    assert!(first.is_over());
}
