//! Why there is no component: each message says what would be right.

use std::path::PathBuf;

/// Why a plugin cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A program cannot be started.
    #[error("failed to start `{line}`: {cause}")]
    Start {
        /// The command as somebody would type it.
        line: String,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A program failed.
    #[error("`{line}` failed: {how}")]
    Failed {
        /// The command as somebody would type it.
        line: String,
        /// Its exit status, and what it printed if nobody saw it.
        how: String,
    },
    /// A file cannot be read or written.
    #[error("failed to {action} {}: {cause}", .path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// There is no compiler and none can be had.
    #[error("{0}")]
    NoCompiler(String),
    /// Packages of the system are missing.
    #[error("{0}")]
    Packages(String),
    /// A module is no policy.
    #[error("{} is not a policy: no component can be made of it: {cause}", .module.display())]
    NotAPolicy {
        /// The module.
        module: PathBuf,
        /// Why.
        cause: String,
    },
    /// Bytes that are no component.
    #[error("not a component in binary form: {0}")]
    NotAComponent(String),
}
