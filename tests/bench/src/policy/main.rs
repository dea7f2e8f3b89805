//! `bench policy`: nanoseconds for each plugin call and for whole pipelines.
//!
//! A call is what the worker does for one request: choose the pipeline, hand the facts to
//! the guest, check what comes back, conclude. Engine, executor, state and digest
//! verification are the ones that the proxy runs with, and so is the allocator.

mod credentials;
mod example;
mod secure;
mod sender;
mod shelf;
mod subject;

use anyhow::{Result, ensure};
use clap::Parser;
use sipward_bench::measure::{Samples, Turn, take_turns};
use sipward_bench::report::{self, Figure};

use crate::example::Example;
use crate::shelf::Shelf;
use crate::subject::{Subject, Unexpected};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Nanoseconds for each plugin call and pipeline.
#[derive(Parser)]
#[command(name = "bench-policy")]
struct Arguments {
    /// One JSON object a line instead of a table.
    #[arg(long)]
    json: bool,
    /// Turns of each subject; one takes about a millisecond.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rounds: u32,
    /// Only cases whose name contains this.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

/// One call in so many may fail, if the machine has other things to do.
const TOLERATED: u64 = 10_000;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let folder = tempfile::tempdir()?;
    let (example, book) = Example::read()?;
    let shelf = Shelf::open(folder.path(), book)?;
    let mut subjects = subject::all(&shelf)?;
    subjects.extend(secure::all(&shelf, &example)?);
    if let Some(only) = &arguments.only {
        subjects.retain(|subject| subject.case.contains(only));
        ensure!(!subjects.is_empty(), "no case contains `{only}`");
    }
    let cases: Vec<String> = subjects
        .iter()
        .map(|subject| subject.case.clone())
        .collect();
    let unexpected = Unexpected::default();
    let mut turns: Vec<Turn<'_>> = subjects
        .into_iter()
        .map(|subject: Subject<'_>| subject.turn(&unexpected))
        .collect();
    let samples = take_turns(&mut turns, arguments.rounds);
    drop(turns);
    // A deadline counts time, not work: on a busy machine a thread may be kept waiting for
    // longer than the deadline in the middle of a call.
    let calls: usize = samples.iter().map(Samples::len).sum();
    if unexpected.count() > 0 {
        let (count, first) = (unexpected.count(), unexpected.first());
        let text = format!("{count} of {calls} calls ended otherwise than they should; {first}");
        ensure!(count.saturating_mul(TOLERATED) <= calls as u64, "{text}");
        eprintln!("warning: {text}");
    }
    let mut figures: Vec<Figure> = cases
        .iter()
        .zip(&samples)
        .flat_map(|(case, samples)| figures(case, samples))
        .collect();
    figures.extend(marginal(&cases, &samples));
    report::print(&figures, arguments.json)
}

fn figures(case: &str, samples: &Samples) -> [Figure; 3] {
    [
        figure(case, "min_ns", samples.min()),
        figure(case, "p50_ns", samples.percentile(50)),
        figure(case, "p99_ns", samples.percentile(99)),
    ]
}

fn figure(case: &str, metric: &'static str, value: f64) -> Figure {
    Figure {
        bench: "policy",
        case: case.to_owned(),
        subject: "sipward",
        metric,
        value,
        unit: "ns",
    }
}

/// What a plugin adds to a pipeline: ten of them less one, by nine.
fn marginal(cases: &[String], samples: &[Samples]) -> Vec<Figure> {
    let find = |name: &str| {
        let at = cases.iter().position(|case| case == name)?;
        samples.get(at)
    };
    let (Some(one), Some(ten)) = (find(subject::ONE), find(subject::TEN)) else {
        return Vec::new();
    };
    let each = |of: fn(&Samples) -> f64| (of(ten) - of(one)) / 9.0;
    vec![
        figure("pipeline-each-further-empty", "min_ns", each(Samples::min)),
        figure(
            "pipeline-each-further-empty",
            "p50_ns",
            each(|samples| samples.percentile(50)),
        ),
    ]
}
