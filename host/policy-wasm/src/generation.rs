//! One generation of the operator's policy: its pipelines and which request
//! goes through which. It never changes; a reload makes the next one, and the
//! old one goes when its last transaction ends.

use std::cmp::Reverse;
use std::sync::Arc;

use policy::{CallPass, Capability, MethodSet, Pipeline, RequestFacts, Zone};

use crate::plugin::Plugin;

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

#[derive(Debug)]
pub(crate) struct Entry {
    select: Selection,
    pub(crate) requests: Pipeline,
    pub(crate) request_plugins: Vec<Arc<Plugin>>,
    pub(crate) responses: Pipeline,
    pub(crate) response_plugins: Vec<Arc<Plugin>>,
    pub(crate) calls: Pipeline,
    pub(crate) call_plugins: Vec<Arc<Plugin>>,
    /// Whether any of the plugins may hold leases.
    pub(crate) leases: bool,
}

impl Generation {
    /// Puts pipelines together under a number that is larger than those before.
    pub fn new(id: u64, pipelines: Vec<PipelineSpec>) -> Self {
        let mut entries: Vec<Entry> = pipelines
            .into_iter()
            .map(|spec| Entry::new(id, spec))
            .collect();
        entries.sort_by_key(|entry| Reverse(entry.select.rank()));
        let reject = Entry {
            select: Selection::default(),
            requests: Pipeline::reject_all(id),
            request_plugins: Vec::new(),
            responses: Pipeline::reject_all(id),
            response_plugins: Vec::new(),
            calls: Pipeline::reject_all(id),
            call_plugins: Vec::new(),
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
        &self.entry(facts).requests
    }

    /// Whether any plugin of the call's pipeline wants to see responses.
    pub fn judges_responses(&self, pass: &CallPass) -> bool {
        self.response_entry(pass).is_some()
    }

    /// Whether any plugin of the call's pipeline wants to follow it.
    pub fn follows_calls(&self, pass: &CallPass) -> bool {
        self.call_entry(pass).is_some()
    }

    /// Names of the pipelines of which a plugin wants to see responses.
    pub fn response_pipelines(&self) -> Vec<Arc<str>> {
        let judging = |entry: &&Entry| !entry.response_plugins.is_empty();
        let mut names: Vec<Arc<str>> = Vec::new();
        for entry in self.entries.iter().filter(judging) {
            // A pipeline for several peers has an entry for each of them.
            if !names.contains(&entry.responses.name) {
                names.push(Arc::clone(&entry.responses.name));
            }
        }
        names
    }

    /// Every plugin, those of several pipelines as often as they are used.
    pub fn plugins(&self) -> impl Iterator<Item = &Arc<Plugin>> {
        self.entries.iter().flat_map(|entry| {
            let requests = entry.request_plugins.iter();
            requests
                .chain(&entry.response_plugins)
                .chain(&entry.call_plugins)
        })
    }

    pub(crate) fn entry(&self, facts: &RequestFacts) -> &Entry {
        self.entries
            .iter()
            .find(|entry| entry.select.matches(facts))
            .unwrap_or(&self.reject)
    }

    pub(crate) fn response_entry(&self, pass: &CallPass) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|entry| entry.responses.name == *pass.pipeline())
            .filter(|entry| !entry.response_plugins.is_empty())
    }

    pub(crate) fn call_entry(&self, pass: &CallPass) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|entry| entry.calls.name == *pass.pipeline())
            .filter(|entry| !entry.call_plugins.is_empty())
    }
}

impl Entry {
    fn new(generation: u64, spec: PipelineSpec) -> Self {
        let pipeline = |plugins: &[Arc<Plugin>]| Pipeline {
            name: Arc::clone(&spec.name),
            stages: plugins.iter().map(|plugin| plugin.stage()).collect(),
            generation,
        };
        let with = |hook: fn(&Plugin) -> bool| -> Vec<Arc<Plugin>> {
            let plugins = spec.plugins.iter().filter(|plugin| hook(plugin));
            plugins.cloned().collect()
        };
        let request_plugins = with(Plugin::judges_requests);
        let response_plugins = with(Plugin::judges_responses);
        let call_plugins = with(Plugin::follows_calls);
        let may_hold = |plugin: &Arc<Plugin>| plugin.grants().contains(Capability::Leases);
        Self {
            requests: pipeline(&request_plugins),
            responses: pipeline(&response_plugins),
            calls: pipeline(&call_plugins),
            leases: spec.plugins.iter().any(may_hold),
            select: spec.select,
            request_plugins,
            response_plugins,
            call_plugins,
        }
    }
}
