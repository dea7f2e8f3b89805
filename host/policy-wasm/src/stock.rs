//! The instances that a worker has: ready ones, and used ones that are thrown away
//! when there is time for it.

use std::sync::{Arc, Weak};

use hashbrown::HashMap;
use policy::PolicyFailure;

use crate::executor::ExecutorFigures;
use crate::instance::Instance;
use crate::limits::Isolation;
use crate::plugin::Plugin;

/// Instances of one worker, by plugin.
#[derive(Default)]
pub(crate) struct Stock {
    slots: HashMap<usize, Slot>,
    /// Some slot may lack something.
    wanting: bool,
}

/// Those of one plugin, under the plugin's address. The weak reference keeps that
/// address from being given to another plugin.
struct Slot {
    plugin: Weak<Plugin>,
    ready: Vec<Kept>,
    /// Used once. With the ready ones never more than the plugin's isolation keeps.
    spent: Vec<Kept>,
}

/// Instances of plugins that are not asked any more. Throwing them away takes longer than
/// a call, so whoever has them chooses the moment.
#[must_use = "dropping it takes a while"]
#[derive(Default)]
pub struct Retired(Vec<Slot>);

impl std::fmt::Debug for Retired {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_tuple("Retired")
            .field(&self.0.len())
            .finish()
    }
}

/// An instance and how often it may still be called.
pub(crate) struct Kept {
    pub(crate) instance: Box<Instance>,
    calls_left: u32,
}

impl Stock {
    /// Instances that are ready.
    pub(crate) fn ready(&self) -> usize {
        self.slots.values().map(|slot| slot.ready.len()).sum()
    }

    /// Whether [`Stock::replenish`] has something to do.
    pub(crate) fn is_wanting(&self) -> bool {
        self.wanting
    }

    /// An instance of this plugin, made now if none is ready.
    pub(crate) fn take(
        &mut self,
        plugin: &Arc<Plugin>,
        figures: &mut ExecutorFigures,
    ) -> Result<Kept, PolicyFailure> {
        if let Some(kept) = self.slot(plugin).ready.pop() {
            return Ok(kept);
        }
        figures.instances_waited_for += 1;
        match Kept::start(plugin, figures) {
            // The pool may be full of what this worker keeps for later.
            Err(PolicyFailure::Instance(_)) if self.let_go() => Kept::start(plugin, figures),
            made => made,
        }
    }

    /// Keeps an instance after a call, or sees to its end.
    pub(crate) fn put_back(&mut self, plugin: &Arc<Plugin>, mut kept: Kept, is_sound: bool) {
        kept.calls_left = kept.calls_left.saturating_sub(1);
        let most = plugin.isolation.kept();
        let slot = self.slot(plugin);
        let has_room = slot.ready.len() + slot.spent.len() < most;
        if is_sound && kept.calls_left > 0 {
            if has_room {
                slot.ready.push(kept);
            }
            return;
        }
        // Throwing it away takes as long as the call did, so the answer goes first. Of a
        // plugin that is reused it happens too rarely to wait.
        if has_room && matches!(plugin.isolation, Isolation::SingleUse { .. }) {
            slot.spent.push(kept);
        }
        self.wanting |= most > 0;
    }

    /// Makes the first instance of a plugin, unless it keeps none or the pool is full of
    /// those that others made ahead.
    pub(crate) fn begin(
        &mut self,
        plugin: &Arc<Plugin>,
        figures: &mut ExecutorFigures,
    ) -> Result<(), PolicyFailure> {
        let slot = self.slot(plugin);
        if slot.ready.is_empty() && plugin.isolation.kept() > 0 {
            let _running = plugin.blueprint.ticker.running();
            match Kept::start(plugin, figures) {
                Ok(kept) => slot.ready.push(kept),
                Err(failure) if plugin.blueprint.occupancy.has_room() => return Err(failure),
                Err(_) => {}
            }
            self.wanting = true;
        }
        Ok(())
    }

    /// Throws one used instance away and makes one that is missing.
    pub(crate) fn replenish(&mut self, figures: &mut ExecutorFigures) {
        self.wanting = self
            .slots
            .values_mut()
            .any(|slot| slot.is_wanting() && slot.step(figures));
    }

    /// Hands out the instances of all plugins but these, which are named by their address.
    pub(crate) fn retire(&mut self, but: &[usize]) -> Retired {
        let gone = self.slots.extract_if(|plugin, _| !but.contains(plugin));
        Retired(gone.map(|(_, slot)| slot).collect())
    }

    /// Drops the instances of plugins that nobody holds any more.
    pub(crate) fn sweep(&mut self) {
        self.slots.retain(|_, slot| slot.plugin.strong_count() > 0);
    }

    /// Drops all that is not in use. False if there was nothing.
    fn let_go(&mut self) -> bool {
        let mut kept = 0;
        for slot in self.slots.values_mut() {
            kept += slot.ready.len() + slot.spent.len();
            slot.ready.clear();
            slot.spent.clear();
        }
        kept > 0
    }

    fn slot(&mut self, plugin: &Arc<Plugin>) -> &mut Slot {
        self.slots
            .entry(Arc::as_ptr(plugin).addr())
            .or_insert_with(|| Slot {
                plugin: Arc::downgrade(plugin),
                ready: Vec::new(),
                spent: Vec::new(),
            })
    }
}

impl Slot {
    fn is_wanting(&self) -> bool {
        let kept = self.plugin.upgrade().map(|plugin| plugin.isolation.kept());
        !self.spent.is_empty() || kept.is_some_and(|kept| self.ready.len() < kept)
    }

    /// One out, one in. False if the pool has no room for it: then calls make their own,
    /// and this is tried again after the next of them.
    fn step(&mut self, figures: &mut ExecutorFigures) -> bool {
        drop(self.spent.pop());
        let Some(plugin) = self.plugin.upgrade() else {
            return true;
        };
        if self.ready.len() >= plugin.isolation.kept() {
            return true;
        }
        if !plugin.blueprint.occupancy.has_room() {
            return false;
        }
        let _running = plugin.blueprint.ticker.running();
        match Kept::start(&plugin, figures) {
            Ok(kept) => {
                self.ready.push(kept);
                true
            }
            Err(failure) => {
                tracing::debug!(plugin = %plugin.name(), %failure, "no instance could be made ahead");
                false
            }
        }
    }
}

impl Kept {
    fn start(plugin: &Plugin, figures: &mut ExecutorFigures) -> Result<Self, PolicyFailure> {
        figures.instances_made += 1;
        let instance = Instance::start_configured(&plugin.blueprint)?;
        let calls_left = match plugin.isolation {
            Isolation::SingleUse { .. } | Isolation::PerCall => 1,
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
            instance: Box::new(instance),
            calls_left,
        })
    }
}
