//! What is recorded and what is concealed; how responses wait for records that a real
//! writer commits.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use media::{SessionFigures, SessionId};
use policy::{
    Alert, CallVeto, Effect, Outcome, Peer, Pipeline, RaisedAlert, ScoredPoints, Severity, Stage,
    Zone,
};
use records::alert::{AlertConfig, AlertService};
use records::service::SqliteConfig;
use records::sqlite::{Filter, Store};
use records::{RecordConfig, RecordService};
use sip_message::{Limits, Message};
use sip_proxy::{CallEvent, CallId, MediaRecord};
use sip_transaction::{Destination, Transmit, Transport};

use super::*;
use crate::outlet::of_receipt;
use crate::records::Records;
use crate::records::tests::started;

const PIN: &str = "4711";

fn facts(method: &str) -> RequestFacts {
    let text = format!(
        "{method} sip:*55*%34711*0049301234@b SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKabc\r\nMax-Forwards: 70\r\n\
         From: <sip:a-4711@example.org>;tag=1\r\nTo: <sip:*55*4711*0049301234@b>\r\n\
         Call-ID: c1\r\nCSeq: 1 {method}\r\nContact: <sip:a@192.0.2.7>\r\n\
         Content-Length: 0\r\n\r\n"
    );
    let message = Message::parse_datagram(text.into(), &Limits::default()).unwrap();
    let peer = Peer {
        address: [192, 0, 2, 7].into(),
        port: 5060,
        transport: Transport::Udp,
        zone: Zone::Outside,
        name: None,
        certificate: None,
        tls: None,
    };
    RequestFacts::new(Arc::new(message), peer)
}

/// A pipeline of one plugin with this answer.
fn judged(method: &str, outcome: Outcome) -> (Subject, Conclusion) {
    let pipeline = Pipeline {
        name: Arc::from("main"),
        stages: vec![Stage::new("call-code")],
        generation: 4,
    };
    let facts = facts(method);
    let subject = Subject::of(&facts);
    let mut run = pipeline.begin(ConsultId::new(1), facts);
    run.next_stage().unwrap();
    run.apply(Ok(outcome), 1);
    (subject, run.conclude())
}

fn refusal() -> Outcome {
    Outcome::reject(403, "the code 4711 is wrong").with(Effect::Conceal(PIN.to_owned()))
}

/// A real service and what it has committed.
pub(crate) struct Kept {
    folder: tempfile::TempDir,
    service: RecordService,
    _alerts: AlertService,
    receipts: mpsc::Receiver<Vec<u64>>,
}

impl Kept {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = RecordConfig {
            queue: 10,
            sqlite: Some(SqliteConfig {
                path: folder.path().join("r"),
                keep: None,
                keep_records: 100,
            }),
            lines: None,
            webhook: None,
        };
        let alerts = AlertService::start(AlertConfig::default()).unwrap();
        let (tell, receipts) = mpsc::channel();
        let confirm = move |got: &[u64]| drop(tell.send(got.to_vec()));
        let service = RecordService::start(config, alerts.desk(), confirm).unwrap();
        Self {
            folder,
            service,
            _alerts: alerts,
            receipts,
        }
    }

    fn rules(&self, change: impl Fn(&mut config::Records)) -> RecordRules {
        let mut section = config::Records {
            durable: true,
            ..config::Records::default()
        };
        change(&mut section);
        RecordRules::new(Some(&section), Some(self.service.recorder()))
    }

    /// Waits for what is committed next, and gives it to the outlet.
    fn confirm(&self, outlet: &mut Outlet<Sent>) {
        let receipts = self.receipts.recv_timeout(Duration::from_secs(60)).unwrap();
        let holds: Vec<u64> = receipts.iter().map(|it| of_receipt(*it).1).collect();
        outlet.confirmed(&holds);
    }

    fn stored(&self) -> Vec<CallRecord> {
        let store = Store::read_only(&self.folder.path().join("r")).unwrap();
        let all = Filter {
            limit: 100,
            ..Filter::default()
        };
        store.find(&all).unwrap()
    }
}

#[derive(Clone, Default)]
struct Sent(Rc<RefCell<Vec<Bytes>>>);

impl Wire for Sent {
    fn send(&self, transmit: Transmit) {
        self.0.borrow_mut().push(transmit.bytes);
    }
}

fn response(text: &'static str) -> Transmit {
    Transmit {
        to: Destination::new(Transport::Udp, ([192, 0, 2, 7], 5060).into()),
        bytes: Bytes::from_static(text.as_bytes()),
        transaction: None,
    }
}

#[test]
fn a_secret_stands_nowhere() {
    let (subject, mut conclusion) = judged("INVITE", refusal());
    conclusion.alerts.push(RaisedAlert {
        plugin: Arc::from("call-code"),
        alert: Alert {
            severity: Severity::Warning,
            key: "code-4711".to_owned(),
            text: "wrong code 47-11".to_owned(),
        },
    });
    conclusion.points.push(ScoredPoints {
        plugin: Arc::from("call-code"),
        amount: 5,
        reason: "4711 tried".to_owned(),
    });
    conclusion.account = Arc::new(CallAccount {
        identity: Some(Arc::from("user 4711")),
        annotations: vec![("code".to_owned(), PIN.to_owned())],
        secrets: conclusion.account.secrets.clone(),
        ..CallAccount::default()
    });
    let record = describe(&subject, &conclusion);
    assert_eq!(record.request_uri, "sip:*55***0049301234@b");
    assert_eq!(record.to, "sip:*55***0049301234@b");
    assert_eq!(record.reason, "the code * is wrong");
    assert_eq!(
        (record.status, record.verdict.as_ref()),
        (Some(403), "reject")
    );
    let mut shown = serde_json::to_string(&record).unwrap();
    for alarm in alarms(&subject, &conclusion) {
        shown.push_str(&serde_json::to_string(&alarm).unwrap());
    }
    let lines = crate::records::tests::logged(|| crate::decision_log::write(&subject, &conclusion));
    shown.push_str(&serde_json::to_string(&lines).unwrap());
    assert!(
        shown.contains("wrong code *") && shown.contains("* tried"),
        "{shown}"
    );
    for written in [PIN, "%34711", "47-11"] {
        assert!(!shown.contains(written), "{written}: {shown}");
    }
}

#[test]
fn texts_are_cut_and_stay_texts() {
    let long = "é".repeat(TEXT_BYTES);
    assert_eq!(shown(long.as_bytes(), &[]).len(), TEXT_BYTES);
    assert_eq!(
        shown(format!("a{long}").as_bytes(), &[]).len(),
        TEXT_BYTES - 1
    );
    let exactly = "a".repeat(TEXT_BYTES);
    assert_eq!(shown(exactly.as_bytes(), &[]), exactly);
    assert_eq!(shown(b"\xff", &[]), "\u{FFFD}");
}

#[test]
fn what_is_recorded_is_the_operators_choice() {
    let kept = Kept::new();
    let rules = kept.rules(|_| {});
    assert!(rules.wants(&facts("INVITE")));
    assert!(!rules.wants(&facts("OPTIONS")));
    let mut within = facts("INVITE");
    within.dialog = DialogState::Confirmed;
    assert!(!rules.wants(&within), "it begins no call");
    let rules = kept.rules(|section| section.methods = vec!["REFER".to_owned()]);
    let mut transfer = facts("REFER");
    transfer.dialog = DialogState::Confirmed;
    assert!(rules.wants(&transfer) && !rules.wants(&facts("INVITE")));
    assert!(!RecordRules::default().wants(&facts("INVITE")));
    let challenge = policy::Challenge {
        realm: "r".to_owned(),
        algorithms: vec![policy::DigestAlgorithm::Sha256],
        as_registrar: false,
        stale: false,
    };
    let challenge = Outcome::of(policy::Verdict::Challenge(challenge), "");
    let (subject, conclusion) = judged("INVITE", challenge);
    assert!(kept.rules(|_| {}).begin(&subject, &conclusion).is_some());
    let without = kept.rules(|section| section.challenges = false);
    assert!(without.begin(&subject, &conclusion).is_none());
}

#[test]
fn a_refusal_waits_for_its_record() {
    let kept = Kept::new();
    let mut records = Records::default();
    records.set_rules(Arc::new(kept.rules(|_| {})));
    let sent = Sent::default();
    let mut outlet = Outlet::new(sent.clone(), 0);
    let (subject, conclusion) = judged("INVITE", refusal());
    records.judged(&subject, &conclusion, true, &mut outlet);
    outlet.send(response("SIP/2.0 403 Forbidden\r\n"));
    outlet.turn_over();
    assert!(sent.0.borrow().is_empty());
    kept.confirm(&mut outlet);
    assert_eq!(sent.0.borrow().len(), 1);
    let [stored] = &kept.stored()[..] else {
        panic!("{:?}", kept.stored())
    };
    assert_eq!(
        (stored.plugin.as_deref(), stored.end.as_deref()),
        (Some("call-code"), None)
    );
}

#[test]
fn without_durable_nothing_waits() {
    let kept = Kept::new();
    let mut records = Records::default();
    records.set_rules(Arc::new(kept.rules(|section| section.durable = false)));
    let sent = Sent::default();
    let mut outlet = Outlet::new(sent.clone(), 0);
    let (subject, conclusion) = judged("INVITE", refusal());
    records.judged(&subject, &conclusion, true, &mut outlet);
    outlet.send(response("SIP/2.0 403 Forbidden\r\n"));
    assert_eq!(sent.0.borrow().len(), 1);
}

#[test]
fn the_answer_to_bye_waits_for_the_media_and_the_record() {
    let kept = Kept::new();
    let mut records = Records::default();
    records.set_rules(Arc::new(kept.rules(|_| {})));
    let sent = Sent::default();
    let mut outlet = Outlet::new(sent.clone(), 0);
    let (subject, conclusion) = judged(
        "INVITE",
        Outcome::next("").with(Effect::Conceal(PIN.to_owned())),
    );
    records.judged(&subject, &conclusion, true, &mut outlet);
    let call = CallId::from_u64(9);
    assert_eq!(conclusion.consult, ConsultId::new(1), "as in `started`");
    assert!(records.note(&started(call), &mut outlet).is_none());
    records.opened(SessionId::new(0, 9));
    let callee = Some(Arc::from("office"));
    let answered = CallEvent::Answered { call, callee };
    assert!(records.note(&answered, &mut outlet).is_none());
    let veto = CallConclusion {
        end: Some(CallVeto {
            plugin: Arc::from("media-guard"),
            reason: "4711 and 0815".to_owned(),
        }),
        secrets: vec!["0815".to_owned()],
        ..CallConclusion::default()
    };
    records.heed(call, &veto);
    outlet.turn_over();
    let ended = CallEvent::Ended {
        call,
        reason: EndReason::Bye,
        lasted: Some(Duration::from_secs(2)),
    };
    let early = records.note(&ended, &mut outlet);
    assert!(early.is_none(), "media is not closed");
    outlet.send(response("SIP/2.0 200 OK\r\n"));
    outlet.turn_over();
    assert_eq!(outlet.held(), 1);
    let closed = MediaRecord {
        call,
        call_id: Arc::from(&b"c1"[..]),
        figures: Box::new(SessionFigures::default()),
    };
    let finished = records.close(closed).unwrap();
    assert_eq!(finished.secrets, [PIN, "0815"]);
    records.finish(finished, &mut outlet);
    outlet.turn_over();
    assert!(sent.0.borrow().is_empty(), "the record is not committed");
    kept.confirm(&mut outlet);
    assert_eq!(sent.0.borrow().len(), 1);
    let [stored] = &kept.stored()[..] else {
        panic!("{:?}", kept.stored())
    };
    assert_eq!(
        (stored.end.as_deref(), stored.status),
        (Some("bye"), Some(200))
    );
    assert_eq!((stored.number, stored.lasted_ms), (Some(9), Some(2_000)));
    assert_eq!(stored.callee.as_deref(), Some("office"));
    assert_eq!(
        (stored.plugin.as_deref(), stored.reason.as_str()),
        (Some("media-guard"), "* and *")
    );
    assert!(stored.answered_ms >= stored.started_ms && stored.ended_ms >= stored.answered_ms);
}

#[test]
fn an_admitted_call_that_is_not_routed_says_so() {
    let kept = Kept::new();
    let mut records = Records::default();
    records.set_rules(Arc::new(kept.rules(|_| {})));
    let mut outlet = Outlet::new(Sent::default(), 0);
    let (subject, conclusion) = judged("INVITE", Outcome::next(""));
    records.judged(&subject, &conclusion, true, &mut outlet);
    records.not_routed(conclusion.consult, "no target");
    records.settle_admitted(&mut outlet);
    outlet.send(response("SIP/2.0 404 Not Found\r\n"));
    outlet.turn_over();
    assert_eq!(outlet.held(), 1);
    kept.confirm(&mut outlet);
    let stored = &kept.stored()[0];
    assert_eq!(
        (stored.end.as_deref(), stored.reason.as_str()),
        (Some("not-routed"), "no target")
    );
}

#[test]
fn records_that_are_switched_off_hold_nobody_up() {
    let kept = Kept::new();
    let sent = Sent::default();
    let mut outlet = Outlet::new(sent.clone(), 0);
    let rules = kept.rules(|_| {});
    let receipt = rules.receipt(&mut outlet);
    outlet.send(response("SIP/2.0 200 OK\r\n"));
    outlet.turn_over();
    RecordRules::default().finish(Box::default(), receipt, &mut outlet);
    assert_eq!(sent.0.borrow().len(), 1);
}
