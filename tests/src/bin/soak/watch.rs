//! What is looked at, and what is made of it.

use std::fs;
use std::time::Duration;

use serde_json::Value;
use sipward_tests::stage::Proxy;

use crate::load::{Counts, Load};

/// Memory may grow by this share after the first third: what allocators keep.
const GROWTH: f64 = 0.05;
/// And by this much in any case, KiB.
const GROWTH_KIB: f64 = 2048.0;
/// Share of packets that a busy machine may lose.
const LOSS: f64 = 0.0001;
/// Samples of five seconds between two printed lines: a minute.
const PRINTED: usize = 12;

/// One look.
pub(crate) struct Sample {
    at: Duration,
    talking: usize,
    rss_kib: u64,
    descriptors: usize,
    sessions: u64,
    ports: u64,
    counts: Counts,
}

impl Sample {
    /// Above the lines.
    pub(crate) const HEADER: &'static str =
        "    time  calls  memory KiB  descriptors  sessions  ports    packets     lost  failed";

    fn line(&self) -> String {
        format!(
            "{:>8.0} {:>6} {:>11} {:>12} {:>9} {:>6} {:>10} {:>8} {:>7}",
            self.at.as_secs_f64(),
            self.talking,
            self.rss_kib,
            self.descriptors,
            self.sessions,
            self.ports,
            self.counts.received,
            self.counts.sent.saturating_sub(self.counts.received),
            self.counts.failed,
        )
    }
}

/// Whether all went well, and why not.
pub(crate) struct Verdict {
    /// Nothing was wrong.
    pub(crate) good: bool,
    /// What was found.
    pub(crate) lines: Vec<String>,
}

/// Looks at the proxy's process from time to time.
pub(crate) struct Watch {
    process: u32,
    descriptors_before: usize,
    samples: Vec<Sample>,
}

impl Watch {
    /// Of a process that has no call yet.
    pub(crate) fn new(process: u32) -> Self {
        Self {
            process,
            descriptors_before: descriptors(process),
            samples: Vec::new(),
        }
    }

    pub(crate) fn look(&mut self, at: Duration, proxy: &Proxy<'_>, load: &Load) {
        let status = proxy.status();
        let media = |name: &str| count(&status["media"][name]);
        let sample = Sample {
            at,
            talking: load.talking(),
            rss_kib: rss_kib(self.process),
            descriptors: descriptors(self.process),
            sessions: media("sessions_now"),
            ports: media("ports_in_use"),
            counts: load.counts,
        };
        if self.samples.len().is_multiple_of(PRINTED) {
            println!("{}", sample.line());
        }
        self.samples.push(sample);
    }

    /// Memory flat after the first third, no call failed, nothing lost, nothing left.
    pub(crate) fn verdict(&self, proxy: &Proxy<'_>, load: &Load) -> Verdict {
        let mut verdict = Verdict {
            good: true,
            lines: Vec::new(),
        };
        let mut check = |good: bool, line: String| {
            verdict.good &= good;
            let word = if good { "ok" } else { "WRONG" };
            verdict.lines.push(format!("{word:<6}{line}"));
        };
        let third = self.samples.len() / 3;
        let memory = |from: usize, to: usize| {
            let mut kib: Vec<u64> = self.samples[from..to].iter().map(|it| it.rss_kib).collect();
            kib.sort_unstable();
            kib.get(kib.len() / 2).copied().unwrap_or_default() as f64
        };
        let (early, late) = (
            memory(third, (2 * third).max(third + 1).min(self.samples.len())),
            memory(2 * third, self.samples.len()),
        );
        let most = (early * (1.0 + GROWTH)).max(early + GROWTH_KIB);
        check(
            late <= most,
            format!("memory {early:.0} KiB in the second third, {late:.0} KiB in the last"),
        );
        let counts = load.counts;
        check(
            counts.failed == 0 && counts.answered == counts.placed,
            format!(
                "{} calls placed, {} answered, {} failed",
                counts.placed, counts.answered, counts.failed
            ),
        );
        let lost = counts.sent.saturating_sub(counts.received);
        check(
            (lost as f64) <= LOSS * counts.sent as f64,
            format!("{} packets sent, {lost} lost", counts.sent),
        );
        let status = proxy.status();
        let left: Vec<u64> = ["sessions_now", "sessions_closing", "ports_in_use"]
            .iter()
            .map(|it| count(&status["media"][it]))
            .collect();
        check(
            left.iter().all(|it| *it == 0),
            format!("{left:?} sessions, closing sessions, ports left"),
        );
        // A reply on the admin socket may still be on its way.
        let descriptors = descriptors(self.process);
        check(
            descriptors <= self.descriptors_before + 2,
            format!(
                "{} descriptors before, {descriptors} after",
                self.descriptors_before
            ),
        );
        verdict
    }
}

fn count(value: &Value) -> u64 {
    value.as_u64().expect("a count in the status")
}

fn rss_kib(process: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/status")).expect("its status");
    let line = text.lines().find_map(|it| it.strip_prefix("VmRSS:"));
    let number = line.and_then(|it| it.trim().split(' ').next());
    number.and_then(|it| it.parse().ok()).expect("its memory")
}

fn descriptors(process: u32) -> usize {
    fs::read_dir(format!("/proc/{process}/fd"))
        .expect("its descriptors")
        .count()
}
