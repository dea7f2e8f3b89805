//! Lists that the operator keeps in files, of up to some hundred thousand entries:
//! barred numbers, prices. The host reads them again when they change. Needs
//! [`Capability::Lists`](crate::Capability::Lists).
//!
//! ```
//! # use sipward_plugin_sdk::testing::{Harness, Passing, json};
//! use sipward_plugin_sdk::lists;
//! let host = Harness::<Passing>::new(json!(null)).with_list("barred", [("+4990", "dear")]);
//! let barred = host.inside(|| lists::longest_prefix("barred", "+4990012345"));
//! assert_eq!(barred.unwrap().unwrap().value, "dear");
//! ```

use alloc::string::String;

/// An entry.
///
/// ```
/// use sipward_plugin_sdk::lists::Entry;
/// let line = Entry { key: "+49".to_owned(), value: "0.01".to_owned() };
/// # let _ = line;
/// ```
pub use crate::bindings::lists::Entry;
/// Why nothing can be looked up.
///
/// ```
/// use sipward_plugin_sdk::lists::{ListError, find};
/// # sipward_plugin_sdk::testing::inside(|| {
/// assert_eq!(find("barred", "alice"), Err(ListError::NoSuchList));
/// # });
/// ```
pub use crate::bindings::lists::ListError;

#[cfg(target_arch = "wasm32")]
use crate::bindings::lists as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::lists as host;

/// The value of a key, if the list has it.
///
/// ```
/// # use sipward_plugin_sdk::testing::{Harness, Passing, json};
/// use sipward_plugin_sdk::lists;
/// # let host = Harness::<Passing>::new(json!(null)).with_list("barred", [("+4990012345", "")]);
/// # host.inside(|| {
/// let barred = lists::find("barred", "+4990012345")?.is_some();
/// # assert!(barred);
/// # Ok::<(), lists::ListError>(())
/// # }).unwrap();
/// ```
///
/// # Errors
/// [`ListError::NoSuchList`]: the config has no list of this name.
pub fn find(name: &str, key: &str) -> Result<Option<String>, ListError> {
    host::find(name, key)
}

/// The entry with the longest key that `text` begins with.
///
/// ```
/// # use sipward_plugin_sdk::testing::{Harness, Passing, json};
/// use sipward_plugin_sdk::lists;
/// # let prices = [("+49", "0.01"), ("+4990", "1.99")];
/// # let host = Harness::<Passing>::new(json!(null)).with_list("prices", prices);
/// # host.inside(|| {
/// // A file with the lines `+49 = 0.01` and `+4990 = 1.99`.
/// let price = lists::longest_prefix("prices", "+4990012345")?.map(|entry| entry.value);
/// assert_eq!(price.as_deref(), Some("1.99"));
/// # Ok::<(), lists::ListError>(())
/// # }).unwrap();
/// ```
///
/// # Errors
/// As [`find`].
pub fn longest_prefix(name: &str, text: &str) -> Result<Option<Entry>, ListError> {
    host::longest_prefix(name, text)
}
