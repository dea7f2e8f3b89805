//! sipp as trunk and as PBX, and what its records say about a run.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::ports::Ports;

/// The account that every subject knows.
pub(crate) const USER: &str = "pbx";
/// Its password.
pub(crate) const PASSWORD: &str = "secret";
/// The number that is called; every subject allows its prefix.
pub(crate) const NUMBER: &str = "+4930123456";

/// How many calls, how fast.
pub(crate) struct Load {
    /// Calls in all.
    pub(crate) calls: u32,
    /// Calls a second.
    pub(crate) rate: u32,
}

/// What became of a run, or of several.
#[derive(Default)]
pub(crate) struct Outcome {
    /// Calls that ended as the scenario says.
    pub(crate) succeeded: u64,
    /// Calls that did not.
    pub(crate) failed: u64,
    /// Messages that sipp had to send again.
    pub(crate) retransmissions: u64,
    /// INVITE with credentials to 100, in microseconds.
    pub(crate) to_trying_us: Vec<f64>,
    /// INVITE with credentials to 200.
    pub(crate) to_answer_us: Vec<f64>,
}

impl Outcome {
    /// Adds what became of another run.
    pub(crate) fn add(&mut self, other: Self) {
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.retransmissions += other.retransmissions;
        self.to_trying_us.extend(other.to_trying_us);
        self.to_answer_us.extend(other.to_answer_us);
    }
}

/// sipp as a trunk; it ends when this is dropped.
pub(crate) struct Trunk(Child);

impl Drop for Trunk {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Start the trunk.
pub(crate) fn trunk(ports: &Ports) -> Result<Trunk> {
    let mut command = sipp("trunk-answers.xml", ports.trunk);
    Ok(Trunk(
        command.spawn().context("failed to start sipp as a trunk")?,
    ))
}

fn sipp(scenario: &str, port: u16) -> Command {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sipp");
    let mut command = Command::new("sipp");
    command.arg("-sf").arg(folder.join(scenario));
    command.args(["-i", "127.0.0.1", "-p", &port.to_string(), "-nostdin"]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

impl Load {
    /// Make the calls; records are kept in files whose names begin with `prefix`.
    pub(crate) fn run(&self, ports: &Ports, prefix: &Path) -> Result<Outcome> {
        let (messages, figures) = (beside(prefix, "messages"), beside(prefix, "figures"));
        // Twice the time that the calls take, and room for retransmissions.
        let limit = Duration::from_secs(u64::from(2 * self.calls / self.rate) + 40);
        let status = sipp("pbx-calls.xml", ports.pbx)
            .arg(format!("127.0.0.1:{}", ports.inside))
            .args(["-s", NUMBER, "-au", USER, "-ap", PASSWORD])
            .args(["-auth_uri", &format!("{NUMBER}@127.0.0.1:{}", ports.inside)])
            .args([
                "-m",
                &self.calls.to_string(),
                "-r",
                &self.rate.to_string(),
                "-l",
                "5000",
                "-d",
                "0",
            ])
            .args([
                "-timeout",
                &limit.as_secs().to_string(),
                "-recv_timeout",
                "20000",
            ])
            .args(["-trace_stat", "-stf"])
            .arg(&figures)
            .args(["-trace_shortmsg", "-shortmessage_file"])
            .arg(&messages)
            .status()
            .context("failed to start sipp as a PBX")?;
        // 1 says that calls failed, which is a figure and no reason to stop.
        if !matches!(status.code(), Some(0 | 1)) {
            bail!("sipp ended with {status}");
        }
        outcome(&read(&figures)?, &read(&messages)?)
    }
}

fn beside(prefix: &Path, what: &str) -> PathBuf {
    prefix.with_extension(what)
}

fn read(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("sipp left no {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn outcome(figures: &str, messages: &str) -> Result<Outcome> {
    let mut lines = figures.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split(';').collect();
    let last: Vec<&str> = lines.next_back().unwrap_or_default().split(';').collect();
    let figure = |name: &str| -> Result<u64> {
        let at = names.iter().position(|it| *it == name);
        let text = at
            .and_then(|it| last.get(it))
            .with_context(|| format!("sipp counted no {name}"))?;
        text.trim()
            .parse()
            .with_context(|| format!("sipp's {name} is no number"))
    };
    let (to_trying_us, to_answer_us) = latencies(messages);
    Ok(Outcome {
        succeeded: figure("SuccessfulCall(C)")?,
        failed: figure("FailedCall(C)")?,
        retransmissions: figure("Retransmissions(C)")?,
        to_trying_us,
        to_answer_us,
    })
}

/// One line of sipp's short messages: date, time, seconds, direction, Call-ID, CSeq,
/// first line, with tabs between them.
fn message(line: &str) -> Option<(u64, bool, &str, &str)> {
    let mut words = line.split('\t').skip(2);
    let (seconds, fraction) = words.next()?.split_once('.')?;
    let micros = seconds.parse::<u64>().ok()? * 1_000_000 + fraction.parse::<u64>().ok()?;
    let sent = words.next()? == "S";
    let call = words.next()?;
    // The INVITE with credentials is the second request of each call.
    (words.next()? == "CSeq:2 INVITE").then_some(())?;
    Some((micros, sent, call, words.next()?))
}

fn latencies(messages: &str) -> (Vec<f64>, Vec<f64>) {
    let mut sent_at: HashMap<&str, u64> = HashMap::new();
    let (mut trying, mut answer) = (HashMap::new(), HashMap::new());
    for (micros, sent, call, line) in messages.lines().filter_map(message) {
        if sent {
            sent_at.entry(call).or_insert(micros);
            continue;
        }
        let Some(start) = sent_at.get(call) else {
            continue;
        };
        let took = micros.saturating_sub(*start) as f64;
        if line.starts_with("SIP/2.0 100") {
            trying.entry(call).or_insert(took);
        } else if line.starts_with("SIP/2.0 200") {
            answer.entry(call).or_insert(took);
        }
    }
    (
        trying.into_values().collect(),
        answer.into_values().collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_begin_with_the_first_sending_of_the_second_invite() {
        let line = |micros: u32, way: &str, cseq: u32, first: &str| {
            format!(
                "2026-01-01\t00:00:00.0\t7.{micros:06}\t{way}\ta@b\tCSeq:{cseq} INVITE\t{first}\n"
            )
        };
        let text = line(1, "S", 1, "INVITE sip:a SIP/2.0")
            + &line(100, "S", 2, "INVITE sip:a SIP/2.0")
            + &line(150, "R", 2, "SIP/2.0 100 Trying")
            + &line(160, "S", 2, "INVITE sip:a SIP/2.0")
            + &line(400, "R", 2, "SIP/2.0 200 OK")
            + &line(900, "R", 2, "SIP/2.0 200 OK");
        assert_eq!(latencies(&text), (vec![50.0], vec![300.0]));
    }

    #[test]
    fn figures_are_found_by_name_on_the_last_line() {
        let figures =
            "A;SuccessfulCall(C);FailedCall(C);Retransmissions(C);\n1;2;3;4;\n1;20;30;40;\n";
        let outcome = outcome(figures, "").expect("figures");
        assert_eq!(
            (outcome.succeeded, outcome.failed, outcome.retransmissions),
            (20, 30, 40)
        );
    }
}
