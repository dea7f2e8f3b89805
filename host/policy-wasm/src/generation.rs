//! One generation of the operator's policy: its pipelines and which request
//! goes through which. It never changes; a reload makes the next one, and the
//! old one goes when its last transaction ends.

use std::cmp::Reverse;
use std::sync::Arc;

use policy::{
    CallPass, Capability, Holdings, Judged, MethodSet, Pipeline, RequestFacts, Stage, Zone,
};

use crate::candidate::{Candidate, Stance};
use crate::plugin::Plugin;
use crate::services::overlay::WatchedHoldings;

/// Which requests a pipeline judges. What is `None`, or all methods, matches
/// every request.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Side of the proxy that the request comes from.
    pub zone: Option<Zone>,
    /// Name of the peer that the request comes from.
    pub peer: Option<Arc<str>>,
    /// Methods.
    pub methods: MethodSet,
}

impl Selection {
    fn matches(&self, facts: &RequestFacts) -> bool {
        let peer = |name: &Arc<str>| facts.peer.name.as_ref() == Some(name);
        self.methods.contains(facts.message.method())
            && self.zone.is_none_or(|zone| zone == facts.peer.zone)
            && self.peer.as_ref().is_none_or(peer)
    }

    /// Larger is more specific: a peer before a zone, a zone before methods,
    /// few methods before many.
    fn rank(&self) -> (bool, bool, Reverse<u32>) {
        (
            self.peer.is_some(),
            self.zone.is_some(),
            Reverse(self.methods.len()),
        )
    }
}

/// A pipeline of the config.
#[derive(Clone, Debug)]
pub struct PipelineSpec {
    /// Name in the config.
    pub name: Arc<str>,
    /// Which requests it judges.
    pub select: Selection,
    /// Its plugins, first asked first. A plugin without the request hook is
    /// asked about responses only.
    pub plugins: Vec<Arc<Plugin>>,
}

/// All pipelines of one config.
#[derive(Debug)]
pub struct Generation {
    id: u64,
    /// Most specific first; of equals, the one written first.
    entries: Vec<Entry>,
    /// For what no pipeline matches.
    reject: Entry,
}

/// Candidates of one pipeline. 4: there is a panel for each set of them, and of more nobody
/// could tell which one did it.
pub const CANDIDATES_PER_PIPELINE: usize = 4;

#[derive(Debug)]
pub(crate) struct Entry {
    select: Selection,
    /// The candidates of its plugins.
    candidates: Vec<Arc<Candidate>>,
    /// The versions in use.
    base: Panel,
    /// With candidates in their places: the first of them, the second, both, and so on, by
    /// the bits of the place, counted from 1.
    others: Vec<Panel>,
    /// Whether any of the plugins may hold leases.
    pub(crate) leases: bool,
}

/// Whom one set of versions of a pipeline's plugins asks about what.
#[derive(Debug)]
pub(crate) struct Panel {
    pub(crate) requests: Pipeline,
    pub(crate) request_seats: Vec<Seat>,
    pub(crate) responses: Pipeline,
    pub(crate) response_seats: Vec<Seat>,
    pub(crate) calls: Pipeline,
    pub(crate) call_seats: Vec<Seat>,
}

/// One place of a pipeline, and who sits there.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    /// Who is asked.
    pub(crate) plugin: Arc<Plugin>,
    /// The candidate for the place, if there is one.
    pub(crate) candidate: Option<Arc<Candidate>>,
    /// Whether the candidate sits there.
    pub(crate) on_trial: bool,
    /// The version in use, where the candidate sits.
    pub(crate) incumbent: Option<Incumbent>,
}

/// Who is asked when a candidate fails.
#[derive(Clone, Debug)]
pub(crate) struct Incumbent {
    pub(crate) plugin: Arc<Plugin>,
    pub(crate) stage: Stage,
}

impl Generation {
    /// Puts pipelines together under a number that is larger than those before.
    pub fn new(id: u64, pipelines: Vec<PipelineSpec>) -> Self {
        Self::with_candidates(id, pipelines, &[])
    }

    /// The same with candidates for the plugins whose names they bear; of one pipeline the
    /// first [`CANDIDATES_PER_PIPELINE`].
    pub fn with_candidates(
        id: u64,
        pipelines: Vec<PipelineSpec>,
        candidates: &[Arc<Candidate>],
    ) -> Self {
        let mut entries: Vec<Entry> = pipelines
            .into_iter()
            .map(|spec| Entry::new(id, spec, candidates))
            .collect();
        entries.sort_by_key(|entry| Reverse(entry.select.rank()));
        let reject = Entry {
            select: Selection::default(),
            candidates: Vec::new(),
            base: Panel {
                requests: Pipeline::reject_all(id),
                request_seats: Vec::new(),
                responses: Pipeline::reject_all(id),
                response_seats: Vec::new(),
                calls: Pipeline::reject_all(id),
                call_seats: Vec::new(),
            },
            others: Vec::new(),
            leases: false,
        };
        Self {
            id,
            entries,
            reject,
        }
    }

    /// Its number.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The pipeline that judges such a request; one without plugins, which
    /// refuses, where none matches.
    pub fn select(&self, facts: &RequestFacts) -> &Pipeline {
        &self.entry(facts).panel(facts.message.call_id()).requests
    }

    /// Whether any plugin of the call's pipeline wants to see responses.
    pub fn judges_responses(&self, pass: &CallPass) -> bool {
        let entry = self.entry_of(pass);
        entry.is_some_and(|entry| entry.has(|panel| &panel.response_seats))
    }

    /// Whether any plugin of the call's pipeline wants to follow it.
    pub fn follows_calls(&self, pass: &CallPass) -> bool {
        let entry = self.entry_of(pass);
        entry.is_some_and(|entry| entry.has(|panel| &panel.call_seats))
    }

    /// Names of the pipelines of which a plugin wants to see responses.
    pub fn response_pipelines(&self) -> Vec<Arc<str>> {
        let judging = |entry: &&Entry| entry.has(|panel| &panel.response_seats);
        let mut names: Vec<Arc<str>> = Vec::new();
        for entry in self.entries.iter().filter(judging) {
            // A pipeline for several peers has an entry for each of them.
            if !names.contains(&entry.base.responses.name) {
                names.push(Arc::clone(&entry.base.responses.name));
            }
        }
        names
    }

    /// Every plugin that may be asked, those of several pipelines as often as they are
    /// used. Of candidates, those that judge calls now.
    pub fn plugins(&self) -> impl Iterator<Item = &Arc<Plugin>> {
        self.entries.iter().flat_map(|entry| {
            let judging = |candidate: &&Arc<Candidate>| {
                matches!(candidate.stance(), Stance::Canary(_) | Stance::Promoted)
            };
            let candidates = entry.candidates.iter().filter(judging);
            entry
                .base
                .seats()
                .map(|seat| &seat.plugin)
                .chain(candidates.map(|candidate| candidate.plugin()))
        })
    }

    pub(crate) fn entry(&self, facts: &RequestFacts) -> &Entry {
        self.entries
            .iter()
            .find(|entry| entry.select.matches(facts))
            .unwrap_or(&self.reject)
    }

    /// The entry of the pipeline that admitted a call.
    pub(crate) fn entry_of(&self, pass: &CallPass) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|entry| entry.base.requests.name == *pass.pipeline())
    }
}

impl Entry {
    fn new(generation: u64, spec: PipelineSpec, candidates: &[Arc<Candidate>]) -> Self {
        let named = |plugin: &Arc<Plugin>| {
            let mut known = candidates.iter();
            known.find(|candidate| candidate.name() == plugin.name())
        };
        let mut of_spec: Vec<Arc<Candidate>> = Vec::new();
        for candidate in spec.plugins.iter().filter_map(named) {
            let is_known = of_spec.iter().any(|known| Arc::ptr_eq(known, candidate));
            if !is_known && of_spec.len() < CANDIDATES_PER_PIPELINE {
                of_spec.push(Arc::clone(candidate));
            }
        }
        let panel = |set: usize| Panel::new(generation, &spec, &of_spec, set);
        let may_hold = |plugin: &Arc<Plugin>| plugin.grants().contains(Capability::Leases);
        Self {
            base: panel(0),
            others: (1..1 << of_spec.len()).map(panel).collect(),
            leases: spec.plugins.iter().any(may_hold)
                || of_spec.iter().any(|candidate| may_hold(candidate.plugin())),
            candidates: of_spec,
            select: spec.select,
        }
    }

    /// Who is asked about a call.
    pub(crate) fn panel(&self, call_id: &[u8]) -> &Panel {
        let mut set = 0;
        for (place, candidate) in self.candidates.iter().enumerate() {
            if candidate.takes(call_id) {
                set |= 1 << place;
            }
        }
        match usize::checked_sub(set, 1) {
            None => &self.base,
            Some(place) => self.others.get(place).unwrap_or(&self.base),
        }
    }

    /// Whoever holds leases for a new call, on behalf of shadows too.
    pub(crate) fn open_holdings(
        &self,
        live: Arc<dyn Holdings>,
    ) -> (Arc<dyn Holdings>, Option<Arc<WatchedHoldings>>) {
        let in_shadow = |candidate: &&Arc<Candidate>| {
            candidate.stance() == Stance::Shadow
                && candidate.plugin().grants().contains(Capability::Leases)
        };
        let shadows = self.candidates.iter().filter(in_shadow);
        let understudies: Vec<_> = shadows.map(|it| it.understudy_holdings()).collect();
        if understudies.is_empty() {
            return (live, None);
        }
        let watched = WatchedHoldings::new(live, understudies);
        (Arc::clone(&watched) as _, Some(watched))
    }

    fn has(&self, seats: impl Fn(&Panel) -> &Vec<Seat>) -> bool {
        let mut panels = std::iter::once(&self.base).chain(&self.others);
        panels.any(|panel| !seats(panel).is_empty())
    }
}

impl Panel {
    fn new(
        generation: u64,
        spec: &PipelineSpec,
        candidates: &[Arc<Candidate>],
        set: usize,
    ) -> Self {
        let mut seats: Vec<Seat> = Vec::new();
        for plugin in &spec.plugins {
            let mut known = candidates.iter().enumerate();
            let known = known.find(|(_, candidate)| candidate.name() == plugin.name());
            seats.push(match known {
                Some((place, candidate)) if set & (1 << place) != 0 => Seat::of(candidate, plugin),
                known => Seat {
                    plugin: Arc::clone(plugin),
                    candidate: known.map(|(_, candidate)| Arc::clone(candidate)),
                    on_trial: false,
                    incumbent: None,
                },
            });
        }
        let with = |hook: fn(&Plugin) -> bool| -> (Pipeline, Vec<Seat>) {
            let seats = seats.iter().filter(|seat| hook(&seat.plugin));
            let seats: Vec<Seat> = seats.cloned().collect();
            let pipeline = Pipeline {
                name: Arc::clone(&spec.name),
                stages: seats.iter().map(Seat::stage).collect(),
                generation,
            };
            (pipeline, seats)
        };
        let (requests, request_seats) = with(Plugin::judges_requests);
        let (responses, response_seats) = with(Plugin::judges_responses);
        let (calls, call_seats) = with(Plugin::follows_calls);
        Self {
            requests,
            request_seats,
            responses,
            response_seats,
            calls,
            call_seats,
        }
    }

    fn seats(&self) -> impl Iterator<Item = &Seat> {
        let seats = self.request_seats.iter();
        seats.chain(&self.response_seats).chain(&self.call_seats)
    }
}

impl Seat {
    /// The candidate in the place of the plugin.
    fn of(candidate: &Arc<Candidate>, plugin: &Arc<Plugin>) -> Self {
        let incumbent = plugin.judges_requests().then(|| Incumbent {
            plugin: Arc::clone(plugin),
            stage: plugin.stage(),
        });
        Self {
            plugin: Arc::clone(candidate.plugin()),
            candidate: Some(Arc::clone(candidate)),
            on_trial: true,
            incumbent,
        }
    }

    fn stage(&self) -> Stage {
        match &self.candidate {
            Some(candidate) if self.on_trial => candidate.stage(),
            _ => self.plugin.stage(),
        }
    }

    /// The candidate, if it is in the shadow of this seat.
    pub(crate) fn shadow(&self) -> Option<&Arc<Candidate>> {
        let candidate = self.candidate.as_ref().filter(|_| !self.on_trial);
        candidate.filter(|candidate| candidate.stance() == Stance::Shadow)
    }

    /// Who sits there answered a question about a request.
    pub(crate) fn answered(&self, judged: Judged) {
        match &self.candidate {
            Some(candidate) if self.on_trial => candidate.answered(judged),
            Some(candidate) => candidate.live_answered(judged),
            None => {}
        }
    }

    /// A response or a call event was shown to whoever sits there. Of a candidate, only
    /// failures count: such answers neither let pass nor deny.
    pub(crate) fn heard(&self, failure: Option<Judged>, usable: bool) {
        if let Some(candidate) = self.candidate.as_ref().filter(|_| self.on_trial && !usable) {
            candidate.answered(failure.unwrap_or(Judged::Failed("bad-outcome")));
        }
    }
}
