//! What [`State`](crate::State) does under the locks: tables first, then journal.

use bytes::Bytes;

use crate::{
    durable::Durable,
    error::{CounterError, KvError},
    journal::AppendError,
    key::Key,
    limits::Limits,
    quota::Full,
    record::Record,
    table::Slot,
    tables::{ENTRY_BYTES, Tables, Value},
    window::Window,
};

/// What all clones of a state share.
pub(crate) struct Inner {
    pub(crate) limits: Limits,
    pub(crate) tables: Tables,
    pub(crate) durable: Option<Durable>,
}

/// What became of a durable write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Journalled {
    /// No room in the journal; a checkpoint makes some.
    Full,
    /// The disk failed; counted and logged.
    Failed,
}

/// Why a value was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SetError {
    /// The table is full; sweeping may help.
    Table,
    /// The journal is full; a checkpoint may help.
    Journal,
    /// The disk failed; counted and logged.
    Failed,
}

impl From<Journalled> for SetError {
    fn from(error: Journalled) -> Self {
        match error {
            Journalled::Full => Self::Journal,
            Journalled::Failed => Self::Failed,
        }
    }
}

impl From<Full> for SetError {
    fn from(_: Full) -> Self {
        Self::Table
    }
}

impl From<Full> for CounterError {
    fn from(_: Full) -> Self {
        Self::Full
    }
}

impl Inner {
    /// Adds to the window in a slot, and says how the journal took it.
    pub(crate) fn add_window(
        &self,
        slot: &mut Slot<'_, Window>,
        key: &Key<'_>,
        amount: u32,
        window_ms: u64,
        durable: bool,
        now_ms: u64,
    ) -> Result<(u64, Result<(), Journalled>), Full> {
        if amount == 0 {
            // Reading changes nothing that must last.
            let count = slot.find().map_or(0, |entry| {
                let mut copy = entry.value;
                copy.add(0, window_ms, now_ms)
            });
            return Ok((count, Ok(())));
        }
        if slot.find().is_none() {
            let seat = slot.seat(key.encoded_len() + ENTRY_BYTES, now_ms)?;
            slot.insert(seat, Window::new(window_ms, now_ms));
        }
        let Some(entry) = slot.find() else {
            return Err(Full);
        };
        let count = entry.value.add(amount, window_ms, now_ms);
        entry.value.durable |= durable;
        let window = entry.value;
        let appended = if durable {
            self.append(&Record::Window { key: *key, window })
        } else {
            Ok(())
        };
        Ok((count, appended))
    }

    /// Journals a value, then puts it into its slot.
    pub(crate) fn set_value(
        &self,
        slot: &mut Slot<'_, Value>,
        key: &Key<'_>,
        data: &[u8],
        expires_ms: u64,
        now_ms: u64,
    ) -> Result<(), SetError> {
        let bytes = key.encoded_len() + data.len() + ENTRY_BYTES;
        let record = Record::Value {
            key: *key,
            expires_ms,
            data,
        };
        let Some(entry) = slot.find() else {
            let seat = slot.seat(bytes, now_ms)?;
            self.append(&record)?;
            let data = Bytes::copy_from_slice(data);
            slot.insert(seat, Value { data, expires_ms });
            return Ok(());
        };
        let before = entry.seat.bytes();
        entry.seat.grow(bytes)?;
        if let Err(error) = self.append(&record) {
            entry.seat.shrink(before);
            return Err(error.into());
        }
        entry.seat.shrink(bytes);
        entry.value = Value {
            data: Bytes::copy_from_slice(data),
            expires_ms,
        };
        Ok(())
    }

    pub(crate) fn append(&self, record: &Record<'_>) -> Result<(), Journalled> {
        match &self.durable {
            None => Ok(()),
            Some(durable) => durable.append(record).map_err(|error| match error {
                AppendError::Full => Journalled::Full,
                AppendError::Failed(_) => Journalled::Failed,
            }),
        }
    }

    /// Makes room by a checkpoint. No lock of a table may be held.
    pub(crate) fn make_journal_room(&self) -> bool {
        self.durable
            .as_ref()
            .is_some_and(|durable| durable.make_room(|writer| self.tables.fill(writer)))
    }

    pub(crate) fn count_failure(&self, detail: &str) {
        if let Some(durable) = &self.durable {
            durable.count_failure(detail);
        }
    }

    pub(crate) fn kv_error(&self, error: SetError) -> KvError {
        match error {
            SetError::Table => KvError::Full,
            SetError::Journal => {
                self.count_failure("no room in the journal");
                KvError::Failed
            }
            SetError::Failed => KvError::Failed,
        }
    }

    /// The checkpoint thread.
    pub(crate) fn checkpoint_when_wanted(&self) {
        let Some(durable) = &self.durable else { return };
        while durable.wait() {
            durable.make_room(|writer| self.tables.fill(writer));
        }
    }
}
