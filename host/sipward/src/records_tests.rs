//! Records of calls, with and without media.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Mutex;

use media::{Rejected, Side, StreamFigures};
use policy::{ConsultId, Zone};
use sip_transaction::Transmit;

use super::*;

/// Nothing is sent here.
#[derive(Default)]
struct Nowhere(Rc<RefCell<Vec<Transmit>>>);

impl Wire for Nowhere {
    fn send(&self, transmit: Transmit) {
        self.0.borrow_mut().push(transmit);
    }
}

fn nowhere() -> Outlet<Nowhere> {
    Outlet::new(Nowhere::default(), 0)
}

fn note(records: &mut Records, event: &CallEvent) {
    records.note(event, true, &mut nowhere());
}

fn close(records: &mut Records, closed: MediaRecord) {
    records.close(closed, &mut nowhere());
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

fn started(call: CallId) -> CallEvent {
    CallEvent::Started {
        call,
        consult: ConsultId::new(1),
        call_id: Arc::from(&b"a@b"[..]),
        caller: Some(Arc::from("office")),
        zone: Zone::Inside,
        source: ([192, 0, 2, 1], 5060).into(),
        limit: None,
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
        close(&mut records, closed(call));
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
        close(&mut records, closed(call));
    });
    assert!(early.is_empty(), "{early:?}");
    let lines = logged(|| {
        note(
            &mut records,
            &CallEvent::Ended {
                call,
                reason: EndReason::Bye,
                lasted: Some(Duration::from_secs(3)),
            },
        );
    });
    let line = &lines[0];
    assert_eq!(
        (&line["reason"], &line["packets"]),
        (&"bye".into(), &50.into())
    );
    assert!(records.calls.is_empty());
    let unknown = logged(|| close(&mut records, closed(CallId::from_u64(8))));
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
