//! What is looked at, and what is made of it.

use std::time::Duration;

use serde_json::Value;
use sipward_tests::stage::Proxy;
use sipward_tests::stage::process::{descriptors, rss_kib};
use sipward_tests::verdict::{Verdict, late_medians};

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
    descriptors: u64,
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

/// Looks at the proxy's process from time to time.
pub(crate) struct Watch {
    process: u32,
    descriptors_before: u64,
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
        let mut verdict = Verdict::default();
        let mut check = |good: bool, line: String| verdict.check(good, line);
        let memory: Vec<u64> = self.samples.iter().map(|it| it.rss_kib).collect();
        let (early, late) = late_medians(&memory);
        let (early, late) = (early as f64, late as f64);
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
