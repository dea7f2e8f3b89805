//! A plugin that was loaded: compiled, checked, described and tried.

use std::fmt;
use std::sync::Arc;

use policy::{BreakerTerms, Grants, MethodSet, OnFailure, Stage, Version};
use sip_message::Method;

use crate::blueprint::Blueprint;
use crate::guard::{BreakerFigures, Guard};
use crate::limits::Isolation;
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
    /// That of the manifest.
    pub(crate) version: Arc<str>,
    pub(crate) grants: Grants,
    pub(crate) isolation: Isolation,
    /// Why it is not the isolation that was asked for.
    pub(crate) fallback: Option<String>,
    pub(crate) on_failure: OnFailure,
    /// What it may be asked at all.
    pub(crate) methods: MethodSet,
    pub(crate) guard: Guard,
    pub(crate) breaker: BreakerTerms,
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

    /// How long its instances live.
    pub fn isolation(&self) -> Isolation {
        self.isolation
    }

    /// Why that is not the isolation that was asked for, if it is not.
    pub fn isolation_fallback(&self) -> Option<&str> {
        self.fallback.as_deref()
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

    /// Of the hooks that were ever taken out because they kept failing.
    pub fn breakers(&self) -> Vec<BreakerFigures> {
        self.guard.figures()
    }

    /// Whether it wants to see the method.
    pub(crate) fn wants(&self, method: Method) -> bool {
        self.methods.contains(method)
    }

    /// The same plugin served by others.
    pub(crate) fn with_services(&self, services: HostServices) -> Self {
        Self {
            blueprint: Blueprint {
                services: Arc::new(services),
                ..self.blueprint.clone()
            },
            manifest: self.manifest.clone(),
            version: Arc::clone(&self.version),
            grants: self.grants,
            isolation: self.isolation,
            fallback: self.fallback.clone(),
            on_failure: self.on_failure,
            methods: self.methods,
            guard: Guard::new(self.breaker),
            breaker: self.breaker,
        }
    }

    /// Its stage in a pipeline.
    pub fn stage(&self) -> Stage {
        Stage {
            name: Arc::clone(&self.blueprint.name),
            version: Version {
                name: Arc::clone(&self.version),
                candidate: false,
            },
            on_failure: self.on_failure,
            grants: self.grants,
            methods: self.methods,
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
