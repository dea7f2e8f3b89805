//! Keys and identifiers from a seed: ChaCha20 (RFC 8439) as a generator.

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng as _, SeedableRng as _};
use zeroize::Zeroizing;

use crate::{KeyMaterial, Suite};

/// The generator of one shard. `Debug` shows nothing of its state.
pub(super) struct Entropy(ChaCha20Rng);

impl Entropy {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        Self(ChaCha20Rng::from_seed(*Zeroizing::new(seed)))
    }

    /// What comes next depends on both, so a bad seed does no harm.
    pub(super) fn reseed(&mut self, seed: [u8; 32]) {
        let seed = Zeroizing::new(seed);
        let mut mixed = Zeroizing::new([0; 32]);
        self.0.fill_bytes(mixed.as_mut_slice());
        for (octet, fresh) in mixed.iter_mut().zip(seed.iter()) {
            *octet ^= fresh;
        }
        self.0 = ChaCha20Rng::from_seed(*mixed);
    }

    pub(super) fn number(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `bound`, which must not be 0. The bias of the remainder is
    /// below one in 2^32 for bounds of ports.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        let bound = (bound as u64).max(1);
        (self.0.next_u64() % bound) as usize
    }

    /// A fresh master key and salt.
    pub(super) fn key(&mut self, suite: Suite) -> Option<KeyMaterial> {
        let mut key_salt = Zeroizing::new(vec![0; suite.key_len() + suite.salt_len()]);
        self.0.fill_bytes(&mut key_salt);
        KeyMaterial::new(suite, key_salt)
    }
}

impl std::fmt::Debug for Entropy {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Entropy")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_and_a_reseed_changes() {
        let (mut one, mut two) = (Entropy::new([7; 32]), Entropy::new([7; 32]));
        assert_eq!(one.number(), two.number());
        assert_eq!(one.key(Suite::AeadAes256Gcm), two.key(Suite::AeadAes256Gcm));
        two.reseed([0; 32]);
        assert_ne!(one.number(), two.number());
        assert_ne!(one.key(Suite::AeadAes128Gcm), one.key(Suite::AeadAes128Gcm));
        assert_eq!(format!("{one:?}"), "Entropy");
        assert!((0..1_000).all(|_| one.below(3) < 3) && one.below(0) == 0);
    }
}
