//! Later offers and what they may not carry: hold and its end, attributes of ICE.

use sipward_tests::stage::media::Leg;
use sipward_tests::stage::media::agent::Answers;
use sipward_tests::stage::media::scene::Scene;
use sipward_tests::stage::{Proxy, Stage};

/// Packets of one exchange.
const WORDS: usize = 20;

/// The caller offers this direction, the callee answers with that one.
fn renegotiate(scene: &mut Scene<'_>, id: &str, version: u32, offered: &str, answered: &str) {
    let line = |direction: &str| format!("a={direction}\r\n");
    let answer = scene.voices[1].description(version, "RTP/AVP", &line(answered));
    scene.callee.answers = Answers::AtOnce(answer);
    let offer = scene.voices[0].description(version, "RTP/AVP", &line(offered));
    scene.caller.reinvite(id, &offer);
    scene.until("an answer", |scene| scene.caller.calls()[id].status == 200);
    let told = scene.caller.calls()[id].description.clone();
    assert!(told.is_some_and(|it| it.contains(&line(answered))));
}

#[test]
fn a_hold_closes_the_stream_one_way_or_both_until_it_ends() {
    let stage = Stage::new();
    let _first_port = stage.configure_media(Leg::Plain, Leg::Plain, &[]);
    let proxy = Proxy::start(&stage);
    let mut scene = Scene::new(&stage);
    let id = scene.answered();
    assert_eq!(scene.talk(&id, WORDS), [WORDS, WORDS]);
    let places = scene.places(&id);
    // Music for the callee, and the callee is not heard.
    renegotiate(&mut scene, &id, 2, "sendonly", "recvonly");
    assert_eq!(scene.talk(&id, WORDS), [WORDS, 0]);
    renegotiate(&mut scene, &id, 3, "inactive", "inactive");
    assert_eq!(scene.talk(&id, WORDS), [0, 0]);
    renegotiate(&mut scene, &id, 4, "sendrecv", "sendrecv");
    assert_eq!(scene.talk(&id, WORDS), [WORDS, WORDS]);
    assert_eq!(scene.places(&id), places, "the ports stayed");
    proxy.wait_until("what came on hold is counted", |status| {
        status["media"]["since_start"]["rejected"]["closed"] == 3 * WORDS
    });
    scene.hang_up(&id);
}

#[test]
fn attributes_of_ice_do_not_pass() {
    const ICE: &str = "a=ice-ufrag:8hhY\r\na=ice-pwd:asd88fgpdd777uzjYhagZg\r\n\
        a=candidate:1 1 UDP 2130706431 10.0.1.1 8998 typ host\r\n\
        a=remote-candidates:1 192.0.2.3 45664\r\na=end-of-candidates\r\na=ptime:20\r\n";
    let stage = Stage::new();
    let _first_port = stage.configure_media(Leg::Plain, Leg::Plain, &[]);
    let _proxy = Proxy::start(&stage);
    let mut scene = Scene::with(&stage, "RTP/AVP", ICE);
    let (id, status) = scene.call_with("RTP/AVP", ICE);
    assert_eq!(status, 200);
    for agent in [&scene.caller, &scene.callee] {
        let told = agent.calls()[&id].description.as_deref().expect("SDP");
        assert!(
            !told.contains("candidate") && !told.contains("a=ice"),
            "{told}"
        );
        assert!(told.contains("a=ptime:20"), "{told}");
    }
    // It is not missed.
    assert_eq!(scene.talk(&id, WORDS), [WORDS, WORDS]);
    scene.hang_up(&id);
}
