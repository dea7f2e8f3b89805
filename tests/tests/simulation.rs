//! Ten thousand simulated networks, and the same trace for the same seed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use sipward_tests::sim::World;

const SEEDS: u64 = 10_000;

#[test]
fn ten_thousand_worlds_keep_every_rule() {
    let next = AtomicU64::new(0);
    let (datagrams, answered) = (AtomicU64::new(0), AtomicU64::new(0));
    let (streams, marks) = (AtomicU64::new(0), AtomicU64::new(0));
    let broken = thread::scope(|scope| {
        let workers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut broken = Vec::new();
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= SEEDS {
                            return broken;
                        }
                        let report = World::new(seed, false).run();
                        datagrams.fetch_add(report.datagrams, Ordering::Relaxed);
                        answered.fetch_add(report.answered, Ordering::Relaxed);
                        streams.fetch_add(report.streams, Ordering::Relaxed);
                        marks.fetch_add(report.marks, Ordering::Relaxed);
                        if !report.violations.is_empty() {
                            broken.push((seed, report.violations));
                        }
                    }
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().expect("a world panicked"))
            .collect::<Vec<_>>()
    });
    let first: Vec<_> = broken.iter().take(5).collect();
    assert!(
        broken.is_empty(),
        "{} of {SEEDS} seeds broke a rule, among them {first:#?}",
        broken.len()
    );
    // A simulator in which nothing happens would keep every rule as well.
    assert!(
        answered.load(Ordering::Relaxed) > SEEDS / 2,
        "too few calls were answered"
    );
    assert!(
        datagrams.load(Ordering::Relaxed) > SEEDS * 20,
        "too little was sent"
    );
    assert!(
        streams.load(Ordering::Relaxed) > SEEDS,
        "too little media was agreed on"
    );
    assert!(
        marks.load(Ordering::Relaxed) > SEEDS,
        "too few responses were judged"
    );
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in (0..SEEDS).step_by(100) {
        let (first, second) = (World::new(seed, false).run(), World::new(seed, false).run());
        assert_eq!(first, second, "seed {seed}");
    }
    assert_ne!(
        World::new(1, false).run().trace,
        World::new(2, false).run().trace
    );
}
