//! The state directory: which files there are, and in which order they change.
//!
//! ```text
//! lock                 held while the directory is open
//! state.redb           snapshot of generation S, absent before the first one
//! journal.S ...        what has changed since, oldest first
//! *.new                drafts, meaningless after a crash
//! ```
//!
//! A checkpoint of generation G: (1) begin journal G+1; (2) write all durable
//! state, as it is by then, to a snapshot of generation G+1; (3) rename it into
//! place; (4) delete journals up to G. Killed after (1), both journals are
//! replayed on the old snapshot. Killed after (3), journals older than the
//! snapshot are deleted unread. A change during (2) is in journal G+1 and perhaps
//! in the snapshot too; records hold whole states, so that makes no difference.
//!
//! Locks are taken in this order: checkpoint, then a shard of a table, then the
//! journal.

use std::{
    fs::{File, OpenOptions, TryLockError},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};

use crate::{
    error::StateError,
    journal::{self, AppendError, FILE_MODE, Journal},
    limits::Limits,
    record::Record,
    snapshot::{self, Row, Writer},
};

/// How long after a failed checkpoint the next one is tried. Long enough that a
/// full disk does not turn every write into a snapshot.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Least bytes for the journals: below it a checkpoint would follow every write.
const JOURNAL_BYTES_MIN: u64 = 64 << 10;

/// The directory of an open state.
pub(crate) struct Durable {
    directory: PathBuf,
    journals: Mutex<Journals>,
    checkpoint: Mutex<Option<Instant>>,
    signal: Signal,
    limits: Limits,
    failures: AtomicU64,
    checkpoints: AtomicU64,
    // Declared last: given up when everything else is closed.
    _lock: File,
}

struct Journals {
    current: Journal,
    /// Bytes in journals before the current one, until a checkpoint succeeds.
    older_bytes: u64,
}

/// Wakes the checkpoint thread.
#[derive(Default)]
struct Signal {
    wanted: Mutex<Wanted>,
    changed: Condvar,
}

#[derive(Default)]
struct Wanted {
    checkpoint: bool,
    stop: bool,
}

/// Where replayed state goes.
pub(crate) trait Restore {
    /// A row of the snapshot; false if it makes no sense.
    fn restore_row(&self, row: Row<'_>) -> bool;
    /// A record of a journal.
    fn restore_record(&self, record: &Record<'_>);
}

impl Durable {
    /// Opens a directory, making it if need be, and replays what is in it.
    pub(crate) fn open(
        directory: &Path,
        limits: Limits,
        restore: &impl Restore,
    ) -> Result<Self, StateError> {
        let lock = lock_directory(directory)?;
        let files = Files::list(directory)?;
        let snapshot = snapshot::load(directory, |row| restore.restore_row(row))?;
        let base = snapshot.unwrap_or(0);
        files.check_complete(directory, snapshot)?;
        for draft in &files.drafts {
            remove(draft)?;
        }
        for &generation in files.journals.iter().filter(|&&found| found < base) {
            remove(&journal::path_of(directory, generation))?;
        }
        let mut older_bytes = 0;
        let mut last = None;
        for &generation in files.journals.iter().filter(|&&found| found >= base) {
            let replayed = journal::replay(directory, generation, |record| {
                restore.restore_record(record)
            })?;
            if replayed.torn > 0 {
                tracing::warn!(
                    file = %journal::path_of(directory, generation).display(),
                    bytes = replayed.torn,
                    "cut a torn record off the journal; it was never acknowledged",
                );
            }
            if let Some(previous) = last.replace(replayed) {
                let previous: journal::Replayed = previous;
                older_bytes += previous.length;
            }
        }
        let current = match last {
            Some(replayed) => Journal::resume(directory, &replayed, limits.durability)?,
            None => Journal::create(directory, 0, limits.durability)?,
        };
        let durable = Self {
            directory: directory.to_path_buf(),
            journals: Mutex::new(Journals {
                current,
                older_bytes,
            }),
            checkpoint: Mutex::default(),
            signal: Signal::default(),
            limits,
            failures: AtomicU64::new(0),
            checkpoints: AtomicU64::new(0),
            _lock: lock,
        };
        if durable.journal_bytes() > durable.bound() / 2 {
            durable.signal.want();
        }
        Ok(durable)
    }

    /// Appends a record; it survives the process when this returns.
    pub(crate) fn append(&self, record: &Record<'_>) -> Result<(), AppendError> {
        let mut journals = self.journals.lock();
        let bound = self.bound().saturating_sub(journals.older_bytes);
        let appended = journals.current.append(record, bound);
        let total = journals.older_bytes + journals.current.length();
        drop(journals);
        if total > self.bound() / 2 {
            self.signal.want();
        }
        if let Err(AppendError::Failed(error)) = &appended {
            self.count_failure(&error.to_string());
        }
        appended
    }

    /// Counts a durable write that is not durable, and logs ever fewer of them.
    pub(crate) fn count_failure(&self, detail: &str) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        if failures.is_power_of_two() {
            tracing::error!(
                directory = %self.directory.display(), failures, detail,
                "failed to write the state journal; free space or repair the disk",
            );
        }
    }

    /// Writes a snapshot with the rows that `fill` gives it, and begins a new
    /// journal. Waits for a checkpoint that is under way.
    pub(crate) fn checkpoint(
        &self,
        fill: impl FnOnce(&mut Writer) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        let mut failed_at = self.checkpoint.lock();
        let done = self.checkpoint_locked(fill);
        *failed_at = done.is_err().then(Instant::now);
        done
    }

    /// As `checkpoint`, because the journal is full. Does nothing if another
    /// thread has made room meanwhile, or a checkpoint has just failed.
    pub(crate) fn make_room(
        &self,
        fill: impl FnOnce(&mut Writer) -> Result<(), StateError>,
    ) -> bool {
        let before = self.checkpoints.load(Ordering::Relaxed);
        let mut failed_at = self.checkpoint.lock();
        if self.checkpoints.load(Ordering::Relaxed) != before {
            return true;
        }
        if failed_at.is_some_and(|at| at.elapsed() < RETRY_AFTER) {
            return false;
        }
        match self.checkpoint_locked(fill) {
            Ok(()) => {
                *failed_at = None;
                true
            }
            Err(error) => {
                *failed_at = Some(Instant::now());
                tracing::error!(%error, "failed to make room in the state journal");
                false
            }
        }
    }

    fn checkpoint_locked(
        &self,
        fill: impl FnOnce(&mut Writer) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        let generation = self.journals.lock().current.generation() + 1;
        // Made before the lock is taken: nobody waits for its flush.
        let next = Journal::create(&self.directory, generation, self.limits.durability)?;
        {
            let mut journals = self.journals.lock();
            journals.older_bytes += journals.current.length();
            journals.current = next;
        }
        let mut writer = Writer::begin(&self.directory)?;
        fill(&mut writer)?;
        writer.finish(generation)?;
        self.journals.lock().older_bytes = 0;
        self.checkpoints.fetch_add(1, Ordering::Relaxed);
        for old in Files::list(&self.directory)?.journals {
            if old < generation {
                remove(&journal::path_of(&self.directory, old))?;
            }
        }
        Ok(())
    }

    /// Waits until a checkpoint is wanted; false when it is time to end.
    pub(crate) fn wait(&self) -> bool {
        let mut wanted = self.signal.wanted.lock();
        while !wanted.stop && !wanted.checkpoint {
            self.signal.changed.wait(&mut wanted);
        }
        wanted.checkpoint = false;
        !wanted.stop
    }

    /// Ends the thread that waits.
    pub(crate) fn stop(&self) {
        self.signal.wanted.lock().stop = true;
        self.signal.changed.notify_all();
    }

    /// Bytes in all journals.
    pub(crate) fn journal_bytes(&self) -> u64 {
        let journals = self.journals.lock();
        journals.older_bytes + journals.current.length()
    }

    /// Generation of the journal that is being written.
    pub(crate) fn generation(&self) -> u64 {
        self.journals.lock().current.generation()
    }

    /// Durable writes that could not be written.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Checkpoints since the state was opened.
    pub(crate) fn checkpoints(&self) -> u64 {
        self.checkpoints.load(Ordering::Relaxed)
    }

    fn bound(&self) -> u64 {
        self.limits.journal_bytes.max(JOURNAL_BYTES_MIN)
    }
}

impl Signal {
    fn want(&self) {
        let mut wanted = self.wanted.lock();
        if !wanted.checkpoint {
            wanted.checkpoint = true;
            self.changed.notify_all();
        }
    }
}

/// The files of a state directory.
struct Files {
    /// Generations, ascending.
    journals: Vec<u64>,
    drafts: Vec<PathBuf>,
}

impl Files {
    fn list(directory: &Path) -> Result<Self, StateError> {
        let read = StateError::io("read directory", directory);
        let mut files = Self {
            journals: Vec::new(),
            drafts: Vec::new(),
        };
        let entries = std::fs::read_dir(directory)
            .and_then(|entries| entries.collect::<Result<Vec<_>, _>>())
            .map_err(read)?;
        for entry in entries {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if let Some(generation) = journal::generation_of(name) {
                files.journals.push(generation);
            } else if (name.starts_with("journal.") || name.starts_with("state."))
                && name.ends_with(".new")
            {
                files.drafts.push(entry.path());
            }
        }
        files.journals.sort_unstable();
        Ok(files)
    }

    /// Whether no file is missing that the others prove to have existed.
    fn check_complete(&self, directory: &Path, snapshot: Option<u64>) -> Result<(), StateError> {
        let present: Vec<u64> = self
            .journals
            .iter()
            .copied()
            .filter(|&generation| generation >= snapshot.unwrap_or(0))
            .collect();
        let Some(first) = present.first().or(snapshot.as_ref()) else {
            return Ok(());
        };
        if snapshot.is_none() && *first > 0 {
            return Err(StateError::Missing {
                file: snapshot::path_of(directory),
                detail: format!("journal {first} continues it"),
            });
        }
        let base = snapshot.unwrap_or(0);
        let last = present.last().copied().unwrap_or(base);
        for generation in base..=last {
            if !present.contains(&generation) {
                return Err(StateError::Missing {
                    file: journal::path_of(directory, generation),
                    detail: "it holds what changed after the last snapshot".to_owned(),
                });
            }
        }
        Ok(())
    }
}

/// How long to wait for a directory that another process has open. 1 s: the kernel gives
/// the lock of a process that was killed free some moments after its end was told, and
/// whoever starts the next one at once shall not be refused.
const LOCK_WAIT: Duration = Duration::from_secs(1);
/// How often to look meanwhile.
const LOCK_EVERY: Duration = Duration::from_millis(10);

fn lock_directory(directory: &Path) -> Result<File, StateError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(StateError::io("create directory", directory))?;
    let path = directory.join("lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(&path)
        .map_err(StateError::io("open lock file", &path))?;
    let waits = Instant::now() + LOCK_WAIT;
    let mut locked = file.try_lock();
    while matches!(locked, Err(TryLockError::WouldBlock)) && Instant::now() < waits {
        std::thread::sleep(LOCK_EVERY);
        locked = file.try_lock();
    }
    match locked {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StateError::InUse {
            directory: directory.to_path_buf(),
        }),
        Err(TryLockError::Error(error)) => Err(StateError::io("lock", &path)(error)),
    }
}

fn remove(path: &Path) -> Result<(), StateError> {
    std::fs::remove_file(path).map_err(StateError::io("remove", path))
}
