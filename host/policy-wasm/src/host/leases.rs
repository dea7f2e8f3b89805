//! `leases`: what the call holds that the request would begin, in the plugin's own
//! scope. Limits: `host_calls`, `host_bytes`, and those of the store behind it.

use policy::LeaseWish;

use crate::bindings::leases::{Holding, Host, LeaseError};
use crate::host::HostState;

impl Host for HostState {
    fn hold(
        &mut self,
        name: String,
        key: Vec<u8>,
        amount: u64,
        limit: u64,
    ) -> wasmtime::Result<Result<Holding, LeaseError>> {
        self.require_decision("leases")?;
        self.charge_call(name.len().saturating_add(key.len()))?;
        let Some(holdings) = &self.consultation.holdings else {
            return Ok(Err(LeaseError::NoCall));
        };
        let holding = holdings.hold(LeaseWish {
            scope: &self.plugin,
            name: &name,
            key: &key,
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

    fn held(&mut self, name: String, key: Vec<u8>) -> wasmtime::Result<Result<u64, LeaseError>> {
        self.require_decision("leases")?;
        self.charge_call(name.len().saturating_add(key.len()))?;
        let held = self.services.leases.held(&self.plugin, &name, &key);
        Ok(held.map_err(error))
    }
}

fn error(error: policy::LeaseError) -> LeaseError {
    match error {
        policy::LeaseError::Full => LeaseError::Full,
        policy::LeaseError::Invalid => LeaseError::Invalid,
        policy::LeaseError::NoCall => LeaseError::NoCall,
    }
}
