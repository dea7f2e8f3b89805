//! Plugins and pipelines: loaded once, and used again by the next generation if
//! nothing about them has changed.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use plugin_signature::Signed;
use policy::{Capability, Grants, MethodSet, OnFailure};
use policy_wasm::{
    Engine, EngineConfig, Generation, HostServices, Isolation, PipelineSpec, Plugin, PluginLimits,
    PluginSource, Selection,
};

use super::AssembleError;
use super::signatures::Acceptance;
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
    let wasm = std::fs::read(&plugin.path).map_err(|cause| AssembleError::PluginFile {
        plugin: plugin.name.clone(),
        path: plugin.path.clone(),
        cause,
    })?;
    let mut source = PluginSource::new(plugin.name.as_str(), Bytes::from(wasm));
    source.settings = serde_json::Value::Object(plugin.settings.clone().into_iter().collect());
    source.capabilities = Grants::from_names(&plugin.capabilities).map_err(|error| {
        AssembleError::value(
            format!("plugin `{}`: capabilities", plugin.name),
            error.to_string(),
        )
    })?;
    source.limits = limits(&plugin.name, &plugin.limits)?;
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

fn limits(plugin: &str, written: &config::PluginLimits) -> Result<PluginLimits, AssembleError> {
    let most = EngineConfig::default();
    let mut limits = PluginLimits::default();
    set(&mut limits.deadline_ms, written.deadline_ms);
    set(
        &mut limits.configure_deadline_ms,
        written.configure_deadline_ms,
    );
    set(
        &mut limits.memory_bytes,
        written.memory_mib.map(|mib| mib.saturating_mul(1 << 20)),
    );
    set(&mut limits.table_elements, written.table_elements);
    set(&mut limits.host_calls, written.host_calls);
    set(&mut limits.log_lines, written.log_lines);
    for (key, given, most) in [
        (
            "memory_mib",
            limits.memory_bytes >> 20,
            most.memory_bytes >> 20,
        ),
        ("table_elements", limits.table_elements, most.table_elements),
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
