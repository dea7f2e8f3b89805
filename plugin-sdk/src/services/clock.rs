//! Time, as the host sees it; virtual in tests and replays.

/// Milliseconds since 1970-01-01T00:00:00Z.
///
/// ```no_run
/// let today = sipward_plugin_sdk::clock::now_ms() / 86_400_000;
/// # let _ = today;
/// ```
#[must_use]
pub fn now_ms() -> u64 {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::clock::now_ms();
    #[cfg(not(target_arch = "wasm32"))]
    return crate::testing::world::with(|world| world.now_ms);
}
