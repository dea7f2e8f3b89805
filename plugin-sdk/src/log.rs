//! Lines for the operator. The host bounds their number and length per call.
//!
//! ```
//! use sipward_plugin_sdk::log;
//! # sipward_plugin_sdk::testing::inside(|| {
//! log::info("allow list is empty, everybody is refused");
//! sipward_plugin_sdk::warn!("{} of {} rules never match", 2, 9);
//! # });
//! ```

/// How loud a line is.
///
/// ```
/// # use sipward_plugin_sdk::testing::{Harness, Passing, json};
/// use sipward_plugin_sdk::log::{self, Level};
/// let harness = Harness::<Passing>::new(json!(null));
/// harness.inside(|| log::write(Level::Info, "ready"));
/// assert_eq!(harness.take_logs(), [(Level::Info, "ready".to_owned())]);
/// ```
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
///
/// ```
/// # use sipward_plugin_sdk::testing::inside;
/// use sipward_plugin_sdk::log::{self, Level};
/// # inside(|| {
/// log::write(Level::Warn, "the list of prices is empty");
/// # });
/// ```
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
///
/// ```
/// # sipward_plugin_sdk::testing::inside(|| {
/// sipward_plugin_sdk::log::debug("rule 3 matched");
/// # });
/// ```
pub fn debug(text: &str) {
    write(Level::Debug, text);
}

/// Writes a line for the operator.
///
/// ```
/// # sipward_plugin_sdk::testing::inside(|| {
/// sipward_plugin_sdk::log::info("nobody is on the list");
/// # });
/// ```
pub fn info(text: &str) {
    write(Level::Info, text);
}

/// Writes a warning.
///
/// ```
/// # sipward_plugin_sdk::testing::inside(|| {
/// sipward_plugin_sdk::log::warn("the list of prices is empty");
/// # });
/// ```
pub fn warn(text: &str) {
    write(Level::Warn, text);
}

/// Writes an error.
///
/// ```
/// # sipward_plugin_sdk::testing::inside(|| {
/// sipward_plugin_sdk::log::error("no price list of this name");
/// # });
/// ```
pub fn error(text: &str) {
    write(Level::Error, text);
}

/// Formats and writes a line at the level `debug`.
///
/// ```
/// # sipward_plugin_sdk::testing::inside(|| {
/// sipward_plugin_sdk::debug!("rule {} matched", 3);
/// # });
/// ```
#[macro_export]
macro_rules! debug { ($($part:tt)*) => { $crate::log::debug(&$crate::glue::format!($($part)*)) } }

/// Formats and writes a line at the level `info`.
///
/// ```
/// # sipward_plugin_sdk::testing::inside(|| {
/// sipward_plugin_sdk::info!("{} users may call", 12);
/// # });
/// ```
#[macro_export]
macro_rules! info { ($($part:tt)*) => { $crate::log::info(&$crate::glue::format!($($part)*)) } }

/// Formats and writes a line at the level `warn`.
///
/// ```
/// # sipward_plugin_sdk::testing::inside(|| {
/// sipward_plugin_sdk::warn!("{} of {} rules never match", 2, 9);
/// # });
/// ```
#[macro_export]
macro_rules! warn { ($($part:tt)*) => { $crate::log::warn(&$crate::glue::format!($($part)*)) } }

/// Formats and writes a line at the level `error`.
///
/// ```
/// # sipward_plugin_sdk::testing::inside(|| {
/// sipward_plugin_sdk::error!("the list {} is not there", "prices");
/// # });
/// ```
#[macro_export]
macro_rules! error { ($($part:tt)*) => { $crate::log::error(&$crate::glue::format!($($part)*)) } }
