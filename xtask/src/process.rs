//! Running other programs at the root of the workspace.

use std::process::Command;

use anyhow::Result;
use plugin_build::program;
pub(crate) use plugin_build::program::{find, succeeds};

use crate::workspace;

/// The cargo that runs us, at the root of the workspace.
pub(crate) fn cargo() -> Command {
    program::cargo(&workspace::root())
}

/// Run to the end, showing all that the program prints.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    Ok(program::run(command)?)
}

/// Run to the end and return what it printed; on failure the error holds both streams.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    Ok(program::capture(command)?)
}
