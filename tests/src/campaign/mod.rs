//! Fuzzing on stable Rust: from seeds to mutated inputs, for a set time, with the
//! rules of [`crate::fuzz`].
//!
//! There is no view of coverage here; instead each rule says in one number how an
//! input was treated, and an input that brings a new number joins the seeds. One seed
//! number decides the course. A broken rule is told with the input in hexadecimal
//! digits, which alone repeats it.

mod mutate;
pub mod seeds;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use crate::sim::Random;

pub use mutate::{DICTIONARY, Mutator};

/// Inputs that are kept to be mutated. 4,096: more of them are visited too seldom.
const POOL: usize = 4_096;

/// Bytes of a mutated input: one largest datagram. Growth would only slow things.
pub const INPUT_BYTES: usize = 65_536;

/// What one input may take, even on a machine that does many other things.
const PATIENCE: Duration = Duration::from_secs(10);

/// A rule, what to begin with, and how long to go on.
pub struct Campaign {
    /// For reports.
    pub name: &'static str,
    /// The rule.
    pub rule: fn(&[u8]) -> u64,
    /// Where mutation starts.
    pub seeds: Vec<Vec<u8>>,
    /// Decides the course.
    pub seed: u64,
}

/// What a campaign did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Inputs tried.
    pub inputs: u64,
    /// Different ways in which they were treated.
    pub kinds: usize,
}

impl Campaign {
    /// Tries all seeds, then mutated inputs until the time or the count is over.
    ///
    /// # Panics
    /// A rule was broken, or an input took too long; the input is printed first.
    #[must_use]
    pub fn run(mut self, time: Duration, most: u64) -> Report {
        let started = Instant::now();
        let mut mutator = Mutator::new(Random::new(self.seed));
        let mut kinds = HashSet::new();
        let mut inputs = 0;
        for seed in &self.seeds {
            kinds.insert(self.attempt(seed));
            inputs += 1;
        }
        let own = self.seeds.len();
        while inputs < most && started.elapsed() < time {
            // One look at the clock for a few inputs.
            for _ in 0..32 {
                let input = mutator.input(&self.seeds);
                inputs += 1;
                if kinds.insert(self.attempt(&input)) {
                    self.keep(input, own, kinds.len());
                }
                if inputs == most {
                    break;
                }
            }
        }
        Report {
            inputs,
            kinds: kinds.len(),
        }
    }

    /// Adds an input; in a full pool it takes the place of an earlier find.
    fn keep(&mut self, input: Vec<u8>, own: usize, count: usize) {
        if self.seeds.len() < POOL {
            self.seeds.push(input);
        } else if let Some(place) = self.seeds.get_mut(own + count % (POOL - own.min(POOL - 1))) {
            *place = input;
        }
    }

    fn attempt(&self, input: &[u8]) -> u64 {
        let started = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.rule)(input)));
        let took = started.elapsed();
        match outcome {
            Ok(kind) if took < PATIENCE => kind,
            Ok(_) => {
                self.tell(input);
                panic!("{}: one input took {took:?}", self.name);
            }
            Err(broken) => {
                self.tell(input);
                resume_unwind(broken)
            }
        }
    }

    fn tell(&self, input: &[u8]) {
        eprintln!(
            "{}: broken with seed {}; the input again:",
            self.name, self.seed
        );
        eprintln!("SIPWARD_FUZZ_INPUT={}", to_hex(input));
        eprintln!("as text: {}", input.escape_ascii());
    }
}

/// Hexadecimal digits.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes of hexadecimal digits; none if they are not.
#[must_use]
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = text
        .trim()
        .chars()
        .map(|digit| digit.to_digit(16))
        .collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    pairs.remainder().is_empty().then_some(())?;
    pairs
        .map(|pair| u8::try_from(pair[0] << 4 | pair[1]).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits_go_round() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(from_hex(&to_hex(&bytes)), Some(bytes));
        assert_eq!(from_hex("0"), None);
        assert_eq!(from_hex("0g"), None);
    }

    #[test]
    fn a_campaign_finds_what_is_there_to_find() {
        let rule = |input: &[u8]| {
            assert!(!input.windows(3).any(|window| window == b"\r\n "), "found");
            input.len() as u64
        };
        let campaign = Campaign {
            name: "sample",
            rule,
            seeds: vec![b"a: b\r\nc: d\r\n".to_vec()],
            seed: 1,
        };
        assert!(
            catch_unwind(AssertUnwindSafe(
                || campaign.run(Duration::from_secs(20), 1 << 20)
            ))
            .is_err()
        );
    }

    #[test]
    fn one_seed_one_course() {
        let run = |seed| {
            let rule = |input: &[u8]| input.iter().map(|byte| u64::from(*byte)).sum();
            let campaign = Campaign {
                name: "sample",
                rule,
                seeds: vec![b"INVITE\r\n".to_vec()],
                seed,
            };
            campaign.run(Duration::from_secs(60), 2_000)
        };
        assert_eq!(run(3), run(3));
        assert_eq!(run(3).inputs, 2_000);
        assert_ne!(run(3).kinds, 1);
    }
}
