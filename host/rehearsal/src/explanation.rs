//! A decision with all that led to it, as a tree to read and as data.

use std::fmt::Write as _;

use policy::{Conclusion, Decision, DialogState, RequestFacts};
use records::conceal::conceal;
use serde::Serialize;

use crate::host_call::{HostCall, cut, shown};
use crate::run::Judged;
use crate::stage::StageAccount;

/// What was judged, as the plugins were told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Subject {
    /// Method.
    pub method: String,
    /// Request-URI.
    pub request_uri: String,
    /// URI of From.
    pub from: String,
    /// URI of To.
    pub to: String,
    /// Call-ID.
    pub call_id: String,
    /// User-Agent.
    pub user_agent: Option<String>,
    /// Address and port that it came from.
    pub source: String,
    /// The transport that it came by.
    pub transport: &'static str,
    /// `inside` or `outside`.
    pub zone: &'static str,
    /// Name of the peer.
    pub peer: Option<String>,
    /// `none`, `early` or `confirmed`.
    pub dialog: &'static str,
    /// Who the caller was taken for, before any plugin was asked.
    pub identity: Option<String>,
    /// The streams of its offer.
    pub offer: Vec<String>,
    /// What was odd about it.
    pub anomalies: Vec<&'static str>,
    /// Bytes.
    pub size: usize,
}

impl Subject {
    /// From the facts that plugins are told.
    pub fn of(facts: &RequestFacts) -> Self {
        let message = &facts.message;
        let text = |bytes: &[u8]| cut(shown(bytes));
        let peer = &facts.peer;
        Self {
            method: text(message.method_name()),
            request_uri: text(message.request_uri().raw),
            from: text(message.from().uri.raw),
            to: text(message.to().uri.raw),
            call_id: text(message.call_id()),
            user_agent: message.header_named(b"user-agent").map(text),
            source: std::net::SocketAddr::new(peer.address, peer.port).to_string(),
            transport: peer.transport.name(),
            zone: peer.zone.name(),
            peer: peer.name.as_deref().map(str::to_owned),
            dialog: match facts.dialog {
                DialogState::None => "none",
                DialogState::Early => "early",
                DialogState::Confirmed => "confirmed",
            },
            identity: facts.identity.clone(),
            offer: facts.offer.iter().map(stream).collect(),
            anomalies: facts.anomalies.names().collect(),
            size: message.bytes().len(),
        }
    }

    fn conceal(&mut self, secrets: &[String]) {
        let texts = [
            &mut self.request_uri,
            &mut self.from,
            &mut self.to,
            &mut self.call_id,
        ];
        for text in texts.into_iter().chain(self.identity.as_mut()) {
            *text = conceal(text, secrets).into_owned();
        }
    }
}

fn stream(stream: &policy::MediaStream) -> String {
    format!(
        "{} {} to {} ({}) port {}, {}",
        shown(&stream.kind),
        shown(&stream.protocol),
        shown(&stream.address),
        stream.address_kind.name(),
        stream.port,
        if stream.encrypted {
            "encrypted"
        } else {
            "in the clear"
        }
    )
}

/// Points and who gave them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Points {
    /// The plugin.
    pub plugin: String,
    /// How many.
    pub amount: i32,
    /// Why.
    pub reason: String,
}

/// A decision and all that led to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// What was judged.
    pub request: Subject,
    /// What time it was, in milliseconds since 1970.
    pub at_ms: u64,
    /// What the reader should know about how this came about.
    pub notes: Vec<String>,
    /// The pipeline that judged it.
    pub pipeline: String,
    /// `admit`, `reject`, `challenge`, `redirect` or `drop`.
    pub verdict: &'static str,
    /// The status that the sender would get at once.
    pub status: Option<u16>,
    /// The plugin that ended the pipeline.
    pub plugin: Option<String>,
    /// Why.
    pub reason: String,
    /// Who the caller is, if a plugin said so.
    pub identity: Option<String>,
    /// The score of the pipeline.
    pub score: i32,
    /// What it is made of.
    pub points: Vec<Points>,
    /// Notes of plugins.
    pub annotations: Vec<(String, String)>,
    /// What an admission carries: limits, routes, changed headers.
    pub terms: Vec<String>,
    /// Alerts that were raised.
    pub alerts: Vec<String>,
    /// Every plugin that was asked, in order.
    pub stages: Vec<StageAccount>,
}

impl Explanation {
    /// Of a request that was judged at this time.
    #[must_use]
    pub fn new(mut request: Subject, at_ms: u64, notes: Vec<String>, judged: Judged) -> Self {
        let Judged { conclusion, stages } = judged;
        let secrets = &conclusion.account.secrets;
        request.conceal(secrets);
        let told = |text: &str| conceal(text, secrets).into_owned();
        let points = conclusion.points.iter().map(|points| Points {
            plugin: points.plugin.to_string(),
            amount: points.amount,
            reason: told(&points.reason),
        });
        let notes_of_plugins = conclusion.account.annotations.iter();
        let alerts = conclusion.alerts.iter().map(|raised| {
            let (severity, alert) = (raised.alert.severity.name(), &raised.alert);
            told(&format!("{severity} {}: {}", alert.key, alert.text))
        });
        let terms = terms(&conclusion).iter().map(|term| told(term)).collect();
        let decision = &conclusion.decision;
        Self {
            at_ms,
            notes,
            pipeline: conclusion.pipeline.to_string(),
            verdict: decision.name(),
            status: decision.sent_status(),
            plugin: decision.plugin().map(|plugin| plugin.to_string()),
            reason: told(decision.reason()),
            identity: conclusion.account.identity.as_deref().map(told),
            score: conclusion.score,
            points: points.collect(),
            annotations: notes_of_plugins
                .map(|(key, value)| (told(key), told(value)))
                .collect(),
            terms,
            alerts: alerts.collect(),
            request,
            stages,
        }
    }

    /// As a tree. Times of plugins are left out where they are not wanted: they differ
    /// from run to run.
    #[must_use]
    pub fn tree(&self, with_micros: bool) -> String {
        let mut out = String::new();
        let request = &self.request;
        line(
            &mut out,
            &format!("{} {}", request.method, request.request_uri),
        );
        let peer = request.peer.as_deref().unwrap_or("a stranger");
        let from = format!(
            "from {} by {}, {peer}, {}",
            request.source, request.transport, request.zone
        );
        let mut about = vec![
            from,
            format!("From {}  To {}", request.from, request.to),
            format!("Call-ID {}", request.call_id),
        ];
        if request.dialog != "none" {
            about.push(format!("dialog {}", request.dialog));
        }
        about.extend(request.offer.iter().map(|it| format!("offers {it}")));
        if !request.anomalies.is_empty() {
            about.push(format!("odd: {}", request.anomalies.join(", ")));
        }
        about.extend(self.notes.iter().map(|note| format!("note: {note}")));
        for text in about {
            line(&mut out, &format!("  {text}"));
        }
        line(&mut out, &format!("pipeline {}", self.pipeline));
        for (place, stage) in self.stages.iter().enumerate() {
            let last = place + 1 == self.stages.len();
            stage_lines(&mut out, stage, last, with_micros);
        }
        self.end_lines(&mut out);
        out
    }

    fn end_lines(&self, out: &mut String) {
        let status = self
            .status
            .map_or(String::new(), |status| format!(" {status}"));
        let by = match &self.plugin {
            Some(plugin) => format!(" by {plugin}: {}", self.reason),
            None => String::new(),
        };
        line(out, &format!("decision {}{status}{by}", self.verdict));
        if let Some(identity) = &self.identity {
            line(out, &format!("  identity {identity}"));
        }
        if self.score != 0 || !self.points.is_empty() {
            line(out, &format!("  score {}", self.score));
        }
        for (key, value) in &self.annotations {
            line(out, &format!("  note {key}={value}"));
        }
        for term in &self.terms {
            line(out, &format!("  {term}"));
        }
        for alert in &self.alerts {
            line(out, &format!("  alert {alert}"));
        }
    }
}

/// What an admission carries.
fn terms(conclusion: &Conclusion) -> Vec<String> {
    let Decision::Admit(permit) = &conclusion.decision else {
        return Vec::new();
    };
    let mut terms = Vec::new();
    if let Some(seconds) = permit.limit_duration() {
        terms.push(format!("ends after {seconds} s"));
    }
    if let Some(peer) = permit.route() {
        terms.push(format!("goes to {peer}"));
    }
    if permit.media_requirement() != policy::MediaRequirement::Any {
        terms.push(format!("media {}", permit.media_requirement().name()));
    }
    for edit in permit.header_edits() {
        terms.push(match edit.value() {
            Some(value) => format!("header {}: {}", edit.name(), shown(value)),
            None => format!("header {} removed", edit.name()),
        });
    }
    if let Some(rewrites) = permit.rewrites() {
        let parts = [
            ("Request-URI", &rewrites.request_uri),
            ("From", &rewrites.from),
            ("To", &rewrites.to),
        ];
        for (name, value) in parts {
            if let Some(value) = value {
                terms.push(format!("{name} becomes {value}"));
            }
        }
    }
    terms
}

fn stage_lines(out: &mut String, stage: &StageAccount, last: bool, with_micros: bool) {
    let (branch, trunk) = if last {
        ("└─", "   ")
    } else {
        ("├─", "│  ")
    };
    let mut head = format!("{branch} {}: {}", stage.plugin, stage.verdict);
    if let Some(detail) = &stage.detail {
        let _ = write!(head, " {detail}");
    }
    if with_micros {
        let _ = write!(head, "  ({} µs)", stage.micros);
    }
    line(out, &head);
    let mut leaves = Vec::new();
    leaves.extend(stage.calls.iter().map(call));
    if stage.calls_left_out > 0 {
        leaves.push(format!("and {} more calls", stage.calls_left_out));
    }
    for effect in &stage.effects {
        leaves.push(format!("effect {} {}", effect.effect, effect.value));
    }
    if stage.score != 0 {
        leaves.push(format!("score so far {}", stage.score));
    }
    if !stage.reason.is_empty() {
        leaves.push(format!("because {}", stage.reason));
    }
    if let Some(failure) = &stage.failure {
        leaves.push(format!("failed: {failure}"));
    }
    let count = leaves.len();
    for (place, leaf) in leaves.into_iter().enumerate() {
        let twig = if place + 1 == count { "└" } else { "├" };
        line(out, &format!("{trunk}{twig} {leaf}"));
    }
}

fn call(call: &HostCall) -> String {
    let arguments = call.arguments.iter();
    let arguments: Vec<String> = arguments
        .map(|it| format!("{}={}", it.name, it.value))
        .collect();
    format!(
        "{}({}) -> {}",
        call.function,
        arguments.join(", "),
        call.answer
    )
}

/// One line, in which nothing can speak to the terminal.
fn line(out: &mut String, text: &str) {
    let _ = writeln!(out, "{}", text.replace(char::is_control, " "));
}
