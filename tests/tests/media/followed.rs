//! A policy hears of injected media while the call lasts, and may end it.

use std::net::{Ipv4Addr, UdpSocket};

use sipward_tests::stage::media::Leg;
use sipward_tests::stage::media::agent::Phase;
use sipward_tests::stage::media::scene::Scene;
use sipward_tests::stage::media::talk::{EVIL, rtp};
use sipward_tests::stage::{Proxy, Stage};

/// Whose address no session description names.
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 4);

const GUARD: &str = r#"
[[plugin]]
name = "media-guard"
path = "@FOLDER@/plugins/media-guard.wasm"
capabilities = ["counters"]
settings = { end_after = @END_AFTER@ }

[[pipeline]]
"#;

/// Calls whose media is guarded, and ended after so many foreign sources.
fn guarded(end_after: u32, act: impl FnOnce(&Proxy<'_>, &mut Scene<'_>, &str)) {
    let stage = Stage::new();
    let _first_port = stage.configure_media(Leg::Plain, Leg::Plain, &[]);
    let guard = stage.filled(GUARD, &[]);
    let guard = guard.replace("@END_AFTER@", &end_after.to_string());
    let text = std::fs::read_to_string(stage.config()).expect("a configuration");
    let text = text.replacen("\n[[pipeline]]\n", &guard, 1).replace(
        "plugins = [\"ip-acl\"]",
        "plugins = [\"ip-acl\", \"media-guard\"]",
    );
    stage.write(&text);
    let proxy = Proxy::start(&stage);
    let mut scene = Scene::new(&stage);
    let id = scene.answered();
    act(&proxy, &mut scene, &id);
    proxy.wait_until("the call is over", |status| status["total"]["calls"] == 0);
}

/// Somebody else speaks to the port that the caller speaks to.
fn inject(scene: &Scene<'_>, id: &str) {
    let [to_caller, _] = scene.places(id);
    let stranger = UdpSocket::bind((STRANGER, 0)).expect("an attacker's socket");
    let sent = stranger.send_to(&rtp(0x6666_6666, 1_000, EVIL), to_caller);
    sent.expect("a packet leaves");
}

#[test]
fn injected_media_is_told_while_the_call_goes_on() {
    guarded(0, |proxy, scene, id| {
        inject(scene, id);
        let alert = proxy.line("alert", |line| line["plugin"] == "media-guard");
        let text = alert["text"].as_str().unwrap_or_default();
        assert!(text.contains("claimed by 127.0.0.4:"), "{alert}");
        assert!(text.contains("(source) and dropped"), "{alert}");
        assert_eq!(scene.talk(id, 10), [10, 10], "they go on talking");
        scene.hang_up(id);
    });
}

#[test]
fn a_policy_ends_a_call_under_attack_towards_both_sides() {
    guarded(1, |proxy, scene, id| {
        inject(scene, id);
        let veto = proxy.line("call ended by policy", |_| true);
        assert_eq!(veto["plugin"], "media-guard");
        assert_eq!(veto["event"], "foreign-media");
        scene.until("both hear a BYE", |scene| {
            let ended = |phase| phase == Phase::Ended;
            ended(scene.caller.calls()[id].phase) && ended(scene.callee.calls()[id].phase)
        });
        let end = proxy.line("call ended", |_| true);
        assert_eq!(end["reason"], "policy");
    });
}
