//! Randomness from the host; repeatable in tests and replays.

/// 64 uniformly distributed bits, fit for secrets.
///
/// ```no_run
/// let one_in_four = sipward_plugin_sdk::random::next_u64() % 4 == 0;
/// # let _ = one_in_four;
/// ```
#[must_use]
pub fn next_u64() -> u64 {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::random::next_u64();
    #[cfg(not(target_arch = "wasm32"))]
    return crate::testing::world::with(crate::testing::world::World::next_random);
}
