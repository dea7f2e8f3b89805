//! `keyvalue`: small durable values, in the plugin's own scope. Limits:
//! `host_calls`, `host_bytes`, and those of the store behind it.

use crate::bindings::keyvalue::{Host, KvError};
use crate::host::HostState;
use crate::services::KeyvalueError;

impl Host for HostState {
    fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, KvError>> {
        self.begin_keyvalue(key.len())?;
        let now_ms = self.services.clock.now_ms();
        let value = self.services.keyvalue.get(&self.plugin, &key, now_ms);
        if let Ok(Some(value)) = &value {
            self.charge_bytes(value.len())?;
        }
        Ok(value.map_err(error))
    }

    fn set(
        &mut self,
        key: String,
        value: Vec<u8>,
        ttl_ms: u64,
    ) -> wasmtime::Result<Result<(), KvError>> {
        self.begin_keyvalue(key.len().saturating_add(value.len()))?;
        let now_ms = self.services.clock.now_ms();
        let set = self
            .services
            .keyvalue
            .set(&self.plugin, &key, &value, ttl_ms, now_ms);
        Ok(set.map_err(error))
    }

    fn delete(&mut self, key: String) -> wasmtime::Result<Result<bool, KvError>> {
        self.begin_keyvalue(key.len())?;
        let now_ms = self.services.clock.now_ms();
        let deleted = self.services.keyvalue.delete(&self.plugin, &key, now_ms);
        Ok(deleted.map_err(error))
    }
}

impl HostState {
    fn begin_keyvalue(&mut self, bytes: usize) -> wasmtime::Result<()> {
        self.require_decision("keyvalue")?;
        self.charge_call(bytes)
    }
}

fn error(error: KeyvalueError) -> KvError {
    match error {
        KeyvalueError::Full => KvError::Full,
        KeyvalueError::Invalid => KvError::Invalid,
        KeyvalueError::Failed => KvError::Failed,
    }
}
