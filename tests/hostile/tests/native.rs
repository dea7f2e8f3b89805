//! The behaviours that a native harness survives; the host's tests have the rest.

use hostile_plugins::Hostile;
use sipward_plugin_sdk::testing::{Harness, Request, Response, json};
use sipward_plugin_sdk::{AddressKind, Anomalies, Effect, MediaRequirement, Outcome};

fn outcome(settings: sipward_plugin_sdk::testing::Value) -> (Outcome, usize) {
    let harness = Harness::<Hostile>::new(settings);
    let outcome = harness.call(&Request::invite("sip:bob@example.com"));
    (outcome, harness.take_host_calls())
}

#[test]
fn settings_choose_the_behaviour() {
    let (calm, calls) = outcome(json!({ "behaviour": "none" }));
    assert!(calm.is_next() && calm.effects().is_empty() && calls == 0);
    let (many, _) = outcome(json!({ "behaviour": "too-many-effects", "amount": 33 }));
    assert_eq!(many.effects().len(), 33);
    let (large, _) = outcome(json!({ "behaviour": "oversized-outcome", "amount": 17 }));
    assert!(matches!(large.effects(), [Effect::Annotate(note)] if note.value.len() == 17 * 1024));
    let (crlf, _) = outcome(json!({ "behaviour": "crlf-effect" }));
    assert!(matches!(crlf.effects(), [Effect::SetHeader(header)] if header.value.contains(&b'\n')));
    assert_eq!(
        outcome(json!({ "behaviour": "wrong-status" })).0.status(),
        Some(200)
    );
    assert_eq!(
        outcome(json!({ "behaviour": "log-flood", "amount": 9 })).1,
        9
    );
    assert_eq!(
        outcome(json!({ "behaviour": "host-call-flood", "amount": 9 })).1,
        9
    );
    assert_eq!(
        outcome(json!({ "behaviour": "slow", "amount": 1 }))
            .0
            .reason(),
        "slowly"
    );
}

#[test]
fn media_is_demanded_and_an_offer_told() {
    let demanded = |media: &str| {
        let settings = json!({ "behaviour": "demand-media", "media": media });
        outcome(settings).0.media_requirement()
    };
    assert_eq!(demanded("any"), MediaRequirement::Any);
    assert_eq!(demanded("encrypted"), MediaRequirement::Encrypted);
    assert_eq!(demanded("encrypted-both"), MediaRequirement::EncryptedBoth);
    let harness = Harness::<Hostile>::new(json!({ "behaviour": "tell-offer" }));
    let request = Request::invite("sip:bob@example.com")
        .offer("audio", "RTP/SAVP", true)
        .offer("video", "RTP/AVP", false)
        .offer_address("10.0.0.1", AddressKind::Private)
        .anomalies(Anomalies::UNREADABLE_OFFER);
    assert_eq!(
        harness.call(&request).reason(),
        "unreadable=true [audio RTP/SAVP encrypted=true AddressKind::Public 192.0.2.1:4000; \
         video RTP/AVP encrypted=false AddressKind::Private 10.0.0.1:4000]"
    );
}

#[test]
fn the_hook_can_be_chosen() {
    let harness =
        Harness::<Hostile>::new(json!({ "behaviour": "wrong-status", "hook": "response" }));
    assert!(
        harness
            .call(&Request::invite("sip:bob@example.com"))
            .is_next()
    );
    assert_eq!(
        harness.answer(&Response::new(486, "Busy Here")).status(),
        Some(200)
    );
}

#[test]
fn it_remembers_if_it_is_let() {
    let harness = Harness::<Hostile>::new(json!({ "behaviour": "keep-state" }));
    let invite = Request::invite("sip:bob@example.com");
    let first = harness.call(&invite).reason().to_owned();
    let second = harness.call(&invite).reason().to_owned();
    assert!(first.contains("by []"), "{first}");
    assert!(!second.contains("by []"), "{second}");
}

#[test]
#[should_panic(expected = "traps on call")]
fn a_trap_is_a_panic() {
    _ = outcome(json!({ "behaviour": "trap-on-call" }));
}

#[test]
fn refused_settings_are_told() {
    let settings = json!({ "behaviour": "refuse-settings" });
    assert_eq!(
        Harness::<Hostile>::try_new(&settings).err().unwrap().key(),
        "behaviour"
    );
}
