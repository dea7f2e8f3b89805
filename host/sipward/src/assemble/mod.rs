//! From a checked configuration to the parts that run.
//!
//! Everything here can fail without any effect on what is running: a reload
//! prepares all parts first and installs them afterwards.

mod accounts;
mod listeners;
mod lookups;
mod media;
mod plugins;
mod records;
mod routing;
mod signatures;

use std::path::PathBuf;

pub(crate) use accounts::{Roster, key_of, roster};
pub(crate) use listeners::{ListenerBook, PreparedListeners};
pub(crate) use lookups::LookupShelf;
pub(crate) use media::MediaBook;
pub(crate) use plugins::{PluginShelf, ShelvedCandidate, instances};
pub(crate) use records::{alerts, records};
pub(crate) use routing::{
    message_limits, routing, transaction_limits, transaction_timers, transport_config,
};
pub use signatures::NotAccepted;

/// Why the parts of a configuration cannot be made: the operator's fault.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// A plugin's file cannot be read.
    #[error("plugin `{plugin}`: failed to read {}: {cause}", .path.display())]
    PluginFile {
        /// Name in the configuration.
        plugin: String,
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A plugin was refused.
    #[error("plugin `{plugin}` ({}): {cause}", .path.display())]
    Plugin {
        /// Name in the configuration.
        plugin: String,
        /// The file.
        path: PathBuf,
        /// Why.
        cause: policy_wasm::LoadError,
    },
    /// A plugin's signature is missing, or not one that is accepted.
    #[error("plugin `{plugin}` ({}): {cause}", .path.display())]
    NotAccepted {
        /// Name in the configuration.
        plugin: String,
        /// The file.
        path: PathBuf,
        /// Why.
        cause: NotAccepted,
    },
    /// A name that stands nowhere, or a value that means nothing.
    #[error("{key}: {message}")]
    Value {
        /// The key.
        key: String,
        /// What is wrong and what would be right.
        message: String,
    },
    /// Certificates or keys.
    #[error("{key}: {cause}")]
    Tls {
        /// The key.
        key: String,
        /// What is wrong with which file.
        cause: transport::tls::TlsError,
    },
    /// The store of accounts, or its key.
    #[error("credentials: {0}")]
    Store(String),
    /// A user's secret.
    #[error("credential `{user}`: {message}")]
    Credential {
        /// The user.
        user: String,
        /// What is wrong; never the secret.
        message: String,
    },
}

impl AssembleError {
    pub(crate) fn value(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Value {
            key: key.into(),
            message: message.into(),
        }
    }
}
