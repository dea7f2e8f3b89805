//! Calls: ticks, limits, leases and reloads.

use std::time::Duration;

use sipward_plugin_sdk::leases::{Lease, LeaseError};
use sipward_plugin_sdk::testing::{Happened, Harness, json};
use sipward_plugin_sdk::{clock, lists, prelude::*};

use crate::{Answer, Asked, Granted, Settings, harness, invite, panics, script};

#[test]
fn a_reload_keeps_state_and_calls() {
    const PLACES: Lease = Lease::new("places");
    let harness = Harness::<Granted>::unconfigured().with_list("barred", [("+49", "")]);
    script(|| Outcome::next().because(format!("{}", lists::find("barred", "").is_ok())));
    let harness = harness.configured(json!({ "at_once": true }));
    script(|| {
        let _ = PLACES.hold(b"k", 1, 9);
        Outcome::next()
    });
    let (_, handle) = harness.begin(&invite());
    assert_eq!(harness.held("places", "k"), 2);
    assert!(harness.reload(&json!({ "at_once": "what" })).is_err());
    harness.reload(&json!({})).unwrap();
    assert_eq!(harness.held("places", "k"), 2);
    handle.unwrap().answered();
    assert_eq!(harness.held("places", "k"), 3);
    panics("no settings", || {
        _ = Harness::<Granted>::unconfigured().call(&invite());
    });
}

#[test]
fn ticks_count_from_the_answer_and_never_from_the_past() {
    let harness = harness();
    script(|| match clock::now_ms() {
        0 => Outcome::next().tick_after(5).tick_after(5).tick_after(3),
        7_000 => Outcome::next().tick_after(5).tick_after(6),
        _ => Outcome::next(),
    });
    let (_, handle) = harness.begin(&invite());
    let handle = handle.unwrap();
    assert_eq!(handle.advance(Duration::from_secs(4)).len(), 0);
    handle.answered();
    // Asked for at 0 and answered at 4 s: due at 7 and 9 s, and at 10 s the new one.
    let heard: Vec<_> = harness
        .advance(Duration::from_secs(60))
        .into_iter()
        .map(|step| (step.at_ms, step.event))
        .collect();
    assert_eq!(
        heard,
        [
            (7_000, Happened::Tick(3)),
            (9_000, Happened::Tick(5)),
            (10_000, Happened::Tick(6)),
        ]
    );
    script(|| Outcome::next().tick_after(60));
    panics("have passed already", || {
        _ = handle.foreign_media("192.0.2.9:4000", "ssrc")
    });
}

#[test]
fn a_call_ends_when_its_time_is_up() {
    let harness = harness();
    script(|| {
        Outcome::next()
            .limit_duration(30)
            .limit_duration(60)
            .tick_after(30)
    });
    let (_, handle) = harness.begin(&invite());
    let handle = handle.unwrap();
    script(Outcome::next);
    handle.answered();
    assert!(handle.advance(Duration::from_millis(29_999)).is_empty());
    handle.advance(Duration::from_millis(1));
    let steps = handle.steps();
    let tail: Vec<_> = steps
        .iter()
        .rev()
        .take(2)
        .map(|step| step.event.clone())
        .collect();
    assert_eq!(
        tail,
        [
            Happened::Ended("duration-limit".to_owned()),
            Happened::Tick(30)
        ]
    );
    panics("is over", || _ = handle.ended("bye"));

    // A limit that has passed when it is set ends the call at once.
    let (_, handle) = harness.begin(&invite());
    let handle = handle.unwrap();
    handle.answered();
    handle.advance(Duration::from_secs(10));
    script(|| Outcome::next().limit_duration(10));
    handle.foreign_media("[2001:db8::9]:4000", "replay");
    assert!(handle.is_over());
}

#[test]
fn leases_belong_to_calls() {
    const PLACES: Lease = Lease::new("places");
    let harness = harness();
    let hold = || match PLACES.hold(b"k", 2, 5) {
        Ok(holding) => Outcome::next().because(format!("{} {}", holding.granted, holding.held)),
        Err(error) => Outcome::next().because(error.name()),
    };
    script(hold);
    // No call: other methods, requests within a dialog, responses.
    let within = invite().dialog(Dialog::Confirmed);
    let register = Asked::register("sip:example.com");
    for request in [&within, &register] {
        assert_eq!(harness.call(request).reason(), "no-call");
    }
    let ringing = Answer::new(180, "Ringing");
    assert_eq!(harness.answer(&ringing).reason(), "no-call");

    let (begun, handle) = harness.begin(&invite());
    assert_eq!(begun.reason(), "true 2");
    // `started` held the same key again, and the third wish is one too many.
    let handle = handle.unwrap();
    assert_eq!(harness.held("places", "k"), 4);
    let refused = handle.answered();
    assert_eq!(refused.reason(), "false 4");
    let over = handle.ended("bye");
    assert_eq!(over.reason(), "no-call");
    assert_eq!(harness.leases(), []);

    script(|| {
        let wrong = [
            Lease::new("").hold(b"", 1, 1),
            Lease::new("a").hold(&[0; 257], 1, 1),
            Lease::new("a").hold(b"", 0, 1),
        ];
        assert_eq!(wrong, [Err(LeaseError::Invalid); 3]);
        assert!(
            Lease::new("a")
                .hold(&[0; 256], u64::MAX, u64::MAX)
                .unwrap()
                .granted
        );
        assert!(
            !Lease::new("a")
                .hold(&[0; 256], 1, u64::MAX)
                .unwrap()
                .granted
        );
        let kept = (1..=80_u8).filter(|key| PLACES.hold(&[*key], 1, 1).is_ok());
        Outcome::next().because(kept.count().to_string())
    });
    assert_eq!(
        harness.call(&invite()).reason(),
        "63",
        "64 keys of one call"
    );
}

#[test]
fn a_policy_that_does_not_see_invites_follows_no_calls() {
    struct Registrations;

    #[policy]
    impl Policy for Registrations {
        type Settings = Settings;
        const METHODS: &'static [&'static str] = &["REGISTER"];

        fn configure(_: Settings) -> Result<Self, SettingsError> {
            Ok(Self)
        }

        fn on_call_event(&self, _: &Call<'_>, event: &CallEvent<'_>) -> Outcome {
            panic!("heard {}", event.name())
        }
    }

    let harness = Harness::<Registrations>::new(json!({}));
    let (outcome, handle) = harness.begin(&invite());
    assert!(outcome.is_next());
    assert!(handle.unwrap().ended("bye").is_next());
}
