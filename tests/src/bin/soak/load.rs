//! The calls: signalling by two agents, media over one socket of each side.

use std::collections::{BTreeMap, VecDeque};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use sipward_tests::stage::media::agent::{Agent, Answers, Phase};
use sipward_tests::stage::media::secure::Secured;
use sipward_tests::stage::media::talk::{HONEST, Talker, audio_address, rtp};
use sipward_tests::stage::{NUMBER, PBX, Stage, TRUNK};

/// Time between two packets.
const PACKET: Duration = Duration::from_millis(20);
/// Media ends so long before the BYE, so that nothing is on its way when ports close.
const PAUSE: Duration = Duration::from_millis(500);
/// The callee's key; it guards nothing.
const KEY: [u8; 30] = [42; 30];

/// What was sent and what arrived.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    /// Calls that were placed.
    pub(crate) placed: u64,
    /// Calls that were answered.
    pub(crate) answered: u64,
    /// Calls that ended otherwise than by our BYE.
    pub(crate) failed: u64,
    /// Packets of both sides.
    pub(crate) sent: u64,
    /// Packets that reached the other side.
    pub(crate) received: u64,
}

struct Talking {
    id: String,
    since: Instant,
    /// Where the relay listens to the caller and to the callee.
    relay: [SocketAddr; 2],
    secured: Secured,
    ssrc: u32,
    sequence: u16,
    next: Instant,
}

/// Calls that come and go.
pub(crate) struct Load {
    caller: Agent,
    callee: Agent,
    at_caller: Talker,
    at_callee: Talker,
    proxy: SocketAddr,
    /// How long each talks.
    talk: Duration,
    gap: Duration,
    next_call: Instant,
    asked: BTreeMap<String, Instant>,
    talking: VecDeque<Talking>,
    serial: u32,
    /// So far.
    pub(crate) counts: Counts,
}

impl Load {
    pub(crate) fn new(stage: &Stage, calls: u32, rate: u32) -> Self {
        let at_callee = Talker::new(TRUNK, 0);
        let mut callee = Agent::new(TRUNK, stage.trunk);
        // The fourth of what Sipward offers is AES_CM_128_HMAC_SHA1_80.
        let line = Secured::new(KEY).line().replace("crypto:1", "crypto:4");
        callee.answers = Answers::AtOnce(at_callee.description(1, "RTP/SAVP", &line));
        Self {
            caller: Agent::new(PBX, 0),
            callee,
            at_caller: Talker::new(PBX, 0),
            at_callee,
            proxy: SocketAddr::from((PBX, stage.inside)),
            talk: Duration::from_secs_f64(f64::from(calls) / f64::from(rate)),
            gap: Duration::from_secs_f64(1.0 / f64::from(rate)),
            next_call: Instant::now(),
            asked: BTreeMap::new(),
            talking: VecDeque::new(),
            serial: 0,
            counts: Counts::default(),
        }
    }

    /// Calls that are not over.
    pub(crate) fn running(&self) -> usize {
        self.caller.calls().len() + self.callee.calls().len()
    }

    /// Calls that talk.
    pub(crate) fn talking(&self) -> usize {
        self.talking.len()
    }

    /// A millisecond of everything; new calls only if `arriving`.
    pub(crate) fn turn(&mut self, arriving: bool) {
        self.caller.poll();
        self.callee.poll();
        if arriving && Instant::now() >= self.next_call {
            self.next_call += self.gap;
            let offer = self.at_caller.description(1, "RTP/AVP", "");
            let id = self.caller.invite(self.proxy, NUMBER, &offer);
            self.asked.insert(id, Instant::now());
            self.counts.placed += 1;
        }
        self.take_answered();
        self.hang_up();
        self.speak();
        self.counts.received += drain(&self.at_caller.rtp) + drain(&self.at_callee.rtp);
        self.caller.forget_ended();
        self.callee.forget_ended();
        std::thread::sleep(Duration::from_millis(1));
    }

    fn take_answered(&mut self) {
        let mut taken = Vec::new();
        for id in self.asked.keys() {
            match self.caller.calls().get(id) {
                Some(call) if call.phase == Phase::Talking => taken.push(id.clone()),
                Some(call) if call.phase != Phase::Ended => {}
                _ => {
                    self.counts.failed += 1;
                    taken.push(id.clone());
                }
            }
        }
        for id in taken {
            self.asked.remove(&id);
            self.begin(id);
        }
    }

    fn begin(&mut self, id: String) {
        let address = |agent: &Agent| {
            let call = agent.calls().get(&id)?;
            Some(audio_address(call.description.as_deref()?))
        };
        // The proxy keeps the Call-ID, so both sides know the call by one name.
        let (Some(caller), Some(callee)) = (address(&self.caller), address(&self.callee)) else {
            return;
        };
        self.serial += 1;
        self.counts.answered += 1;
        self.talking.push_back(Talking {
            id,
            since: Instant::now(),
            relay: [caller, callee],
            secured: Secured::new(KEY),
            ssrc: self.serial << 1,
            sequence: 1,
            // A phone has nothing to send before it has heard 20 ms of sound.
            next: Instant::now() + PACKET,
        });
    }

    fn hang_up(&mut self) {
        while let Some(call) = self.talking.front() {
            let on = self.caller.calls().get(&call.id);
            let on = on.is_some_and(|it| it.phase == Phase::Talking);
            if on && call.since.elapsed() < self.talk + PAUSE {
                return;
            }
            if on {
                self.caller.hang_up(&call.id);
            } else {
                self.counts.failed += 1;
            }
            self.talking.pop_front();
        }
    }

    fn speak(&mut self) {
        let now = Instant::now();
        for call in &mut self.talking {
            if now < call.next || call.since.elapsed() > self.talk {
                continue;
            }
            call.next += PACKET;
            call.sequence = call.sequence.wrapping_add(1);
            let plain = rtp(call.ssrc, call.sequence, HONEST);
            let sealed = call
                .secured
                .seal(&rtp(call.ssrc | 1, call.sequence, HONEST));
            for (socket, packet, to) in [
                (&self.at_caller.rtp, plain, call.relay[0]),
                (&self.at_callee.rtp, sealed, call.relay[1]),
            ] {
                if socket.send_to(&packet, to).is_ok() {
                    self.counts.sent += 1;
                }
            }
        }
    }
}

fn drain(socket: &UdpSocket) -> u64 {
    let mut buffer = [0; 2048];
    let mut count = 0;
    while socket.recv(&mut buffer).is_ok() {
        count += 1;
    }
    count
}
