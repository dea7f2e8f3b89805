//! Every developer command of Sipward: `cargo xtask COMMAND`.

mod bench;
mod ci;
mod demo;
mod failure;
mod interface;
mod languages;
mod plugins;
mod process;
mod sdk;
mod setup;
mod simulate;
mod soak;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::Told;
use crate::setup::Purpose;

/// Every developer command of Sipward.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Find what a command needs, install what is missing, and say what was done.
    Setup {
        /// The command to prepare for.
        #[arg(value_enum, long = "for", default_value = "test")]
        purpose: Purpose,
    },
    /// Watch real SIP calls go through the four policies, with live swaps.
    Demo(demo::Options),
    /// Run every test of the workspace.
    Test(test::Options),
    /// Measure, and print a table. Never fails because of a time.
    Bench(bench::Options),
    /// Everything that a change must pass.
    Ci,
    /// Check the rules of the house that no compiler knows.
    Tidy,
    /// Write the page of the reference that lists the policy interface.
    Reference,
    /// Replay one simulated network.
    Sim(simulate::Options),
    /// Calls with media for half an hour, or thousands of reloads: memory and descriptors
    /// are watched.
    Soak(soak::Options),
    /// Build every guest into `target/plugins/NAME.wasm`.
    Plugins,
    /// Build the policies of `examples/` in other languages into the same folder.
    Languages,
}

fn main() -> ExitCode {
    match carry_out(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Told>() => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn carry_out(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Setup { purpose } => setup::run(purpose).map(|_| ()),
        Command::Demo(options) => demo::run(&options),
        Command::Test(options) => test::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Ci => ci::run(),
        Command::Tidy => tidy::run(),
        Command::Reference => interface::write_page(),
        Command::Sim(options) => simulate::run(&options),
        Command::Soak(options) => soak::run(&options),
        Command::Plugins => {
            let toolchain = setup::guest_toolchain()?;
            plugins::build(&toolchain).map(|_| ())
        }
        Command::Languages => {
            setup::languages()?;
            languages::build()
        }
    }
}
