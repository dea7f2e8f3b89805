//! What all turns of a subject come to.

use sipward_bench::measure::Samples;
use sipward_bench::report::Figure;

use crate::load::Outcome;

/// What was measured of one subject in one turn.
pub(crate) struct Turn {
    /// User and system time of all its processes, divided by the calls.
    pub(crate) cpu_us_per_call: f64,
    /// Highest memory; shared pages count once.
    pub(crate) peak_rss_kib: u64,
    /// What sipp saw.
    pub(crate) outcome: Outcome,
}

/// What was measured of one subject in all turns.
pub(crate) struct Sums {
    /// Whose they are.
    subject: &'static str,
    /// Of each turn.
    cpu_us_per_call: Vec<f64>,
    /// The highest of all turns.
    peak_rss_kib: u64,
    /// All turns together.
    outcome: Outcome,
}

impl Sums {
    pub(crate) fn new(subject: &'static str) -> Self {
        Self {
            subject,
            cpu_us_per_call: Vec::new(),
            peak_rss_kib: 0,
            outcome: Outcome::default(),
        }
    }

    pub(crate) fn add(&mut self, turn: Turn) {
        self.cpu_us_per_call.push(turn.cpu_us_per_call);
        self.peak_rss_kib = self.peak_rss_kib.max(turn.peak_rss_kib);
        self.outcome.add(turn.outcome);
    }

    /// As figures, at so many calls a second.
    pub(crate) fn figures(&self, rate: u32) -> Vec<Figure> {
        let call = format!("call-{rate}-per-second");
        let figure = |case: &str, metric, value, unit| Figure {
            bench: "signalling",
            case: case.to_owned(),
            subject: self.subject,
            metric,
            value,
            unit,
        };
        let cpu = Samples::new(self.cpu_us_per_call.clone());
        let outcome = &self.outcome;
        let retransmissions = outcome.retransmissions as f64;
        let mut figures = vec![
            figure(&call, "cpu_us_per_call", cpu.percentile(50), "us"),
            figure(&call, "min_cpu_us_per_call", cpu.min(), "us"),
            figure(&call, "peak_rss_kib", self.peak_rss_kib as f64, "KiB"),
            figure(&call, "succeeded_calls", outcome.succeeded as f64, "calls"),
            figure(&call, "failed_calls", outcome.failed as f64, "calls"),
            figure(&call, "retransmissions", retransmissions, "messages"),
        ];
        for (case, times) in [
            ("invite-to-100", &outcome.to_trying_us),
            ("invite-to-200", &outcome.to_answer_us),
        ] {
            let times = Samples::new(times.clone());
            for (metric, percent) in [("p50_us", 50), ("p99_us", 99)] {
                figures.push(figure(case, metric, times.percentile(percent), "us"));
            }
        }
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_summed_up() {
        let mut sums = Sums::new("sipward");
        for (cpu, rss, micros) in [(300.0, 10, 7.0), (500.0, 30, 5.0), (200.0, 20, 6.0)] {
            sums.add(Turn {
                cpu_us_per_call: cpu,
                peak_rss_kib: rss,
                outcome: Outcome {
                    succeeded: 100,
                    to_trying_us: vec![micros],
                    ..Outcome::default()
                },
            });
        }
        let figures = sums.figures(300);
        let value = |case: &str, metric| {
            let found = figures
                .iter()
                .find(|it| it.case == case && it.metric == metric);
            found.unwrap().value
        };
        assert_eq!(value("call-300-per-second", "cpu_us_per_call"), 300.0);
        assert_eq!(value("call-300-per-second", "min_cpu_us_per_call"), 200.0);
        assert_eq!(value("call-300-per-second", "peak_rss_kib"), 30.0);
        assert_eq!(value("call-300-per-second", "succeeded_calls"), 300.0);
        assert_eq!(value("invite-to-100", "p50_us"), 6.0);
        assert_eq!(value("invite-to-100", "p99_us"), 7.0);
        assert_eq!(value("invite-to-200", "p99_us"), 0.0);
    }
}
