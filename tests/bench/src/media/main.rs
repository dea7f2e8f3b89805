//! `bench media`: relayed G.711 beside rtpengine in user space and beside a plain loop.
//!
//! Both ends of all calls are in this process, the subjects are processes of their own;
//! only their time counts. All subjects of so many calls are alive together, one for each
//! kind of work, and take turns of two seconds, so that a slow moment of the machine
//! falls on all alike. Sipward's relay has the allocator that the proxy runs with.

mod bencode;
mod calls;
mod looped;
mod packet;
mod relayed;
mod rtpengine;
mod seal;
mod subject;
mod traffic;

use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};
use sipward_bench::measure::Samples;
use sipward_bench::report::{self, Figure};

use crate::calls::Plan;
use crate::seal::Suite;
use crate::subject::{Kind, Role, Subject};
use crate::traffic::{Ends, Observed, Stream, Traffic};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Relayed G.711 beside rtpengine: CPU, added delay, loss.
#[derive(Parser)]
#[command(name = "bench-media", args_conflicts_with_subcommands = true)]
struct Arguments {
    /// One JSON object a line instead of a table.
    #[arg(long)]
    json: bool,
    /// Calls at the same time, each in both directions.
    #[arg(long, value_delimiter = ',', default_values_t = [100, 300], value_parser = clap::value_parser!(u16).range(1..=900))]
    calls: Vec<u16>,
    /// What is relayed.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Work::Rtp, Work::Sha1, Work::Gcm])]
    work: Vec<Work>,
    /// Who is measured.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Kind::Direct, Kind::Loop, Kind::Rtpengine, Kind::Sipward])]
    subjects: Vec<Kind>,
    /// Threads of rtpengine and of Sipward's relay.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    workers: u8,
    /// Turns that each subject takes; one more goes before and is forgotten.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1000))]
    turns: u32,
    /// Seconds of a turn.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What this program does besides measuring.
#[derive(Subcommand)]
enum Command {
    /// Be a subject; `bench-media` starts this by itself.
    #[command(hide = true)]
    Subject(Role),
}

/// What is relayed: the callers' legs are plain RTP, the callees' legs this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Work {
    /// Plain RTP.
    Rtp,
    /// SRTP with `AES_CM_128_HMAC_SHA1_80`.
    Sha1,
    /// SRTP with `AEAD_AES_128_GCM`.
    Gcm,
}

impl Work {
    fn suite(self) -> Option<Suite> {
        match self {
            Self::Rtp => None,
            Self::Sha1 => Some(Suite::Sha1),
            Self::Gcm => Some(Suite::Gcm),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Rtp => "rtp",
            Self::Sha1 => "rtp-srtp-sha1-80",
            Self::Gcm => "rtp-srtp-gcm",
        }
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(Command::Subject(role)) = &arguments.command {
        return subject::be(role);
    }
    let mut figures = Vec::new();
    for calls in &arguments.calls {
        eprintln!("    {calls} calls");
        let measured = measure(usize::from(*calls), &arguments)
            .with_context(|| format!("failed to measure {calls} calls"))?;
        figures.extend(figures_of(*calls, &measured));
    }
    report::print(&figures, arguments.json)
}

/// A subject that does one kind of work.
struct Running {
    kind: Kind,
    work: Work,
    subject: Subject,
    traffic: Traffic,
    cpu: Duration,
    observed: Observed,
}

impl Running {
    fn cpu_us_per_packet(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.observed.received as f64
    }
}

fn measure(calls: usize, arguments: &Arguments) -> Result<Vec<Running>> {
    let folder = tempfile::tempdir().context("failed to make a folder")?;
    let mut running = Vec::new();
    for work in &arguments.work {
        for kind in &arguments.subjects {
            if kind.can(work.suite()) {
                running.push(
                    start(*kind, *work, calls, arguments.workers, folder.path()).with_context(
                        || format!("failed to start {} for {}", kind.name(), work.name()),
                    )?,
                );
            }
        }
    }
    for turn in 0..=arguments.turns {
        for it in &mut running {
            let before = it.subject.cpu()?;
            let observed = it.traffic.run(Duration::from_secs(arguments.seconds))?;
            let spent = it.subject.cpu()?.saturating_sub(before);
            if turn > 0 {
                it.cpu += spent;
                it.observed.add(observed);
            }
        }
    }
    Ok(running)
}

fn start(
    kind: Kind,
    work: Work,
    calls: usize,
    workers: u8,
    folder: &std::path::Path,
) -> Result<Running> {
    let ends = Ends::open()?;
    let plan = Plan {
        calls,
        workers: usize::from(workers),
        suite: work.suite(),
        caller: ends.caller()?,
        callee: ends.callee()?,
    };
    let (subject, calls) = Subject::start(kind, &plan, folder)?;
    let mut streams: Vec<Stream> = Vec::new();
    for call in &calls {
        streams.extend(call.streams(plan.suite)?);
    }
    Ok(Running {
        kind,
        work,
        subject,
        traffic: Traffic::new(ends, streams),
        cpu: Duration::ZERO,
        observed: Observed::default(),
    })
}

/// A row for each kind of work and subject.
fn figures_of(calls: u16, measured: &[Running]) -> Vec<Figure> {
    let find = |work, kind| {
        let mut all = measured.iter();
        all.find(|it: &&Running| it.work == work && it.kind == kind)
    };
    let delays = |it: &Running| Samples::new(it.observed.delays.clone());
    let direct = find(Work::Rtp, Kind::Direct).map(delays);
    let mut figures = Vec::new();
    for it in measured {
        let mut figure = |metric, value: f64, unit| {
            // Nothing arrived, or there is nothing to compare with.
            if value.is_finite() {
                figures.push(Figure {
                    bench: "media",
                    case: format!("{}-{calls}-calls", it.work.name()),
                    subject: it.kind.name(),
                    metric,
                    value,
                    unit,
                });
            }
        };
        if it.kind != Kind::Direct {
            let own = it.cpu_us_per_packet();
            figure("cpu_us_per_packet", own, "us");
            if let Some(yardstick) = find(it.work, Kind::Rtpengine) {
                let ratio = own / yardstick.cpu_us_per_packet();
                figure("of_rtpengine_percent", 100.0 * ratio, "%");
            }
            if let Some(plain) = find(Work::Rtp, it.kind) {
                let ratio = own / plain.cpu_us_per_packet();
                figure("of_own_rtp_percent", 100.0 * ratio, "%");
            }
        }
        let delays = delays(it);
        for (metric, percent) in [("delay_p50_us", 50), ("delay_p99_us", 99)] {
            figure(metric, delays.percentile(percent) / 1e3, "us");
        }
        if let Some(direct) = direct.as_ref().filter(|_| it.kind != Kind::Direct) {
            for (metric, percent) in [("added_p50_us", 50), ("added_p99_us", 99)] {
                let added = delays.percentile(percent) - direct.percentile(percent);
                figure(metric, added / 1e3, "us");
            }
        }
        let observed = &it.observed;
        figure("packets", observed.received as f64, "packets");
        let lost = observed.sent - observed.received;
        figure("lost", lost as f64, "packets");
        figure("corrupt", observed.corrupt as f64, "packets");
    }
    figures
}
