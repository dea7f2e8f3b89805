//! Of a `[[plugin]]`: its candidate, and when it is taken out.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use policy::{BreakerTerms, RollbackTerms, Share};
use serde::Deserialize;

/// Another version of a plugin, on trial. What is not written is as it is for the plugin.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// The `.wasm` file.
    #[serde(default)]
    pub path: Option<PathBuf>,
    /// Its settings.
    #[serde(default)]
    pub settings: Option<BTreeMap<String, serde_json::Value>>,
    /// What it is granted.
    #[serde(default)]
    pub capabilities: Option<Vec<String>>,
    /// How it is tried.
    #[serde(default)]
    pub mode: CandidateMode,
    /// The share of the calls that a canary judges, up to 1.
    #[serde(default = "one_in_twenty")]
    pub share: f64,
    /// What it may do before it is taken back.
    #[serde(default)]
    pub rollback: RollbackBand,
}

const fn one_in_twenty() -> f64 {
    0.05
}

impl fmt::Debug for Candidate {
    /// Settings by key alone: a plugin may be given a secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = self.settings.as_ref().map(BTreeMap::keys);
        formatter
            .debug_struct("Candidate")
            .field("path", &self.path)
            .field("settings", &settings)
            .field("capabilities", &self.capabilities)
            .field("mode", &self.mode)
            .field("share", &self.share)
            .field("rollback", &self.rollback)
            .finish()
    }
}

/// How a candidate is tried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CandidateMode {
    /// It is asked what the version in use was asked, and has no effect.
    #[default]
    Shadow,
    /// It judges a share of the calls.
    Canary,
}

/// What a candidate may do before it is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RollbackBand {
    /// Seconds that are looked back.
    pub window_seconds: u64,
    /// Failures within them that end it.
    pub failures: u64,
    /// Answers within them before the share of denials counts.
    pub calls_min: u64,
    /// Denials below this share end it.
    pub deny_min: Option<f64>,
    /// Denials above this share end it.
    pub deny_max: Option<f64>,
}

impl Default for RollbackBand {
    fn default() -> Self {
        let RollbackTerms {
            window_ms,
            calls_min,
            failures,
            ..
        } = RollbackTerms::default();
        Self {
            window_seconds: window_ms / 1_000,
            failures,
            calls_min,
            deny_min: None,
            deny_max: None,
        }
    }
}

impl RollbackBand {
    /// As the policy room knows it.
    pub(crate) fn terms(&self) -> RollbackTerms {
        RollbackTerms {
            window_ms: self.window_seconds.saturating_mul(1_000),
            calls_min: self.calls_min,
            failures: self.failures,
            deny_min: self.deny_min.map(share),
            deny_max: self.deny_max.map(share),
        }
    }
}

/// A share that was checked to be between 0 and 1.
pub(crate) fn share(fraction: f64) -> Share {
    Share::of_millionths((fraction.clamp(0.0, 1.0) * 1e6).round() as u32)
}

/// When a plugin is taken out because it keeps failing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Breaker {
    /// So many failures in a row.
    pub failures: u32,
    /// Milliseconds until it is tried again the first time.
    pub pause_ms: u64,
    /// Milliseconds until it is tried again at most.
    pub pause_max_ms: u64,
}

impl Default for Breaker {
    fn default() -> Self {
        let BreakerTerms {
            failures,
            pause_ms,
            pause_max_ms,
        } = BreakerTerms::default();
        Self {
            failures,
            pause_ms,
            pause_max_ms,
        }
    }
}

impl Breaker {
    /// As the policy room knows it.
    pub(crate) const fn terms(&self) -> BreakerTerms {
        BreakerTerms {
            failures: self.failures,
            pause_ms: self.pause_ms,
            pause_max_ms: self.pause_max_ms,
        }
    }
}
