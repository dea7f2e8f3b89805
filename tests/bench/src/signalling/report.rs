//! Figures of all subjects as a table, or as one JSON object a line.

use comfy_table::{CellAlignment, Table};
use serde_json::json;

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
pub(crate) struct Figures {
    /// Whose figures these are.
    subject: &'static str,
    /// Of each turn, ascending.
    cpu_us_per_call: Vec<f64>,
    /// The highest of all turns.
    peak_rss_kib: u64,
    /// All turns together.
    outcome: Outcome,
}

impl Figures {
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
        self.cpu_us_per_call.sort_by(f64::total_cmp);
        self.peak_rss_kib = self.peak_rss_kib.max(turn.peak_rss_kib);
        self.outcome.add(turn.outcome);
    }

    /// The middle one of all turns, the lower of two.
    fn median_cpu(&self) -> f64 {
        let middle = self.cpu_us_per_call.len().saturating_sub(1) / 2;
        self.cpu_us_per_call
            .get(middle)
            .copied()
            .unwrap_or_default()
    }

    fn lowest_cpu(&self) -> f64 {
        self.cpu_us_per_call.first().copied().unwrap_or_default()
    }
}

/// The value below which `percent` of the ascending values lie; 0 without values.
fn percentile(ascending: &[u64], percent: usize) -> u64 {
    let at = (ascending.len() * percent).div_ceil(100).saturating_sub(1);
    ascending.get(at).copied().unwrap_or_default()
}

/// One table with a column for each subject.
pub(crate) fn table(all: &[Figures], rate: u32) -> Table {
    let mut table = Table::new();
    let mut header = vec![format!("signalling, {rate} calls a second")];
    header.extend(all.iter().map(|it| it.subject.to_owned()));
    table.set_header(header);
    let mut row = |name: &str, value: &dyn Fn(&Figures) -> String| {
        let mut cells = vec![name.to_owned()];
        cells.extend(all.iter().map(value));
        table.add_row(cells);
    };
    row("CPU, microseconds a call, median turn", &|it| {
        format!("{:.0}", it.median_cpu())
    });
    row("CPU, microseconds a call, best turn", &|it| {
        format!("{:.0}", it.lowest_cpu())
    });
    row("memory at its peak, KiB", &|it| it.peak_rss_kib.to_string());
    row("INVITE to 100, p50 us", &|it| {
        percentile(&it.outcome.to_trying_us, 50).to_string()
    });
    row("INVITE to 100, p99 us", &|it| {
        percentile(&it.outcome.to_trying_us, 99).to_string()
    });
    row("INVITE to 200, p50 us", &|it| {
        percentile(&it.outcome.to_answer_us, 50).to_string()
    });
    row("INVITE to 200, p99 us", &|it| {
        percentile(&it.outcome.to_answer_us, 99).to_string()
    });
    row("calls that succeeded", &|it| {
        it.outcome.succeeded.to_string()
    });
    row("calls that failed", &|it| it.outcome.failed.to_string());
    row("retransmissions", &|it| {
        it.outcome.retransmissions.to_string()
    });
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// One line for each figure.
pub(crate) fn lines(figures: &Figures, rate: u32) {
    let call = format!("call-{rate}-per-second");
    let line = |case: &str, metric: &str, value: f64, unit: &str| {
        println!(
            "{}",
            json!({
                "bench": "signalling", "case": case, "subject": figures.subject,
                "metric": metric, "value": value, "unit": unit,
            })
        );
    };
    let outcome = &figures.outcome;
    line(&call, "cpu_us_per_call", figures.median_cpu(), "us");
    line(&call, "min_cpu_us_per_call", figures.lowest_cpu(), "us");
    line(&call, "peak_rss_kib", figures.peak_rss_kib as f64, "KiB");
    line(&call, "succeeded_calls", outcome.succeeded as f64, "calls");
    line(&call, "failed_calls", outcome.failed as f64, "calls");
    line(
        &call,
        "retransmissions",
        outcome.retransmissions as f64,
        "messages",
    );
    for (case, times) in [
        ("invite-to-100", &outcome.to_trying_us),
        ("invite-to-200", &outcome.to_answer_us),
    ] {
        line(case, "p50_us", percentile(times, 50) as f64, "us");
        line(case, "p99_us", percentile(times, 99) as f64, "us");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_summed_up() {
        let mut figures = Figures::new("sipward");
        for (cpu, rss, micros) in [(300.0, 10, 7), (500.0, 30, 5), (200.0, 20, 6)] {
            figures.add(Turn {
                cpu_us_per_call: cpu,
                peak_rss_kib: rss,
                outcome: Outcome {
                    succeeded: 100,
                    to_trying_us: vec![micros],
                    ..Outcome::default()
                },
            });
        }
        assert_eq!(figures.median_cpu(), 300.0);
        assert_eq!(figures.lowest_cpu(), 200.0);
        assert_eq!(figures.peak_rss_kib, 30);
        assert_eq!(figures.outcome.succeeded, 300);
        assert_eq!(figures.outcome.to_trying_us, [5, 6, 7]);
    }

    #[test]
    fn percentiles_are_values_that_were_seen() {
        let times: Vec<u64> = (1..=100).collect();
        assert_eq!(percentile(&times, 50), 50);
        assert_eq!(percentile(&times, 99), 99);
        assert_eq!(percentile(&[7], 99), 7);
        assert_eq!(percentile(&[], 50), 0);
    }
}
