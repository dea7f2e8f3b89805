//! `cargo xtask soak`: calls with media for a long time, and a verdict.

use anyhow::Result;
use clap::Args;

use crate::setup::{self, Purpose};
use crate::workspace::{self, Profile};
use crate::{plugins, process};

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
    workspace::build(Profile::Release, &["soak", "sipward"])?;
    let mut command = workspace::program(Profile::Release, "soak");
    command
        .args(["--minutes", &options.minutes])
        .args(&options.arguments);
    process::run(&mut command)
}
