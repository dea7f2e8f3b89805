//! `cargo xtask bench`: release builds of `tests/bench`, one program a bench.

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::setup::{self, Purpose};
use crate::workspace::{self, Profile};
use crate::{plugins, process};

/// What to measure and how to print it.
#[derive(Args)]
pub(crate) struct Options {
    /// Which bench; all of them by default.
    #[arg(value_enum)]
    bench: Option<Bench>,
    /// One JSON object a line instead of a table.
    #[arg(long)]
    json: bool,
    /// Handed to the bench as they are.
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// A bench of `tests/bench`.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Bench {
    /// Nanoseconds and allocations for each SIP message.
    Parse,
    /// Nanoseconds for each plugin call and pipeline.
    Policy,
    /// Whole calls beside Kamailio: CPU, memory, latency.
    Signalling,
    /// Relayed G.711 beside rtpengine: CPU, added delay, loss.
    Media,
}

impl Bench {
    const ALL: [Self; 4] = [Self::Parse, Self::Policy, Self::Signalling, Self::Media];

    fn program(self) -> &'static str {
        match self {
            Self::Parse => "bench-parse",
            Self::Policy => "bench-policy",
            Self::Signalling => "bench-signalling",
            Self::Media => "bench-media",
        }
    }

    /// Whether programs of other projects take part.
    fn has_others(self) -> bool {
        matches!(self, Self::Signalling | Self::Media)
    }

    /// Whether plugins run in it.
    fn has_plugins(self) -> bool {
        matches!(self, Self::Policy | Self::Signalling)
    }
}

/// Build and run the benches that were asked for.
pub(crate) fn run(options: &Options) -> Result<()> {
    let chosen = match &options.bench {
        Some(one) => std::slice::from_ref(one),
        None => &Bench::ALL,
    };
    if chosen != [Bench::Parse] {
        let purpose = if chosen.iter().any(|it| it.has_others()) {
            Purpose::Bench
        } else {
            Purpose::Plugins
        };
        let toolchain = setup::run(purpose)?;
        if chosen.iter().any(|it| it.has_plugins()) {
            plugins::build(&toolchain)?;
        }
    }
    let mut programs: Vec<&str> = chosen.iter().map(|it| it.program()).collect();
    if chosen.contains(&Bench::Signalling) {
        programs.push("sipward");
    }
    workspace::build(Profile::Release, &programs)?;
    for bench in chosen {
        let mut command = workspace::program(Profile::Release, bench.program());
        if options.json {
            command.arg("--json");
        }
        command.args(&options.arguments);
        process::run(&mut command)?;
    }
    Ok(())
}
