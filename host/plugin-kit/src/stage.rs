//! One plugin in the real host: engine, instances and host functions of the proxy, with
//! state in memory, a clock that stands until it is moved, and no network.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use lists::{List, ListLimits};
use policy::{Capability, Grants};
use policy_wasm::{
    Engine, EngineConfig, HostServices, LookupBook, Lookups, Manifest, Numbers, Plugin,
    PluginLimits, PluginSource, RecentNumbers,
};
use rehearsal::{VirtualClock, in_memory, scratch_state};
use serde_json::Value;

use crate::error::KitError;

/// When a stage begins if nothing else is said: noon in UTC on Thursday, 1 January 2026.
pub(crate) const START_MS: u64 = 1_767_268_800_000;
/// What randomness follows from.
const SEED: u64 = 1;
/// Instances alive at once. 16: one plugin, asked by one thread, and what is made ahead.
const INSTANCES: u32 = 16;
/// Bytes of a component. 64 MiB: an interpreter with its library twice over.
pub(crate) const WASM_BYTES: usize = 64 << 20;
/// Core instances of one component. 64: an interpreter is made of forty.
const CORE_INSTANCES: usize = 64;
/// Milliseconds for `configure`. 5,000: a busy machine must not make a well-behaved
/// plugin late.
const CONFIGURE_MS: u32 = 5_000;
/// Lists that a plugin may look into. 64.
const LISTS: usize = 64;

/// Engine and numbering plans, which take a while to make.
pub(crate) struct Stage {
    engine: Engine,
    numbers: Arc<dyn Numbers>,
}

/// A component to be asked.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) path: PathBuf,
    pub(crate) wasm: Bytes,
    pub(crate) manifest: Manifest,
}

impl Stage {
    /// A stage; one that counts what guests execute runs them slower.
    pub(crate) fn new(count_fuel: bool) -> Result<Self, KitError> {
        let engine = Engine::new(EngineConfig {
            instances: INSTANCES,
            wasm_bytes: WASM_BYTES,
            count_fuel,
            ..EngineConfig::default()
        });
        let engine = engine.map_err(|error| KitError::Host(error.to_string()))?;
        let numbers = RecentNumbers::new().map_err(|error| KitError::Host(error.to_string()))?;
        Ok(Self {
            engine,
            numbers: Arc::new(numbers),
        })
    }

    /// Reads and describes a component, which has no settings for that.
    pub(crate) fn subject(&self, path: &Path, wasm: Vec<u8>) -> Result<Subject, KitError> {
        let wasm = Bytes::from(wasm);
        let mut source = PluginSource::new("plugin", wasm.clone());
        source.capabilities = everything();
        source.limits = generous(CONFIGURE_MS);
        let (services, _) = self.services(Arc::default())?;
        let manifest = self.engine.describe(&source, services);
        let manifest = manifest.map_err(|cause| KitError::Load {
            path: path.to_owned(),
            cause,
        })?;
        Ok(Subject {
            path: path.to_owned(),
            wasm,
            manifest,
        })
    }

    /// Services on new state, and the clock that they show.
    pub(crate) fn services(
        &self,
        lookups: Arc<Lookups>,
    ) -> Result<(HostServices, Arc<VirtualClock>), KitError> {
        let state = scratch_state(0).map_err(|error| KitError::Host(error.to_string()))?;
        let clock = Arc::new(VirtualClock::at(0));
        let numbers = Arc::clone(&self.numbers);
        let services = in_memory(state, &clock, SEED, lookups, numbers);
        Ok((services, clock))
    }

    /// Loads the component as an operator would who grants what it asks for.
    pub(crate) fn load(
        &self,
        subject: &Subject,
        settings: &Value,
        services: HostServices,
        limits: PluginLimits,
    ) -> Result<Arc<Plugin>, KitError> {
        let name = subject.manifest.name.as_str();
        let mut source = PluginSource::new(name, subject.wasm.clone());
        source.settings = settings.clone();
        source.capabilities = subject.manifest.capabilities;
        source.limits = limits;
        // Otherwise the first number would wait for the plan of its country.
        if let Some(region) = settings.get("region").and_then(Value::as_str) {
            let _any = services.numbers.parse("0123456789", region);
        }
        let loaded = self.engine.load(source, services);
        loaded.map_err(|cause| KitError::Load {
            path: subject.path.clone(),
            cause,
        })
    }
}

/// As much as any operator can grant, for a plugin that gets so many milliseconds.
/// Interpreters of other languages need more than a plugin is given by default.
pub(crate) fn generous(deadline_ms: u32) -> PluginLimits {
    let most = EngineConfig::default();
    PluginLimits {
        wasm_bytes: most.wasm_bytes,
        deadline_ms,
        configure_deadline_ms: CONFIGURE_MS,
        memory_bytes: most.memory_bytes,
        table_elements: most.table_elements,
        instances: CORE_INSTANCES,
        ..PluginLimits::default()
    }
}

/// The lists in a folder, one `NAME.txt` each; none if there is no folder.
pub(crate) fn lists_in(folder: &Path) -> Result<Arc<Lookups>, KitError> {
    let mut lists = BTreeMap::new();
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Ok(Arc::new(Lookups::new(LookupBook::default())));
    };
    for entry in entries.flatten().take(LISTS) {
        let path = entry.path();
        let name = path.file_stem().and_then(|name| name.to_str());
        let (Some(name), Some("txt")) = (name, path.extension().and_then(|it| it.to_str())) else {
            continue;
        };
        let list = List::read(&path, ListLimits::default());
        let list =
            list.map_err(|error| KitError::Unusable(format!("{}: {error}", path.display())))?;
        lists.insert(name.to_owned(), Arc::new(list));
    }
    Ok(Arc::new(Lookups::new(LookupBook {
        lists,
        ..LookupBook::default()
    })))
}

fn everything() -> Grants {
    Capability::ALL.into_iter().fold(Grants::NONE, Grants::with)
}
