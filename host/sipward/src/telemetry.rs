//! Logs: human lines or JSON, to standard output.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// One readable line an event.
    Human,
    /// One JSON object an event.
    Json,
}

/// Start logging for the whole process. `level` is a filter such as `info` or
/// `sipward=debug,info`.
///
/// # Errors
/// The filter cannot be read. A second call changes nothing.
pub fn start(style: Style, level: &str) -> Result<(), ParseError> {
    let filter = EnvFilter::try_new(level)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false);
    // A subscriber that is already set stays: tests share one process.
    let _already_set = match style {
        Style::Human => builder.with_ansi(false).try_init(),
        Style::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .try_init(),
    };
    Ok(())
}
