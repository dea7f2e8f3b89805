//! From a file's bytes to a plugin that may judge live calls, or to the reason
//! why not. Nothing that runs is touched.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use policy::{BreakerTerms, Grants, MethodSet, OnFailure};
use wasmparser::Parser;
use wit_component::ComponentEncoder;

use crate::blueprint::{Blueprint, Drafting};
use crate::engine::Engine;
use crate::error::LoadError;
use crate::guard::Guard;
use crate::imports;
use crate::instance::{ConfigureError, Instance, one_line};
use crate::limits::{Isolation, MANIFEST_BYTES, PluginLimits, SETTINGS_ERROR_BYTES};
use crate::plugin::{Manifest, Plugin};
use crate::services::HostServices;
use crate::snapshot::Uncovered;

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
    /// When it is taken out because it keeps failing.
    pub breaker: BreakerTerms,
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
            breaker: BreakerTerms::default(),
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
        let component = self.component(&source.wasm, source.limits.wasm_bytes)?;
        imports::check(&component, source.capabilities)?;
        let _running = self.ticker.running();
        let services = Arc::new(services);
        let drafting = Drafting {
            engine: self,
            source: &source,
            services: &services,
        };
        let tried = match source.isolation {
            Isolation::SingleUse { .. } => drafting.try_once(&component)?,
            _ => Err(None),
        };
        let (tried, isolation, fallback) = match tried {
            Ok(tried) => (tried, source.isolation, None),
            Err(reason) => {
                let tried = drafting.try_plain(&component)?;
                let isolation = match reason {
                    Some(_) => Isolation::REUSE,
                    None => source.isolation,
                };
                (tried, isolation, reason)
            }
        };
        let Tried {
            blueprint,
            manifest,
        } = tried;
        if let Some(reason) = &fallback {
            tracing::warn!(
                plugin = %blueprint.name,
                reason,
                "isolation is `reuse` instead of `single-use`: the configured memory cannot be kept"
            );
        }
        tracing::debug!(
            plugin = %blueprint.name,
            version = %manifest.version,
            isolation = isolation.name(),
            ms = started.elapsed().as_millis(),
            "plugin loaded"
        );
        Ok(Arc::new(Plugin {
            blueprint,
            version: Arc::from(manifest.version.as_str()),
            methods: MethodSet::from_names(&manifest.methods),
            manifest,
            grants: source.capabilities,
            isolation,
            fallback,
            on_failure: source.on_failure,
            guard: Guard::new(source.breaker),
            breaker: source.breaker,
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
        let component = self.component(&source.wasm, source.limits.wasm_bytes)?;
        imports::check(&component, source.capabilities)?;
        let blueprint = Drafting {
            engine: self,
            source,
            services: &Arc::new(services),
        }
        .blueprint(&component)?;
        let _running = self.ticker.running();
        describe(&blueprint)
    }

    /// The bytes as a component.
    fn component<'w>(&self, wasm: &'w [u8], limit: usize) -> Result<Cow<'w, [u8]>, LoadError> {
        let limit = limit.min(self.config.wasm_bytes);
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
}

impl Drafting<'_> {
    /// Compiles, describes and configures the component.
    fn try_plain(&self, wasm: &[u8]) -> Result<Tried, LoadError> {
        let blueprint = match self.source.isolation {
            Isolation::PerCall => self.blueprint(wasm)?,
            _ => self.blueprint_for_reuse(wasm)?,
        };
        let manifest = asking_no_more(&blueprint, self.source.capabilities)?;
        try_settings(&blueprint)?;
        Ok(Tried {
            blueprint,
            manifest,
        })
    }

    /// The same, and what comes of it is the component as `configure` left it. Or the
    /// reason why there is no such thing, and the component has to be tried plainly:
    /// that tells too what is wrong with it, if something is.
    fn try_once(&self, wasm: &[u8]) -> Result<Result<Tried, Option<String>>, LoadError> {
        let uncovered = match Uncovered::new(wasm) {
            Ok(uncovered) => uncovered,
            Err(refusal) => return Ok(Err(Some(refusal))),
        };
        let mut trial = match self.blueprint(uncovered.wasm()) {
            Ok(blueprint) => blueprint,
            Err(error) => return Ok(Err(Some(shown(&error.to_string())))),
        };
        // One of them shows the memories of the others.
        trial.limits.instances = trial.limits.instances.saturating_add(1);
        let manifest = asking_no_more(&trial, self.source.capabilities)?;
        let instance = try_settings(&trial)?;
        let frozen = uncovered.snapshot(instance).and_then(|wasm| {
            let again = |error: LoadError| shown(&error.to_string());
            imports::check(&wasm, self.source.capabilities).map_err(again)?;
            let mut blueprint = self.blueprint(&wasm).map_err(again)?;
            blueprint.is_configured = true;
            let begun = Instance::start_configured(&blueprint);
            begun.map_err(|failure| shown(&failure.to_string()))?;
            Ok(blueprint)
        });
        Ok(match frozen {
            Ok(blueprint) => Ok(Tried {
                blueprint,
                manifest,
            }),
            Err(reason) => Err(Some(reason)),
        })
    }
}

/// A component that was compiled, described itself and took its settings.
struct Tried {
    blueprint: Blueprint,
    manifest: Manifest,
}

/// The manifest of a plugin that asks for nothing beyond what it was granted.
fn asking_no_more(blueprint: &Blueprint, grants: Grants) -> Result<Manifest, LoadError> {
    let manifest = describe(blueprint)?;
    match manifest.capabilities.without(grants).iter().next() {
        Some(capability) => Err(LoadError::CapabilityNotGranted {
            capability: capability.name(),
        }),
        None => Ok(manifest),
    }
}

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

fn try_settings(blueprint: &Blueprint) -> Result<Instance, LoadError> {
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
        })?;
    Ok(instance)
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

pub(crate) fn shown(text: &str) -> String {
    one_line(text, SETTINGS_ERROR_BYTES)
}
