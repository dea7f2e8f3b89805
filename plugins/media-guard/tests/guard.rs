//! Injected media, bad quality and wrong settings of `media-guard`.

#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

use media_guard::MediaGuard;
use sipward_plugin_sdk::testing::{End, Harness, Request, Value, json};
use sipward_plugin_sdk::{MediaFigures, Severity};

fn call() -> Request {
    Request::invite("sip:bob@example.com").from_address("192.0.2.1")
}

#[test]
fn injected_media_is_told_and_the_call_goes_on() {
    let harness = Harness::<MediaGuard>::new(json!({}));
    let (_, call) = harness.begin(&call());
    let call = call.unwrap();
    let outcome = call.foreign_media("203.0.113.9:4000", "authentication");
    assert!(outcome.is_next());
    let alert = outcome.alerts().next().unwrap();
    assert_eq!(alert.severity, Severity::Warning);
    assert_eq!(alert.key, "foreign-media/192.0.2.1");
    assert!(
        alert.text.contains("203.0.113.9:4000 (authentication)"),
        "{}",
        alert.text
    );
    let clumsy = call.foreign_media("203.0.113.9:4000", "malformed");
    assert_eq!(clumsy.alerts().count(), 0);
    assert!(!call.is_over());
}

#[test]
fn a_call_under_attack_is_ended_at_the_limit_and_not_before() {
    let harness = Harness::<MediaGuard>::new(json!({ "end_after": 3 }));
    let (_, first) = harness.begin(&call());
    let (_, second) = harness.begin(&call());
    let (first, second) = (first.unwrap(), second.unwrap());
    for _ in 0..2 {
        assert!(first.foreign_media("203.0.113.9:4000", "source").is_next());
    }
    assert!(second.foreign_media("203.0.113.9:4000", "source").is_next());
    let end = first.foreign_media("203.0.113.9:4000", "source");
    assert_eq!(end.status(), Some(403));
    assert!(end.reason().contains("3 sources"), "{}", end.reason());
    assert!(first.is_over() && !second.is_over());
    harness.set_counters_full(true);
    assert_eq!(
        second.foreign_media("203.0.113.9:4000", "source").status(),
        Some(403)
    );
}

fn alerts_of(settings: Value, packets: u64, lost: u64, mos: Option<u16>) -> Vec<String> {
    let harness = Harness::<MediaGuard>::new(settings);
    let (_, call) = harness.begin(&call());
    let media = MediaFigures {
        packets,
        lost,
        mos_hundredths: mos,
        ..MediaFigures::default()
    };
    let outcome = call.unwrap().ended(End::new("bye").caller_media(media));
    outcome.alerts().map(|alert| alert.text.clone()).collect()
}

#[test]
fn quality_has_two_sides() {
    let settings = || json!({ "quality": { "packets": 100, "loss_percent": 5.0, "mos": 3.5 } });
    assert!(alerts_of(settings(), 96, 4, Some(350)).is_empty());
    let lost = alerts_of(settings(), 95, 5, None);
    assert!(lost[0].contains("5.0 percent of 100 packets"), "{lost:?}");
    let poor = alerts_of(settings(), 100, 0, Some(349));
    assert!(poor[0].contains("MOS 3.49"), "{poor:?}");
    assert!(
        alerts_of(settings(), 90, 9, Some(100)).is_empty(),
        "too short"
    );
    let quiet = json!({ "quality": { "packets": 1, "loss_percent": 0.0, "mos": 1.0 } });
    assert!(alerts_of(quiet, 1, 99, Some(100)).is_empty());
}

#[test]
fn a_wrong_key_is_named() {
    for (settings, key) in [
        (json!({ "causes": ["source", "sauce"] }), "causes[1]"),
        (json!({ "end_after": 1_001 }), "end_after"),
        (json!({ "quality": { "packets": 0 } }), "quality.packets"),
        (
            json!({ "quality": { "loss_percent": 101.0 } }),
            "quality.loss_percent",
        ),
        (json!({ "quality": { "mos": 0.5 } }), "quality.mos"),
        (json!({ "quality": { "mso": 3.0 } }), "quality.mso"),
        (json!({ "cause": [] }), "cause"),
    ] {
        let error = Harness::<MediaGuard>::try_new(&settings).err();
        assert_eq!(
            error.as_ref().map(|error| error.key()),
            Some(key),
            "{settings}"
        );
    }
}
