//! `leases`: what the call holds that the request would begin, in the plugin's own
//! scope. Limits: `host_calls`, `host_bytes`, and those of the store behind it.

use policy::LeaseWish;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmList, WasmStr};

use crate::bindings::leases::{Holding, LeaseError};
use crate::host::HostState;

/// Adds the interface to a linker; names and keys are read in the guest's memory.
pub(super) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    let mut leases = linker.instance("sipward:policy/leases@0.1.0")?;
    leases.func_wrap("hold", |store: Store<'_>, asked| {
        Ok((hold(&store, asked)?,))
    })?;
    leases.func_wrap("held", |store: Store<'_>, asked| {
        Ok((held(&store, asked)?,))
    })
}

type Store<'s> = StoreContextMut<'s, HostState>;
type Answer<T> = wasmtime::Result<Result<T, LeaseError>>;

fn hold(
    store: &Store<'_>,
    (name, key, amount, limit): (WasmStr, WasmList<u8>, u64, u64),
) -> Answer<Holding> {
    let state = store.data();
    let (name, key) = (name.to_str(store)?, key.as_le_slice(store));
    state.charge_decision("leases", name.len().saturating_add(key.len()))?;
    let Some(holdings) = &state.consultation.holdings else {
        return Ok(Err(LeaseError::NoCall));
    };
    let holding = holdings.hold(LeaseWish {
        scope: &state.plugin,
        name: &name,
        key,
        amount,
        limit,
    });
    Ok(holding
        .map(|holding| Holding {
            granted: holding.granted,
            held: holding.held,
        })
        .map_err(error))
}

fn held(store: &Store<'_>, (name, key): (WasmStr, WasmList<u8>)) -> Answer<u64> {
    let state = store.data();
    let (name, key) = (name.to_str(store)?, key.as_le_slice(store));
    state.charge_decision("leases", name.len().saturating_add(key.len()))?;
    let held = state.services.leases.held(&state.plugin, &name, key);
    Ok(held.map_err(error))
}

fn error(error: policy::LeaseError) -> LeaseError {
    match error {
        policy::LeaseError::Full => LeaseError::Full,
        policy::LeaseError::Invalid => LeaseError::Invalid,
        policy::LeaseError::NoCall => LeaseError::NoCall,
    }
}
