//! What comes out of a pipeline: one decision, the alerts, and a trace that an
//! operator can read line by line.

use std::sync::Arc;

use crate::facts::ConsultId;
use crate::outcome::{Alert, DigestAlgorithm};
use crate::permit::{CallAccount, Permit};
use crate::pipeline::Version;
use crate::text::one_line;

/// The end of one run.
#[derive(Debug)]
pub struct Conclusion {
    /// The question that this answers.
    pub consult: ConsultId,
    /// The pipeline that answered.
    pub pipeline: Arc<str>,
    /// The generation of that pipeline.
    pub generation: u64,
    /// What becomes of the request.
    pub decision: Decision,
    /// What the pipeline found out, whatever the decision. A permit carries the same.
    pub account: Arc<CallAccount>,
    /// What the operator shall be told, whatever the decision.
    pub alerts: Vec<RaisedAlert>,
    /// The final score.
    pub score: i32,
    /// What it is made of, in order.
    pub points: Vec<ScoredPoints>,
    /// One entry for each plugin that was asked, in order.
    pub trace: Vec<StageReport>,
}

impl Conclusion {
    /// The version of the plugin that ended the run; none for an admission.
    pub fn version(&self) -> Option<&Version> {
        let plugin = self.decision.plugin()?;
        let mut reports = self.trace.iter().rev();
        let report = reports.find(|report| report.plugin == *plugin)?;
        Some(&report.version)
    }

    /// The candidates that were asked, in order.
    pub fn candidates(&self) -> impl Iterator<Item = &StageReport> {
        self.trace.iter().filter(|report| report.version.candidate)
    }
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Decision {
    /// It may be forwarded.
    Admit(Permit),
    /// It is answered with a final response.
    Refuse(Refusal),
    /// It is answered with a challenge, which the driver completes with a nonce.
    Challenge(ChallengeSpec),
    /// It is answered with 302.
    Redirect(Redirection),
    /// It is not answered.
    Drop(Silence),
}

impl Decision {
    /// One word for logs and metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Admit(_) => "admit",
            Self::Refuse(_) => "reject",
            Self::Challenge(_) => "challenge",
            Self::Redirect(_) => "redirect",
            Self::Drop(_) => "drop",
        }
    }

    /// The status that the sender of a request gets at once; none if it is forwarded or
    /// dropped.
    pub const fn sent_status(&self) -> Option<u16> {
        match self {
            Self::Refuse(refusal) => Some(refusal.status),
            Self::Challenge(challenge) if challenge.as_registrar => Some(401),
            Self::Challenge(_) => Some(407),
            Self::Redirect(_) => Some(302),
            Self::Admit(_) | Self::Drop(_) => None,
        }
    }

    /// The plugin that ended the run; none for an admission.
    pub fn plugin(&self) -> Option<&Arc<str>> {
        match self {
            Self::Admit(_) => None,
            Self::Refuse(refusal) => Some(&refusal.plugin),
            Self::Challenge(challenge) => Some(&challenge.plugin),
            Self::Redirect(redirection) => Some(&redirection.plugin),
            Self::Drop(silence) => Some(&silence.plugin),
        }
    }

    /// The operator's reason; empty for an admission.
    pub fn reason(&self) -> &str {
        match self {
            Self::Admit(_) => "",
            Self::Refuse(refusal) => &refusal.reason,
            Self::Challenge(challenge) => &challenge.reason,
            Self::Redirect(redirection) => &redirection.reason,
            Self::Drop(silence) => &silence.reason,
        }
    }
}

/// A final response instead of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Status code, 400 to 699.
    pub status: u16,
    /// Reason phrase; empty for the standard one.
    pub phrase: String,
    /// Further header lines, checked: no CR, LF or NUL.
    pub headers: Vec<(String, String)>,
    /// Seconds for Retry-After.
    pub retry_after: Option<u32>,
    /// The plugin that refused, or the pipeline if none did.
    pub plugin: Arc<str>,
    /// For the operator; never sent.
    pub reason: String,
}

/// A digest challenge without its nonce: RFC 3261 section 22.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChallengeSpec {
    /// The realm; neither quotes nor backslashes are in it.
    pub realm: String,
    /// Algorithms, best first; at least one.
    pub algorithms: Vec<DigestAlgorithm>,
    /// 401 with WWW-Authenticate instead of 407 with Proxy-Authenticate.
    pub as_registrar: bool,
    /// The credentials were right but the nonce too old.
    pub stale: bool,
    /// The plugin that challenged.
    pub plugin: Arc<str>,
    /// For the operator; never sent.
    pub reason: String,
}

/// A 302 instead of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirection {
    /// Contact URIs, at least one, each parsed.
    pub contacts: Vec<String>,
    /// The plugin that redirected.
    pub plugin: Arc<str>,
    /// For the operator; never sent.
    pub reason: String,
}

/// No answer at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    /// The plugin that dropped the request.
    pub plugin: Arc<str>,
    /// For the operator; never sent.
    pub reason: String,
}

/// An alert and who raised it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaisedAlert {
    /// The plugin.
    pub plugin: Arc<str>,
    /// What it said.
    pub alert: Alert,
}

impl RaisedAlert {
    /// Key and text on one line each: a plugin cannot forge a line of the log.
    pub(crate) fn new(plugin: &Arc<str>, alert: Alert) -> Self {
        Self {
            plugin: Arc::clone(plugin),
            alert: Alert {
                key: one_line(alert.key),
                text: one_line(alert.text),
                ..alert
            },
        }
    }
}

/// Points and who gave them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScoredPoints {
    /// The plugin.
    pub plugin: Arc<str>,
    /// How many; negative ones take away.
    pub amount: i32,
    /// Why, on one line.
    pub reason: String,
}

/// What one plugin answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageReport {
    /// The plugin.
    pub plugin: Arc<str>,
    /// The version of it that was asked.
    pub version: Version,
    /// The verdict's name; `failed` if there was none.
    pub verdict: &'static str,
    /// The plugin's reason, on one line.
    pub reason: String,
    /// How long it took, in microseconds.
    pub micros: u64,
    /// Why there was no verdict.
    pub failure: Option<String>,
}
