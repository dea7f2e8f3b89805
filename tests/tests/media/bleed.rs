//! RTP bleed and injection: what attackers send to the relay's ports reaches nobody, the
//! call goes on, and `sipward status` counts what was dropped.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::Value;
use sipward_tests::stage::media::agent::{Agent, Answers, Phase};
use sipward_tests::stage::media::secure::Secured;
use sipward_tests::stage::media::talk::{EVIL, HONEST, Talker, audio_address, is_evil, rtcp, rtp};
use sipward_tests::stage::media::{Leg, PORTS, RELAY};
use sipward_tests::stage::{NUMBER, PBX, Proxy, Stage, TRUNK};

/// Whose address no configuration and no session description names.
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 4);
/// Packets of one exchange.
const TURN: usize = 20;

/// Two parties with a proxy between them.
struct Scene<'s> {
    proxy: &'s Proxy<'s>,
    first_port: u16,
    caller: Agent,
    callee: Agent,
    id: String,
    at_caller: Talker,
    at_callee: Talker,
}

impl<'s> Scene<'s> {
    /// The callee is alerted.
    fn ringing(stage: &Stage, proxy: &'s Proxy<'s>, first_port: u16) -> Self {
        let mut scene = Self {
            proxy,
            first_port,
            caller: Agent::new(PBX, 0),
            callee: Agent::new(TRUNK, stage.trunk),
            id: String::new(),
            at_caller: Talker::new(PBX, 0x1111_1111),
            at_callee: Talker::new(TRUNK, 0x2222_2222),
        };
        let offer = scene.at_caller.description(1, "RTP/AVP", "");
        let proxy = SocketAddr::from((PBX, stage.inside));
        scene.id = scene.caller.invite(proxy, NUMBER, &offer);
        scene.until("it rings", |it| it.phase() == Phase::Ringing);
        scene
    }

    /// They talk.
    fn talking(stage: &Stage, proxy: &'s Proxy<'s>, first_port: u16) -> Self {
        let mut scene = Self::ringing(stage, proxy, first_port);
        scene.accept();
        scene.exchange();
        scene
    }

    fn phase(&self) -> Phase {
        self.caller
            .calls()
            .get(&self.id)
            .map_or(Phase::Ended, |it| it.phase)
    }

    fn callee_id(&self) -> String {
        self.callee.calls().keys().next().expect("a call").clone()
    }

    fn until(&mut self, what: &str, wanted: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !wanted(self) {
            assert!(Instant::now() < deadline, "never happened: {what}");
            self.caller.poll();
            self.callee.poll();
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn accept(&mut self) {
        let answer = self.at_callee.description(1, "RTP/AVP", "");
        let id = self.callee_id();
        self.callee.accept(&id, &answer);
        self.until("they talk", |it| {
            let acknowledged = it
                .callee
                .calls()
                .values()
                .all(|it| it.phase == Phase::Talking);
            it.phase() == Phase::Talking && acknowledged
        });
    }

    /// Where the relay listens to the caller, and where to the callee.
    fn relay(&self) -> [SocketAddr; 2] {
        let description = |agent: &Agent| {
            let call = agent.calls().values().next().expect("a call");
            audio_address(call.description.as_deref().expect("a description"))
        };
        [description(&self.caller), description(&self.callee)]
    }

    /// Each says a few words, and the other hears them and nothing else.
    fn exchange(&mut self) {
        let [to_caller, to_callee] = self.relay();
        assert_eq!(
            self.at_caller.heard().len() + self.at_callee.heard().len(),
            0
        );
        for _ in 0..TURN {
            let said = self.at_caller.packet();
            self.at_caller
                .rtp
                .send_to(&said, to_caller)
                .expect("a packet");
            let said = self.at_callee.packet();
            self.at_callee
                .rtp
                .send_to(&said, to_callee)
                .expect("a packet");
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(100));
        for heard in [self.at_caller.heard(), self.at_callee.heard()] {
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
        for party in [&self.at_caller, &self.at_callee] {
            assert_eq!(party.heard(), Vec::<Vec<u8>>::new());
            assert_eq!(party.reports(), Vec::<Vec<u8>>::new());
        }
    }

    fn hang_up(&mut self) {
        let id = self.id.clone();
        self.caller.hang_up(&id);
        self.until("the callee hangs up too", |it| {
            it.callee
                .calls()
                .values()
                .all(|it| it.phase == Phase::Ended)
        });
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
}

fn socket(address: Ipv4Addr) -> UdpSocket {
    UdpSocket::bind((address, 0)).expect("an attacker's socket")
}

#[test]
fn sprays_before_the_answer_reach_nobody() {
    let stage = Stage::new();
    let first_port = stage.configure_media(Leg::Plain, Leg::Plain, &[]);
    let proxy = Proxy::start(&stage);
    let mut scene = Scene::ringing(&stage, &proxy, first_port);
    for attacker in [socket(STRANGER), socket(TRUNK), socket(PBX)] {
        scene.spray(&attacker, 0x6666_6666);
        scene.silence();
    }
    scene.accept();
    scene.exchange();
    scene.silence();
    scene.hang_up();
    proxy.wait_until("nothing is left", all_is_back);
}

#[test]
fn sprays_in_the_middle_of_a_call_reach_nobody() {
    let stage = Stage::new();
    let first_port = stage.configure_media(Leg::Plain, Leg::Plain, &[]);
    let proxy = Proxy::start(&stage);
    let mut scene = Scene::talking(&stage, &proxy, first_port);
    // Strangers, and neighbours who share an address with a party, with their own
    // synchronisation source and with the party's.
    for attacker in [socket(STRANGER), socket(TRUNK), socket(PBX)] {
        for ssrc in [0x6666_6666, scene.at_caller.ssrc, scene.at_callee.ssrc] {
            scene.spray(&attacker, ssrc);
        }
        scene.silence();
        scene.exchange();
    }
    // Four rounds of RTP and RTCP to two ports of each leg, nine times.
    scene.wait_rejected("source", 9 * 4 * 2);
    scene.hang_up();
    proxy.wait_until("nothing is left", all_is_back);
}

#[test]
fn the_right_address_with_a_wrong_source_reaches_nobody() {
    let stage = Stage::new();
    let first_port = stage.configure_media(Leg::Plain, Leg::Plain, &[]);
    let proxy = Proxy::start(&stage);
    let mut scene = Scene::talking(&stage, &proxy, first_port);
    let [to_caller, to_callee] = scene.relay();
    for round in 0..50 {
        let evil = rtp(0x6666_6666, 2000 + round, EVIL);
        scene
            .at_caller
            .rtp
            .send_to(&evil, to_caller)
            .expect("a packet");
        scene
            .at_callee
            .rtp
            .send_to(&evil, to_callee)
            .expect("a packet");
        std::thread::sleep(Duration::from_millis(5));
    }
    scene.silence();
    scene.exchange();
    scene.wait_rejected("ssrc", 100);
    scene.hang_up();
    proxy.wait_until("nothing is left", all_is_back);
}

#[test]
fn sprays_at_a_reinvite_reach_nobody() {
    let stage = Stage::new();
    let first_port = stage.configure_media(Leg::Plain, Leg::Plain, &[]);
    let proxy = Proxy::start(&stage);
    let mut scene = Scene::talking(&stage, &proxy, first_port);
    let (stranger, neighbour) = (socket(STRANGER), socket(TRUNK));
    // The callee moves its media to other ports; the caller's answer does not change.
    let moved = Talker::new(TRUNK, 0x3333_3333);
    let offer = moved.description(2, "RTP/AVP", "");
    scene.caller.answers = Answers::AtOnce(scene.at_caller.description(1, "RTP/AVP", ""));
    let id = scene.callee_id();
    scene.callee.reinvite(&id, &offer);
    scene.spray(&stranger, 0x6666_6666);
    scene.until("the callee has moved", |it| {
        it.callee.calls().values().all(|it| it.status == 200)
    });
    scene.spray(&neighbour, 0x6666_6666);
    let left = std::mem::replace(&mut scene.at_callee, moved);
    scene.silence();
    // Who holds the old address now is a stranger too.
    scene.spray(&left.rtp, left.ssrc);
    scene.silence();
    scene.exchange();
    assert_eq!(left.heard(), Vec::<Vec<u8>>::new());
    scene.wait_rejected("source", 3 * 4);
    scene.hang_up();
    proxy.wait_until("nothing is left", all_is_back);
}

#[test]
fn sprays_after_the_end_reach_nobody() {
    let stage = Stage::new();
    let first_port = stage.configure_media(Leg::Plain, Leg::Plain, &[]);
    let proxy = Proxy::start(&stage);
    let mut scene = Scene::talking(&stage, &proxy, first_port);
    let [to_caller, to_callee] = scene.relay();
    scene.hang_up();
    proxy.wait_until("nothing is left", all_is_back);
    scene.spray(&socket(STRANGER), 0x6666_6666);
    // Not even the parties themselves.
    for _ in 0..TURN {
        let said = scene.at_caller.packet();
        scene
            .at_caller
            .rtp
            .send_to(&said, to_caller)
            .expect("a packet");
        let said = scene.at_callee.packet();
        scene
            .at_callee
            .rtp
            .send_to(&said, to_callee)
            .expect("a packet");
    }
    scene.silence();
}

#[test]
fn floods_of_rtcp_reach_nobody_and_those_of_a_party_are_cut() {
    let stage = Stage::new();
    let first_port = stage.configure_media(Leg::Plain, Leg::Plain, &[]);
    let proxy = Proxy::start(&stage);
    let mut scene = Scene::talking(&stage, &proxy, first_port);
    let [to_caller, _] = scene.relay();
    let reports_to = SocketAddr::new(to_caller.ip(), to_caller.port() + 1);
    let honest = rtcp(scene.at_caller.ssrc, HONEST);
    scene
        .at_caller
        .rtcp
        .send_to(&honest, reports_to)
        .expect("a report");
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(scene.at_callee.reports(), std::slice::from_ref(&honest));
    for attacker in [socket(STRANGER), socket(PBX)] {
        for _ in 0..5000 {
            let _sent = attacker.send_to(&rtcp(scene.at_caller.ssrc, EVIL), reports_to);
        }
    }
    scene.silence();
    let begin = Instant::now();
    for _ in 0..5000 {
        let _sent = scene.at_caller.rtcp.send_to(&honest, reports_to);
    }
    std::thread::sleep(Duration::from_millis(300));
    let passed = scene.at_callee.reports().len();
    // 400 a second, with a second's worth to spare for a burst.
    let most = 400.0 * (begin.elapsed().as_secs_f64() + 1.0);
    assert!(
        (passed as f64) < most,
        "{passed} of 5,000 reports in {:?}",
        begin.elapsed()
    );
    assert!(!scene.at_caller.reports().iter().any(|it| is_evil(it)));
    scene.exchange();
    scene.wait_rejected("rate", 1);
    scene.hang_up();
    proxy.wait_until("nothing is left", all_is_back);
}

/// A call whose caller encrypts and whose callee does not, answered.
fn secured_call<'p>(stage: &Stage, proxy: &'p Proxy<'p>, first_port: u16) -> (Scene<'p>, Secured) {
    let mut scene = Scene {
        proxy,
        first_port,
        caller: Agent::new(PBX, 0),
        callee: Agent::new(TRUNK, stage.trunk),
        id: String::new(),
        at_caller: Talker::new(PBX, 0x1111_1111),
        at_callee: Talker::new(TRUNK, 0x2222_2222),
    };
    let mut secured = Secured::new([7; 30]);
    let offer = scene.at_caller.description(1, "RTP/SAVP", &secured.line());
    let proxy_address = SocketAddr::from((PBX, stage.inside));
    scene.id = scene.caller.invite(proxy_address, NUMBER, &offer);
    scene.until("it rings", |it| it.phase() == Phase::Ringing);
    scene.accept();
    let answer = scene
        .caller
        .calls()
        .values()
        .next()
        .and_then(|it| it.description.clone());
    secured.agree(&answer.expect("an answer"));
    (scene, secured)
}

#[test]
fn forged_and_replayed_srtp_reaches_nobody() {
    let stage = Stage::new();
    let first_port = stage.configure_media(Leg::Sdes, Leg::Plain, &[]);
    let proxy = Proxy::start(&stage);
    let (mut scene, mut secured) = secured_call(&stage, &proxy, first_port);
    let [to_caller, _] = scene.relay();
    let said: Vec<Vec<u8>> = (0..TURN)
        .map(|_| secured.seal(&scene.at_caller.packet()))
        .collect();
    let hears = |scene: &Scene<'_>, packets: &[Vec<u8>]| {
        for packet in packets {
            scene
                .at_caller
                .rtp
                .send_to(packet, to_caller)
                .expect("a packet");
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(100));
        scene.at_callee.heard()
    };
    let heard = hears(&scene, &said);
    assert_eq!(heard.len(), TURN);
    assert!(heard.iter().all(|it| it[12..] == [HONEST; 160]));
    // Everything again, from the right address.
    assert_eq!(hears(&scene, &said), Vec::<Vec<u8>>::new());
    // A right header and a wrong key, one octet changed, and no encryption at all.
    let mut thief = Secured::new([9; 30]);
    let mut forged: Vec<Vec<u8>> = (0..TURN)
        .map(|at| thief.seal(&rtp(scene.at_caller.ssrc, 3000 + at as u16, EVIL)))
        .collect();
    forged.extend(said.iter().map(|it| {
        let mut changed = it.clone();
        changed[3] = changed[3].wrapping_add(100);
        changed
    }));
    forged.extend((0..TURN).map(|at| rtp(scene.at_caller.ssrc, 4000 + at as u16, EVIL)));
    assert_eq!(hears(&scene, &forged), Vec::<Vec<u8>>::new());
    // The call goes on, both ways.
    let more: Vec<Vec<u8>> = (0..TURN)
        .map(|_| secured.seal(&scene.at_caller.packet()))
        .collect();
    assert_eq!(hears(&scene, &more).len(), TURN);
    let [_, to_callee] = scene.relay();
    let reply = scene.at_callee.packet();
    scene
        .at_callee
        .rtp
        .send_to(&reply, to_callee)
        .expect("a packet");
    std::thread::sleep(Duration::from_millis(100));
    let heard = scene.at_caller.heard();
    assert_eq!(heard.len(), 1);
    assert_ne!(heard[0][12..172], reply[12..]);
    assert_eq!(secured.open(&heard[0]), Some(reply));
    scene.wait_rejected("replay", TURN as u64);
    scene.wait_rejected("authentication", 3 * TURN as u64);
    scene.hang_up();
    proxy.wait_until("nothing is left", all_is_back);
}

/// No call, no session, no port.
fn all_is_back(status: &Value) -> bool {
    let media = &status["media"];
    status["total"]["calls"] == 0
        && ["sessions_now", "sessions_closing", "ports_in_use"]
            .iter()
            .all(|it| media[it] == 0)
}
