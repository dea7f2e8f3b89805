//! The three tables, and how durable entries get from and to the disk.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::{
    bucket::Bucket,
    durable::Restore,
    error::StateError,
    key::Key,
    limits::Limits,
    quota::{Ceilings, Full},
    record::{Record, decode_value, decode_window, encode_window},
    snapshot::{Batch, Row, Writer},
    table::{Mortal, Table},
    window::Window,
};

/// Bytes that an entry costs besides its key and value, for the byte ceilings.
pub(crate) const ENTRY_BYTES: usize = 96;

/// Rows that a checkpoint collects before it hands them to the store, so that it
/// holds one batch in memory and no lock while it writes.
const BATCH_ROWS: usize = 4_096;

/// All tables.
pub(crate) struct Tables {
    pub(crate) windows: Table<Window>,
    pub(crate) buckets: Table<Bucket>,
    pub(crate) values: Table<Value>,
    opened_ms: u64,
    left_out: AtomicU64,
}

/// One value of the key-value store.
pub(crate) struct Value {
    pub(crate) data: Bytes,
    /// 0 means never.
    pub(crate) expires_ms: u64,
}

impl Mortal for Value {
    fn is_dead(&self, now_ms: u64) -> bool {
        self.expires_ms != 0 && now_ms >= self.expires_ms
    }
}

impl Tables {
    pub(crate) fn new(limits: &Limits, opened_ms: u64) -> Self {
        let entries = |entries, scope_entries| Ceilings {
            entries,
            scope_entries,
            // Keys are bounded, so the number of entries bounds their bytes.
            bytes: usize::MAX,
            scope_bytes: usize::MAX,
            scopes: limits.scopes,
        };
        Self {
            windows: Table::new(entries(limits.windows, limits.windows_per_scope)),
            buckets: Table::new(entries(limits.buckets, limits.buckets_per_scope)),
            values: Table::new(Ceilings {
                entries: limits.values,
                bytes: limits.values_total_bytes,
                scope_entries: limits.values_per_scope,
                scope_bytes: limits.values_per_scope_bytes,
                scopes: limits.scopes,
            }),
            opened_ms,
            left_out: AtomicU64::new(0),
        }
    }

    /// Hands every durable entry to a snapshot, in batches.
    pub(crate) fn fill(&self, writer: &mut Writer) -> Result<(), StateError> {
        // Rows are copied under the lock of their shard and written without it.
        let mut batch = Batch::default();
        for shard in self.windows.shards() {
            self.windows.visit(shard, |entry| {
                if entry.value.durable {
                    let row = Box::from(encode_window(&entry.value));
                    batch.windows.push((entry.key().into(), row));
                }
            });
            write_if(&mut batch, writer, BATCH_ROWS)?;
        }
        for shard in self.values.shards() {
            self.values.visit(shard, |entry| {
                let mut row = Vec::with_capacity(8 + entry.value.data.len());
                row.extend_from_slice(&entry.value.expires_ms.to_le_bytes());
                row.extend_from_slice(&entry.value.data);
                batch.values.push((entry.key().into(), row.into()));
            });
            write_if(&mut batch, writer, BATCH_ROWS)?;
        }
        write_if(&mut batch, writer, 1)
    }

    fn leave_out(&self) {
        self.left_out.fetch_add(1, Ordering::Relaxed);
    }

    /// Entries on disk that the limits had no room for.
    pub(crate) fn left_out(&self) -> u64 {
        self.left_out.load(Ordering::Relaxed)
    }

    fn restore_window(&self, key: &Key<'_>, window: Window) {
        let mut slot = self.windows.lock(key);
        if window.is_dead(self.opened_ms) {
            slot.remove();
        } else if let Some(entry) = slot.find() {
            entry.value = window;
        } else {
            match slot.seat(key.encoded_len() + ENTRY_BYTES, self.opened_ms) {
                Ok(seat) => slot.insert(seat, window),
                Err(Full) => self.leave_out(),
            }
        }
    }

    fn restore_value(&self, key: &Key<'_>, expires_ms: u64, data: &[u8]) {
        let mut slot = self.values.lock(key);
        let value = Value {
            data: Bytes::copy_from_slice(data),
            expires_ms,
        };
        // The old value is superseded whatever becomes of the new one.
        slot.remove();
        if value.is_dead(self.opened_ms) {
            return;
        }
        match slot.seat(key.encoded_len() + data.len() + ENTRY_BYTES, self.opened_ms) {
            Ok(seat) => slot.insert(seat, value),
            Err(Full) => self.leave_out(),
        }
    }
}

/// Hands a batch over once it has so many rows.
fn write_if(batch: &mut Batch, writer: &mut Writer, rows: usize) -> Result<(), StateError> {
    if batch.windows.len() + batch.values.len() >= rows {
        writer.write(batch)?;
        batch.windows.clear();
        batch.values.clear();
    }
    Ok(())
}

impl Restore for Tables {
    fn restore_row(&self, row: Row<'_>) -> bool {
        match row {
            Row::Window { key, entry } => Key::decode(key)
                .zip(decode_window(entry))
                .map(|(key, window)| self.restore_window(&key, window))
                .is_some(),
            Row::Value { key, entry } => Key::decode(key)
                .zip(decode_value(entry))
                .map(|(key, (expires_ms, data))| self.restore_value(&key, expires_ms, data))
                .is_some(),
        }
    }

    fn restore_record(&self, record: &Record<'_>) {
        match record {
            Record::Window { key, window } => self.restore_window(key, *window),
            Record::WindowReset { key } => {
                self.windows.lock(key).remove();
            }
            Record::Value {
                key,
                expires_ms,
                data,
            } => self.restore_value(key, *expires_ms, data),
            Record::ValueDelete { key } => {
                self.values.lock(key).remove();
            }
        }
    }
}
