//! Memory and tables of one store: reaching the limit ends the call with a
//! reason, where a refused `memory.grow` would only look like a crash.

use policy::PolicyFailure;
use wasmtime::{Error, ResourceLimiter, Result};

use crate::limits::PluginLimits;

/// Sums over all memories and tables of the store.
pub(super) struct Ceiling {
    memory_limit: usize,
    memory: usize,
    table_limit: usize,
    table: usize,
    instances: usize,
}

impl Ceiling {
    pub(super) fn new(limits: &PluginLimits) -> Self {
        Self {
            memory_limit: limits.memory_bytes,
            memory: 0,
            table_limit: limits.table_elements,
            table: 0,
            instances: limits.instances,
        }
    }

    /// Allows so many bytes more.
    pub(super) fn widen(&mut self, bytes: usize) {
        self.memory_limit = self.memory_limit.saturating_add(bytes);
    }

    /// Bytes of all memories.
    pub(super) const fn memory(&self) -> usize {
        self.memory
    }

    fn memory_exceeded(&self) -> Error {
        Error::new(PolicyFailure::Memory {
            limit_bytes: self.memory_limit,
        })
    }

    fn table_exceeded(&self) -> Error {
        Error::new(PolicyFailure::Table {
            limit: self.table_limit,
        })
    }
}

impl ResourceLimiter for Ceiling {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool> {
        let total = self.memory.saturating_add(desired.saturating_sub(current));
        if total > self.memory_limit {
            return Err(self.memory_exceeded());
        }
        self.memory = total;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: Error) -> Result<()> {
        // The module's own maximum or the pool's slot: the same to the operator.
        Err(self.memory_exceeded())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool> {
        let total = self.table.saturating_add(desired.saturating_sub(current));
        if total > self.table_limit {
            return Err(self.table_exceeded());
        }
        self.table = total;
        Ok(true)
    }

    fn table_grow_failed(&mut self, _error: Error) -> Result<()> {
        Err(self.table_exceeded())
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.instances
    }

    fn memories(&self) -> usize {
        self.instances
    }
}
