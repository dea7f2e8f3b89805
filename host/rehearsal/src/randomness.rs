//! Randomness that is the same each time.

use std::sync::atomic::{AtomicU64, Ordering};

use policy_wasm::Randomness;

/// Words that follow from a seed. Not for secrets: whoever knows the seed knows them.
#[derive(Debug)]
pub struct SeededRandomness {
    key: [u8; 32],
    drawn: AtomicU64,
}

impl SeededRandomness {
    /// Begins with the first word of a seed.
    pub fn new(seed: u64) -> Self {
        Self {
            key: blake3::derive_key("sipward rehearsal randomness", &seed.to_le_bytes()),
            drawn: AtomicU64::new(0),
        }
    }
}

impl Randomness for SeededRandomness {
    fn next_u64(&self) -> u64 {
        let place = self.drawn.fetch_add(1, Ordering::Relaxed);
        let hash = blake3::keyed_hash(&self.key, &place.to_le_bytes());
        let (words, _) = hash.as_bytes().as_chunks::<8>();
        words.first().copied().map_or(0, u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_words_and_another_seed_others() {
        let words = |seed| {
            let random = SeededRandomness::new(seed);
            [random.next_u64(), random.next_u64(), random.next_u64()]
        };
        assert_eq!(words(1), words(1));
        assert_ne!(words(1), words(2));
        let [first, second, _] = words(1);
        assert_ne!(first, second);
    }
}
