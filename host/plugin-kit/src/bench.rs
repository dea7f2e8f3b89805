//! `sipward plugin bench`: time, fuel and memory of each golden message, in the real
//! host. Time differs from machine to machine; fuel does not.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use policy::{ConsultId, Outcome, PolicyFailure, RequestFacts};
use policy_wasm::{
    Executor, Generation, HostServices, Observer, PipelineSpec, Plugin, Reading, Selection,
    Spending,
};
use rehearsal::{Standpoint, VirtualClock};
use serde::Serialize;

use crate::error::KitError;
use crate::golden::{Case, Golden};
use crate::stage::{Stage, Subject, generous, lists_in};

/// Milliseconds in which all windows have passed and all that was counted is forgotten; a
/// week, so that hours and days of the week stay the same.
const WEEK_MS: u64 = 7 * 86_400_000;

/// Milliseconds that a plugin gets for a message: what is late is shown, not refused.
const DEADLINE_MS: u32 = 5_000;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// How long each file is judged again and again.
    pub time: Duration,
    /// How often at the most.
    pub rounds: u32,
}

impl Default for Effort {
    /// A second for each file, and no more than 20,000 rounds.
    fn default() -> Self {
        Self {
            time: Duration::from_secs(1),
            rounds: 20_000,
        }
    }
}

/// What one golden message costs.
#[derive(Clone, Debug, Serialize)]
pub struct Cost {
    /// File and number of the message.
    pub message: String,
    /// How often it was judged for the times.
    pub rounds: usize,
    /// Half of the times were shorter, in nanoseconds.
    pub median_ns: u64,
    /// One time in a hundred was longer.
    pub p99_ns: u64,
    /// What the guest executed: about one for each instruction. It is the same everywhere.
    pub fuel: u64,
    /// Linear memory of the instance afterwards.
    pub memory_bytes: usize,
}

/// What a plugin costs.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Name and version.
    pub plugin: String,
    /// Each golden message.
    pub costs: Vec<Cost>,
}

/// What a message may cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Budget {
    /// Longest median.
    pub time: Option<Duration>,
    /// Most fuel.
    pub fuel: Option<u64>,
    /// Most memory, in bytes.
    pub memory_bytes: Option<usize>,
}

/// Measures a component on golden messages.
///
/// # Errors
/// The host refuses it.
pub fn bench(
    component: &Path,
    wasm: &[u8],
    golden: &Golden,
    effort: Effort,
) -> Result<Report, KitError> {
    // Counting takes time, so what is counted and what is timed are two runs.
    let (counting, timing) = (Stage::new(true)?, Stage::new(false)?);
    let counted = counting.subject(component, wasm.to_vec())?;
    let timed = timing.subject(component, wasm.to_vec())?;
    let mut costs = Vec::new();
    for case in &golden.cases {
        let meter = Arc::new(Meter::default());
        let mut run = Run::new(&counting, &counted, golden, Some(&meter))?;
        let spendings: Vec<Spending> = case
            .steps
            .iter()
            .map(|step| {
                run.clock.advance_to(step.now_ms);
                let facts = run.standpoint.facts(&step.message, &step.how);
                for _ in 0..step.times {
                    run.judge(facts.clone());
                }
                meter.take()
            })
            .collect();
        let times = Run::new(&timing, &timed, golden, None)?.times(case, effort);
        let measured = spendings.into_iter().zip(times);
        costs.extend((1..).zip(measured).map(|(number, (spending, times))| Cost {
            message: format!("{} {number}", case.name),
            rounds: times.len(),
            median_ns: quantile(&times, 50),
            p99_ns: quantile(&times, 99),
            fuel: spending.fuel.unwrap_or_default(),
            memory_bytes: spending.memory_bytes,
        }));
    }
    let manifest = &timed.manifest;
    Ok(Report {
        plugin: format!("{} {}", manifest.name, manifest.version),
        costs,
    })
}

/// The last call's spending.
#[derive(Debug, Default)]
struct Meter(std::sync::Mutex<Spending>);

impl Meter {
    fn take(&self) -> Spending {
        let mut last = self
            .0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        std::mem::take(&mut *last)
    }
}

impl Observer for Meter {
    fn starting(&self, _plugin: &Arc<str>) {}

    fn asked(&self, _plugin: &Arc<str>) {}

    fn read(&self, _reading: Reading<'_>) {}

    fn answered(&self, _plugin: &Arc<str>, _answer: Result<&Outcome, &PolicyFailure>) {}

    fn spent(&self, _plugin: &Arc<str>, spending: Spending) {
        *self
            .0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner()) = spending;
    }
}

/// A plugin that is asked without anybody writing down what it does.
struct Run {
    executor: Executor,
    generation: Arc<Generation>,
    clock: Arc<VirtualClock>,
    standpoint: Standpoint,
    consults: u64,
}

impl Run {
    fn new(
        stage: &Stage,
        subject: &Subject,
        golden: &Golden,
        meter: Option<&Arc<Meter>>,
    ) -> Result<Self, KitError> {
        let lookups = lists_in(&golden.folder.join("lists"))?;
        let (mut services, clock): (HostServices, _) = stage.services(lookups)?;
        services.observer = meter.map(|meter| Arc::clone(meter) as _);
        let limits = generous(DEADLINE_MS);
        let plugin = stage.load(subject, &golden.settings, services, limits)?;
        let generation = Arc::new(alone(&plugin));
        let mut executor = Executor::new();
        executor
            .warm(&generation)
            .map_err(|(_, failure)| KitError::Host(failure.to_string()))?;
        Ok(Self {
            executor,
            generation,
            clock,
            standpoint: Standpoint::default(),
            consults: 0,
        })
    }

    fn judge(&mut self, facts: RequestFacts) -> u64 {
        self.consults += 1;
        let consult = ConsultId::new(self.consults);
        let started = Instant::now();
        let conclusion = self.executor.judge(&self.generation, consult, facts);
        let took = started.elapsed();
        drop(conclusion);
        u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Nanoseconds of each message of a file, in each round. A round is the whole file, a
    /// week after the one before.
    fn times(&mut self, case: &Case, effort: Effort) -> Vec<Vec<u64>> {
        let facts: Vec<RequestFacts> = case
            .steps
            .iter()
            .map(|step| self.standpoint.facts(&step.message, &step.how))
            .collect();
        let mut times = vec![Vec::new(); facts.len()];
        let started = Instant::now();
        for round in 0..u64::from(effort.rounds.max(1)) {
            let later = round.saturating_mul(WEEK_MS);
            for ((step, facts), times) in case.steps.iter().zip(&facts).zip(&mut times) {
                self.clock.advance_to(step.now_ms.saturating_add(later));
                for _ in 0..step.times {
                    let took = self.judge(facts.clone());
                    times.push(took);
                }
            }
            if started.elapsed() >= effort.time {
                break;
            }
        }
        times
    }
}

fn alone(plugin: &Arc<Plugin>) -> Generation {
    let alone = PipelineSpec {
        name: Arc::clone(plugin.name()),
        select: Selection::default(),
        plugins: vec![Arc::clone(plugin)],
    };
    Generation::new(1, vec![alone])
}

/// The value below which so many of a hundred are.
fn quantile(times: &[u64], percent: usize) -> u64 {
    let mut times = times.to_vec();
    times.sort_unstable();
    let place = times.len().saturating_mul(percent) / 100;
    let last = times.len().saturating_sub(1);
    times.get(place.min(last)).copied().unwrap_or_default()
}

impl Budget {
    /// What costs more than it may, a line for each.
    pub fn exceeded(&self, report: &Report) -> Vec<String> {
        let mut lines = Vec::new();
        for cost in &report.costs {
            let mut over = |what: &str, is: u64, limit: Option<u64>| {
                if let Some(limit) = limit.filter(|limit| is > *limit) {
                    lines.push(format!("{}: {what} {is} is over {limit}", cost.message));
                }
            };
            let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            let bytes = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
            over("median_ns", cost.median_ns, self.time.map(nanos));
            over("fuel", cost.fuel, self.fuel);
            over(
                "memory_bytes",
                bytes(cost.memory_bytes),
                self.memory_bytes.map(bytes),
            );
        }
        lines
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widest = self.costs.iter().map(|cost| cost.message.len()).max();
        let width = widest.unwrap_or_default().max("message".len());
        writeln!(formatter, "{}", self.plugin)?;
        write!(
            formatter,
            "{:<width$} {:>8} {:>10} {:>10} {:>10} {:>11}",
            "message", "rounds", "median ns", "p99 ns", "fuel", "memory KiB"
        )?;
        for cost in &self.costs {
            write!(
                formatter,
                "\n{:<width$} {:>8} {:>10} {:>10} {:>10} {:>11}",
                cost.message,
                cost.rounds,
                cost.median_ns,
                cost.p99_ns,
                cost.fuel,
                cost.memory_bytes / 1024
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report {
            plugin: "a 1.0.0".to_owned(),
            costs: vec![Cost {
                message: "calls 1".to_owned(),
                rounds: 10,
                median_ns: 5_000,
                p99_ns: 9_000,
                fuel: 700,
                memory_bytes: 65_536,
            }],
        }
    }

    #[test]
    fn a_budget_is_kept_on_its_limit_and_not_beyond() {
        let budget = |time, fuel, memory_bytes| Budget {
            time: Some(Duration::from_nanos(time)),
            fuel: Some(fuel),
            memory_bytes: Some(memory_bytes),
        };
        assert!(budget(5_000, 700, 65_536).exceeded(&report()).is_empty());
        let over = budget(4_999, 699, 65_535).exceeded(&report());
        assert_eq!(
            over,
            [
                "calls 1: median_ns 5000 is over 4999",
                "calls 1: fuel 700 is over 699",
                "calls 1: memory_bytes 65536 is over 65535",
            ]
        );
        assert!(Budget::default().exceeded(&report()).is_empty());
    }

    #[test]
    fn quantiles() {
        let times: Vec<u64> = (1..=100).rev().collect();
        assert_eq!((quantile(&times, 50), quantile(&times, 99)), (51, 100));
        assert_eq!(quantile(&[7], 99), 7);
        assert_eq!(quantile(&[], 50), 0);
    }

    #[test]
    fn the_table_has_a_line_for_each_message() {
        let shown = report().to_string();
        assert_eq!(shown.lines().count(), 3, "{shown}");
        assert!(
            shown.ends_with("5000       9000        700          64"),
            "{shown}"
        );
    }
}
