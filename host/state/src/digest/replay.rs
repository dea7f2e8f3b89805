//! Which nonce counts have been seen: RFC 7616 section 3.4, `nc`.
//!
//! Only a nonce that was answered with the right password has an entry, so no
//! stranger can fill the table. Each entry is the highest count and a bitmap of
//! the 128 below it, as in IPsec: counts may arrive out of order, as parallel
//! requests over UDP do, and none is taken twice.
//!
//! At the ceiling the oldest nonce goes, and its age becomes a floor: what is as
//! old or older, and not in the table, counts as expired. So forgetting can cost
//! a client one more challenge, but never lets a replay through.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    hash::BuildHasher,
};

use foldhash::quality::RandomState;
use parking_lot::Mutex;

use super::nonce::Stamp;

/// Nonces that are remembered. Default 65,536, about 5 MiB: every phone of a
/// large site within one lifetime of a nonce.
pub(crate) const REMEMBERED: usize = 65_536;

/// Locks that this is spread over.
const SHARDS: usize = 16;

/// What a count was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Not seen before; seen now.
    Fresh,
    /// Seen before, or too far below the highest to tell.
    Replayed,
    /// Nobody knows any more; ask for a new nonce.
    Forgotten,
}

/// The table.
pub(crate) struct Replays {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
    shard_capacity: usize,
}

#[derive(Default)]
struct Shard {
    // Ordered by time of issue: the oldest is the first.
    nonces: BTreeMap<Stamp, Counts>,
    floor_ms: Option<u64>,
}

/// Counts seen of one nonce.
#[derive(Clone, Copy)]
struct Counts {
    highest: u32,
    /// Bit n: `highest - n` was seen.
    seen: u128,
}

impl Replays {
    /// A table for so many nonces.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::default(),
            shard_capacity: capacity.div_ceil(SHARDS).max(1),
        }
    }

    /// Marks a count of a nonce as used. `expired_ms`: nonces issued before that
    /// time are of no use to anybody.
    pub(crate) fn use_count(&self, stamp: Stamp, count: u32, expired_ms: u64) -> Use {
        let index = usize::try_from(self.hasher.hash_one(stamp) >> 32).unwrap_or_default() % SHARDS;
        #[expect(clippy::indexing_slicing, reason = "index is modulo the length")]
        let mut shard = self.shards[index].lock();
        // A few at a time, so that no request pays for all that have expired.
        for _ in 0..4 {
            match shard.nonces.first_key_value() {
                Some((oldest, _)) if oldest.issued_ms < expired_ms => shard.nonces.pop_first(),
                _ => break,
            };
        }
        let floor_ms = shard.floor_ms;
        match shard.nonces.entry(stamp) {
            Entry::Occupied(mut entry) => return entry.get_mut().mark(count),
            Entry::Vacant(_) if floor_ms.is_some_and(|floor| stamp.issued_ms <= floor) => {
                return Use::Forgotten;
            }
            Entry::Vacant(entry) => entry.insert(Counts {
                highest: count,
                seen: 1,
            }),
        };
        if shard.nonces.len() > self.shard_capacity
            && let Some((oldest, _)) = shard.nonces.pop_first()
        {
            shard.floor_ms = Some(oldest.issued_ms.max(floor_ms.unwrap_or(0)));
            if oldest == stamp {
                return Use::Forgotten;
            }
        }
        Use::Fresh
    }

    /// Nonces in the table.
    pub(crate) fn len(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.lock().nonces.len())
            .sum()
    }
}

impl Counts {
    fn mark(&mut self, count: u32) -> Use {
        if let Some(ahead) = count.checked_sub(self.highest).filter(|&ahead| ahead > 0) {
            self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = count;
            return Use::Fresh;
        }
        match 1u128.checked_shl(self.highest - count) {
            Some(bit) if self.seen & bit == 0 => {
                self.seen |= bit;
                Use::Fresh
            }
            _ => Use::Replayed,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stamp(issued_ms: u64, id: u8) -> Stamp {
        Stamp {
            issued_ms,
            tag: [id; 16],
        }
    }

    #[test]
    fn each_count_once_in_any_order() {
        let replays = Replays::new(10);
        let nonce = stamp(0, 1);
        for count in [5, 3, 4, 200, 199] {
            assert_eq!(replays.use_count(nonce, count, 0), Use::Fresh, "{count}");
            assert_eq!(replays.use_count(nonce, count, 0), Use::Replayed, "{count}");
        }
        assert_eq!(replays.use_count(nonce, 200 - 127, 0), Use::Fresh);
        assert_eq!(replays.use_count(nonce, 200 - 128, 0), Use::Replayed);
        assert_eq!(replays.use_count(nonce, u32::MAX, 0), Use::Fresh);
        assert_eq!(replays.use_count(nonce, 200, 0), Use::Replayed);
    }

    #[test]
    fn forgetting_at_the_ceiling_never_lets_a_replay_through() {
        let replays = Replays::new(1);
        for id in 0..200u8 {
            let nonce = stamp(1_000 + u64::from(id), id);
            assert_eq!(replays.use_count(nonce, 1, 0), Use::Fresh);
        }
        assert!(replays.len() <= SHARDS);
        for id in 0..200u8 {
            let nonce = stamp(1_000 + u64::from(id), id);
            assert_ne!(replays.use_count(nonce, 1, 0), Use::Fresh, "{id}");
        }
    }

    #[test]
    fn expired_nonces_make_room() {
        let replays = Replays::new(SHARDS * 2);
        for id in 0..32u8 {
            replays.use_count(stamp(u64::from(id), id), 1, 0);
        }
        let before = replays.len();
        for id in 100..132u8 {
            replays.use_count(stamp(5_000, id), 1, 1_000);
        }
        assert!(replays.len() < before + 32);
    }

    proptest! {
        #[test]
        fn no_count_is_ever_taken_twice(counts in proptest::collection::vec(1u32..400, 1..300)) {
            let replays = Replays::new(10);
            let mut taken = std::collections::HashSet::new();
            for count in counts {
                if replays.use_count(stamp(0, 0), count, 0) == Use::Fresh {
                    prop_assert!(taken.insert(count));
                }
            }
        }
    }
}
