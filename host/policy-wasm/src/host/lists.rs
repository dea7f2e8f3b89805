//! `lists`: the operator's lists. In `configure` those of the configuration that is
//! being tried are looked at, so that a plugin can name a list that does not exist.
//! Limits: `host_calls`, `host_bytes`.

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmStr};

use crate::bindings::lists::{Entry, ListError};
use crate::host::HostState;
use crate::services::NoSuchList;

/// Adds the interface to a linker; names and keys are read in the guest's memory.
pub(super) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    let mut lists = linker.instance("sipward:policy/lists@0.1.0")?;
    lists.func_wrap("find", |store: Store<'_>, asked| {
        Ok((find(&store, asked)?,))
    })?;
    lists.func_wrap("longest-prefix", |store: Store<'_>, asked| {
        Ok((longest_prefix(&store, asked)?,))
    })
}

type Store<'s> = StoreContextMut<'s, HostState>;
type Answer<T> = wasmtime::Result<Result<Option<T>, ListError>>;

fn find(store: &Store<'_>, (name, key): (WasmStr, WasmStr)) -> Answer<String> {
    let state = store.data();
    let (name, key) = (name.to_str(store)?, key.to_str(store)?);
    state.charge_call(name.len().saturating_add(key.len()))?;
    let found = state.services.lists.find(&name, &key, state.asking());
    if let Ok(Some(value)) = &found {
        state.charge_bytes(value.len())?;
    }
    Ok(found.map_err(error))
}

fn longest_prefix(store: &Store<'_>, (name, text): (WasmStr, WasmStr)) -> Answer<Entry> {
    let state = store.data();
    let (name, text) = (name.to_str(store)?, text.to_str(store)?);
    state.charge_call(name.len().saturating_add(text.len()))?;
    let lists = &state.services.lists;
    let found = lists.longest_prefix(&name, &text, state.asking());
    if let Ok(Some((key, value))) = &found {
        state.charge_bytes(key.len().saturating_add(value.len()))?;
    }
    let entry = |(key, value)| Entry { key, value };
    Ok(found.map(|found| found.map(entry)).map_err(error))
}

fn error(NoSuchList: NoSuchList) -> ListError {
    ListError::NoSuchList
}
