//! Ceilings of one plugin and how its instances are kept. Each limit has the
//! name of its config key; zero never means "none".

use policy::OutcomeLimits;

/// What one plugin may use. Reaching a limit is a
/// [`PolicyFailure`](policy::PolicyFailure) that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PluginLimits {
    /// Bytes of the plugin's file, and of the component made of it. 16 MiB: fifty
    /// times a large Rust plugin; compiling more takes minutes.
    pub wasm_bytes: usize,
    /// Milliseconds that one call of a hook may work. 50: a thousand times what policies
    /// do, and a loop still costs less than a retransmission (500 ms). That the thread
    /// waits for its processor does not count, up to eight times as long. Granularity
    /// 2 ms; up to 16 ms more after a time without any call.
    pub deadline_ms: u32,
    /// The same for `describe` and for `configure`. 500: they parse settings
    /// and build tables, once per instance.
    pub configure_deadline_ms: u32,
    /// Bytes of all linear memories of an instance. 16 MiB: a prefix list of
    /// 100,000 entries with room to spare.
    pub memory_bytes: usize,
    /// Elements of all tables of an instance. 10,000: function pointers of a
    /// large program.
    pub table_elements: usize,
    /// Core instances that make up one component instance. 8: `wit-component`
    /// makes three; the interpreter of another language is made of more.
    pub instances: usize,
    /// Calls of host functions during one call of a hook. 1000: ten look-ups for
    /// each of a hundred headers.
    pub host_calls: u32,
    /// Bytes that host functions take and return during one call of a hook.
    /// 512 KiB: the largest message eight times over.
    pub host_bytes: usize,
    /// Log lines during one call of a hook. 16.
    pub log_lines: u32,
    /// Bounds of the outcome.
    pub outcome: OutcomeLimits,
}

impl Default for PluginLimits {
    fn default() -> Self {
        Self {
            wasm_bytes: 16 << 20,
            deadline_ms: 50,
            configure_deadline_ms: 500,
            memory_bytes: 16 << 20,
            table_elements: 10_000,
            instances: 8,
            host_calls: 1000,
            host_bytes: 512 << 10,
            log_lines: 16,
            outcome: OutcomeLimits::default(),
        }
    }
}

/// How long an instance lives. A trap always ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Isolation {
    /// An instance for each call, made ahead of it with the memory that `configure`
    /// left. A plugin whose memory cannot be kept is reused instead.
    SingleUse {
        /// Instances that each worker has ready; 1 at least. A burst that takes them
        /// all makes its own.
        ready: u32,
    },
    /// One instance per worker, replaced after a random number of calls between
    /// the two, so that a guest cannot tell when.
    Reuse {
        /// At least so many calls; 1 at least.
        min_calls: u32,
        /// At most so many calls.
        max_calls: u32,
    },
    /// A fresh instance for each call, configured on the spot.
    PerCall,
}

impl Isolation {
    /// Reuse for 10,000 to 20,000 calls: an instance costs less than one of ten
    /// thousand calls then.
    pub const REUSE: Self = Self::Reuse {
        min_calls: 10_000,
        max_calls: 20_000,
    };

    /// As the configuration names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SingleUse { .. } => "single-use",
            Self::Reuse { .. } => "reuse",
            Self::PerCall => "per-call",
        }
    }

    /// Instances that a worker keeps between calls.
    pub(crate) fn kept(self) -> usize {
        match self {
            Self::SingleUse { ready } => usize::try_from(ready).unwrap_or(usize::MAX).max(1),
            Self::Reuse { .. } => 1,
            Self::PerCall => 0,
        }
    }

    /// Instances of one worker at the most: those it keeps, and one that runs although
    /// none was ready.
    pub fn instances(self) -> usize {
        match self {
            Self::SingleUse { .. } => self.kept().saturating_add(1),
            Self::Reuse { .. } | Self::PerCall => 1,
        }
    }
}

impl Default for Isolation {
    fn default() -> Self {
        Self::SingleUse {
            ready: READY_INSTANCES,
        }
    }
}

/// Instances that a worker has ready of a plugin that is used once. 4: as many as are
/// asked for within the time that it takes to make one.
pub const READY_INSTANCES: u32 = 4;
/// The most that an operator may ask for. 64: a pool of them holds sixteen plugins of
/// one worker.
pub const READY_INSTANCES_MAX: u32 = 64;
/// Bytes of a component with the memory that `configure` left. 48 MiB: the largest
/// plugin with the most memory that one has by default, twice.
pub(crate) const SNAPSHOT_BYTES: usize = 48 << 20;

/// Bytes of one log line. 1024: a few sentences; longer ones are cut.
pub(crate) const LOG_LINE_BYTES: usize = 1024;
/// Bytes of all texts of a manifest. 64 KiB: a large JSON Schema.
pub(crate) const MANIFEST_BYTES: usize = 64 << 10;
/// Bytes of the texts of a settings error that are shown. 1024.
pub(crate) const SETTINGS_ERROR_BYTES: usize = 1024;
/// Bytes of a trap's description that are kept. 256: one log line.
pub(crate) const TRAP_BYTES: usize = 256;
