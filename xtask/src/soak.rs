//! `cargo xtask soak`: calls with media for a long time, or many reloads while calls run,
//! and a verdict.

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
    /// Reload so often instead, such as 20000 times in half an hour.
    #[arg(long, conflicts_with = "minutes")]
    reloads: Option<u32>,
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
    match options.reloads {
        Some(reloads) => command.args(["--reloads", &reloads.to_string()]),
        None => command.args(["--minutes", &options.minutes]),
    };
    command.args(&options.arguments);
    process::run(&mut command)
}
