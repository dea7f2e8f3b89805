//! Runs pipelines as a worker of the proxy would, and says what happened in them.

use std::sync::Arc;

use policy::{
    CallConclusion, CallFacts, CallHappening, CallPass, Conclusion, ConsultId, PolicyFailure,
    RequestFacts, ResponseConclusion, ResponseFacts,
};
use policy_wasm::{Executor, Generation, PipelineSpec, Plugin, Selection};

use crate::stage::StageAccount;
use crate::trace::Trace;

/// A generation that is asked without a network. Its plugins must have been loaded with
/// services that the trace watches; see [`traced`](fn@crate::traced).
#[derive(Debug)]
pub struct Rehearsal {
    executor: Executor,
    generation: Arc<Generation>,
    trace: Trace,
    consults: u64,
}

/// What a pipeline made of a request.
#[derive(Debug)]
pub struct Judged {
    /// The decision and what goes with it.
    pub conclusion: Conclusion,
    /// Every plugin that was asked, in order.
    pub stages: Vec<StageAccount>,
}

impl Rehearsal {
    /// Asks this generation.
    ///
    /// # Errors
    /// A plugin gives no instance.
    pub fn new(
        generation: Arc<Generation>,
        trace: Trace,
    ) -> Result<Self, (Arc<str>, PolicyFailure)> {
        let mut executor = Executor::new();
        executor.warm(&generation)?;
        Ok(Self {
            executor,
            generation,
            trace,
            consults: 0,
        })
    }

    /// Asks one plugin about everything.
    ///
    /// # Errors
    /// It gives no instance.
    pub fn of_plugin(
        plugin: &Arc<Plugin>,
        trace: Trace,
    ) -> Result<Self, (Arc<str>, PolicyFailure)> {
        let alone = PipelineSpec {
            name: Arc::clone(plugin.name()),
            select: Selection::default(),
            plugins: vec![Arc::clone(plugin)],
        };
        Self::new(Arc::new(Generation::new(1, vec![alone])), trace)
    }

    /// What is asked.
    pub const fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    /// Judges a request.
    pub fn judge(&mut self, facts: RequestFacts) -> Judged {
        self.consults += 1;
        let mut score = facts.score;
        self.trace.take();
        let consult = ConsultId::new(self.consults);
        let conclusion = self.executor.judge(&self.generation, consult, facts);
        let mut watched = self.trace.take().into_iter();
        let reports = conclusion.trace.iter();
        let stages = reports.map(|report| {
            let mut stage = StageAccount::new(report, watched.next().unwrap_or_default(), score);
            score = stage.score;
            stage.conceal(&conclusion.account.secrets);
            stage
        });
        let stages = stages.collect();
        Judged { conclusion, stages }
    }

    /// Shows a response to the plugins that want to see it.
    pub fn judge_response(
        &mut self,
        pass: &CallPass,
        facts: ResponseFacts,
    ) -> Option<ResponseConclusion> {
        self.executor.judge_response(&self.generation, pass, facts)
    }

    /// Tells plugins what happened to a call.
    pub fn follow(
        &mut self,
        facts: &CallFacts,
        happening: &CallHappening,
        only: Option<&Arc<str>>,
    ) -> Option<CallConclusion> {
        self.executor
            .follow(&self.generation, facts, happening, only)
    }
}
