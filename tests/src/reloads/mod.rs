//! Many reloads while calls run: memory and descriptors stay as they are, no call fails, and
//! nobody waits for a reload.
//!
//! Reloads come in bursts, one as soon as the one before is acknowledged. After each burst
//! there are none for a while. So whatever else the machine does meets both in the same
//! measure, and what is compared is the time from INVITE to 100 of calls that began during
//! a reload with that of calls in the rests.

mod caller;
mod changes;
mod delays;

use std::time::{Duration, Instant};

use crate::stage::process::{descriptors, mappings, rss_kib, threads};
use crate::stage::{Proxy, Stage, Trunk, admin};
use crate::verdict::{Verdict, late_medians};

use caller::{Caller, Outcome};
use changes::Changes;
use delays::{Delays, Span, percentile};

/// How many reloads, and how they are spread.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Reloads that are measured.
    pub reloads: u32,
    /// Reloads of a burst.
    pub burst: u32,
    /// Calls that begin in a second.
    pub rate: u32,
    /// What the 99th of 100 calls may wait longer during a reload.
    pub slower: Duration,
    /// Judge that on a busy machine too.
    pub strict: bool,
    /// What memory may grow by from the second third to the last, as a share.
    pub growth: f64,
    /// Calls during reloads, and as many in the rests, of which a percentile is a figure.
    pub many: usize,
}

impl Plan {
    /// So many reloads, in bursts of 25, under 200 calls a second; a millisecond.
    ///
    /// Memory may grow by 2.5 percent, which is what an allocator keeps here and there: of
    /// 20,000 reloads each would have 400 bytes to lose at 100 MiB.
    #[must_use]
    pub const fn new(reloads: u32) -> Self {
        Self {
            reloads,
            burst: 25,
            rate: 200,
            slower: Duration::from_millis(1),
            strict: true,
            growth: 0.025,
            many: 1_000,
        }
    }

    /// The same on any machine and for some hundred reloads, where what is found is large:
    /// calls that wait until a reload is over, an instance that each leaves behind. On a
    /// machine that is busy with other things times are told only.
    #[must_use]
    pub const fn wherever(self) -> Self {
        Self {
            slower: Duration::from_millis(10),
            strict: false,
            growth: 0.1,
            many: 200,
            ..self
        }
    }
}

/// An idle machine answers 99 of 100 calls within this time while nothing is reloaded. On
/// another one calls wait for the scheduler, for the length of its tick and more.
const IDLE: Duration = Duration::from_millis(1);

/// Reloads before the first that counts: each kind of change has come then, and what is
/// made from each file and its settings is in the cache of compiled plugins.
const WARM_UP: u32 = 2 * changes::ROUND;
/// By then as many calls are forgotten as begin. A call talks for a second, and the longest
/// that anything of it is kept is 64 times T1, once for its INVITE and once for its BYE.
const SETTLED: Duration = Duration::from_secs(15);
/// Descriptors that may be open beside, and threads that may run: an answer on the admin
/// socket is still on its way, a compiler's thread not yet gone.
const PASSING: u64 = 2;
/// Bursts between two printed lines.
const PRINTED: usize = 20;

/// What the proxy's process is made of, after each burst.
#[derive(Debug, Default)]
struct Looks {
    rss_kib: Vec<u64>,
    descriptors: Vec<u64>,
    threads: Vec<u64>,
    mappings: Vec<u64>,
}

impl Looks {
    fn look(&mut self, process: u32) {
        self.rss_kib.push(rss_kib(process));
        self.descriptors.push(descriptors(process));
        self.threads.push(threads(process));
        self.mappings.push(mappings(process));
    }

    fn last(of: &[u64]) -> u64 {
        of.last().copied().unwrap_or_default()
    }
}

/// Carries the plan out.
///
/// # Panics
/// A reload is refused, or a program cannot be started.
#[must_use]
pub fn run(plan: &Plan) -> Verdict {
    let stage = Stage::new();
    let mut changes = Changes::new(&stage);
    let proxy = Proxy::start(&stage);
    let _trunk = Trunk::answer(&stage);
    let caller = Caller::start(&stage, plan.rate);
    let began = Instant::now();
    for made in 0.. {
        if made >= WARM_UP && began.elapsed() >= SETTLED {
            break;
        }
        reload(&stage, &mut changes);
    }
    let mut looks = Looks::default();
    let (mut reloads, mut rests) = (Vec::new(), Vec::new());
    println!(" reloads  memory KiB  descriptors  threads  mappings");
    while reloads.len() < plan.reloads as usize {
        let burst = Instant::now();
        for _ in 0..plan.burst {
            reloads.push(reload(&stage, &mut changes));
        }
        // The system keeps the proxy waiting for this too, so it belongs to neither.
        looks.look(proxy.id());
        let rest = Instant::now();
        std::thread::sleep(burst.elapsed() / 2);
        rests.push(Span::since(rest));
        if looks.rss_kib.len() % PRINTED == 1 {
            println!(
                "{:>8} {:>11} {:>12} {:>8} {:>9}",
                reloads.len(),
                Looks::last(&looks.rss_kib),
                Looks::last(&looks.descriptors),
                Looks::last(&looks.threads),
                Looks::last(&looks.mappings)
            );
        }
    }
    let outcome = caller.stop();
    proxy.wait_until("all calls have ended", |status| {
        status["total"]["calls"] == 0
    });
    let mut verdict = Verdict::default();
    tell_reloads(&mut verdict, &reloads);
    judge_calls(&mut verdict, &outcome, &proxy);
    judge_delays(
        &mut verdict,
        plan,
        &Delays::new(&outcome.tried, &reloads, &rests),
    );
    judge_process(&mut verdict, plan, &looks);
    verdict
}

/// One change, and its reload.
fn reload(stage: &Stage, changes: &mut Changes<'_>) -> Span {
    let number = changes.make();
    let began = Instant::now();
    let told = admin::order(stage, "reload").unwrap_or_else(|refusal| panic!("{refusal}"));
    let span = Span::since(began);
    assert_eq!(told, format!("generation {number} is in use"));
    span
}

fn tell_reloads(verdict: &mut Verdict, reloads: &[Span]) {
    let mut times: Vec<Duration> = reloads.iter().map(Span::length).collect();
    times.sort_unstable();
    verdict.tell(format!(
        "{} reloads: p50 {:.1?}, p99 {:.1?}, longest {:.1?}",
        times.len(),
        percentile(&times, 50),
        percentile(&times, 99),
        percentile(&times, 100),
    ));
}

fn judge_calls(verdict: &mut Verdict, outcome: &Outcome, proxy: &Proxy<'_>) {
    verdict.check(
        outcome.ended == outcome.placed,
        format!(
            "{} calls placed, {} failed, {} requests repeated",
            outcome.placed,
            outcome.placed - outcome.ended,
            outcome.repeated
        ),
    );
    let status = proxy.status();
    let total = &status["total"];
    verdict.check(
        total["plugin_failures"] == 0 && status["work_lost"] == 0,
        format!(
            "{} failures of plugins, {} messages lost, {} calls of plugins, {} instances waited for",
            total["plugin_failures"],
            status["work_lost"],
            total["plugin_calls"],
            total["plugin_instances_waited_for"]
        ),
    );
}

fn judge_delays(verdict: &mut Verdict, plan: &Plan, delays: &Delays) {
    for (what, times) in [
        ("without a reload", &delays.resting),
        ("during a reload", &delays.reloading),
    ] {
        verdict.tell(format!(
            "INVITE to 100 {what}: {} calls, p50 {} us, p99 {} us, longest {} us",
            times.len(),
            percentile(times, 50).as_micros(),
            percentile(times, 99).as_micros(),
            percentile(times, 100).as_micros(),
        ));
    }
    let [without, with] = [&delays.resting, &delays.reloading].map(|it| percentile(it, 99));
    let line = format!(
        "p99 of INVITE to 100 is {:.0} us longer during a reload",
        (with.as_secs_f64() - without.as_secs_f64()) * 1e6
    );
    if without > IDLE && !plan.strict {
        return verdict.tell(format!("{line}; not judged, as the machine is busy"));
    }
    let many = delays.resting.len().min(delays.reloading.len()) >= plan.many;
    verdict.check(many && with <= without + plan.slower, line);
}

fn judge_process(verdict: &mut Verdict, plan: &Plan, looks: &Looks) {
    let has_grown = |early: u64, late: u64| late as f64 > early as f64 * (1.0 + plan.growth);
    let (early, late) = late_medians(&looks.rss_kib);
    verdict.check(
        !has_grown(early, late),
        format!("memory {early} KiB in the second third, {late} KiB in the last"),
    );
    let (early, late) = late_medians(&looks.descriptors);
    verdict.check(
        late <= early + PASSING,
        format!("{early} descriptors in the second third, {late} in the last"),
    );
    let (early, late) = late_medians(&looks.threads);
    verdict.check(
        late <= early + PASSING,
        format!("{early} threads in the second third, {late} in the last"),
    );
    let (early, late) = late_medians(&looks.mappings);
    verdict.check(
        !has_grown(early, late),
        format!("{early} mappings in the second third, {late} in the last"),
    );
}
