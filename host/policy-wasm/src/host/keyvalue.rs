//! `keyvalue`: small durable values, in the plugin's own scope. Limits:
//! `host_calls`, `host_bytes`, and those of the store behind it.

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmList, WasmStr};

use crate::bindings::keyvalue::KvError;
use crate::host::HostState;
use crate::services::KeyvalueError;

/// Adds the interface to a linker; keys and values are read in the guest's memory.
pub(super) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    let mut keyvalue = linker.instance("sipward:policy/keyvalue@0.1.0")?;
    keyvalue.func_wrap("get", |store: Store<'_>, asked| Ok((get(&store, asked)?,)))?;
    keyvalue.func_wrap("set", |store: Store<'_>, asked| Ok((set(&store, asked)?,)))?;
    keyvalue.func_wrap("delete", |store: Store<'_>, asked| {
        Ok((delete(&store, asked)?,))
    })
}

type Store<'s> = StoreContextMut<'s, HostState>;
type Answer<T> = wasmtime::Result<Result<T, KvError>>;

fn get(store: &Store<'_>, (key,): (WasmStr,)) -> Answer<Option<Vec<u8>>> {
    let state = store.data();
    let key = key.to_str(store)?;
    state.charge_decision("keyvalue", key.len())?;
    let (keyvalue, now_ms) = (&state.services.keyvalue, state.now_ms());
    let value = keyvalue.get(&state.plugin, &key, now_ms);
    if let Ok(Some(value)) = &value {
        state.charge_bytes(value.len())?;
    }
    Ok(value.map_err(error))
}

fn set(store: &Store<'_>, (key, value, ttl_ms): (WasmStr, WasmList<u8>, u64)) -> Answer<()> {
    let state = store.data();
    let (key, value) = (key.to_str(store)?, value.as_le_slice(store));
    state.charge_decision("keyvalue", key.len().saturating_add(value.len()))?;
    let (keyvalue, now_ms) = (&state.services.keyvalue, state.now_ms());
    let set = keyvalue.set(&state.plugin, &key, value, ttl_ms, now_ms);
    Ok(set.map_err(error))
}

fn delete(store: &Store<'_>, (key,): (WasmStr,)) -> Answer<bool> {
    let state = store.data();
    let key = key.to_str(store)?;
    state.charge_decision("keyvalue", key.len())?;
    let (keyvalue, now_ms) = (&state.services.keyvalue, state.now_ms());
    let deleted = keyvalue.delete(&state.plugin, &key, now_ms);
    Ok(deleted.map_err(error))
}

fn error(error: KeyvalueError) -> KvError {
    match error {
        KeyvalueError::Full => KvError::Full,
        KeyvalueError::Invalid => KvError::Invalid,
        KeyvalueError::Failed => KvError::Failed,
    }
}
