//! A long run of Sipward with media: calls arrive and leave all the time, every one talks
//! both ways, plain on one leg and SRTP on the other; memory, descriptors and ports are
//! watched, and nothing may be left at the end. Or, with `--reloads`, so many reloads while
//! calls run.

mod load;
mod watch;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use sipward_tests::reloads::{self, Plan};
use sipward_tests::stage::media::Leg;
use sipward_tests::stage::media::baresip::sip_port;
use sipward_tests::stage::{Proxy, Stage, TRUNK};
use sipward_tests::verdict::Verdict;

use crate::load::Load;
use crate::watch::{Sample, Watch};

/// The first of the relay's ports.
const FIRST_PORT: u16 = 10_000;

/// Calls with media for a long time.
#[derive(Parser)]
#[command(name = "soak")]
struct Arguments {
    /// How long calls arrive.
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    /// Calls at the same time.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=1000))]
    calls: u16,
    /// Calls that arrive in a second, and leave.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    rate: u32,
    /// Reload so often instead, while calls without media run.
    #[arg(long, conflicts_with_all = ["minutes", "calls", "rate"])]
    reloads: Option<u32>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let verdict = match arguments.reloads {
        Some(reloads) => reloads::run(&Plan::new(reloads)),
        None => talk(&arguments),
    };
    verdict.print();
    match verdict.good {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Calls with media.
fn talk(arguments: &Arguments) -> Verdict {
    let mut stage = Stage::new();
    stage.trunk = sip_port(TRUNK);
    // Below the ports of tests, and twice those of all calls: some still leave.
    let last = FIRST_PORT + 8 * arguments.calls.max(20) - 1;
    stage.configure_relay(Leg::Plain, Leg::Sdes, &[], FIRST_PORT..=last);
    let proxy = Proxy::start(&stage);
    let mut load = Load::new(&stage, u32::from(arguments.calls), arguments.rate);
    let mut watch = Watch::new(proxy.id());
    let begin = Instant::now();
    let length = Duration::from_secs_f64(60.0 * arguments.minutes);
    println!("{}", Sample::HEADER);
    let mut next = Duration::from_secs(1);
    while begin.elapsed() < length {
        load.turn(true);
        if begin.elapsed() >= next {
            next += Duration::from_secs(5);
            watch.look(begin.elapsed(), &proxy, &load);
        }
    }
    println!("calls leave");
    while load.running() > 0 {
        load.turn(false);
    }
    proxy.wait_until("all is back", |status| {
        status["total"]["calls"] == 0
            && ["sessions_now", "sessions_closing", "ports_in_use"]
                .iter()
                .all(|it| status["media"][it] == 0)
    });
    watch.verdict(&proxy, &load)
}
