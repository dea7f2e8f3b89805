//! `sipward candidate`: what candidates are doing, and what shall become of them.

use std::sync::Arc;

use policy::Share;
use policy_wasm::{BreakerFigures, Candidate, Stance, VersionFigures};
use serde_json::{Value, json};

use super::{Control, said};
use crate::admin::{Answer, CandidateOrder};
use crate::assemble::ShelvedCandidate;
use crate::candidates::{Choice, Decided};

/// Differences that the text shows; a screen.
const DIFFERENCES_IN_TEXT: usize = 20;

impl Control {
    /// What has happened by itself is kept and told.
    pub(super) fn tend_candidates(&mut self) {
        for alarm in self.decisions.tend(&self.shelf) {
            self.archive.desk().raise(alarm);
        }
    }

    pub(super) fn candidate(&mut self, order: &CandidateOrder) -> Answer {
        self.tend_candidates();
        let (plugin, act): (&String, fn(&Self, &ShelvedCandidate) -> Answer) = match order {
            CandidateOrder::Status => return self.candidate_status(),
            CandidateOrder::Promote { plugin } => (plugin, Self::promote),
            CandidateOrder::Rollback { plugin } => (plugin, Self::roll_back),
            CandidateOrder::Resume { plugin } => (plugin, Self::resume),
        };
        let Some(shelved) = self.shelf.candidate_of(plugin) else {
            let known: Vec<&str> = self.shelf.candidates().map(|(name, _)| &**name).collect();
            let known = match known.as_slice() {
                [] => "no plugin has one".to_owned(),
                known => format!("those that have one: {}", known.join(", ")),
            };
            return said(false, format!("`{plugin}` has no candidate; {known}"));
        };
        let answer = act(self, shelved);
        let stance = shelved.candidate.stance();
        tracing::info!(
            plugin,
            candidate = %shelved.candidate.plugin().manifest().version,
            stance = stance.name(),
            done = answer.ok,
            "candidate: {order:?}"
        );
        answer
    }

    fn promote(&self, shelved: &ShelvedCandidate) -> Answer {
        let now_ms = self.services.clock.now_ms();
        let cause = "promoted by the operator";
        let decided = self
            .decisions
            .decide(shelved, Choice::Promoted, cause, now_ms);
        if decided.is_err() {
            return said(false, "the decision cannot be kept; nothing has changed");
        }
        let plugin = shelved.candidate.name();
        let written = self.config.plugins.iter();
        let written = written.filter(|it| it.name == **plugin);
        let written = written.filter_map(|it| it.candidate.as_ref()).next();
        let path = written.and_then(|it| it.path.as_ref());
        let path = path.map(|path| format!("`path = {:?}`", path.display().to_string()));
        let settings = written.and_then(|it| it.settings.as_ref());
        let settings = settings.map(|_| "the candidate's settings".to_owned());
        let lines: Vec<String> = path.into_iter().chain(settings).collect();
        said(
            true,
            format!(
                "{plugin}: the candidate, version {}, judges every call from now on, {}; \
                 `sipward candidate rollback {plugin}` takes it back.\n\
                 To finish, write {} in the `[[plugin]]` named `{plugin}`, remove its \
                 `[plugin.candidate]`, and reload.",
                shelved.candidate.plugin().manifest().version,
                self.lasts(),
                lines.join(" and "),
            ),
        )
    }

    fn roll_back(&self, shelved: &ShelvedCandidate) -> Answer {
        let now_ms = self.services.clock.now_ms();
        let cause = "rolled back by the operator";
        let decided = self
            .decisions
            .decide(shelved, Choice::RolledBack, cause, now_ms);
        if decided.is_err() {
            return said(false, "the decision cannot be kept; nothing has changed");
        }
        let plugin = shelved.candidate.name();
        said(
            true,
            format!(
                "{plugin}: version {} judges every call from now on, {}; \
                 `sipward candidate resume {plugin}` tries the candidate again.",
                shelved.live_version,
                self.lasts(),
            ),
        )
    }

    fn resume(&self, shelved: &ShelvedCandidate) -> Answer {
        let now_ms = self.services.clock.now_ms();
        if self.decisions.resume(shelved, now_ms).is_err() {
            return said(
                false,
                "the decision cannot be forgotten; nothing has changed",
            );
        }
        let stance = shown(shelved.candidate.stance());
        let plugin = shelved.candidate.name();
        said(
            true,
            format!("{plugin}: the candidate is tried again: {stance}"),
        )
    }

    fn lasts(&self) -> &'static str {
        match self.config.server.state_dir {
            Some(_) => "after a restart too",
            None => "until a restart, as there is no server.state_dir",
        }
    }

    fn candidate_status(&self) -> Answer {
        let text = self.candidates_text();
        let message = match text.trim_start() {
            "" => "no plugin has a candidate, and none was taken out".to_owned(),
            text => text.to_owned(),
        };
        Answer {
            ok: true,
            message,
            data: self.candidates_json(),
        }
    }

    /// Lines for people; empty if there is nothing to tell.
    pub(super) fn candidates_text(&self) -> String {
        let mut text = String::new();
        for (plugin, shelved) in self.shelved() {
            let candidate = &shelved.candidate;
            let figures = candidate.figures();
            text.push_str(&format!(
                "\ncandidate of {plugin}: version {} beside {}, {}\n  \
                 candidate: {}\n  in use: {}",
                candidate.plugin().manifest().version,
                shelved.live_version,
                shown(candidate.stance()),
                rates(figures.candidate),
                rates(figures.live),
            ));
            if let Some(decided) = self.decided(shelved) {
                text.push_str(&format!("\n  {}", decided.cause));
            }
            let report = self.shadow.report(candidate);
            if report.compared > 0 {
                text.push_str(&format!(
                    "\n  in its shadow {} compared, {} would be otherwise, {} left out",
                    report.compared, report.differed, figures.left_out
                ));
            }
            for difference in report.differences.iter().take(DIFFERENCES_IN_TEXT) {
                text.push_str(&format!("\n  {difference}"));
            }
            let rest = report.differences.len().saturating_sub(DIFFERENCES_IN_TEXT);
            if rest > 0 || report.beyond > 0 {
                text.push_str(&format!(
                    "\n  and {rest} more kinds, {} beyond those; see `sipward candidate status --json`",
                    report.beyond
                ));
            }
        }
        for (plugin, breaker) in self.breakers() {
            text.push_str(&format!(
                "\ntaken out: {plugin} {}: {}, opened {} times, {} not asked, pause {} ms",
                breaker.hook, breaker.state, breaker.opened, breaker.turned_away, breaker.pause_ms
            ));
        }
        text
    }

    /// Everything, for machines.
    pub(super) fn candidates_json(&self) -> Value {
        let candidates = self.shelved().into_iter().map(|(plugin, shelved)| {
            let candidate = &shelved.candidate;
            let figures = candidate.figures();
            json!({
                "plugin": plugin,
                "version": candidate.plugin().manifest().version,
                "live_version": shelved.live_version,
                "stance": candidate.stance().name(),
                "share": share(candidate),
                "candidate": json_of(figures.candidate),
                "live": json_of(figures.live),
                "shadow": self.shadow.report(candidate),
                "left_out": figures.left_out,
                "decision": self.decided(shelved),
            })
        });
        let breakers = self.breakers().into_iter().map(|(plugin, breaker)| {
            json!({
                "plugin": &*plugin,
                "hook": breaker.hook,
                "state": breaker.state,
                "opened": breaker.opened,
                "turned_away": breaker.turned_away,
                "pause_ms": breaker.pause_ms,
            })
        });
        json!({
            "candidates": candidates.collect::<Vec<_>>(),
            "breakers": breakers.collect::<Vec<_>>(),
        })
    }

    fn shelved(&self) -> Vec<(&String, &ShelvedCandidate)> {
        let mut shelved: Vec<_> = self.shelf.candidates().collect();
        shelved.sort_by_key(|(plugin, _)| *plugin);
        shelved
    }

    fn decided(&self, shelved: &ShelvedCandidate) -> Option<Decided> {
        self.decisions.about(shelved, self.services.clock.now_ms())
    }

    fn breakers(&self) -> Vec<(Arc<str>, BreakerFigures)> {
        let plugins = self.shelf.plugins();
        let mut breakers: Vec<_> = plugins
            .into_iter()
            .flat_map(|plugin| {
                let figures = plugin.breakers().into_iter();
                figures.map(|figures| (Arc::clone(plugin.name()), figures))
            })
            .collect();
        breakers.sort_by(|one, other| (&one.0, one.1.hook).cmp(&(&other.0, other.1.hook)));
        breakers
    }
}

fn shown(stance: Stance) -> String {
    match stance {
        Stance::Canary(share) => format!("canary for {share} of the calls"),
        other => other.name().to_owned(),
    }
}

fn share(candidate: &Candidate) -> f64 {
    let share = match candidate.stance() {
        Stance::Canary(share) => share,
        Stance::Promoted => Share::ALL,
        Stance::Shadow | Stance::Withdrawn => Share::NONE,
    };
    f64::from(share.millionths()) / 1e6
}

fn rates(figures: VersionFigures) -> String {
    format!(
        "{} answers, {} denied ({}), {} failures",
        figures.answers,
        figures.denied,
        Share::of(figures.denied, figures.answers),
        figures.failures
    )
}

fn json_of(figures: VersionFigures) -> Value {
    json!({
        "answers": figures.answers,
        "denied": figures.denied,
        "failures": figures.failures,
    })
}
