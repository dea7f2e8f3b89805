//! `cargo xtask ci`: what a change must pass. Every step runs even when an earlier
//! one failed, so that one run shows all that is wrong.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::failure::{self, Told};
use crate::setup::{GuestToolchain, Purpose};
use crate::test::{self, Tally};
use crate::tidy::imports::PURE;
use crate::{process, sdk, setup, tidy, workspace};

/// How long each fuzz program runs.
const FUZZ_SECONDS: u32 = 60;

/// One step's name, its outcome and how long it took.
struct Step {
    name: &'static str,
    outcome: Result<()>,
    took: Duration,
}

/// Run every step, then say which failed and repeat why: a log's end may be all that
/// somebody sees.
pub(crate) fn run() -> Result<()> {
    let mut steps = Vec::new();
    let mut tally = Tally::default();
    step(&mut steps, "test", || {
        let options = test::Options {
            fuzz_seconds: Some(FUZZ_SECONDS),
            ..Default::default()
        };
        let (counted, outcome) = test::tests(Purpose::Ci, &options);
        tally = counted;
        outcome
    });
    step(&mut steps, "format", || {
        process::watch(process::cargo().args(["fmt", "--all", "--", "--check"]))
    });
    step(&mut steps, "tidy", tidy::run);
    step(&mut steps, "clippy", || {
        process::watch(process::cargo().args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "-D",
            "warnings",
        ]))
    });
    step(&mut steps, "purity", purity);
    step(&mut steps, "sdk", sdk::check);
    step(&mut steps, "deny", deny);
    step(&mut steps, "docs", documentation);
    close(&steps, tally)
}

fn step(steps: &mut Vec<Step>, name: &'static str, work: impl FnOnce() -> Result<()>) {
    eprintln!("\n=== {name}");
    let started = Instant::now();
    let outcome = work();
    if let Err(error) = &outcome {
        eprintln!("{name}: {error:#}");
    }
    steps.push(Step {
        name,
        outcome,
        took: started.elapsed(),
    });
}

fn close(steps: &[Step], tally: Tally) -> Result<()> {
    eprintln!();
    let mut failed = Vec::new();
    for step in steps {
        let word = if step.outcome.is_ok() { "ok" } else { "FAILED" };
        eprintln!(
            "    {:<8} {word:<7} {:>6.1} s",
            step.name,
            step.took.as_secs_f64()
        );
        if step.outcome.is_err() {
            failed.push(step.name);
        }
    }
    for step in steps {
        let Err(error) = &step.outcome else { continue };
        eprintln!("\n--- {}", step.name);
        for line in failure::lines(error) {
            eprintln!("{line}");
        }
    }
    if !failed.is_empty() {
        eprintln!("\nfailed: {}", failed.join(", "));
    }
    println!("{tally}");
    if failed.is_empty() {
        Ok(())
    } else {
        Err(Told.into())
    }
}

/// Pure crates have no socket, clock or thread: this target has none of them.
fn purity() -> Result<()> {
    let toolchain: GuestToolchain = setup::guest_toolchain()?;
    let mut command = toolchain.cargo(&workspace::root(), "build");
    for name in PURE {
        command.args(["--package", name]);
    }
    process::watch(command.args(["--lib", "--locked"]))
}

/// Licences, bans and sources need no network; advisories need their database.
fn deny() -> Result<()> {
    let check = |what: &[&str]| {
        let mut command = process::cargo();
        command
            .args([
                "deny",
                "--locked",
                "--all-features",
                "check",
                "--hide-inclusion-graph",
            ])
            .args(what);
        command
    };
    process::watch(&mut check(&["licenses", "bans", "sources"]))?;
    if process::succeeds(process::cargo().args(["deny", "--locked", "fetch", "db"])) {
        process::watch(&mut check(&["advisories"]))
    } else {
        eprintln!("    advisories: not checked, their database cannot be fetched from here");
        Ok(())
    }
}

/// The book builds, and the documentation of our crates has no broken link.
fn documentation() -> Result<()> {
    let book = workspace::target().join("book");
    let mut mdbook = std::process::Command::new("mdbook");
    mdbook
        .current_dir(workspace::root())
        .args(["build", "docs", "--dest-dir"])
        .arg(book);
    process::watch(&mut mdbook).context("the book does not build")?;
    process::watch(
        process::cargo()
            .args([
                "doc",
                "--workspace",
                "--no-deps",
                "--locked",
                "--document-private-items",
            ])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
    .context("the crates' documentation does not build")
}
