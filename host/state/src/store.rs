//! [`State`]: counters and key-value over bounded tables, with what is durable in
//! a journal. What the policy interface promises in `counters` and `keyvalue`.

use std::{path::Path, sync::Arc, thread::JoinHandle};

use bytes::Bytes;

use crate::{
    bucket::{Bucket, Grant},
    durable::Durable,
    error::{CounterError, KvError, StateError},
    inner::{Inner, Journalled, SetError},
    key::Key,
    leases::Leases,
    limits::Limits,
    quota::Full,
    record::Record,
    table::Mortal,
    tables::{ENTRY_BYTES, Tables},
};

/// Largest value that `Limits::value_bytes` can allow: well inside a record.
const VALUE_BYTES_MAX: usize = 8 << 20;

/// How often a write makes room in a full journal. 3: the room that a checkpoint made
/// may be gone to others before this write has its turn.
const JOURNAL_TRIES: usize = 3;

/// Scope of what the host itself keeps. No plugin's scope begins with NUL.
const HOST_SCOPE: &str = "\0host";

/// Shared state of all workers. Cloning is cheap and shares it; the last clone
/// to be dropped closes the files.
#[derive(Clone)]
pub struct State(Arc<Handle>);

/// Ends the checkpoint thread when the last clone goes.
struct Handle {
    inner: Arc<Inner>,
    thread: Option<JoinHandle<()>>,
    leases: Leases,
}

/// What the tables hold and how the disk is doing, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Sliding windows.
    pub windows: usize,
    /// Token buckets.
    pub buckets: usize,
    /// Values.
    pub values: usize,
    /// Bytes of all keys and values, with 96 for each entry.
    pub values_bytes: usize,
    /// Bytes in all journal files.
    pub journal_bytes: u64,
    /// Generation of the journal: how many checkpoints were ever begun.
    pub generation: u64,
    /// Checkpoints completed since the state was opened.
    pub checkpoints: u64,
    /// Durable writes that did not reach the journal since then.
    pub journal_failures: u64,
}

impl State {
    /// Opens the state in a directory, or in memory alone without one.
    ///
    /// # Errors
    /// The directory is in use, cannot be read or written, or a file in it is
    /// damaged or missing. Damaged state is never taken for empty.
    pub fn open(directory: Option<&Path>, limits: Limits, now_ms: u64) -> Result<Self, StateError> {
        let tables = Tables::new(&limits, now_ms);
        let durable = directory
            .map(|directory| Durable::open(directory, limits, &tables))
            .transpose()?;
        if tables.left_out() > 0 {
            tracing::warn!(
                entries = tables.left_out(),
                "the limits are lower than what the state directory holds; entries were left out",
            );
        }
        let leases = Leases::new(&limits);
        let inner = Arc::new(Inner {
            limits,
            tables,
            durable,
        });
        let thread = inner
            .durable
            .is_some()
            .then(|| {
                let inner = Arc::clone(&inner);
                std::thread::Builder::new()
                    .name("state-checkpoint".to_owned())
                    .spawn(move || inner.checkpoint_when_wanted())
            })
            .transpose()
            .map_err(|error| StateError::System {
                action: "start the checkpoint thread",
                detail: error.to_string(),
            })?;
        Ok(Self(Arc::new(Handle {
            inner,
            thread,
            leases,
        })))
    }

    /// What calls hold. In memory only: a restart ends every call.
    #[must_use]
    pub fn leases(&self) -> &Leases {
        &self.0.leases
    }

    /// Adds to a sliding window of `window_ms` and returns the estimated count
    /// within it, the addition included. Adding 0 reads it.
    ///
    /// A `durable` addition is in the journal when this returns. Should the
    /// journal fail, the addition counts in memory, so that a full disk lets
    /// nobody past a lockout; it is logged and in [`Figures`].
    ///
    /// # Errors
    /// [`CounterError::Invalid`] for parts outside their bounds,
    /// [`CounterError::Full`] at a ceiling.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parameters of the policy interface"
    )]
    pub fn add(
        &self,
        scope: &str,
        name: &str,
        key: &[u8],
        amount: u32,
        window_ms: u64,
        durable: bool,
        now_ms: u64,
    ) -> Result<u64, CounterError> {
        let inner = &*self.0.inner;
        let key = Key::counter(scope, name, key).ok_or(CounterError::Invalid)?;
        if window_ms == 0 || window_ms > inner.limits.window_ms {
            return Err(CounterError::Invalid);
        }
        let table = &inner.tables.windows;
        let add = || {
            inner.add_window(
                &mut table.lock(&key),
                &key,
                amount,
                window_ms,
                durable,
                now_ms,
            )
        };
        let (count, appended) = add().or_else(|full| {
            if table.make_room(now_ms) {
                add()
            } else {
                Err(full)
            }
        })?;
        if let Err(Journalled::Full) = appended {
            // The window has moved on; its state as it is now is as good.
            let again = inner.make_journal_room() && {
                let mut slot = table.lock(&key);
                match slot.find() {
                    Some(entry) => {
                        let window = entry.value;
                        inner.append(&Record::Window { key, window }).is_ok()
                    }
                    None => true,
                }
            };
            if !again {
                inner.count_failure("no room in the journal");
            }
        }
        Ok(count)
    }

    /// Forgets a sliding window.
    ///
    /// # Errors
    /// [`CounterError::Invalid`] for parts outside their bounds.
    pub fn reset(&self, scope: &str, name: &str, key: &[u8]) -> Result<(), CounterError> {
        let inner = &*self.0.inner;
        let key = Key::counter(scope, name, key).ok_or(CounterError::Invalid)?;
        let table = &inner.tables.windows;
        let appended = {
            let mut slot = table.lock(&key);
            match slot.remove() {
                Some(entry) if entry.value.durable => inner.append(&Record::WindowReset { key }),
                _ => Ok(()),
            }
        };
        // A checkpoint that makes room also writes a snapshot without the window.
        if appended.is_err() && !inner.make_journal_room() {
            inner.count_failure("no room in the journal");
        }
        Ok(())
    }

    /// Takes tokens from a bucket of `capacity` that refills by
    /// `refill_per_second_milli` thousandths of a token per second. A new bucket
    /// is full. Taking 0 reads it. Buckets are never durable.
    ///
    /// # Errors
    /// [`CounterError::Invalid`] for parts outside their bounds, no capacity, or
    /// more tokens than that; [`CounterError::Full`] at a ceiling.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parameters of the policy interface"
    )]
    pub fn take(
        &self,
        scope: &str,
        name: &str,
        key: &[u8],
        tokens: u32,
        capacity: u32,
        refill_per_second_milli: u32,
        now_ms: u64,
    ) -> Result<Grant, CounterError> {
        let inner = &*self.0.inner;
        let key = Key::counter(scope, name, key).ok_or(CounterError::Invalid)?;
        if capacity == 0 || tokens > capacity {
            return Err(CounterError::Invalid);
        }
        let idle_ms = inner.limits.bucket_idle_ms;
        let draw = |bucket: &mut Bucket| {
            bucket.take(tokens, capacity, refill_per_second_milli, idle_ms, now_ms)
        };
        let table = &inner.tables.buckets;
        let take = || {
            let mut slot = table.lock(&key);
            if let Some(entry) = slot.find() {
                return Ok(draw(&mut entry.value));
            }
            let mut bucket = Bucket::new(capacity, now_ms);
            if tokens > 0 {
                let seat = slot.seat(key.encoded_len() + ENTRY_BYTES, now_ms)?;
                let grant = draw(&mut bucket);
                slot.insert(seat, bucket);
                return Ok(grant);
            }
            Ok(draw(&mut bucket))
        };
        let taken: Result<Grant, Full> = take().or_else(|full| {
            if table.make_room(now_ms) {
                take()
            } else {
                Err(full)
            }
        });
        taken.map_err(CounterError::from)
    }

    /// Reads a value.
    ///
    /// # Errors
    /// [`KvError::Invalid`] for a key outside its bounds.
    pub fn get(&self, scope: &str, key: &str, now_ms: u64) -> Result<Option<Bytes>, KvError> {
        let key = Key::value(scope, key).ok_or(KvError::Invalid)?;
        let mut slot = self.0.inner.tables.values.lock(&key);
        Ok(slot
            .find()
            .filter(|entry| !entry.value.is_dead(now_ms))
            .map(|entry| entry.value.data.clone()))
    }

    /// Writes a value; it is in the journal when this returns. `ttl_ms` 0 keeps
    /// it for ever.
    ///
    /// # Errors
    /// [`KvError::Invalid`] for a key or value outside its bounds,
    /// [`KvError::Full`] at a ceiling, [`KvError::Failed`] if the journal cannot
    /// be written. The old value stays then.
    pub fn set(
        &self,
        scope: &str,
        key: &str,
        data: &[u8],
        ttl_ms: u64,
        now_ms: u64,
    ) -> Result<(), KvError> {
        let inner = &*self.0.inner;
        let key = Key::value(scope, key).ok_or(KvError::Invalid)?;
        if data.len() > inner.limits.value_bytes.min(VALUE_BYTES_MAX) {
            return Err(KvError::Invalid);
        }
        let expires_ms = if ttl_ms == 0 {
            0
        } else {
            now_ms.saturating_add(ttl_ms)
        };
        let table = &inner.tables.values;
        let set = || inner.set_value(&mut table.lock(&key), &key, data, expires_ms, now_ms);
        let mut done = set();
        if matches!(done, Err(SetError::Table)) && table.make_room(now_ms) {
            done = set();
        }
        for _ in 0..JOURNAL_TRIES {
            if !matches!(done, Err(SetError::Journal)) || !inner.make_journal_room() {
                break;
            }
            done = set();
        }
        done.map_err(|error| inner.kv_error(error))
    }

    /// Removes a value; true if there was one.
    ///
    /// # Errors
    /// [`KvError::Invalid`] for a key outside its bounds, [`KvError::Failed`] if
    /// the journal cannot be written. The value stays then.
    pub fn delete(&self, scope: &str, key: &str, now_ms: u64) -> Result<bool, KvError> {
        let inner = &*self.0.inner;
        let key = Key::value(scope, key).ok_or(KvError::Invalid)?;
        let table = &inner.tables.values;
        let delete = || -> Result<bool, SetError> {
            let mut slot = table.lock(&key);
            let Some(entry) = slot.find() else {
                return Ok(false);
            };
            let alive = !entry.value.is_dead(now_ms);
            inner.append(&Record::ValueDelete { key })?;
            slot.remove();
            Ok(alive)
        };
        let mut done = delete();
        for _ in 0..JOURNAL_TRIES {
            if !matches!(done, Err(SetError::Journal)) || !inner.make_journal_room() {
                break;
            }
            done = delete();
        }
        done.map_err(|error| inner.kv_error(error))
    }

    /// A secret of the host by name, made once and kept with the state; a new one
    /// for each start without a directory. For [`digest::Nonces`](crate::digest::Nonces).
    ///
    /// # Errors
    /// [`KvError::Failed`] if there is no randomness or the journal cannot be
    /// written, the others as for [`State::set`].
    pub fn secret(&self, name: &str, now_ms: u64) -> Result<[u8; 32], KvError> {
        if let Some(kept) = self.get(HOST_SCOPE, name, now_ms)?
            && let Ok(secret) = <[u8; 32]>::try_from(&*kept)
        {
            return Ok(secret);
        }
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|_| KvError::Failed)?;
        self.set(HOST_SCOPE, name, &secret, 0, now_ms)?;
        Ok(secret)
    }

    /// Forgets what has expired in the next few shards; to be called a few times
    /// a second. Returns how many entries went.
    pub fn sweep(&self, now_ms: u64) -> usize {
        let tables = &self.0.inner.tables;
        let shards = self.0.inner.limits.sweep_shards;
        tables.windows.sweep(shards, now_ms)
            + tables.buckets.sweep(shards, now_ms)
            + tables.values.sweep(shards, now_ms)
    }

    /// Writes all durable state to the snapshot and begins a new journal. Without
    /// a directory, nothing.
    ///
    /// # Errors
    /// The snapshot cannot be written. Nothing is lost then: the journals stay.
    pub fn checkpoint(&self) -> Result<(), StateError> {
        let inner = &*self.0.inner;
        match &inner.durable {
            Some(durable) => durable.checkpoint(|writer| inner.tables.fill(writer)),
            None => Ok(()),
        }
    }

    /// What the tables hold and how the disk is doing.
    pub fn figures(&self) -> Figures {
        let inner = &*self.0.inner;
        let mut figures = Figures {
            windows: inner.tables.windows.quota().entries(),
            buckets: inner.tables.buckets.quota().entries(),
            values: inner.tables.values.quota().entries(),
            values_bytes: inner.tables.values.quota().bytes(),
            ..Figures::default()
        };
        if let Some(durable) = &inner.durable {
            figures.journal_bytes = durable.journal_bytes();
            figures.generation = durable.generation();
            figures.checkpoints = durable.checkpoints();
            figures.journal_failures = durable.failures();
        }
        figures
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_tuple("State")
            .field(&self.figures())
            .finish()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(durable) = &self.inner.durable {
            durable.stop();
        }
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported already, and nothing is lost by it.
            let _ = thread.join();
        }
    }
}
