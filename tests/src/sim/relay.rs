//! The relay of a simulated world: it keeps books of what it was told, closes sessions
//! after a while, and now and then reports a fault.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use media::{
    EndPlan, LocalPorts, Protection, RelayCommand, RelayEvent, SessionFigures, SessionId, Side,
};
use sip_transaction::Moment;

use super::random::Random;

#[derive(Debug, Default)]
struct Session {
    ports: BTreeSet<LocalPorts>,
    closed: bool,
}

/// What a relay does and knows.
#[derive(Debug, Default)]
pub(super) struct Relay {
    sessions: BTreeMap<SessionId, Session>,
    /// Ports that are bound, until their session is reported closed.
    bound: BTreeMap<LocalPorts, SessionId>,
    /// Events to come.
    events: BTreeMap<(Moment, u64), RelayEvent>,
    told: u64,
    /// Rules that the proxy core broke.
    pub(super) violations: Vec<String>,
    /// Streams that were opened.
    pub(super) streams: u64,
}

impl Relay {
    /// When it has something to say.
    pub(super) fn next_event(&self) -> Option<Moment> {
        self.events.keys().next().map(|(at, _)| *at)
    }

    /// What it has to say by now.
    pub(super) fn due(&mut self, now: Moment) -> Option<RelayEvent> {
        let entry = self.events.first_entry()?;
        if entry.key().0 > now {
            return None;
        }
        let event = entry.remove();
        if let RelayEvent::Closed { session, .. } = &event {
            self.bound.retain(|_, owner| owner != session);
        }
        Some(event)
    }

    /// Nothing is open and nothing is bound.
    pub(super) fn at_rest(&self) -> bool {
        self.bound.is_empty() && self.sessions.values().all(|session| session.closed)
    }

    /// Sessions that were ever opened.
    pub(super) fn opened(&self) -> u64 {
        self.sessions.len() as u64
    }

    /// Obeys. `lives` says whether the session's call has been admitted and not ended.
    pub(super) fn command(
        &mut self,
        now: Moment,
        random: &mut Random,
        lives: bool,
        command: &RelayCommand,
    ) {
        let session = command.session();
        let known = self.sessions.get_mut(&session);
        match (command, known) {
            (RelayCommand::Open { .. }, None) => {
                self.sessions.insert(session, Session::default());
                self.foresee(now, random, session);
            }
            (RelayCommand::Close { .. }, Some(known)) if !known.closed => {
                known.closed = true;
                let after = Duration::from_millis(random.below(100));
                let figures = Box::new(SessionFigures::default());
                self.tell(now + after, RelayEvent::Closed { session, figures });
                return;
            }
            (RelayCommand::Stream { ends, .. }, Some(known)) if !known.closed => {
                self.stream(now, random, session, ends);
            }
            (RelayCommand::RemoveStream { .. } | RelayCommand::OnHold { .. }, Some(known))
                if !known.closed => {}
            (command, _) => {
                let violation =
                    format!("{command:?} to a session that is not open, or open already");
                self.violations.push(violation);
            }
        }
        if !lives {
            let violation = format!("{command:?} for a call that was not admitted or has ended");
            self.violations.push(violation);
        }
    }

    /// Now and then a session will fail.
    fn foresee(&mut self, now: Moment, random: &mut Random, session: SessionId) {
        if random.percent(3) {
            let after = Duration::from_millis(random.below(20_000));
            let event = *random.pick(&[0, 1, 2, 3]);
            let event = match event {
                0 => RelayEvent::Silent { session },
                1 => RelayEvent::HoldOver { session },
                2 => RelayEvent::KeyExhausted { session },
                _ => RelayEvent::OneWay {
                    session,
                    side: Side::Caller,
                },
            };
            self.tell(now + after, event);
        }
    }

    fn stream(
        &mut self,
        now: Moment,
        random: &mut Random,
        session: SessionId,
        ends: &[EndPlan; 2],
    ) {
        self.streams += 1;
        let mut lost = None;
        for end in ends.iter() {
            let known = self.sessions.entry(session).or_default();
            if !known.ports.insert(end.local) {
                continue;
            }
            match self.bound.insert(end.local, session) {
                Some(owner) if owner != session => self.violations.push(format!(
                    "{:?} is given to {session:?} while {owner:?} has it",
                    end.local
                )),
                _ => {}
            }
            if random.percent(1) {
                lost = Some(end.local);
            }
        }
        let [caller, callee] = ends;
        let plain = |protection: &Protection| *protection != Protection::Closed;
        if (plain(&caller.protection) && caller.remote.is_none())
            || (plain(&callee.protection) && callee.remote.is_none())
        {
            self.violations
                .push(format!("{session:?} is open to a party that is nowhere"));
        }
        if let Some(local) = lost {
            self.tell(now, RelayEvent::PortUnavailable { session, local });
        }
    }

    fn tell(&mut self, at: Moment, event: RelayEvent) {
        self.told += 1;
        self.events.insert((at, self.told), event);
    }
}
