//! Leases: what calls hold of what they share, a place among so many calls or money.
//!
//! A [`Lessee`] stands for one call. What it holds is given back by
//! [`Lessee::release`], and by its end at the latest, so no way out of a call can
//! forget to. Nothing is on disk: a restart ends every call, and with it every lease.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use smallvec::SmallVec;

use crate::error::LeaseError;
use crate::key::Key;
use crate::limits::Limits;
use crate::quota::Ceilings;
use crate::table::{Mortal, Table};
use crate::tables::ENTRY_BYTES;

/// Different keys that one call may hold. 64: a user, its groups, two peers and a
/// budget for each of two plugins are a dozen.
const KEYS_PER_CALL: usize = 64;

/// What all calls hold, shared by all workers. Clones share it.
#[derive(Clone)]
pub struct Leases(Arc<Ledger>);

struct Ledger {
    keys: Table<Held>,
    lessees: AtomicUsize,
    granted: AtomicU64,
    given_back: AtomicU64,
    refused: AtomicU64,
}

/// What is held of one key; the entry goes when nothing is.
struct Held(u64);

impl Mortal for Held {
    fn is_dead(&self, _now_ms: u64) -> bool {
        self.0 == 0
    }
}

/// What became of a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding {
    /// It is held now.
    pub granted: bool,
    /// What all lessees hold together, this wish included if it was granted.
    pub held: u64,
}

/// How much is held, for metrics and for the check that nothing is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaseFigures {
    /// Calls that hold something.
    pub lessees: usize,
    /// Keys of which something is held.
    pub keys: usize,
    /// Units held, over all keys.
    pub units: u64,
    /// Units granted and given back since the start: their difference is what is
    /// held, or something is lost.
    pub granted: u64,
    /// See `granted`.
    pub given_back: u64,
    /// Wishes that met their limit.
    pub refused: u64,
}

/// What all calls hold under one name of one plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseKind {
    /// The plugin.
    pub scope: String,
    /// Name of the lease.
    pub name: String,
    /// Keys of which something is held.
    pub keys: usize,
    /// Units held, over all keys.
    pub units: u64,
}

impl LeaseFigures {
    /// Whether what is held is what was granted and not given back. While calls come
    /// and go the figures are not of one moment; at rest they are.
    #[must_use]
    pub const fn conserved(&self) -> bool {
        self.granted.wrapping_sub(self.given_back) == self.units
            && (self.lessees > 0) == (self.keys > 0)
    }
}

impl Leases {
    /// Nothing held yet.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self(Arc::new(Ledger {
            keys: Table::new(Ceilings {
                entries: limits.leases,
                bytes: usize::MAX,
                scope_entries: limits.leases_per_scope,
                scope_bytes: usize::MAX,
                scopes: limits.scopes,
            }),
            lessees: AtomicUsize::new(0),
            granted: AtomicU64::new(0),
            given_back: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }))
    }

    /// A new call, which holds nothing.
    #[must_use]
    pub fn lessee(&self) -> Lessee {
        Lessee {
            ledger: Arc::clone(&self.0),
            state: Mutex::default(),
        }
    }

    /// What all calls hold of a key.
    ///
    /// # Errors
    /// [`LeaseError::Invalid`] for parts outside their bounds.
    pub fn held(&self, scope: &str, name: &str, key: &[u8]) -> Result<u64, LeaseError> {
        let key = Key::counter(scope, name, key).ok_or(LeaseError::Invalid)?;
        let held = self.0.keys.lock(&key).find().map(|entry| entry.value.0);
        Ok(held.unwrap_or(0))
    }

    /// How much is held. Looks through the whole table.
    #[must_use]
    pub fn figures(&self) -> LeaseFigures {
        let ledger = &*self.0;
        let (mut keys, mut units) = (0, 0u64);
        for shard in ledger.keys.shards() {
            ledger.keys.visit(shard, |entry| {
                keys += 1;
                units = units.saturating_add(entry.value.0);
            });
        }
        LeaseFigures {
            lessees: ledger.lessees.load(Ordering::Relaxed),
            keys,
            units,
            granted: ledger.granted.load(Ordering::Relaxed),
            given_back: ledger.given_back.load(Ordering::Relaxed),
            refused: ledger.refused.load(Ordering::Relaxed),
        }
    }

    /// How much is held of each kind, in the order of plugins and names. Looks through
    /// the whole table.
    #[must_use]
    pub fn kinds(&self) -> Vec<LeaseKind> {
        let table = &self.0.keys;
        let mut sums: BTreeMap<(String, String), (usize, u64)> = BTreeMap::new();
        for shard in table.shards() {
            table.visit(shard, |entry| {
                let Some(key) = Key::decode(entry.key()) else {
                    return;
                };
                let kind = (key.scope.to_owned(), key.name.to_owned());
                let (keys, units) = sums.entry(kind).or_default();
                *keys += 1;
                *units = units.saturating_add(entry.value.0);
            });
        }
        let kind = |((scope, name), (keys, units))| LeaseKind {
            scope,
            name,
            keys,
            units,
        };
        sums.into_iter().map(kind).collect()
    }
}

impl std::fmt::Debug for Leases {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let figures = self.figures();
        formatter.debug_tuple("Leases").field(&figures).finish()
    }
}

/// One call, and what it holds.
pub struct Lessee {
    ledger: Arc<Ledger>,
    state: Mutex<LesseeState>,
}

#[derive(Default)]
struct LesseeState {
    /// Encoded keys and what is held of each.
    holdings: SmallVec<[(Box<[u8]>, u64); 4]>,
    over: bool,
}

impl Lessee {
    /// Holds `amount` of a key if all calls together then hold no more than `limit`.
    ///
    /// # Errors
    /// [`LeaseError::Full`] at a ceiling, [`LeaseError::Invalid`] for parts outside
    /// their bounds or an amount of 0, [`LeaseError::NoCall`] once the call is over.
    pub fn hold(
        &self,
        scope: &str,
        name: &str,
        key: &[u8],
        amount: u64,
        limit: u64,
    ) -> Result<Holding, LeaseError> {
        let key = Key::counter(scope, name, key).ok_or(LeaseError::Invalid)?;
        if amount == 0 {
            return Err(LeaseError::Invalid);
        }
        // Taken before the key's shard, here and in `release`.
        let mut state = self.state.lock();
        if state.over {
            return Err(LeaseError::NoCall);
        }
        let place = state
            .holdings
            .iter()
            .position(|(held, _)| key.is_encoded_as(held));
        if place.is_none() && state.holdings.len() >= KEYS_PER_CALL {
            return Err(LeaseError::Full);
        }
        let holding = self.ledger.hold(&key, amount, limit)?;
        if holding.granted {
            let held = place.and_then(|place| state.holdings.get_mut(place));
            match held {
                Some((_, held)) => *held += amount,
                None => {
                    if state.holdings.is_empty() {
                        self.ledger.lessees.fetch_add(1, Ordering::Relaxed);
                    }
                    state.holdings.push((key.encode(), amount));
                }
            }
        }
        Ok(holding)
    }

    /// The call is over: gives everything back. The second time, nothing happens.
    pub fn release(&self) {
        let mut state = self.state.lock();
        state.over = true;
        if state.holdings.is_empty() {
            return;
        }
        for (key, amount) in state.holdings.drain(..) {
            self.ledger.give_back(&key, amount);
        }
        self.ledger.lessees.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Lessee {
    fn drop(&mut self) {
        self.release();
    }
}

impl std::fmt::Debug for Lessee {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state.lock();
        formatter
            .debug_struct("Lessee")
            .field("keys", &state.holdings.len())
            .field("over", &state.over)
            .finish()
    }
}

impl Ledger {
    fn hold(&self, key: &Key<'_>, amount: u64, limit: u64) -> Result<Holding, LeaseError> {
        let mut slot = self.keys.lock(key);
        let before = slot.find().map_or(0, |entry| entry.value.0);
        let Some(held) = before.checked_add(amount).filter(|held| *held <= limit) else {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Ok(Holding {
                granted: false,
                held: before,
            });
        };
        if let Some(entry) = slot.find() {
            entry.value.0 = held;
        } else {
            // Entries without a holder are removed at once, so there is nothing to sweep.
            let seat = slot.seat(key.encoded_len() + ENTRY_BYTES, 0);
            slot.insert(seat.map_err(|_| LeaseError::Full)?, Held(held));
        }
        self.granted.fetch_add(amount, Ordering::Relaxed);
        Ok(Holding {
            granted: true,
            held,
        })
    }

    fn give_back(&self, key: &[u8], amount: u64) {
        let Some(key) = Key::decode(key) else {
            return;
        };
        let mut slot = self.keys.lock(&key);
        if let Some(entry) = slot.find() {
            entry.value.0 = entry.value.0.saturating_sub(amount);
            if entry.value.0 == 0 {
                slot.remove();
            }
        }
        self.given_back.fetch_add(amount, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leases() -> Leases {
        Leases::new(&Limits::default())
    }

    #[test]
    fn a_limit_has_two_sides_and_is_shared() {
        let leases = leases();
        let (one, two) = (leases.lessee(), leases.lessee());
        let wish =
            |lessee: &Lessee, amount| lessee.hold("p", "calls", b"alice", amount, 3).unwrap();
        assert_eq!(
            wish(&one, 2),
            Holding {
                granted: true,
                held: 2
            }
        );
        assert_eq!(
            wish(&two, 2),
            Holding {
                granted: false,
                held: 2
            }
        );
        assert_eq!(
            wish(&two, 1),
            Holding {
                granted: true,
                held: 3
            }
        );
        assert_eq!(leases.held("p", "calls", b"alice"), Ok(3));
        assert_eq!(
            leases.held("q", "calls", b"alice"),
            Ok(0),
            "another plugin's"
        );
        one.release();
        assert_eq!(leases.held("p", "calls", b"alice"), Ok(1));
        one.release();
        drop(one);
        assert_eq!(
            leases.held("p", "calls", b"alice"),
            Ok(1),
            "given back once"
        );
        drop(two);
        let figures = leases.figures();
        assert_eq!((figures.lessees, figures.keys, figures.units), (0, 0, 0));
        assert_eq!(
            (figures.granted, figures.given_back, figures.refused),
            (3, 3, 1)
        );
        assert!(figures.conserved());
    }

    #[test]
    fn a_call_that_is_over_holds_nothing_more() {
        let leases = leases();
        let call = leases.lessee();
        call.release();
        assert_eq!(call.hold("p", "n", b"", 1, 1), Err(LeaseError::NoCall));
        let other = leases.lessee();
        assert_eq!(other.hold("p", "n", b"", 0, 1), Err(LeaseError::Invalid));
        assert_eq!(other.hold("p", "", b"", 1, 1), Err(LeaseError::Invalid));
        let most = other.hold("p", "n", b"", u64::MAX, u64::MAX).unwrap();
        assert!(most.granted);
        let more = other.hold("p", "n", b"", 1, u64::MAX).unwrap();
        assert!(!more.granted, "no overflow");
    }

    #[test]
    fn ceilings_of_table_and_call_have_two_sides() {
        let limits = Limits {
            leases: KEYS_PER_CALL + 1,
            leases_per_scope: KEYS_PER_CALL + 1,
            ..Limits::default()
        };
        let leases = Leases::new(&limits);
        let call = leases.lessee();
        let hold = |call: &Lessee, key: usize| call.hold("p", "n", &key.to_be_bytes(), 1, 1);
        for key in 0..KEYS_PER_CALL {
            assert!(hold(&call, key).unwrap().granted);
        }
        assert_eq!(
            hold(&call, KEYS_PER_CALL),
            Err(LeaseError::Full),
            "the call's share"
        );
        let other = leases.lessee();
        assert!(hold(&other, KEYS_PER_CALL).unwrap().granted);
        assert_eq!(
            hold(&other, KEYS_PER_CALL + 1),
            Err(LeaseError::Full),
            "the table"
        );
        drop(call);
        assert!(hold(&other, KEYS_PER_CALL + 1).unwrap().granted);
        assert_eq!(leases.figures().keys, 2);
    }

    #[test]
    fn kinds_are_sums_over_keys() {
        let leases = leases();
        let (one, two) = (leases.lessee(), leases.lessee());
        for (lessee, scope, name, key, amount) in [
            (&one, "limits", "calls", b"alice", 1),
            (&two, "limits", "calls", b"bobby", 1),
            (&two, "limits", "calls", b"alice", 1),
            (&one, "limits", "money", b"alice", 250),
            (&one, "fraud", "calls", b"alice", 7),
        ] {
            assert!(
                lessee
                    .hold(scope, name, key, amount, 1_000)
                    .unwrap()
                    .granted
            );
        }
        let kind = |scope: &str, name: &str, keys, units| LeaseKind {
            scope: scope.to_owned(),
            name: name.to_owned(),
            keys,
            units,
        };
        assert_eq!(
            leases.kinds(),
            [
                kind("fraud", "calls", 1, 7),
                kind("limits", "calls", 2, 3),
                kind("limits", "money", 1, 250),
            ]
        );
        drop(one);
        assert_eq!(leases.kinds(), [kind("limits", "calls", 2, 2)]);
        drop(two);
        assert_eq!(leases.kinds(), []);
    }

    #[test]
    fn workers_never_pass_the_limit_together() {
        let leases = leases();
        let most = std::sync::atomic::AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        let call = leases.lessee();
                        let holding = call.hold("p", "n", b"k", 3, 7).unwrap();
                        most.fetch_max(holding.held, Ordering::Relaxed);
                    }
                });
            }
        });
        assert!(most.into_inner() <= 7);
        assert!(leases.figures().conserved() && leases.figures().keys == 0);
    }
}
