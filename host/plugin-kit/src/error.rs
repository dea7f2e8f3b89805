//! Why a step of an author's work cannot be done: the author's fault, with a remedy.

use std::io;
use std::path::{Path, PathBuf};

use plugin_build::BuildError;
use plugin_signature::{SignatureError, SigningError};
use policy_wasm::LoadError;

/// Why it cannot be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KitError {
    /// A file cannot be read or written.
    #[error("failed to {action} {}: {cause}", .path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A file is larger than anything of its kind.
    #[error("{} has more than {limit} bytes", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What would be read.
        limit: u64,
    },
    /// A name or a folder that cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// The build failed.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The host refuses the plugin.
    #[error("{}: {cause}", .path.display())]
    Load {
        /// The plugin.
        path: PathBuf,
        /// Why.
        cause: LoadError,
    },
    /// The host itself cannot start.
    #[error("the host cannot start: {0}")]
    Host(String),
    /// A golden message or its settings cannot be understood.
    #[error("{}:{line}: {problem}", .path.display())]
    Golden {
        /// The file.
        path: PathBuf,
        /// Counts from 1.
        line: usize,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// Keys or signatures cannot be made.
    #[error("{}: {cause}", .path.display())]
    Signing {
        /// The file with the key.
        path: PathBuf,
        /// Why.
        cause: SigningError,
    },
    /// A signature is not good.
    #[error("{}: {cause}", .path.display())]
    Signature {
        /// The signature.
        path: PathBuf,
        /// Why.
        cause: SignatureError,
    },
}

impl KitError {
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |cause| Self::File {
            action,
            path,
            cause,
        }
    }
}

/// A file, unless it is larger than `limit`.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, KitError> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let failed = |cause| KitError::file("read", path)(cause);
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(KitError::TooLarge {
            path: path.to_owned(),
            limit,
        });
    }
    Ok(bytes)
}
