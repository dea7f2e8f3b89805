//! From a file's bytes to a plugin that may judge live calls, or to the reason
//! why not. Nothing that runs is touched.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use policy::{Grants, OnFailure};
use wasmparser::Parser;
use wit_component::ComponentEncoder;

use crate::aot;
use crate::bindings::{call_policy, lifecycle, request_policy, response_policy};
use crate::engine::Engine;
use crate::error::LoadError;
use crate::host;
use crate::imports;
use crate::instance::{ConfigureError, Instance, one_line};
use crate::limits::{Isolation, MANIFEST_BYTES, PluginLimits, SETTINGS_ERROR_BYTES};
use crate::plugin::{Blueprint, Manifest, Plugin};
use crate::services::HostServices;

/// A plugin as the operator configured it.
#[derive(Clone, Debug)]
pub struct PluginSource {
    /// Name in the config; also the scope of its counters and values, so two
    /// plugins must not share one.
    pub name: Arc<str>,
    /// A component, or a core module with a component-type section.
    pub wasm: Bytes,
    /// Its settings, handed over as JSON.
    pub settings: serde_json::Value,
    /// What is granted.
    pub capabilities: Grants,
    /// What it may use.
    pub limits: PluginLimits,
    /// How long its instances live.
    pub isolation: Isolation,
    /// What it means if it fails.
    pub on_failure: OnFailure,
}

impl PluginSource {
    /// A plugin with empty settings, no grants and defaults.
    pub fn new(name: impl Into<Arc<str>>, wasm: impl Into<Bytes>) -> Self {
        Self {
            name: name.into(),
            wasm: wasm.into(),
            settings: serde_json::Value::Object(serde_json::Map::new()),
            capabilities: Grants::NONE,
            limits: PluginLimits::default(),
            isolation: Isolation::default(),
            on_failure: OnFailure::default(),
        }
    }
}

impl Engine {
    /// Loads a plugin: size, form, imports, compilation, manifest, capabilities,
    /// and a trial of its settings, in this order.
    ///
    /// # Errors
    /// The first thing that is wrong, with what would be right.
    pub fn load(
        &self,
        source: PluginSource,
        services: HostServices,
    ) -> Result<Arc<Plugin>, LoadError> {
        let started = Instant::now();
        let component = self.component(&source.wasm)?;
        imports::check(&component, source.capabilities)?;
        let blueprint = self.blueprint(&component, &source, services)?;
        let _running = self.ticker.running();
        let manifest = describe(&blueprint)?;
        let missing = manifest.capabilities.without(source.capabilities);
        if let Some(capability) = missing.iter().next() {
            return Err(LoadError::CapabilityNotGranted {
                capability: capability.name(),
            });
        }
        try_settings(&blueprint)?;
        tracing::debug!(
            plugin = %blueprint.name,
            version = %manifest.version,
            ms = started.elapsed().as_millis(),
            "plugin loaded"
        );
        Ok(Arc::new(Plugin {
            blueprint,
            manifest,
            grants: source.capabilities,
            isolation: source.isolation,
            on_failure: source.on_failure,
        }))
    }

    /// Lets a component describe itself, without settings and so without a place in a
    /// pipeline: size, form, imports, compilation and manifest are checked as by
    /// [`Engine::load`].
    ///
    /// # Errors
    /// The first thing that is wrong, with what would be right.
    pub fn describe(
        &self,
        source: &PluginSource,
        services: HostServices,
    ) -> Result<Manifest, LoadError> {
        let component = self.component(&source.wasm)?;
        imports::check(&component, source.capabilities)?;
        let blueprint = self.blueprint(&component, source, services)?;
        let _running = self.ticker.running();
        describe(&blueprint)
    }

    /// The bytes as a component.
    fn component<'w>(&self, wasm: &'w [u8]) -> Result<Cow<'w, [u8]>, LoadError> {
        let limit = self.config.wasm_bytes;
        let too_large = |bytes| LoadError::TooLarge { bytes, limit };
        if wasm.len() > limit {
            return Err(too_large(wasm.len()));
        }
        if Parser::is_component(wasm) {
            return Ok(Cow::Borrowed(wasm));
        }
        if !Parser::is_core_wasm(wasm) {
            return Err(LoadError::NotWasm { found: kind(wasm) });
        }
        let encoded = ComponentEncoder::default()
            .validate(true)
            .module(wasm)
            .and_then(|encoder| encoder.encode())
            .map_err(|error| LoadError::Encode(shown(&format!("{error:#}"))))?;
        if encoded.len() > limit {
            return Err(too_large(encoded.len()));
        }
        Ok(Cow::Owned(encoded))
    }

    fn blueprint(
        &self,
        wasm: &[u8],
        source: &PluginSource,
        services: HostServices,
    ) -> Result<Blueprint, LoadError> {
        let component = aot::compile(self, wasm)
            .map_err(|error| LoadError::Invalid(shown(&format!("{error:#}"))))?;
        let link = |error: wasmtime::Error| LoadError::Link(shown(&format!("{error:#}")));
        let pre = host::linker(&self.wasmtime, source.capabilities)
            .and_then(|linker| linker.instantiate_pre(&component))
            .map_err(link)?;
        let exports = |name: &str| component.get_export_index(None, name).is_some();
        if !exports(LIFECYCLE) {
            return Err(LoadError::NoHook {
                missing: "no lifecycle",
            });
        }
        let request = match exports(REQUEST_POLICY) {
            true => Some(request_policy::GuestIndices::new(&pre).map_err(link)?),
            false => None,
        };
        let response = match exports(RESPONSE_POLICY) {
            true => Some(response_policy::GuestIndices::new(&pre).map_err(link)?),
            false => None,
        };
        let call = match exports(CALL_POLICY) {
            true => Some(call_policy::GuestIndices::new(&pre).map_err(link)?),
            false => None,
        };
        if request.is_none() && response.is_none() && call.is_none() {
            return Err(LoadError::NoHook { missing: "no hook" });
        }
        let mut limits = source.limits;
        limits.memory_bytes = limits.memory_bytes.min(self.config.memory_bytes);
        limits.table_elements = limits.table_elements.min(self.config.table_elements);
        Ok(Blueprint {
            name: Arc::clone(&source.name),
            lifecycle: lifecycle::GuestIndices::new(&pre).map_err(link)?,
            pre,
            request,
            response,
            call,
            services: Arc::new(services),
            limits,
            settings: source.settings.to_string(),
            counts_fuel: self.config.count_fuel,
            ticker: Arc::clone(&self.ticker),
        })
    }
}

const LIFECYCLE: &str = "sipward:policy/lifecycle@0.1.0";
const REQUEST_POLICY: &str = "sipward:policy/request-policy@0.1.0";
const RESPONSE_POLICY: &str = "sipward:policy/response-policy@0.1.0";
const CALL_POLICY: &str = "sipward:policy/call-policy@0.1.0";

fn describe(blueprint: &Blueprint) -> Result<Manifest, LoadError> {
    let failed = |failure| LoadError::Failed {
        function: "describe",
        failure,
    };
    let manifest = Instance::start(blueprint)
        .and_then(|mut instance| instance.describe())
        .map_err(failed)?;
    let bytes = [&manifest.name, &manifest.version, &manifest.description]
        .into_iter()
        .chain(&manifest.methods)
        .chain(&manifest.capabilities)
        .chain([&manifest.settings_schema])
        .map(String::len)
        .fold(0, usize::saturating_add);
    if bytes > MANIFEST_BYTES {
        return Err(LoadError::Manifest(format!(
            "its texts have {bytes} bytes; at most {MANIFEST_BYTES} are taken"
        )));
    }
    let capabilities = Grants::from_names(&manifest.capabilities)
        .map_err(|error| LoadError::Manifest(shown(&error.to_string())))?;
    if let Some(method) = manifest.methods.iter().find(|name| !is_method(name)) {
        return Err(LoadError::Manifest(format!(
            "`{}` is not a method; methods are upper case",
            shown(method)
        )));
    }
    Ok(Manifest {
        name: shown(&manifest.name),
        version: shown(&manifest.version),
        description: shown(&manifest.description),
        methods: manifest.methods,
        capabilities,
        settings_schema: manifest.settings_schema,
    })
}

/// A token without lower-case letters, which would never match.
fn is_method(name: &str) -> bool {
    let fits = |byte: u8| {
        byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"-.!%*_+`'~".contains(&byte)
    };
    !name.is_empty() && name.bytes().all(fits)
}

fn try_settings(blueprint: &Blueprint) -> Result<(), LoadError> {
    let failed = |failure| LoadError::Failed {
        function: "configure",
        failure,
    };
    let mut instance = Instance::start(blueprint).map_err(failed)?;
    instance
        .configure(&blueprint.settings)
        .map_err(|error| match error {
            ConfigureError::Failed(failure) => failed(failure),
            ConfigureError::Settings { key, message } => LoadError::Settings { key, message },
        })
}

/// What bytes that are not WebAssembly look like.
fn kind(bytes: &[u8]) -> &'static str {
    match bytes {
        [] => "an empty file",
        [0, b'a', b's', b'm', ..] => "WebAssembly of an unknown version",
        [0x7f, b'E', b'L', b'F', ..] => "a native program",
        [b'#', b'!', ..] => "a script",
        _ if std::str::from_utf8(bytes).is_ok() => "text",
        _ => "other bytes",
    }
}

fn shown(text: &str) -> String {
    one_line(text, SETTINGS_ERROR_BYTES)
}
