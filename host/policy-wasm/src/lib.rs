//! Policies as WebAssembly components: engine, instances, host functions, hot
//! swap.
//!
//! ```text
//! Engine::load(PluginSource, HostServices) -> Arc<Plugin>      checked and tried
//! Generation::new(id, pipelines)           -> Arc<Generation>  swapped in one step
//! Executor::judge(generation, facts)       -> Conclusion       inline, microseconds
//! ```
//!
//! A plugin is refused at load unless it imports `sipward:policy` only, asks for
//! nothing that was not granted, describes itself and accepts its settings. One
//! store belongs to one instance, because a trap poisons the whole store. Each
//! limit in [`PluginLimits`] ends a call with a
//! [`PolicyFailure`](policy::PolicyFailure) that names it.

mod aot;
mod bindings;
mod blueprint;
mod cache;
mod candidate;
mod compiled;
mod deadline;
mod engine;
mod error;
mod executor;
mod facts;
mod generation;
mod guard;
mod host;
mod imports;
mod instance;
mod judging;
mod limits;
mod load;
mod outcome;
mod plugin;
mod provisions;
mod rehearsal;
mod renewal;
mod services;
mod shortcut;
mod snapshot;
mod stock;

pub use candidate::{Candidate, CandidateFigures, Rollback, Stance, VersionFigures};
pub use engine::{Engine, EngineConfig};
pub use error::{EngineError, LoadError};
pub use executor::{Executor, ExecutorFigures};
pub use generation::{CANDIDATES_PER_PIPELINE, Generation, PipelineSpec, Selection};
pub use guard::BreakerFigures;
pub use limits::{Isolation, PluginLimits, READY_INSTANCES, READY_INSTANCES_MAX};
pub use load::PluginSource;
pub use plugin::{Manifest, Plugin};
pub use provisions::Provisions;
pub use rehearsal::{Asked, Rehearsal, Rehearsed};
pub use renewal::{Renewal, Renewed};
pub use services::{
    Addition, Asking, Clock, CodeVerification, Codes, CounterError, Counters, Credentials,
    DigestCredentials, Geo, GroupBook, Groups, HostServices, Keyvalue, KeyvalueError, Leases,
    Lists, LogLevel, LogSink, LookupBook, Lookups, NoSuchList, Numbers, Observer, Randomness,
    Reading, RecentNumbers, Spending, StateCounters, StateKeyvalue, StateLeases, SystemClock,
    SystemRandomness, TokenGrant, TokenRequest, TracingLog, Trial, Verification,
};
pub use stock::Retired;
