//! A plugin that was loaded: compiled, checked, described and tried.

use std::fmt;
use std::sync::Arc;

use policy::{Grants, MethodSet, OnFailure, Stage};
use wasmtime::component::InstancePre;

use crate::bindings::{call_policy, lifecycle, request_policy, response_policy};
use crate::engine::Ticker;
use crate::host::HostState;
use crate::limits::{Isolation, PluginLimits};
use crate::services::HostServices;

/// What a plugin says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Name, for logs.
    pub name: String,
    /// Version, SemVer.
    pub version: String,
    /// One line on what it does.
    pub description: String,
    /// Methods it wants to see; empty for all.
    pub methods: Vec<String>,
    /// Capabilities it asks for.
    pub capabilities: Grants,
    /// JSON Schema of its settings.
    pub settings_schema: String,
}

/// A plugin in the place and with the settings that the operator gave it.
pub struct Plugin {
    pub(crate) blueprint: Blueprint,
    pub(crate) manifest: Manifest,
    pub(crate) grants: Grants,
    pub(crate) isolation: Isolation,
    pub(crate) on_failure: OnFailure,
}

impl Plugin {
    /// Its name in the config.
    pub fn name(&self) -> &Arc<str> {
        &self.blueprint.name
    }

    /// What it says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What it was granted.
    pub fn grants(&self) -> Grants {
        self.grants
    }

    /// Whether it exports the request hook.
    pub fn judges_requests(&self) -> bool {
        self.blueprint.request.is_some()
    }

    /// Whether it exports the response hook.
    pub fn judges_responses(&self) -> bool {
        self.blueprint.response.is_some()
    }

    /// Whether it exports the call hook.
    pub fn follows_calls(&self) -> bool {
        self.blueprint.call.is_some()
    }

    /// Its stage in a pipeline.
    pub fn stage(&self) -> Stage {
        Stage {
            name: Arc::clone(&self.blueprint.name),
            on_failure: self.on_failure,
            grants: self.grants,
            methods: MethodSet::from_names(&self.manifest.methods),
            limits: self.blueprint.limits.outcome,
        }
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Plugin")
            .field("name", self.name())
            .field("version", &self.manifest.version)
            .finish_non_exhaustive()
    }
}

/// All that it takes to make an instance.
pub(crate) struct Blueprint {
    pub(crate) name: Arc<str>,
    pub(crate) pre: InstancePre<HostState>,
    pub(crate) lifecycle: lifecycle::GuestIndices,
    pub(crate) request: Option<request_policy::GuestIndices>,
    pub(crate) response: Option<response_policy::GuestIndices>,
    pub(crate) call: Option<call_policy::GuestIndices>,
    pub(crate) services: Arc<HostServices>,
    pub(crate) limits: PluginLimits,
    pub(crate) settings: String,
    /// Whether the engine counts what guests execute.
    pub(crate) counts_fuel: bool,
    /// Deadlines pass while somebody holds it.
    pub(crate) ticker: Arc<Ticker>,
}
