//! What is shown while tests run and when they have ended.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::Tally;
use super::plan::Shift;
use super::run::Outcome;
use crate::failure::Failure;
use crate::workspace;

/// Tests whose words are repeated at the end; of more only the names.
const REPEATED: usize = 20;

/// What is known of one program so far.
#[derive(Default)]
struct Progress {
    /// Jobs that have not ended.
    left: usize,
    jobs: usize,
    tally: Tally,
    took: Duration,
}

/// What is known so far.
pub(crate) struct Report {
    /// All tests that have ended.
    pub(crate) tally: Tally,
    programs: BTreeMap<String, Progress>,
    /// Tests that failed: a line for each, and the words of the first ones.
    failures: Vec<String>,
    failed: usize,
    begun: Instant,
    log: File,
    log_path: PathBuf,
}

impl Report {
    /// Before anything runs.
    pub(crate) fn begin(shifts: &[Shift]) -> Result<Self> {
        let folder = workspace::target().join("xtask");
        fs::create_dir_all(&folder)?;
        let log_path = folder.join("test.log");
        let log = File::create(&log_path)
            .with_context(|| format!("failed to create {}", log_path.display()))?;
        let mut programs = BTreeMap::<String, Progress>::new();
        for job in shifts.iter().flat_map(|shift| &shift.jobs) {
            let progress = programs.entry(job.program.label()).or_default();
            progress.left += 1;
            progress.jobs += 1;
        }
        Ok(Self {
            tally: Tally::default(),
            programs,
            failures: Vec::new(),
            failed: 0,
            begun: Instant::now(),
            log,
            log_path,
        })
    }

    /// A shift begins.
    pub(crate) fn begins(&self, shift: &Shift) {
        let (count, at_once) = (shift.jobs.len(), shift.at_once);
        self.say(&format!(
            "{}: {count} to run, {at_once} at once",
            shift.name
        ));
    }

    /// A job has ended.
    pub(crate) fn ended(&mut self, outcome: &Outcome) -> Result<()> {
        let label = outcome.job.label();
        writeln!(self.log, "==> {label}\n{}", outcome.text)
            .with_context(|| format!("failed to write {}", self.log_path.display()))?;
        self.tally += outcome.tally;
        let program = outcome.job.program.label();
        let progress = self.programs.entry(program.clone()).or_default();
        progress.left = progress.left.saturating_sub(1);
        progress.tally += outcome.tally;
        progress.took += outcome.took;
        let (left, jobs) = (progress.left, progress.jobs);
        let (tally, took) = (progress.tally, progress.took.as_secs_f64());
        if jobs > 1 {
            let word = if outcome.failures.is_empty() {
                "ok"
            } else {
                "FAILED"
            };
            self.say(&format!(
                "  {label}: {word}, {:.1} s",
                outcome.took.as_secs_f64()
            ));
        }
        self.failures_of(outcome);
        if left == 0 {
            self.say(&format!(
                "{program}: {tally} in {took:.1} s; {} in all",
                self.tally
            ));
        }
        Ok(())
    }

    /// Show at once what failed, and keep it for the end.
    fn failures_of(&mut self, outcome: &Outcome) {
        let program = outcome.job.program.label();
        for failure in &outcome.failures {
            let name = if failure.test.is_empty() {
                outcome.job.label()
            } else {
                format!("{program} {}", failure.test)
            };
            self.say(&format!("  FAILED {name}"));
            self.failed += 1;
            let mut lines = vec![format!("FAILED {name}")];
            lines.extend(failure.words.iter().map(|line| format!("    {line}")));
            for line in lines.iter().skip(1) {
                eprintln!("              {line}");
            }
            if self.failed > REPEATED {
                lines.truncate(1);
            }
            self.failures.append(&mut lines);
        }
    }

    /// Everything has ended: an error with what failed, if anything did.
    pub(crate) fn close(self) -> Result<()> {
        eprintln!("    the whole output is in {}", self.log_path.display());
        if self.failed > 0 {
            return Err(Failure {
                summary: "tests failed".to_owned(),
                words: self.failures,
            }
            .into());
        }
        Ok(())
    }

    fn say(&self, line: &str) {
        eprintln!("    {:>4} s  {line}", self.begun.elapsed().as_secs());
    }
}
