//! Lines for the operator. The host bounds their number and length per call.
//!
//! ```no_run
//! use sipward_plugin_sdk::log;
//! log::info("allow list is empty, everybody is refused");
//! sipward_plugin_sdk::warn!("{} of {} rules never match", 2, 9);
//! ```

/// How loud a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For the author of the plugin.
    Debug,
    /// For the operator.
    Info,
    /// Something is wrong.
    Warn,
    /// The plugin cannot do its work.
    Error,
}

/// Writes one line.
pub fn write(level: Level, text: &str) {
    #[cfg(target_arch = "wasm32")]
    {
        use crate::bindings::log as host;
        let level = match level {
            Level::Debug => host::Level::Debug,
            Level::Info => host::Level::Info,
            Level::Warn => host::Level::Warn,
            Level::Error => host::Level::Error,
        };
        host::write(level, text);
    }
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::world::with(|world| world.logs.push((level, text.to_owned())));
}

/// Writes a line for the author.
pub fn debug(text: &str) {
    write(Level::Debug, text);
}

/// Writes a line for the operator.
pub fn info(text: &str) {
    write(Level::Info, text);
}

/// Writes a warning.
pub fn warn(text: &str) {
    write(Level::Warn, text);
}

/// Writes an error.
pub fn error(text: &str) {
    write(Level::Error, text);
}

/// Formats and writes a line at the level `debug`.
#[macro_export]
macro_rules! debug { ($($part:tt)*) => { $crate::log::debug(&::std::format!($($part)*)) } }

/// Formats and writes a line at the level `info`.
#[macro_export]
macro_rules! info { ($($part:tt)*) => { $crate::log::info(&::std::format!($($part)*)) } }

/// Formats and writes a line at the level `warn`.
#[macro_export]
macro_rules! warn { ($($part:tt)*) => { $crate::log::warn(&::std::format!($($part)*)) } }

/// Formats and writes a line at the level `error`.
#[macro_export]
macro_rules! error { ($($part:tt)*) => { $crate::log::error(&::std::format!($($part)*)) } }
