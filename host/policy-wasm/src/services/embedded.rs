//! The capabilities as the `state` crate provides them: counters and values in this
//! process, with digest verification beside them.

use std::sync::Arc;

use arc_swap::ArcSwap;
use policy::{Holding, Holdings, LeaseError, LeaseWish};
use state::State;
use state::digest::{Accounts, Nonces};

use crate::services::{
    Addition, CounterError, Counters, DigestCredentials, HostServices, Keyvalue, KeyvalueError,
    Leases, Lookups, Numbers, SystemClock, SystemRandomness, TokenGrant, TokenRequest, TracingLog,
};

impl HostServices {
    /// Services on the embedded state, the system's clock and randomness, and
    /// log lines through tracing.
    pub fn embedded(
        state: State,
        accounts: Arc<ArcSwap<Accounts>>,
        nonces: Arc<Nonces>,
        lookups: Arc<Lookups>,
        numbers: Arc<dyn Numbers>,
    ) -> Self {
        Self {
            geo: Arc::clone(&lookups) as _,
            lists: Arc::clone(&lookups) as _,
            groups: lookups,
            numbers,
            clock: Arc::new(SystemClock),
            leases: Arc::new(StateLeases(state.leases().clone())),
            counters: Arc::new(StateCounters(state.clone())),
            keyvalue: Arc::new(StateKeyvalue(state)),
            credentials: Arc::new(DigestCredentials::new(accounts, nonces)),
            random: Arc::new(SystemRandomness::default()),
            log: Arc::new(TracingLog),
            observer: None,
        }
    }
}

/// Counters in [`State`].
#[derive(Clone)]
pub struct StateCounters(pub State);

impl Counters for StateCounters {
    fn add(&self, addition: Addition<'_>) -> Result<u64, CounterError> {
        let Addition {
            scope,
            name,
            key,
            amount,
            window_ms,
            durable,
            now_ms,
        } = addition;
        self.0
            .add(scope, name, key, amount, window_ms, durable, now_ms)
            .map_err(counter_error)
    }

    fn reset(&self, scope: &str, name: &str, key: &[u8], _now_ms: u64) -> Result<(), CounterError> {
        self.0.reset(scope, name, key).map_err(counter_error)
    }

    fn take(&self, request: TokenRequest<'_>) -> Result<TokenGrant, CounterError> {
        let TokenRequest {
            scope,
            name,
            key,
            tokens,
            capacity,
            refill_per_second_milli,
            now_ms,
        } = request;
        let grant = self
            .0
            .take(
                scope,
                name,
                key,
                tokens,
                capacity,
                refill_per_second_milli,
                now_ms,
            )
            .map_err(counter_error)?;
        Ok(TokenGrant {
            taken: grant.taken,
            remaining: grant.remaining,
            retry_after_ms: grant.retry_after_ms,
        })
    }
}

fn counter_error(error: state::CounterError) -> CounterError {
    match error {
        state::CounterError::Full => CounterError::Full,
        state::CounterError::Invalid => CounterError::Invalid,
    }
}

/// Values in [`State`].
#[derive(Clone)]
pub struct StateKeyvalue(pub State);

impl Keyvalue for StateKeyvalue {
    fn get(&self, scope: &str, key: &str, now_ms: u64) -> Result<Option<Vec<u8>>, KeyvalueError> {
        let value = self.0.get(scope, key, now_ms).map_err(keyvalue_error)?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn set(
        &self,
        scope: &str,
        key: &str,
        value: &[u8],
        ttl_ms: u64,
        now_ms: u64,
    ) -> Result<(), KeyvalueError> {
        self.0
            .set(scope, key, value, ttl_ms, now_ms)
            .map_err(keyvalue_error)
    }

    fn delete(&self, scope: &str, key: &str, now_ms: u64) -> Result<bool, KeyvalueError> {
        self.0.delete(scope, key, now_ms).map_err(keyvalue_error)
    }
}

fn keyvalue_error(error: state::KvError) -> KeyvalueError {
    match error {
        state::KvError::Full => KeyvalueError::Full,
        state::KvError::Invalid => KeyvalueError::Invalid,
        state::KvError::Failed => KeyvalueError::Failed,
    }
}

/// Leases in memory.
#[derive(Clone)]
pub struct StateLeases(pub state::Leases);

impl Leases for StateLeases {
    fn open(&self) -> Arc<dyn Holdings> {
        Arc::new(CallHoldings(self.0.lessee()))
    }

    fn held(&self, scope: &str, name: &str, key: &[u8]) -> Result<u64, LeaseError> {
        self.0.held(scope, name, key).map_err(lease_error)
    }
}

/// What one call holds.
#[derive(Debug)]
struct CallHoldings(state::Lessee);

impl Holdings for CallHoldings {
    fn hold(&self, wish: LeaseWish<'_>) -> Result<Holding, LeaseError> {
        let LeaseWish {
            scope,
            name,
            key,
            amount,
            limit,
        } = wish;
        let holding = self.0.hold(scope, name, key, amount, limit);
        holding
            .map(|holding| Holding {
                granted: holding.granted,
                held: holding.held,
            })
            .map_err(lease_error)
    }

    fn release(&self) {
        self.0.release();
    }
}

fn lease_error(error: state::LeaseError) -> LeaseError {
    match error {
        state::LeaseError::Full => LeaseError::Full,
        state::LeaseError::Invalid => LeaseError::Invalid,
        state::LeaseError::NoCall => LeaseError::NoCall,
    }
}
