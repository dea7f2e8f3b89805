//! `digest-auth`: who is calling, and who guesses.

use std::time::Duration;

use policy::{Conclusion, Decision, DigestAlgorithm};
use serde_json::{Value, json};
use sipward_tests::guests::{START_MS, admitted, refusal};
use state::digest::{Algorithm, challenge_value};

use crate::asking::Ask;
use crate::door::{ALICE, Door, Phone, REALM};
use crate::props::Props;
use crate::refuses_settings;
use crate::scene::Scene;

#[test]
fn digest_auth_admits_the_right_answer_and_says_who_it_is() {
    let mut door = Door::new();
    let spec = door.challenged(ALICE.invite());
    assert_eq!(spec.realm, REALM);
    assert_eq!(
        spec.algorithms,
        [DigestAlgorithm::Sha256, DigestAlgorithm::Md5]
    );
    assert!(!spec.as_registrar && !spec.stale);
    let (challenge, algorithm) = door.header(&spec, ALICE);
    let conclusion = door.worker.judge(ALICE.answer(&challenge, algorithm, 1));
    let Decision::Admit(permit) = &conclusion.decision else {
        panic!("{conclusion:?}")
    };
    assert_eq!(permit.identity(), Some("alice"));
    assert_eq!(
        permit.strip_credentials_realm(),
        Some(REALM),
        "the answer need not travel further"
    );
    // The same nonce serves for the next count, and for no count twice.
    assert!(admitted(
        &door.worker.judge(ALICE.answer(&challenge, algorithm, 2))
    ));
    let replayed = door.challenged(ALICE.answer(&challenge, algorithm, 2));
    assert!(
        replayed.stale && replayed.reason.contains("used before"),
        "{}",
        replayed.reason
    );
    // The other algorithm that was offered is as good, one that was not is none.
    assert!(admitted(&door.worker.judge(ALICE.answer(
        &door.header(&spec, ALICE).0,
        DigestAlgorithm::Md5,
        1
    ))));
    let refused = door.challenged(ALICE.answer(&challenge, DigestAlgorithm::Sha512_256, 3));
    assert!(refused.reason.contains("not offered"), "{}", refused.reason);
}

#[test]
fn digest_auth_asks_again_when_the_nonce_is_old_or_foreign() {
    let mut door = Door::new();
    let spec = door.challenged(ALICE.invite());
    let (challenge, algorithm) = door.header(&spec, ALICE);
    door.host.clock.pass(Duration::from_secs(300));
    assert!(
        admitted(&door.worker.judge(ALICE.answer(&challenge, algorithm, 1))),
        "good for five minutes"
    );
    door.host.clock.pass(Duration::from_millis(1));
    let again = door.challenged(ALICE.answer(&challenge, algorithm, 2));
    assert!(again.stale, "{}", again.reason);
    let foreign = challenge_value(REALM, Algorithm::Sha256, "bm90IG91cnM", false);
    let again = door.challenged(ALICE.answer(&foreign, algorithm, 1));
    assert!(
        !again.stale && again.reason.contains("foreign nonce"),
        "{}",
        again.reason
    );
}

#[test]
fn digest_auth_counts_no_guess_under_a_forged_source() {
    let mut door = Door::new();
    let attacker = Phone {
        address: "203.0.113.66",
        ..ALICE.with("guess")
    };
    for _ in 0..20 {
        let spec = door.challenged(attacker.invite());
        let (challenge, algorithm) = door.header(&spec, attacker);
        let forged = door.challenged(ALICE.with("guess").answer(&challenge, algorithm, 1));
        assert!(
            !forged.stale && forged.reason.contains("foreign nonce"),
            "{}",
            forged.reason
        );
    }
    assert!(admitted(&door.attempt(ALICE)));
}

/// What the peer sees of a decision, without what only the operator does.
fn outwards(conclusion: &Conclusion) -> String {
    match &conclusion.decision {
        Decision::Challenge(spec) => {
            format!(
                "{} {:?} {} {}",
                spec.realm, spec.algorithms, spec.as_registrar, spec.stale
            )
        }
        Decision::Refuse(refusal) => {
            format!(
                "{} {:?} {:?} {:?}",
                refusal.status, refusal.phrase, refusal.headers, refusal.retry_after
            )
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn digest_auth_answers_an_unknown_user_like_a_wrong_password() {
    let mut door = Door::new();
    let wrong = ALICE.with("guess");
    let unknown = Phone {
        user: "mallory",
        password: "guess",
        address: "192.0.2.20",
    };
    let mut seen = Vec::new();
    // Through the lockout at the fifth failure, and beyond.
    for _ in 0..8 {
        let (one, other) = (door.attempt(wrong), door.attempt(unknown));
        assert_eq!(outwards(&one), outwards(&other));
        assert_eq!(one.alerts.len(), other.alerts.len());
        seen.push(outwards(&one));
    }
    assert_eq!(
        seen[0], seen[4],
        "the fifth failure is answered like the first"
    );
    assert_ne!(seen[4], seen[5], "the sixth attempt is too many");
}

#[test]
fn digest_auth_locks_out_after_five_failures_there_and_only_there() {
    let mut door = Door::new();
    for attempt in 1..=5 {
        let conclusion = door.attempt(ALICE.with("guess"));
        assert!(
            matches!(conclusion.decision, Decision::Challenge(_)),
            "attempt {attempt}"
        );
        assert_eq!(
            conclusion.alerts.len(),
            usize::from(attempt == 5),
            "the lockout is told"
        );
    }
    let conclusion = door.attempt(ALICE);
    let (status, _, reason) = refusal(&conclusion);
    assert_eq!(status, 403, "the right password comes too late");
    assert!(reason.contains("locked out"), "{reason}");
    let elsewhere = Phone {
        address: "192.0.2.99",
        ..ALICE
    };
    assert!(
        admitted(&door.attempt(elsewhere)),
        "at home she is not locked out"
    );
    door.host.clock.pass(Duration::from_millis(29_999));
    assert!(!admitted(&door.attempt(ALICE)));
    door.host.clock.pass(Duration::from_millis(2));
    assert!(
        admitted(&door.attempt(ALICE)),
        "after half a minute it is over"
    );
}

#[test]
fn digest_auth_forgets_typing_errors_after_the_right_password() {
    let mut door = Door::new();
    for _ in 0..3 {
        for _ in 0..4 {
            assert!(!admitted(&door.attempt(ALICE.with("guess"))));
        }
        assert!(admitted(&door.attempt(ALICE)));
    }
}

#[test]
fn a_lockout_survives_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut door = Door::durable(folder.path(), START_MS);
    for _ in 0..5 {
        assert!(!admitted(&door.attempt(ALICE.with("guess"))));
    }
    drop(door);
    let mut door = Door::durable(folder.path(), START_MS + 5_000);
    let conclusion = door.attempt(ALICE);
    assert!(
        refusal(&conclusion).2.contains("locked out"),
        "{conclusion:?}"
    );
    door.host.clock.pass(Duration::from_secs(26));
    assert!(admitted(&door.attempt(ALICE)));
    // That she proved herself there is durable, too: no second lockout is shorter.
    for _ in 0..4 {
        assert!(!admitted(&door.attempt(ALICE.with("guess"))));
    }
    drop(door);
    let mut door = Door::durable(folder.path(), START_MS + 60_000);
    assert!(matches!(
        door.attempt(ALICE.with("guess")).decision,
        Decision::Challenge(_)
    ));
    assert_eq!(
        refusal(&door.attempt(ALICE)).0,
        403,
        "four before the restart and one after it"
    );
}

#[test]
fn digest_auth_locks_on_through_a_reload_and_asks_by_the_new_settings() {
    let settings = |more: Value| {
        let mut settings = json!({ "realm": REALM, "lockout": { "user_failures": 3 } });
        let all = settings.as_object_mut().expect("an object");
        all.extend(more.as_object().expect("an object").clone());
        settings
    };
    let users = Props::default().user(ALICE.user, ALICE.password);
    let mut scene = Scene::with(users, "digest-auth", settings(json!({})));
    let call = || Ask::invite("sip:bob@pbx.example");
    let signed = scene.signed(call(), "alice");
    assert_eq!((scene.ask(&call()), scene.ask(&signed)), (407, 0));
    for _ in 0..2 {
        let wrong = scene.signed_with(call(), "alice", "guess");
        assert_eq!(scene.ask(&wrong), 407);
    }
    scene.keeps_settings(settings(json!({ "algorithms": [] })), "algorithms");
    scene.reload(settings(json!({ "exempt": { "peers": ["carrier"] } })));
    assert_eq!(scene.ask(&call().peer("carrier")), 0);
    let wrong = scene.signed_with(call(), "alice", "guess");
    let third = scene.judge(&wrong);
    assert_eq!(third.alerts.len(), 1, "the third in all");
    let signed = scene.signed(call(), "alice");
    assert_eq!(scene.ask(&signed), 403);
    scene.reload(settings(json!({})));
    assert_eq!(scene.ask(&call().peer("carrier")), 407);
    let signed = scene.signed(call(), "alice");
    assert_eq!(scene.ask(&signed), 403);
}

#[test]
fn digest_auth_asks_in_dialogs_and_registrations_as_told_and_compares_from() {
    let users = Props::default().user(ALICE.user, ALICE.password);
    let settings = json!({ "realm": REALM, "match_from": "user" });
    let mut scene = Scene::with(users, "digest-auth", settings);
    let mallory = "sip:mallory@pbx.example";
    for (ask, asked, proved) in [
        (Ask::invite("sip:bob@pbx.example"), 407, 0),
        (Ask::register("alice"), 401, 0),
        (Ask::register("alice").to(mallory), 401, 403),
        (Ask::invite("sip:bob@pbx.example").from(mallory), 407, 403),
        (Ask::invite("sip:contact@10.0.0.1").within(), 0, 0),
        (Ask::refer("<sip:bob@pbx.example>"), 407, 0),
        (Ask::new("OPTIONS", "sip:pbx.example"), 0, 0),
    ] {
        assert_eq!(scene.ask(&ask), asked, "{ask:?}");
        let signed = scene.signed(ask.clone(), "alice");
        assert_eq!(scene.ask(&signed), proved, "{ask:?}");
    }
}

#[test]
fn digest_auth_names_the_wrong_key() {
    refuses_settings(
        "digest-auth",
        &[
            (json!({ "realm": "" }), "realm"),
            (json!({ "realm": "r", "algorithms": [] }), "algorithms"),
            (
                json!({ "realm": "r", "algorithms": ["SHA-256", "SHA-256"] }),
                "algorithms[1]",
            ),
            (
                json!({ "realm": "r", "methods": ["INVITE", "ACK"] }),
                "methods[1]",
            ),
            (
                json!({ "realm": "r", "lockout": { "user_failures": 0 } }),
                "lockout.user_failures",
            ),
            (
                json!({ "realm": "r", "lockout": { "first_s": 60, "longest_s": 59 } }),
                "lockout.longest_s",
            ),
            (
                json!({ "realm": "r", "exempt": { "networks": ["192.0.2.0/24", "x"] } }),
                "exempt.networks[1]",
            ),
            (json!({}), ""),
            (json!({ "realm": "r".repeat(129) }), "realm"),
            (
                json!({ "realm": "r", "methods_in_dialog": ["refer"] }),
                "methods_in_dialog[0]",
            ),
            (json!({ "realm": "r", "match_from": "yes" }), "match_from"),
            (
                json!({ "realm": "r", "exempt": { "zones": ["dmz"] } }),
                "exempt.zones[0]",
            ),
            (
                json!({ "realm": "r", "lockout": { "forget_s": 3599 } }),
                "lockout.forget_s",
            ),
            (
                json!({ "realm": "r", "lockout": { "ipv6_prefix": 129 } }),
                "lockout.ipv6_prefix",
            ),
            (json!({ "realm": "r", "locksout": {} }), "locksout"),
        ],
    );
}
