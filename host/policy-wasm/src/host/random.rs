//! `random`: 64 bits at a time. Limit: `host_calls`.

use crate::bindings::random::Host;
use crate::host::HostState;

impl Host for HostState {
    fn next_u64(&mut self) -> wasmtime::Result<u64> {
        self.charge_call(0)?;
        self.tell_passing("draws random numbers");
        Ok(self.services.random.next_u64())
    }
}
