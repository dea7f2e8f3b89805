//! Every ceiling of this crate, with its default and the reason for it.

/// Bytes of a scope: the plugin's name in its pipeline. Host-made, so this only
/// guards the one-byte length of the composite key.
pub const SCOPE_BYTES: usize = 128;

/// Bytes of a counter's name. Names are written by plugin authors and short.
pub const NAME_BYTES: usize = 64;

/// Bytes of a counter's key. Longer than any user name worth counting; a plugin
/// that needs more hashes its key.
pub const COUNTER_KEY_BYTES: usize = 256;

/// Bytes of a key-value key.
pub const VALUE_KEY_BYTES: usize = 512;

/// When a durable write counts as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When the kernel has it: survives the end of the process by any means,
    /// `kill -9` included, and costs one `write(2)`.
    #[default]
    Process,
    /// When the disk has it (`fdatasync(2)`): survives power loss, and costs a
    /// flush for each durable write.
    Disk,
}

/// Ceilings of [`State`](crate::State). Each is a count unless its name ends
/// with a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sliding windows over all scopes. Default 262,144: about 60 MiB with
    /// typical keys, and one for each source of a large flood.
    pub windows: usize,
    /// Sliding windows of one scope. Default 131,072, so that no plugin can
    /// take the whole table from the others.
    pub windows_per_scope: usize,
    /// Token buckets over all scopes. Default 262,144, as for windows.
    pub buckets: usize,
    /// Token buckets of one scope. Default 131,072, as for windows.
    pub buckets_per_scope: usize,
    /// Values over all scopes. Default 65,536.
    pub values: usize,
    /// Values of one scope. Default 16,384.
    pub values_per_scope: usize,
    /// Bytes of one value. Default 65,536: a plugin's record, not a file.
    pub value_bytes: usize,
    /// Bytes of all keys and values. Default 64 MiB: what a checkpoint must
    /// write at worst, within about a second.
    pub values_total_bytes: usize,
    /// Bytes of the keys and values of one scope. Default 16 MiB.
    pub values_per_scope_bytes: usize,
    /// Keys of which calls hold something, over all scopes. Default 262,144: four for
    /// each of the most calls.
    pub leases: usize,
    /// Such keys of one scope. Default 131,072, as for windows.
    pub leases_per_scope: usize,
    /// Different scopes. Default 1,024: plugins in pipelines, from the config.
    pub scopes: usize,
    /// Longest sliding window in milliseconds. Default 400 days: a year's
    /// statistics and no accidental "for ever".
    pub window_ms: u64,
    /// Idle time after which a bucket that is not yet full is forgotten, in
    /// milliseconds. Default 31 days; full buckets are forgotten at once.
    pub bucket_idle_ms: u64,
    /// Bytes of all journal files together. Default 64 MiB; a checkpoint starts
    /// at half of it.
    pub journal_bytes: u64,
    /// Shards of a table that one `sweep` looks through. Default 8 of 64, so
    /// that a sweep of full default tables stays under a millisecond.
    pub sweep_shards: usize,
    /// When a durable write counts as written.
    pub durability: Durability,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            windows: 262_144,
            windows_per_scope: 131_072,
            buckets: 262_144,
            buckets_per_scope: 131_072,
            values: 65_536,
            values_per_scope: 16_384,
            value_bytes: 65_536,
            values_total_bytes: 64 << 20,
            values_per_scope_bytes: 16 << 20,
            leases: 262_144,
            leases_per_scope: 131_072,
            scopes: 1_024,
            window_ms: 400 * 24 * 3_600_000,
            bucket_idle_ms: 31 * 24 * 3_600_000,
            journal_bytes: 64 << 20,
            sweep_shards: 8,
            durability: Durability::Process,
        }
    }
}
