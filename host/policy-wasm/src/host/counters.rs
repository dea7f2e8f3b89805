//! `counters`: sliding windows and token buckets, in the plugin's own scope.
//! Limits: `host_calls`, `host_bytes`, and those of the store behind it.

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmList, WasmStr};

use crate::bindings::counters::{CounterError, Durability, Grant};
use crate::host::HostState;
use crate::services::{self, Addition, TokenRequest};

/// Adds the interface to a linker. By hand, so that names and keys are read where they
/// are in the guest's memory: a request counts some ten times.
pub(super) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    let mut counters = linker.instance("sipward:policy/counters@0.1.0")?;
    counters.func_wrap("add", |store: Store<'_>, asked| Ok((add(&store, asked)?,)))?;
    counters.func_wrap("reset", |store: Store<'_>, asked| {
        Ok((reset(&store, asked)?,))
    })?;
    counters.func_wrap("take", |store: Store<'_>, asked| {
        Ok((take(&store, asked)?,))
    })
}

type Store<'s> = StoreContextMut<'s, HostState>;
type Answer<T> = wasmtime::Result<Result<T, CounterError>>;

fn add(
    store: &Store<'_>,
    (name, key, amount, window_ms, durability): (WasmStr, WasmList<u8>, u32, u64, Durability),
) -> Answer<u64> {
    let state = store.data();
    let (name, key) = (name.to_str(store)?, key.as_le_slice(store));
    state.charge_decision("counters", name.len().saturating_add(key.len()))?;
    let count = state.services.counters.add(Addition {
        scope: &state.plugin,
        name: &name,
        key,
        amount,
        window_ms,
        durable: matches!(durability, Durability::Durable),
        now_ms: state.now_ms(),
    });
    Ok(count.map_err(error))
}

fn reset(store: &Store<'_>, (name, key): (WasmStr, WasmList<u8>)) -> Answer<()> {
    let state = store.data();
    let (name, key) = (name.to_str(store)?, key.as_le_slice(store));
    state.charge_decision("counters", name.len().saturating_add(key.len()))?;
    let (counters, now_ms) = (&state.services.counters, state.now_ms());
    Ok(counters
        .reset(&state.plugin, &name, key, now_ms)
        .map_err(error))
}

fn take(
    store: &Store<'_>,
    (name, key, tokens, capacity, refill_per_second_milli): (WasmStr, WasmList<u8>, u32, u32, u32),
) -> Answer<Grant> {
    let state = store.data();
    let (name, key) = (name.to_str(store)?, key.as_le_slice(store));
    state.charge_decision("counters", name.len().saturating_add(key.len()))?;
    let grant = state.services.counters.take(TokenRequest {
        scope: &state.plugin,
        name: &name,
        key,
        tokens,
        capacity,
        refill_per_second_milli,
        now_ms: state.now_ms(),
    });
    Ok(grant
        .map(|grant| Grant {
            taken: grant.taken,
            remaining: grant.remaining,
            retry_after_ms: grant.retry_after_ms,
        })
        .map_err(error))
}

fn error(error: services::CounterError) -> CounterError {
    match error {
        services::CounterError::Full => CounterError::Full,
        services::CounterError::Invalid => CounterError::Invalid,
    }
}
