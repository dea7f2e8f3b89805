//! Randomness from the host; repeatable in tests and replays.
//!
//! ```
//! use sipward_plugin_sdk::{random, testing};
//! assert_eq!(testing::inside(random::next_u64), testing::inside(random::next_u64));
//! ```

/// 64 uniformly distributed bits, fit for secrets.
///
/// ```
/// # sipward_plugin_sdk::testing::inside(|| {
/// let one_in_four = sipward_plugin_sdk::random::next_u64() % 4 == 0;
/// # let _ = one_in_four;
/// # });
/// ```
#[must_use]
pub fn next_u64() -> u64 {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::random::next_u64();
    #[cfg(not(target_arch = "wasm32"))]
    return crate::testing::world::with(crate::testing::world::World::next_random);
}
