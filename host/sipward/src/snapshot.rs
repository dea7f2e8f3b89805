//! One generation of the configuration, as every shard uses it.

use std::sync::Arc;

use policy_wasm::Generation;
use sip_proxy::Routing;

/// Immutable; a reload makes a new one.
pub struct Snapshot {
    /// Counts up from 1.
    pub number: u64,
    /// Listeners, peers, timers and limits of the proxy core.
    pub routing: Arc<Routing>,
    /// Compiled plugins, pipelines and their selection.
    pub policy: Arc<Generation>,
}

impl Snapshot {
    /// Routing and plugins that belong together: the proxy core must know of which
    /// pipelines it shall show the responses.
    pub(crate) fn new(number: u64, mut routing: Routing, policy: Generation) -> Self {
        routing.response_pipelines = policy.response_pipelines();
        Self {
            number,
            routing: Arc::new(routing),
            policy: Arc::new(policy),
        }
    }
}
