//! Records in SQLite, the default: one file that any tool can read.
//!
//! Write-ahead logging, and a transaction is over when its log is synchronised
//! (`synchronous = FULL`), so what is committed outlives `kill -9` and a power cut.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::Type;
use rusqlite::{Connection, OpenFlags, Row, params, params_from_iter};

use crate::record::{CallRecord, StageRecord};
use crate::stages;

/// The layout that this version writes; `PRAGMA user_version`.
const LAYOUT: i64 = 2;

/// The first layout, which had no versions.
const WITHOUT_VERSIONS: i64 = 1;

/// From the first layout to the second.
const ADD_VERSIONS: &str = "ALTER TABLE calls ADD COLUMN versions TEXT NOT NULL DEFAULT '[]'";

/// How long to wait for somebody who reads or copies the file.
const BUSY: Duration = Duration::from_secs(5);

/// Rows deleted in one go, a few milliseconds of work, so that records never wait long
/// for those that are thrown away.
pub const TRIM_ROWS: u64 = 2_000;

/// Rows that one search returns at most: what fits into memory with ease.
pub const FOUND_MAX: u32 = 100_000;

/// A record that is under way has no `end`; one index knows these alone.
const SCHEMA: &str = r#"
CREATE TABLE calls (
    n INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    at_ms INTEGER NOT NULL,
    number INTEGER,
    call_id TEXT NOT NULL,
    method TEXT NOT NULL,
    identity TEXT,
    from_uri TEXT NOT NULL,
    to_uri TEXT NOT NULL,
    peer TEXT,
    zone TEXT NOT NULL,
    source TEXT NOT NULL,
    transport TEXT NOT NULL,
    request_uri TEXT NOT NULL,
    pipeline TEXT NOT NULL,
    generation INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    plugin TEXT,
    reason TEXT NOT NULL,
    status INTEGER,
    score INTEGER NOT NULL,
    points TEXT NOT NULL,
    annotations TEXT NOT NULL,
    callee TEXT,
    started_ms INTEGER,
    answered_ms INTEGER,
    ended_ms INTEGER,
    lasted_ms INTEGER,
    "end" TEXT,
    media TEXT NOT NULL,
    versions TEXT NOT NULL DEFAULT '[]'
) STRICT;
CREATE INDEX calls_at ON calls (at_ms);
CREATE INDEX calls_call_id ON calls (call_id);
CREATE INDEX calls_identity ON calls (identity, at_ms) WHERE identity IS NOT NULL;
CREATE INDEX calls_under_way ON calls (n) WHERE started_ms IS NOT NULL AND "end" IS NULL;
"#;

const COLUMNS: &str = r#"id, at_ms, number, call_id, method, identity, from_uri, to_uri, peer,
    zone, source, transport, request_uri, pipeline, generation, verdict, plugin, reason, status,
    score, points, annotations, callee, started_ms, answered_ms, ended_ms, lasted_ms, "end", media,
    versions"#;

/// What a record may still learn after it was written for the first time.
const LEARNT: &str = r#"ON CONFLICT (id) DO UPDATE SET number = excluded.number,
    reason = excluded.reason, status = excluded.status, callee = excluded.callee,
    started_ms = excluded.started_ms, answered_ms = excluded.answered_ms,
    ended_ms = excluded.ended_ms, lasted_ms = excluded.lasted_ms, "end" = excluded."end",
    media = excluded.media"#;

/// Why the file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file or its folder.
    #[error("failed to open {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It was written by a later version.
    #[error("{} has layout {found}, and this version knows {LAYOUT}; use a newer sipward or another file", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its layout.
        found: i64,
    },
    /// SQLite said no: no space, no database, damage.
    #[error("SQLite: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A record that cannot be written as JSON; no record is such.
    #[error("record as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// Which records to show. Every condition that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// This Call-ID.
    pub call_id: Option<String>,
    /// This identity.
    pub identity: Option<String>,
    /// This verdict.
    pub verdict: Option<String>,
    /// Judged at this time or later, in milliseconds since 1970.
    pub since_ms: Option<u64>,
    /// The newest so many, up to [`FOUND_MAX`].
    pub limit: u32,
}

/// The open file.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
}

impl Store {
    /// Open or make the file, which only its owner may read: it says who called whom.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut connection = open_file(path)?;
        let change = connection.transaction()?;
        match layout(&change)? {
            0 => {
                change.execute_batch(SCHEMA)?;
                change.pragma_update(None, "user_version", LAYOUT)?;
            }
            WITHOUT_VERSIONS => {
                change.execute_batch(ADD_VERSIONS)?;
                change.pragma_update(None, "user_version", LAYOUT)?;
            }
            LAYOUT => {}
            found => {
                let path = path.to_owned();
                return Err(StoreError::Newer { path, found });
            }
        }
        stages::prepare(&change)?;
        change.commit()?;
        Ok(Self { connection })
    }

    /// Open a file to search in it, beside the process that writes.
    ///
    /// # Errors
    /// See [`StoreError`]; there must be a file.
    pub fn read_only(path: &Path) -> Result<Self, StoreError> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(BUSY)?;
        match layout(&connection)? {
            0 | WITHOUT_VERSIONS | LAYOUT => Ok(Self { connection }),
            found => {
                let path = path.to_owned();
                Err(StoreError::Newer { path, found })
            }
        }
    }

    /// Write records as one transaction. When this returns they are on the disk.
    /// A record that is there already gets what it learnt since.
    ///
    /// # Errors
    /// None was written.
    pub fn write<'r>(
        &mut self,
        records: impl IntoIterator<Item = &'r CallRecord>,
    ) -> Result<(), StoreError> {
        let change = self.connection.transaction()?;
        {
            let places = vec!["?"; COLUMNS.split(',').count()].join(", ");
            let mut insert = change.prepare_cached(&format!(
                "INSERT INTO calls ({COLUMNS}) VALUES ({places}) {LEARNT}"
            ))?;
            let mut insert_stages = stages::inserter(&change)?;
            for record in records {
                insert_one(&mut insert, record)?;
                stages::insert(&mut insert_stages, record)?;
            }
        }
        change.commit()?;
        Ok(())
    }

    /// Calls that were under way when an earlier process died get an end. `own` is what
    /// the ids of this process begin with.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn settle_interrupted(&mut self, own: &str) -> Result<usize, StoreError> {
        Ok(self.connection.execute(
            r#"UPDATE calls SET "end" = 'interrupted'
                WHERE started_ms IS NOT NULL AND "end" IS NULL AND substr(id, 1, ?1) <> ?2"#,
            params![own.len(), own],
        )?)
    }

    /// Delete records judged before a time, and the oldest beyond so many, at most
    /// [`TRIM_ROWS`] of each. Returns how many are gone.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn trim(&mut self, before_ms: u64, keep: u64) -> Result<usize, StoreError> {
        let old = self.connection.execute(
            "DELETE FROM calls WHERE n IN
                (SELECT n FROM calls WHERE at_ms < ?1 ORDER BY at_ms LIMIT ?2)",
            params![before_ms, TRIM_ROWS],
        )?;
        // Rows are numbered in the order of their writing and the oldest go first, so
        // this is at most a few more than there are, and costs no walk over them.
        let count: u64 = self.connection.query_row(
            "SELECT coalesce(max(n) - min(n) + 1, 0) FROM calls",
            [],
            |row| row.get(0),
        )?;
        let beyond = count.saturating_sub(keep).min(TRIM_ROWS);
        let many = self.connection.execute(
            "DELETE FROM calls WHERE n IN (SELECT n FROM calls ORDER BY n LIMIT ?1)",
            params![beyond],
        )?;
        Ok(old + many)
    }

    /// The plugins that were asked for a record, in order; none if they are not known.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn stages(&self, id: &str) -> Result<Vec<StageRecord>, StoreError> {
        stages::of(&self.connection, id)
    }

    /// The newest records that fit, newest first, without their stages.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn find(&self, filter: &Filter) -> Result<Vec<CallRecord>, StoreError> {
        let columns = match layout(&self.connection)? {
            0 => return Ok(Vec::new()),
            WITHOUT_VERSIONS => COLUMNS.replace("versions", "'[]'"),
            _ => COLUMNS.to_owned(),
        };
        let mut conditions = vec!["1"];
        let mut values: Vec<rusqlite::types::Value> = Vec::new();
        for (column, value) in [
            ("call_id = ?", &filter.call_id),
            ("identity = ?", &filter.identity),
            ("verdict = ?", &filter.verdict),
        ] {
            if let Some(value) = value {
                conditions.push(column);
                values.push(value.clone().into());
            }
        }
        if let Some(since) = filter.since_ms {
            conditions.push("at_ms >= ?");
            values.push(i64::try_from(since).unwrap_or(i64::MAX).into());
        }
        values.push(i64::from(filter.limit.min(FOUND_MAX)).into());
        let mut select = self.connection.prepare(&format!(
            "SELECT {columns} FROM calls WHERE {} ORDER BY at_ms DESC, n DESC LIMIT ?",
            conditions.join(" AND ")
        ))?;
        let rows = select.query_map(params_from_iter(values), read_one)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// Opens or makes a file that only its owner may read, and that a commit synchronises.
pub(crate) fn open_file(path: &Path) -> Result<Connection, StoreError> {
    let file = |source| StoreError::File {
        path: path.to_owned(),
        source,
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(file)?;
    }
    // SQLite gives its log the mode of the file.
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600);
    options.open(path).map_err(file)?;
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

fn layout(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn insert_one(insert: &mut rusqlite::Statement<'_>, record: &CallRecord) -> Result<(), StoreError> {
    insert.execute(params![
        record.id,
        record.at_ms,
        // A bit pattern: numbers of calls begin with the shard.
        record.number.map(u64::cast_signed),
        record.call_id,
        record.method,
        record.identity,
        record.from,
        record.to,
        record.peer,
        record.zone,
        record.source,
        record.transport,
        record.request_uri,
        record.pipeline,
        record.generation,
        record.verdict,
        record.plugin,
        record.reason,
        record.status,
        record.score,
        serde_json::to_string(&record.points)?,
        serde_json::to_string(&record.annotations)?,
        record.callee,
        record.started_ms,
        record.answered_ms,
        record.ended_ms,
        record.lasted_ms,
        record.end,
        serde_json::to_string(&record.media)?,
        serde_json::to_string(&record.versions)?,
    ])?;
    Ok(())
}

fn read_one(row: &Row<'_>) -> rusqlite::Result<CallRecord> {
    Ok(CallRecord {
        id: row.get(0)?,
        at_ms: row.get(1)?,
        number: row.get::<_, Option<i64>>(2)?.map(i64::cast_unsigned),
        call_id: row.get(3)?,
        method: row.get(4)?,
        identity: row.get(5)?,
        from: row.get(6)?,
        to: row.get(7)?,
        peer: row.get(8)?,
        zone: row.get::<_, String>(9)?.into(),
        source: row.get(10)?,
        transport: row.get(11)?,
        request_uri: row.get(12)?,
        pipeline: row.get(13)?,
        generation: row.get(14)?,
        verdict: row.get::<_, String>(15)?.into(),
        plugin: row.get(16)?,
        reason: row.get(17)?,
        status: row.get(18)?,
        score: row.get(19)?,
        points: json(row, 20)?,
        annotations: json(row, 21)?,
        callee: row.get(22)?,
        started_ms: row.get(23)?,
        answered_ms: row.get(24)?,
        ended_ms: row.get(25)?,
        lasted_ms: row.get(26)?,
        end: row.get::<_, Option<String>>(27)?.map(Into::into),
        media: json(row, 28)?,
        stages: Vec::new(),
        versions: json(row, 29)?,
    })
}

fn json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
    })
}

#[cfg(test)]
#[path = "sqlite_tests.rs"]
mod tests;
