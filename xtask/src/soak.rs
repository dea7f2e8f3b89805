//! `cargo xtask soak`: calls with media for a long time, and a verdict.

use std::process::Command;

use anyhow::Result;
use clap::Args;

use crate::setup::{self, Purpose};
use crate::{plugins, process, workspace};

/// How long.
#[derive(Args)]
pub(crate) struct Options {
    /// How long calls arrive.
    #[arg(long, default_value = "30")]
    minutes: String,
    /// Handed on as they are.
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Build for release and run.
pub(crate) fn run(options: &Options) -> Result<()> {
    let toolchain = setup::run(Purpose::Plugins)?;
    plugins::build(&toolchain)?;
    process::run(process::cargo().args([
        "build",
        "--release",
        "--locked",
        "--package",
        "sipward-tests",
        "--bin",
        "soak",
        "--package",
        "sipward",
        "--bin",
        "sipward",
    ]))?;
    let mut command = Command::new(workspace::release_program("soak"));
    command
        .current_dir(workspace::root())
        .env("SIPWARD_PLUGINS", workspace::plugin_folder())
        .args(["--minutes", &options.minutes])
        .args(&options.arguments);
    process::run(&mut command)
}
