//! Plugins and pipelines: loaded once, and used again by the next generation if
//! nothing about them has changed.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;
use policy::{Capability, Grants, MethodSet, OnFailure};
use policy_wasm::{
    Engine, EngineConfig, Generation, HostServices, Isolation, LoadError, PipelineSpec, Plugin,
    PluginLimits, PluginSource, Selection,
};

use super::AssembleError;
use crate::config;

/// Identity of a loaded plugin: everything that it was made from.
type Fingerprint = [u8; 32];

/// The loaded plugins of the running generation.
#[derive(Default)]
pub(crate) struct PluginShelf {
    loaded: HashMap<Fingerprint, Arc<Plugin>>,
}

impl PluginShelf {
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
        for plugin in &config.plugins {
            let source = source(plugin)?;
            let fingerprint = fingerprint(&source, config);
            let loaded = match self.loaded.get(&fingerprint) {
                Some(loaded) => Arc::clone(loaded),
                None => engine.load(source, services.clone()).map_err(|cause| {
                    AssembleError::Plugin {
                        plugin: plugin.name.clone(),
                        path: plugin.path.clone(),
                        cause,
                    }
                })?,
            };
            read_plan(plugin, services);
            shelf.loaded.insert(fingerprint, Arc::clone(&loaded));
            by_name.insert(&plugin.name, loaded);
        }
        let pipelines = config
            .pipelines
            .iter()
            .map(|pipeline| specs(pipeline, &by_name))
            .collect::<Result<Vec<_>, _>>()?;
        Ok((
            Generation::new(number, pipelines.into_iter().flatten().collect()),
            shelf,
        ))
    }
}

/// The first number that is dialled in a country waits up to 140 ms for the plan of that
/// country, longer than a plugin may take. So it is read now, if the plugin has the
/// setting by which ours name the country.
fn read_plan(plugin: &config::Plugin, services: &HostServices) {
    if let Some(region) = plugin.settings.get("region").and_then(|it| it.as_str()) {
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
    source.isolation = match plugin.isolation {
        config::Isolation::Reuse => Isolation::default(),
        config::Isolation::PerCall => Isolation::PerCall,
    };
    source.on_failure = match plugin.on_failure {
        config::OnFailure::Deny => OnFailure::Deny,
        config::OnFailure::Next => OnFailure::Next,
    };
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
        "{}\n{}\n{:?}\n{:?}\n{:?}\n{:?}\n",
        source.name,
        source.settings,
        source.capabilities,
        source.limits,
        source.isolation,
        source.on_failure
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
