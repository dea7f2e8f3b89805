//! The way in: a bounded queue that takes a record in well under a microsecond and
//! never blocks.
//!
//! What happens when it is full is said and counted. A record without a receipt is
//! lost, counted in [`RecordFigures::lost`](crate::RecordFigures::lost) and alerted. A
//! record with a receipt is always taken: whoever asks for receipts asks
//! [`Recorder::has_room`] before he lets a call in, so that no more come than calls were
//! let in while there was room.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::record::CallRecord;

/// Records in one transaction: enough that the synchronisation of the disk, some
/// milliseconds, is shared by many, and few enough that a transaction stays short.
pub const BATCH_MAX: usize = 1_024;

/// How long records without a receipt wait for others to share a transaction with. A
/// quarter of the second in which they are promised to be on the disk.
pub const LINGER: Duration = Duration::from_millis(250);

/// Names what waits for a record to be committed, to whoever wants to know.
pub type Receipt = u64;

/// The queue is full, and the record is lost and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the queue of records is full")]
pub struct Full;

/// How far a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The call goes on: kept in SQLite alone, so that a call that is under way when the
    /// process dies has left a trace. The first to be given up when the queue is full.
    UnderWay,
    /// Nothing will be added.
    Finished,
}

/// A record on its way.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) record: Box<CallRecord>,
    pub(crate) stage: Stage,
    pub(crate) receipt: Option<Receipt>,
}

/// The way in. Cheap to clone; each shard has one.
#[derive(Clone, Debug)]
pub struct Recorder(pub(crate) Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    queue: Mutex<VecDeque<Item>>,
    news: Condvar,
    /// Mirrors of the queue's state, so that asking takes no lock.
    waiting: AtomicUsize,
    pub(crate) room: AtomicUsize,
    /// What the ids of this process begin with.
    pub(crate) own: String,
    next: AtomicU64,
    pub(crate) closed: AtomicBool,
    /// Somebody has something for the writer besides records.
    nudged: AtomicBool,
    pub(crate) written: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) lost: AtomicU64,
}

impl Recorder {
    /// A queue for so many records. `now_ms` makes ids unique over restarts.
    pub(crate) fn new(room: usize, now_ms: u64) -> Self {
        Self(Arc::new(Shared {
            queue: Mutex::default(),
            news: Condvar::new(),
            waiting: AtomicUsize::new(0),
            room: AtomicUsize::new(room),
            own: format!("{now_ms:x}."),
            next: AtomicU64::new(1),
            closed: AtomicBool::new(false),
            nudged: AtomicBool::new(false),
            written: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        }))
    }

    /// A new record's id.
    pub fn begin(&self) -> String {
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        format!("{}{number:x}", self.0.own)
    }

    /// Whether the queue would take a record without a receipt. While it would not, new
    /// calls whose records must not be lost are not to be let in.
    pub fn has_room(&self) -> bool {
        self.waiting() < self.0.room.load(Ordering::Relaxed)
    }

    /// Records that wait to be written.
    pub fn waiting(&self) -> usize {
        self.0.waiting.load(Ordering::Relaxed)
    }

    /// Hand over a record. With a receipt it is always taken and written at once, with
    /// others that came meanwhile; without one it is written within [`LINGER`].
    ///
    /// # Errors
    /// The queue is full. A finished record that is lost so is counted.
    pub fn submit(
        &self,
        record: Box<CallRecord>,
        stage: Stage,
        receipt: Option<Receipt>,
    ) -> Result<(), Full> {
        let room = self.0.room.load(Ordering::Relaxed);
        let mut queue = self.0.queue.lock();
        if receipt.is_none() && queue.len() >= room {
            drop(queue);
            if stage == Stage::Finished {
                self.0.lost.fetch_add(1, Ordering::Relaxed);
            }
            return Err(Full);
        }
        queue.push_back(Item {
            record,
            stage,
            receipt,
        });
        let length = queue.len();
        self.0.waiting.store(length, Ordering::Relaxed);
        drop(queue);
        // Others are found when the writer looks by itself.
        if receipt.is_some() || length == room.div_ceil(2) {
            self.0.news.notify_one();
        }
        Ok(())
    }
}

impl Shared {
    /// Takes what waits, up to [`BATCH_MAX`]; waits for it until [`LINGER`] is over,
    /// a record wants its receipt, half of the queue is full or somebody nudges.
    pub(crate) fn take(&self) -> Vec<Item> {
        let until = Instant::now() + LINGER;
        let mut queue = self.queue.lock();
        loop {
            let urgent = queue.iter().any(|item| item.receipt.is_some())
                || queue.len() >= self.room.load(Ordering::Relaxed).div_ceil(2)
                || queue.len() >= BATCH_MAX;
            let nudged = self.nudged.swap(false, Ordering::Relaxed);
            if urgent || nudged || self.closed.load(Ordering::Relaxed) {
                break;
            }
            if self.news.wait_until(&mut queue, until).timed_out() {
                break;
            }
        }
        let count = queue.len().min(BATCH_MAX);
        let batch = queue.drain(..count).collect();
        self.waiting.store(queue.len(), Ordering::Relaxed);
        batch
    }

    /// Waits so long, or until somebody nudges.
    pub(crate) fn pause(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut queue = self.queue.lock();
        while !self.nudged.swap(false, Ordering::Relaxed) && Instant::now() < until {
            let _again = self.news.wait_until(&mut queue, until);
        }
    }

    /// Wakes the writer.
    pub(crate) fn nudge(&self) {
        let queue = self.queue.lock();
        self.nudged.store(true, Ordering::Relaxed);
        drop(queue);
        self.news.notify_one();
    }

    /// Gives up all that waits; returns how much that was.
    pub(crate) fn give_up(&self) -> u64 {
        let mut queue = self.queue.lock();
        let finished = queue.iter().filter(|item| item.stage == Stage::Finished);
        let count = finished.count() as u64;
        queue.clear();
        self.waiting.store(0, Ordering::Relaxed);
        self.lost.fetch_add(count, Ordering::Relaxed);
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_loses_and_counts_or_has_no_room() {
        let recorder = Recorder::new(2, 0xabc);
        let give = |stage, receipt| recorder.submit(Box::default(), stage, receipt);
        assert_eq!(give(Stage::Finished, None), Ok(()));
        assert!(recorder.has_room());
        assert_eq!(give(Stage::Finished, None), Ok(()));
        assert!(!recorder.has_room());
        assert_eq!(give(Stage::Finished, None), Err(Full));
        assert_eq!(give(Stage::UnderWay, None), Err(Full));
        assert_eq!(recorder.0.lost.load(Ordering::Relaxed), 1);
        assert_eq!(
            give(Stage::Finished, Some(7)),
            Ok(()),
            "its call was let in"
        );
        assert_eq!(recorder.waiting(), 3);
        assert_eq!(recorder.0.take().len(), 3);
        assert!(recorder.has_room());
        assert_eq!(recorder.waiting(), 0);
    }

    #[test]
    fn ids_are_unique_and_begin_with_the_process() {
        let recorder = Recorder::new(1, 0xabc);
        assert_eq!(
            (recorder.begin(), recorder.begin()),
            ("abc.1".into(), "abc.2".into())
        );
    }

    #[test]
    fn a_batch_is_bounded() {
        let recorder = Recorder::new(BATCH_MAX + 1, 0);
        for _ in 0..=BATCH_MAX {
            recorder
                .submit(Box::default(), Stage::Finished, None)
                .unwrap();
        }
        assert_eq!(recorder.0.take().len(), BATCH_MAX);
        assert_eq!(recorder.0.take().len(), 1);
    }

    #[test]
    fn a_receipt_does_not_linger_and_others_do() {
        let recorder = Recorder::new(100, 0);
        let started = Instant::now();
        recorder
            .submit(Box::default(), Stage::Finished, None)
            .unwrap();
        assert_eq!(recorder.0.take().len(), 1);
        assert!(started.elapsed() >= LINGER);
        recorder
            .submit(Box::default(), Stage::Finished, Some(1))
            .unwrap();
        let started = Instant::now();
        assert_eq!(recorder.0.take().len(), 1);
        assert!(started.elapsed() < LINGER);
    }
}
