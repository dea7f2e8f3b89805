//! Who is measured: rtpengine, and processes of this program that hold one relay each.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddrV4;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use nix::time::ClockId;
use nix::unistd::Pid;
use relay::BackendChoice;

use crate::calls::{Call, Plan};
use crate::looped;
use crate::relayed;
use crate::rtpengine::Rtpengine;
use crate::seal::Suite;

/// A way from one party to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// No relay; what the others' delay is compared with.
    Direct,
    /// One `recvfrom` and one `sendto` a packet.
    Loop,
    /// rtpengine without its kernel module.
    Rtpengine,
    /// Sipward's relay as it runs by default.
    Sipward,
    /// Sipward's relay without io_uring.
    SipwardEpoll,
}

impl Kind {
    /// As figures name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Loop => "loop",
            Self::Rtpengine => "rtpengine",
            Self::Sipward => "sipward",
            Self::SipwardEpoll => "sipward-epoll",
        }
    }

    /// Whether it can do this at all.
    pub(crate) fn can(self, suite: Option<Suite>) -> bool {
        !matches!(self, Self::Direct | Self::Loop) || suite.is_none()
    }
}

/// A running subject.
pub(crate) enum Subject {
    /// Nothing.
    Direct,
    /// A process of this program.
    Own(Own),
    /// rtpengine.
    Rtpengine(Rtpengine),
}

/// A process of this program; it ends when this is dropped.
pub(crate) struct Own(Child);

impl Drop for Own {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

impl Subject {
    /// Starts it and sets up the calls.
    pub(crate) fn start(kind: Kind, plan: &Plan, folder: &Path) -> Result<(Self, Vec<Call>)> {
        match kind {
            Kind::Direct => Ok((Self::Direct, Call::direct(plan))),
            Kind::Rtpengine => {
                let mut subject = Rtpengine::start(plan, folder)?;
                let calls = subject.calls(plan)?;
                Ok((Self::Rtpengine(subject), calls))
            }
            Kind::Loop | Kind::Sipward | Kind::SipwardEpoll => {
                let (own, calls) = spawn(kind, plan)?;
                Ok((Self::Own(own), calls))
            }
        }
    }

    /// User and system time of its process so far, with nanoseconds.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let process = match self {
            Self::Direct => return Ok(Duration::ZERO),
            Self::Own(own) => own.0.id(),
            Self::Rtpengine(subject) => subject.process(),
        };
        let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(process.try_into()?))
            .context("the subject has ended")?;
        Ok(clock.now()?.into())
    }
}

/// What this program is told when it is a subject itself.
#[derive(clap::Args)]
pub(crate) struct Role {
    /// Which one.
    #[arg(long, value_enum)]
    kind: Kind,
    /// How many calls.
    #[arg(long)]
    calls: usize,
    /// Name of the cipher of the callees' legs.
    #[arg(long)]
    suite: Option<String>,
    /// Threads of Sipward's relay.
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Address of all callers.
    #[arg(long)]
    caller: SocketAddrV4,
    /// Address of all callees.
    #[arg(long)]
    callee: SocketAddrV4,
}

fn spawn(kind: Kind, plan: &Plan) -> Result<(Own, Vec<Call>)> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["subject", "--kind", kind.name()]);
    command.args(["--calls", &plan.calls.to_string()]);
    command.args(["--workers", &plan.workers.to_string()]);
    command.args(["--caller", &plan.caller.to_string()]);
    command.args(["--callee", &plan.callee.to_string()]);
    if let Some(suite) = plan.suite {
        command.args(["--suite", suite.name()]);
    }
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("failed to start {}", kind.name()))?;
    let mut own = Own(child);
    let mut line = String::new();
    if let Some(output) = own.0.stdout.take() {
        BufReader::new(output).read_line(&mut line)?;
    }
    let calls =
        serde_json::from_str(&line).with_context(|| format!("{} set up no calls", kind.name()))?;
    Ok((own, calls))
}

/// Be a subject: set up the calls, print them, and relay until killed.
pub(crate) fn be(role: &Role) -> Result<()> {
    let suite = match role.suite.as_deref() {
        None => None,
        Some(name) => Some(
            [Suite::Sha1, Suite::Gcm]
                .into_iter()
                .find(|it| it.name() == name)
                .with_context(|| format!("{name} is no known cipher"))?,
        ),
    };
    let plan = Plan {
        calls: role.calls,
        workers: role.workers,
        suite,
        caller: role.caller,
        callee: role.callee,
    };
    let ready = |calls: &[Call]| -> Result<()> {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", serde_json::to_string(calls)?)?;
        out.flush()?;
        Ok(())
    };
    match role.kind {
        Kind::Loop => looped::serve(&plan, ready),
        Kind::Sipward => relayed::serve(&plan, BackendChoice::Auto, ready),
        Kind::SipwardEpoll => relayed::serve(&plan, BackendChoice::Epoll, ready),
        other @ (Kind::Direct | Kind::Rtpengine) => {
            bail!("{} is no process of this program", other.name())
        }
    }
}
