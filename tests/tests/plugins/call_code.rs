//! `call-code`: a PIN or one-time code before dear numbers. Codes are checked by the
//! account store, which holds them as an operator would have enrolled them.

use std::time::Duration;

use accounts::{Book, Digits, Enrolment, NewPassword};
use policy::{Conclusion, Decision, HeaderEdit, Rewrites, Severity};
use serde_json::{Value, json};
use sipward_tests::guests::START_MS;

use crate::asking::Ask;
use crate::authenticator::{Authenticator, STEP_MS};
use crate::door::REALM;
use crate::props::Props;
use crate::refuses_settings;
use crate::scene::{Scene, alerted, answer, note, permit, said};

const GUEST: &str = "call-code";
const PIN: &str = "735911";

fn enrol(book: &mut Book, user: &str) {
    let enrolment = Enrolment {
        user,
        realms: &[REALM],
        groups: &[],
        max_age_days: None,
    };
    let added = book.add(enrolment, NewPassword::Generated, START_MS);
    added.expect("a new account");
}

/// Alice and Bob have PINs, Carol has an authenticator, Dave has nothing.
fn office() -> (Props, Authenticator) {
    let mut book = Book::new().expect("randomness");
    for user in ["alice", "bob", "carol", "dave"] {
        enrol(&mut book, user);
    }
    for user in ["alice", "bob"] {
        book.set_pin(user, Some(PIN)).expect("a good PIN");
    }
    let uri = book
        .set_totp("carol", Digits::Six, START_MS)
        .expect("randomness");
    let props = Props::default()
        .store(book)
        .group("managers", &["dave"])
        .list("dear", "+41\n");
    (props, Authenticator::scan(&uri))
}

fn settings(more: &Value) -> Value {
    let mut settings = json!({ "region": "DE" });
    let all = settings.as_object_mut().expect("an object");
    all.extend(more.as_object().expect("an object").clone());
    settings
}

fn scene(more: &Value) -> Scene {
    Scene::with(office().0, GUEST, settings(more))
}

fn call(dialled: &str) -> Ask {
    Ask::call("alice", dialled)
}

/// The code stands nowhere but where it is said to be secret.
#[track_caller]
fn hides(conclusion: &Conclusion, code: &str) {
    let decision = match &conclusion.decision {
        Decision::Admit(permit) => format!(
            "{:?} {:?} {:?}",
            permit.header_edits(),
            permit.rewrites(),
            permit.annotations()
        ),
        other => format!("{other:?}"),
    };
    let shown = format!(
        "{decision} {:?} {:?} {:?}",
        conclusion.alerts, conclusion.points, conclusion.trace
    );
    assert!(!shown.contains(code), "{shown}");
    let secrets = &conclusion.account.secrets;
    assert!(secrets.iter().any(|secret| secret == code), "{secrets:?}");
}

fn rewrites(conclusion: &Conclusion) -> Rewrites {
    permit(conclusion).rewrites().cloned().unwrap_or_default()
}

#[test]
fn call_code_opens_to_a_pin_that_goes_no_further() {
    let mut scene = scene(&json!({}));
    let conclusion = scene.judge(&call("*735911*0041446681800"));
    assert_eq!(answer(&conclusion), 0, "{}", said(&conclusion));
    hides(&conclusion, PIN);
    let written = rewrites(&conclusion);
    assert_eq!(
        written.request_uri.as_deref(),
        Some("sip:0041446681800@pbx.example")
    );
    assert_eq!(
        written.to.as_deref(),
        Some("<sip:0041446681800@pbx.example>")
    );
    assert_eq!(note(&conclusion, "call-code"), Some("verified"));
    // However it is written, and in headers that repeat what was dialled.
    let escaped = call("%2a7359%31%31%2A09001234567")
        .header("History-Info", "<sip:%2A735911%2a0900@pbx.example>;index=1")
        .header("Subject", "lunch");
    let conclusion = scene.judge(&escaped);
    assert_eq!(answer(&conclusion), 0, "{}", said(&conclusion));
    hides(&conclusion, PIN);
    let removed = HeaderEdit::Remove {
        name: "History-Info".to_owned(),
    };
    assert_eq!(permit(&conclusion).header_edits(), [removed]);
}

#[test]
fn call_code_is_needed_for_chosen_numbers_and_for_no_others() {
    let mut scene = scene(&json!({ "exempt_groups": ["managers"] }));
    for (dialled, reason) in [
        ("0041446681800", "+41446681800 in CH needs a code"),
        ("09001234567", "+499001234567 (premium) needs a code"),
        ("+881612345678", "+881612345678 (satellite) needs a code"),
        ("*21*09001234567", "what is no number needs a code"),
        ("030123456", ""),
        ("4711", ""),
        ("112", ""),
        ("reception", ""),
    ] {
        let conclusion = scene.judge(&call(dialled));
        let status = if reason.is_empty() { 0 } else { 403 };
        assert_eq!(answer(&conclusion), status, "{dialled}");
        assert_eq!(said(&conclusion), reason, "{dialled}");
    }
    for (ask, status) in [
        (Ask::call("dave", "09001234567"), 0),
        (
            Ask::invite("sip:+41446681800@pbx.example").peer("carrier"),
            0,
        ),
        (Ask::refer("<sip:09001234567@pbx.example>").by("alice"), 403),
        (Ask::refer("<sip:030123456@pbx.example>").by("alice"), 0),
        (
            Ask::refer("<sip:*735911*0900@pbx.example>").by("alice"),
            403,
        ),
    ] {
        assert_eq!(scene.ask(&ask), status, "{ask:?}");
    }
    scene.reload(settings(
        &json!({ "destinations": { "foreign": false, "classes": [], "list": "dear" } }),
    ));
    assert_eq!(scene.ask(&call("+12125550123")), 0);
    assert_eq!(scene.ask(&call("+41446681800")), 403, "in the list");
}

#[test]
fn call_code_hides_wrong_codes_and_broken_ones_too() {
    let mut scene = scene(&json!({}));
    for (ask, code, status) in [
        (call("*735912*0041446681800"), "735912", 403),
        (Ask::call("dave", "*735911*0041446681800"), PIN, 403),
        (
            Ask::invite("sip:*735911*0041446681800@pbx.example").inside(),
            PIN,
            403,
        ),
        (
            call("030123456").to("sip:*735911*030@pbx.example"),
            PIN,
            400,
        ),
        (call("*735911*0900").header("Call-ID", "*735911*"), PIN, 400),
    ] {
        let conclusion = scene.judge(&ask);
        assert_eq!(answer(&conclusion), status, "{}", said(&conclusion));
        hides(&conclusion, code);
    }
    for dialled in ["*735911", "*735911*", "*735911*bob"] {
        let conclusion = scene.judge(&call(dialled));
        assert_eq!(answer(&conclusion), 484, "{dialled}");
        assert!(!said(&conclusion).contains(PIN));
        let secrets = &conclusion.account.secrets;
        assert!(secrets.iter().any(|secret| secret.contains(PIN)));
    }
    scene.reload(settings(&json!({ "hide_only": true })));
    let conclusion = scene.judge(&call("*735912*0041446681800"));
    assert_eq!(answer(&conclusion), 0, "only hidden");
    hides(&conclusion, "735912");
}

#[test]
fn call_code_takes_a_one_time_code_once_over_a_restart_and_within_its_time() {
    let (props, app) = office();
    let mut scene = Scene::with(props, GUEST, settings(&json!({})));
    let dials = |code: &str| Ask::call("carol", &format!("*{code}*09001234567"));
    let start_ms = START_MS / STEP_MS * STEP_MS + 10 * STEP_MS;
    let code = app.shows(start_ms);
    // One step of tolerance either way.
    for (at_ms, status) in [
        (start_ms - STEP_MS - 1, 403),
        (start_ms + 2 * STEP_MS, 403),
        (start_ms + 2 * STEP_MS - 1, 0),
    ] {
        scene.at(at_ms);
        assert_eq!(scene.ask(&dials(&code)), status, "{at_ms} {start_ms}");
    }
    let again = scene.judge(&dials(&code));
    assert_eq!(
        said(&again),
        "carol has dialled a code that was used before"
    );
    assert_eq!(alerted(&again.alerts), ["call-code/replayed/carol"]);
    hides(&again, &code);
    scene.restart();
    let again = scene.judge(&dials(&code));
    assert_eq!(
        said(&again),
        "carol has dialled a code that was used before"
    );
    let next = app.shows(scene.now_ms() + STEP_MS);
    assert_eq!(scene.ask(&dials(&next)), 0);
    assert_eq!(
        scene.ask(&call(&format!("*{next}*0900123"))),
        403,
        "hers alone"
    );
}

fn guarded() -> Value {
    json!({ "lockout": { "failures": 3, "first_s": 10, "longest_s": 40, "forget_s": 3600 } })
}

fn opens(scene: &mut Scene, user: &str) -> bool {
    scene.ask(&Ask::call(user, "*735911*09001234567")) == 0
}

fn guesses(scene: &mut Scene) -> Conclusion {
    scene.judge(&call("*800000*09001234567"))
}

#[test]
fn call_code_locks_out_after_three_wrong_codes_and_not_after_two() {
    let mut scene = scene(&guarded());
    for _ in 0..2 {
        assert!(guesses(&mut scene).alerts.is_empty());
    }
    assert!(opens(&mut scene, "alice"), "two are no lockout");
    let third = guesses(&mut scene);
    assert_eq!(alerted(&third.alerts), ["call-code/locked/alice"]);
    assert_eq!(third.alerts[0].alert.severity, Severity::Critical);
    assert!(!opens(&mut scene, "alice"));
    assert!(opens(&mut scene, "bob"), "others go on");
    scene.pass(Duration::from_millis(9_999));
    assert!(!opens(&mut scene, "alice"));
    scene.pass(Duration::from_millis(1));
    assert!(opens(&mut scene, "alice"));
    // The next one is twice as long, and a guess meanwhile is not looked at.
    assert_eq!(guesses(&mut scene).alerts.len(), 1);
    for _ in 0..50 {
        assert!(guesses(&mut scene).alerts.is_empty());
    }
    scene.pass(Duration::from_millis(19_999));
    assert!(!opens(&mut scene, "alice"));
    scene.pass(Duration::from_millis(1));
    assert!(opens(&mut scene, "alice"));
}

#[test]
fn call_code_unlocks_nobody_by_a_restart_or_a_reload() {
    let mut scene = scene(&guarded());
    for _ in 0..2 {
        let _wrong = guesses(&mut scene);
    }
    scene.restart();
    assert_eq!(guesses(&mut scene).alerts.len(), 1, "the third in all");
    scene.restart();
    assert!(!opens(&mut scene, "alice"));
    let wrong = settings(&json!({ "lockout": { "failures": 0 } }));
    scene.keeps_settings(wrong, "lockout.failures");
    scene.reload(settings(&json!({})));
    assert!(!opens(&mut scene, "alice"));
    scene.pass_s(10);
    assert!(opens(&mut scene, "alice"));
    // The code that is dialled after a pattern that the operator changes.
    scene.reload(settings(&json!({ "pattern": "##<code>#*<number>" })));
    let other = "%23%23735911%23*09001234567";
    assert_eq!(scene.ask(&call(other)), 0);
    assert_eq!(scene.ask(&call("*735911*09001234567")), 403);
}

#[test]
fn call_code_tells_of_the_third_call_without_a_code_and_not_of_the_second() {
    let mut scene = scene(&json!({}));
    let without = |scene: &mut Scene, user: &str, number: &str| {
        let conclusion = scene.judge(&Ask::call(user, number));
        assert_eq!(answer(&conclusion), 403);
        alerted(&conclusion.alerts).join(" ")
    };
    assert_eq!(without(&mut scene, "alice", "0088213991234"), "");
    assert_eq!(without(&mut scene, "alice", "09001234567"), "");
    assert_eq!(
        without(&mut scene, "bob", "09001234567"),
        "",
        "each their own"
    );
    let told = without(&mut scene, "alice", "00979123456789");
    assert_eq!(told, "call-code/missing/alice");
    assert!(opens(&mut scene, "alice"), "who has the code goes on");
    // Counted for ten minutes, and fading for as long again.
    scene.pass_s(1_200);
    assert_eq!(without(&mut scene, "alice", "09001234567"), "");
    scene.reload(settings(&json!({ "tell_after": 0 })));
    for _ in 0..5 {
        assert_eq!(without(&mut scene, "alice", "09001234567"), "");
    }
}

/// Settings, and the key that is wrong in them.
fn wrong_settings() -> Vec<(Value, &'static str)> {
    let pattern = |pattern: &str| settings(&json!({ "pattern": pattern }));
    let with = |field: &str, value: Value| settings(&json!({ field: value }));
    let numbers = |field: &str, value: Value| with("destinations", json!({ field: value }));
    let lockout = |field: &str, value: Value| with("lockout", json!({ field: value }));
    vec![
        (json!({}), ""),
        (json!({ "region": "Germany" }), "region"),
        (with("code", json!(1)), "code"),
        (pattern("<code><number>"), "pattern"),
        (pattern("*<code><number>"), "pattern"),
        (pattern("*<number>*<code>"), "pattern"),
        (pattern("pin<code>*<number>"), "pattern"),
        (with("hide_only", json!(1)), "hide_only"),
        (with("min_digits", json!(3)), "min_digits"),
        (with("max_digits", json!(17)), "max_digits"),
        (numbers("home", json!(["at"])), "destinations.home[0]"),
        (numbers("classes", json!(["x"])), "destinations.classes[0]"),
        (
            numbers("prefixes", json!(["+49", "49"])),
            "destinations.prefixes[1]",
        ),
        (
            numbers("internal_digits", json!(11)),
            "destinations.internal_digits",
        ),
        (numbers("all", json!(true)), "destinations.all"),
        (with("transfers", json!("maybe")), "transfers"),
        (lockout("failures", json!(0)), "lockout.failures"),
        (lockout("failures", json!(1_001)), "lockout.failures"),
        (lockout("first_s", json!(0)), "lockout.first_s"),
        (lockout("longest_s", json!(2_592_001)), "lockout.longest_s"),
        (lockout("forget_s", json!(0)), "lockout.forget_s"),
        (with("tell_after", json!(1_001)), "tell_after"),
        (with("emergency", json!(["112", "help"])), "emergency[1]"),
        (with("emergency", json!(vec!["112"; 65])), "emergency"),
    ]
}

#[test]
fn call_code_names_the_wrong_key() {
    refuses_settings(GUEST, &wrong_settings());
}
