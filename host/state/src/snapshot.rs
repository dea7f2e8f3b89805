//! The snapshot: all durable state at one time, in one redb file.
//!
//! Each snapshot is written to a new file that takes the old one's place when
//! it is complete and on disk, so there is always a whole one. A sum over all rows
//! is kept beside them and compared on loading: redb checks its own pages, and
//! this checks that they are the rows that were written.

use std::{
    fs::OpenOptions,
    os::unix::fs::OpenOptionsExt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use redb::{
    Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction,
    backends::FileBackend,
};

use crate::{
    error::StateError,
    journal::{FILE_MODE, sync_directory},
};

/// Rows of one kind: encoded key to encoded entry.
type Rows = TableDefinition<'static, &'static [u8], &'static [u8]>;

const WINDOWS: Rows = TableDefinition::new("windows");
const VALUES: Rows = TableDefinition::new("values");
const META: TableDefinition<'static, &'static str, u128> = TableDefinition::new("meta");

/// The layout of this file; another one is refused and not guessed at.
const VERSION: u128 = 1;

/// Page cache in bytes. Snapshots are written and read once, front to back.
const CACHE_BYTES: usize = 4 << 20;

const FILE_NAME: &str = "state.redb";
const DRAFT_NAME: &str = "state.redb.new";

/// One row, as it is handed to and from a snapshot.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Row<'a> {
    /// A durable sliding window.
    Window { key: &'a [u8], entry: &'a [u8] },
    /// A value.
    Value { key: &'a [u8], entry: &'a [u8] },
}

/// Path of the snapshot.
pub(crate) fn path_of(directory: &Path) -> PathBuf {
    directory.join(FILE_NAME)
}

/// A snapshot that is being written.
pub(crate) struct Writer {
    directory: PathBuf,
    database: Database,
    transaction: WriteTransaction,
    rows: u64,
    sum: u128,
}

impl Writer {
    /// Begins a snapshot beside the present one.
    pub(crate) fn begin(directory: &Path) -> Result<Self, StateError> {
        let draft = directory.join(DRAFT_NAME);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(FILE_MODE)
            .open(&draft)
            .map_err(StateError::io("create snapshot", &draft))?;
        let backend = FileBackend::new(file).map_err(failed(&draft))?;
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create_with_backend(backend)
            .map_err(failed(&draft))?;
        let transaction = database.begin_write().map_err(failed(&draft))?;
        Ok(Self {
            directory: directory.to_path_buf(),
            database,
            transaction,
            rows: 0,
            sum: 0,
        })
    }

    /// Writes some rows of a table.
    pub(crate) fn write(&mut self, batch: &Batch) -> Result<(), StateError> {
        let draft = self.directory.join(DRAFT_NAME);
        for (definition, rows) in [(WINDOWS, &batch.windows), (VALUES, &batch.values)] {
            let mut table = self
                .transaction
                .open_table(definition)
                .map_err(failed(&draft))?;
            for (key, entry) in rows {
                table.insert(&**key, &**entry).map_err(failed(&draft))?;
                self.rows += 1;
                self.sum = self.sum.wrapping_add(digest_of(key, entry));
            }
        }
        Ok(())
    }

    /// Puts the snapshot in the place of the old one.
    pub(crate) fn finish(self, generation: u64) -> Result<(), StateError> {
        let draft = self.directory.join(DRAFT_NAME);
        {
            let mut meta = self.transaction.open_table(META).map_err(failed(&draft))?;
            for (name, figure) in [
                ("version", VERSION),
                ("generation", u128::from(generation)),
                ("rows", u128::from(self.rows)),
                ("sum", self.sum),
                ("check", check_of(generation, self.rows.into(), self.sum)),
            ] {
                meta.insert(name, figure).map_err(failed(&draft))?;
            }
        }
        // redb flushes on commit; closing marks the file clean.
        self.transaction.commit().map_err(failed(&draft))?;
        self.database.close().map_err(failed(&draft))?;
        let path = path_of(&self.directory);
        std::fs::rename(&draft, &path).map_err(StateError::io("rename snapshot to", &path))?;
        sync_directory(&self.directory)
    }
}

/// An encoded key and entry.
type EncodedRow = (Box<[u8]>, Box<[u8]>);

/// Encoded rows on their way into a snapshot.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Sliding windows.
    pub(crate) windows: Vec<EncodedRow>,
    /// Values.
    pub(crate) values: Vec<EncodedRow>,
}

/// Reads the snapshot, if there is one; returns its generation.
pub(crate) fn load(
    directory: &Path,
    mut apply: impl FnMut(Row<'_>) -> bool,
) -> Result<Option<u64>, StateError> {
    let path = path_of(directory);
    match std::fs::metadata(&path) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StateError::io("read snapshot", &path)(error)),
    }
    // A damaged file may meet an assertion in redb before a check: that too must
    // end as an error that names the file.
    let loaded = catch_unwind(AssertUnwindSafe(|| load_rows(&path, &mut apply)));
    let detail = match loaded {
        Ok(Ok(generation)) => return Ok(Some(generation)),
        Ok(Err(detail)) => detail,
        Err(_) => "the store cannot make sense of it".to_owned(),
    };
    Err(StateError::Damaged { file: path, detail })
}

fn load_rows(path: &Path, apply: &mut impl FnMut(Row<'_>) -> bool) -> Result<u64, String> {
    let database = Database::builder()
        .set_cache_size(CACHE_BYTES)
        .open_read_only(path)
        .map_err(text)?;
    let transaction = database.begin_read().map_err(text)?;
    let meta = transaction.open_table(META).map_err(text)?;
    let figure = |name: &str| -> Result<u128, String> {
        let found = meta.get(name).map_err(text)?;
        found
            .map(|guard| guard.value())
            .ok_or_else(|| format!("it has no {name}"))
    };
    let version = figure("version")?;
    if version != VERSION {
        return Err(format!(
            "it has layout {version}, and this version of sipward reads {VERSION}"
        ));
    }
    let (mut rows, mut sum) = (0u128, 0u128);
    for (definition, is_window) in [(WINDOWS, true), (VALUES, false)] {
        let table = match transaction.open_table(definition) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => continue,
            Err(error) => return Err(text(error)),
        };
        for row in table.iter().map_err(text)? {
            let (key, entry) = row.map_err(text)?;
            let (key, entry) = (key.value(), entry.value());
            rows += 1;
            sum = sum.wrapping_add(digest_of(key, entry));
            let row = if is_window {
                Row::Window { key, entry }
            } else {
                Row::Value { key, entry }
            };
            if !apply(row) {
                return Err(format!("row {rows} makes no sense"));
            }
        }
    }
    if rows != figure("rows")? || sum != figure("sum")? {
        return Err("its rows are not those that were written".to_owned());
    }
    let generation = figure("generation")?;
    u64::try_from(generation)
        .ok()
        .filter(|&generation| figure("check") == Ok(check_of(generation, rows, sum)))
        .ok_or_else(|| format!("generation {generation} is not the one that was written"))
}

/// Ties the figures of a snapshot together: a wrong generation would have
/// journals thrown away that are still needed.
fn check_of(generation: u64, rows: u128, sum: u128) -> u128 {
    let mut figures = [0; 32];
    let (first, second) = figures.split_at_mut(16);
    first.copy_from_slice(&rows.to_le_bytes());
    second.copy_from_slice(&sum.to_le_bytes());
    digest_of(&generation.to_le_bytes(), &figures)
}

/// A hash of a row, to be added up in any order.
fn digest_of(key: &[u8], entry: &[u8]) -> u128 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(key.len() as u64).to_le_bytes());
    hasher.update(key);
    hasher.update(entry);
    let hash = hasher.finalize();
    hash.as_bytes()
        .first_chunk::<16>()
        .map_or(0, |half| u128::from_le_bytes(*half))
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn failed<E: std::fmt::Display>(file: &Path) -> impl FnOnce(E) -> StateError + use<E> {
    let file = file.to_path_buf();
    move |error| StateError::Snapshot {
        file,
        detail: error.to_string(),
    }
}
