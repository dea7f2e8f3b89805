//! `test` and `bench`: a plugin before its golden messages.

use std::path::{Path, PathBuf};
use std::time::Duration;

use plugin_kit::golden::{Golden, Verdict};
use plugin_kit::{Project, bench as measuring, build};

use super::{beside, say, show};

/// What is tested.
#[derive(Debug, clap::Args)]
pub(crate) struct TestArguments {
    #[command(flatten)]
    subject: Subject,
    /// Write what becomes of the messages as what has to become of them.
    #[arg(long)]
    bless: bool,
    /// Leave out the native tests.
    #[arg(long)]
    only_golden: bool,
    /// More arguments for cargo.
    #[arg(last = true)]
    cargo: Vec<String>,
}

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchArguments {
    #[command(flatten)]
    subject: Subject,
    /// How long each file of golden messages is judged, at the most.
    #[arg(long, default_value = "1s", value_parser = duration)]
    time: Duration,
    /// Fail if half of the times of a message are longer, such as 20us.
    #[arg(long, value_parser = duration)]
    budget: Option<Duration>,
    /// Fail if a message takes more fuel, which is the same on every machine.
    #[arg(long)]
    fuel_budget: Option<u64>,
    /// Fail if an instance has more memory.
    #[arg(long)]
    memory_budget_kib: Option<usize>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// More arguments for cargo.
    #[arg(last = true)]
    cargo: Vec<String>,
}

#[derive(Debug, clap::Args)]
struct Subject {
    /// The plugin's folder, which is built; or a component.
    #[arg(default_value = ".")]
    plugin: PathBuf,
    /// The golden messages, if not `golden` beside it.
    #[arg(long)]
    golden: Option<PathBuf>,
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write such as 20us or 2s"))
}

impl Subject {
    /// The component, built if it has a source, and its golden messages.
    fn ready(&self, cargo: &[String]) -> anyhow::Result<(PathBuf, Golden)> {
        let (component, golden) = if self.plugin.is_dir() {
            let project = Project::find(&self.plugin)?;
            let built = build::build(&project, None, cargo, &mut say)?;
            (built.path, Some(project.golden()))
        } else {
            (self.plugin.clone(), beside(&self.plugin))
        };
        let golden = self.golden.clone().or(golden).ok_or_else(|| {
            anyhow::anyhow!(
                "there is no folder `golden` beside {}; name one with --golden",
                component.display()
            )
        })?;
        Ok((component, Golden::read(&golden)?))
    }
}

/// False if something else became of a message, or nobody has said yet what.
pub(super) fn test(arguments: &TestArguments) -> anyhow::Result<bool> {
    if arguments.subject.plugin.is_dir() && !arguments.only_golden {
        Project::find(&arguments.subject.plugin)?.test(&arguments.cargo)?;
    }
    let (component, golden) = arguments.subject.ready(&arguments.cargo)?;
    let verdicts = golden.judge(&component, build::component(&component)?)?;
    if arguments.bless {
        golden.bless(&verdicts)?;
    }
    let mut good = true;
    for verdict in &verdicts {
        good &= report(
            verdict,
            arguments.bless,
            &golden.expected_path(&verdict.name),
        );
    }
    if !good {
        println!("if that is right, write it down with --bless");
    }
    Ok(good)
}

/// One file; false if it is not as expected.
fn report(verdict: &Verdict, bless: bool, path: &Path) -> bool {
    let name = &verdict.name;
    if verdict.is_as_expected() {
        println!("{name}: as expected");
    } else if bless {
        println!("{name}: written to {}", path.display());
    } else if verdict.expected.is_none() {
        println!("{name}: nothing is expected yet; this becomes of it:");
        print!("{}", verdict.difference());
    } else {
        println!("{name}: DIFFERS; - was expected, + came:");
        print!("{}", verdict.difference());
    }
    verdict.is_as_expected() || bless
}

/// False if a message costs more than it may.
pub(super) fn bench(arguments: &BenchArguments) -> anyhow::Result<bool> {
    let (component, golden) = arguments.subject.ready(&arguments.cargo)?;
    let effort = measuring::Effort {
        time: arguments.time,
        ..measuring::Effort::default()
    };
    let wasm = build::component(&component)?;
    let report = measuring::bench(&component, &wasm, &golden, effort)?;
    show(&report, arguments.json)?;
    let budget = measuring::Budget {
        time: arguments.budget,
        fuel: arguments.fuel_budget,
        memory_bytes: arguments
            .memory_budget_kib
            .map(|kib| kib.saturating_mul(1024)),
    };
    let exceeded = budget.exceeded(&report);
    for line in &exceeded {
        eprintln!("over budget: {line}");
    }
    Ok(exceeded.is_empty())
}
