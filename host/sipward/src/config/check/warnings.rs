//! What is allowed but hardly meant.

use super::{Checks, path};
use crate::config::error::ConfigError;
use crate::config::model::{Peer, Zone};
use crate::config::place::Part;
use crate::config::read::Findings;

impl Checks<'_, '_, '_> {
    /// What is allowed but hardly meant.
    pub(super) fn warnings(&self, peers: &[(&str, usize, &Peer)]) -> Vec<ConfigError> {
        let mut notes = Findings {
            places: self.findings.places,
            errors: Vec::new(),
        };
        self.unjudged_zones(&mut notes);
        for (&number, pipeline) in self.numbers.pipelines.iter().zip(&self.config.pipelines) {
            if pipeline.plugins.is_empty() {
                let problem = "has no plugins: it refuses every request";
                notes.note(
                    &path("pipeline", number, &["plugins"]),
                    Part::Value,
                    problem,
                    "name at least one",
                );
            }
        }
        for (&number, plugin) in self.numbers.plugins.iter().zip(&self.config.plugins) {
            if !self
                .config
                .pipelines
                .iter()
                .any(|pipeline| pipeline.plugins.contains(&plugin.name))
            {
                let problem = format!("no pipeline uses `{}`", plugin.name);
                notes.note(
                    &path("plugin", number, &["name"]),
                    Part::Value,
                    problem,
                    "name it in a pipeline, or remove it",
                );
            }
        }
        for &(list, number, peer) in peers {
            if peer.sources.is_empty() && peer.certificate_names.is_empty() {
                let problem = format!(
                    "`{}` has neither sources nor certificate_names: no request is ever its own",
                    peer.name
                );
                notes.note(
                    &path(list, number, &["name"]),
                    Part::Value,
                    problem,
                    "add one of them if it sends requests",
                );
            }
        }
        self.media_warnings(peers, &mut notes);
        notes.errors
    }

    fn unjudged_zones(&self, notes: &mut Findings<'_>) {
        for (zone, name) in [(Zone::Inside, "inside"), (Zone::Outside, "outside")] {
            let judged = self
                .config
                .pipelines
                .iter()
                .any(|pipeline| pipeline.zone.is_none_or(|of| of == zone));
            let faced = self
                .config
                .listeners
                .iter()
                .any(|listener| listener.zone.is_none_or(|of| of == zone));
            if faced && !judged {
                let problem =
                    format!("none is for zone {name}: every request from there is refused");
                notes.note(
                    &["pipeline".to_owned()],
                    Part::Key,
                    problem,
                    format!("add a `[[pipeline]]` with `zone = \"{name}\"`"),
                );
            }
        }
    }
}
