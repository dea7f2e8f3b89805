//! The running `sipward`.

use std::fs::File;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Stage, binary};

/// How long something that takes milliseconds may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running proxy; killed when dropped.
pub struct Proxy<'s> {
    stage: &'s Stage,
    child: Child,
}

impl Drop for Proxy<'_> {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
        if std::thread::panicking() {
            eprintln!("sipward: {}", self.log());
        }
    }
}

impl<'s> Proxy<'s> {
    /// Start it and wait until it answers.
    ///
    /// # Panics
    /// It does not start; the panic shows its log.
    #[must_use]
    pub fn start(stage: &'s Stage) -> Self {
        let log = File::options()
            .create(true)
            .append(true)
            .open(stage.path("log"))
            .expect("a log file");
        let child = Command::new(binary())
            .args(["run", "--config"])
            .arg(stage.config())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log file twice"))
            .stderr(log)
            .spawn()
            .expect("sipward starts");
        let mut proxy = Self { stage, child };
        let deadline = Instant::now() + PATIENCE;
        while !proxy.ask("status").status.success() {
            let ended = proxy.child.try_wait().expect("to look at the child");
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "sipward is not ready: {}",
                proxy.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        proxy
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Run a command of the command line against it, its words separated by spaces.
    ///
    /// # Panics
    /// The command cannot be started.
    #[must_use]
    pub fn ask(&self, command: &str) -> Output {
        let mut ask = Command::new(binary());
        ask.args(command.split(' '))
            .arg("--config")
            .arg(self.stage.config());
        ask.stdin(Stdio::null()).output().expect("the command runs")
    }

    /// Reload by the admin socket: what it printed, as an error if refused.
    ///
    /// # Errors
    /// The reason for the refusal.
    pub fn reload(&self) -> Result<String, String> {
        let output = self.ask("reload");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            Ok(text)
        } else {
            Err(text)
        }
    }

    /// Its figures.
    ///
    /// # Panics
    /// It does not answer.
    #[must_use]
    pub fn status(&self) -> Value {
        let output = self.ask("status --json");
        assert!(output.status.success(), "no status: {}", self.log());
        serde_json::from_slice(&output.stdout).expect("status is JSON")
    }

    /// Wait until its figures are as wanted.
    ///
    /// # Panics
    /// They never are.
    pub fn wait_until(&self, what: &str, wanted: impl Fn(&Value) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.status();
            if wanted(&status) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "never happened: {what}; {status:#}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Send it a signal, such as `HUP`, `TERM` or `KILL`.
    ///
    /// # Panics
    /// There is no `kill`.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill")
            .args(["-s", name, &id])
            .status()
            .expect("kill runs");
        assert!(sent.success(), "no signal could be sent");
    }

    /// Wait for its end.
    ///
    /// # Panics
    /// It does not end.
    #[must_use]
    pub fn wait(mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("to look at the child") {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "sipward does not end: {}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Everything it wrote.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.stage.path("log")).unwrap_or_default()
    }

    /// Its first decision on a call whose Call-ID begins so that is as wanted, once there
    /// is one.
    ///
    /// # Panics
    /// There never is.
    #[must_use]
    pub fn decision(&self, call: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let decisions = self.decisions_on(call);
            if let Some(found) = decisions.iter().find(|it| wanted(it)) {
                return found.clone();
            }
            assert!(
                Instant::now() < deadline,
                "no such decision on {call}*: {decisions:#?}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Its decisions so far on calls whose Call-ID begins so.
    #[must_use]
    pub fn decisions_on(&self, call: &str) -> Vec<Value> {
        let mut decisions = self.decisions();
        decisions.retain(|it| it["call"].as_str().is_some_and(|it| it.starts_with(call)));
        decisions
    }

    /// Its decisions so far: lines of its log.
    #[must_use]
    pub fn decisions(&self) -> Vec<Value> {
        self.lines("decision")
    }

    /// The first line of its log with this message that is as wanted, once there is one.
    ///
    /// # Panics
    /// There never is.
    #[must_use]
    pub fn line(&self, message: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = self.lines(message).into_iter().find(|it| wanted(it)) {
                return found;
            }
            assert!(
                Instant::now() < deadline,
                "no line `{message}`: {}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn lines(&self, message: &str) -> Vec<Value> {
        let log = self.log();
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["message"] == message).collect()
    }
}
