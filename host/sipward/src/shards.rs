//! The shards, and the way to them: a call belongs to the shard that its Call-ID
//! hashes to, and runs on whichever thread has something for it.
//!
//! A thread that finds a shard free takes it and does its work at once, so a message
//! costs no hand-over. One that finds it taken leaves the work in a bounded queue;
//! whoever holds the shard does what is there before and after he leaves. Work that
//! one thread brings is done in the order in which it came. When the queue is full a
//! message is dropped and counted: SIP over UDP retransmits, and a queue that grows
//! helps nobody.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use policy_wasm::{Renewal, Renewed};
use sip_transaction::TransactionId;
use tokio::sync::Notify;
use transport::Inbound;

use media::RelayEvent;

use crate::shard::Shard;

/// Work waiting at one shard; a tenth of a second of the most that one core can do.
pub(crate) const WAITING_MAX: usize = 4096;

/// Timers fire on a grid: 20 ms, while T1, the shortest that SIP knows, is 500. What falls
/// due together costs one wake-up instead of many; on a wider grid so much falls due at
/// once that calls wait for it.
const TIMER_GRID: Duration = Duration::from_millis(20);

/// Later than any deadline.
const NEVER: u64 = u64::MAX;

/// What a shard can be given to do. Nearly all are messages, and they are moved once,
/// so that none is worth a box.
pub(crate) enum Work {
    /// Something from the network, for a call that this shard owns.
    Inbound(Inbound),
    /// A message of this transaction did not leave.
    Failed(TransactionId),
    /// A deadline has come.
    TimeOut,
    /// The media relay reported something.
    Media(RelayEvent),
    /// Records are on the disk that these holds of the outlet wait for.
    Recorded(Vec<u64>),
    /// A plugin has an instance again.
    Renewed(Renewed),
}

/// All shards of the proxy.
pub(crate) struct Shards {
    slots: Box<[Slot]>,
    lost: AtomicU64,
    /// Secret, so that nobody can aim all calls at one shard.
    seed: u64,
}

struct Slot {
    shard: Mutex<Shard>,
    waiting: Mutex<VecDeque<Work>>,
    alarm: Alarm,
    posted: Notify,
    /// Plugins lack instances.
    wanting: Notify,
}

impl Shards {
    pub(crate) fn new(shards: impl IntoIterator<Item = Shard>, seed: u64) -> Self {
        Self {
            slots: shards.into_iter().map(Slot::new).collect(),
            lost: AtomicU64::new(0),
            seed,
        }
    }

    /// The shard that owns every message with this Call-ID.
    pub(crate) fn owner(&self, call_id: &[u8]) -> usize {
        use std::hash::{BuildHasher, Hasher};
        if self.slots.len() < 2 {
            return 0;
        }
        let mut hasher = foldhash::quality::FixedState::with_seed(self.seed).build_hasher();
        hasher.write(call_id);
        (hasher.finish() % self.slots.len() as u64) as usize
    }

    /// Does the work now if the shard is free; otherwise whoever holds it will. Lost and
    /// counted if too much waits already.
    pub(crate) fn give(&self, index: usize, work: Work) {
        let taken = self.slots.get(index).map(|slot| slot.give(work));
        if matches!(taken, None | Some(Given::Lost)) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Leaves work for the shard's own thread, for those who have no time to do it. It
    /// is never lost: what the relay says comes once, and a port that is not given
    /// back would be missed for ever. Sessions bound how much of it there can be.
    pub(crate) fn post(&self, index: usize, work: Work) {
        if let Some(slot) = self.slots.get(index) {
            slot.waiting.lock().push_back(work);
            slot.posted.notify_one();
        }
    }

    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.slots.len()
    }

    /// Takes a shard, waiting for it if need be. None if there is no such shard.
    pub(crate) fn with<T>(&self, index: usize, act: impl FnOnce(&mut Shard) -> T) -> Option<T> {
        let slot = self.slots.get(index)?;
        let mut shard = slot.shard.lock();
        let result = act(&mut shard);
        slot.leave(shard);
        Some(result)
    }

    /// As [`Shards::with`], for every shard in turn.
    pub(crate) fn each<T>(&self, mut act: impl FnMut(&mut Shard) -> T) -> Vec<T> {
        (0..self.slots.len())
            .filter_map(|index| self.with(index, &mut act))
            .collect()
    }

    /// Work lost because too much waited.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Fires the timers of a shard, does what was posted to it, and makes the instances
    /// that plugins lack, for ever.
    pub(crate) async fn drive_timers(&self, index: usize) {
        let Some(slot) = self.slots.get(index) else {
            return;
        };
        loop {
            tokio::select! {
                () = slot.alarm.ring() => {}
                () = slot.posted.notified() => {
                    slot.serve();
                    continue;
                }
                () = slot.wanting.notified() => {
                    slot.replenish();
                    // Messages that have come meanwhile go first.
                    tokio::task::yield_now().await;
                    continue;
                }
            }
            if matches!(slot.give(Work::TimeOut), Given::Waits) {
                tokio::select! {
                    () = slot.alarm.wait_for_news() => {}
                    () = slot.posted.notified() => slot.serve(),
                }
            }
        }
    }
}

/// What became of a piece of work.
enum Given {
    Done,
    Waits,
    Lost,
}

impl Slot {
    fn new(shard: Shard) -> Self {
        Self {
            alarm: Alarm::new(shard.started()),
            shard: Mutex::new(shard),
            waiting: Mutex::default(),
            posted: Notify::new(),
            wanting: Notify::new(),
        }
    }

    fn give(&self, work: Work) -> Given {
        if let Some(mut shard) = self.shard.try_lock() {
            self.catch_up(&mut shard);
            shard.perform(work);
            self.leave(shard);
            return Given::Done;
        }
        let mut waiting = self.waiting.lock();
        if waiting.len() >= WAITING_MAX {
            return Given::Lost;
        }
        waiting.push_back(work);
        drop(waiting);
        // The holder may have looked just before, and left.
        self.serve();
        Given::Waits
    }

    /// Makes one of the instances that plugins lack, while others may have the shard. If
    /// another thread has it now, that one asks for this again when it leaves.
    fn replenish(&self) {
        let Some(mut shard) = self.shard.try_lock() else {
            return;
        };
        let renewal = shard.renewal();
        self.leave(shard);
        if let Some(renewed) = renewal.and_then(Renewal::carry_out) {
            // If too much waits it is thrown away, and the plugin still lacks one.
            let _given = self.give(Work::Renewed(renewed));
        }
    }

    /// Does what waits, as long as no other thread is at it.
    fn serve(&self) {
        while !self.waiting.lock().is_empty() {
            let Some(mut shard) = self.shard.try_lock() else {
                return;
            };
            self.catch_up(&mut shard);
            self.look_ahead(&shard);
        }
    }

    fn catch_up(&self, shard: &mut Shard) {
        loop {
            let work = self.waiting.lock().pop_front();
            match work {
                Some(work) => shard.perform(work),
                None => return,
            }
        }
    }

    fn leave(&self, shard: MutexGuard<'_, Shard>) {
        self.look_ahead(&shard);
        drop(shard);
        self.serve();
    }

    /// Sees to it that what has to be done later is done.
    fn look_ahead(&self, shard: &Shard) {
        self.alarm.set(shard.deadline());
        if shard.wants_instances() {
            self.wanting.notify_one();
        }
    }
}

/// When a shard's timers want attention, in microseconds since it started.
struct Alarm {
    started: Instant,
    next: AtomicU64,
    asleep_until: AtomicU64,
    sooner: Notify,
}

impl Alarm {
    fn new(started: Instant) -> Self {
        Self {
            started,
            next: AtomicU64::new(NEVER),
            asleep_until: AtomicU64::new(NEVER),
            sooner: Notify::new(),
        }
    }

    /// Notes the next deadline, and wakes whoever sleeps beyond it.
    fn set(&self, deadline: Option<u64>) {
        let next = deadline.map_or(NEVER, on_the_grid);
        self.next.store(next, Ordering::SeqCst);
        if next < self.asleep_until.load(Ordering::SeqCst) {
            self.sooner.notify_one();
        }
    }

    /// Returns when the next deadline has come.
    async fn ring(&self) {
        loop {
            let next = self.next.load(Ordering::SeqCst);
            self.asleep_until.store(next, Ordering::SeqCst);
            if self.next.load(Ordering::SeqCst) < next {
                continue;
            }
            if next == NEVER {
                self.sooner.notified().await;
                continue;
            }
            let at = self.started + Duration::from_micros(next);
            tokio::select! {
                () = tokio::time::sleep_until(at.into()) => return,
                () = self.sooner.notified() => {}
            }
        }
    }

    /// Returns when a deadline was noted anew.
    async fn wait_for_news(&self) {
        self.asleep_until.store(NEVER, Ordering::SeqCst);
        self.sooner.notified().await;
    }
}

fn on_the_grid(micros: u64) -> u64 {
    let grid = TIMER_GRID.as_micros() as u64;
    micros.div_ceil(grid).saturating_mul(grid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_move_to_the_grid_and_never_before_their_time() {
        for (deadline, rings) in [(0, 0), (1, 20_000), (20_000, 20_000), (20_001, 40_000)] {
            assert_eq!(on_the_grid(deadline), rings);
        }
        assert!(on_the_grid(u64::MAX - 1) >= u64::MAX - 1);
    }

    #[test]
    fn an_alarm_rings_at_the_soonest_deadline() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let alarm = std::sync::Arc::new(Alarm::new(Instant::now()));
        alarm.set(Some(60_000_000));
        let other = std::sync::Arc::clone(&alarm);
        let sets = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(30));
            other.set(Some(100_000));
        });
        runtime.block_on(alarm.ring());
        let rang = alarm.started.elapsed();
        sets.join().unwrap();
        assert!(rang >= Duration::from_millis(100), "{rang:?}");
        assert!(rang < Duration::from_secs(10), "{rang:?}");
    }
}
