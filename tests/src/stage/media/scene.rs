//! Two parties with a SIP agent and a voice each, and calls between them through Sipward.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::agent::{Agent, Answers, Phase};
use super::talk::{Talker, audio_address};
use crate::stage::{NUMBER, PBX, Stage, TRUNK};

/// How long something that takes moments may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A PBX and a trunk with one stream each, and Sipward between them.
#[derive(Debug)]
pub struct Scene<'s> {
    stage: &'s Stage,
    /// The PBX.
    pub caller: Agent,
    /// The trunk.
    pub callee: Agent,
    /// Media of the caller, and of the callee.
    pub voices: [Talker; 2],
}

impl<'s> Scene<'s> {
    /// In the clear; the callee answers at once.
    ///
    /// # Panics
    /// A port is taken.
    #[must_use]
    pub fn new(stage: &'s Stage) -> Self {
        Self::with(stage, "RTP/AVP", "")
    }

    /// The same with another protocol, and more lines, in the callee's answer.
    ///
    /// # Panics
    /// A port is taken.
    #[must_use]
    pub fn with(stage: &'s Stage, profile: &str, lines: &str) -> Self {
        let voices = [Talker::new(PBX, 0x1111), Talker::new(TRUNK, 0x2222)];
        let mut callee = Agent::new(TRUNK, stage.trunk);
        callee.answers = Answers::AtOnce(voices[1].description(1, profile, lines));
        Self {
            stage,
            caller: Agent::new(PBX, 0),
            callee,
            voices,
        }
    }

    /// Begin a call; its Call-ID.
    pub fn begin(&mut self, profile: &str, lines: &str) -> String {
        let offer = self.voices[0].description(1, profile, lines);
        let proxy = SocketAddr::from((PBX, self.stage.inside));
        self.caller.invite(proxy, NUMBER, &offer)
    }

    /// Begin a call and wait for what becomes of it: the status of the answer.
    ///
    /// # Panics
    /// Nothing becomes of it.
    pub fn call(&mut self) -> (String, u16) {
        self.call_with("RTP/AVP", "")
    }

    /// The same with another protocol, and more lines, in the offer.
    ///
    /// # Panics
    /// Nothing becomes of it.
    pub fn call_with(&mut self, profile: &str, lines: &str) -> (String, u16) {
        let id = self.begin(profile, lines);
        self.until("an answer", |scene| scene.caller.calls()[&id].status != 0);
        let status = self.caller.calls()[&id].status;
        (id, status)
    }

    /// A call that is answered; its Call-ID.
    ///
    /// # Panics
    /// It is not.
    #[track_caller]
    pub fn answered(&mut self) -> String {
        let (id, status) = self.call();
        assert_eq!(status, 200);
        id
    }

    /// Both go on until something is so.
    ///
    /// # Panics
    /// It never is.
    #[track_caller]
    pub fn until(&mut self, what: &str, wanted: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !wanted(self) {
            assert!(Instant::now() < deadline, "never happened: {what}");
            self.caller.poll();
            self.callee.poll();
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Where each party sends its media, as the other's SDP told it.
    ///
    /// # Panics
    /// One was told nothing.
    #[must_use]
    pub fn places(&self, id: &str) -> [SocketAddr; 2] {
        [&self.caller, &self.callee].map(|agent| {
            let description = agent.calls()[id].description.as_deref();
            audio_address(description.expect("SDP"))
        })
    }

    /// Both talk for a while; packets of each that the other heard.
    ///
    /// # Panics
    /// The system sends nothing.
    pub fn talk(&mut self, id: &str, packets: usize) -> [usize; 2] {
        let places = self.places(id);
        for _ in 0..packets {
            for (voice, place) in self.voices.iter_mut().zip(places) {
                let packet = voice.packet();
                voice.say(&packet, place);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(100));
        [1, 0].map(|party: usize| self.voices[party].heard().len())
    }

    /// The caller ends a call.
    ///
    /// # Panics
    /// The callee never hears of it.
    pub fn hang_up(&mut self, id: &str) {
        self.caller.hang_up(id);
        self.until("the other end hears of it", |scene| {
            scene.callee.calls()[id].phase == Phase::Ended
        });
    }
}
