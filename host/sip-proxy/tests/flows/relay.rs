//! The relay as the proxy core sees it: commands go in, and every session that is closed
//! is reported so.

use std::collections::BTreeMap;

use media::{EndPlan, RelayCommand, RelayEvent, SessionFigures, SessionId, Side};

/// Remembers what it was told, and insists on the order of it.
#[derive(Default)]
pub(crate) struct Relay {
    /// Sessions that are open, with their streams.
    pub(crate) open: BTreeMap<SessionId, BTreeMap<u8, [EndPlan; 2]>>,
    /// Every command, in order.
    pub(crate) commands: Vec<RelayCommand>,
    /// How often `Close` came.
    pub(crate) closed: usize,
    /// Events that the core has not got yet.
    pub(crate) events: Vec<RelayEvent>,
}

impl Relay {
    pub(crate) fn command(&mut self, command: RelayCommand) {
        let session = command.session();
        match &command {
            RelayCommand::Open { .. } => {
                let before = self.open.insert(session, BTreeMap::new());
                assert!(before.is_none(), "{session:?} was opened twice");
            }
            RelayCommand::Stream { stream, ends, .. } => {
                let streams = self.open.get_mut(&session).expect("an open session");
                streams.insert(*stream, (**ends).clone());
            }
            RelayCommand::RemoveStream { stream, .. } => {
                let streams = self.open.get_mut(&session).expect("an open session");
                streams.remove(stream);
            }
            RelayCommand::OnHold { .. } => assert!(self.open.contains_key(&session)),
            RelayCommand::Close { .. } => {
                self.open.remove(&session).expect("an open session");
                self.closed += 1;
                self.events.push(RelayEvent::Closed {
                    session,
                    figures: Box::new(SessionFigures::default()),
                });
            }
        }
        self.commands.push(command);
    }

    /// The one session that is open.
    pub(crate) fn session(&self) -> SessionId {
        assert_eq!(self.open.len(), 1, "{:?}", self.open);
        *self.open.keys().next().expect("it was counted")
    }

    /// One end of the first stream of the one session.
    pub(crate) fn end(&self, side: Side) -> &EndPlan {
        let streams = &self.open[&self.session()];
        side.of(streams.get(&0).expect("a stream"))
    }
}
