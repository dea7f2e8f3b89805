//! The instances of one worker thread: keeps them, and throws away what failed or
//! grew old. Whom they are asked on behalf of is in `judging`.

use std::sync::{Arc, Weak};

use hashbrown::HashMap;
use policy::PolicyFailure;

use crate::facts::FactsText;
use crate::generation::Generation;
use crate::host::Consultation;
use crate::instance::{Answer, Instance};
use crate::limits::Isolation;
use crate::plugin::Plugin;
use crate::rehearsal::Rehearsal;

/// Calls between two looks for instances that nobody needs any more. 4096: a
/// fraction of a second under load.
const SWEEP_CALLS: u32 = 4096;

/// Asks plugins on behalf of one worker. Not shared between threads.
#[derive(Default)]
pub struct Executor {
    slots: HashMap<usize, Slot>,
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
    /// Instances kept now.
    pub instances: usize,
}

/// The kept instance of one plugin, under the plugin's address. The weak
/// reference keeps that address from being given to another plugin.
struct Slot {
    plugin: Weak<Plugin>,
    kept: Option<Kept>,
}

struct Kept {
    instance: Instance,
    calls_left: u32,
}

impl Executor {
    /// An executor without instances; they are made when they are needed.
    pub fn new() -> Self {
        Self::default()
    }

    /// What it has done so far.
    pub fn figures(&self) -> ExecutorFigures {
        ExecutorFigures {
            instances: self
                .slots
                .values()
                .filter(|slot| slot.kept.is_some())
                .count(),
            ..self.figures
        }
    }

    /// Makes the instances of a generation before its first request.
    ///
    /// # Errors
    /// The first plugin that gives none, and why.
    pub fn warm(&mut self, generation: &Generation) -> Result<(), (Arc<str>, PolicyFailure)> {
        self.observe(generation);
        for plugin in generation.plugins() {
            if plugin.isolation == Isolation::PerCall {
                continue;
            }
            let slot = slot(&mut self.slots, plugin);
            let _running = plugin.blueprint.ticker.running();
            if slot.kept.is_none() {
                let kept = Kept::start(plugin, &mut self.figures)
                    .map_err(|failure| (Arc::clone(plugin.name()), failure))?;
                slot.kept = Some(kept);
            }
        }
        Ok(())
    }

    /// Drops the instances of plugins that no generation holds any more. Done
    /// by itself when the generation changes and every few thousand calls.
    pub fn sweep(&mut self) {
        self.slots.retain(|_, slot| slot.plugin.strong_count() > 0);
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
        let answer = match plugin.isolation {
            Isolation::PerCall => {
                self.figures.instances_made += 1;
                Instance::start_configured(&plugin.blueprint)
                    .and_then(|mut instance| call(&mut instance, &mut self.facts))
            }
            Isolation::Reuse { .. } => {
                let slot = slot(&mut self.slots, plugin);
                // Taken out of the slot, so that whatever fails is dropped.
                let kept = match slot.kept.take() {
                    Some(kept) => Ok(kept),
                    None => Kept::start(plugin, &mut self.figures),
                };
                kept.and_then(|mut kept| {
                    let answer = call(&mut kept.instance, &mut self.facts)?;
                    kept.calls_left = kept.calls_left.saturating_sub(1);
                    if kept.calls_left > 0 {
                        slot.kept = Some(kept);
                    }
                    Ok(answer)
                })
            }
        };
        self.figures.failures += u64::from(answer.is_err());
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

impl Kept {
    fn start(plugin: &Plugin, figures: &mut ExecutorFigures) -> Result<Self, PolicyFailure> {
        figures.instances_made += 1;
        let instance = Instance::start_configured(&plugin.blueprint)?;
        let calls_left = match plugin.isolation {
            Isolation::PerCall => 1,
            Isolation::Reuse {
                min_calls,
                max_calls,
            } => {
                let spread = u64::from(max_calls.saturating_sub(min_calls)) + 1;
                let extra = plugin.blueprint.services.random.next_u64() % spread;
                min_calls.saturating_add(u32::try_from(extra).unwrap_or(0))
            }
        };
        Ok(Self {
            instance,
            calls_left,
        })
    }
}

fn slot<'s>(slots: &'s mut HashMap<usize, Slot>, plugin: &Arc<Plugin>) -> &'s mut Slot {
    slots
        .entry(Arc::as_ptr(plugin).addr())
        .or_insert_with(|| Slot {
            plugin: Arc::downgrade(plugin),
            kept: None,
        })
}
