//! The operator's fault: why an engine cannot start or a plugin cannot be
//! loaded. Each message says what would be right.

use std::path::PathBuf;

use policy::PolicyFailure;

/// Why the engine cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// wasmtime refuses the configuration, or the system the memory for it.
    #[error("failed to set up the WebAssembly engine: {0}")]
    Setup(String),
    /// The cache directory cannot be used.
    #[error("failed to {action} {path}: {source}")]
    Cache {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The system gives no randomness.
    #[error("failed to read randomness from the system: {0}")]
    Randomness(String),
    /// The ticker thread could not be started.
    #[error("failed to start the deadline ticker: {0}")]
    Ticker(std::io::Error),
}

/// Why a plugin cannot be loaded. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file is too large.
    #[error(
        "the plugin has {bytes} bytes; at most wasm_bytes = {limit} are loaded; a component with an interpreter inside needs `limits.wasm_mib` in its config"
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The file is something else.
    #[error(
        "the plugin is not WebAssembly: expected a component or a core module in binary form, found {found}"
    )]
    NotWasm {
        /// What it looks like.
        found: &'static str,
    },
    /// The file is damaged or uses what this host does not support.
    #[error("the plugin is not a valid component: {0}")]
    Invalid(String),
    /// A core module cannot be made a component.
    #[error("the core module cannot be made a component; was it built with the Sipward SDK? {0}")]
    Encode(String),
    /// The component wants something that no plugin gets.
    #[error(
        "the plugin imports `{import}`, which is forbidden: a plugin may import interfaces of sipward:policy@0.1 and nothing else"
    )]
    ForbiddenImport {
        /// The import's name.
        import: String,
    },
    /// The component wants something that was not granted.
    #[error(
        "the plugin imports `{import}`, which is not granted; to grant it, add \"{capability}\" to the plugin's `capabilities` in the config"
    )]
    ImportNotGranted {
        /// The import's name.
        import: String,
        /// The capability to grant.
        capability: &'static str,
    },
    /// The manifest asks for more than was granted.
    #[error(
        "the plugin asks for `{capability}`, which is not granted; to grant it, add \"{capability}\" to the plugin's `capabilities` in the config"
    )]
    CapabilityNotGranted {
        /// The capability to grant.
        capability: &'static str,
    },
    /// The manifest cannot be used.
    #[error("the plugin's manifest is not valid: {0}")]
    Manifest(String),
    /// An interface has another shape than this host's.
    #[error("the plugin does not fit this host's sipward:policy@0.1.0: {0}")]
    Link(String),
    /// There is nothing to call.
    #[error("the plugin exports {missing}; build it with the Sipward SDK's export macro")]
    NoHook {
        /// What is missing.
        missing: &'static str,
    },
    /// The plugin failed before it could say anything.
    #[error("the plugin failed in `{function}`: {failure}")]
    Failed {
        /// `describe` or `configure`.
        function: &'static str,
        /// How.
        failure: PolicyFailure,
    },
    /// A shadow run of it would have nothing to write to.
    #[error("failed to make the state of the shadow run: {0}")]
    Overlay(String),
    /// The plugin refuses its settings.
    #[error("the plugin refuses its settings: `{key}`: {message}")]
    Settings {
        /// Path of the wrong key, dotted.
        key: String,
        /// What is wrong and what would be right.
        message: String,
    },
}
