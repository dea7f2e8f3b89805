//! The real `sipward`, started on the demo's configuration; its log is read for the
//! decisions that are shown.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::demo::stage::{PATIENCE, Stage};
use crate::process;
use crate::workspace::{self, text};

/// A running proxy; dropped, it is stopped.
pub(crate) struct Proxy {
    child: Child,
    log: PathBuf,
    config: PathBuf,
    folder: PathBuf,
}

/// One line of the decision log.
#[derive(Debug)]
pub(crate) struct Decision {
    /// The method that was judged.
    pub(crate) method: String,
    /// What became of it.
    pub(crate) verdict: String,
    /// The status it was answered with; 0 without one.
    pub(crate) status: u64,
    /// The plugin that decided.
    pub(crate) plugin: String,
    /// Why.
    pub(crate) reason: String,
    /// Who the caller turned out to be.
    pub(crate) identity: String,
    /// How long the whole pipeline took.
    pub(crate) micros: u64,
}

impl Proxy {
    /// Start it and wait until it answers on its admin socket.
    pub(crate) fn start(stage: &Stage) -> Result<Self> {
        let log = stage.folder.join("sipward.log");
        let file = File::create(&log)?;
        let child = Command::new(workspace::program("sipward"))
            .args(["run", "--config"])
            .arg(stage.config())
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .context("failed to start sipward")?;
        let mut proxy = Self {
            child,
            log,
            config: stage.config(),
            folder: stage.folder.clone(),
        };
        let until = Instant::now() + 6 * PATIENCE;
        while !process::succeeds(&mut proxy.command("status")) {
            if let Some(status) = proxy.child.try_wait()? {
                bail!("sipward ended with {status}:\n{}", proxy.last_lines());
            }
            if Instant::now() > until {
                bail!("sipward did not come up:\n{}", proxy.last_lines());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(proxy)
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(workspace::program("sipward"));
        command.arg(verb).arg("--config").arg(&self.config);
        command
    }

    /// `sipward reload`: whether it was done, and what it said.
    pub(crate) fn reload(&self) -> Result<(bool, String)> {
        let output = self
            .command("reload")
            .stdin(Stdio::null())
            .output()
            .context("failed to start sipward reload")?;
        let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
        said.push_str(&String::from_utf8_lossy(&output.stderr));
        // Files are named from the demo's folder, which was shown at the beginning.
        let folder = format!("{}/", self.folder.display());
        Ok((output.status.success(), said.trim().replace(&folder, "")))
    }

    /// `sipward status`, as it prints it.
    pub(crate) fn status(&self) -> Result<String> {
        Ok(process::capture(&mut self.command("status"))?
            .trim()
            .to_owned())
    }

    /// All decisions on calls whose Call-ID begins so, oldest first.
    pub(crate) fn decisions(&self, call: &str) -> Vec<Decision> {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        log.lines()
            .filter_map(|line| decision(line, call))
            .collect()
    }

    /// The first decision on such a call that is as wanted, once it is in the log.
    pub(crate) fn wait_for(
        &self,
        call: &str,
        wanted: impl Fn(&Decision) -> bool,
    ) -> Result<Decision> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = self.decisions(call).into_iter().find(&wanted) {
                return Ok(found);
            }
            if Instant::now() > until {
                let seen = self.decisions(call);
                bail!(
                    "the expected decision on {call}* is not in the log; seen: {seen:?}\n{}",
                    self.last_lines()
                );
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn last_lines(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let mut lines: Vec<&str> = log.lines().rev().take(12).collect();
        lines.reverse();
        lines.join("\n")
    }

    /// SIGTERM: it drains and ends by itself, with success.
    pub(crate) fn stop(mut self) -> Result<()> {
        let id = self.child.id().to_string();
        process::capture(Command::new("kill").args(["-TERM", &id]))?;
        let until = Instant::now() + 3 * PATIENCE;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait()? {
                if !status.success() {
                    bail!("sipward ended with {status}:\n{}", self.last_lines());
                }
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("sipward did not end after SIGTERM:\n{}", self.last_lines())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn decision(line: &str, call: &str) -> Option<Decision> {
    let event: Value = serde_json::from_str(line).ok()?;
    if text(&event, "message") != "decision" || !text(&event, "call").starts_with(call) {
        return None;
    }
    let number = |key: &str| event.get(key).and_then(Value::as_u64).unwrap_or_default();
    let owned = |key: &str| text(&event, key).to_owned();
    Some(Decision {
        method: owned("method"),
        verdict: owned("verdict"),
        status: number("status"),
        plugin: owned("plugin"),
        reason: owned("reason"),
        identity: owned("identity"),
        micros: number("micros"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_decisions_on_the_call_are_read() {
        let line = r#"{"message":"decision","call":"acl-1","method":"INVITE","verdict":"refuse","status":403,"plugin":"ip-acl","reason":"not allowed","micros":12}"#;
        let found = decision(line, "acl-").expect("a decision");
        assert_eq!(
            (found.status, found.plugin.as_str(), found.micros),
            (403, "ip-acl", 12)
        );
        assert!(decision(line, "other-").is_none());
        assert!(decision(&line.replace("decision", "stage"), "acl-").is_none());
        assert!(decision("human text", "acl-").is_none());
    }
}
