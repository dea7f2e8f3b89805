//! Errors: what a plugin may be told, and what the operator must be told.

use std::path::PathBuf;

use thiserror::Error;

/// Why a counter cannot be used: `counter-error` of the policy interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CounterError {
    /// The table, or this scope's share of it, is full. To be treated as the
    /// limit reached.
    #[error("the counter table is full")]
    Full,
    /// Scope, name, key, window or capacity outside its bounds.
    #[error("a counter's name, key, window or capacity is outside its bounds")]
    Invalid,
}

/// Why nothing can be held: `lease-error` of the policy interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LeaseError {
    /// The table, this scope's share of it or the call's is full. To be treated as
    /// the limit reached.
    #[error("the lease table is full")]
    Full,
    /// Scope, name or key outside its bounds, or an amount of 0.
    #[error("a lease's name, key or amount is outside its bounds")]
    Invalid,
    /// The call is over.
    #[error("the call is over")]
    NoCall,
}

/// Why a value cannot be read or written: `kv-error` of the policy interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KvError {
    /// The scope's share, or the whole table, is used up.
    #[error("the key-value share is used up")]
    Full,
    /// Key or value outside its bounds.
    #[error("a key or value is outside its bounds")]
    Invalid,
    /// The journal could not be written; nothing has changed. The log says why.
    #[error("the journal could not be written")]
    Failed,
}

/// What is wrong with the state directory. For the operator: names the file and
/// what to do.
#[derive(Debug, Error)]
pub enum StateError {
    /// Another process has the directory open.
    #[error(
        "state directory {} is in use by another process; stop it, or set another state_dir",
        .directory.display()
    )]
    InUse {
        /// The directory.
        directory: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("failed to {action} {}: {source}", .file.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        file: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A file is damaged. Nothing has been changed.
    #[error(
        "state file {} is damaged: {detail}; restore the state directory from a backup, or move \
         it away to start without counters, lockouts and stored values",
        .file.display()
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong with it, and where.
        detail: String,
    },
    /// A file that must be there is not.
    #[error(
        "state file {} is missing: {detail}; restore the state directory from a backup, or move \
         it away to start without counters, lockouts and stored values",
        .file.display()
    )]
    Missing {
        /// The file.
        file: PathBuf,
        /// Why it must be there.
        detail: String,
    },
    /// The snapshot could not be written; the journal goes on and nothing is
    /// lost.
    #[error("failed to write the snapshot {}: {detail}", .file.display())]
    Snapshot {
        /// The file.
        file: PathBuf,
        /// The store's answer.
        detail: String,
    },
    /// The checkpoint thread could not be started, or no randomness was had.
    #[error("failed to {action}: {detail}")]
    System {
        /// What was tried.
        action: &'static str,
        /// The system's answer.
        detail: String,
    },
}

impl StateError {
    /// Wraps an I/O error, for `map_err`.
    pub(crate) fn io(
        action: &'static str,
        file: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let file = file.into();
        move |source| Self::Io {
            action,
            file,
            source,
        }
    }
}
