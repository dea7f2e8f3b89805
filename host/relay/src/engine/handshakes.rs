//! Handshakes of DTLS, as a worker drives them (RFC 5763).

use std::net::SocketAddr;

use media::gate::Component;
use media::{RelayEvent, Side};

use super::{Engine, Place};
use crate::dtls::Progress;
use crate::end::End;
use crate::shield::Settled;
use crate::slots::Key;
use crate::stream::Stream;

impl Engine {
    /// There are too many handshakes under way for those of a stream.
    pub(super) fn refuse_handshakes(&mut self, session: Key, stream: u8) {
        let Some(session) = self.sessions.get_mut(session) else {
            return;
        };
        let id = session.id;
        let Some(stream) = session.stream_mut(stream) else {
            return;
        };
        for side in Side::BOTH {
            let end = side.of_mut(&mut stream.ends);
            for component in [Component::Rtp, Component::Rtcp] {
                let Some(flow) = end.shield.flow_mut(component) else {
                    continue;
                };
                let reason = "too many DTLS handshakes at a time".to_owned();
                if flow.poll_timeout().is_some()
                    && let Settled::Failed(reason) = flow.settle(Progress::Failed(reason))
                    && component == Component::Rtp
                {
                    (self.events)(RelayEvent::HandshakeFailed {
                        session: id,
                        stream: stream.index,
                        side,
                        reason,
                    });
                }
            }
        }
    }

    /// Lets the handshakes of a stream do what is due.
    pub(super) fn drive_handshakes(&mut self, session: Key, stream: u8) {
        for side in Side::BOTH {
            for component in [Component::Rtp, Component::Rtcp] {
                let place = Place {
                    session,
                    stream,
                    side,
                    component,
                };
                self.step_handshake(place, None);
            }
        }
    }

    /// One step of a handshake: for a datagram, or for the time that has passed.
    pub(super) fn step_handshake(&mut self, place: Place, datagram: Option<(SocketAddr, &[u8])>) {
        let now = self.now;
        let Some(session) = self.sessions.get_mut(place.session) else {
            return;
        };
        let id = session.id;
        let Some(stream) = session.stream_mut(place.stream) else {
            return;
        };
        let end = place.side.of_mut(&mut stream.ends);
        let to = end.handshake_target(place.component);
        let socket = end
            .sockets
            .of(place.component)
            .and_then(|key| self.sockets.get(key));
        let Some(flow) = end.shield.flow_mut(place.component) else {
            return;
        };
        if flow.has_failed() {
            return;
        }
        let mut transmit = |bytes: &[u8]| {
            // Lost like any datagram that the network drops: it is sent again.
            if let (Some(entry), Some(to)) = (socket, to) {
                let _unsent = entry.socket.send_to(bytes, to);
            }
        };
        let progress = match datagram {
            Some((_, bytes)) => flow.handshake.handle_datagram(now, bytes, &mut transmit),
            None => flow.handshake.handle_timeout(now, &mut transmit),
        };
        match flow.settle(progress) {
            Settled::Nothing => {}
            Settled::Open => {
                if let Some((source, _)) = datagram {
                    end.confirm(place.component, source);
                }
            }
            Settled::Failed(reason) if place.component == Component::Rtp => {
                (self.events)(RelayEvent::HandshakeFailed {
                    session: id,
                    stream: place.stream,
                    side: place.side,
                    reason,
                });
            }
            // Media flows without reports.
            Settled::Failed(reason) => {
                tracing::debug!(session = ?id, reason, "no DTLS for RTCP");
            }
        }
    }
}

/// Handshakes of a stream that are not done.
pub(super) fn handshakes_of(stream: &mut Stream) -> usize {
    let pending = |end: &mut End| {
        [Component::Rtp, Component::Rtcp]
            .into_iter()
            .filter(|component| {
                let flow = end.shield.flow_mut(*component);
                flow.is_some_and(|flow| flow.poll_timeout().is_some())
            })
            .count()
    };
    stream.ends.iter_mut().map(pending).sum()
}
