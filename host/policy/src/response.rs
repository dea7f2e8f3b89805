//! The fold over response hooks. A response of an admitted call always passes:
//! plugins may edit its headers or replace a final one, and a plugin that fails
//! is reported and left out.

use std::sync::Arc;

use sip_message::Method;

use crate::check::check_outcome;
use crate::decision::{RaisedAlert, Refusal, StageReport};
use crate::facts::ResponseFacts;
use crate::failure::PolicyFailure;
use crate::limits::{PIPELINE_ALERTS, PIPELINE_HEADER_BYTES, PIPELINE_HEADER_EDITS};
use crate::outcome::{Effect, HeaderEdit, Outcome, Verdict};
use crate::pipeline::{Pipeline, Stage};
use crate::text::one_line;

/// What becomes of a response.
#[derive(Debug)]
pub struct ResponseConclusion {
    /// A final response to send instead of the one that came.
    pub replacement: Option<Refusal>,
    /// Changes to the headers of the response that is forwarded.
    pub header_edits: Vec<HeaderEdit>,
    /// What the operator shall be told.
    pub alerts: Vec<RaisedAlert>,
    /// One entry for each plugin that was asked, in order.
    pub trace: Vec<StageReport>,
}

/// A response on its way past the response hooks of a pipeline.
#[derive(Debug)]
pub struct ResponseRun<'p> {
    pipeline: &'p Pipeline,
    facts: ResponseFacts,
    method: Method,
    stage: usize,
    asking: bool,
    next: usize,
    edit_bytes: usize,
    conclusion: ResponseConclusion,
}

impl<'p> ResponseRun<'p> {
    pub(crate) fn new(pipeline: &'p Pipeline, facts: ResponseFacts) -> Self {
        let method = facts.message.method();
        Self {
            pipeline,
            facts,
            method,
            stage: 0,
            asking: false,
            next: 0,
            edit_bytes: 0,
            conclusion: ResponseConclusion {
                replacement: None,
                header_edits: Vec::new(),
                alerts: Vec::new(),
                trace: Vec::new(),
            },
        }
    }

    /// The facts.
    pub fn facts(&self) -> &ResponseFacts {
        &self.facts
    }

    /// Place of the next stage that wants to see this method and for which
    /// `has_hook` says yes; none at the end.
    pub fn next_stage(&mut self, has_hook: impl Fn(usize) -> bool) -> Option<usize> {
        if self.conclusion.replacement.is_some() {
            return None;
        }
        if !self.asking {
            let remaining = self.pipeline.stages.iter().enumerate().skip(self.next);
            let (place, _) = remaining
                .filter(|(_, stage)| stage.methods.contains(self.method))
                .find(|(place, _)| has_hook(*place))?;
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
    pub fn conclude(self) -> ResponseConclusion {
        self.conclusion
    }

    fn accept(&mut self, stage: &Stage, outcome: Outcome) {
        for effect in outcome.effects {
            match effect {
                Effect::Header(edit) => {
                    self.edit_bytes += Effect::Header(edit.clone()).text_bytes();
                    self.conclusion.header_edits.push(edit);
                }
                Effect::Alert(alert) => {
                    let raised = RaisedAlert::new(&stage.name, alert);
                    self.conclusion.alerts.push(raised);
                }
                // Refused by `check_meaning`.
                _ => {}
            }
        }
        if let Verdict::Reject(rejection) = outcome.verdict {
            self.conclusion.replacement = Some(Refusal {
                status: rejection.status,
                phrase: rejection.phrase,
                headers: Vec::new(),
                retry_after: (rejection.retry_after > 0).then_some(rejection.retry_after),
                plugin: Arc::clone(&stage.name),
                reason: one_line(outcome.reason),
            });
        }
    }

    /// Only `next`, header edits, alerts and a rejection of a failed final
    /// response mean anything: a 2xx has already set up the call, so replacing
    /// it would leave the callee in a call that the caller knows nothing of.
    fn check_meaning(&self, outcome: &Outcome) -> Result<(), PolicyFailure> {
        let bad_verdict = |reason: &str| {
            Err(PolicyFailure::BadVerdict {
                verdict: outcome.verdict.name(),
                reason: reason.to_owned(),
            })
        };
        match outcome.verdict {
            Verdict::Next => {}
            Verdict::Reject(_) if self.facts.message.status().is_some_and(|s| s >= 300) => {}
            Verdict::Reject(_) => {
                return bad_verdict("only a final response of 300 to 699 can be replaced");
            }
            _ => return bad_verdict("it means nothing for a response"),
        }
        let mut edits = self.conclusion.header_edits.len();
        let mut bytes = self.edit_bytes;
        let mut alerts = self.conclusion.alerts.len();
        for effect in &outcome.effects {
            match effect {
                Effect::Header(_) => {
                    edits += 1;
                    bytes += effect.text_bytes();
                }
                Effect::Alert(_) => alerts += 1,
                _ => {
                    return Err(PolicyFailure::BadEffect {
                        effect: effect.name(),
                        reason: "it means nothing for a response".to_owned(),
                    });
                }
            }
        }
        let too_large = |what, limit| Err(PolicyFailure::OutcomeTooLarge { what, limit });
        if edits > PIPELINE_HEADER_EDITS {
            return too_large("pipeline's header edits", PIPELINE_HEADER_EDITS);
        }
        if bytes > PIPELINE_HEADER_BYTES {
            return too_large("pipeline's header bytes", PIPELINE_HEADER_BYTES);
        }
        if alerts > PIPELINE_ALERTS {
            return too_large("pipeline's alerts", PIPELINE_ALERTS);
        }
        Ok(())
    }
}
