//! `[[plugin]]`: a policy, its settings, and what it may use.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;

use super::candidate::{Breaker, Candidate};

/// What a plugin's failure means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// The request is refused.
    #[default]
    Deny,
    /// The next plugin decides.
    Next,
}

/// How long a plugin's instances live.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// Made ahead with the memory that `configure` left, and used for one call.
    #[default]
    SingleUse,
    /// Used again, and replaced now and then.
    Reuse,
    /// Made and configured anew for each call.
    PerCall,
}

/// A plugin and its settings.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plugin {
    /// Unique name; its counters and values belong to it.
    pub name: String,
    /// The `.wasm` file.
    pub path: PathBuf,
    /// Its own settings.
    #[serde(default)]
    pub settings: BTreeMap<String, serde_json::Value>,
    /// What it is granted.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// How long its instances live.
    #[serde(default)]
    pub isolation: Isolation,
    /// What its failure means.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// What it may use.
    #[serde(default)]
    pub limits: PluginLimits,
    /// When it is taken out because it keeps failing.
    #[serde(default)]
    pub breaker: Breaker,
    /// Another version of it, on trial.
    #[serde(default)]
    pub candidate: Option<Candidate>,
}

impl fmt::Debug for Plugin {
    /// Settings by key alone: a plugin may be given a secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Plugin")
            .field("name", &self.name)
            .field("path", &self.path)
            .field("settings", &self.settings.keys())
            .field("capabilities", &self.capabilities)
            .field("isolation", &self.isolation)
            .field("on_failure", &self.on_failure)
            .field("limits", &self.limits)
            .field("breaker", &self.breaker)
            .field("candidate", &self.candidate)
            .finish()
    }
}

/// Ceilings of one plugin; see `policy_wasm::PluginLimits` for the reasons.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PluginLimits {
    /// Mebibytes of the file.
    pub wasm_mib: Option<usize>,
    /// Milliseconds for one call.
    pub deadline_ms: Option<u32>,
    /// Milliseconds for `configure`.
    pub configure_deadline_ms: Option<u32>,
    /// Mebibytes of memory.
    pub memory_mib: Option<usize>,
    /// Elements of all tables.
    pub table_elements: Option<usize>,
    /// Core instances that a component is made of.
    pub instances: Option<usize>,
    /// Host calls in one call.
    pub host_calls: Option<u32>,
    /// Log lines in one call.
    pub log_lines: Option<u32>,
    /// Instances that a worker has ready, of a plugin that is used once.
    pub ready_instances: Option<u32>,
}
