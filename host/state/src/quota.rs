//! Ceilings of a table as a whole and of each scope in it.
//!
//! An entry holds a [`Seat`]; dropping the entry gives the seat back, so no path
//! can forget to.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::RwLock;

/// Something is at its ceiling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// Ceilings of one table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ceilings {
    pub(crate) entries: usize,
    pub(crate) bytes: usize,
    pub(crate) scope_entries: usize,
    pub(crate) scope_bytes: usize,
    pub(crate) scopes: usize,
}

/// Entries and bytes in use.
#[derive(Debug, Default)]
struct Usage {
    entries: AtomicUsize,
    bytes: AtomicUsize,
}

impl Usage {
    /// Takes one entry and some bytes, or nothing.
    fn reserve(&self, bytes: usize, max_entries: usize, max_bytes: usize) -> Result<(), Full> {
        raise(&self.entries, 1, max_entries)?;
        raise(&self.bytes, bytes, max_bytes).inspect_err(|_| {
            self.entries.fetch_sub(1, Ordering::Relaxed);
        })
    }

    fn release(&self, bytes: usize) {
        self.entries.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Adds unless the sum would pass the ceiling.
fn raise(figure: &AtomicUsize, amount: usize, ceiling: usize) -> Result<(), Full> {
    // Relaxed: these are counts; the entries themselves are behind locks.
    figure
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(amount).filter(|&sum| sum <= ceiling)
        })
        .map(|_| ())
        .map_err(|_| Full)
}

/// Counts seats in a table.
#[derive(Debug)]
pub(crate) struct Quota {
    ceilings: Ceilings,
    total: Usage,
    scopes: RwLock<HashMap<Box<str>, Arc<Usage>>>,
}

impl Quota {
    pub(crate) fn new(ceilings: Ceilings) -> Arc<Self> {
        Arc::new(Self {
            ceilings,
            total: Usage::default(),
            scopes: RwLock::default(),
        })
    }

    /// A seat for an entry of so many bytes.
    pub(crate) fn seat(self: &Arc<Self>, scope: &str, bytes: usize) -> Result<Seat, Full> {
        let scope = self.scope(scope)?;
        let limits = &self.ceilings;
        scope.reserve(bytes, limits.scope_entries, limits.scope_bytes)?;
        self.total
            .reserve(bytes, limits.entries, limits.bytes)
            .inspect_err(|_| scope.release(bytes))?;
        Ok(Seat {
            quota: Arc::clone(self),
            scope,
            bytes,
        })
    }

    fn scope(&self, name: &str) -> Result<Arc<Usage>, Full> {
        if let Some(usage) = self.scopes.read().get(name) {
            return Ok(Arc::clone(usage));
        }
        let mut scopes = self.scopes.write();
        if scopes.len() >= self.ceilings.scopes && !scopes.contains_key(name) {
            scopes.retain(|_, usage| {
                Arc::strong_count(usage) > 1 || usage.entries.load(Ordering::Relaxed) > 0
            });
            if scopes.len() >= self.ceilings.scopes {
                return Err(Full);
            }
        }
        Ok(Arc::clone(scopes.entry(name.into()).or_default()))
    }

    /// Entries in use.
    pub(crate) fn entries(&self) -> usize {
        self.total.entries.load(Ordering::Relaxed)
    }

    /// Bytes in use.
    pub(crate) fn bytes(&self) -> usize {
        self.total.bytes.load(Ordering::Relaxed)
    }
}

/// The right to one entry.
#[derive(Debug)]
pub(crate) struct Seat {
    quota: Arc<Quota>,
    scope: Arc<Usage>,
    bytes: usize,
}

impl Seat {
    /// Grows to so many bytes if there is room; never shrinks.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Full> {
        let Some(more) = bytes.checked_sub(self.bytes) else {
            return Ok(());
        };
        let limits = &self.quota.ceilings;
        raise(&self.scope.bytes, more, limits.scope_bytes)?;
        raise(&self.quota.total.bytes, more, limits.bytes).inspect_err(|_| {
            self.scope.bytes.fetch_sub(more, Ordering::Relaxed);
        })?;
        self.bytes = bytes;
        Ok(())
    }

    /// Shrinks to so many bytes; never grows.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let less = self.bytes.saturating_sub(bytes);
        self.scope.bytes.fetch_sub(less, Ordering::Relaxed);
        self.quota.total.bytes.fetch_sub(less, Ordering::Relaxed);
        self.bytes -= less;
    }

    /// Bytes it stands for.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.scope.release(self.bytes);
        self.quota.total.release(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota() -> Arc<Quota> {
        Quota::new(Ceilings {
            entries: 3,
            bytes: 100,
            scope_entries: 2,
            scope_bytes: 60,
            scopes: 2,
        })
    }

    #[test]
    fn every_ceiling_on_both_sides() {
        let quota = quota();
        let one = quota.seat("a", 60).unwrap();
        assert_eq!(quota.seat("a", 1).err(), Some(Full), "bytes of the scope");
        let two = quota.seat("b", 20).unwrap();
        let three = quota.seat("b", 20).unwrap();
        assert_eq!(quota.seat("b", 0).err(), Some(Full), "entries of the scope");
        assert_eq!(quota.seat("a", 0).err(), Some(Full), "entries of all");
        assert_eq!(quota.seat("c", 0).err(), Some(Full), "scopes");
        assert_eq!((quota.entries(), quota.bytes()), (3, 100));
        drop((one, two, three));
        assert_eq!((quota.entries(), quota.bytes()), (0, 0));
        assert!(quota.seat("c", 0).is_ok(), "idle scopes make room");
    }

    #[test]
    fn a_refused_seat_leaves_no_trace() {
        let quota = quota();
        let _one = quota.seat("a", 50).unwrap();
        let _two = quota.seat("b", 50).unwrap();
        assert_eq!(quota.seat("a", 5).err(), Some(Full));
        assert_eq!((quota.entries(), quota.bytes()), (2, 100));
    }

    #[test]
    fn seats_grow_and_shrink_within_bounds() {
        let quota = quota();
        let mut seat = quota.seat("a", 10).unwrap();
        assert!(seat.grow(60).is_ok());
        assert_eq!(seat.grow(61), Err(Full));
        seat.shrink(5);
        assert_eq!((seat.bytes(), quota.bytes()), (5, 5));
        drop(seat);
        assert_eq!(quota.bytes(), 0);
    }
}
