//! The fold over call hooks: what happens to an admitted call is shown to the plugins
//! that want to follow it. A plugin may end the call; one that fails is reported and
//! left out, because a call that was admitted goes on.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use sip_message::Method;

use crate::check::check_outcome;
use crate::decision::{RaisedAlert, StageReport};
use crate::failure::PolicyFailure;
use crate::limits::{PIPELINE_ALERTS, PIPELINE_SECRETS, PIPELINE_TICKS};
use crate::outcome::{Effect, Outcome, Verdict};
use crate::permit::{CallPass, TickWish};
use crate::pipeline::{Pipeline, Stage};
use crate::text::one_line;

/// What the host knows about an admitted call.
#[derive(Clone, Debug)]
pub struct CallFacts {
    /// The call's number; unique while the process lives.
    pub number: u64,
    /// The pass of the call, with what the pipeline found out about it.
    pub pass: CallPass,
    /// Call-ID.
    pub call_id: Bytes,
    /// Request-URI as it was received.
    pub request_uri: Bytes,
    /// URI of From.
    pub from: Bytes,
    /// Source address of the INVITE.
    pub source: IpAddr,
    /// Name of the peer that calls.
    pub caller: Option<Arc<str>>,
    /// Name of the peer that answered.
    pub callee: Option<Arc<str>>,
    /// When it was admitted, in milliseconds since 1970.
    pub started_ms: u64,
    /// When it was answered, in milliseconds since 1970.
    pub answered_ms: Option<u64>,
}

/// What came from one party of a call, all its streams together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartyMedia {
    /// Packets relayed.
    pub packets: u64,
    /// Octets of them.
    pub octets: u64,
    /// Packets lost on the way to us.
    pub lost: u64,
    /// Packets that the gate turned away.
    pub rejected: u64,
    /// Interarrival jitter of the worst stream, in microseconds: RFC 3550.
    pub jitter_us: u32,
    /// Estimated MOS of the worst stream in hundredths, 100 to 450: ITU-T G.107.
    pub mos_hundredths: Option<u16>,
}

/// Something that happened to an admitted call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallHappening {
    /// It was admitted by the whole pipeline.
    Started,
    /// A 2xx was forwarded.
    Answered,
    /// So many seconds have passed since the answer.
    Tick(u32),
    /// Media came from somebody else.
    ForeignMedia {
        /// Where it came from.
        source: SocketAddr,
        /// The stream, counted from 0.
        stream: u8,
        /// Why it was dropped, by its name in records.
        cause: &'static str,
    },
    /// It is over.
    Ended {
        /// How, by its name in records.
        cause: &'static str,
        /// Status of the final response of a refused call; 0 otherwise.
        status: u16,
        /// Milliseconds from the answer to the end; 0 if it was never answered.
        lasted_ms: u64,
        /// What came from the caller, if the host relayed media.
        caller_media: Option<PartyMedia>,
        /// What came from the callee.
        callee_media: Option<PartyMedia>,
    },
}

impl CallHappening {
    /// The case's name, as in the WIT and in logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Answered => "answered",
            Self::Tick(_) => "tick",
            Self::ForeignMedia { .. } => "foreign-media",
            Self::Ended { .. } => "ended",
        }
    }
}

/// What becomes of a call after something happened to it.
#[derive(Debug, Default)]
pub struct CallConclusion {
    /// Who wants it to end, and why.
    pub end: Option<CallVeto>,
    /// Further ticks, counted from the answer.
    pub ticks: Vec<TickWish>,
    /// A shorter limit in seconds from the answer.
    pub limit_duration: Option<u32>,
    /// What the operator shall be told.
    pub alerts: Vec<RaisedAlert>,
    /// Texts that nothing written about the call may show.
    pub secrets: Vec<String>,
    /// One entry for each plugin that was asked, in order.
    pub trace: Vec<StageReport>,
}

/// A plugin ends a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallVeto {
    /// The plugin.
    pub plugin: Arc<str>,
    /// Why, on one line.
    pub reason: String,
}

/// A happening on its way past the call hooks of a pipeline.
#[derive(Debug)]
pub struct CallRun<'p> {
    pipeline: &'p Pipeline,
    /// A tick is for the plugin that asked for it.
    only: Option<Arc<str>>,
    stage: usize,
    asking: bool,
    next: usize,
    conclusion: CallConclusion,
}

impl<'p> CallRun<'p> {
    pub(crate) fn new(pipeline: &'p Pipeline, only: Option<Arc<str>>) -> Self {
        Self {
            pipeline,
            only,
            stage: 0,
            asking: false,
            next: 0,
            conclusion: CallConclusion::default(),
        }
    }

    /// Place of the next stage to ask; none at the end. A veto does not keep later
    /// plugins from hearing what happened: they count.
    pub fn next_stage(&mut self) -> Option<usize> {
        if !self.asking {
            let wanted = |stage: &Stage| {
                stage.methods.contains(Method::Invite)
                    && self.only.as_ref().is_none_or(|only| *only == stage.name)
            };
            let mut remaining = self.pipeline.stages.iter().enumerate().skip(self.next);
            let (place, _) = remaining.find(|(_, stage)| wanted(stage))?;
            self.stage = place;
            self.next = place + 1;
            self.asking = true;
        }
        Some(self.stage)
    }

    /// Takes the current stage's answer and how long it took in microseconds. False if it
    /// was none, or none that could be used.
    pub fn apply(&mut self, answer: Result<Outcome, PolicyFailure>, elapsed_us: u64) -> bool {
        if !std::mem::take(&mut self.asking) {
            return true;
        }
        let pipeline = self.pipeline;
        let Some(stage) = pipeline.stages.get(self.stage) else {
            return true;
        };
        let answer = answer.and_then(|outcome| {
            check_outcome(&outcome, stage.grants, &stage.limits)?;
            self.check_meaning(&outcome)?;
            Ok(outcome)
        });
        let mut report = StageReport {
            plugin: Arc::clone(&stage.name),
            version: stage.version.clone(),
            verdict: "failed",
            reason: String::new(),
            micros: elapsed_us,
            failure: None,
        };
        let usable = answer.is_ok();
        match answer {
            Ok(outcome) => {
                report.verdict = outcome.verdict.name();
                report.reason = one_line(outcome.reason.clone());
                self.accept(stage, outcome);
            }
            Err(failure) => report.failure = Some(one_line(failure.to_string())),
        }
        self.conclusion.trace.push(report);
        usable
    }

    /// Ends the run.
    pub fn conclude(self) -> CallConclusion {
        self.conclusion
    }

    fn accept(&mut self, stage: &Stage, outcome: Outcome) {
        let plugin = || Arc::clone(&stage.name);
        for effect in outcome.effects {
            match effect {
                Effect::Alert(alert) => {
                    let raised = RaisedAlert::new(&stage.name, alert);
                    self.conclusion.alerts.push(raised);
                }
                Effect::TickAfter(seconds) => {
                    let plugin = plugin();
                    self.conclusion.ticks.push(TickWish { plugin, seconds });
                }
                Effect::LimitDuration(seconds) => {
                    let known = self.conclusion.limit_duration;
                    let shortest = known.map_or(seconds, |known| known.min(seconds));
                    self.conclusion.limit_duration = Some(shortest);
                }
                Effect::Conceal(secret) => self.conclusion.secrets.push(secret),
                // Refused by `check_meaning`.
                _ => {}
            }
        }
        if matches!(outcome.verdict, Verdict::Reject(_)) {
            self.conclusion.end.get_or_insert_with(|| CallVeto {
                plugin: plugin(),
                reason: one_line(outcome.reason),
            });
        }
    }

    fn check_meaning(&self, outcome: &Outcome) -> Result<(), PolicyFailure> {
        if !matches!(outcome.verdict, Verdict::Next | Verdict::Reject(_)) {
            return Err(PolicyFailure::BadVerdict {
                verdict: outcome.verdict.name(),
                reason: "it means nothing for a call event".to_owned(),
            });
        }
        let mut alerts = self.conclusion.alerts.len();
        let mut ticks = self.conclusion.ticks.len();
        let mut secrets = self.conclusion.secrets.len();
        for effect in &outcome.effects {
            match effect {
                Effect::Alert(_) => alerts += 1,
                Effect::TickAfter(_) => ticks += 1,
                Effect::Conceal(_) => secrets += 1,
                Effect::LimitDuration(_) => {}
                _ => {
                    return Err(PolicyFailure::BadEffect {
                        effect: effect.name(),
                        reason: "it means nothing for a call event".to_owned(),
                    });
                }
            }
        }
        let totals = [
            ("pipeline's alerts", alerts, PIPELINE_ALERTS),
            ("pipeline's ticks", ticks, PIPELINE_TICKS),
            ("pipeline's secrets", secrets, PIPELINE_SECRETS),
        ];
        match totals.into_iter().find(|(_, size, limit)| size > limit) {
            None => Ok(()),
            Some((what, _, limit)) => Err(PolicyFailure::OutcomeTooLarge { what, limit }),
        }
    }
}
