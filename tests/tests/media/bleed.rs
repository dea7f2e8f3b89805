//! RTP bleed and injection: what attackers send to the relay's ports reaches nobody, the
//! call goes on, and `sipward status` counts what was dropped.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::Value;
use sipward_tests::stage::media::agent::{Answers, Phase};
use sipward_tests::stage::media::scene::Scene;
use sipward_tests::stage::media::secure::Secured;
use sipward_tests::stage::media::talk::{EVIL, HONEST, Talker, is_evil, rtcp, rtp};
use sipward_tests::stage::media::{Leg, PORTS, RELAY};
use sipward_tests::stage::{PBX, Proxy, Stage, TRUNK};

/// Whose address no configuration and no session description names.
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 4);
/// Packets of one exchange.
const TURN: usize = 20;

/// One call between two parties, and the relay's ports for an attacker.
struct Play<'s> {
    proxy: &'s Proxy<'s>,
    first_port: u16,
    scene: Scene<'s>,
    id: String,
}

impl Play<'_> {
    /// The callee takes the call.
    fn accept(&mut self) {
        let answer = self.scene.voices[1].description(1, "RTP/AVP", "");
        self.scene.callee.accept(&self.id, &answer);
        let id = &self.id;
        self.scene.until("they talk", |scene| {
            [&scene.caller, &scene.callee]
                .into_iter()
                .all(|agent| agent.calls()[id].phase == Phase::Talking)
        });
    }

    /// Where the relay listens to the caller, and where to the callee.
    fn relay(&self) -> [SocketAddr; 2] {
        self.scene.places(&self.id)
    }

    /// Each says a few words, and the other hears them and nothing else.
    fn exchange(&mut self) {
        let places = self.relay();
        for voice in &self.scene.voices {
            assert_eq!(voice.heard().len(), 0);
        }
        for _ in 0..TURN {
            for (voice, place) in self.scene.voices.iter_mut().zip(places) {
                let said = voice.packet();
                voice.say(&said, place);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(100));
        for voice in &self.scene.voices {
            let heard = voice.heard();
            assert_eq!(heard.len(), TURN);
            assert!(heard.iter().all(|it| it[12..] == [HONEST; 160]));
        }
    }

    /// An attacker tries every port of the relay, RTP on all and RTCP on all.
    fn spray(&self, attacker: &UdpSocket, ssrc: u32) {
        for round in 0..4_u16 {
            for port in self.first_port..self.first_port + PORTS {
                let to = (RELAY, port);
                let _sent = attacker.send_to(&rtp(ssrc, 1000 + round, EVIL), to);
                let _sent = attacker.send_to(&rtcp(ssrc, EVIL), to);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Nobody has heard anything since.
    fn silence(&self) {
        std::thread::sleep(Duration::from_millis(200));
        for party in &self.scene.voices {
            assert_eq!(party.heard(), Vec::<Vec<u8>>::new());
            assert_eq!(party.reports(), Vec::<Vec<u8>>::new());
        }
    }

    /// What the relay has turned away so far, by reason.
    fn rejected(&self, reason: &str) -> u64 {
        let status = self.proxy.status();
        let count = &status["media"]["since_start"]["rejected"][reason];
        count.as_u64().expect("a count")
    }

    /// Figures are a second old at most.
    fn wait_rejected(&self, reason: &str, least: u64) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.rejected(reason) < least {
            assert!(
                Instant::now() < deadline,
                "{} of {least} counted as {reason}: {:#}",
                self.rejected(reason),
                self.proxy.status()["media"]
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn hang_up(&mut self) {
        self.scene.hang_up(&self.id);
        self.proxy.wait_until("nothing is left", all_is_back);
    }
}

/// A call that rings, with this in its offer; what happens in it; and that nothing is
/// left afterwards.
fn ringing(caller: Leg, offered: &str, act: impl FnOnce(&mut Play<'_>)) {
    let stage = Stage::new();
    let first_port = stage.configure_media(caller, Leg::Plain, &[]);
    let proxy = Proxy::start(&stage);
    let mut scene = Scene::new(&stage);
    scene.callee.answers = Answers::Rings;
    let protocol = if offered.is_empty() {
        "RTP/AVP"
    } else {
        "RTP/SAVP"
    };
    let id = scene.begin(protocol, offered);
    scene.until("it rings", |scene| {
        scene.caller.calls()[&id].phase == Phase::Ringing
    });
    let mut play = Play {
        proxy: &proxy,
        first_port,
        scene,
        id,
    };
    act(&mut play);
    if play.scene.caller.calls()[&play.id].phase != Phase::Ended {
        play.hang_up();
    }
}

/// The same with a call in the clear in which they talk.
fn talking(act: impl FnOnce(&mut Play<'_>)) {
    ringing(Leg::Plain, "", |play| {
        play.accept();
        play.exchange();
        act(play);
    });
}

fn socket(address: Ipv4Addr) -> UdpSocket {
    UdpSocket::bind((address, 0)).expect("an attacker's socket")
}

#[test]
fn sprays_before_the_answer_reach_nobody() {
    ringing(Leg::Plain, "", |play| {
        for attacker in [socket(STRANGER), socket(TRUNK), socket(PBX)] {
            play.spray(&attacker, 0x6666_6666);
            play.silence();
        }
        play.accept();
        play.exchange();
        play.silence();
    });
}

#[test]
fn sprays_in_the_middle_of_a_call_reach_nobody() {
    talking(|play| {
        // Strangers, and neighbours who share an address with a party, with their own
        // synchronisation source and with the party's.
        let [caller, callee] = play.scene.voices.each_ref().map(|voice| voice.ssrc);
        for attacker in [socket(STRANGER), socket(TRUNK), socket(PBX)] {
            for ssrc in [0x6666_6666, caller, callee] {
                play.spray(&attacker, ssrc);
            }
            play.silence();
            play.exchange();
        }
        // Four rounds of RTP and RTCP to two ports of each leg, nine times.
        play.wait_rejected("source", 9 * 4 * 2);
    });
}

#[test]
fn the_right_address_with_a_wrong_source_reaches_nobody() {
    talking(|play| {
        let places = play.relay();
        for round in 0..50 {
            let evil = rtp(0x6666_6666, 2000 + round, EVIL);
            for (voice, place) in play.scene.voices.iter().zip(places) {
                voice.say(&evil, place);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        play.silence();
        play.exchange();
        play.wait_rejected("ssrc", 100);
    });
}

#[test]
fn sprays_at_a_reinvite_reach_nobody() {
    talking(|play| {
        let (stranger, neighbour) = (socket(STRANGER), socket(TRUNK));
        // The callee moves its media to other ports; the caller's answer does not change.
        let moved = Talker::new(TRUNK, 0x3333_3333);
        let offer = moved.description(2, "RTP/AVP", "");
        let unchanged = play.scene.voices[0].description(1, "RTP/AVP", "");
        play.scene.caller.answers = Answers::AtOnce(unchanged);
        play.scene.callee.reinvite(&play.id, &offer);
        play.spray(&stranger, 0x6666_6666);
        let id = &play.id;
        play.scene.until("the callee has moved", |scene| {
            scene.callee.calls()[id].status == 200
        });
        play.spray(&neighbour, 0x6666_6666);
        let left = std::mem::replace(&mut play.scene.voices[1], moved);
        play.silence();
        // Who holds the old address now is a stranger too.
        play.spray(&left.rtp, left.ssrc);
        play.silence();
        play.exchange();
        assert_eq!(left.heard(), Vec::<Vec<u8>>::new());
        play.wait_rejected("source", 3 * 4);
    });
}

#[test]
fn sprays_after_the_end_reach_nobody() {
    talking(|play| {
        let places = play.relay();
        play.hang_up();
        play.spray(&socket(STRANGER), 0x6666_6666);
        // Not even the parties themselves.
        for _ in 0..TURN {
            for (voice, place) in play.scene.voices.iter_mut().zip(places) {
                let said = voice.packet();
                voice.say(&said, place);
            }
        }
        play.silence();
    });
}

#[test]
fn floods_of_rtcp_reach_nobody_and_those_of_a_party_are_cut() {
    talking(|play| {
        let [to_caller, _] = play.relay();
        let reports_to = SocketAddr::new(to_caller.ip(), to_caller.port() + 1);
        let [at_caller, at_callee] = &play.scene.voices;
        let honest = rtcp(at_caller.ssrc, HONEST);
        let report = || at_caller.rtcp.send_to(&honest, reports_to);
        report().expect("a report leaves");
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(at_callee.reports(), std::slice::from_ref(&honest));
        for attacker in [socket(STRANGER), socket(PBX)] {
            for _ in 0..5000 {
                let _sent = attacker.send_to(&rtcp(at_caller.ssrc, EVIL), reports_to);
            }
        }
        play.silence();
        let begin = Instant::now();
        for _ in 0..5000 {
            let _sent = report();
        }
        std::thread::sleep(Duration::from_millis(300));
        let passed = at_callee.reports().len();
        // 400 a second, with a second's worth to spare for a burst.
        let most = 400.0 * (begin.elapsed().as_secs_f64() + 1.0);
        assert!(
            (passed as f64) < most,
            "{passed} of 5,000 reports in {:?}",
            begin.elapsed()
        );
        assert!(!at_caller.reports().iter().any(|it| is_evil(it)));
        play.exchange();
        play.wait_rejected("rate", 1);
    });
}

#[test]
fn forged_and_replayed_srtp_reaches_nobody() {
    let mut secured = Secured::new([7; 30]);
    // The caller encrypts and the callee does not.
    ringing(Leg::Sdes, &secured.line(), |play| {
        play.accept();
        let answer = play.scene.caller.calls()[&play.id].description.as_deref();
        secured.agree(answer.expect("an answer"));
        forge_and_replay(play, &mut secured);
    });
}

/// What the callee hears when the caller's address sends these.
fn heard_of(play: &Play<'_>, packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let [to_caller, _] = play.relay();
    for packet in packets {
        play.scene.voices[0].say(packet, to_caller);
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(100));
    play.scene.voices[1].heard()
}

fn forge_and_replay(play: &mut Play<'_>, secured: &mut Secured) {
    let turn = |voice: &mut Talker, secured: &mut Secured| -> Vec<Vec<u8>> {
        (0..TURN).map(|_| secured.seal(&voice.packet())).collect()
    };
    let said = turn(&mut play.scene.voices[0], secured);
    let heard = heard_of(play, &said);
    assert_eq!(heard.len(), TURN);
    assert!(heard.iter().all(|it| it[12..] == [HONEST; 160]));
    // Everything again, from the right address.
    assert_eq!(heard_of(play, &said), Vec::<Vec<u8>>::new());
    // A right header and a wrong key, one octet changed, and no encryption at all.
    let mut thief = Secured::new([9; 30]);
    let ssrc = play.scene.voices[0].ssrc;
    let mut forged: Vec<Vec<u8>> = (0..TURN)
        .map(|at| thief.seal(&rtp(ssrc, 3000 + at as u16, EVIL)))
        .collect();
    forged.extend(said.iter().map(|it| {
        let mut changed = it.clone();
        changed[3] = changed[3].wrapping_add(100);
        changed
    }));
    forged.extend((0..TURN).map(|at| rtp(ssrc, 4000 + at as u16, EVIL)));
    assert_eq!(heard_of(play, &forged), Vec::<Vec<u8>>::new());
    // The call goes on, both ways.
    let more = turn(&mut play.scene.voices[0], secured);
    assert_eq!(heard_of(play, &more).len(), TURN);
    let [_, to_callee] = play.relay();
    let reply = play.scene.voices[1].packet();
    play.scene.voices[1].say(&reply, to_callee);
    std::thread::sleep(Duration::from_millis(100));
    let heard = play.scene.voices[0].heard();
    assert_eq!(heard.len(), 1);
    assert_ne!(heard[0][12..172], reply[12..]);
    assert_eq!(secured.open(&heard[0]), Some(reply));
    play.wait_rejected("replay", TURN as u64);
    play.wait_rejected("authentication", 3 * TURN as u64);
}

/// No call, no session, no port.
fn all_is_back(status: &Value) -> bool {
    let media = &status["media"];
    status["total"]["calls"] == 0
        && ["sessions_now", "sessions_closing", "ports_in_use"]
            .iter()
            .all(|it| media[it] == 0)
}
