//! `lists`: the operator's lists. In `configure` those of the configuration that is
//! being tried are looked at, so that a plugin can name a list that does not exist.
//! Limits: `host_calls`, `host_bytes`.

use crate::bindings::lists::{Entry, Host, ListError};
use crate::host::HostState;
use crate::services::NoSuchList;

impl Host for HostState {
    fn find(
        &mut self,
        name: String,
        key: String,
    ) -> wasmtime::Result<Result<Option<String>, ListError>> {
        self.charge_call(name.len().saturating_add(key.len()))?;
        let found = self.services.lists.find(&name, &key, self.asking());
        if let Ok(Some(value)) = &found {
            self.charge_bytes(value.len())?;
        }
        Ok(found.map_err(error))
    }

    fn longest_prefix(
        &mut self,
        name: String,
        text: String,
    ) -> wasmtime::Result<Result<Option<Entry>, ListError>> {
        self.charge_call(name.len().saturating_add(text.len()))?;
        let asking = self.asking();
        let found = self.services.lists.longest_prefix(&name, &text, asking);
        if let Ok(Some((key, value))) = &found {
            self.charge_bytes(key.len().saturating_add(value.len()))?;
        }
        let entry = |(key, value)| Entry { key, value };
        Ok(found.map(|found| found.map(entry)).map_err(error))
    }
}

fn error(NoSuchList: NoSuchList) -> ListError {
    ListError::NoSuchList
}
