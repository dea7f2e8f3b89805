//! What an operator sees of media and does with it: status, records, ports that run
//! out, times, reload, drain, and a policy's demand for encryption.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use sipward_tests::stage::media::Leg;
use sipward_tests::stage::media::agent::Phase;
use sipward_tests::stage::media::scene::Scene;
use sipward_tests::stage::{PBX, Proxy, Stage, plugin_folder};

/// How long a call may take to fall silent.
const PATIENCE: Duration = Duration::from_secs(30);

/// A key of a caller, as `a=crypto` has it.
const CRYPTO: &str = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 \
    inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n";

/// A stage on which both legs are in the clear.
fn plain() -> Stage {
    let stage = Stage::new();
    let _first_port = stage.configure_media(Leg::Plain, Leg::Plain, &[]);
    stage
}

/// Lines of the log with this message.
fn lines(stage: &Stage, message: &str) -> Vec<serde_json::Value> {
    let log = std::fs::read_to_string(stage.path("log")).expect("a log");
    log.lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|line| line["message"] == message)
        .collect()
}

/// Change the configuration that stands there.
fn edit(stage: &Stage, from: &str, to: &str) {
    let text = std::fs::read_to_string(stage.config()).expect("the configuration");
    assert!(text.contains(from), "`{from}` is not there");
    stage.write(&text.replace(from, to));
}

#[test]
fn a_call_is_seen_while_it_lasts_and_recorded_when_it_is_over() {
    let stage = plain();
    let proxy = Proxy::start(&stage);
    let mut scene = Scene::new(&stage);
    let id = scene.answered();
    let [heard, replied] = scene.talk(&id, 50);
    assert_eq!((heard, replied), (50, 50));
    let stranger = UdpSocket::bind("127.0.0.77:0").expect("a port");
    let evil = scene.voices[1].packet();
    stranger
        .send_to(&evil, scene.places(&id)[1])
        .expect("a packet leaves");
    proxy.wait_until("what passed is shown", |status| {
        let media = &status["media"];
        media["since_start"]["rejected"]["source"] == 1 && media["since_start"]["packets"] == 100
    });
    let media = proxy.status()["media"].clone();
    assert_eq!(
        (&media["ports_in_use"], &media["sessions_now"]),
        (&2.into(), &1.into())
    );
    assert_eq!(media["ports_free"], 98);
    let live = &media["sessions"][0];
    assert_eq!(
        (&live["caller"], &live["callee"]),
        (&"office".into(), &"carrier".into())
    );
    assert_eq!(live["call_id"], id);
    let streams = live["streams"].as_array().expect("streams");
    assert_eq!(streams.len(), 2);
    for stream in streams {
        assert_eq!(
            (&stream["packets"], &stream["cipher"]),
            (&50.into(), &"none".into())
        );
        assert!(
            stream["mos"].as_f64().is_some_and(|mos| mos > 4.0),
            "{stream}"
        );
    }
    assert!(lines(&stage, "call media").is_empty());
    scene.hang_up(&id);
    proxy.wait_until("all ports are back", |status| {
        let media = &status["media"];
        media["ports_in_use"] == 0 && media["sessions_closing"] == 0
    });
    let records = lines(&stage, "call media");
    let [record] = &records[..] else {
        panic!("{records:?}")
    };
    assert_eq!(
        (&record["reason"], &record["call"]),
        (&"bye".into(), &id.into())
    );
    assert_eq!(
        (&record["packets"], &record["rejected"]),
        (&100.into(), &1.into())
    );
    let shown = record["streams"].as_str().expect("streams");
    assert!(shown.contains("rejected 1 (source 1)"), "{shown}");
    assert_eq!(proxy.status()["media"]["since_start"]["packets"], 100);
}

#[test]
fn ports_that_run_out_refuse_calls_until_some_are_back() {
    let stage = Stage::new();
    let first = stage.configure_media(Leg::Plain, Leg::Plain, &[]);
    edit(&stage, "workers = 2\nadmin", "workers = 1\nadmin");
    edit(
        &stage,
        &format!("-{}\"", first + 199),
        &format!("-{}\"", first + 7),
    );
    let proxy = Proxy::start(&stage);
    let mut scene = Scene::new(&stage);
    let one = scene.answered();
    let _two = scene.answered();
    assert_eq!(proxy.status()["media"]["ports_free"], 0);
    for _ in 0..3 {
        assert_eq!(scene.call().1, 503);
    }
    let full = lines(&stage, "table full; answered 503");
    assert!(!full.is_empty() && full.iter().all(|line| line["limit"] == "media_ports"));
    scene.hang_up(&one);
    proxy.wait_until("its ports are back", |status| {
        status["media"]["ports_free"] == 2
    });
    assert_eq!(scene.call().1, 200);
    assert_eq!(proxy.status()["media"]["ports_free"], 0);
}

#[test]
fn a_call_that_falls_silent_is_ended_both_ways() {
    let stage = plain();
    edit(
        &stage,
        "[[media.interface]]",
        "[media.timeouts]\nsilence_seconds = 2\none_way_seconds = 4\n\n[[media.interface]]",
    );
    let proxy = Proxy::start(&stage);
    let mut scene = Scene::new(&stage);
    let (silent, _) = scene.call();
    scene.until("both are told", |scene| {
        [&scene.caller, &scene.callee]
            .into_iter()
            .all(|agent| agent.calls()[&silent].phase == Phase::Ended)
    });
    proxy.wait_until("all ports are back", |status| {
        status["media"]["ports_in_use"] == 0
    });
    assert_eq!(lines(&stage, "call media")[0]["reason"], "media-timeout");
    // One that only one party speaks in lasts longer, and ends for another reason.
    let (one_way, _) = scene.call();
    let place = scene.places(&one_way)[0];
    let began = Instant::now();
    while scene.caller.calls()[&one_way].phase != Phase::Ended {
        assert!(began.elapsed() < PATIENCE, "it goes on");
        let packet = scene.voices[0].packet();
        scene.voices[0].say(&packet, place);
        let later = Instant::now() + Duration::from_millis(20);
        scene.until("time passes", |_| Instant::now() > later);
    }
    assert!(
        began.elapsed() > Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    proxy.wait_until("all ports are back", |status| {
        status["media"]["ports_in_use"] == 0
    });
    assert_eq!(lines(&stage, "call media")[1]["reason"], "one-way-media");
}

#[test]
fn a_reload_says_what_of_media_waits_for_a_restart() {
    let stage = Stage::new();
    let first = stage.configure_media(Leg::Plain, Leg::Plain, &[]);
    let proxy = Proxy::start(&stage);
    let mut scene = Scene::new(&stage);
    let running = scene.answered();
    let good = std::fs::read_to_string(stage.config()).expect("the configuration");

    edit(
        &stage,
        "[[media.interface]]",
        "[media.timeouts]\nhold_seconds = 9\n\n[[media.interface]]",
    );
    let said = proxy.reload().expect("other times are good");
    assert!(!said.contains("restart"), "{said}");

    edit(&stage, &format!("\"{first}-"), &format!("\"{}-", first + 2));
    edit(&stage, "[media]\nworkers = 2", "[media]\nworkers = 3");
    let said = proxy.reload().expect("other ports are good");
    assert!(
        said.contains("restart is needed for media.workers, media.interface"),
        "{said}"
    );

    edit(&stage, "name = \"loopback\"", "name = \"lo\"");
    let refused = proxy.reload().expect_err("an interface that is not there");
    assert!(refused.contains("`lo` is new"), "{refused}");

    // Other modes count from the next call on, and the one that runs goes on.
    stage.write(&good.replace("modes = [\"plain\"]", "modes = [\"sdes\"]"));
    proxy.reload().expect("other modes are good");
    assert_eq!(scene.call().1, 488);
    assert_eq!(scene.talk(&running, 20), [20, 20]);
    let refusals = lines(&stage, "media refused");
    assert_eq!(refusals.len(), 1, "{refusals:?}");

    // Without [media] calls pass us by.
    let end = good.find("[media]").expect("[media]");
    let begin = good.find("[[plugin]]").expect("[[plugin]]");
    let without: String = format!("{}{}", &good[..end], &good[begin..])
        .lines()
        .filter(|line| !line.starts_with("media = "))
        .map(|line| format!("{line}\n"))
        .collect();
    stage.write(&without);
    proxy.reload().expect("no relay is good");
    let direct = scene.answered();
    assert_eq!(scene.places(&direct)[1].ip(), PBX);
    assert_eq!(scene.talk(&running, 20), [20, 20]);
}

#[test]
fn a_drain_waits_for_calls_and_their_records() {
    let stage = plain();
    let proxy = Proxy::start(&stage);
    let mut scene = Scene::new(&stage);
    let id = scene.answered();
    assert!(proxy.ask("drain").status.success());
    assert_eq!(scene.call().1, 503);
    assert_eq!(scene.talk(&id, 20), [20, 20], "what runs goes on");
    scene.hang_up(&id);
    assert!(proxy.wait().success());
    let log = std::fs::read_to_string(stage.path("log")).expect("a log");
    let place = |what: &str| log.find(what).unwrap_or_else(|| panic!("no {what}: {log}"));
    assert!(place("\"call media\"") < place("\"stopped\""));
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn a_stop_writes_the_records_of_what_was_left() {
    let stage = plain();
    let proxy = Proxy::start(&stage);
    let mut scene = Scene::new(&stage);
    let (id, _) = scene.call();
    scene.talk(&id, 20);
    proxy.signal("INT");
    proxy.wait_until("it drains", |status| status["draining"] == true);
    proxy.signal("INT");
    assert!(proxy.wait().success());
    let records = lines(&stage, "call media");
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!(records[0]["call"], id);
}

/// A stage whose calls are judged by a plugin that demands this of their media.
fn demanding(caller: Leg, callee: Leg, media: &str) -> Stage {
    let stage = Stage::new();
    let _first_port = stage.configure_media(caller, callee, &[]);
    let built = plugin_folder().join("hostile-plugins.wasm");
    std::fs::copy(built, stage.plugin("guard")).expect("the plugin");
    let plugin = format!(
        "[[plugin]]\nname = \"guard\"\npath = \"{}\"\ncapabilities = [\"edit-headers\"]\n\
         settings = {{ behaviour = \"demand-media\", media = \"{media}\" }}\n\n[[pipeline]]\nname = \"from-pbx\"",
        stage.plugin("guard").display()
    );
    edit(&stage, "[[pipeline]]\nname = \"from-pbx\"", &plugin);
    edit(
        &stage,
        "zone = \"inside\"\nplugins = [\"ip-acl\"]",
        "zone = \"inside\"\nplugins = [\"ip-acl\", \"guard\"]",
    );
    stage
}

#[test]
fn what_a_policy_demands_is_kept_or_the_call_is_refused() {
    // The caller's leg is clear and must not be.
    for (media, refused) in [
        ("any", false),
        ("encrypted", true),
        ("encrypted-both", true),
    ] {
        let stage = demanding(Leg::Plain, Leg::Plain, media);
        let _proxy = Proxy::start(&stage);
        let (_, status) = Scene::new(&stage).call();
        assert_eq!(status, if refused { 488 } else { 200 }, "{media}");
        let lines = lines(&stage, "media refused");
        assert_eq!(lines.len(), usize::from(refused), "{media}: {lines:?}");
    }
    // It is encrypted, and the other leg clear.
    for (media, refused) in [("encrypted", false), ("encrypted-both", true)] {
        let stage = demanding(Leg::Sdes, Leg::Plain, media);
        let proxy = Proxy::start(&stage);
        let mut scene = Scene::new(&stage);
        let (id, status) = scene.call_with("RTP/SAVP", CRYPTO);
        assert_eq!(status, if refused { 488 } else { 200 }, "{media}");
        if refused {
            let reason = lines(&stage, "media refused")[0]["reason"].to_string();
            assert!(reason.contains("allow no encryption"), "{reason}");
            assert!(
                scene.callee.calls().is_empty(),
                "the callee has heard of it"
            );
        } else {
            let callee = &scene.callee.calls()[&id].description;
            assert!(callee.as_ref().is_some_and(|sdp| sdp.contains(" RTP/AVP ")));
            let caller = &scene.caller.calls()[&id].description;
            assert!(
                caller
                    .as_ref()
                    .is_some_and(|sdp| sdp.contains("a=crypto:1 "))
            );
            // Neither does a later offer fall back.
            let clear = scene.voices[0].description(2, "RTP/AVP", "");
            scene.caller.reinvite(&id, &clear);
            scene.until("an answer", |scene| scene.caller.calls()[&id].status != 0);
            assert_eq!(scene.caller.calls()[&id].status, 488);
            assert_eq!(proxy.status()["media"]["sessions_now"], 1);
        }
    }
}

#[test]
fn an_offer_that_cannot_be_read_is_refused_and_reported_to_policies() {
    let stage = demanding(Leg::Plain, Leg::Plain, "any");
    edit(&stage, "\"demand-media\"", "\"tell-offer\"");
    edit(
        &stage,
        "log_format",
        "log_level = \"sipward=debug,info\"\nlog_format",
    );
    let _proxy = Proxy::start(&stage);
    let mut scene = Scene::new(&stage);
    assert_eq!(scene.call_with("RTP/AVP", "m=audio nothing\r\n").1, 400);
    assert!(scene.callee.calls().is_empty());
    let told = |place: usize| {
        let stages = lines(&stage, "stage");
        let mut reasons = stages.iter().filter(|line| line["plugin"] == "guard");
        reasons.nth(place).expect("a stage")["reason"].to_string()
    };
    assert!(told(0).contains("unreadable=true []"), "{}", told(0));
    assert_eq!(scene.call().1, 200);
    let expected =
        "unreadable=false [audio RTP/AVP encrypted=false AddressKind::Loopback 127.0.0.1:";
    assert!(told(1).contains(expected), "{}", told(1));
}
