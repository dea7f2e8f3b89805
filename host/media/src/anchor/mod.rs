//! The media of one shard's calls: offer and answer of RFC 3264, ports and plans.
//!
//! ```text
//!            passage ──► multipart ──► description ──► exchange: offer or answer?
//!                                                        │              │
//!   our SDP ◄── write ◄── seal (o= version) ◄── offer: modes, ports     │
//!      ▲                                              answer: agreement ◄
//!      └───────────────────────────────────────────────────┤
//!                                                          ▼
//!                          relay ◄── commands ◄── apply: plans of the selected fork
//! ```

mod answer;
mod apply;
mod choose;
mod entropy;
mod exchange;
mod follow;
mod offer;
mod pool;
mod session;

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, Hash};
use std::sync::Arc;

use foldhash::quality::FixedState;
use hashbrown::HashMap;

use crate::sdp::multipart::Place;
use crate::{
    AnchorConfig, Body, Carrier, LocalPorts, Passage, Refused, RelayCommand, RelayEvent, SessionId,
    Side, Unacceptable,
};
use entropy::Entropy;
use exchange::Marks;
use pool::PortPool;
use session::{Key, Session};

/// How full an [`Anchor`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AnchorFigures {
    /// Calls with media.
    pub sessions: usize,
    /// Ended calls whose ports the relay still holds.
    pub closing: usize,
    /// Port pairs in use.
    pub ports_in_use: usize,
    /// Port pairs that can be given out.
    pub ports_free: usize,
    /// Port pairs that could not be bound and rest.
    pub ports_resting: usize,
}

/// The media sessions of one shard.
#[derive(Debug)]
pub struct Anchor {
    config: Arc<AnchorConfig>,
    entropy: Entropy,
    /// Two hashes with secret seeds tell a retransmission from another message.
    hashers: [FixedState; 2],
    pool: PortPool,
    sessions: HashMap<SessionId, Session>,
    /// Ended, until the relay has closed their sockets.
    closing: HashMap<SessionId, Closing>,
    commands: VecDeque<RelayCommand>,
}

/// Pairs that come back, and whether each could be bound.
#[derive(Debug)]
struct Closing(Vec<(LocalPorts, bool)>);

/// What a session needs of its anchor.
struct Desk<'a> {
    config: &'a AnchorConfig,
    entropy: &'a mut Entropy,
    pool: &'a mut PortPool,
    commands: &'a mut VecDeque<RelayCommand>,
}

impl Anchor {
    /// An anchor whose keys and identifiers come from `seed`, which must be
    /// unpredictable and used once.
    #[must_use]
    pub fn new(config: AnchorConfig, seed: [u8; 32]) -> Self {
        let mut entropy = Entropy::new(seed);
        let hashers = [(); 2].map(|()| FixedState::with_seed(entropy.number()));
        let mut pool = PortPool::default();
        pool.configure(&config, &mut entropy);
        Self {
            config: Arc::new(config),
            entropy,
            hashers,
            pool,
            sessions: HashMap::new(),
            closing: HashMap::new(),
            commands: VecDeque::new(),
        }
    }

    /// Mix fresh entropy into the generator.
    pub fn reseed(&mut self, seed: [u8; 32]) {
        self.entropy.reseed(seed);
    }

    /// Take a new configuration; calls that run keep their ports.
    pub fn set_config(&mut self, config: Arc<AnchorConfig>) {
        self.pool.configure(&config, &mut self.entropy);
        self.config = config;
    }

    /// A message passes from one party to the other. The same message again gives
    /// the same body and no new port.
    ///
    /// # Errors
    /// [`Refused`] says why it cannot pass and with which status. After a refused
    /// answer the call has no agreement and must end.
    pub fn handle_message(&mut self, passage: Passage<'_>) -> Result<Body, Refused> {
        let parts = self.config.limits.parts;
        let place = Place::find(passage.content_type, passage.body, parts)
            .map_err(|_| Unacceptable::Multipart)?;
        let sdp = place.content(passage.body);
        if passage.carrier == Carrier::Other {
            return Ok(exchange::body(&place, passage.body, None));
        }
        let marks = Marks {
            sdp: self.mark(sdp),
            terms: self.mark(&(passage.terms, passage.requirement)) as u64,
        };
        let digest = self.mark(&(
            (passage.from, passage.dialog, passage.carrier),
            (passage.content_type, passage.body, marks.terms),
        ));
        let opens = match passage.carrier {
            Carrier::Invite { .. } => true,
            Carrier::Update { .. } => place != Place::Absent,
            _ => false,
        };
        let fresh = !self.sessions.contains_key(&passage.session);
        let Some((session, mut desk)) = self.session(passage.session, opens)? else {
            return Ok(exchange::body(&place, passage.body, None));
        };
        let result = session.handle(&passage, (&place, sdp), marks, digest, &mut desk);
        // A call that could not begin holds nothing.
        if fresh && result.is_err() {
            self.end(passage.session);
        }
        result
    }

    /// The request that `from` sent under that number failed: what it offered, or
    /// what was offered in its responses, is forgotten, and media is as it was
    /// before.
    pub fn handle_refusal(&mut self, session: SessionId, from: Side, transaction: u64) {
        if let Ok(Some((session, mut desk))) = self.session(session, false) {
            session.roll_back(
                Key {
                    requester: from,
                    transaction,
                },
                &mut desk,
            );
        }
    }

    /// A 2xx to the first INVITE: this fork is the one whose media flows.
    pub fn confirm(&mut self, session: SessionId, dialog: u32) {
        if let Ok(Some((session, mut desk))) = self.session(session, false) {
            session.confirm(dialog, &mut desk);
        }
    }

    /// The call is over. May be said more than once.
    pub fn end(&mut self, session: SessionId) {
        let Some(ended) = self.sessions.remove(&session) else {
            return;
        };
        let ports = ended
            .ports()
            .map(|local| (local, ended.unbound.contains(&local)))
            .collect();
        if ended.opened {
            self.closing.insert(session, Closing(ports));
            self.commands.push_back(RelayCommand::Close { session });
        } else {
            self.give_back(Closing(ports));
        }
    }

    /// Ports come back at `Closed` and rest after `PortUnavailable`. Other events
    /// change nothing here: the call's owner decides.
    pub fn handle_event(&mut self, event: &RelayEvent) {
        match event {
            RelayEvent::Closed { session, .. } => {
                // A relay that stopped may close what nobody has ended.
                self.sessions
                    .get_mut(session)
                    .into_iter()
                    .for_each(|open| open.opened = false);
                if let Some(closing) = self.closing.remove(session) {
                    self.give_back(closing);
                }
            }
            RelayEvent::PortUnavailable { session, local } => {
                if let Some(open) = self.sessions.get_mut(session) {
                    open.unbound.push(*local);
                } else if let Some(Closing(ports)) = self.closing.get_mut(session) {
                    for (_, unbound) in ports.iter_mut().filter(|(port, _)| port == local) {
                        *unbound = true;
                    }
                }
            }
            _ => {}
        }
    }

    /// What the relay is to do next. Drain it after each call of the others,
    /// before the message that was handled is sent.
    pub fn poll_command(&mut self) -> Option<RelayCommand> {
        self.commands.pop_front()
    }

    /// How full it is.
    #[must_use]
    pub fn figures(&self) -> AnchorFigures {
        AnchorFigures {
            sessions: self.sessions.len(),
            closing: self.closing.len(),
            ports_in_use: self.pool.taken(),
            ports_free: self.pool.free(),
            ports_resting: self.pool.resting(),
        }
    }

    /// The session and what it works with; a new one if `open`.
    fn session(
        &mut self,
        id: SessionId,
        open: bool,
    ) -> Result<Option<(&mut Session, Desk<'_>)>, Refused> {
        let mut desk = Desk {
            config: &self.config,
            entropy: &mut self.entropy,
            pool: &mut self.pool,
            commands: &mut self.commands,
        };
        if open && !self.sessions.contains_key(&id) {
            let held = self.sessions.len() + self.closing.len();
            if held >= desk.config.limits.sessions {
                return Err(Refused::Limit("sessions"));
            }
            self.sessions.insert(id, Session::new(id, &mut desk));
        }
        Ok(self.sessions.get_mut(&id).map(|session| (session, desk)))
    }

    fn mark(&self, value: &(impl Hash + ?Sized)) -> u128 {
        let [high, low] = self
            .hashers
            .each_ref()
            .map(|hasher| u128::from(hasher.hash_one(value)));
        high << 64 | low
    }

    fn give_back(&mut self, Closing(ports): Closing) {
        for (local, unbound) in ports {
            self.pool.give_back(local, unbound);
        }
    }
}

#[cfg(test)]
mod tests;
