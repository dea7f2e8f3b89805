//! A new version of a plugin beside the one in use: in its shadow, for a share of the
//! calls, or for all of them; and taken back when it fails or denies too much.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use policy::{CallAccount, Holdings, Judged, RollbackCause, RollbackTerms, Share, Stage, Watch};

use crate::engine::Engine;
use crate::error::LoadError;
use crate::load::PluginSource;
use crate::plugin::Plugin;
use crate::rehearsal::Rehearsal;
use crate::services::HostServices;
use crate::services::overlay::Overlay;

/// Rehearsals of one candidate that wait at once. 256: a tenth of a second of a busy
/// proxy; what comes beyond is left out and counted, because live calls come first.
const REHEARSALS_WAITING: usize = 256;

/// What a candidate is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stance {
    /// It is asked after the version in use, and its answers have no effect.
    Shadow,
    /// It judges a share of the calls.
    Canary(Share),
    /// It judges all calls.
    Promoted,
    /// It is not asked.
    Withdrawn,
}

impl Stance {
    /// One word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shadow => "shadow",
            Self::Canary(_) => "canary",
            Self::Promoted => "promoted",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// As one number, so that all threads see a change at once: the case above, the
    /// share below.
    const fn pack(self) -> u64 {
        match self {
            Self::Shadow => 0,
            Self::Canary(share) => (1 << 32) | share.millionths() as u64,
            Self::Promoted => 2 << 32,
            Self::Withdrawn => 3 << 32,
        }
    }

    const fn unpack(packed: u64) -> Self {
        match packed >> 32 {
            0 => Self::Shadow,
            1 => Self::Canary(Share::of_millionths(packed as u32)),
            2 => Self::Promoted,
            _ => Self::Withdrawn,
        }
    }
}

/// A candidate was taken back by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rollback {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// What it was doing.
    pub from: Stance,
    /// Why.
    pub cause: RollbackCause,
}

/// Answers of one version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VersionFigures {
    /// Answers.
    pub answers: u64,
    /// Of those, denials.
    pub denied: u64,
    /// Failures.
    pub failures: u64,
}

/// What became of a candidate so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CandidateFigures {
    /// The version in use, since the candidate is beside it.
    pub live: VersionFigures,
    /// The candidate.
    pub candidate: VersionFigures,
    /// Requests that it was not shown in the shadow because too many waited.
    pub left_out: u64,
}

#[derive(Default)]
struct Tally {
    answers: AtomicU64,
    denied: AtomicU64,
    failures: AtomicU64,
}

impl Tally {
    fn note(&self, judged: Judged) {
        let answers = match judged {
            Judged::Passed => &self.answers,
            Judged::Denied => {
                self.denied.fetch_add(1, Ordering::Relaxed);
                &self.answers
            }
            Judged::Failed(_) => &self.failures,
        };
        answers.fetch_add(1, Ordering::Relaxed);
    }

    fn figures(&self) -> VersionFigures {
        VersionFigures {
            answers: self.answers.load(Ordering::Relaxed),
            denied: self.denied.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
        }
    }
}

/// A candidate. All generations and threads share it as long as its file and settings
/// stay the same.
pub struct Candidate {
    /// With the live services.
    pub(crate) plugin: Arc<Plugin>,
    /// With the overlay.
    pub(crate) understudy: Arc<Plugin>,
    pub(crate) overlay: Arc<Overlay>,
    seed: u64,
    stance: AtomicU64,
    watch: Mutex<Watch>,
    rollback: Mutex<Option<Rollback>>,
    own: Tally,
    live: Tally,
    waiting: Arc<AtomicUsize>,
    left_out: AtomicU64,
}

impl Engine {
    /// Loads a candidate for the plugin of the same name, withdrawn as yet.
    ///
    /// # Errors
    /// As [`Engine::load`].
    pub fn load_candidate(
        &self,
        source: PluginSource,
        services: &HostServices,
    ) -> Result<Arc<Candidate>, LoadError> {
        let plugin = self.load(source, services.clone())?;
        let overlay = Overlay::over(services.clone())
            .map_err(|error| LoadError::Overlay(error.to_string()))?;
        Ok(Arc::new(Candidate {
            understudy: Arc::new(plugin.with_services(overlay.services())),
            plugin,
            overlay,
            seed: services.random.next_u64(),
            stance: AtomicU64::new(Stance::Withdrawn.pack()),
            watch: Mutex::new(Watch::new(RollbackTerms::default())),
            rollback: Mutex::default(),
            own: Tally::default(),
            live: Tally::default(),
            waiting: Arc::default(),
            left_out: AtomicU64::new(0),
        }))
    }
}

impl Candidate {
    /// Name of the plugin in the config.
    pub fn name(&self) -> &Arc<str> {
        self.plugin.name()
    }

    /// The plugin that it is.
    pub fn plugin(&self) -> &Arc<Plugin> {
        &self.plugin
    }

    /// What it is doing.
    pub fn stance(&self) -> Stance {
        Stance::unpack(self.stance.load(Ordering::Relaxed))
    }

    /// Lets it do something else from the next request on. What led to an earlier rollback
    /// is forgotten, unless nothing changes.
    pub fn set_stance(&self, stance: Stance, terms: RollbackTerms) {
        let mut watch = self.watch.lock();
        watch.set_terms(terms);
        if self.stance() == stance {
            return;
        }
        *watch = Watch::new(terms);
        *self.rollback.lock() = None;
        self.stance.store(stance.pack(), Ordering::Relaxed);
    }

    /// Why it was taken back by itself, if it was.
    pub fn rollback(&self) -> Option<Rollback> {
        *self.rollback.lock()
    }

    /// What became of it so far.
    pub fn figures(&self) -> CandidateFigures {
        CandidateFigures {
            live: self.live.figures(),
            candidate: self.own.figures(),
            left_out: self.left_out.load(Ordering::Relaxed),
        }
    }

    /// Whether it judges the call.
    pub(crate) fn takes(&self, call_id: &[u8]) -> bool {
        match self.stance() {
            Stance::Canary(share) => share.covers(call_id, self.seed),
            Stance::Promoted => true,
            Stance::Shadow | Stance::Withdrawn => false,
        }
    }

    /// Its stage in a pipeline.
    pub(crate) fn stage(&self) -> Stage {
        let mut stage = self.plugin.stage();
        stage.version.candidate = true;
        stage
    }

    /// The version in use answered.
    pub(crate) fn live_answered(&self, judged: Judged) {
        self.live.note(judged);
    }

    /// It answered. If that was too much, it is withdrawn at once.
    pub(crate) fn answered(&self, judged: Judged) {
        self.own.note(judged);
        let from = self.stance();
        if from == Stance::Withdrawn {
            // Asked just before.
            return;
        }
        let at_ms = self.plugin.blueprint.services.clock.now_ms();
        let mut watch = self.watch.lock();
        let Some(cause) = watch.note(at_ms, judged, from != Stance::Shadow) else {
            return;
        };
        // Under the lock, so that `set_stance` is either before or after it.
        if self.stance() == from {
            let withdrawn = Stance::Withdrawn.pack();
            self.stance.store(withdrawn, Ordering::Relaxed);
            *self.rollback.lock() = Some(Rollback { at_ms, from, cause });
        }
    }

    /// Whoever holds leases in its shadow of a new call.
    pub(crate) fn understudy_holdings(&self) -> (Arc<str>, Arc<dyn Holdings>) {
        (Arc::clone(self.name()), self.overlay.open())
    }

    /// A place among the rehearsals that wait; none if there is no room.
    pub(crate) fn seat(&self) -> Option<Waiting> {
        if self.waiting.fetch_add(1, Ordering::Relaxed) < REHEARSALS_WAITING {
            return Some(Waiting(Arc::clone(&self.waiting)));
        }
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        self.left_out.fetch_add(1, Ordering::Relaxed);
        None
    }
}

impl fmt::Debug for Candidate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Candidate")
            .field("plugin", &self.plugin)
            .field("stance", &self.stance())
            .finish_non_exhaustive()
    }
}

/// A rehearsal that waits; given back when it is dropped.
pub(crate) struct Waiting(Arc<AtomicUsize>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What is known when a run has ended goes with its rehearsals.
pub(crate) fn send_off(
    rehearsals: &mut [Rehearsal],
    account: &CallAccount,
    held: &[crate::services::overlay::Held],
) {
    for rehearsal in rehearsals {
        rehearsal.secrets.clone_from(&account.secrets);
        rehearsal.held = held.to_vec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stance_survives_its_packing() {
        for stance in [
            Stance::Shadow,
            Stance::Canary(Share::NONE),
            Stance::Canary(Share::of_millionths(50_000)),
            Stance::Canary(Share::ALL),
            Stance::Promoted,
            Stance::Withdrawn,
        ] {
            assert_eq!(Stance::unpack(stance.pack()), stance);
        }
    }
}
