//! What each language costs: measured, printed, and held below ceilings that only a
//! mistake reaches.

use std::time::{Duration, Instant};

use sipward_tests::guests::{Host, Worker, admitted, component, refusal};

use crate::stage::{ALL, Language, MONDAY_MS, RUST, abroad, desk, settings};

/// Calls that are measured.
const CALLS: u32 = 2_000;
/// Calls in which a leak would show.
const MANY_CALLS: u32 = 5_000;
/// What a call may take on average, on a machine that does many other things.
const CALL: Duration = Duration::from_millis(20);
/// What a load from the cache may take.
const LOAD: Duration = Duration::from_secs(20);

/// Instances whose memory is measured together.
const INSTANCES: u64 = 8;

struct Figures {
    resident: u64,
    load: Duration,
    instance: Duration,
    first: Duration,
    near: Duration,
    far: Duration,
}

#[test]
fn the_cost_is_known() {
    let host = Host::new();
    host.clock.set(MONDAY_MS);
    // The first number of a country waits for its plan, whatever the language.
    let _plan = Worker::new(&[&RUST.load(&host, settings())]).judge(abroad());
    println!(
        "{:<20} {:>10} {:>10} {:>12} {:>10} {:>12} {:>12} {:>13}",
        "component",
        "KiB",
        "load ms",
        "instance us",
        "first us",
        "no number us",
        "refused us",
        "resident KiB"
    );
    for language in ALL {
        // Compiled by now, whoever did it.
        drop(host.load(language.kept(&host, settings())));
        let figures = measure(&host, language);
        println!(
            "{:<20} {:>10} {:>10.1} {:>12.0} {:>10.0} {:>12.1} {:>12.1} {:>13}",
            language.guest,
            component(language.guest).len() >> 10,
            figures.load.as_secs_f64() * 1e3,
            micros(figures.instance),
            micros(figures.first),
            micros(figures.near),
            micros(figures.far),
            figures.resident,
        );
        assert!(figures.load < LOAD, "{}", language.guest);
        assert!(
            figures.near < CALL && figures.far < CALL,
            "{}",
            language.guest
        );
    }
}

fn measure(host: &Host, language: Language) -> Figures {
    let started = Instant::now();
    let plugin = host
        .load(language.kept(host, settings()))
        .expect("it loads");
    let load = started.elapsed();
    let mut worker = Worker::new(&[&plugin]);
    let started = Instant::now();
    worker
        .executor
        .warm(&worker.generation)
        .expect("an instance");
    let instance = started.elapsed();
    let started = Instant::now();
    let conclusion = worker.judge(abroad());
    let first = started.elapsed();
    assert_eq!(refusal(&conclusion).0, 403);
    let near = each(|| {
        let conclusion = worker.judge(desk().invite("sip:100@pbx.example"));
        assert!(admitted(&conclusion), "{}: {conclusion:?}", language.guest);
    });
    let far = each(|| {
        let conclusion = worker.judge(abroad());
        assert_eq!(refusal(&conclusion).0, 403);
    });
    assert_eq!(worker.executor.figures().instances_made, 1);
    let before = resident_kib();
    let workers = (0..INSTANCES).map(|_| {
        let mut worker = Worker::new(&[&plugin]);
        assert_eq!(refusal(&worker.judge(abroad())).0, 403);
        worker
    });
    let workers: Vec<Worker> = workers.collect();
    let resident = resident_kib().saturating_sub(before) / INSTANCES;
    drop(workers);
    Figures {
        resident,
        load,
        instance,
        first,
        near,
        far,
    }
}

/// Memory of this process that is its own.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|it| it.strip_prefix("RssAnon:"));
    let number = line.and_then(|it| it.trim().strip_suffix(" kB")?.parse().ok());
    number.unwrap_or_default()
}

/// The best of five batches, for one call: what else runs on the machine only adds.
fn each(mut call: impl FnMut()) -> Duration {
    let batch = CALLS / 5;
    let batches = (0..5).map(|_| {
        let started = Instant::now();
        (0..batch).for_each(|_| call());
        started.elapsed() / batch
    });
    batches.min().unwrap_or_default()
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

#[test]
fn memory_stays_within_its_limit() {
    let host = Host::new();
    host.clock.set(MONDAY_MS);
    for language in ALL {
        let plugin = host
            .load(language.kept(&host, settings()))
            .expect("it loads");
        let mut worker = Worker::new(&[&plugin]);
        for _ in 0..MANY_CALLS {
            let conclusion = worker.judge(abroad());
            assert_eq!(refusal(&conclusion).0, 403, "{}", language.guest);
        }
        let figures = worker.executor.figures();
        let kept = (figures.instances_made, figures.failures);
        assert_eq!(kept, (1, 0), "{}: {figures:?}", language.guest);
    }
}
