//! The instances that a worker has: ready ones, and used ones that are thrown away
//! when there is time for it.

use std::sync::{Arc, Weak};

use hashbrown::HashMap;
use policy::PolicyFailure;

use crate::executor::ExecutorFigures;
use crate::instance::Instance;
use crate::limits::Isolation;
use crate::plugin::Plugin;
use crate::renewal::{Renewal, Renewed};

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
    /// None could be made ahead: calls make their own, and it is tried again after the next.
    rests: bool,
}

/// Instances of plugins that are not asked any more. Throwing them away takes longer than
/// a call, so whoever has them chooses the moment.
#[must_use = "dropping it takes a while"]
#[derive(Default)]
pub struct Retired {
    slots: Vec<Slot>,
    /// Of plugins that have enough.
    surplus: Vec<Kept>,
}

impl std::fmt::Debug for Retired {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Retired")
            .field("plugins", &self.slots.len())
            .field("surplus", &self.surplus.len())
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

    /// Whether [`Stock::renewal`] may have something to do.
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
        slot.rests = false;
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

    /// Takes an instance that was made ahead, or retires it if there are enough.
    pub(crate) fn add(&mut self, plugin: &Arc<Plugin>, kept: Kept, retired: &mut Retired) {
        let most = plugin.isolation.kept();
        let slot = self.slot(plugin);
        if slot.ready.len() + slot.spent.len() < most {
            slot.ready.push(kept);
        } else {
            retired.surplus.push(kept);
        }
    }

    /// The next used instance that is to be thrown away, and whose is missing.
    pub(crate) fn renewal(&mut self) -> Option<Renewal> {
        let renewal = self.slots.values_mut().find_map(Slot::renewal);
        self.wanting = renewal.is_some();
        renewal
    }

    /// Takes the instance that a renewal has made.
    pub(crate) fn renewed(&mut self, renewed: Renewed) -> Retired {
        let mut retired = Retired::default();
        let plugin = Arc::as_ptr(&renewed.plugin).addr();
        match (self.slots.get_mut(&plugin), renewed.kept) {
            (Some(_), Some(kept)) => self.add(&renewed.plugin, kept, &mut retired),
            (Some(slot), None) => slot.rests = true,
            // The plugin is not asked any more.
            (None, kept) => retired.surplus.extend(kept),
        }
        retired
    }

    /// Hands out the instances of all plugins but these, which are named by their address.
    /// Of these some may be missing.
    pub(crate) fn retire(&mut self, but: &[usize]) -> Retired {
        self.wanting = true;
        let gone = self.slots.extract_if(|plugin, _| !but.contains(plugin));
        Retired {
            slots: gone.map(|(_, slot)| slot).collect(),
            surplus: Vec::new(),
        }
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
                rests: false,
            })
    }
}

impl Slot {
    fn renewal(&mut self) -> Option<Renewal> {
        let spent = self.spent.pop();
        let lacks = |plugin: &Arc<Plugin>| {
            !self.rests && self.ready.len() + self.spent.len() < plugin.isolation.kept()
        };
        let plugin = self.plugin.upgrade().filter(lacks);
        (spent.is_some() || plugin.is_some()).then_some(Renewal { plugin, spent })
    }
}

impl Kept {
    pub(crate) fn start(
        plugin: &Plugin,
        figures: &mut ExecutorFigures,
    ) -> Result<Self, PolicyFailure> {
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
