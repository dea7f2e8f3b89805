//! What the relay reports: media that ended, that comes from one side only or from the
//! wrong place, ports that cannot be had, and sessions that are closed.

use media::RelayEvent;
use sip_transaction::Moment;

use crate::core::ProxyCore;
use crate::output::{CallId, EndReason, LogEvent, Output};

impl ProxyCore {
    /// The relay reported something about a session of this core. A session whose call has
    /// ended in the meantime has nothing left to end, but its record is put out.
    pub fn handle_media_event(&mut self, now: Moment, event: &RelayEvent) {
        let Some(room) = &mut self.media else {
            return;
        };
        let (call, record) = room.handle_event(event);
        match event {
            RelayEvent::Closed { .. } => self.outputs.extend(record.map(Output::MediaClosed)),
            RelayEvent::ForeignSource {
                stream,
                side,
                source,
                rejection,
                ..
            } => self.log(LogEvent::ForeignMedia {
                call,
                stream: *stream,
                side: *side,
                source: *source,
                rejection: *rejection,
            }),
            RelayEvent::Silent { .. } => {
                self.end_call(now, call, EndReason::MediaTimeout);
            }
            RelayEvent::OneWay { .. } => {
                self.end_call(now, call, EndReason::OneWayMedia);
            }
            RelayEvent::HoldOver { .. } => {
                self.end_call(now, call, EndReason::HoldTimeout);
            }
            RelayEvent::PortUnavailable { local, .. } => {
                let cause = format!("port {} cannot be bound", local.rtp);
                self.media_failed(now, call, cause);
            }
            RelayEvent::HandshakeFailed {
                stream,
                side,
                reason,
                ..
            } => {
                let cause = format!("DTLS with the {side:?} on stream {stream} failed: {reason}");
                self.media_failed(now, call, cause);
            }
            RelayEvent::KeyExhausted { .. } => {
                self.media_failed(now, call, "a key is used up".to_owned());
            }
        }
    }

    fn media_failed(&mut self, now: Moment, call: CallId, cause: String) {
        self.log(LogEvent::MediaFault { call, cause });
        self.end_call(now, call, EndReason::MediaFailed);
    }
}
