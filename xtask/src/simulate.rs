//! `cargo xtask sim`: one simulated network, replayed from its seed.

use anyhow::Result;
use clap::Args;

use crate::process;
use crate::workspace::{self, Profile};

/// Which simulated network to replay.
#[derive(Args)]
pub(crate) struct Options {
    /// The seed that a failing test printed.
    #[arg(long)]
    seed: u64,
}

/// Run the simulator of the tests with one seed and show its trace.
pub(crate) fn run(options: &Options) -> Result<()> {
    workspace::build(Profile::Development, &["sim"])?;
    let mut command = workspace::program(Profile::Development, "sim");
    process::run(command.args(["--seed", &options.seed.to_string()]))
}
