//! A bounded table in shards, each behind a mutex of its own.

use std::{
    hash::BuildHasher,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use foldhash::quality::RandomState;
use hashbrown::HashTable;
use parking_lot::{Mutex, MutexGuard};

use crate::{
    key::Key,
    quota::{Ceilings, Full, Quota, Seat},
};

/// Shards of a table: many times the number of workers that will ever contend.
const SHARDS: usize = 64;

/// Milliseconds between two sweeps of a whole table that is full. Without it a
/// flood of new keys would have every request search all shards.
const FULL_SWEEP_EVERY_MS: u64 = 100;

/// What dies of age.
pub(crate) trait Mortal {
    /// Whether it may be forgotten.
    fn is_dead(&self, now_ms: u64) -> bool;
}

/// One entry.
pub(crate) struct Entry<V> {
    key: Box<[u8]>,
    /// Its place in the ceilings.
    pub(crate) seat: Seat,
    /// What is stored.
    pub(crate) value: V,
}

impl<V> Entry<V> {
    /// The encoded key.
    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }
}

/// The table.
pub(crate) struct Table<V> {
    shards: Box<[Mutex<HashTable<Entry<V>>>]>,
    hasher: RandomState,
    quota: Arc<Quota>,
    cursor: AtomicUsize,
    swept_ms: AtomicU64,
}

impl<V: Mortal> Table<V> {
    pub(crate) fn new(ceilings: Ceilings) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::default(),
            quota: Quota::new(ceilings),
            cursor: AtomicUsize::new(0),
            swept_ms: AtomicU64::new(0),
        }
    }

    /// Locks the shard of a key.
    pub(crate) fn lock<'a>(&'a self, key: &'a Key<'a>) -> Slot<'a, V> {
        let hash = self.hasher.hash_one(key);
        // The high bits: hashbrown takes the low ones for its buckets and the
        // top seven for its tags.
        let index = usize::try_from(hash >> 40).unwrap_or_default() % SHARDS;
        #[expect(clippy::indexing_slicing, reason = "index is modulo the length")]
        let shard = self.shards[index].lock();
        Slot {
            shard,
            table: self,
            key,
            hash,
        }
    }

    /// Forgets the dead of the next few shards; returns how many.
    pub(crate) fn sweep(&self, shards: usize, now_ms: u64) -> usize {
        let mut forgotten = 0;
        for _ in 0..shards.min(SHARDS) {
            let index = self.cursor.fetch_add(1, Ordering::Relaxed) % SHARDS;
            if let Some(shard) = self.shards.get(index) {
                forgotten += sweep_shard(&mut shard.lock(), now_ms);
            }
        }
        forgotten
    }

    /// Sweeps all shards because a ceiling was met, unless that was done just
    /// now; returns whether trying again makes sense.
    pub(crate) fn make_room(&self, now_ms: u64) -> bool {
        let last = self.swept_ms.load(Ordering::Relaxed);
        if now_ms.abs_diff(last) < FULL_SWEEP_EVERY_MS
            || self
                .swept_ms
                .compare_exchange(last, now_ms, Ordering::Relaxed, Ordering::Relaxed)
                .is_err()
        {
            return false;
        }
        self.sweep(SHARDS, now_ms) > 0
    }

    /// Numbers of the shards, for `visit`.
    pub(crate) fn shards(&self) -> std::ops::Range<usize> {
        0..self.shards.len()
    }

    /// Visits every entry of a shard under its lock.
    pub(crate) fn visit(&self, shard: usize, visitor: impl FnMut(&Entry<V>)) {
        if let Some(shard) = self.shards.get(shard) {
            shard.lock().iter().for_each(visitor);
        }
    }

    /// Ceilings in use.
    pub(crate) fn quota(&self) -> &Arc<Quota> {
        &self.quota
    }
}

fn sweep_shard<V: Mortal>(shard: &mut HashTable<Entry<V>>, now_ms: u64) -> usize {
    let before = shard.len();
    shard.retain(|entry| !entry.value.is_dead(now_ms));
    before - shard.len()
}

/// A key in its locked shard.
pub(crate) struct Slot<'a, V> {
    shard: MutexGuard<'a, HashTable<Entry<V>>>,
    table: &'a Table<V>,
    key: &'a Key<'a>,
    hash: u64,
}

impl<V: Mortal> Slot<'_, V> {
    /// The entry, dead or alive.
    pub(crate) fn find(&mut self) -> Option<&mut Entry<V>> {
        let key = self.key;
        self.shard
            .find_mut(self.hash, |entry| key.is_encoded_as(&entry.key))
    }

    /// A seat for a new entry, after sweeping this shard if need be.
    pub(crate) fn seat(&mut self, bytes: usize, now_ms: u64) -> Result<Seat, Full> {
        let quota = &self.table.quota;
        quota.seat(self.key.scope, bytes).or_else(|full| {
            if sweep_shard(&mut self.shard, now_ms) == 0 {
                return Err(full);
            }
            quota.seat(self.key.scope, bytes)
        })
    }

    /// Puts a new entry in. The key must not be there.
    pub(crate) fn insert(&mut self, seat: Seat, value: V) {
        let entry = Entry {
            key: self.key.encode(),
            seat,
            value,
        };
        let hasher = &self.table.hasher;
        // Keys are only ever made by `encode`, so `decode` gives the same hash.
        self.shard
            .insert_unique(self.hash, entry, |entry| hash_encoded(hasher, &entry.key));
    }

    /// Takes the entry out.
    pub(crate) fn remove(&mut self) -> Option<Entry<V>> {
        let key = self.key;
        self.shard
            .find_entry(self.hash, |entry| key.is_encoded_as(&entry.key))
            .ok()
            .map(|found| found.remove().0)
    }
}

/// The hash of an encoded key, as `lock` computes it from the parts.
fn hash_encoded(hasher: &RandomState, bytes: &[u8]) -> u64 {
    Key::decode(bytes).map_or(0, |key| hasher.hash_one(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Until(u64);
    impl Mortal for Until {
        fn is_dead(&self, now_ms: u64) -> bool {
            now_ms >= self.0
        }
    }

    fn table(entries: usize) -> Table<Until> {
        Table::new(Ceilings {
            entries,
            bytes: usize::MAX,
            scope_entries: entries,
            scope_bytes: usize::MAX,
            scopes: 10,
        })
    }

    fn put(table: &Table<Until>, id: u32, until: u64, now: u64) -> Result<(), Full> {
        let bytes = id.to_be_bytes();
        let key = Key::counter("s", "n", &bytes).unwrap();
        let mut slot = table.lock(&key);
        let seat = slot.seat(1, now)?;
        slot.insert(seat, Until(until));
        Ok(())
    }

    #[test]
    fn finds_what_was_put_through_growth() {
        let table = table(20_000);
        for id in 0..20_000 {
            put(&table, id, u64::from(id) + 1, 0).unwrap();
        }
        assert_eq!(put(&table, 20_000, 1, 0), Err(Full));
        for id in 0..20_000u32 {
            let bytes = id.to_be_bytes();
            let key = Key::counter("s", "n", &bytes).unwrap();
            assert_eq!(table.lock(&key).find().unwrap().value.0, u64::from(id) + 1);
        }
        let bytes = 7u32.to_be_bytes();
        let key = Key::counter("s", "n", &bytes).unwrap();
        assert!(table.lock(&key).remove().is_some());
        assert!(table.lock(&key).remove().is_none());
        assert_eq!(table.quota().entries(), 19_999);
    }

    #[test]
    fn sweeping_goes_round_in_steps() {
        let table = table(1_000);
        for id in 0..1_000 {
            put(&table, id, 10, 0).unwrap();
        }
        assert_eq!(table.sweep(SHARDS, 9), 0);
        let first = table.sweep(1, 10);
        assert!(first > 0 && first < 200, "one shard of many: {first}");
        let rest = table.sweep(SHARDS - 1, 10);
        assert_eq!(first + rest, 1_000);
        assert_eq!(table.quota().entries(), 0);
    }

    #[test]
    fn a_full_table_makes_room_but_not_at_every_request() {
        let table = table(100);
        for id in 0..100 {
            put(&table, id, 1_000, 500).unwrap();
        }
        assert!(!table.make_room(600), "all alive");
        assert!(!table.make_room(1_000 - 301), "swept just now");
        assert!(table.make_room(1_000));
        assert!(put(&table, 200, 2_000, 1_000).is_ok());
    }
}
