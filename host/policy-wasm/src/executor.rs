//! The instances of one worker thread: keeps them, and throws away what failed or
//! grew old. Whom they are asked on behalf of is in `judging`.

use std::sync::Arc;

use policy::PolicyFailure;

use crate::facts::FactsText;
use crate::generation::Generation;
use crate::host::Consultation;
use crate::instance::{Answer, Instance};
use crate::plugin::Plugin;
use crate::provisions::Provisions;
use crate::rehearsal::Rehearsal;
use crate::renewal::{Renewal, Renewed};
use crate::stock::{Retired, Stock};

/// Calls between two looks for instances that nobody needs any more. 4096: a
/// fraction of a second under load.
const SWEEP_CALLS: u32 = 4096;

/// Asks plugins on behalf of one worker. Not shared between threads.
#[derive(Default)]
pub struct Executor {
    stock: Stock,
    pub(crate) facts: FactsText,
    pub(crate) consultation: Consultation,
    /// What shadows shall be asked.
    pub(crate) rehearsals: Vec<Rehearsal>,
    generation: Option<u64>,
    calls_until_sweep: u32,
    figures: ExecutorFigures,
}

/// What an executor has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExecutorFigures {
    /// Calls of hooks.
    pub calls: u64,
    /// Calls that failed; the instance was dropped.
    pub failures: u64,
    /// Instances made.
    pub instances_made: u64,
    /// Those of them that a call had to wait for.
    pub instances_waited_for: u64,
    /// Instances kept now.
    pub instances: usize,
}

impl Executor {
    /// An executor without instances; they are made when they are needed.
    pub fn new() -> Self {
        Self::default()
    }

    /// What it has done so far.
    pub fn figures(&self) -> ExecutorFigures {
        ExecutorFigures {
            instances: self.stock.ready(),
            ..self.figures
        }
    }

    /// Makes the instances of a generation before its first request.
    ///
    /// # Errors
    /// The first plugin that gives none, and why.
    pub fn warm(&mut self, generation: &Generation) -> Result<(), (Arc<str>, PolicyFailure)> {
        let (provisions, made) = Provisions::make(generation, None);
        drop(self.turn_to(generation, provisions));
        made?;
        // One of each has room before some have several.
        while self.wants_instances() {
            self.replenish();
        }
        Ok(())
    }

    /// Goes over to another generation while calls wait: takes what was made for it and
    /// leaves what else it lacks to [`Executor::replenish`]. Instances of plugins that are
    /// not in it, and those that are too many, are handed out.
    pub fn turn_to(&mut self, generation: &Generation, provisions: Provisions) -> Retired {
        let address = |plugin: &Arc<Plugin>| Arc::as_ptr(plugin).addr();
        let plugins: Vec<usize> = generation.plugins().map(address).collect();
        self.generation = Some(generation.id());
        self.figures.instances_made += provisions.made;
        let mut retired = self.stock.retire(&plugins);
        for (plugin, kept) in provisions.instances {
            self.stock.add(&plugin, kept, &mut retired);
        }
        retired
    }

    /// Whether [`Executor::renewal`] may have something to do.
    pub fn wants_instances(&self) -> bool {
        self.stock.is_wanting()
    }

    /// An instance that was used and the one that follows it, if any plugin lacks one. It is
    /// carried out after answers are sent, until [`Executor::wants_instances`] is false, so
    /// that no call has to wait for it.
    pub fn renewal(&mut self) -> Option<Renewal> {
        self.stock.renewal()
    }

    /// Takes what a renewal has made. What nobody lacks any more is handed out.
    pub fn renewed(&mut self, renewed: Renewed) -> Retired {
        self.figures.instances_made += renewed.made;
        self.stock.renewed(renewed)
    }

    /// The same at once, for those who have the executor to themselves.
    pub fn replenish(&mut self) {
        if let Some(renewed) = self.renewal().and_then(Renewal::carry_out) {
            drop(self.renewed(renewed));
        }
    }

    /// Drops the instances of plugins that no generation holds any more. Done
    /// by itself when the generation changes and every few thousand calls.
    pub fn sweep(&mut self) {
        self.stock.sweep();
        self.calls_until_sweep = SWEEP_CALLS;
    }

    pub(crate) fn observe(&mut self, generation: &Generation) {
        self.calls_until_sweep = self.calls_until_sweep.saturating_sub(1);
        if self.calls_until_sweep == 0 || self.generation != Some(generation.id()) {
            self.generation = Some(generation.id());
            self.sweep();
        }
    }

    /// Calls a hook of a kept or fresh instance.
    pub(crate) fn ask(
        &mut self,
        plugin: &Arc<Plugin>,
        call: impl FnOnce(&mut Instance, &mut FactsText) -> Result<Answer, PolicyFailure>,
    ) -> Result<Answer, PolicyFailure> {
        self.figures.calls += 1;
        let _running = plugin.blueprint.ticker.running();
        let answer = self
            .stock
            .take(plugin, &mut self.figures)
            .and_then(|mut kept| {
                let answer = call(&mut kept.instance, &mut self.facts);
                self.stock.put_back(plugin, kept, answer.is_ok());
                answer
            });
        self.figures.failures += u64::from(answer.is_err());
        if let Some(observer) = &plugin.blueprint.services.observer {
            let told = answer.as_ref().map(|answer| &answer.outcome);
            observer.answered(plugin.name(), told);
        }
        answer
    }
}

impl std::fmt::Debug for Executor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Executor")
            .field("generation", &self.generation)
            .field("figures", &self.figures())
            .finish_non_exhaustive()
    }
}
