//! What a guest needs that has no standard library.

/// Handles panics of a guest that is built without the feature `std`: the message goes
/// to the host's log, and the guest ends with a trap, which the pipeline's `on_failure`
/// decides on. With the feature, and natively, it stands for nothing.
///
/// Such a guest names its allocator too:
///
/// ```
/// #![no_std]
///
/// extern crate alloc;
///
/// # mod dlmalloc { pub use std::alloc::System as GlobalDlmalloc; }
/// # extern crate std;
/// #[cfg(target_arch = "wasm32")]
/// #[global_allocator]
/// static MEMORY: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;
///
/// sipward_plugin_sdk::panic_handler!();
/// # fn main() {}
/// ```
#[cfg(not(all(target_arch = "wasm32", not(feature = "std"))))]
#[macro_export]
macro_rules! panic_handler {
    () => {};
}

/// Handles panics of a guest that is built without the feature `std`: the message goes
/// to the host's log, and the guest ends with a trap.
///
/// ```
/// sipward_plugin_sdk::panic_handler!();
/// ```
#[cfg(all(target_arch = "wasm32", not(feature = "std")))]
#[macro_export]
macro_rules! panic_handler {
    () => {
        #[panic_handler]
        fn panicked(panic: &::core::panic::PanicInfo<'_>) -> ! {
            $crate::log::error(&$crate::glue::format!("{panic}"));
            $crate::glue::trap()
        }
    };
}
