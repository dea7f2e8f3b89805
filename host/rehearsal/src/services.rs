//! Host services on scratch state: in memory, and gone afterwards.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use policy_wasm::{HostServices, Lookups, Numbers};
use state::digest::{Accounts, Nonces};
use state::{State, StateError};

use crate::clock::VirtualClock;
use crate::randomness::SeededRandomness;

/// How long nonces are good. Nobody can answer a challenge of a rehearsal.
const NONCE_LIFETIME: Duration = Duration::from_secs(300);

/// Empty state in memory.
///
/// # Errors
/// No memory for its tables.
pub fn scratch_state(now_ms: u64) -> Result<State, StateError> {
    State::open(None, state::Limits::default(), now_ms)
}

/// Services on this state, with this time and randomness, where nobody has an account.
pub fn in_memory(
    state: State,
    clock: &Arc<VirtualClock>,
    seed: u64,
    lookups: Arc<Lookups>,
    numbers: Arc<dyn Numbers>,
) -> HostServices {
    let accounts = Arc::new(ArcSwap::from_pointee(Accounts::empty()));
    let nonces = Arc::new(Nonces::new([0; 32], NONCE_LIFETIME));
    let mut services = HostServices::embedded(state, accounts, nonces, lookups, numbers);
    services.clock = Arc::clone(clock) as _;
    services.random = Arc::new(SeededRandomness::new(seed));
    services
}
