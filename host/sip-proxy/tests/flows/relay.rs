//! The relay as the proxy core sees it: commands go in, and every session that is closed
//! is reported so.

use std::collections::BTreeMap;

use media::{
    EndPlan, OfferLimits, RelayCommand, RelayEvent, SessionFigures, SessionId, Side, read_offer,
};
use sip_message::Message;

/// Where all media goes, as parties see it.
pub(crate) const OURS: &str = "192.0.2.1";

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

    /// A message leaves: what it names as ours, the relay was told of before, because its
    /// reader may speak at once.
    pub(crate) fn leaves(&self, message: &Message) {
        let streams = read_offer(message.body(), &OfferLimits::default()).unwrap_or_default();
        for stream in streams {
            if stream.address != OURS.as_bytes() || stream.port == 0 {
                continue;
            }
            let told = self.commands.iter().any(|command| match command {
                RelayCommand::Stream { ends, .. } => {
                    ends.iter().any(|end| end.local.rtp == stream.port)
                }
                _ => false,
            });
            assert!(told, "port {} was not opened before", stream.port);
        }
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
