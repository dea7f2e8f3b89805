//! The plugins that were asked for a record, in a table of their own: they are written
//! once, and looked at when one decision is explained.

use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use crate::record::{CallRecord, StageRecord};
use crate::sqlite::StoreError;

/// Rows go with the records that they belong to. Programs that know nothing of the table
/// read and write the file as before.
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS stages (id TEXT PRIMARY KEY, stages TEXT NOT NULL)
    STRICT, WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS stages_of_call AFTER DELETE ON calls BEGIN
    DELETE FROM stages WHERE id = old.id;
END;
";

pub(crate) fn prepare(connection: &Connection) -> Result<(), StoreError> {
    Ok(connection.execute_batch(SCHEMA)?)
}

pub(crate) fn inserter(connection: &Connection) -> Result<CachedStatement<'_>, StoreError> {
    let insert = "INSERT OR IGNORE INTO stages (id, stages) VALUES (?, ?)";
    Ok(connection.prepare_cached(insert)?)
}

/// They are the same whenever the record is written again.
pub(crate) fn insert(
    insert: &mut CachedStatement<'_>,
    record: &CallRecord,
) -> Result<(), StoreError> {
    if !record.stages.is_empty() {
        insert.execute(params![record.id, serde_json::to_string(&record.stages)?])?;
    }
    Ok(())
}

pub(crate) fn of(connection: &Connection, id: &str) -> Result<Vec<StageRecord>, StoreError> {
    let table = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'stages'";
    let tables: u32 = connection.query_row(table, [], |row| row.get(0))?;
    if tables == 0 {
        return Ok(Vec::new());
    }
    let select = "SELECT stages FROM stages WHERE id = ?";
    let text: Option<String> = connection
        .query_row(select, params![id], |row| row.get(0))
        .optional()?;
    Ok(text.map_or(Ok(Vec::new()), |text| serde_json::from_str(&text))?)
}
