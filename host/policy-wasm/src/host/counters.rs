//! `counters`: sliding windows and token buckets, in the plugin's own scope.
//! Limits: `host_calls`, `host_bytes`, and those of the store behind it.

use crate::bindings::counters::{CounterError, Durability, Grant, Host};
use crate::host::HostState;
use crate::services::{self, Addition, TokenRequest};

impl Host for HostState {
    fn add(
        &mut self,
        name: String,
        key: Vec<u8>,
        amount: u32,
        window_ms: u64,
        durability: Durability,
    ) -> wasmtime::Result<Result<u64, CounterError>> {
        self.begin_counter(&name, &key)?;
        let count = self.services.counters.add(Addition {
            scope: &self.plugin,
            name: &name,
            key: &key,
            amount,
            window_ms,
            durable: matches!(durability, Durability::Durable),
            now_ms: self.services.clock.now_ms(),
        });
        Ok(count.map_err(error))
    }

    fn reset(&mut self, name: String, key: Vec<u8>) -> wasmtime::Result<Result<(), CounterError>> {
        self.begin_counter(&name, &key)?;
        let now_ms = self.services.clock.now_ms();
        let reset = self
            .services
            .counters
            .reset(&self.plugin, &name, &key, now_ms);
        Ok(reset.map_err(error))
    }

    fn take(
        &mut self,
        name: String,
        key: Vec<u8>,
        tokens: u32,
        capacity: u32,
        refill_per_second: u32,
    ) -> wasmtime::Result<Result<Grant, CounterError>> {
        self.begin_counter(&name, &key)?;
        let grant = self.services.counters.take(TokenRequest {
            scope: &self.plugin,
            name: &name,
            key: &key,
            tokens,
            capacity,
            refill_per_second_milli: refill_per_second,
            now_ms: self.services.clock.now_ms(),
        });
        Ok(grant
            .map(|grant| Grant {
                taken: grant.taken,
                remaining: grant.remaining,
                retry_after_ms: grant.retry_after_ms,
            })
            .map_err(error))
    }
}

impl HostState {
    fn begin_counter(&mut self, name: &str, key: &[u8]) -> wasmtime::Result<()> {
        self.require_decision("counters")?;
        self.charge_call(name.len().saturating_add(key.len()))
    }
}

fn error(error: services::CounterError) -> CounterError {
    match error {
        services::CounterError::Full => CounterError::Full,
        services::CounterError::Invalid => CounterError::Invalid,
    }
}
