//! `call-limits`: how many calls, how long and how dear. Places and money are leases of
//! the real ledger; every test ends with nothing held.

use std::time::Duration;

use policy::Severity;
use serde_json::{Value, json};

use crate::asking::Ask;
use crate::calls::veto;
use crate::props::Props;
use crate::refuses_settings;
use crate::scene::{Scene, alerted, answer, note, permit, said};

const GUEST: &str = "call-limits";

fn props() -> Props {
    Props::default()
        .list("rates", "+49 = 3\n+49900 = 6 2\n+41 = 0\n+43 = cheap\n")
        .group("sales", &["alice", "bob"])
        .group("staff", &["alice", "bob", "carol"])
}

fn settings(limits: Value) -> Value {
    json!({ "region": "DE", "limits": limits })
}

fn scene(limits: Value) -> Scene {
    Scene::with(props(), GUEST, settings(limits))
}

/// Ten of the currency a day for each user; a minute to Germany costs three.
fn budget() -> Scene {
    scene(json!([{ "name": "user", "per": "user", "cost_per_day": 10 }]))
}

fn call(user: &str) -> Ask {
    Ask::call(user, "030123456").peer("office")
}

#[test]
fn call_limits_give_a_place_back_on_every_way_a_call_ends() {
    let mut scene = scene(json!([{ "name": "user", "per": "user", "calls": 2 }]));
    for cause in [
        "bye",
        "cancelled",
        "timed-out",
        "caller-gone",
        "media-timeout",
    ] {
        let (one, two) = (scene.begun(&call("alice")), scene.begun(&call("alice")));
        let (third, none) = scene.begin(&call("alice"));
        assert!(none.is_none());
        assert_eq!(answer(&third), 486);
        assert_eq!(
            said(&third),
            "alice has reached limit `user`: 2 calls at once"
        );
        assert_eq!(alerted(&third.alerts), ["call-limits/user/calls/alice"]);
        assert_eq!(scene.held(), (1, 2), "the refused one holds nothing");
        assert_eq!(scene.ask(&call("bob")), 0, "others have their own");
        let _heard = scene.answer(one, None);
        scene.end(one, cause);
        assert_eq!(scene.held(), (1, 1));
        let again = scene.begun(&call("alice"));
        scene.refused(two, 486);
        scene.end(again, cause);
        assert_eq!(scene.held(), (0, 0), "{cause}");
    }
}

#[test]
fn call_limits_count_for_groups_peers_trunks_and_all() {
    let mut scene = scene(json!([
        { "name": "sales", "per": "group", "of": ["sales"], "calls": 1 },
        { "name": "peer", "per": "peer", "of": ["office"], "calls": 2 },
        { "name": "trunk", "per": "trunk", "of": ["carrier"], "calls": 1, "longest_s": 600 },
        { "name": "all", "per": "all", "calls": 3 },
    ]));
    let alice = scene.begun(&call("alice"));
    assert_eq!(scene.ask(&call("bob")), 486, "sales has one");
    let carol = scene.begun(&call("carol"));
    assert_eq!(scene.ask(&call("dave")), 486, "the office has two");
    let dave = scene.begun(&call("dave").peer("branch"));
    let full = scene.judge(&call("eve").peer("branch"));
    assert_eq!(answer(&full), 486);
    assert!(said(&full).contains("limit `all`"), "{}", said(&full));
    // The trunk is known from the answer on.
    let first = scene.answer(alice, Some("carrier"));
    assert_eq!(first.limit_duration, Some(600));
    let second = scene.answer(carol, Some("carrier"));
    assert_eq!(
        veto(&second),
        "carrier has reached limit `trunk`: 1 calls at once"
    );
    assert_eq!(scene.ending(carol), Some("policy"));
    assert!(scene.answer(dave, Some("other")).end.is_none());
    scene.pass_s(600);
    assert_eq!(scene.ending(alice), Some("duration-limit"));
    assert_eq!(scene.ending(dave), None);
    scene.end(dave, "bye");
    assert_eq!(scene.held(), (0, 0));
}

#[test]
fn call_limits_refill_by_second_and_hour() {
    let mut second = scene(json!([{ "name": "user", "per": "user", "calls_per_second": 0.5 }]));
    assert_eq!(second.ask(&call("alice")), 0);
    assert_eq!(second.ask(&call("alice")), 503);
    second.pass(Duration::from_millis(1_999));
    assert_eq!(second.ask(&call("alice")), 503);
    second.pass(Duration::from_millis(1));
    assert_eq!(second.ask(&call("alice")), 0);
    let mut hour = scene(json!([{ "name": "user", "per": "user", "calls_per_hour": 3 }]));
    for expected in [0, 0, 0, 503, 503] {
        assert_eq!(hour.ask(&call("alice")), expected);
    }
    assert_eq!(hour.ask(&call("bob")), 0);
    hour.pass_s(2 * 3_600);
    assert_eq!(hour.ask(&call("alice")), 0);
}

#[test]
fn call_limits_end_a_call_at_its_longest_and_warn_before_a_limit() {
    let mut scene = scene(json!([
        { "name": "user", "per": "user", "longest_s": 100 },
        { "name": "peer", "per": "peer", "longest_s": 60 },
        { "name": "all", "per": "all", "calls": 5 },
    ]));
    let long = scene.begun(&call("alice"));
    let _answered = scene.answer(long, None);
    scene.pass(Duration::from_millis(59_999));
    assert_eq!(scene.ending(long), None);
    scene.pass(Duration::from_millis(1));
    assert_eq!(scene.ending(long), Some("duration-limit"));
    let mut warnings = Vec::new();
    for _ in 0..5 {
        warnings.push(scene.begin(&call("alice")).0.alerts.len());
    }
    assert_eq!(warnings, [0, 0, 0, 1, 0], "80 % of 5");
}

#[test]
fn call_limits_let_a_budget_be_talked_away_to_the_second_and_not_beyond() {
    let mut scene = budget();
    let begun = scene.begin(&Ask::call("alice", "030123456"));
    assert_eq!(note(&begun.0, "call-limits.price"), Some("30000 0"));
    let call = begun.1.expect("it is admitted");
    scene.pass_s(3_600);
    let answered = scene.answer(call, Some("carrier"));
    assert_eq!(answered.ticks[0].seconds, 60, "ringing costs nothing");
    scene.pass(Duration::from_millis(179_999));
    assert_eq!(scene.ending(call), None);
    let heard = scene.pass(Duration::from_millis(1));
    assert_eq!(
        veto(&heard[0]),
        "alice has reached limit `user`: a cost of 10.00 a day"
    );
    let raised = &heard[0].alerts[0].alert;
    assert_eq!(raised.severity, Severity::Critical);
    assert_eq!(raised.key, "call-limits/user/cost-per-day/alice");
    assert_eq!(scene.ending(call), Some("policy"));
    assert_eq!(scene.held(), (0, 0));
    assert_eq!(scene.ask(&Ask::call("alice", "030123456")), 403);
    assert_eq!(scene.ask(&Ask::call("alice", "0041446681800")), 0, "free");
    assert_eq!(scene.ask(&Ask::call("bob", "030123456")), 0);
}

#[test]
fn call_limits_let_400_calls_at_once_spend_no_more_than_there_is() {
    let mut scene = budget();
    let mut begun = Vec::new();
    for _ in 0..400 {
        begun.extend(scene.begin(&Ask::call("alice", "030123456")).1);
    }
    assert_eq!(begun.len(), 3);
    for call in &begun {
        let _answered = scene.answer(*call, None);
    }
    scene.pass_s(3_600);
    for call in begun {
        assert_eq!(scene.ending(call), Some("policy"));
    }
    assert_eq!(scene.held(), (0, 0));
}

#[test]
fn call_limits_price_by_the_longest_prefix_and_refuse_what_is_no_price() {
    let mut scene = budget();
    for (dialled, price) in [
        ("030123456", "30000 0"),
        ("%2b4930123456", "30000 0"),
        ("+49-900-1234567", "60000 20000"),
        ("+41446681800", "0 0"),
        ("+12125550123", "5000 0"),
        ("4711", "0 0"),
        ("bob", "0 0"),
        ("bob2", "5000 0"),
        ("*21*0900", "5000 0"),
    ] {
        let conclusion = scene.judge(&Ask::call("alice", dialled));
        assert_eq!(
            note(&conclusion, "call-limits.price"),
            Some(price),
            "{dialled}"
        );
    }
    let refused = scene.judge(&Ask::call("alice", "+431234567"));
    assert_eq!(answer(&refused), 403);
    assert_eq!(
        said(&refused),
        "the list `rates` has `cheap` for +43, which is no price"
    );
    // The operator puts it right while the proxy runs.
    scene.change(|props| props.list("rates", "+43 = 0.1\n"));
    let right = scene.judge(&Ask::call("alice", "+431234567"));
    assert_eq!(note(&right, "call-limits.price"), Some("1000 0"));
    let inbound = Ask::invite("sip:+4930123456@pbx.example").peer("carrier");
    let free = scene.judge(&inbound);
    assert_eq!(note(&free, "call-limits.price"), Some("0 0"));
}

#[test]
fn call_limits_never_concern_an_emergency_call() {
    let mut scene = scene(json!([
        { "name": "user", "per": "user", "calls": 1, "cost_per_day": 0.01, "longest_s": 5 },
    ]));
    let held = scene.begun(&Ask::call("alice", "4711"));
    let (first, call) = scene.begin(&Ask::call("alice", "112"));
    assert_eq!(permit(&first).limit_duration(), None);
    let call = call.expect("it is admitted");
    assert_eq!(scene.ask(&Ask::call("alice", "112")), 0, "and another one");
    let _answered = (scene.answer(call, None), scene.answer(held, None));
    scene.pass_s(7_200);
    assert_eq!(scene.ending(call), None);
    assert_eq!(scene.ending(held), Some("duration-limit"));
    assert_eq!(scene.ask(&Ask::call("alice", "1120")), 0, "an extension");
    let _held = scene.begun(&Ask::call("alice", "4711"));
    assert_eq!(scene.ask(&Ask::call("alice", "1120")), 486, "no emergency");
    assert_eq!(scene.ask(&Ask::call("alice", "112")), 0);
}

#[test]
fn call_limits_forget_no_money_over_a_restart_and_hold_nothing_after_it() {
    let mut scene = budget();
    let call = scene.begun(&Ask::call("alice", "030123456"));
    let _answered = scene.answer(call, None);
    scene.pass_s(61);
    assert_ne!(scene.held(), (0, 0));
    // Two minutes are paid: 6 of 10.
    scene.restart();
    assert_eq!(scene.held(), (0, 0), "a restart ends every call");
    let again = Ask::call("alice", "030123456");
    assert!(scene.talks(&again, 59), "three are left for one minute");
    assert!(!scene.talks(&again, 0));
    scene.restart();
    assert!(!scene.talks(&again, 0));
    scene.pass_s(48 * 3_600);
    assert!(scene.talks(&again, 59), "the day is long over");
    assert_eq!(scene.held(), (0, 0));
}

#[test]
fn call_limits_keep_their_counts_through_a_reload_and_judge_calls_that_run_by_the_new_ones() {
    let limit = |cost: f64, calls: u32| {
        settings(json!([{ "name": "user", "per": "user", "cost_per_day": cost, "calls": calls }]))
    };
    let mut scene = Scene::with(props(), GUEST, limit(10.0, 1));
    let ask = Ask::call("alice", "030123456");
    let call = scene.begun(&ask);
    let _answered = scene.answer(call, None);
    scene.pass_s(30);
    scene.keeps_settings(limit(0.0, 1), "limits[0].cost_per_day");
    assert_eq!(scene.ask(&ask), 486, "the old limit holds");
    scene.reload(limit(10.0, 2));
    assert_eq!(scene.ask(&ask), 0, "one is held, two are allowed");
    scene.reload(limit(5.0, 2));
    // Three are spent; the next minute would be the sixth.
    scene.pass_s(29);
    assert_eq!(scene.ending(call), None);
    scene.pass_s(1);
    assert_eq!(scene.ending(call), Some("policy"));
    assert_eq!(scene.held(), (0, 0));
}

/// Settings, and the key that is wrong in them.
fn wrong_settings() -> Vec<(Value, &'static str)> {
    let all = |field: &str, value: Value| {
        let mut settings = json!({ "region": "DE" });
        settings[field] = value;
        settings
    };
    let limit = |field: &str, value: Value| {
        let mut limit = json!({ "name": "x", "per": "user" });
        limit[field] = value;
        settings(json!([limit]))
    };
    let named = |name: Value| settings(json!([{ "name": name, "per": "user", "calls": 1 }]));
    let many: Vec<_> = (0..33)
        .map(|index| json!({ "name": index.to_string(), "per": "all", "calls": 1 }))
        .collect();
    let one = json!({ "name": "x", "per": "user", "calls": 1 });
    let trunk = |field: &str| settings(json!([{ "name": "x", "per": "trunk", field: 1 }]));
    vec![
        (json!({}), ""),
        (json!({ "region": "de" }), "region"),
        (settings(json!([])), "limits"),
        (settings(many.into()), "limits"),
        (settings(json!([one, one])), "limits[1].name"),
        (all("limit", json!([])), "limit"),
        (all("prices", json!({ "list": "" })), "prices.list"),
        (
            all("prices", json!({ "default_per_minute": 1000.1 })),
            "prices.default_per_minute",
        ),
        (
            all("prices", json!({ "internal_digits": 11 })),
            "prices.internal_digits",
        ),
        (
            all("prices", json!({ "inbound_free": 1 })),
            "prices.inbound_free",
        ),
        (all("periods", json!("weekly")), "periods"),
        (all("utc_offset_minutes", json!(841)), "utc_offset_minutes"),
        (all("charge_every_s", json!(5)), "charge_every_s"),
        (all("warn_percent", json!(0)), "warn_percent"),
        (all("emergency", json!(["112", ""])), "emergency[1]"),
        (all("emergency", json!(vec!["1"; 65])), "emergency"),
        (
            settings(json!([{ "name": "x", "per": "user" }])),
            "limits[0].calls",
        ),
        (named(json!("a b")), "limits[0].name"),
        (named(json!("x".repeat(33))), "limits[0].name"),
        (
            settings(json!([{ "name": "x", "per": "phone", "calls": 1 }])),
            "limits[0].per",
        ),
        (
            settings(json!([{ "name": "x", "per": "all", "calls": 1, "of": ["a"] }])),
            "limits[0].of",
        ),
        (limit("calls", json!(0)), "limits[0].calls"),
        (limit("calls", json!(1_000_001)), "limits[0].calls"),
        (
            limit("calls_per_second", json!(0.0009)),
            "limits[0].calls_per_second",
        ),
        (trunk("calls_per_second"), "limits[0].calls_per_second"),
        (
            limit("calls_per_hour", json!(0)),
            "limits[0].calls_per_hour",
        ),
        (trunk("calls_per_hour"), "limits[0].calls_per_hour"),
        (limit("longest_s", json!(86_401)), "limits[0].longest_s"),
        (
            limit("minutes_per_day", json!(0)),
            "limits[0].minutes_per_day",
        ),
        (
            limit("minutes_per_month", json!(100_000_001)),
            "limits[0].minutes_per_month",
        ),
        (limit("cost_per_day", json!(0)), "limits[0].cost_per_day"),
        (
            limit("cost_per_month", json!(-1)),
            "limits[0].cost_per_month",
        ),
        (limit("cost_per_week", json!(1)), "limits[0].cost_per_week"),
    ]
}

#[test]
fn call_limits_name_the_wrong_key() {
    refuses_settings(GUEST, &wrong_settings());
}
