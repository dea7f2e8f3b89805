//! `bench parse`: nanoseconds and allocations for each SIP message.
//!
//! Sipward's index and core fields beside rsip, and beside a lower bound that only splits
//! lines with memchr and classifies them. Everything runs under an allocator that counts;
//! that costs a few nanoseconds for each allocation.

mod bound;
mod forward;
mod readers;

use std::hint::black_box;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use clap::Parser;
use sip_message::{Limits, Message};
use sipward_bench::measure::{Samples, Turn, batches, take_turns};
use sipward_bench::messages;
use sipward_bench::report::{self, Figure};

/// Nanoseconds and allocations for each SIP message.
#[derive(Parser)]
#[command(name = "bench-parse")]
struct Arguments {
    /// One JSON object a line instead of a table.
    #[arg(long)]
    json: bool,
    /// Turns of each subject; one takes about a millisecond.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rounds: u32,
    /// Only cases whose name contains this.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

/// Repetitions of which one sample is the mean: some 50 microseconds, far less than the
/// system lets a thread run before it looks for another.
const BATCH: u32 = 32;

/// One row of the result.
struct Subject<'a> {
    case: String,
    name: &'static str,
    work: Box<dyn Fn() + 'a>,
}

impl<'a> Subject<'a> {
    fn new<T>(case: String, name: &'static str, work: impl Fn() -> T + 'a) -> Self {
        let work = Box::new(move || {
            black_box(work());
        });
        Self { case, name, work }
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let samples = [
        ("invite", messages::invite()),
        ("200", messages::ok()),
        ("bye", messages::bye()),
    ];
    let limits = Limits::default();
    let parsed = samples
        .iter()
        .map(|(name, bytes)| Ok((*name, Message::parse_datagram(bytes.clone(), &limits)?)))
        .collect::<Result<Vec<_>>>()?;
    let mut subjects = Vec::new();
    for (name, bytes) in &samples {
        readers::agree(bytes).with_context(|| format!("cannot compare parsers of the {name}"))?;
        subjects.extend(read(name, bytes, &limits));
    }
    for (name, message) in parsed.iter().filter(|(_, message)| message.is_request()) {
        let sent = forward::forward(message)?;
        ensure!(
            Message::parse_datagram(sent, &limits)?.vias().count() == 2,
            "the forwarded message lacks a Via"
        );
        subjects.push(Subject::new(format!("{name}-forward"), "sipward", || {
            forward::forward(message).is_ok()
        }));
    }
    if let Some(only) = &arguments.only {
        subjects.retain(|subject| subject.case.contains(only));
        ensure!(!subjects.is_empty(), "no case contains `{only}`");
    }
    let mut turns: Vec<Turn<'_>> = subjects
        .iter()
        .map(|subject| batches(BATCH, &*subject.work))
        .collect();
    let samples = take_turns(&mut turns, arguments.rounds);
    let figures: Vec<Figure> = subjects
        .iter()
        .zip(&samples)
        .flat_map(|(subject, samples)| figures(subject, samples))
        .collect();
    report::print(&figures, arguments.json)
}

fn read<'a>(name: &str, bytes: &'a Bytes, limits: &'a Limits) -> [Subject<'a>; 5] {
    let parse = format!("{name}-parse");
    let fields = format!("{name}-parse-and-core-fields");
    [
        Subject::new(parse.clone(), "memchr", || bound::classify(bytes)),
        Subject::new(parse.clone(), "sipward", || {
            Message::parse_datagram(bytes.clone(), limits)
        }),
        Subject::new(parse, "rsip", || rsip::SipMessage::try_from(&bytes[..])),
        Subject::new(fields.clone(), "sipward", || {
            readers::sipward(bytes, limits, |fields| {
                black_box(fields);
            })
        }),
        Subject::new(fields, "rsip", || readers::rsip(bytes)),
    ]
}

fn figures(subject: &Subject<'_>, samples: &Samples) -> [Figure; 4] {
    let allocated = allocation_counter::measure(|| (subject.work)());
    let figure = |metric, value, unit| Figure {
        bench: "parse",
        case: subject.case.clone(),
        subject: subject.name,
        metric,
        value,
        unit,
    };
    [
        figure("min_ns", samples.min(), "ns"),
        figure("p50_ns", samples.percentile(50), "ns"),
        figure("allocations", allocated.count_total as f64, "allocations"),
        figure("allocated_bytes", allocated.bytes_total as f64, "bytes"),
    ]
}
