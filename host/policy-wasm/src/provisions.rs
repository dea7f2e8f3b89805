//! Instances that are made before an executor turns to another generation: whoever holds
//! it then keeps calls waiting for no longer than it takes to hand them over.

use std::sync::Arc;

use policy::PolicyFailure;

use crate::executor::ExecutorFigures;
use crate::generation::Generation;
use crate::plugin::Plugin;
use crate::stock::Kept;

/// Instances of each plugin that an executor does not know yet.
#[derive(Default)]
pub struct Provisions {
    pub(crate) instances: Vec<(Arc<Plugin>, Kept)>,
    pub(crate) made: u64,
}

impl Provisions {
    /// Makes as many as are kept ready of each plugin that is asked in a generation and was
    /// not in the one before, as far as the pool has room: calls then make their own. Beside
    /// them, the first plugin that gives no instance, and why; those after it have none.
    pub fn make(
        generation: &Generation,
        before: Option<&Generation>,
    ) -> (Self, Result<(), (Arc<str>, PolicyFailure)>) {
        let mut provisions = Self::default();
        let made = generation.plugins().try_for_each(|plugin| {
            let is_this = |known: &Arc<Plugin>| Arc::ptr_eq(known, plugin);
            let is_known = before.is_some_and(|before| before.plugins().any(is_this))
                || provisions.instances.iter().any(|(known, _)| is_this(known));
            match is_known {
                true => Ok(()),
                false => provisions.add(plugin),
            }
        });
        (provisions, made)
    }

    fn add(&mut self, plugin: &Arc<Plugin>) -> Result<(), (Arc<str>, PolicyFailure)> {
        let mut figures = ExecutorFigures::default();
        let _running = plugin.blueprint.ticker.running();
        for place in 0..plugin.isolation.kept() {
            // The first may take what is left for those who need one now.
            let has_room = plugin.blueprint.occupancy.has_room();
            if place > 0 && !has_room {
                break;
            }
            let made = Kept::start(plugin, &mut figures);
            self.made += std::mem::take(&mut figures.instances_made);
            match made {
                Ok(kept) => self.instances.push((Arc::clone(plugin), kept)),
                Err(failure) if has_room => return Err((Arc::clone(plugin.name()), failure)),
                Err(_) => break,
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Provisions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_tuple("Provisions")
            .field(&self.instances.len())
            .finish()
    }
}
