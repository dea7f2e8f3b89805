//! Programs that are run for an alert: the alert is JSON on standard input, the arguments
//! are the operator's, and no shell reads either.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use parking_lot::Mutex;
use policy::Severity;

use super::desk::AlertCounts;
use super::{RECEIVER_WAITING, Told};

/// How often a program that runs is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// All that a program finds in its environment: nothing of ours, which may hold secrets.
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandConfig {
    /// Its path.
    pub program: PathBuf,
    /// Its arguments, as they are.
    pub arguments: Vec<String>,
    /// Quieter alerts are not told.
    pub severity: Severity,
    /// Longest time that it may run; then it and its children are killed.
    pub timeout: Duration,
    /// How many may run at once; at least 1.
    pub concurrent: usize,
}

/// Threads that run the program until the sender is dropped and nothing waits.
pub(super) fn start(
    config: &CommandConfig,
    counts: &Arc<AlertCounts>,
) -> io::Result<SyncSender<Arc<Told>>> {
    let (sender, receiver) = mpsc::sync_channel::<Arc<Told>>(RECEIVER_WAITING);
    let receiver = Arc::new(Mutex::new(receiver));
    for _ in 0..config.concurrent.max(1) {
        let (config, counts) = (config.clone(), Arc::clone(counts));
        let receiver = Arc::clone(&receiver);
        std::thread::Builder::new()
            .name("alert-command".to_owned())
            .spawn(move || {
                scheduling::patient();
                work(&config, &receiver, &counts);
            })?;
    }
    Ok(sender)
}

fn work(config: &CommandConfig, receiver: &Mutex<Receiver<Arc<Told>>>, counts: &AlertCounts) {
    loop {
        // Who waits holds the lock, and the others wait for it: one is as good as another.
        let next = receiver.lock().recv();
        let Ok(told) = next else {
            return;
        };
        let program = config.program.display();
        let problem = match run(config, &told) {
            Ok(status) if status.success() => {
                counts.delivered.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            Ok(status) => format!("it ended with {status}"),
            Err(error) => error.to_string(),
        };
        counts.failed.fetch_add(1, Ordering::Relaxed);
        tracing::error!(%program, problem, "alert command failed");
    }
}

/// Runs the program and waits for its end, or kills it.
fn run(config: &CommandConfig, told: &Told) -> io::Result<ExitStatus> {
    let until = Instant::now() + config.timeout;
    let mut input = serde_json::to_vec(told)?;
    input.push(b'\n');
    let mut child = Command::new(&config.program)
        .args(&config.arguments)
        .env_clear()
        .env("PATH", SEARCH_PATH)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // With its children, so that all of them can be killed.
        .process_group(0)
        .spawn()?;
    // An alert is smaller than the buffer of a pipe, so this waits for nobody; whoever
    // does not read it does not want it.
    let _unread = child.stdin.take().map(|mut pipe| pipe.write_all(&input));
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() >= until {
            kill(&mut child);
            child.wait()?;
            return Err(io::Error::new(io::ErrorKind::TimedOut, "its time was over"));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn kill(child: &mut Child) {
    let group = i32::try_from(child.id()).map(Pid::from_raw);
    let killed = group.is_ok_and(|group| killpg(group, Signal::SIGKILL).is_ok());
    if !killed {
        // It has ended in this moment, or it changed its group.
        let _ended = child.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::super::Alarm;
    use super::*;

    fn shell(script: &str) -> CommandConfig {
        CommandConfig {
            program: "/bin/sh".into(),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            severity: Severity::Info,
            timeout: Duration::from_millis(300),
            concurrent: 1,
        }
    }

    fn told() -> Told {
        Told {
            alarm: Alarm::of_host("k", "a $(touch x) \"text\"".to_owned()),
            held_back: 2,
        }
    }

    #[test]
    fn the_alert_is_on_standard_input() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("out");
        let status = run(&shell(&format!("cat > {}", file.display())), &told()).unwrap();
        assert!(status.success());
        let out: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(out["text"], "a $(touch x) \"text\"");
        assert_eq!(out["severity"], "critical");
        assert_eq!(out["held_back"], 2);
        assert_eq!(out["plugin"], "sipward");
    }

    #[test]
    fn nothing_of_our_environment_is_passed_on() {
        let script =
            "test \"$(env | grep -cv -e ^PATH= -e ^PWD= -e ^SHLVL= -e ^_= -e ^OLDPWD=)\" = 0";
        assert!(run(&shell(script), &told()).unwrap().success());
    }

    #[test]
    fn one_that_does_not_end_is_killed_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("late");
        let script = format!("(sleep 1; touch {}) & sleep 60", file.display());
        let started = Instant::now();
        let error = run(&shell(&script), &told()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(started.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(1_200));
        assert!(!file.exists());
    }

    #[test]
    fn one_that_does_not_read_is_no_failure_of_ours() {
        assert!(run(&shell("exit 0"), &told()).unwrap().success());
        assert!(!run(&shell("exit 3"), &told()).unwrap().success());
        let none = CommandConfig {
            program: "/does/not/exist".into(),
            ..shell("")
        };
        assert!(run(&none, &told()).is_err());
    }
}
