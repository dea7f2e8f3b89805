//! Numbering plans, with the numbers that were asked for of late beside them: several
//! plugins of a pipeline ask for the same ones.

use std::fmt;
use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;
use numbers::{DIALLED_BYTES, Number, NumberError, Plans, PlansError};
use parking_lot::Mutex;

use crate::services::Numbers;

/// Numbers that are remembered. 1024: the calls that are being judged on all workers,
/// and the usual destinations of an office; 200 KiB.
const RECENT_NUMBERS: usize = 1024;

/// Numbering plans with a memory. Each number has one place in it, by a keyed hash, and
/// takes it from whichever was there.
pub struct RecentNumbers {
    plans: Plans,
    places: Box<[Mutex<Recent>]>,
    hasher: DefaultHashBuilder,
}

/// What was asked for and the answer; none in a place that was never used.
#[derive(Default)]
struct Recent {
    dialled: String,
    region: String,
    answer: Option<Result<Number, NumberError>>,
}

impl RecentNumbers {
    /// Reads the plans, in some ten milliseconds, and remembers nothing yet.
    ///
    /// # Errors
    /// The plans that came with the program are damaged.
    pub fn new() -> Result<Self, PlansError> {
        Ok(Self {
            plans: Plans::new()?,
            places: (0..RECENT_NUMBERS).map(|_| Mutex::default()).collect(),
            hasher: DefaultHashBuilder::default(),
        })
    }

    fn place(&self, dialled: &str, region: &str) -> Option<&Mutex<Recent>> {
        let hash = self.hasher.hash_one((dialled, region));
        let places = u64::try_from(self.places.len()).ok()?;
        let number = hash.checked_rem(places)?;
        self.places.get(usize::try_from(number).ok()?)
    }
}

impl fmt::Debug for RecentNumbers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whom people call is nobody's business.
        formatter
            .debug_struct("RecentNumbers")
            .finish_non_exhaustive()
    }
}

impl Numbers for RecentNumbers {
    fn parse(&self, dialled: &str, region: &str) -> Result<Number, NumberError> {
        // Longer ones are refused without much ado, and would take memory here.
        if dialled.len() > DIALLED_BYTES || region.len() > DIALLED_BYTES {
            return self.plans.parse(dialled, region);
        }
        let Some(place) = self.place(dialled, region) else {
            return self.plans.parse(dialled, region);
        };
        let recent = place.lock();
        if let Some(answer) = recent.answer
            && recent.dialled == dialled
            && recent.region == region
        {
            return answer;
        }
        // Others need not wait for the plans.
        drop(recent);
        let answer = self.plans.parse(dialled, region);
        let mut recent = place.lock();
        recent.dialled.clear();
        recent.dialled.push_str(dialled);
        recent.region.clear();
        recent.region.push_str(region);
        recent.answer = Some(answer);
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembered_answers_are_those_of_the_plans() {
        let plans = Plans::new().unwrap();
        let recent = RecentNumbers::new().unwrap();
        let long = "0".repeat(DIALLED_BYTES + 1);
        for _ in 0..2 {
            for dialled in ["030 23125000", "+881612345678", "alice", "", "112", &long] {
                for region in ["DE", "FR", "XX", "", &long] {
                    let answer = recent.parse(dialled, region);
                    assert_eq!(answer, plans.parse(dialled, region), "{dialled} {region}");
                }
            }
        }
    }

    #[test]
    fn many_numbers_share_the_places() {
        let recent = RecentNumbers::new().unwrap();
        for number in 0..3 * RECENT_NUMBERS {
            let dialled = format!("+49302312{number:04}");
            let answer = recent.parse(&dialled, "DE").unwrap();
            assert_eq!(*answer.e164, dialled);
            assert_eq!(recent.parse(&dialled, "DE"), Ok(answer));
        }
        let used = recent.places.iter().filter(|it| it.lock().answer.is_some());
        assert!(used.count() > RECENT_NUMBERS / 2);
        assert_eq!(recent.places.len(), RECENT_NUMBERS);
    }
}
