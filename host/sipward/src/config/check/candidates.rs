//! Candidates, and when plugins are taken out.

use policy_wasm::CANDIDATES_PER_PIPELINE;

use super::{Checks, path};
use crate::config::model::Pipeline;
use crate::config::plugin::Plugin;

impl Checks<'_, '_, '_> {
    pub(super) fn breaker(&mut self, number: usize, plugin: &Plugin) {
        let breaker = &plugin.breaker;
        for (name, is_zero) in [
            ("failures", breaker.failures == 0),
            ("pause_ms", breaker.pause_ms == 0),
        ] {
            if is_zero {
                self.wrong(
                    &path("plugin", number, &["breaker", name]),
                    "is 0",
                    "write at least 1, or remove it for the default",
                );
            }
        }
        if breaker.pause_max_ms < breaker.pause_ms {
            let problem = format!("is below pause_ms, which is {}", breaker.pause_ms);
            self.wrong(
                &path("plugin", number, &["breaker", "pause_max_ms"]),
                problem,
                "pauses start at pause_ms and double up to this",
            );
        }
    }

    pub(super) fn candidate(&mut self, number: usize, plugin: &Plugin) {
        let Some(candidate) = &plugin.candidate else {
            return;
        };
        let at = |key: &str| path("plugin", number, &["candidate", key]);
        if let Some(file) = &candidate.path {
            self.readable(&at("path"), file);
        }
        if candidate.path.is_none() && candidate.settings.is_none() {
            self.wrong(
                &path("plugin", number, &["candidate"]),
                "has neither a path nor settings: it would be the plugin itself",
                "name another file, other settings, or both",
            );
        }
        if let Some(names) = &candidate.capabilities {
            self.capabilities(&at("capabilities"), names);
        }
        if !(candidate.share > 0.0 && candidate.share <= 1.0) {
            let problem = format!("is {}, which is no share of all calls", candidate.share);
            let remedy = "write a number above 0 and up to 1, such as 0.05";
            self.wrong(&at("share"), problem, remedy);
        }
        let band = &candidate.rollback;
        let at = |key: &str| path("plugin", number, &["candidate", "rollback", key]);
        for (name, value) in [
            ("window_seconds", band.window_seconds),
            ("failures", band.failures),
            ("calls_min", band.calls_min),
        ] {
            if value == 0 {
                let remedy = "write at least 1, or remove it for the default";
                self.wrong(&at(name), "is 0", remedy);
            }
        }
        for (name, share) in [("deny_min", band.deny_min), ("deny_max", band.deny_max)] {
            if let Some(share) = share.filter(|share| !(0.0..=1.0).contains(share)) {
                let problem = format!("is {share}, which is no share of the answers");
                self.wrong(
                    &at(name),
                    problem,
                    "write a number from 0 to 1, such as 0.2",
                );
            }
        }
        if let (Some(least), Some(most)) = (band.deny_min, band.deny_max)
            && least > most
        {
            let problem = format!("is above deny_max, which is {most}");
            self.wrong(&at("deny_min"), problem, "the band lies between the two");
        }
    }

    pub(super) fn candidates_of(&mut self, number: usize, pipeline: &Pipeline) {
        let plugins = self.config.plugins.iter();
        let on_trial = plugins
            .filter(|plugin| plugin.candidate.is_some() && pipeline.plugins.contains(&plugin.name));
        let count = on_trial.count();
        if count > CANDIDATES_PER_PIPELINE {
            let problem = format!(
                "{count} of them have a candidate; at most {CANDIDATES_PER_PIPELINE} at once"
            );
            self.wrong(
                &path("pipeline", number, &["plugins"]),
                problem,
                "try one after the other",
            );
        }
    }
}
