//! Runs pipelines on one worker thread: keeps the instances, asks them in
//! order, measures, and throws away what failed or grew old.

use std::sync::{Arc, Weak};
use std::time::Instant;

use hashbrown::HashMap;
use policy::{
    CallConclusion, CallFacts, CallHappening, CallPass, Conclusion, ConsultId, DialogState,
    PolicyFailure, RequestFacts, ResponseConclusion, ResponseFacts,
};
use sip_message::Method;

use crate::facts::FactsText;
use crate::generation::Generation;
use crate::host::Consultation;
use crate::instance::{Answer, Instance};
use crate::limits::Isolation;
use crate::plugin::Plugin;

/// Calls between two looks for instances that nobody needs any more. 4096: a
/// fraction of a second under load.
const SWEEP_CALLS: u32 = 4096;

/// Asks plugins on behalf of one worker. Not shared between threads.
#[derive(Default)]
pub struct Executor {
    slots: HashMap<usize, Slot>,
    facts: FactsText,
    consultation: Consultation,
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

    /// Judges a request by the pipeline of the generation that matches it.
    pub fn judge(
        &mut self,
        generation: &Arc<Generation>,
        consult: ConsultId,
        facts: RequestFacts,
    ) -> Conclusion {
        self.observe(generation);
        let entry = generation.entry(&facts);
        let mut run = entry.requests.begin(consult, facts);
        let mut first = true;
        let mut consultation = std::mem::take(&mut self.consultation);
        let begins_call = run.facts().message.method() == Method::Invite
            && run.facts().dialog == DialogState::None;
        // Those that are not admitted drop it, and with it what they held.
        let plugins = entry.request_plugins.first();
        let holdings = plugins
            .filter(|_| begins_call && entry.leases)
            .map(|plugin| plugin.blueprint.services.leases.open());
        if let Some(holdings) = &holdings {
            run.hold(Arc::clone(holdings));
        }
        consultation.begin(holdings, run.facts().peer.tls);
        let mut mark = Instant::now();
        while run.next_stage().is_some() {
            if std::mem::take(&mut first) {
                self.facts.fill(run.facts());
            } else {
                self.facts.refresh(run.facts(), run.rewrites());
            }
            let answer = match entry.request_plugins.get(run.stage_index()) {
                Some(plugin) => self.ask(plugin, |instance, text| match text.request() {
                    Some(facts) => {
                        let RequestFacts { message, peer, .. } = run.facts();
                        instance.on_request(facts, message, peer.address, &mut consultation)
                    }
                    None => Err(PolicyFailure::Missing("facts".to_owned())),
                }),
                None => Err(PolicyFailure::Missing("plugin of the stage".to_owned())),
            };
            let answer = answer.map(|answer| {
                if let Some(realm) = answer.verified_realm {
                    run.verified_realm(realm);
                }
                answer.outcome
            });
            run.apply(answer, lap(&mut mark));
        }
        consultation.begin(None, None);
        self.consultation = consultation;
        run.conclude()
    }

    /// Shows a response to the plugins of the call's pipeline that have a hook
    /// for it. None if there is no such plugin: the response then passes as it
    /// is.
    pub fn judge_response(
        &mut self,
        generation: &Arc<Generation>,
        pass: &CallPass,
        facts: ResponseFacts,
    ) -> Option<ResponseConclusion> {
        let entry = generation.response_entry(pass)?;
        self.observe(generation);
        let mut run = entry.responses.begin_response(facts);
        let mut mark = Instant::now();
        while let Some(place) = run.next_stage(|_| true) {
            let answer = match entry.response_plugins.get(place) {
                Some(plugin) => self.ask(plugin, |instance, text| {
                    let facts = run.facts();
                    instance.on_response(text.response(facts), &facts.message)
                }),
                None => Err(PolicyFailure::Missing("plugin of the stage".to_owned())),
            };
            run.apply(answer.map(|answer| answer.outcome), lap(&mut mark));
        }
        Some(run.conclude())
    }

    /// Shows the plugins of the call's pipeline what happened to it; only the named one,
    /// if it is for one. None if there is no such plugin.
    pub fn follow(
        &mut self,
        generation: &Arc<Generation>,
        facts: &CallFacts,
        happening: &CallHappening,
        only: Option<&Arc<str>>,
    ) -> Option<CallConclusion> {
        let entry = generation.call_entry(&facts.pass)?;
        self.observe(generation);
        let mut run = entry.calls.begin_call(only.cloned());
        let mut consultation = std::mem::take(&mut self.consultation);
        consultation.begin(facts.pass.holdings().cloned(), None);
        let mut mark = Instant::now();
        while let Some(place) = run.next_stage() {
            let answer = match entry.call_plugins.get(place) {
                Some(plugin) => self.ask(plugin, |instance, text| {
                    let (facts, event) = text.call(facts, happening);
                    instance.on_call_event(facts, event, &mut consultation)
                }),
                None => Err(PolicyFailure::Missing("plugin of the stage".to_owned())),
            };
            run.apply(answer.map(|answer| answer.outcome), lap(&mut mark));
        }
        consultation.begin(None, None);
        self.consultation = consultation;
        Some(run.conclude())
    }

    /// Drops the instances of plugins that no generation holds any more. Done
    /// by itself when the generation changes and every few thousand calls.
    pub fn sweep(&mut self) {
        self.slots.retain(|_, slot| slot.plugin.strong_count() > 0);
        self.calls_until_sweep = SWEEP_CALLS;
    }

    fn observe(&mut self, generation: &Generation) {
        self.calls_until_sweep = self.calls_until_sweep.saturating_sub(1);
        if self.calls_until_sweep == 0 || self.generation != Some(generation.id()) {
            self.generation = Some(generation.id());
            self.sweep();
        }
    }

    fn ask(
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

/// Microseconds since the mark, which moves to now: one look at the clock for
/// each stage.
fn lap(mark: &mut Instant) -> u64 {
    let now = Instant::now();
    let micros = now.duration_since(*mark).as_micros();
    *mark = now;
    u64::try_from(micros).unwrap_or(u64::MAX)
}
