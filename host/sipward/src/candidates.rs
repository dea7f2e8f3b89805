//! What the operator, or a rollback, has decided about candidates. It is kept with the
//! state, so that a promoted version still runs after a restart, and one that was taken
//! back does not come back by itself.

use std::collections::HashMap;

use policy_wasm::{Rollback, Stance};
use records::alert::Alarm;
use serde::{Deserialize, Serialize};
use state::{KvError, State};

use crate::assemble::{PluginShelf, ShelvedCandidate};
use crate::config::Plugin;

/// Where decisions are kept. No plugin has such a name.
const SCOPE: &str = "\0candidates";

/// A decision, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Decided {
    /// Of which file, settings and grants.
    digest: String,
    /// What was decided.
    pub(crate) what: Choice,
    /// When, in milliseconds since 1970.
    pub(crate) at_ms: u64,
    /// Why.
    pub(crate) cause: String,
}

/// What can be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Choice {
    /// It judges all calls.
    Promoted,
    /// It judges none.
    RolledBack,
}

/// The decisions, and what has been told of.
pub(crate) struct Decisions {
    state: State,
    /// When the rollbacks happened that were told, by plugin.
    told: HashMap<String, u64>,
    /// How often breakers had opened when that was told, by plugin and hook.
    opened: HashMap<(String, &'static str), u64>,
}

impl Decisions {
    pub(crate) fn new(state: State) -> Self {
        Self {
            state,
            told: HashMap::new(),
            opened: HashMap::new(),
        }
    }

    /// What was decided about a candidate.
    pub(crate) fn about(&self, shelved: &ShelvedCandidate, now_ms: u64) -> Option<Decided> {
        let decided = self.kept(shelved.candidate.name(), now_ms)?;
        (decided.digest == shelved.digest).then_some(decided)
    }

    fn kept(&self, plugin: &str, now_ms: u64) -> Option<Decided> {
        let kept = self.state.get(SCOPE, plugin, now_ms).ok().flatten()?;
        match serde_json::from_slice(&kept) {
            Ok(decided) => Some(decided),
            Err(error) => {
                tracing::warn!(plugin, %error, "what was decided about its candidate cannot be read");
                None
            }
        }
    }

    /// Lets candidates do what was decided about them, or what the configuration says.
    /// Decisions about others are forgotten. What an operator should know is logged.
    pub(crate) fn install(&self, shelf: &PluginShelf, plugins: &[Plugin], now_ms: u64) {
        for plugin in plugins.iter().map(|plugin| &*plugin.name) {
            let shelved = shelf.candidate_of(plugin);
            let Some(decided) = self.kept(plugin, now_ms) else {
                if let Some(shelved) = shelved {
                    shelved.candidate.set_stance(shelved.stance, shelved.terms);
                }
                continue;
            };
            let shelved = shelved.filter(|shelved| shelved.digest == decided.digest);
            let Some(shelved) = shelved else {
                // Another candidate, or none: it is in the configuration's hands again.
                self.forget(plugin, now_ms);
                if let Some(shelved) = shelf.candidate_of(plugin) {
                    shelved.candidate.set_stance(shelved.stance, shelved.terms);
                }
                continue;
            };
            let version = &shelved.candidate.plugin().manifest().version;
            let stance = match decided.what {
                Choice::Promoted => Stance::Promoted,
                Choice::RolledBack => Stance::Withdrawn,
            };
            if shelved.candidate.stance() != stance {
                tracing::warn!(
                    plugin,
                    candidate = %version,
                    decision = stance.name(),
                    cause = decided.cause,
                    "the candidate's stance is what was decided before, not its mode"
                );
            }
            shelved.candidate.set_stance(stance, shelved.terms);
        }
    }

    /// Keeps a decision, and lets the candidate do it.
    ///
    /// # Errors
    /// It cannot be kept; nothing has changed.
    pub(crate) fn decide(
        &self,
        shelved: &ShelvedCandidate,
        what: Choice,
        cause: &str,
        now_ms: u64,
    ) -> Result<(), KvError> {
        self.keep(shelved, what, cause, now_ms)?;
        let stance = match what {
            Choice::Promoted => Stance::Promoted,
            Choice::RolledBack => Stance::Withdrawn,
        };
        shelved.candidate.set_stance(stance, shelved.terms);
        Ok(())
    }

    fn keep(
        &self,
        shelved: &ShelvedCandidate,
        what: Choice,
        cause: &str,
        at_ms: u64,
    ) -> Result<(), KvError> {
        let decided = Decided {
            digest: shelved.digest.clone(),
            what,
            at_ms,
            cause: cause.to_owned(),
        };
        let text = serde_json::to_vec(&decided).map_err(|_| KvError::Failed)?;
        let plugin = shelved.candidate.name();
        self.state.set(SCOPE, plugin, &text, 0, at_ms)
    }

    /// Back to what the configuration says.
    ///
    /// # Errors
    /// The decision cannot be forgotten; nothing has changed.
    pub(crate) fn resume(&self, shelved: &ShelvedCandidate, now_ms: u64) -> Result<(), KvError> {
        self.state.delete(SCOPE, shelved.candidate.name(), now_ms)?;
        // From the beginning, whatever it is doing.
        shelved
            .candidate
            .set_stance(Stance::Withdrawn, shelved.terms);
        shelved.candidate.set_stance(shelved.stance, shelved.terms);
        Ok(())
    }

    fn forget(&self, plugin: &str, now_ms: u64) {
        if self.state.delete(SCOPE, plugin, now_ms).is_err() {
            tracing::warn!(plugin, "an old decision about its candidate is kept");
        }
    }

    /// Keeps and tells what has happened by itself since the last time: candidates that
    /// were taken back, and plugins that were taken out.
    pub(crate) fn tend(&mut self, shelf: &PluginShelf) -> Vec<Alarm> {
        let mut alarms = Vec::new();
        for (plugin, shelved) in shelf.candidates() {
            let Some(rollback) = shelved.candidate.rollback() else {
                continue;
            };
            let told = self.told.insert(plugin.clone(), rollback.at_ms);
            if told != Some(rollback.at_ms) {
                alarms.push(self.taken_back(plugin, shelved, &rollback));
            }
        }
        for plugin in shelf.plugins() {
            for breaker in plugin.breakers() {
                let key = (plugin.name().to_string(), breaker.hook);
                let told = self.opened.insert(key, breaker.opened).unwrap_or(0);
                if breaker.opened > told && breaker.state != "closed" {
                    let text = format!(
                        "plugin {} keeps failing in {}: it is taken out for {} ms, under its on_failure",
                        plugin.name(),
                        breaker.hook,
                        breaker.pause_ms
                    );
                    tracing::error!(plugin = %plugin.name(), hook = breaker.hook, pause_ms = breaker.pause_ms, "the plugin keeps failing and is taken out");
                    alarms.push(Alarm::of_host(
                        &format!("plugin-taken-out {}", plugin.name()),
                        text,
                    ));
                }
            }
        }
        alarms
    }

    fn taken_back(&self, plugin: &str, shelved: &ShelvedCandidate, rollback: &Rollback) -> Alarm {
        let version = &shelved.candidate.plugin().manifest().version;
        let cause = rollback.cause.to_string();
        let was = rollback.from.name();
        let kept = self.keep(shelved, Choice::RolledBack, &cause, rollback.at_ms);
        if kept.is_err() {
            tracing::error!(plugin, "the rollback is not kept: a restart tries again");
        }
        tracing::error!(plugin, candidate = %version, was, cause, "the candidate is rolled back");
        let text = format!(
            "candidate {version} of plugin {plugin} ({was}) is rolled back: {cause}; version {} judges all calls",
            shelved.live_version
        );
        Alarm::of_host(&format!("candidate-rolled-back {plugin}"), text)
    }
}
