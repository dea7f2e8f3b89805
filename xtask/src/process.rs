//! Running other programs at the root of the workspace.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, IsTerminal, Read, stderr};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use plugin_build::program;
pub(crate) use plugin_build::program::{find, line, succeeds};

use crate::failure::{self, Failure};
use crate::workspace;

/// How cargo's lines begin that only say how far it is.
const PROGRESS: [&str; 6] = [
    "Blocking ",
    "Checking ",
    "Compiling ",
    "Documenting ",
    "Downloaded ",
    "Fresh ",
];

/// The cargo that runs us, at the root of the workspace.
pub(crate) fn cargo() -> Command {
    program::cargo(&workspace::root())
}

/// Run to the end, showing all that the program prints.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    Ok(program::run(command)?)
}

/// The same, and the error has the last lines that the program printed.
pub(crate) fn watch(command: &mut Command) -> Result<()> {
    eprintln!("    $ {}", line(command));
    observe(command, true).map(drop)
}

/// Run to the end, showing what it says on standard error, and return the rest. The error
/// has the last lines that were shown.
pub(crate) fn report(command: &mut Command) -> Result<String> {
    observe(command, false)
}

fn observe(command: &mut Command, shows_all: bool) -> Result<String> {
    let shown = line(command);
    if stderr().is_terminal() {
        // It sees a pipe, and we show what it says.
        command.env("CARGO_TERM_COLOR", "always");
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("failed to start `{shown}`"))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let last = Mutex::new(VecDeque::new());
    let mut text = String::new();
    thread::scope(|scope| {
        scope.spawn(|| each_line(err, |line| show(line, &last)));
        each_line(out, |line| {
            if shows_all {
                show(line, &last);
            } else {
                text.push_str(line);
                text.push('\n');
            }
        });
    });
    let status = child
        .wait()
        .with_context(|| format!("failed to wait for `{shown}`"))?;
    if !status.success() {
        let last = last.into_inner().unwrap_or_else(PoisonError::into_inner);
        return Err(Failure {
            summary: format!("`{shown}` failed: {status}"),
            words: last.into(),
        }
        .into());
    }
    Ok(text)
}

/// Show a line, and keep it if it may explain a failure.
fn show(line: &str, last: &Mutex<VecDeque<String>>) {
    eprintln!("{line}");
    let told = line.trim_start();
    if PROGRESS.iter().any(|word| told.starts_with(word)) {
        return;
    }
    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
    if last.len() == failure::LINES {
        last.pop_front();
    }
    last.push_back(line.to_owned());
}

fn each_line(stream: Option<impl Read>, mut act: impl FnMut(&str)) {
    let Some(stream) = stream else { return };
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok_and(|it| it > 0) {
        let text = String::from_utf8_lossy(&line);
        act(text.trim_end_matches(['\r', '\n']));
        line.clear();
    }
}

/// Run to the end and return what it printed; on failure the error holds both streams.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    Ok(program::capture(command)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn who_fails_has_its_last_words_in_the_error() {
        let script = "echo '   Compiling a'; i=0; while [ $i -lt 100 ]; do echo $i; i=$((i+1)); done; exit 2";
        let error = watch(&mut shell(script)).unwrap_err();
        let words = failure::lines(&error);
        assert!(words[0].contains("failed: exit status: 2"), "{words:?}");
        assert_eq!(words.len(), 1 + failure::LINES);
        assert_eq!(words.last().map(String::as_str), Some("99"));
    }

    #[test]
    fn progress_explains_nothing_and_both_streams_do() {
        let script = "echo '   Compiling a' >&2; echo one; echo two >&2; exit 1";
        let error = watch(&mut shell(script)).unwrap_err();
        let mut words = failure::lines(&error).split_off(1);
        words.sort();
        assert_eq!(words, ["one", "two"]);
    }

    #[test]
    fn a_report_is_returned_and_the_rest_shown() {
        let text = report(&mut shell("echo one; echo two >&2")).expect("it succeeds");
        assert_eq!(text, "one\n");
        let error = report(&mut shell("echo one; echo two >&2; exit 1")).unwrap_err();
        assert_eq!(failure::lines(&error)[1..], ["two"]);
    }
}
