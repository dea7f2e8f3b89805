//! The end of an instance and the beginning of the next one. It takes longer than many a
//! call, so it is done apart from the executor, which serves calls meanwhile.

use std::sync::Arc;

use crate::executor::ExecutorFigures;
use crate::plugin::Plugin;
use crate::stock::Kept;

/// What is to be done for one plugin.
#[must_use = "until it is carried out the plugin lacks an instance"]
pub struct Renewal {
    /// Who lacks an instance; none if there are enough.
    pub(crate) plugin: Option<Arc<Plugin>>,
    /// What was used.
    pub(crate) spent: Option<Kept>,
}

/// What came of it, for the executor.
#[must_use = "the executor waits for it"]
pub struct Renewed {
    pub(crate) plugin: Arc<Plugin>,
    /// None if the pool has no room for it, or the plugin gave none.
    pub(crate) kept: Option<Kept>,
    pub(crate) made: u64,
}

impl Renewal {
    /// Throws away what was used, and makes what is missing.
    pub fn carry_out(self) -> Option<Renewed> {
        drop(self.spent);
        let plugin = self.plugin?;
        let mut figures = ExecutorFigures::default();
        let kept = match plugin.blueprint.occupancy.has_room() {
            true => begin(&plugin, &mut figures),
            false => None,
        };
        Some(Renewed {
            plugin,
            kept,
            made: figures.instances_made,
        })
    }
}

fn begin(plugin: &Plugin, figures: &mut ExecutorFigures) -> Option<Kept> {
    let _running = plugin.blueprint.ticker.running();
    match Kept::start(plugin, figures) {
        Ok(kept) => Some(kept),
        Err(failure) => {
            tracing::debug!(plugin = %plugin.name(), %failure, "no instance could be made ahead");
            None
        }
    }
}

impl std::fmt::Debug for Renewal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Renewal")
            .field("plugin", &self.plugin.as_ref().map(|plugin| plugin.name()))
            .field("spent", &self.spent.is_some())
            .finish()
    }
}

impl std::fmt::Debug for Renewed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Renewed")
            .field("plugin", self.plugin.name())
            .field("made", &self.made)
            .finish_non_exhaustive()
    }
}
