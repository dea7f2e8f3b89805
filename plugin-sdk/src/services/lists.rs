//! Lists that the operator keeps in files, of up to some hundred thousand entries:
//! barred numbers, prices. The host reads them again when they change. Needs
//! [`Capability::Lists`](crate::Capability::Lists).

pub use crate::bindings::lists::{Entry, ListError};

#[cfg(target_arch = "wasm32")]
use crate::bindings::lists as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::lists as host;

/// The value of a key, if the list has it.
///
/// ```no_run
/// use sipward_plugin_sdk::lists;
/// let barred = lists::find("barred", "+4990012345")?.is_some();
/// # let _ = barred;
/// # Ok::<(), lists::ListError>(())
/// ```
///
/// # Errors
/// [`ListError::NoSuchList`]: the config has no list of this name.
pub fn find(name: &str, key: &str) -> Result<Option<String>, ListError> {
    host::find(name, key)
}

/// The entry with the longest key that `text` begins with.
///
/// ```no_run
/// use sipward_plugin_sdk::lists;
/// // A file with the lines `+49 = 0.01` and `+4990 = 1.99`.
/// let price = lists::longest_prefix("prices", "+4990012345")?.map(|entry| entry.value);
/// # let _ = price;
/// # Ok::<(), lists::ListError>(())
/// ```
///
/// # Errors
/// As [`find`].
pub fn longest_prefix(name: &str, text: &str) -> Result<Option<Entry>, ListError> {
    host::longest_prefix(name, text)
}
