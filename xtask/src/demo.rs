//! `cargo xtask demo`: real SIP calls through the real proxy, its real plugins, and
//! plugins that change while calls go on.

use anyhow::Result;
use clap::Args;

use crate::setup::{self, Purpose};
use crate::workspace::{self, Profile};
use crate::{plugins, process};

/// How the demo is run.
#[derive(Args)]
pub(crate) struct Options {
    /// Take what was built before, without building.
    #[arg(long)]
    no_build: bool,
}

/// Prepare, build and run.
pub(crate) fn run(options: &Options) -> Result<()> {
    let toolchain = setup::run(Purpose::Demo)?;
    if !options.no_build {
        plugins::build(&toolchain)?;
        workspace::build(Profile::Development, &["demo", "sipward"])?;
    }
    process::run(&mut workspace::program(Profile::Development, "demo"))
}
