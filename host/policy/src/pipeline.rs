//! The operator's chain of plugins, as data.

use std::fmt;
use std::sync::Arc;

use crate::call::CallRun;
use crate::capability::Grants;
use crate::facts::{ConsultId, RequestFacts, ResponseFacts};
use crate::limits::OutcomeLimits;
use crate::methods::MethodSet;
use crate::response::ResponseRun;
use crate::run::Run;

/// What a failed plugin means for the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// Refuse with 500. Config: `deny`.
    #[default]
    Deny,
    /// Go on as if the plugin had no objection. Config: `next`.
    Next,
}

impl OnFailure {
    /// The setting of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "deny" => Some(Self::Deny),
            "next" => Some(Self::Next),
            _ => None,
        }
    }
}

/// Which version of a plugin it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// As the plugin says.
    pub name: Arc<str>,
    /// It is on trial, beside the one in use.
    pub candidate: bool,
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)?;
        if self.candidate {
            formatter.write_str(" (candidate)")?;
        }
        Ok(())
    }
}

/// One plugin in its place.
#[derive(Clone, Debug)]
pub struct Stage {
    /// The plugin's name in the config.
    pub name: Arc<str>,
    /// Its version.
    pub version: Version,
    /// What it means if the plugin fails.
    pub on_failure: OnFailure,
    /// What the operator granted.
    pub grants: Grants,
    /// What the plugin wants to see; other requests pass it by.
    pub methods: MethodSet,
    /// Bounds of its outcomes.
    pub limits: OutcomeLimits,
}

impl Stage {
    /// A stage with defaults: deny on failure, no grants, all methods.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            version: Version::default(),
            on_failure: OnFailure::default(),
            grants: Grants::NONE,
            methods: MethodSet::ALL,
            limits: OutcomeLimits::default(),
        }
    }
}

/// An ordered chain of plugins. Without any it refuses everything.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// Name in the config.
    pub name: Arc<str>,
    /// The plugins, first asked first.
    pub stages: Vec<Stage>,
    /// Counts up with every reload that changed something.
    pub generation: u64,
}

impl Pipeline {
    /// The pipeline for requests that no pipeline of the config matches: it has
    /// no plugins and therefore refuses.
    pub fn reject_all(generation: u64) -> Self {
        Self {
            name: Arc::from("(none)"),
            stages: Vec::new(),
            generation,
        }
    }

    /// Begins to judge a request.
    pub fn begin(&self, consult: ConsultId, facts: RequestFacts) -> Run<'_> {
        Run::new(self, consult, facts)
    }

    /// Begins to look at a response of an admitted call.
    pub fn begin_response(&self, facts: ResponseFacts) -> ResponseRun<'_> {
        ResponseRun::new(self, facts)
    }

    /// Begins to show plugins what happened to an admitted call; only one of them, if
    /// it is for one.
    pub fn begin_call(&self, only: Option<Arc<str>>) -> CallRun<'_> {
        CallRun::new(self, only)
    }
}
