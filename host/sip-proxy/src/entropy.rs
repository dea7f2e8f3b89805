//! Tags, branches and marks that nobody outside can guess, derived from a seed:
//! RFC 3261 sections 8.1.1.7 and 19.3. SipHash-2-4 (Aumasson and Bernstein) is a
//! keyed pseudorandom function made for short inputs such as these.

use std::hash::{BuildHasher, Hasher};

/// SipHash-2-4 with one key, as a stream.
#[derive(Clone, Debug)]
pub(crate) struct SipHash {
    v0: u64,
    v1: u64,
    v2: u64,
    v3: u64,
    tail: u64,
    length: u64,
}

/// A key for [`SipHash`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct HashKey(u64, u64);

impl HashKey {
    pub(crate) fn hasher(self) -> SipHash {
        SipHash {
            v0: self.0 ^ 0x736f_6d65_7073_6575,
            v1: self.1 ^ 0x646f_7261_6e64_6f6d,
            v2: self.0 ^ 0x6c79_6765_6e65_7261,
            v3: self.1 ^ 0x7465_6462_7974_6573,
            tail: 0,
            length: 0,
        }
    }
}

impl BuildHasher for HashKey {
    type Hasher = SipHash;

    fn build_hasher(&self) -> SipHash {
        self.hasher()
    }
}

impl SipHash {
    fn round(&mut self) {
        self.v0 = self.v0.wrapping_add(self.v1);
        self.v1 = self.v1.rotate_left(13) ^ self.v0;
        self.v0 = self.v0.rotate_left(32);
        self.v2 = self.v2.wrapping_add(self.v3);
        self.v3 = self.v3.rotate_left(16) ^ self.v2;
        self.v0 = self.v0.wrapping_add(self.v3);
        self.v3 = self.v3.rotate_left(21) ^ self.v0;
        self.v2 = self.v2.wrapping_add(self.v1);
        self.v1 = self.v1.rotate_left(17) ^ self.v2;
        self.v2 = self.v2.rotate_left(32);
    }

    fn absorb(&mut self, word: u64) {
        self.v3 ^= word;
        self.round();
        self.round();
        self.v0 ^= word;
    }

    /// Adds a field and its length, so that no two lists of fields run together.
    pub(crate) fn field(&mut self, bytes: &[u8]) -> &mut Self {
        self.write_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.write(bytes);
        self
    }
}

impl Hasher for SipHash {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.tail |= u64::from(*byte) << (8 * (self.length & 7));
            self.length = self.length.wrapping_add(1);
            if self.length & 7 == 0 {
                let word = self.tail;
                self.absorb(word);
                self.tail = 0;
            }
        }
    }

    fn finish(&self) -> u64 {
        let mut state = self.clone();
        let last = state.tail | (state.length << 56);
        state.absorb(last);
        state.v2 ^= 0xff;
        for _ in 0..4 {
            state.round();
        }
        state.v0 ^ state.v1 ^ state.v2 ^ state.v3
    }
}

/// What a 64-bit value looks like in a tag or branch: 16 hexadecimal digits.
pub(crate) fn hexadecimal(value: u64) -> [u8; 16] {
    let mut digits = [b'0'; 16];
    let mut rest = value;
    for digit in digits.iter_mut().rev() {
        let nibble = (rest & 0xf) as u8;
        *digit = if nibble < 10 {
            b'0' + nibble
        } else {
            b'a' + nibble - 10
        };
        rest >>= 4;
    }
    digits
}

/// The core's only source of values that must not be guessed.
#[derive(Debug)]
pub(crate) struct Entropy {
    unique: HashKey,
    fields: HashKey,
    tables: HashKey,
    counter: u64,
}

impl Entropy {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        let mut words = [0u64; 4];
        for (word, chunk) in words.iter_mut().zip(seed.chunks_exact(8)) {
            *word = chunk
                .iter()
                .rev()
                .fold(0, |word, byte| (word << 8) | u64::from(*byte));
        }
        let [first, second, third, fourth] = words;
        let (one, two) = (HashKey(first, second), HashKey(third, fourth));
        // Keys for tables come from the seed too, but are not a part of it.
        let derive = |key: HashKey, purpose: u8| {
            let mut hasher = key.hasher();
            hasher.write_u8(purpose);
            hasher.finish()
        };
        Self {
            unique: one,
            fields: two,
            tables: HashKey(derive(one, b't'), derive(two, b't')),
            counter: 0,
        }
    }

    /// A value that was not handed out before and cannot be predicted.
    pub(crate) fn unique(&mut self) -> u64 {
        self.counter = self.counter.wrapping_add(1);
        let mut hasher = self.unique.hasher();
        hasher.write_u64(self.counter);
        hasher.finish()
    }

    /// A tag for a response that we make: RFC 3261 section 19.3.
    pub(crate) fn tag(&mut self) -> [u8; 16] {
        hexadecimal(self.unique())
    }

    /// A keyed hash of fields, the same for the same fields while we live.
    pub(crate) fn hash_fields(&self) -> SipHash {
        self.fields.hasher()
    }

    /// A key for tables whose keys are chosen by peers.
    pub(crate) fn table_key(&self) -> HashKey {
        self.tables
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn siphash_agrees_with_its_reference_vectors() {
        // Appendix A of the SipHash paper, and vectors_sip64 of the reference code.
        let key = HashKey(0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908);
        let digest = |length: u8| {
            let mut hasher = key.hasher();
            hasher.write(&(0..length).collect::<Vec<u8>>());
            hasher.finish()
        };
        assert_eq!(digest(15), 0xa129_ca61_49be_45e5);
        assert_eq!(digest(0), 0x726f_db47_dd0e_0e31);
        assert_eq!(digest(8), 0x93f5_f579_9a93_2462);
    }

    #[test]
    fn pieces_hash_like_the_whole() {
        let key = HashKey(1, 2);
        let (mut whole, mut pieces) = (key.hasher(), key.hasher());
        whole.write(b"abcdefghijklm");
        pieces.write(b"abc");
        pieces.write(b"defghij");
        pieces.write(b"klm");
        assert_eq!(whole.finish(), pieces.finish());
    }

    #[test]
    fn fields_do_not_run_together() {
        let key = HashKey(1, 2);
        let (mut one, mut other) = (key.hasher(), key.hasher());
        one.field(b"ab").field(b"c");
        other.field(b"a").field(b"bc");
        assert_ne!(one.finish(), other.finish());
    }

    #[test]
    fn the_seed_decides_and_values_differ() {
        let mut first = Entropy::new([7; 32]);
        let mut again = Entropy::new([7; 32]);
        let mut other = Entropy::new([8; 32]);
        let a = first.unique();
        assert_eq!(a, again.unique());
        assert_ne!(a, other.unique());
        assert_ne!(a, first.unique());
    }

    #[test]
    fn hexadecimal_keeps_leading_zeros() {
        assert_eq!(&hexadecimal(0xabc), b"0000000000000abc");
    }
}
