//! The record of each call with media: one line when it has ended and its media
//! session is closed.
//!
//! These are two events, and either may come first: a BYE closes the media, and the
//! answer to it ends the call. What the first one says is kept until the second.

use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use media::{SessionFigures, SessionId};
use sip_proxy::{CallEvent, CallId, EndReason, MediaRecord};
use tracing::info;

use crate::decision_log::Text;
use crate::media_figures::{MediaCounts, Streams, mos};

/// Calls that have media, or may still get some. Bounded by the limits of calls and
/// of media sessions.
#[derive(Default)]
pub(crate) struct Records {
    calls: HashMap<CallId, Record, FixedState>,
    ended: MediaCounts,
}

/// All that is known of a call that is over.
pub(crate) struct Finished {
    pub(crate) call: CallId,
    pub(crate) reason: EndReason,
    pub(crate) lasted: Option<Duration>,
    pub(crate) figures: Option<Box<SessionFigures>>,
}

/// What is known of one call.
#[derive(Clone, Default)]
pub(crate) struct Record {
    pub(crate) call_id: Option<Arc<[u8]>>,
    pub(crate) caller: Option<Arc<str>>,
    pub(crate) callee: Option<Arc<str>>,
    has_media: bool,
    figures: Option<Box<SessionFigures>>,
    end: Option<(EndReason, Option<Duration>)>,
}

impl Records {
    /// The call that a session belongs to.
    pub(crate) fn call_of(session: SessionId) -> CallId {
        CallId::from_u64(session.0 & ((1 << 48) - 1))
    }

    /// A media session is opened.
    pub(crate) fn opened(&mut self, session: SessionId) {
        self.calls
            .entry(Self::call_of(session))
            .or_default()
            .has_media = true;
    }

    /// Something happened to a call. Returns what is known of it once it is over and its
    /// media session is closed.
    pub(crate) fn note(&mut self, event: &CallEvent) -> Option<Finished> {
        match event {
            CallEvent::Started {
                call,
                call_id,
                caller,
                ..
            } => {
                let record = self.calls.entry(*call).or_default();
                record.call_id = Some(Arc::clone(call_id));
                record.caller.clone_from(caller);
            }
            CallEvent::Answered { call, callee } => {
                if let Some(record) = self.calls.get_mut(call) {
                    record.callee.clone_from(callee);
                }
            }
            CallEvent::Ended {
                call,
                reason,
                lasted,
            } => {
                if let Some(record) = self.calls.get_mut(call) {
                    record.end = Some((*reason, *lasted));
                    return self.settle(*call);
                }
            }
            CallEvent::Tick { .. } => {}
        }
        None
    }

    /// A media session is closed. Returns what [`Records::note`] does.
    pub(crate) fn close(&mut self, closed: MediaRecord) -> Option<Finished> {
        self.ended.add(&closed.figures);
        match self.calls.get_mut(&closed.call) {
            Some(record) if record.call_id.is_some() => {
                record.figures = Some(closed.figures);
                self.settle(closed.call)
            }
            // Of a call that never began nothing more will be heard.
            _ => {
                let mut record = self.calls.remove(&closed.call).unwrap_or_default();
                record.call_id = Some(closed.call_id);
                record.write(closed.call, &closed.figures);
                None
            }
        }
    }

    /// Write the line of a call of which all is known, and forget it.
    fn settle(&mut self, call: CallId) -> Option<Finished> {
        let record = self.calls.get(&call)?;
        let (reason, lasted) = record.end?;
        match &record.figures {
            Some(figures) => record.write(call, figures),
            None if record.has_media => return None,
            None => {}
        }
        let record = self.calls.remove(&call)?;
        Some(Finished {
            call,
            reason,
            lasted,
            figures: record.figures,
        })
    }

    /// The proxy stops while the session is open.
    pub(crate) fn abandon(&mut self, session: SessionId, figures: &SessionFigures) {
        let call = Self::call_of(session);
        let mut record = self.calls.remove(&call).unwrap_or_default();
        record.end.get_or_insert((EndReason::Operator, None));
        record.write(call, figures);
    }

    /// What is known of a session's call.
    pub(crate) fn of(&self, session: SessionId) -> Record {
        let record = self.calls.get(&Self::call_of(session));
        record.cloned().unwrap_or_default()
    }

    /// Counts of sessions that have ended.
    pub(crate) const fn ended(&self) -> MediaCounts {
        self.ended
    }
}

impl Record {
    fn write(&self, call: CallId, figures: &SessionFigures) {
        let mut counts = MediaCounts::default();
        counts.add(figures);
        let lowest_mos = figures
            .streams
            .iter()
            .filter_map(|it| it.mos_hundredths)
            .min();
        let (reason, lasted) = match self.end {
            Some((reason, lasted)) => (reason.name(), lasted.unwrap_or_default()),
            None => ("-", Duration::ZERO),
        };
        info!(
            number = call.as_u64(),
            call = %Text(self.call_id.as_deref().unwrap_or(b"-")),
            caller = self.caller.as_deref().unwrap_or("-"),
            callee = self.callee.as_deref().unwrap_or("-"),
            reason,
            lasted_ms = u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX),
            packets = counts.packets,
            lost = counts.lost,
            rejected = counts.rejected.0.total(),
            mos = lowest_mos.map(mos),
            streams = %Streams(figures),
            "call media"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use media::{Rejected, Side, StreamFigures};
    use policy::{
        CallPass, ConsultId, Decision, Outcome, Peer, Pipeline, RequestFacts, Stage, Zone,
    };
    use sip_message::{Limits, Message};
    use sip_transaction::Transport;

    use super::*;

    /// What was logged.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(act: impl FnOnce()) -> Vec<serde_json::Value> {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, act);
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn started(call: CallId) -> CallEvent {
        CallEvent::Started {
            call,
            consult: ConsultId::new(1),
            call_id: Arc::from(&b"a@b"[..]),
            caller: Some(Arc::from("office")),
            zone: Zone::Inside,
            source: ([192, 0, 2, 1], 5060).into(),
            limit: None,
            pass: admitted(&invite()),
            request: invite(),
        }
    }

    fn invite() -> Arc<Message> {
        let text = "INVITE sip:b@example.org SIP/2.0\r\n\
            Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
            From: <sip:a@example.org>;tag=1\r\nTo: <sip:b@example.org>\r\nCall-ID: a@b\r\n\
            CSeq: 1 INVITE\r\nContact: <sip:a@192.0.2.1>\r\nContent-Length: 0\r\n\r\n";
        Arc::new(Message::parse_datagram(text.into(), &Limits::default()).unwrap())
    }

    /// A pass: only a pipeline that admits gives one.
    fn admitted(invite: &Arc<Message>) -> CallPass {
        let peer = Peer {
            address: [192, 0, 2, 1].into(),
            port: 5060,
            transport: Transport::Udp,
            zone: Zone::Inside,
            name: None,
            certificate: None,
            tls: None,
        };
        let pipeline = Pipeline {
            name: "p".into(),
            stages: vec![Stage::new("allow")],
            generation: 1,
        };
        let facts = RequestFacts::new(Arc::clone(invite), peer);
        let mut run = pipeline.begin(ConsultId::new(1), facts);
        assert!(run.next_stage().is_some());
        run.apply(Ok(Outcome::next("")), 0);
        match run.conclude().decision {
            Decision::Admit(permit) => permit.call_pass(),
            other => panic!("{other:?}"),
        }
    }

    fn closed(call: CallId) -> MediaRecord {
        let stream = StreamFigures {
            stream: 0,
            side: Side::Caller,
            packets: 50,
            octets: 8_600,
            lost: 1,
            jitter_us: 900,
            late: 0,
            duplicate: 0,
            rejected: Rejected {
                source: 3,
                ..Rejected::default()
            },
            cipher: "AEAD_AES_128_GCM",
            mos_hundredths: Some(441),
        };
        MediaRecord {
            call,
            call_id: Arc::from(&b"a@b"[..]),
            figures: Box::new(SessionFigures {
                streams: vec![stream],
            }),
        }
    }

    #[test]
    fn a_call_with_media_has_one_line_with_its_end_and_its_figures() {
        let call = CallId::from_u64(5);
        let mut records = Records::default();
        let lines = logged(|| {
            records.note(&started(call));
            records.opened(SessionId::new(3, 5));
            records.note(&CallEvent::Answered {
                call,
                callee: Some(Arc::from("carrier")),
            });
            records.note(&CallEvent::Ended {
                call,
                reason: EndReason::MediaTimeout,
                lasted: Some(Duration::from_secs(61)),
            });
            records.close(closed(call));
        });
        let [line] = &lines[..] else {
            panic!("{lines:?}")
        };
        for (key, value) in [
            ("message", "call media"),
            ("call", "a@b"),
            ("caller", "office"),
            ("callee", "carrier"),
            ("reason", "media-timeout"),
        ] {
            assert_eq!(line[key], value, "{line}");
        }
        assert_eq!((&line["packets"], &line["lost"]), (&50.into(), &1.into()));
        assert_eq!((&line["rejected"], &line["mos"]), (&3.into(), &4.41.into()));
        assert_eq!(line["lasted_ms"], 61_000);
        let streams = line["streams"].as_str().unwrap();
        assert!(streams.contains("cipher AEAD_AES_128_GCM"), "{streams}");
        assert!(streams.contains("rejected 3 (source 3)"), "{streams}");
        assert_eq!(records.ended().packets, 50);
        assert!(records.calls.is_empty());
    }

    #[test]
    fn media_may_be_closed_before_the_call_has_ended() {
        let call = CallId::from_u64(5);
        let mut records = Records::default();
        let early = logged(|| {
            records.note(&started(call));
            records.opened(SessionId::new(3, 5));
            assert!(records.close(closed(call)).is_none(), "the call goes on");
        });
        assert!(early.is_empty(), "{early:?}");
        let lines = logged(|| {
            let finished = records.note(&CallEvent::Ended {
                call,
                reason: EndReason::Bye,
                lasted: Some(Duration::from_secs(3)),
            });
            let finished = finished.unwrap();
            assert_eq!((finished.call, finished.reason), (call, EndReason::Bye));
            assert_eq!(finished.figures, Some(closed(call).figures));
        });
        let line = &lines[0];
        assert_eq!(
            (&line["reason"], &line["packets"]),
            (&"bye".into(), &50.into())
        );
        assert!(records.calls.is_empty());
        let unknown = logged(|| assert!(records.close(closed(CallId::from_u64(8))).is_none()));
        assert_eq!(unknown[0]["reason"], "-");
        assert!(records.calls.is_empty());
    }

    #[test]
    fn a_call_without_media_leaves_nothing() {
        let call = CallId::from_u64(6);
        let mut records = Records::default();
        let lines = logged(|| {
            records.note(&started(call));
            records.note(&CallEvent::Ended {
                call,
                reason: EndReason::Operator,
                lasted: None,
            });
        });
        assert!(lines.is_empty() && records.calls.is_empty());
    }

    #[test]
    fn a_session_that_is_open_at_the_end_has_its_line_too() {
        let call = CallId::from_u64(7);
        let session = SessionId::new(65_535, 7);
        assert_eq!(Records::call_of(session), call);
        let mut records = Records::default();
        let lines = logged(|| {
            records.note(&started(call));
            records.opened(session);
            assert_eq!(records.of(session).caller.as_deref(), Some("office"));
            records.abandon(session, &closed(call).figures);
        });
        assert_eq!(lines[0]["reason"], "operator");
        assert!(records.calls.is_empty());
        let unknown = records.of(SessionId::new(1, 1));
        assert!(unknown.call_id.is_none());
    }
}
