//! Records of calls, with and without media.

use std::io;
use std::sync::Mutex;

use media::{Rejected, Side, StreamFigures};
use policy::{CallPass, ConsultId, Decision, Outcome, Peer, Pipeline, RequestFacts, Stage, Zone};
use sip_message::{Limits, Message};
use sip_transaction::{Transmit, Transport};

use super::*;

/// Nothing is sent here.
struct Nowhere;

impl Wire for Nowhere {
    fn send(&self, _: Transmit) {}
}

fn nowhere() -> Outlet<Nowhere> {
    Outlet::new(Nowhere, 0)
}

fn note(records: &mut Records, event: &CallEvent) -> Option<Finished> {
    records.note(event, &mut nowhere())
}

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

pub(crate) fn logged(act: impl FnOnce()) -> Vec<serde_json::Value> {
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

pub(crate) fn started(call: CallId) -> CallEvent {
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

pub(crate) fn invite() -> Arc<Message> {
    let text = "INVITE sip:b@example.org SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
        From: <sip:a@example.org>;tag=1\r\nTo: <sip:b@example.org>\r\nCall-ID: a@b\r\n\
        CSeq: 1 INVITE\r\nContact: <sip:a@192.0.2.1>\r\nContent-Length: 0\r\n\r\n";
    Arc::new(Message::parse_datagram(text.into(), &Limits::default()).unwrap())
}

/// A pass: only a pipeline that admits gives one.
pub(crate) fn admitted(invite: &Arc<Message>) -> CallPass {
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
        note(&mut records, &started(call));
        records.opened(SessionId::new(3, 5));
        note(
            &mut records,
            &CallEvent::Answered {
                call,
                callee: Some(Arc::from("carrier")),
            },
        );
        note(
            &mut records,
            &CallEvent::Ended {
                call,
                reason: EndReason::MediaTimeout,
                lasted: Some(Duration::from_secs(61)),
            },
        );
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
        note(&mut records, &started(call));
        records.opened(SessionId::new(3, 5));
        assert!(records.close(closed(call)).is_none(), "the call goes on");
    });
    assert!(early.is_empty(), "{early:?}");
    let lines = logged(|| {
        let finished = note(
            &mut records,
            &CallEvent::Ended {
                call,
                reason: EndReason::Bye,
                lasted: Some(Duration::from_secs(3)),
            },
        );
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
        note(&mut records, &started(call));
        note(
            &mut records,
            &CallEvent::Ended {
                call,
                reason: EndReason::Operator,
                lasted: None,
            },
        );
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
        note(&mut records, &started(call));
        records.opened(session);
        assert_eq!(records.of(session).caller.as_deref(), Some("office"));
        records.abandon(session, &closed(call).figures, &mut nowhere());
    });
    assert_eq!(lines[0]["reason"], "operator");
    assert!(records.calls.is_empty());
    let unknown = records.of(SessionId::new(1, 1));
    assert!(unknown.call_id.is_none());
}
