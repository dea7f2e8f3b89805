//! From a judged request to the record of a call attempt: what is recorded, and what it
//! says.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use media::SessionFigures;
use policy::{
    CallAccount, CallConclusion, CallFacts, CallPass, Conclusion, ConsultId, Decision, DialogState,
    RaisedAlert, Refusal, RequestFacts, ResponseConclusion, StageReport,
};
use records::alert::Alarm;
use records::conceal::conceal_in;
use records::recorder::Stage;
use records::{CallRecord, PluginVersion, Points, Receipt, Recorder, StageRecord, StreamRecord};
use sip_message::Method;
use sip_proxy::EndReason;

use crate::config;
use crate::decision_log::Subject;
use crate::media_figures::{mos, side};
use crate::outlet::{Outlet, Wire};

/// Bytes of one text of a record or an alert. Numbers and names are far shorter; the
/// rest of what a stranger wrote is not worth its room on the disk.
const TEXT_BYTES: usize = 512;

/// Seconds after which a caller may come back who found no room for his record.
const RETRY_AFTER: u32 = 5;

/// What shards record, and how. Replaced by a reload.
#[derive(Debug, Default)]
pub(crate) struct RecordRules {
    recorder: Option<Recorder>,
    durable: bool,
    methods: Vec<String>,
    challenges: bool,
}

impl RecordRules {
    /// The rules of a section; without a recorder nothing is recorded.
    pub(crate) fn new(section: Option<&config::Records>, recorder: Option<Recorder>) -> Self {
        let records = section.cloned().unwrap_or_default();
        Self {
            recorder,
            durable: records.durable,
            methods: records.methods,
            challenges: records.challenges,
        }
    }

    /// Whether a request has a record of its own. An INVITE within a dialog changes a
    /// call and begins none.
    pub(crate) fn wants(&self, facts: &RequestFacts) -> bool {
        if self.recorder.is_none() {
            return false;
        }
        let message = &facts.message;
        let begins = message.method() != Method::Invite || facts.dialog == DialogState::None;
        let name = message.method_name();
        begins && self.methods.iter().any(|method| method.as_bytes() == name)
    }

    /// Whether a call may not be let in, because its record could be lost.
    pub(crate) fn has_no_room(&self) -> bool {
        self.durable && self.recorder.as_ref().is_some_and(|it| !it.has_room())
    }

    /// Whether something is recorded.
    pub(crate) const fn is_on(&self) -> bool {
        self.recorder.is_some()
    }

    /// Begin the record of a judged request; none if it has none.
    pub(crate) fn begin(
        &self,
        subject: &Subject,
        conclusion: &Conclusion,
    ) -> Option<Box<CallRecord>> {
        let recorder = self.recorder.as_ref()?;
        if !self.challenges && matches!(conclusion.decision, Decision::Challenge(_)) {
            return None;
        }
        let mut record = describe(subject, conclusion);
        record.id = recorder.begin();
        Some(Box::new(record))
    }

    /// Whether final responses wait for a record that is handed over now, or later with
    /// the receipt.
    pub(crate) fn receipt<W: Wire>(&self, outlet: &mut Outlet<W>) -> Option<Receipt> {
        (self.durable && self.is_on()).then(|| outlet.hold())
    }

    /// Hand over a finished record. Losses are counted and alerted by the writer.
    pub(crate) fn finish<W: Wire>(
        &self,
        record: Box<CallRecord>,
        receipt: Option<Receipt>,
        outlet: &mut Outlet<W>,
    ) {
        match (&self.recorder, receipt) {
            (Some(recorder), receipt) => {
                let _counted = recorder.submit(record, Stage::Finished, receipt);
            }
            // Records were switched off meanwhile: nobody waits for this one.
            (None, Some(receipt)) => outlet.confirmed(&[crate::outlet::of_receipt(receipt).1]),
            (None, None) => {}
        }
    }

    /// Leave a trace of a call that has begun.
    pub(crate) fn under_way(&self, record: &CallRecord) {
        if let Some(recorder) = &self.recorder {
            // The first thing that is given up when the queue is full.
            let _not_now = recorder.submit(Box::new(record.clone()), Stage::UnderWay, None);
        }
    }
}

/// The answer to a call that may not be let in.
pub(crate) fn no_room(consult: ConsultId, generation: u64) -> Conclusion {
    let host: Arc<str> = Arc::from(records::alert::HOST);
    Conclusion {
        consult,
        pipeline: Arc::clone(&host),
        generation,
        decision: Decision::Refuse(Refusal {
            status: 503,
            phrase: String::new(),
            headers: Vec::new(),
            retry_after: Some(RETRY_AFTER),
            plugin: host,
            reason: "the queue of call records is full".to_owned(),
        }),
        account: Arc::new(CallAccount::default()),
        alerts: Vec::new(),
        score: 0,
        points: Vec::new(),
        trace: Vec::new(),
    }
}

/// The alerts of a conclusion about a request, ready to be told.
pub(crate) fn alarms<'a>(
    subject: &'a Subject,
    conclusion: &'a Conclusion,
) -> impl Iterator<Item = Alarm> + 'a {
    let about = About {
        call_id: subject.message.call_id(),
        peer: subject.peer.name.as_ref(),
        source: subject.peer.address,
        account: &conclusion.account,
    };
    let secrets = &conclusion.account.secrets;
    let raised = conclusion.alerts.iter();
    raised.map(move |raised| about.alarm(raised, secrets))
}

/// The alerts of a conclusion about a response, ready to be told.
pub(crate) fn response_alarms<'a>(
    subject: &'a Subject,
    pass: &'a CallPass,
    conclusion: &'a ResponseConclusion,
) -> impl Iterator<Item = Alarm> + 'a {
    let account = pass.account();
    let about = About {
        call_id: subject.message.call_id(),
        peer: subject.peer.name.as_ref(),
        source: subject.peer.address,
        account,
    };
    let raised = conclusion.alerts.iter();
    raised.map(move |raised| about.alarm(raised, &account.secrets))
}

/// The alerts of policies that follow a call, ready to be told.
pub(crate) fn call_alarms<'a>(
    facts: &'a CallFacts,
    conclusion: &'a CallConclusion,
    secrets: &'a [String],
) -> impl Iterator<Item = Alarm> + 'a {
    let about = About {
        call_id: &facts.call_id,
        peer: facts.caller.as_ref(),
        source: facts.source,
        account: facts.pass.account(),
    };
    let raised = conclusion.alerts.iter();
    raised.map(move |raised| about.alarm(raised, secrets))
}

/// Whom an alert is about.
struct About<'a> {
    call_id: &'a [u8],
    peer: Option<&'a Arc<str>>,
    source: IpAddr,
    account: &'a CallAccount,
}

impl About<'_> {
    fn alarm(&self, raised: &RaisedAlert, secrets: &[String]) -> Alarm {
        let text = |text: &str| shown(text.as_bytes(), secrets);
        Alarm {
            at_ms: now_ms(),
            severity: raised.alert.severity,
            plugin: raised.plugin.to_string(),
            key: text(&raised.alert.key),
            text: text(&raised.alert.text),
            call_id: shown(self.call_id, secrets),
            peer: match self.peer {
                Some(name) => name.to_string(),
                None => self.source.to_string(),
            },
            identity: self
                .account
                .identity
                .as_deref()
                .map_or_else(String::new, text),
        }
    }
}

fn describe(subject: &Subject, conclusion: &Conclusion) -> CallRecord {
    let (message, peer) = (&subject.message, &subject.peer);
    let decision = &conclusion.decision;
    let secrets = &conclusion.account.secrets;
    let text = |bytes: &[u8]| shown(bytes, secrets);
    let account = &conclusion.account;
    CallRecord {
        at_ms: now_ms(),
        call_id: text(message.call_id()),
        method: text(message.method_name()),
        identity: account
            .identity
            .as_deref()
            .map(|name| text(name.as_bytes())),
        from: text(message.from().uri.raw),
        to: text(message.to().uri.raw),
        peer: peer.name.as_deref().map(str::to_owned),
        zone: peer.zone.name().into(),
        source: SocketAddr::new(peer.address, peer.port).to_string(),
        transport: peer.transport.to_string(),
        request_uri: text(message.request_uri().raw),
        pipeline: conclusion.pipeline.to_string(),
        generation: conclusion.generation,
        verdict: decision.name().into(),
        plugin: decision.plugin().map(|plugin| plugin.to_string()),
        versions: versions(conclusion),
        reason: text(decision.reason().as_bytes()),
        status: decision.sent_status(),
        score: conclusion.score,
        stages: conclusion
            .trace
            .iter()
            .map(|stage| StageRecord {
                plugin: stage.plugin.to_string(),
                verdict: stage.verdict.into(),
                reason: text(stage.failure.as_deref().unwrap_or(&stage.reason).as_bytes()),
                micros: stage.micros,
            })
            .collect(),
        points: conclusion
            .points
            .iter()
            .map(|points| Points {
                plugin: points.plugin.to_string(),
                amount: points.amount,
                reason: text(points.reason.as_bytes()),
            })
            .collect(),
        annotations: account
            .annotations
            .iter()
            .map(|(key, value)| (text(key.as_bytes()), text(value.as_bytes())))
            .collect(),
        ..CallRecord::default()
    }
}

/// The version of the plugin that decided, and those of candidates.
fn versions(conclusion: &Conclusion) -> Vec<PluginVersion> {
    let decider = conclusion.decision.plugin();
    let of = |report: &StageReport| PluginVersion {
        plugin: report.plugin.to_string(),
        version: report.version.name.to_string(),
        candidate: report.version.candidate,
    };
    let trace = conclusion.trace.iter();
    let named = trace.filter(|it| it.version.candidate || Some(&it.plugin) == decider);
    named.map(of).collect()
}

/// What may be shown of a text. What is cut off cannot begin in the middle of a secret:
/// it is concealed first.
fn shown(bytes: &[u8], secrets: &[String]) -> String {
    // A flood of long headers does not make long work.
    let most = bytes.get(..TEXT_BYTES * 4).unwrap_or(bytes);
    let mut text = String::from_utf8_lossy(most).into_owned();
    conceal_in(&mut text, secrets);
    let mut end = text.len().min(TEXT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}

/// The final status that the caller got.
pub(crate) const fn final_status(reason: EndReason, answered: bool) -> Option<u16> {
    match reason {
        _ if answered => Some(200),
        EndReason::Refused { status } => Some(status),
        EndReason::Cancelled => Some(487),
        EndReason::TimedOut => Some(408),
        _ => None,
    }
}

/// Figures of a closed media session as a record has them.
pub(crate) fn streams(figures: &SessionFigures) -> Vec<StreamRecord> {
    let streams = figures.streams.iter().map(|stream| StreamRecord {
        stream: stream.stream,
        side: side(stream.side).into(),
        packets: stream.packets,
        octets: stream.octets,
        lost: stream.lost,
        late: stream.late,
        duplicate: stream.duplicate,
        jitter_ms: f64::from(stream.jitter_us) / 1000.0,
        rejected: stream
            .rejected
            .named()
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| (name.to_owned(), count))
            .collect(),
        cipher: stream.cipher.to_owned(),
        mos: stream.mos_hundredths.map(mos),
    });
    streams.collect()
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
pub(crate) mod tests;
