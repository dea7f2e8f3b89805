//! `bench signalling`: whole calls through Sipward and through Kamailio 5.6.
//!
//! The first three subjects make the same decisions (address list, digest, destination
//! prefixes, rates), the other two those of `examples/secure-trunk`, as far as each can.
//! The sipp scenario is the same: INVITE challenged by 407, INVITE with credentials, 100,
//! 180, 200, ACK, BYE, 200. All traffic stays on 127.0.0.1.

mod load;
mod ports;
mod secure;
mod subject;
mod sums;
mod usage;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use sipward_bench::report::{self, Figure};

use crate::load::Load;
use crate::subject::Kind;
use crate::sums::{Sums, Turn};

/// Whole calls beside Kamailio: CPU, memory, latency.
#[derive(Parser)]
#[command(name = "bench-signalling")]
struct Arguments {
    /// One JSON object a line instead of a table.
    #[arg(long)]
    json: bool,
    /// Calls a second.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=2000))]
    rate: u32,
    /// Measured calls of each subject in each turn; a tenth as many warm it up first.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    calls: u32,
    /// Turns of each subject: they are measured one after the other, again and again,
    /// so that a slow minute of the machine falls on all.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    turns: u32,
    /// Who is measured.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Kind::ALL)]
    subjects: Vec<Kind>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut all: Vec<Sums> = arguments
        .subjects
        .iter()
        .map(|kind| Sums::new(kind.name()))
        .collect();
    // Plugins are compiled once, not in each turn.
    let cache = tempfile::tempdir().context("failed to make a folder")?;
    for turn in 1..=arguments.turns {
        for (kind, sums) in arguments.subjects.iter().zip(&mut all) {
            eprintln!(
                "    turn {turn}: {} calls at {} a second through {}",
                arguments.calls,
                arguments.rate,
                kind.name()
            );
            let measured = measure(*kind, &arguments, cache.path())
                .with_context(|| format!("failed to measure {}", kind.name()))?;
            sums.add(measured);
        }
    }
    let figures: Vec<Figure> = all
        .iter()
        .flat_map(|it| it.figures(arguments.rate))
        .collect();
    report::print(&figures, arguments.json)
}

fn measure(kind: Kind, arguments: &Arguments, cache: &Path) -> Result<Turn> {
    let folder = tempfile::tempdir().context("failed to make a folder")?;
    let ports = ports::Ports::find()?;
    let trunk = load::trunk(&ports)?;
    let subject = subject::start(kind, &ports, folder.path(), cache)?;
    let warm_up = Load {
        calls: (arguments.calls / 10).max(10),
        rate: arguments.rate,
    };
    warm_up.run(&ports, &folder.path().join("warm-up"))?;
    let before = usage::cpu(subject.group())?;
    let watch = usage::Watch::start(subject.group());
    let run = Load {
        calls: arguments.calls,
        rate: arguments.rate,
    };
    let outcome = run.run(&ports, &folder.path().join("measured"))?;
    // Timers of finished transactions are part of the work.
    std::thread::sleep(Duration::from_secs(1));
    let spent = usage::cpu(subject.group())?.saturating_sub(before);
    let turn = Turn {
        cpu_us_per_call: spent.as_secs_f64() * 1e6 / f64::from(arguments.calls),
        peak_rss_kib: watch.peak_kib(),
        outcome,
    };
    drop(subject);
    drop(trunk);
    Ok(turn)
}
