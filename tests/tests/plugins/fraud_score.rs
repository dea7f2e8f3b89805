//! `fraud-score`: points for what looks like toll fraud, and what becomes of an account
//! by their sum.

mod wrong;

use std::time::Duration;

use policy::Severity;
use serde_json::{Value, json};

use crate::asking::Ask;
use crate::door::REALM;
use crate::props::Props;
use crate::scene::{Scene, alerted, answer, note, said};

const GUEST: &str = "fraud-score";
/// Monday, 30 December 2024, 12:00 and 23:50 in UTC.
const NOON_MS: u64 = 1_735_560_000_000;
const EVENING_MS: u64 = 1_735_602_600_000;
const MINUTE: Duration = Duration::from_secs(60);

/// All signs of which nothing is said give no points.
fn quiet() -> Value {
    let names = [
        "rate",
        "repeated",
        "sequential",
        "short",
        "duration",
        "concurrency",
        "new_country",
        "off_hours",
        "high_cost",
        "failed",
        "new_origin",
        "call_back",
    ];
    let none = names.map(|name| (name.to_owned(), json!({ "points": 0 })));
    none.into_iter().collect()
}

/// One sign with 7 points, and no threshold.
fn only(sign: &str, settings: Value) -> Scene {
    let mut signs = quiet();
    signs[sign] = settings;
    signs[sign]["points"] = json!(7);
    let props = Props::default()
        .countries(&[("81.0.0.0/16", "DE"), ("83.0.0.0/16", "KP")])
        .list("dear", "+41\n");
    let settings = json!({
        "region": "DE", "home": ["AT"], "signs": signs, "recheck_s": 0,
        "thresholds": { "warn": 0, "challenge": 0, "reject": 0, "lock": 0 },
    });
    let scene = Scene::with(props, GUEST, settings);
    scene.at(NOON_MS);
    scene
}

/// Rules as OpenSIPS has them, and nothing else.
fn ruled(rules: Value) -> Scene {
    let settings = json!({
        "region": "DE", "signs": quiet(), "rules": rules, "recheck_s": 0,
        "thresholds": { "warn": 0, "challenge": 0, "reject": 0, "lock": 0 },
    });
    let scene = Scene::new(GUEST, settings);
    scene.at(EVENING_MS);
    scene
}

/// A row of the table of OpenSIPS' documentation, with points that tell apart.
fn row(item: &str, warning: u32, critical: u32) -> Scene {
    ruled(json!([{
        "name": "row", "prefix": "+49", "start_hour": "00:00", "end_hour": "24:00",
        item: { "warning": warning, "critical": critical },
        "warning_points": 1, "critical_points": 100,
    }]))
}

/// Ten points for each call, and thresholds.
fn counting() -> Value {
    json!({
        "region": "DE", "signs": quiet(), "challenge_realm": REALM,
        "thresholds": { "warn": 20, "challenge": 30, "reject": 50, "lock": 70 },
        "lock_s": 3_600, "forget_s": 600, "recheck_s": 60,
        "rules": [{ "name": "each", "cpm": { "critical": 1 }, "critical_points": 10 }],
    })
}

fn accounts() -> Props {
    Props::default()
        .user("alice", "wonderland")
        .user("mallory", "looking-glass")
}

fn call() -> Ask {
    Ask::call("alice", "030123456")
}

#[track_caller]
fn points(scene: &mut Scene, dialled: &str) -> i32 {
    let conclusion = scene.judge(&Ask::call("alice", dialled));
    assert_eq!(answer(&conclusion), 0, "{}", said(&conclusion));
    conclusion.score
}

fn seen(scene: &mut Scene, calls: usize) -> Vec<i32> {
    (0..calls).map(|_| points(scene, "030123456")).collect()
}

/// What alice has got so far.
fn total(scene: &mut Scene) -> String {
    let conclusion = scene.judge(&Ask::call("alice", "reception"));
    let total = note(&conclusion, "fraud-score.total").expect("it is noted");
    total.to_owned()
}

#[test]
fn fraud_score_sees_rates_repetition_and_sequences_from_their_edge_on() {
    let mut rate = only("rate", json!({ "calls_per_minute": 3 }));
    assert_eq!(seen(&mut rate, 4), [0, 0, 7, 7]);
    rate.pass(MINUTE * 2);
    assert_eq!(seen(&mut rate, 1), [0], "the window slides on");
    let mut repeated = only("repeated", json!({ "calls": 3, "within_s": 60 }));
    let given = [
        "030123456",
        "+49-30-123456",
        "0049%2030%20123456",
        "030123457",
    ];
    let given = given.map(|dialled| points(&mut repeated, dialled));
    assert_eq!(given, [0, 0, 7, 0], "one number, however it is written");
    let mut sequential = only("sequential", json!({ "numbers": 4, "within_s": 60 }));
    let given =
        [7, 3, 7, 9, 3, 1, 2].map(|last| points(&mut sequential, &format!("03012345{last}0")));
    assert_eq!(given, [0, 0, 0, 0, 0, 7, 7]);
}

#[test]
fn fraud_score_sees_short_and_failed_calls_when_they_end() {
    let mut short = only(
        "short",
        json!({ "shorter_than_s": 10, "calls": 2, "within_s": 600 }),
    );
    assert!(short.talks(&call(), 9) && short.talks(&call(), 10));
    assert_eq!(total(&mut short), "0");
    assert!(short.talks(&call(), 9));
    assert_eq!(total(&mut short), "7");
    let mut failed = only("failed", json!({ "ratio": 2, "at_least": 4 }));
    assert!(failed.talks(&call(), 60));
    for status in [404, 404, 404, 486, 487, 603] {
        let begun = failed.begun(&call());
        failed.refused(begun, status);
    }
    assert_eq!(
        total(&mut failed),
        "0",
        "three, and busy ones are no failure"
    );
    let begun = failed.begun(&call());
    failed.end(begun, "timed-out");
    assert_eq!(total(&mut failed), "7", "4 failed, 1 answered");
    assert_eq!(failed.held(), (0, 0));
}

#[test]
fn fraud_score_learns_what_is_long_and_many_for_an_account_and_keeps_it_over_a_restart() {
    let mut duration = only(
        "duration",
        json!({ "at_least_s": 60, "unlearned_s": 7_200, "deviations": 3 }),
    );
    for number in 0..40 {
        assert!(duration.talks(&call(), 100 + number % 2 * 20));
    }
    assert_eq!(total(&mut duration), "0");
    duration.restart();
    // Mean 110, deviation about 10.
    let begun = duration.begun(&call());
    let _answered = duration.answer(begun, None);
    assert!(duration.pass_s(130).is_empty());
    let told = duration.pass_s(30);
    assert_eq!(
        alerted(&told[0].alerts),
        ["fraud-score/duration/user/alice"],
        "while it goes on"
    );
    assert_eq!(duration.ending(begun), None);
    let mut many = only(
        "concurrency",
        json!({ "at_least": 2, "unlearned": 4, "deviations": 2 }),
    );
    let begun: Vec<_> = (0..4).map(|_| many.begin(&call())).collect();
    let scores: Vec<_> = begun
        .iter()
        .map(|(conclusion, _)| conclusion.score)
        .collect();
    assert_eq!(scores, [0, 0, 0, 7], "little is known of alice");
    for (_, begun) in begun {
        many.end(begun.expect("it is admitted"), "bye");
    }
    assert_eq!(many.held(), (0, 0));
}

#[test]
fn fraud_score_sees_new_countries_dear_numbers_off_hours_and_call_backs() {
    let mut country = only("new_country", json!({ "forget_days": 90 }));
    for (dialled, given) in [
        ("+41446681800", 7),
        ("+41446681801", 0),
        ("+43123456789", 0),
        ("030123456", 0),
        ("+18762101234", 7),
        ("+12015550123", 7),
        ("+881612345678", 7),
    ] {
        assert_eq!(points(&mut country, dialled), given, "{dialled}");
    }
    country.restart();
    assert_eq!(points(&mut country, "+41446681800"), 0, "it is durable");
    let mut hours = only("off_hours", json!({}));
    for (hour, foreign) in [(7, 0), (8, 7), (18, 7), (19, 0)] {
        hours.at(NOON_MS + hour * 3_600_000);
        assert_eq!(points(&mut hours, "+41446681800"), foreign, "noon + {hour}");
        assert_eq!(points(&mut hours, "030123456"), 0);
    }
    let mut dear = only(
        "high_cost",
        json!({ "share_percent": 50, "at_least": 2, "list": "dear" }),
    );
    let given = ["09001234567", "030123456", "030123456", "+41446681800"];
    let given = given.map(|dialled| points(&mut dear, dialled));
    assert_eq!(given, [0, 0, 0, 7], "2 of 4");
    let mut back = only(
        "call_back",
        json!({ "rang_at_most_s": 5, "within_s": 3_600 }),
    );
    for (last, seconds) in [(6, 5), (7, 6)] {
        let inbound = Ask::invite("sip:+4930123456@pbx.example")
            .from(&format!("sip:+2217012345{last}@carrier.example"))
            .peer("carrier");
        let begun = back.begun(&inbound);
        back.pass_s(seconds);
        back.end(begun, "cancelled");
    }
    assert_eq!(points(&mut back, "0022170123457"), 0, "rang as people do");
    assert_eq!(points(&mut back, "0022170123456"), 7);
    back.restart();
    assert_eq!(points(&mut back, "+22170123456"), 7);
}

#[test]
fn fraud_score_sees_a_registration_from_a_new_country() {
    let mut scene = only("new_origin", json!({}));
    for (address, given) in [
        ("81.0.0.1", 0),
        ("81.0.255.255", 0),
        ("10.0.0.1", 0),
        ("83.0.0.1", 7),
        ("83.0.0.2", 0),
    ] {
        let conclusion = scene.judge(&Ask::register("alice").by("alice").at(address));
        assert_eq!(
            (answer(&conclusion), conclusion.score),
            (0, given),
            "{address}"
        );
    }
    scene.restart();
    let again = scene.judge(&Ask::register("alice").by("alice").at("83.0.0.1"));
    assert_eq!(again.score, 0);
    let forged = scene.judge(&Ask::register("alice").at("83.0.0.9"));
    assert_eq!(forged.score, 0, "nobody is blamed for a forged one");
}

#[test]
fn fraud_score_takes_rules_of_opensips_without_their_faults() {
    assert_eq!(seen(&mut row("cpm", 3, 5), 6), [0, 0, 1, 1, 100, 100]);
    assert_eq!(seen(&mut row("cpm", 0, 2), 3), [0, 100, 100]);
    // Counters that are set back at midnight while calls run.
    let mut total = row("total_calls", 3, 4);
    assert_eq!(seen(&mut total, 2), [0, 0]);
    total.pass(MINUTE * 20);
    assert_eq!(seen(&mut total, 2), [1, 100], "it is tomorrow");
    total.restart();
    assert_eq!(seen(&mut total, 1), [100]);
    let mut same = row("sequential_calls", 2, 3);
    let given = [
        "030123456",
        "030123456",
        "+4930123456",
        "030123457",
        "030123456",
    ];
    let given = given.map(|dialled| points(&mut same, dialled));
    assert_eq!(given, [0, 1, 100, 0, 0]);
    // Calls at once that fall below zero when those of yesterday end.
    let mut at_once = row("concurrent_calls", 2, 3);
    let (one, two) = (at_once.begun(&call()), at_once.begun(&call()));
    let (_, _) = (at_once.answer(one, None), at_once.answer(two, None));
    at_once.pass(MINUTE * 20);
    let (third, three) = at_once.begin(&call());
    assert_eq!(third.score, 100);
    for begun in [one, two, three.expect("it is admitted")] {
        at_once.end(begun, "bye");
    }
    assert_eq!(at_once.held(), (0, 0));
    assert_eq!(seen(&mut at_once, 1), [0]);
    // Alerts only at the end of a call.
    let mut long = row("call_duration", 600, 1_200);
    let begun = long.begun(&call());
    let _answered = long.answer(begun, None);
    assert!(long.pass(Duration::from_millis(599_999)).is_empty());
    let warned = long.pass(Duration::from_millis(1));
    assert_eq!(warned[0].alerts[0].alert.severity, Severity::Warning);
    let critical = long.pass(MINUTE * 10);
    assert_eq!(critical[0].alerts[0].alert.severity, Severity::Critical);
    assert_eq!(long.ending(begun), None, "it is told while it goes on");
}

#[test]
fn fraud_score_warns_challenges_refuses_and_locks_in_this_order() {
    let mut settings = counting();
    settings["challenge_realm"] = json!("");
    let mut scene = Scene::with(accounts(), GUEST, settings);
    let begun = scene.begun(&call());
    let _answered = scene.answer(begun, None);
    let heard: Vec<_> = (0..7).map(|_| scene.judge(&call())).collect();
    let statuses: Vec<_> = heard.iter().map(answer).collect();
    assert_eq!(statuses, [0, 0, 0, 403, 403, 403, 403]);
    let keys: Vec<_> = heard.iter().flat_map(|one| alerted(&one.alerts)).collect();
    assert_eq!(
        keys,
        [
            "fraud-score/warning/user/alice",
            "fraud-score/refused/user/alice",
            "fraud-score/refused/user/alice",
            "fraud-score/locked/user/alice"
        ],
        "alerts of one key are one to the operator"
    );
    assert_eq!(said(&heard[6]), "user/alice is locked");
    // What was admitted and never became a call gives back what it held.
    drop(heard);
    assert_eq!(scene.ask(&Ask::call("bob", "030123456")), 0);
    assert_eq!(scene.ask(&Ask::call("alice", "112")), 0, "an emergency");
    assert_eq!(scene.ask(&Ask::register("alice").by("alice")), 0);
    // A lock ends what runs at the next look.
    scene.pass_s(59);
    assert_eq!(scene.ending(begun), None);
    scene.pass_s(1);
    assert_eq!(scene.ending(begun), Some("policy"));
    assert_eq!(scene.held(), (0, 0));
}

#[test]
fn fraud_score_lets_a_password_answer_its_challenge_and_guessing_adds_points() {
    let mut scene = Scene::with(accounts(), GUEST, counting());
    assert_eq!((scene.ask(&call()), scene.ask(&call())), (0, 0));
    assert_eq!(scene.ask(&call()), 407);
    let right = scene.signed(call(), "alice");
    assert_eq!(scene.ask(&right), 0);
    let mut guessing = Scene::with(accounts(), GUEST, counting());
    assert_eq!((guessing.ask(&call()), guessing.ask(&call())), (0, 0));
    let wrong = guessing.signed_with(call(), "alice", "guess");
    assert_eq!(
        guessing.ask(&wrong),
        403,
        "10 for the call, 20 for the answer"
    );
    let mut theirs = Scene::with(accounts(), GUEST, counting());
    assert_eq!((theirs.ask(&call()), theirs.ask(&call())), (0, 0));
    let mallory = theirs.signed(call(), "mallory");
    assert_ne!(theirs.ask(&mallory), 0, "somebody else's proves nothing");
}

#[test]
fn fraud_score_keeps_points_and_locks_over_a_restart_and_a_reload_until_they_end() {
    let mut scene = Scene::with(accounts(), GUEST, counting());
    for _ in 0..4 {
        let _judged = scene.judge(&call());
    }
    scene.restart();
    assert_eq!(scene.ask(&call()), 403, "the fifth in all");
    let mut wrong = counting();
    wrong["lock_s"] = json!(59);
    scene.keeps_settings(wrong, "lock_s");
    for _ in 0..2 {
        assert_eq!(scene.ask(&call()), 403);
    }
    scene.restart();
    scene.pass(Duration::from_millis(3_599_999));
    assert_eq!(said(&scene.judge(&call())), "user/alice is locked");
    scene.reload(json!({ "region": "DE" }));
    assert_eq!(said(&scene.judge(&call())), "user/alice is locked");
    scene.reload(counting());
    scene.pass(Duration::from_millis(1));
    assert_eq!(scene.ask(&call()), 0);
}

#[test]
fn fraud_score_ends_a_night_of_toll_fraud_after_three_calls() {
    let mut scene = Scene::new(GUEST, json!({ "region": "DE" }));
    // Tuesday, 02:00 in UTC.
    scene.at(1_735_610_400_000);
    let (mut begun, mut first_alert) = (Vec::new(), None);
    for attempt in 0..400u32 {
        let number = match attempt % 2 {
            0 => format!("+8816{:08}", 10_000_000 + attempt * 37),
            _ => format!("+2217{:08}", 70_000_000 + attempt * 37),
        };
        let ask = Ask::invite(&format!("sip:{number}@pbx.example")).by("alice");
        let (conclusion, call) = scene.begin(&ask);
        if !conclusion.alerts.is_empty() {
            first_alert.get_or_insert(attempt);
        }
        if let Some(call) = call {
            let _answered = scene.answer(call, None);
            begun.push(call);
        }
        scene.pass(Duration::from_millis(1_500));
    }
    assert!(begun.len() <= 3, "{} calls", begun.len());
    assert!(
        first_alert.is_some_and(|attempt| attempt <= 2),
        "{first_alert:?}"
    );
    for call in begun {
        assert_eq!(scene.ending(call), Some("policy"), "ended by the lock");
    }
    assert_eq!(scene.held(), (0, 0));
}
