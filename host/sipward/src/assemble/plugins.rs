//! Plugins and pipelines: loaded once, and used again by the next generation if
//! nothing about them has changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;
use plugin_signature::Signed;
use policy::{Capability, Grants, MethodSet, OnFailure, RollbackTerms};
use policy_wasm::{
    Candidate, Engine, EngineConfig, Generation, HostServices, Isolation, LoadError, PipelineSpec,
    Plugin, PluginLimits, PluginSource, READY_INSTANCES, Selection, Stance,
};

use super::AssembleError;
use super::signatures::Acceptance;
use crate::config;

/// Instances of all plugins at the most. 8192: each reserves 4 GiB of addresses, of which
/// a program has 128 TiB. Beyond it fewer are made ahead.
const INSTANCES_MAX: u32 = 8192;

/// Identity of a loaded plugin: everything that it was made from.
type Fingerprint = [u8; 32];

/// The loaded plugins of the running generation.
#[derive(Default)]
pub(crate) struct PluginShelf {
    loaded: HashMap<Fingerprint, Arc<Plugin>>,
    candidates: HashMap<String, ShelvedCandidate>,
}

/// A loaded candidate, and how the configuration wants it to be tried.
#[derive(Clone)]
pub(crate) struct ShelvedCandidate {
    pub(crate) candidate: Arc<Candidate>,
    fingerprint: Fingerprint,
    /// Its file, settings and grants: the same after a restart, and after an update of
    /// this program.
    pub(crate) digest: String,
    pub(crate) stance: Stance,
    pub(crate) terms: RollbackTerms,
    /// Version of the plugin that it is beside.
    pub(crate) live_version: String,
}

impl PluginShelf {
    /// The plugins, by name.
    pub(crate) fn plugins(&self) -> Vec<&Arc<Plugin>> {
        let mut plugins: Vec<_> = self.loaded.values().collect();
        plugins.sort_by(|one, other| one.name().cmp(other.name()));
        plugins
    }

    /// Load what is new and put the pipelines together. The shelf that comes
    /// with them replaces this one when the generation is installed.
    ///
    /// # Errors
    /// A plugin's file, manifest, capabilities or settings; nothing has changed.
    pub(crate) fn generation(
        &self,
        number: u64,
        config: &config::Config,
        engine: &Engine,
        services: &HostServices,
    ) -> Result<(Generation, Self), AssembleError> {
        let mut shelf = Self::default();
        let mut by_name: HashMap<&str, Arc<Plugin>> = HashMap::new();
        let acceptance = Acceptance::of(config);
        for plugin in &config.plugins {
            let source = source(plugin)?;
            let signed = acceptance.check(plugin, &source.wasm)?;
            let fingerprint = fingerprint(&source, config);
            let loaded = match self.loaded.get(&fingerprint) {
                Some(loaded) => Arc::clone(loaded),
                None => {
                    tell(plugin, signed.as_ref());
                    let loaded = engine.load(source, services.clone());
                    loaded.map_err(|cause| AssembleError::Plugin {
                        plugin: plugin.name.clone(),
                        path: plugin.path.clone(),
                        cause,
                    })?
                }
            };
            read_plan(&plugin.settings, services);
            shelf.loaded.insert(fingerprint, Arc::clone(&loaded));
            if let Some(written) = &plugin.candidate {
                let version = &loaded.manifest().version;
                let candidate =
                    self.candidate(plugin, written, version, (config, engine, services))?;
                shelf.candidates.insert(plugin.name.clone(), candidate);
            }
            by_name.insert(&plugin.name, loaded);
        }
        let pipelines = config
            .pipelines
            .iter()
            .map(|pipeline| specs(pipeline, &by_name))
            .collect::<Result<Vec<_>, _>>()?;
        let candidates: Vec<_> = shelf
            .candidates
            .values()
            .map(|shelved| Arc::clone(&shelved.candidate))
            .collect();
        let pipelines = pipelines.into_iter().flatten().collect();
        let generation = Generation::with_candidates(number, pipelines, &candidates);
        Ok((generation, shelf))
    }

    /// The candidate of a plugin: the running one, if it has not changed.
    fn candidate(
        &self,
        plugin: &config::Plugin,
        written: &config::Candidate,
        live_version: &str,
        (config, engine, services): (&config::Config, &Engine, &HostServices),
    ) -> Result<ShelvedCandidate, AssembleError> {
        let merged = merged(plugin, written);
        let source = source(&merged).map_err(of_candidate)?;
        let signed = Acceptance::of(config).check(&merged, &source.wasm);
        let signed = signed.map_err(of_candidate)?;
        let fingerprint = fingerprint(&source, config);
        let digest = digest(&source);
        read_plan(&merged.settings, services);
        let known = self.candidates.get(&plugin.name);
        let candidate = match known.filter(|known| known.fingerprint == fingerprint) {
            Some(known) => Arc::clone(&known.candidate),
            None => {
                tell(&merged, signed.as_ref());
                let loaded = engine.load_candidate(source, services);
                loaded.map_err(|cause| AssembleError::Plugin {
                    plugin: format!("{}: candidate", plugin.name),
                    path: merged.path.clone(),
                    cause,
                })?
            }
        };
        Ok(ShelvedCandidate {
            candidate,
            fingerprint,
            digest,
            stance: match written.mode {
                config::CandidateMode::Shadow => Stance::Shadow,
                config::CandidateMode::Canary => Stance::Canary(config::share(written.share)),
            },
            terms: written.rollback.terms(),
            live_version: live_version.to_owned(),
        })
    }

    /// The candidates by the names of their plugins.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = (&String, &ShelvedCandidate)> {
        self.candidates.iter()
    }

    /// The candidate of a plugin.
    pub(crate) fn candidate_of(&self, plugin: &str) -> Option<&ShelvedCandidate> {
        self.candidates.get(plugin)
    }
}

/// The plugin as its candidate would have it.
fn merged(plugin: &config::Plugin, written: &config::Candidate) -> config::Plugin {
    let mut merged = plugin.clone();
    merged.candidate = None;
    if let Some(path) = &written.path {
        merged.path.clone_from(path);
    }
    if let Some(settings) = &written.settings {
        merged.settings.clone_from(settings);
    }
    if let Some(capabilities) = &written.capabilities {
        merged.capabilities.clone_from(capabilities);
    }
    merged
}

fn of_candidate(error: AssembleError) -> AssembleError {
    match error {
        AssembleError::PluginFile {
            plugin,
            path,
            cause,
        } => AssembleError::PluginFile {
            plugin: format!("{plugin}: candidate"),
            path,
            cause,
        },
        other => other,
    }
}

/// Names a candidate for as long as its file, settings and grants are the same.
fn digest(source: &PluginSource) -> String {
    let mut hasher = blake3::Hasher::new();
    let settings = source.settings.to_string();
    let grants = source.capabilities.to_string();
    for text in [settings.as_bytes(), grants.as_bytes(), &source.wasm] {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text);
    }
    hasher.finalize().to_hex().to_string()
}

/// Whose plugin is loaded.
fn tell(plugin: &config::Plugin, signed: Option<&Signed>) {
    match signed {
        Some(Signed { signer, comment }) => {
            tracing::info!(plugin = %plugin.name, signer = %signer.name, comment, "signature is good");
        }
        None => tracing::warn!(
            plugin = %plugin.name,
            "loaded without looking at its signature, since [signatures] required = false"
        ),
    }
}

/// The first number that is dialled in a country waits up to 140 ms for the plan of that
/// country, longer than a plugin may take. So it is read now, if the plugin has the
/// setting by which ours name the country.
fn read_plan(settings: &BTreeMap<String, serde_json::Value>, services: &HostServices) {
    if let Some(region) = settings.get("region").and_then(|it| it.as_str()) {
        // Any number does, and none is as good as one.
        let _any = services.numbers.parse("0123456789", region);
    }
}

/// One specification for each peer that a pipeline names, or one for all peers.
fn specs(
    pipeline: &config::Pipeline,
    by_name: &HashMap<&str, Arc<Plugin>>,
) -> Result<Vec<PipelineSpec>, AssembleError> {
    let plugins = pipeline
        .plugins
        .iter()
        .map(|name| {
            by_name.get(name.as_str()).cloned().ok_or_else(|| {
                AssembleError::value(
                    format!("pipeline `{}`: plugins", pipeline.name),
                    format!("there is no [[plugin]] named `{name}`"),
                )
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let methods = if pipeline.methods.is_empty() {
        MethodSet::ALL
    } else {
        MethodSet::from_names(&pipeline.methods)
    };
    let spec = |peer: Option<&String>| PipelineSpec {
        name: Arc::from(pipeline.name.as_str()),
        select: Selection {
            zone: pipeline.zone.map(super::routing::zone),
            peer: peer.map(|peer| Arc::from(peer.as_str())),
            methods,
        },
        plugins: plugins.clone(),
    };
    Ok(match pipeline.peers.as_slice() {
        [] => vec![spec(None)],
        peers => peers.iter().map(|peer| spec(Some(peer))).collect(),
    })
}

fn source(plugin: &config::Plugin) -> Result<PluginSource, AssembleError> {
    let limits = limits(&plugin.name, &plugin.limits)?;
    let wasm = read(plugin, limits.wasm_bytes)?;
    let mut source = PluginSource::new(plugin.name.as_str(), wasm);
    source.settings = serde_json::Value::Object(plugin.settings.clone().into_iter().collect());
    source.capabilities = Grants::from_names(&plugin.capabilities).map_err(|error| {
        AssembleError::value(
            format!("plugin `{}`: capabilities", plugin.name),
            error.to_string(),
        )
    })?;
    source.limits = limits;
    source.isolation = isolation(plugin);
    source.on_failure = match plugin.on_failure {
        config::OnFailure::Deny => OnFailure::Deny,
        config::OnFailure::Next => OnFailure::Next,
    };
    source.breaker = plugin.breaker.terms();
    Ok(source)
}

/// The plugin's file, unless it is too large: then not a byte of it.
fn read(plugin: &config::Plugin, limit: usize) -> Result<Bytes, AssembleError> {
    let unreadable = |cause: io::Error| AssembleError::PluginFile {
        plugin: plugin.name.clone(),
        path: plugin.path.clone(),
        cause,
    };
    let file = File::open(&plugin.path).map_err(unreadable)?;
    let bytes = file.metadata().map_err(unreadable)?.len();
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    if bytes > limit {
        return Err(AssembleError::Plugin {
            plugin: plugin.name.clone(),
            path: plugin.path.clone(),
            cause: LoadError::TooLarge { bytes, limit },
        });
    }
    let mut wasm = Vec::with_capacity(bytes);
    // One byte more than allowed: the loader refuses a file that has grown since.
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(most).read_to_end(&mut wasm).map_err(unreadable)?;
    Ok(wasm.into())
}

/// As it is asked for; a plugin whose memory cannot be kept gets another.
fn isolation(plugin: &config::Plugin) -> Isolation {
    match plugin.isolation {
        config::Isolation::SingleUse => Isolation::SingleUse {
            ready: plugin.limits.ready_instances.unwrap_or(READY_INSTANCES),
        },
        config::Isolation::Reuse => Isolation::REUSE,
        config::Isolation::PerCall => Isolation::PerCall,
    }
}

/// Instances for all plugins of this configuration, and as many as an engine has by
/// default at least. Two generations are there at once during a reload, and one trial.
/// A quarter is for calls that find none ready.
pub(crate) fn instances(config: &config::Config) -> u32 {
    let kept: usize = config
        .plugins
        .iter()
        .map(|plugin| {
            let versions = 1 + usize::from(plugin.candidate.is_some());
            // Of a candidate, one more for its shadow.
            isolation(plugin).instances() * versions + versions - 1
        })
        .sum();
    let needed = kept.saturating_mul(config.workers()).saturating_mul(2);
    let needed = needed.saturating_add(needed / 3).saturating_add(16);
    let needed = u32::try_from(needed).unwrap_or(u32::MAX);
    EngineConfig::default()
        .instances
        .max(needed)
        .min(INSTANCES_MAX)
}

/// Core instances of one component that may be asked for: three times what the largest
/// interpreter of ours is made of.
const MOST_INSTANCES: usize = 128;

fn limits(plugin: &str, written: &config::PluginLimits) -> Result<PluginLimits, AssembleError> {
    let most = EngineConfig::default();
    let mut limits = PluginLimits::default();
    let mib = |written: Option<usize>| written.map(|mib| mib.saturating_mul(1 << 20));
    set(&mut limits.wasm_bytes, mib(written.wasm_mib));
    set(&mut limits.deadline_ms, written.deadline_ms);
    set(
        &mut limits.configure_deadline_ms,
        written.configure_deadline_ms,
    );
    set(&mut limits.memory_bytes, mib(written.memory_mib));
    set(&mut limits.table_elements, written.table_elements);
    set(&mut limits.instances, written.instances);
    set(&mut limits.host_calls, written.host_calls);
    set(&mut limits.log_lines, written.log_lines);
    for (key, given, most) in [
        ("wasm_mib", limits.wasm_bytes >> 20, most.wasm_bytes >> 20),
        (
            "memory_mib",
            limits.memory_bytes >> 20,
            most.memory_bytes >> 20,
        ),
        ("table_elements", limits.table_elements, most.table_elements),
        ("instances", limits.instances, MOST_INSTANCES),
    ] {
        if given == 0 || given > most {
            return Err(AssembleError::value(
                format!("plugin `{plugin}`: limits.{key}"),
                format!("{given} is out of range; 1 to {most}"),
            ));
        }
    }
    Ok(limits)
}

fn set<T>(limit: &mut T, written: Option<T>) {
    if let Some(written) = written {
        *limit = written;
    }
}

fn fingerprint(source: &PluginSource, config: &config::Config) -> Fingerprint {
    let mut hasher = blake3::Hasher::new();
    let made_from = format!(
        "{}\n{}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n",
        source.name,
        source.settings,
        source.capabilities,
        source.limits,
        source.isolation,
        source.on_failure,
        source.breaker
    );
    hasher.update(made_from.as_bytes());
    // A plugin may refuse settings that name what cannot be looked up, so it is asked
    // again when there are other lists or databases. What is in them does not count.
    if source.capabilities.contains(Capability::Lists) {
        let names: BTreeSet<&str> = config.lists.iter().map(|list| &*list.name).collect();
        hasher.update(format!("{names:?}\n").as_bytes());
    }
    if source.capabilities.contains(Capability::Geo) {
        let files = config.geo.iter().flat_map(config::Geo::files);
        let keys: Vec<&str> = files.map(|(key, _)| key).collect();
        hasher.update(format!("{keys:?}\n").as_bytes());
    }
    hasher.update(&source.wasm);
    *hasher.finalize().as_bytes()
}
