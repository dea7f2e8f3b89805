//! Replays one simulated world, or runs a range of them.

use std::process::ExitCode;

use clap::Parser;
use sipward_tests::sim::World;

/// Run simulated worlds.
#[derive(Parser)]
struct Arguments {
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many seeds from there.
    #[arg(long, default_value_t = 1)]
    count: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut broken = 0_u64;
    for seed in arguments.seed..arguments.seed.saturating_add(arguments.count) {
        let report = World::new(seed, arguments.count == 1).run();
        if arguments.count == 1 {
            println!("{report:#?}");
        }
        if !report.violations.is_empty() {
            broken += 1;
            println!("seed {seed}: {}", report.violations.join("; "));
        }
    }
    println!("{} seeds, {broken} broken", arguments.count);
    if broken == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
