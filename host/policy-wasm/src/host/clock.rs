//! `clock`: time as the host sees it. It stands still during a call. Limit: `host_calls`.

use crate::bindings::clock::Host;
use crate::host::HostState;

impl Host for HostState {
    fn now_ms(&mut self) -> wasmtime::Result<u64> {
        self.charge_call(0)?;
        Ok(HostState::now_ms(self))
    }
}
