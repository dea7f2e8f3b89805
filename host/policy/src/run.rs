//! The fold: one request, the stages in order, and what they pile up.
//!
//! ```text
//! let mut run = pipeline.begin(consult, facts);
//! while let Some(stage) = run.next_stage() {
//!     run.apply(ask(stage, run.facts()), elapsed_us);
//! }
//! let conclusion = run.conclude();
//! ```

use std::sync::Arc;

use crate::check::check_outcome;
use crate::decision::{RaisedAlert, ScoredPoints, StageReport};
use crate::facts::{ConsultId, RequestFacts};
use crate::failure::PolicyFailure;
use crate::holdings::Holdings;
use crate::limits::{
    PIPELINE_ALERTS, PIPELINE_ANNOTATION_BYTES, PIPELINE_ANNOTATIONS, PIPELINE_HEADER_BYTES,
    PIPELINE_HEADER_EDITS, PIPELINE_POINTS, PIPELINE_SECRETS, PIPELINE_TICKS,
};
use crate::outcome::{Effect, HeaderEdit, MediaRequirement, Outcome, Verdict};
use crate::permit::{Rewrites, TickWish};
use crate::pipeline::{OnFailure, Pipeline, Stage};
use crate::text::one_line;

/// A request on its way through a pipeline.
#[derive(Debug)]
pub struct Run<'p> {
    pub(crate) pipeline: &'p Pipeline,
    pub(crate) consult: ConsultId,
    pub(crate) facts: RequestFacts,
    /// The stage that is being asked; its answer is awaited while `asking`.
    stage: usize,
    asking: bool,
    /// Who answers in the place of that stage.
    stand_in: Option<&'p Stage>,
    /// Where to look for the next stage.
    next: usize,
    pub(crate) judged: bool,
    pub(crate) end: Option<End>,
    pub(crate) gathered: Gathered,
    pub(crate) alerts: Vec<RaisedAlert>,
    pub(crate) trace: Vec<StageReport>,
}

/// Why a run ended before its last stage.
#[derive(Debug)]
pub(crate) enum End {
    Verdict(Arc<str>, Verdict, String),
    Failure(Arc<str>, PolicyFailure),
}

/// Effects that an admission would carry.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) header_edits: Vec<HeaderEdit>,
    pub(crate) header_bytes: usize,
    pub(crate) annotation_bytes: usize,
    pub(crate) limit_duration: Option<u32>,
    pub(crate) route: Option<String>,
    pub(crate) media_requirement: MediaRequirement,
    pub(crate) verified_realm: Option<String>,
    pub(crate) rewrites: Option<Box<Rewrites>>,
    pub(crate) ticks: Vec<TickWish>,
    pub(crate) points: Vec<ScoredPoints>,
    pub(crate) secrets: Vec<String>,
    pub(crate) holdings: Option<Arc<dyn Holdings>>,
}

impl<'p> Run<'p> {
    pub(crate) fn new(pipeline: &'p Pipeline, consult: ConsultId, facts: RequestFacts) -> Self {
        let annotation_bytes = annotations_bytes(&facts.annotations);
        Self {
            pipeline,
            consult,
            facts,
            stage: 0,
            asking: false,
            stand_in: None,
            next: 0,
            judged: false,
            end: None,
            gathered: Gathered {
                annotation_bytes,
                ..Gathered::default()
            },
            alerts: Vec::new(),
            trace: Vec::with_capacity(pipeline.stages.len()),
        }
    }

    /// The facts as the next stage shall see them.
    pub fn facts(&self) -> &RequestFacts {
        &self.facts
    }

    /// Addresses that earlier stages chose, which the next stage shall see instead of
    /// those in the message. A request of a dialog keeps its own.
    pub fn rewrites(&self) -> Option<&Rewrites> {
        let rewrites = self.gathered.rewrites.as_deref();
        rewrites.filter(|_| self.facts.message.to_tag().is_none())
    }

    /// The question that is being answered.
    pub fn consult(&self) -> ConsultId {
        self.consult
    }

    /// The next stage to ask, or none when the run has ended. Until
    /// [`Run::apply`] has its answer, it is the same stage again.
    pub fn next_stage(&mut self) -> Option<&'p Stage> {
        if self.end.is_some() {
            return None;
        }
        if !self.asking {
            let method = self.facts.message.method();
            let remaining = self.pipeline.stages.get(self.next..)?;
            let skipped = remaining
                .iter()
                .position(|stage| stage.methods.contains(method))?;
            self.stage = self.next + skipped;
            self.next = self.stage + 1;
            self.asking = true;
        }
        self.pipeline.stages.get(self.stage)
    }

    /// Place of the stage that [`Run::next_stage`] returned, counted from 0.
    pub fn stage_index(&self) -> usize {
        self.stage
    }

    /// Notes that the host verified credentials for this realm during the
    /// current stage, so that they need not travel further: RFC 3261 section
    /// 22.3. Counts only if the request is admitted.
    pub fn verified_realm(&mut self, realm: String) {
        self.gathered.verified_realm = Some(realm);
    }

    /// Notes what the host holds for this request in `leases`. An admission carries
    /// it on; otherwise it is dropped with the run.
    pub fn hold(&mut self, holdings: Arc<dyn Holdings>) {
        self.gathered.holdings = Some(holdings);
    }

    /// The current stage is a candidate and failed: notes that, and lets the stage of the
    /// version in use answer instead. Without one, that version would not have been
    /// asked either, and the run goes on.
    pub fn fall_back(
        &mut self,
        failure: &PolicyFailure,
        elapsed_us: u64,
        stand_in: Option<&'p Stage>,
    ) {
        let pipeline = self.pipeline;
        let Some(stage) = pipeline.stages.get(self.stage).filter(|_| self.asking) else {
            return;
        };
        self.trace.push(StageReport {
            plugin: Arc::clone(&stage.name),
            version: stage.version.clone(),
            verdict: "failed",
            reason: String::new(),
            micros: elapsed_us,
            failure: Some(one_line(failure.to_string())),
        });
        self.asking = stand_in.is_some();
        self.stand_in = stand_in;
    }

    /// Takes the current stage's answer and how long it took in microseconds.
    /// Without a stage that was asked, nothing happens. False if the answer was none, or
    /// none that could be used.
    pub fn apply(&mut self, answer: Result<Outcome, PolicyFailure>, elapsed_us: u64) -> bool {
        if !self.asking {
            return true;
        }
        self.asking = false;
        let pipeline = self.pipeline;
        let stage = self.stand_in.take();
        let Some(stage) = stage.or_else(|| pipeline.stages.get(self.stage)) else {
            return true;
        };
        let answer = answer.and_then(|outcome| {
            check_outcome(&outcome, stage.grants, &stage.limits)?;
            self.check_totals(&outcome.effects)?;
            Ok(outcome)
        });
        let usable = answer.is_ok();
        match answer {
            Ok(outcome) => self.accept(stage, outcome, elapsed_us),
            Err(failure) => self.fail(stage, failure, elapsed_us),
        }
        usable
    }

    fn accept(&mut self, stage: &Stage, outcome: Outcome, micros: u64) {
        self.judged = true;
        let reason = one_line(outcome.reason);
        for effect in outcome.effects {
            self.gather(stage, effect);
        }
        let ends = !matches!(outcome.verdict, Verdict::Next);
        self.trace.push(StageReport {
            plugin: Arc::clone(&stage.name),
            version: stage.version.clone(),
            verdict: outcome.verdict.name(),
            reason: if ends { reason.clone() } else { String::new() },
            micros,
            failure: None,
        });
        if ends {
            self.end = Some(End::Verdict(
                Arc::clone(&stage.name),
                outcome.verdict,
                reason,
            ));
        } else if let Some(report) = self.trace.last_mut() {
            report.reason = reason;
        }
    }

    fn fail(&mut self, stage: &Stage, failure: PolicyFailure, micros: u64) {
        self.trace.push(StageReport {
            plugin: Arc::clone(&stage.name),
            version: stage.version.clone(),
            verdict: "failed",
            reason: String::new(),
            micros,
            failure: Some(one_line(failure.to_string())),
        });
        match stage.on_failure {
            OnFailure::Deny => self.end = Some(End::Failure(Arc::clone(&stage.name), failure)),
            // The operator wrote that this plugin's silence is consent.
            OnFailure::Next => self.judged = true,
        }
    }

    fn gather(&mut self, stage: &Stage, effect: Effect) {
        match effect {
            Effect::Header(edit) => {
                self.gathered.header_bytes += edit_bytes(&edit);
                self.gathered.header_edits.push(edit);
            }
            Effect::Annotate { key, value } => {
                self.gathered.annotation_bytes += key.len() + value.len();
                self.facts.annotations.push((key, value));
            }
            Effect::Score { amount, reason } => {
                self.facts.score = self.facts.score.saturating_add(amount);
                self.gathered.points.push(ScoredPoints {
                    plugin: Arc::clone(&stage.name),
                    amount,
                    reason: one_line(reason),
                });
            }
            Effect::Identify(identity) => self.facts.identity = Some(identity),
            Effect::LimitDuration(seconds) => {
                let shortest = self
                    .gathered
                    .limit_duration
                    .map_or(seconds, |s| s.min(seconds));
                self.gathered.limit_duration = Some(shortest);
            }
            Effect::Route(peer) => self.gathered.route = Some(peer),
            Effect::RequireMedia(requirement) => {
                let strictest = self.gathered.media_requirement.max(requirement);
                self.gathered.media_requirement = strictest;
            }
            Effect::Alert(alert) => self.alerts.push(RaisedAlert::new(&stage.name, alert)),
            Effect::TickAfter(seconds) => self.gathered.ticks.push(TickWish {
                plugin: Arc::clone(&stage.name),
                seconds,
            }),
            Effect::SetRequestUri(uri) => self.chosen().request_uri = Some(uri),
            Effect::SetFrom(address) => self.chosen().from = Some(address),
            Effect::SetTo(address) => self.chosen().to = Some(address),
            // Two plugins may have seen the same one.
            Effect::Conceal(secret) if self.gathered.secrets.contains(&secret) => {}
            Effect::Conceal(secret) => self.gathered.secrets.push(secret),
            // Refused by `check_outcome`.
            Effect::Other { .. } => {}
        }
    }

    /// Most requests keep their addresses.
    fn chosen(&mut self) -> &mut Rewrites {
        self.gathered.rewrites.get_or_insert_default()
    }

    /// What one outcome may add to what the pipeline has gathered.
    fn check_totals(&self, effects: &[Effect]) -> Result<(), PolicyFailure> {
        let mut edits = self.gathered.header_edits.len();
        let mut edit_size = self.gathered.header_bytes;
        let mut annotations = self.facts.annotations.len();
        let mut annotation_size = self.gathered.annotation_bytes;
        let mut alerts = self.alerts.len();
        let mut ticks = self.gathered.ticks.len();
        let mut secrets = self.gathered.secrets.len();
        let mut points = self.gathered.points.len();
        for effect in effects {
            match effect {
                Effect::Header(edit) => {
                    edits += 1;
                    edit_size += edit_bytes(edit);
                }
                Effect::Annotate { key, value } => {
                    annotations += 1;
                    annotation_size += key.len() + value.len();
                }
                Effect::Alert(_) => alerts += 1,
                Effect::TickAfter(_) => ticks += 1,
                Effect::Conceal(secret) if self.gathered.secrets.contains(secret) => {}
                Effect::Conceal(_) => secrets += 1,
                Effect::Score { .. } => points += 1,
                _ => {}
            }
        }
        let totals = [
            ("pipeline's header edits", edits, PIPELINE_HEADER_EDITS),
            ("pipeline's header bytes", edit_size, PIPELINE_HEADER_BYTES),
            ("pipeline's annotations", annotations, PIPELINE_ANNOTATIONS),
            (
                "pipeline's annotation bytes",
                annotation_size,
                PIPELINE_ANNOTATION_BYTES,
            ),
            ("pipeline's alerts", alerts, PIPELINE_ALERTS),
            ("pipeline's ticks", ticks, PIPELINE_TICKS),
            ("pipeline's secrets", secrets, PIPELINE_SECRETS),
            ("pipeline's points", points, PIPELINE_POINTS),
        ];
        match totals.into_iter().find(|(_, size, limit)| size > limit) {
            None => Ok(()),
            Some((what, _, limit)) => Err(PolicyFailure::OutcomeTooLarge { what, limit }),
        }
    }
}

fn edit_bytes(edit: &HeaderEdit) -> usize {
    edit.name().len() + edit.value().map_or(0, <[u8]>::len)
}

fn annotations_bytes(annotations: &[(String, String)]) -> usize {
    annotations
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum()
}
