//! The one thread that writes records: what waits becomes one transaction, and what
//! cannot be written now is kept and tried again.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::alert::{Alarm, AlertDesk};
use crate::lines::Lines;
use crate::record::CallRecord;
use crate::recorder::{Item, Receipt, Shared, Stage};
use crate::spool::Outbox;
use crate::sqlite::Store;

/// Pause after the first failure, doubled with each further one.
const RETRY_FIRST: Duration = Duration::from_millis(100);
/// Longest pause: a disk that has room again is noticed soon.
const RETRY_LONGEST: Duration = Duration::from_secs(5);
/// How long a proxy that stops keeps trying.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// How often old records are looked for.
const TRIM_EVERY: Duration = Duration::from_secs(60);
/// Deletions in one go; with [`crate::sqlite::TRIM_ROWS`] each more than a day of calls
/// is deleted within the hour.
const TRIMS: usize = 10;

/// Everything a record is written to.
#[derive(Debug, Default)]
pub(crate) struct Sinks {
    pub(crate) store: Option<Kept>,
    pub(crate) lines: Option<Lines>,
    pub(crate) outbox: Option<Outbox>,
}

/// SQLite, and how much of it is kept.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) store: Store,
    pub(crate) keep: Option<Duration>,
    pub(crate) keep_records: u64,
}

/// Told which records are committed.
pub(crate) type Confirm = Box<dyn Fn(&[Receipt]) + Send>;

/// What the thread owns.
pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) sinks: Sinks,
    pub(crate) changes: mpsc::Receiver<Sinks>,
    pub(crate) confirm: Confirm,
    pub(crate) desk: AlertDesk,
    pub(crate) lost_told: u64,
    pub(crate) trimmed: Instant,
}

/// Which sinks have the batch already, while another one fails.
#[derive(Default)]
struct Progress {
    store: bool,
    lines: bool,
    outbox: bool,
}

impl Writer {
    /// Write until the service is closed and nothing waits.
    pub(crate) fn run(mut self) {
        loop {
            let closed = self.shared.closed.load(Ordering::Relaxed);
            let batch = self.shared.take();
            self.change();
            self.tell_lost();
            if batch.is_empty() {
                if closed {
                    return;
                }
                self.trim();
                continue;
            }
            if !self.write(latest(batch)) {
                return;
            }
        }
    }

    /// Other sinks from now on, if there are some.
    fn change(&mut self) {
        while let Ok(sinks) = self.changes.try_recv() {
            self.sinks = sinks;
        }
    }

    /// False if the proxy stops and nothing can be written.
    fn write(&mut self, batch: Vec<Item>) -> bool {
        let mut progress = Progress::default();
        let mut pause = RETRY_FIRST;
        let mut patience: Option<Instant> = None;
        while let Err(problem) = self.sinks.write(&batch, &mut progress) {
            self.shared.failed.fetch_add(1, Ordering::Relaxed);
            tracing::error!(records = batch.len(), %problem, "records cannot be written; trying again");
            self.alarm(
                "records-failing",
                format!("call records cannot be written: {problem}"),
            );
            if self.shared.closed.load(Ordering::Relaxed) {
                let since = patience.get_or_insert_with(Instant::now);
                if since.elapsed() >= LAST_WORDS {
                    self.give_up(&batch);
                    return false;
                }
            }
            self.shared.pause(pause);
            pause = (pause * 2).min(RETRY_LONGEST);
            self.tell_lost();
            if let Ok(sinks) = self.changes.try_recv() {
                self.sinks = sinks;
                progress = Progress::default();
            }
        }
        let finished = batch.iter().filter(|item| item.stage == Stage::Finished);
        let finished = finished.count() as u64;
        self.shared.written.fetch_add(finished, Ordering::Relaxed);
        let receipts: Vec<Receipt> = batch.iter().filter_map(|item| item.receipt).collect();
        if !receipts.is_empty() {
            (self.confirm)(&receipts);
        }
        true
    }

    fn give_up(&self, batch: &[Item]) {
        let finished = batch.iter().filter(|item| item.stage == Stage::Finished);
        let count = finished.count() as u64;
        self.shared.lost.fetch_add(count, Ordering::Relaxed);
        let lost = count + self.shared.give_up();
        tracing::error!(lost, "stopping without these call records");
    }

    /// Never silently: each loss is in the figures, and alerted.
    fn tell_lost(&mut self) {
        let lost = self.shared.lost.load(Ordering::Relaxed);
        if lost > self.lost_told {
            let more = lost - self.lost_told;
            self.lost_told = lost;
            self.alarm(
                "records-lost",
                format!("{more} call records are lost: their queue was full"),
            );
        }
    }

    fn alarm(&self, key: &str, text: String) {
        self.desk.raise(Alarm::of_host(key, text));
    }

    fn trim(&mut self) {
        if self.trimmed.elapsed() < TRIM_EVERY {
            return;
        }
        self.trimmed = Instant::now();
        let Some(kept) = &mut self.sinks.store else {
            return;
        };
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let before = kept
            .keep
            .map_or(Duration::ZERO, |keep| now.saturating_sub(keep));
        let before_ms = u64::try_from(before.as_millis()).unwrap_or(0);
        for _ in 0..TRIMS {
            match kept.store.trim(before_ms, kept.keep_records) {
                Ok(0) => return,
                Ok(gone) => tracing::debug!(gone, "old call records are deleted"),
                Err(error) => return tracing::warn!(%error, "old call records cannot be deleted"),
            }
        }
    }
}

impl Sinks {
    fn write(&mut self, batch: &[Item], progress: &mut Progress) -> Result<(), String> {
        let all = || batch.iter().map(|item| &*item.record);
        let finished = || {
            let finished = batch.iter().filter(|item| item.stage == Stage::Finished);
            finished.map(|item| &*item.record)
        };
        if let Some(kept) = self.store.as_mut().filter(|_| !progress.store) {
            kept.store.write(all()).map_err(|error| error.to_string())?;
            progress.store = true;
        }
        if let Some(lines) = self.lines.as_mut().filter(|_| !progress.lines) {
            let written = lines.write(finished());
            written.map_err(|error| format!("JSON lines: {error}"))?;
            progress.lines = true;
        }
        if let Some(outbox) = self.outbox.as_mut().filter(|_| !progress.outbox) {
            let written = outbox.write(finished());
            written.map_err(|error| format!("spool of the webhook: {error}"))?;
            progress.outbox = true;
        }
        Ok(())
    }
}

/// A call that began and ended within one batch is written once. Order is kept.
fn latest(batch: Vec<Item>) -> Vec<Item> {
    if batch.iter().all(|item| item.stage == Stage::Finished) {
        return batch;
    }
    let last: BTreeMap<String, usize> = batch
        .iter()
        .enumerate()
        .map(|(place, item)| (item.record.id.clone(), place))
        .collect();
    let is_last = |place: usize, record: &CallRecord| last.get(&record.id) == Some(&place);
    batch
        .into_iter()
        .enumerate()
        .filter(|(place, item)| is_last(*place, &item.record))
        .map(|(_, item)| item)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_within_a_batch_is_written_once() {
        let item = |id: &str, stage| Item {
            record: Box::new(CallRecord {
                id: id.to_owned(),
                ..CallRecord::default()
            }),
            stage,
            receipt: None,
        };
        use Stage::{Finished, UnderWay};
        let batch = vec![
            item("a", UnderWay),
            item("b", UnderWay),
            item("a", Finished),
            item("c", Finished),
        ];
        let kept: Vec<_> = latest(batch)
            .into_iter()
            .map(|item| (item.record.id, item.stage))
            .collect();
        let expected = [("b", UnderWay), ("a", Finished), ("c", Finished)];
        assert_eq!(kept, expected.map(|(id, stage)| (id.to_owned(), stage)));
    }
}
