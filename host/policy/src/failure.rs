//! The policy's fault: everything that keeps a plugin from giving an answer
//! that can be used. What it means for the request is the operator's choice,
//! see [`OnFailure`](crate::OnFailure).

/// Why a plugin's answer is missing or cannot be used. Texts are for operators
/// and never sent to a peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyFailure {
    /// The guest trapped: unreachable code, a bad access, a division by zero.
    #[error("the plugin trapped: {0}")]
    Trap(String),
    /// The call ran longer than it may.
    #[error("the plugin ran longer than deadline_ms = {limit_ms}")]
    Deadline {
        /// The limit in milliseconds.
        limit_ms: u32,
    },
    /// The guest asked for more linear memory than it may have.
    #[error("the plugin needs more memory than memory_bytes = {limit_bytes}")]
    Memory {
        /// The limit in bytes.
        limit_bytes: usize,
    },
    /// The guest asked for a larger table than it may have.
    #[error("the plugin needs a larger table than table_elements = {limit}")]
    Table {
        /// The limit in elements.
        limit: usize,
    },
    /// The guest recursed too deep.
    #[error("the plugin exhausted its stack")]
    Stack,
    /// The guest called the host too often in one call.
    #[error("the plugin made more host calls than host_calls = {limit}")]
    HostCalls {
        /// The limit.
        limit: u32,
    },
    /// The guest wrote too many log lines in one call.
    #[error("the plugin wrote more log lines than log_lines = {limit}")]
    LogLines {
        /// The limit.
        limit: u32,
    },
    /// The guest fetched or handed over too much in one call.
    #[error("the plugin exchanged more bytes with the host than host_bytes = {limit}")]
    HostBytes {
        /// The limit in bytes.
        limit: usize,
    },
    /// Something in the outcome is larger than it may be.
    #[error("the outcome's {what} exceeds its limit of {limit}")]
    OutcomeTooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit, in bytes or pieces.
        limit: usize,
    },
    /// The verdict cannot be carried out.
    #[error("the verdict {verdict} is not allowed: {reason}")]
    BadVerdict {
        /// The verdict's name.
        verdict: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// An effect is not allowed.
    #[error("the effect {effect} is not allowed: {reason}")]
    BadEffect {
        /// The effect's name.
        effect: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// No instance could be made: the pool is full or the guest failed to start.
    #[error("no instance of the plugin could be made: {0}")]
    Instance(String),
    /// The plugin that the stage names is not there.
    #[error("there is no plugin {0}")]
    Missing(String),
    /// The plugin kept failing, and is left alone for a while.
    #[error("the plugin keeps failing and is taken out; it is tried again in {retry_after_ms} ms")]
    TakenOut {
        /// Milliseconds until then.
        retry_after_ms: u64,
    },
    /// The answer came after the asker gave up, or never.
    #[error("the answer came too late")]
    Late,
}

impl PolicyFailure {
    /// A short name of the kind of failure, for metrics.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Trap(_) => "trap",
            Self::Deadline { .. } => "deadline",
            Self::Memory { .. } => "memory",
            Self::Table { .. } => "table",
            Self::Stack => "stack",
            Self::HostCalls { .. } => "host-calls",
            Self::LogLines { .. } => "log-lines",
            Self::HostBytes { .. } => "host-bytes",
            Self::OutcomeTooLarge { .. } => "outcome-too-large",
            Self::BadVerdict { .. } => "bad-verdict",
            Self::BadEffect { .. } => "bad-effect",
            Self::Instance(_) => "instance",
            Self::Missing(_) => "missing",
            Self::TakenOut { .. } => "taken-out",
            Self::Late => "late",
        }
    }
}
