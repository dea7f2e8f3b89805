//! The first packets: a party speaks as soon as it has read the answer, and is heard.

use std::time::{Duration, Instant};

use sipward_tests::stage::media::Leg;
use sipward_tests::stage::media::agent::Phase;
use sipward_tests::stage::media::scene::Scene;
use sipward_tests::stage::{Proxy, Stage};

/// Calls in a row.
const CALLS: usize = 200;

/// Runs without a pause until the caller has the answer.
fn answer(scene: &mut Scene<'_>, id: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while scene.caller.calls()[id].phase != Phase::Talking {
        assert!(Instant::now() < deadline, "no answer");
        scene.callee.poll();
        scene.caller.poll();
    }
}

#[test]
fn what_is_said_right_after_the_answer_is_heard() {
    let stage = Stage::new();
    let _first_port = stage.configure_media(Leg::Plain, Leg::Plain, &[]);
    let proxy = Proxy::start(&stage);
    let mut scene = Scene::new(&stage);
    for _ in 0..CALLS {
        let id = scene.begin("RTP/AVP", "");
        answer(&mut scene, &id);
        let [to_caller, _] = scene.places(&id);
        let said = scene.voices[0].packet();
        scene.voices[0].say(&said, to_caller);
        let mut heard = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(5);
        while heard.is_empty() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
            heard = scene.voices[1].heard();
        }
        assert_eq!(heard, [said]);
        scene.hang_up(&id);
    }
    proxy.wait_until("everything was relayed", |status| {
        let since = &status["media"]["since_start"];
        since["packets"] == CALLS && since["rejected"]["closed"] == 0
    });
}
