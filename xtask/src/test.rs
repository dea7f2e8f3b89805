//! `cargo xtask test`: every test of the workspace, with one line for each program
//! of tests and the count at the end.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::setup::{self, Purpose};
use crate::{languages, plugins, process, workspace};

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

/// Prepare, build, test, and end with the count.
pub(crate) fn run(options: &Options) -> Result<()> {
    let (tally, outcome) = tests(Purpose::Test, options);
    println!("{tally}");
    outcome
}

/// The same without the closing line, for `ci`, which has its own.
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
    process::run(&mut build)?;
    eprintln!("==> test");
    execute(options, tally)
}

fn execute(options: &Options, tally: &mut Tally) -> Result<()> {
    let folder = workspace::target().join("xtask");
    fs::create_dir_all(&folder)?;
    let log_path = folder.join("test.log");
    let mut log = File::create(&log_path)
        .with_context(|| format!("failed to create {}", log_path.display()))?;
    let mut command = process::cargo();
    if let Some(seconds) = options.fuzz_seconds {
        command.env("SIPWARD_FUZZ_SECONDS", seconds.to_string());
    }
    let mut child = command
        .args(["test", "--locked", "--no-fail-fast", "--color", "never"])
        .args(options.selection())
        .env("SIPWARD_PLUGINS", workspace::plugin_folder())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("failed to start cargo test")?;
    let errors = child
        .stderr
        .take()
        .map(|stream| std::thread::spawn(move || names_of_programs(stream)));
    let mut report = Report::default();
    if let Some(stream) = child.stdout.take() {
        for line in BufReader::new(stream).lines() {
            let line = line.context("cargo test printed something unreadable")?;
            writeln!(log, "{line}")?;
            report.line(&line, tally);
        }
    }
    let status = child.wait().context("failed to wait for cargo test")?;
    if let Some(thread) = errors {
        let text = thread.join().unwrap_or_default();
        log.write_all(text.as_bytes())?;
        // Failed tests were shown; anything else that went wrong is in cargo's own words.
        if !status.success() && tally.failed == 0 {
            eprintln!("{}", tail(&text, 60));
        }
    }
    eprintln!("    the whole output is in {}", log_path.display());
    if tally.failed > 0 || !status.success() {
        bail!("tests failed: {status}");
    }
    if tally.passed == 0 {
        bail!("no test was run");
    }
    Ok(())
}

/// Read cargo's own lines; they say which program of tests is next.
fn names_of_programs(stream: impl Read) -> String {
    let mut text = String::new();
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        let shown = line.trim_start();
        if shown.starts_with("Running ") || shown.starts_with("Doc-tests ") {
            eprintln!("    {}", shown.split(" (").next().unwrap_or(shown));
        }
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// What is shown of the output of the tests: failures whole, the rest as counts.
#[derive(Default)]
struct Report {
    in_failures: bool,
    started: Option<Instant>,
}

impl Report {
    fn line(&mut self, line: &str, tally: &mut Tally) {
        if line.starts_with("running ") {
            self.in_failures = false;
            self.started = Some(Instant::now());
        } else if let Some(counted) = result_line(line) {
            self.in_failures = false;
            tally.passed += counted.passed;
            tally.failed += counted.failed;
            tally.skipped += counted.skipped;
            let seconds = self.started.map_or(0.0, |it| it.elapsed().as_secs_f64());
            eprintln!("        {counted} in {seconds:.1} s; {tally} in all");
        } else if line == "failures:" {
            self.in_failures = true;
        }
        if self.in_failures || line.ends_with("... FAILED") {
            eprintln!("        {line}");
        }
    }
}

/// `test result: ok. 3 passed; 0 failed; 1 ignored; ...`
fn result_line(line: &str) -> Option<Tally> {
    let counts = line.strip_prefix("test result: ")?.split_once(". ")?.1;
    let mut tally = Tally::default();
    for part in counts.split("; ") {
        let (number, what) = part.split_once(' ')?;
        match what {
            "passed" => tally.passed = number.parse().ok()?,
            "failed" => tally.failed = number.parse().ok()?,
            "ignored" => tally.skipped = number.parse().ok()?,
            _ => break,
        }
    }
    Some(tally)
}

/// The last lines of a text.
fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all.get(all.len().saturating_sub(lines)..)
        .unwrap_or_default()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_from_cargos_line() {
        let line = "test result: FAILED. 12 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s";
        assert_eq!(
            result_line(line),
            Some(Tally {
                passed: 12,
                failed: 2,
                skipped: 1
            })
        );
        assert_eq!(result_line("test a::b ... ok"), None);
    }

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

    #[test]
    fn the_tail_is_at_most_the_whole() {
        assert_eq!(tail("a\nb\nc", 2), "b\nc");
        assert_eq!(tail("a", 2), "a");
    }
}
