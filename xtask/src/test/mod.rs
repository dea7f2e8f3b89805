//! `cargo xtask test`: every test of the workspace. Programs that wait run beside each
//! other, those that compute one to a core, and whoever measures has the machine; see
//! [`plan`]. The count is the last line, and what failed stands right before it.

mod network;
mod output;
mod plan;
mod programs;
mod report;
mod run;

use anyhow::{Result, bail};
use clap::Args;

use crate::failure::{self, Told};
use crate::setup::{self, Purpose};
use crate::{languages, plugins, process};

use network::Network;
use report::Report;

/// How many tests there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Tests that passed.
    pub(crate) passed: u64,
    /// Tests that failed.
    pub(crate) failed: u64,
    /// Tests that were ignored.
    pub(crate) skipped: u64,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

/// Which tests to run.
#[derive(Args, Default)]
pub(crate) struct Options {
    /// Only the tests of this crate; may be given more than once.
    #[arg(short, long = "package")]
    pub(crate) packages: Vec<String>,
    /// Only tests whose program or name has this in it, such as `abuse` or `kill`.
    #[arg(long)]
    pub(crate) only: Option<String>,
    /// Seconds that each fuzz program runs.
    #[arg(long)]
    pub(crate) fuzz_seconds: Option<u32>,
}

impl Options {
    fn selection(&self) -> Vec<&str> {
        if self.packages.is_empty() {
            return vec!["--workspace"];
        }
        self.packages
            .iter()
            .flat_map(|name| ["--package", name])
            .collect()
    }
}

/// Prepare, build, test, say what failed, and end with the count.
pub(crate) fn run(options: &Options) -> Result<()> {
    let (tally, outcome) = tests(Purpose::Test, options);
    if let Err(error) = &outcome {
        eprintln!();
        for line in failure::lines(error) {
            eprintln!("{line}");
        }
    }
    println!("{tally}");
    outcome.map_err(|_| Told.into())
}

/// The same without the closing lines, for `ci`, which has its own.
pub(crate) fn tests(purpose: Purpose, options: &Options) -> (Tally, Result<()>) {
    let mut tally = Tally::default();
    let outcome = prepared(purpose, options, &mut tally);
    (tally, outcome)
}

fn prepared(purpose: Purpose, options: &Options, tally: &mut Tally) -> Result<()> {
    let toolchain = setup::run(purpose)?;
    plugins::build(&toolchain)?;
    languages::build()?;
    eprintln!("==> build");
    // Whole-program tests start binaries of the workspace, so these are built with
    // the tests and with the same features.
    let mut build = process::cargo();
    build
        .args(["build", "--locked", "--bins", "--tests"])
        .args(options.selection());
    process::watch(&mut build)?;
    let programs = programs::find(options)?;
    eprintln!("==> test");
    let network = Network::find();
    let shifts = plan::shifts(programs, options, network);
    let mut report = Report::begin(&shifts)?;
    let ran = run::all(shifts, options, network, &mut report);
    *tally = report.tally;
    ran?;
    report.close()?;
    if tally.passed == 0 {
        bail!("no test was run");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_names_skipped_tests_only_if_there_are_some() {
        let mut tally = Tally {
            passed: 3,
            failed: 0,
            skipped: 0,
        };
        assert_eq!(tally.to_string(), "3 passed, 0 failed");
        tally.skipped = 1;
        assert_eq!(tally.to_string(), "3 passed, 0 failed, 1 skipped");
    }
}
