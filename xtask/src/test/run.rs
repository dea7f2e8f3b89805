//! Runs jobs, as many at once as their shift allows.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::Options;
use super::Tally;
use super::network::Network;
use super::output::{self, FailedTest};
use super::plan::{Job, Shift};
use super::programs::{Kind, documentation_arguments};
use super::report::Report;
use crate::{process, workspace};

/// Longest run of one job: the fuzz programs of `ci` have the longest, a few minutes.
const PATIENCE: Duration = Duration::from_secs(20 * 60);
/// Time between two looks at a program.
const LOOK: Duration = Duration::from_millis(20);
/// Lines that are kept of a program that ended without a result.
const LAST_WORDS: usize = 40;

/// What became of a job.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) job: Job,
    pub(crate) tally: Tally,
    pub(crate) failures: Vec<FailedTest>,
    pub(crate) took: Duration,
    /// All that it printed.
    pub(crate) text: String,
}

/// Run every shift to its end.
pub(crate) fn all(
    shifts: Vec<Shift>,
    options: &Options,
    network: Network,
    report: &mut Report,
) -> Result<()> {
    let folder = workspace::target().join("xtask/tests");
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("failed to empty {}", folder.display()))?;
    }
    fs::create_dir_all(&folder)?;
    let libraries = libraries()?;
    for shift in shifts {
        report.begins(&shift);
        let start = |job: &Job| {
            let mut command = command(job, options, network, &libraries);
            if let Some(threads) = shift.threads {
                command.env("RUST_TEST_THREADS", threads.to_string());
            }
            execute(&mut command, &folder.join(file_name(&job.label())))
        };
        together(shift.jobs.into(), shift.at_once, start, report)?;
    }
    Ok(())
}

/// Hands jobs to threads; outcomes are reported as they come.
fn together(
    jobs: VecDeque<Job>,
    at_once: usize,
    start: impl Fn(&Job) -> Result<(Option<ExitStatus>, String)> + Sync,
    report: &mut Report,
) -> Result<()> {
    let (queue, start) = (Mutex::new(jobs), &start);
    let (ends, ended) = mpsc::channel();
    let next = || {
        let mut jobs = queue.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.pop_front()
    };
    thread::scope(|scope| {
        for _ in 0..at_once {
            let ends = ends.clone();
            scope.spawn(move || {
                while let Some(job) = next() {
                    let begun = Instant::now();
                    let ran = start(&job).map(|(status, text)| judge(job, status, text, begun));
                    // Nobody listens if the report has failed.
                    let _gone = ends.send(ran);
                }
            });
        }
        drop(ends);
        ended
            .into_iter()
            .try_for_each(|outcome| report.ended(&outcome?))
    })
}

/// Start a program and wait for its end: its status, none if it had to be killed, and what
/// it printed.
fn execute(command: &mut Command, output: &Path) -> Result<(Option<ExitStatus>, String)> {
    let shown = process::line(command);
    let file =
        File::create(output).with_context(|| format!("failed to create {}", output.display()))?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .spawn()
        .with_context(|| format!("failed to start `{shown}`"))?;
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        let status = child.try_wait().context("failed to wait for a program")?;
        if status.is_some() {
            break status;
        }
        if Instant::now() > deadline {
            child.kill().context("failed to end a program")?;
            child.wait().context("failed to wait for a program")?;
            break None;
        }
        thread::sleep(LOOK);
    };
    let bytes = fs::read(output).with_context(|| format!("failed to read {}", output.display()))?;
    Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
}

/// The counts of a job. Who ends badly without a result has failed as a whole.
fn judge(job: Job, status: Option<ExitStatus>, text: String, begun: Instant) -> Outcome {
    let counted = output::counts(&text);
    let mut tally = counted.unwrap_or_default();
    let mut failures = output::failures(&text);
    let succeeded = status.is_some_and(|it| it.success());
    if counted.is_none() || (!succeeded && tally.failed == 0) {
        tally.failed += 1;
    }
    if tally.failed > 0 && failures.is_empty() {
        let end = status.map_or_else(
            || format!("did not end within {} s and was killed", PATIENCE.as_secs()),
            |it| format!("ended without a result: {it}"),
        );
        let words = [vec![end], output::tail(&text, LAST_WORDS)].concat();
        failures.push(FailedTest {
            test: String::new(),
            words,
        });
    }
    Outcome {
        job,
        tally,
        failures,
        took: begun.elapsed(),
        text,
    }
}

/// A job as cargo would start it.
fn command(job: &Job, options: &Options, network: Network, libraries: &Path) -> Command {
    let program = &job.program;
    if program.kind == Kind::Documentation {
        let mut command = Command::new(&program.file);
        command
            .current_dir(&program.folder)
            .args(documentation_arguments(options));
        return command;
    }
    let mut command = network.command(&program.file);
    command
        .current_dir(&program.folder)
        .env("CARGO_MANIFEST_DIR", &program.folder)
        .env("CARGO_PKG_NAME", &program.package)
        .env("SIPWARD_PLUGINS", workspace::plugin_folder());
    // Tests of macros are linked with the compiler.
    let mut paths = vec![libraries.to_owned()];
    let old = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    paths.extend(std::env::split_paths(&old));
    if let Ok(joined) = std::env::join_paths(paths) {
        command.env("LD_LIBRARY_PATH", joined);
    }
    if let Some(seconds) = options.fuzz_seconds {
        command.env("SIPWARD_FUZZ_SECONDS", seconds.to_string());
    }
    command.args(["--color", "never"]);
    if let Some(test) = &job.test {
        command.args(["--exact", test]);
    }
    command
}

/// Where the compiler's own libraries are.
fn libraries() -> Result<PathBuf> {
    let mut rustc = Command::new("rustc");
    rustc
        .current_dir(workspace::root())
        .args(["--print", "sysroot"]);
    let sysroot = process::capture(&mut rustc)?;
    Ok(Path::new(sysroot.trim()).join("lib"))
}

/// A label as the name of a file.
fn file_name(label: &str) -> String {
    let plain = |it: char| {
        if it.is_alphanumeric() || it == '_' {
            it
        } else {
            '-'
        }
    };
    label.chars().map(plain).collect::<String>() + ".log"
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::super::programs::Program;
    use super::*;

    fn job() -> Job {
        Job {
            program: Program {
                package: "p".to_owned(),
                kind: Kind::Library,
                target: "p".to_owned(),
                file: PathBuf::from("/p"),
                folder: PathBuf::from("/"),
            },
            test: None,
        }
    }

    fn judged(code: i32, text: &str) -> Outcome {
        let status = Some(ExitStatus::from_raw(code));
        judge(job(), status, text.to_owned(), Instant::now())
    }

    const PASSED: &str = "test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured";

    #[test]
    fn who_passes_has_no_failure() {
        let outcome = judged(0, PASSED);
        assert_eq!((outcome.tally.passed, outcome.tally.failed), (2, 0));
        assert!(outcome.failures.is_empty());
    }

    #[test]
    fn who_ends_without_a_result_has_failed() {
        for (code, text) in [(9, "a\nb"), (0, "a\nb"), (256, PASSED)] {
            let outcome = judged(code, text);
            assert_eq!(outcome.tally.failed, 1, "{code} {text}");
            assert_eq!(outcome.failures.len(), 1);
        }
        assert_eq!(judged(9, "a\nb").failures[0].words[1..], ["a", "b"]);
        let killed = judge(job(), None, PASSED.to_owned(), Instant::now());
        assert_eq!((killed.tally.passed, killed.tally.failed), (2, 1));
    }

    #[test]
    fn output_is_kept_and_the_program_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("sh");
        command.args(["-c", "echo a; echo b >&2; exit 3"]);
        let (status, text) = execute(&mut command, &folder.path().join("out")).expect("it runs");
        assert_eq!(status.and_then(|it| it.code()), Some(3));
        assert_eq!(text, "a\nb\n");
    }

    #[test]
    fn labels_become_names_of_files() {
        assert_eq!(file_name("a b::c (d)"), "a-b--c--d-.log");
    }
}
