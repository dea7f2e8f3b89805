//! Timing on machines that are shared: many short samples, taken in turns.
//!
//! A neighbour can make everything twice as slow for seconds. Subjects therefore take
//! short turns, round after round, so that a slow second falls on all of them alike, and
//! the least of many samples says what the code itself costs.

use std::hint::black_box;
use std::time::Instant;

/// Samples of one subject in ascending order, nanoseconds each.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    ascending: Vec<f64>,
}

impl Samples {
    /// From samples in any order.
    pub fn new(mut samples: Vec<f64>) -> Self {
        samples.sort_unstable_by(f64::total_cmp);
        Self { ascending: samples }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ascending.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ascending.is_empty()
    }

    /// The least one; 0 without samples.
    pub fn min(&self) -> f64 {
        self.ascending.first().copied().unwrap_or_default()
    }

    /// The sample that `percent` of all do not exceed; 0 without samples.
    pub fn percentile(&self, percent: usize) -> f64 {
        let at = (self.ascending.len() * percent)
            .div_ceil(100)
            .saturating_sub(1);
        self.ascending.get(at).copied().unwrap_or_default()
    }
}

/// One turn of a subject: works for about a millisecond and pushes its samples.
pub type Turn<'a> = Box<dyn FnMut(&mut Vec<f64>) + 'a>;

/// Batches in one turn of [`batches`].
const BATCHES: u32 = 20;

/// Lets every subject take its turn `rounds` times; the samples come in the same order.
/// A tenth as many rounds go before, and are forgotten.
pub fn take_turns(turns: &mut [Turn<'_>], rounds: u32) -> Vec<Samples> {
    let mut samples = vec![Vec::new(); turns.len()];
    let warm_up = (rounds / 10).max(1);
    for round in 0..warm_up + rounds {
        for (turn, samples) in turns.iter_mut().zip(&mut samples) {
            if round == warm_up {
                samples.clear();
            }
            turn(samples);
        }
    }
    samples.into_iter().map(Samples::new).collect()
}

/// Work that is too short to be timed by itself: a sample is the mean of `size` repetitions.
pub fn batches<'a, T>(size: u32, mut work: impl FnMut() -> T + 'a) -> Turn<'a> {
    Box::new(move |samples| {
        for _ in 0..BATCHES {
            let start = Instant::now();
            for _ in 0..size {
                black_box(work());
            }
            samples.push(start.elapsed().as_nanos() as f64 / f64::from(size));
        }
    })
}

/// Work that takes long enough: each repetition is a sample, less what looking at the clock
/// costs. `prepare` makes what a repetition needs and is not timed.
pub fn singles<'a, I: 'a, T>(
    count: usize,
    mut prepare: impl FnMut() -> I + 'a,
    mut work: impl FnMut(I) -> T + 'a,
) -> Turn<'a> {
    let clock = clock_ns();
    let mut inputs = Vec::with_capacity(count);
    Box::new(move |samples| {
        inputs.extend((0..count).map(|_| prepare()));
        for input in inputs.drain(..) {
            let start = Instant::now();
            black_box(work(input));
            let elapsed = start.elapsed().as_nanos() as f64;
            samples.push((elapsed - clock).max(0.0));
        }
    })
}

/// As [`singles`], of something that has to be seen to after each repetition: `tend` does
/// that and is not timed.
pub fn tended<'a, S: 'a, I: 'a, T>(
    count: usize,
    mut subject: S,
    mut prepare: impl FnMut() -> I + 'a,
    mut work: impl FnMut(&mut S, I) -> T + 'a,
    mut tend: impl FnMut(&mut S) + 'a,
) -> Turn<'a> {
    let clock = clock_ns();
    let mut inputs = Vec::with_capacity(count);
    Box::new(move |samples| {
        inputs.extend((0..count).map(|_| prepare()));
        for input in inputs.drain(..) {
            let start = Instant::now();
            black_box(work(&mut subject, input));
            let elapsed = start.elapsed().as_nanos() as f64;
            samples.push((elapsed - clock).max(0.0));
            tend(&mut subject);
        }
    })
}

/// Nanoseconds between two looks at the clock with nothing in between: the median.
fn clock_ns() -> f64 {
    let looks = (0..1000).map(|_| Instant::now().elapsed().as_nanos() as f64);
    Samples::new(looks.collect()).percentile(50)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples() {
        let samples = Samples::new((1..=200).rev().map(f64::from).collect());
        assert_eq!(samples.min(), 1.0);
        assert_eq!(samples.percentile(50), 100.0);
        assert_eq!(samples.percentile(99), 198.0);
        assert_eq!(samples.percentile(100), 200.0);
        assert_eq!(Samples::default().percentile(50), 0.0);
        assert_eq!(Samples::default().min(), 0.0);
    }

    #[test]
    fn the_warm_up_is_forgotten() {
        let mut called = 0u32;
        let samples = {
            let turn: Turn<'_> = Box::new(|samples: &mut Vec<f64>| {
                called += 1;
                samples.push(f64::from(called));
            });
            take_turns(&mut [turn], 30)
        };
        assert_eq!(called, 33);
        assert_eq!(samples[0].min(), 4.0);
        assert_eq!(samples[0].percentile(100), 33.0);
    }

    #[test]
    fn every_single_is_a_sample_and_gets_its_own_input() {
        let mut next = 0;
        let mut seen = Vec::new();
        let mut samples = Vec::new();
        singles(
            5,
            || {
                next += 1;
                next
            },
            |input| seen.push(input),
        )(&mut samples);
        assert_eq!(samples.len(), 5);
        assert_eq!(seen, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn what_is_timed_is_tended_each_time() {
        let mut samples = Vec::new();
        let mut log = Vec::new();
        tended(
            2,
            &mut log,
            || 7,
            |log, input| log.push(input),
            |log| log.push(0),
        )(&mut samples);
        assert_eq!(samples.len(), 2);
        assert_eq!(log, [7, 0, 7, 0]);
    }

    #[test]
    fn a_batch_is_one_sample() {
        let mut count = 0;
        let mut samples = Vec::new();
        batches(7, || count += 1)(&mut samples);
        assert_eq!(samples.len(), BATCHES as usize);
        assert_eq!(count, 7 * BATCHES);
    }
}
