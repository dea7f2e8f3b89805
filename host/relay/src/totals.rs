//! Counts of all media, for metrics.

use std::iter::Sum;
use std::ops::Add;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of one worker, or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Packets that went on to the other party, reports included.
    pub relayed: u64,
    /// Packets that were dropped, for any reason.
    pub rejected: u64,
    /// Packets that the kernel did not take, because its buffer was full or it knew no
    /// way.
    pub unsent: u64,
    /// Sockets that are open.
    pub sockets: u64,
    /// DTLS handshakes under way.
    pub handshakes: u64,
}

impl Add for Totals {
    type Output = Totals;

    fn add(self, other: Totals) -> Totals {
        Totals {
            relayed: self.relayed + other.relayed,
            rejected: self.rejected + other.rejected,
            unsent: self.unsent + other.unsent,
            sockets: self.sockets + other.sockets,
            handshakes: self.handshakes + other.handshakes,
        }
    }
}

impl Sum for Totals {
    fn sum<I: Iterator<Item = Totals>>(totals: I) -> Totals {
        totals.fold(Totals::default(), Totals::add)
    }
}

/// Where a worker writes its counts for others to read.
#[derive(Debug, Default)]
pub(crate) struct TotalsBoard {
    relayed: AtomicU64,
    rejected: AtomicU64,
    unsent: AtomicU64,
    sockets: AtomicU64,
    handshakes: AtomicU64,
}

impl TotalsBoard {
    pub(crate) fn write(&self, totals: Totals) {
        self.relayed.store(totals.relayed, Ordering::Relaxed);
        self.rejected.store(totals.rejected, Ordering::Relaxed);
        self.unsent.store(totals.unsent, Ordering::Relaxed);
        self.sockets.store(totals.sockets, Ordering::Relaxed);
        self.handshakes.store(totals.handshakes, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Totals {
        Totals {
            relayed: self.relayed.load(Ordering::Relaxed),
            rejected: self.rejected.load(Ordering::Relaxed),
            unsent: self.unsent.load(Ordering::Relaxed),
            sockets: self.sockets.load(Ordering::Relaxed),
            handshakes: self.handshakes.load(Ordering::Relaxed),
        }
    }
}
