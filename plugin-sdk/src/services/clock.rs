//! Time, as the host sees it; virtual in tests and replays.
//!
//! ```
//! use sipward_plugin_sdk::{clock, testing};
//! assert_eq!(testing::inside(clock::now_ms), 0);
//! ```

/// Milliseconds since 1970-01-01T00:00:00Z.
///
/// ```
/// # sipward_plugin_sdk::testing::inside(|| {
/// let today = sipward_plugin_sdk::clock::now_ms() / 86_400_000;
/// assert_eq!(today, 0, "a harness begins in 1970");
/// # });
/// ```
#[must_use]
pub fn now_ms() -> u64 {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::clock::now_ms();
    #[cfg(not(target_arch = "wasm32"))]
    return crate::testing::world::with(|world| world.now_ms);
}
