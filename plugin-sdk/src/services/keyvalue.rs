//! Small values that outlive a call and a restart. Needs
//! [`Capability::KeyValue`](crate::Capability::KeyValue).
//!
//! A value is durable when [`set`] returns. Keys are 1 to 512
//! bytes, values up to 64 KiB, and belong to the plugin.
//!
//! ```
//! use sipward_plugin_sdk::keyvalue;
//! # sipward_plugin_sdk::testing::inside(|| {
//! keyvalue::set("last/alice", b"DE", 0)?;
//! assert_eq!(keyvalue::get("last/alice")?.as_deref(), Some(&b"DE"[..]));
//! # Ok::<(), keyvalue::KvError>(())
//! # }).unwrap();
//! ```

use alloc::vec::Vec;

/// Why a value cannot be read or written.
///
/// ```
/// use sipward_plugin_sdk::keyvalue::{self, KvError};
/// # sipward_plugin_sdk::testing::inside(|| {
/// assert_eq!(keyvalue::get(""), Err(KvError::Invalid));
/// # });
/// ```
pub use crate::bindings::keyvalue::KvError;

#[cfg(target_arch = "wasm32")]
use crate::bindings::keyvalue as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::keyvalue as host;

/// Reads a value.
///
/// ```
/// use sipward_plugin_sdk::keyvalue;
/// # sipward_plugin_sdk::testing::inside(|| {
/// assert_eq!(keyvalue::get("last/alice")?, None);
/// # Ok::<(), keyvalue::KvError>(())
/// # }).unwrap();
/// ```
///
/// # Errors
/// [`KvError::Invalid`]: the key is out of bounds. [`KvError::Failed`]: the
/// store failed.
pub fn get(key: &str) -> Result<Option<Vec<u8>>, KvError> {
    host::get(key)
}

/// Writes a value; `ttl_ms` 0 keeps it for ever.
///
/// ```
/// use sipward_plugin_sdk::keyvalue;
/// # sipward_plugin_sdk::testing::inside(|| {
/// keyvalue::set("last/alice", b"DE", 86_400_000)?;
/// assert_eq!(keyvalue::get("last/alice")?.as_deref(), Some(&b"DE"[..]));
/// # Ok::<(), keyvalue::KvError>(())
/// # }).unwrap();
/// ```
///
/// # Errors
/// As [`get`], and [`KvError::Full`]: the plugin's share is used up.
pub fn set(key: &str, value: &[u8], ttl_ms: u64) -> Result<(), KvError> {
    host::set(key, value, ttl_ms)
}

/// Removes a value; true if there was one.
///
/// ```
/// use sipward_plugin_sdk::keyvalue;
/// # sipward_plugin_sdk::testing::inside(|| {
/// keyvalue::set("last/alice", b"DE", 0)?;
/// assert!(keyvalue::delete("last/alice")?);
/// assert!(!keyvalue::delete("last/alice")?);
/// # Ok::<(), keyvalue::KvError>(())
/// # }).unwrap();
/// ```
///
/// # Errors
/// As [`get`].
pub fn delete(key: &str) -> Result<bool, KvError> {
    host::delete(key)
}
