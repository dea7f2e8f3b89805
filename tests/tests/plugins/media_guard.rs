//! `media-guard`: media that somebody else sends, and how the media of a call was.

use policy::{CallConclusion, CallHappening, PartyMedia};
use serde_json::{Value, json};

use crate::asking::Ask;
use crate::calls::{CallNumber, veto};
use crate::refuses_settings;
use crate::scene::{Scene, alerted};

const GUEST: &str = "media-guard";

/// The pipeline needs a plugin that judges requests; this one admits all.
fn scene(settings: Value) -> Scene {
    Scene::after(
        (
            "ip-acl",
            json!({ "inside": { "default": "allow" }, "outside": { "default": "allow" } }),
        ),
        GUEST,
        settings,
    )
}

fn begin(scene: &mut Scene) -> CallNumber {
    let call = scene.begun(&Ask::invite("sip:bob@pbx.example"));
    let _answered = scene.answer(call, None);
    call
}

fn inject(scene: &mut Scene, call: CallNumber, cause: &'static str) -> CallConclusion {
    let happening = CallHappening::ForeignMedia {
        source: "203.0.113.9:4000".parse().expect("an address"),
        stream: 0,
        cause,
    };
    scene.tell(call, &happening, None)
}

#[test]
fn media_guard_tells_of_injected_media_and_not_of_a_clumsy_phone() {
    let mut scene = scene(json!({}));
    let call = begin(&mut scene);
    let told = inject(&mut scene, call, "authentication");
    assert_eq!(alerted(&told.alerts), ["foreign-media/81.0.0.1"]);
    let text = &told.alerts[0].alert.text;
    assert!(text.contains("203.0.113.9:4000 (authentication)"), "{text}");
    assert!(inject(&mut scene, call, "malformed").alerts.is_empty());
    assert_eq!(scene.ending(call), None);
}

#[test]
fn media_guard_ends_a_call_at_its_limit_through_a_reload_and_never_another_one() {
    let mut scene = scene(json!({ "end_after": 4 }));
    let (one, other) = (begin(&mut scene), begin(&mut scene));
    assert!(inject(&mut scene, one, "source").end.is_none());
    scene.keeps_settings(json!({ "end_after": 1_001 }), "end_after");
    scene.reload(json!({ "end_after": 3 }));
    assert!(inject(&mut scene, one, "source").end.is_none());
    assert!(inject(&mut scene, other, "source").end.is_none());
    let third = inject(&mut scene, one, "source");
    assert!(veto(&third).contains("3 sources"), "{}", veto(&third));
    assert_eq!(scene.ending(one), Some("policy"));
    assert_eq!(scene.ending(other), None);
    // A restart ends every call, so nothing of them has to be kept.
    scene.restart();
    let begun = begin(&mut scene);
    assert!(inject(&mut scene, begun, "source").end.is_none());
}

#[test]
fn media_guard_judges_quality_on_both_sides_of_its_edges() {
    let mut scene =
        scene(json!({ "quality": { "packets": 100, "loss_percent": 5.0, "mos": 3.5 } }));
    for (packets, lost, mos, said) in [
        (96, 4, Some(350), None),
        (95, 5, None, Some("5.0 percent of 100 packets")),
        (100, 0, Some(349), Some("MOS 3.49")),
        (90, 9, Some(100), None),
    ] {
        let call = begin(&mut scene);
        let media = PartyMedia {
            packets,
            lost,
            mos_hundredths: mos,
            ..PartyMedia::default()
        };
        let ended = CallHappening::Ended {
            cause: "bye",
            status: 0,
            lasted_ms: 1_000,
            caller_media: Some(media),
            callee_media: Some(PartyMedia::default()),
        };
        let heard = scene.end_with(call, &ended);
        let texts: Vec<_> = heard
            .alerts
            .iter()
            .map(|raised| &raised.alert.text)
            .collect();
        assert_eq!(texts.len(), usize::from(said.is_some()), "{texts:?}");
        if let Some(said) = said {
            assert!(texts[0].contains(said), "{texts:?}");
        }
    }
}

/// Settings, and the key that is wrong in them.
fn wrong_settings() -> Vec<(Value, &'static str)> {
    vec![
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
    ]
}

#[test]
fn media_guard_names_the_wrong_key() {
    refuses_settings(GUEST, &wrong_settings());
}
