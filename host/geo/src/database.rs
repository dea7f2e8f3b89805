//! One database: read, verified, and asked for single fields.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::path::Path;

use maxminddb::{PathElement, Reader};
use serde::Deserialize;

/// Ceilings of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatabaseLimits {
    /// Bytes of the file, which lies in memory. 512 MiB: five times the largest
    /// free database of cities.
    pub database_bytes: usize,
}

impl Default for DatabaseLimits {
    fn default() -> Self {
        Self {
            database_bytes: 512 << 20,
        }
    }
}

/// Why a database is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// The file cannot be read.
    #[error("failed to read it: {0}")]
    File(#[from] std::io::Error),
    /// The file is too large.
    #[error("it is larger than database_bytes = {limit}")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// It is no database, or a damaged one.
    #[error("it is no sound MaxMind DB: {0}")]
    Damaged(String),
}

/// A database that was verified.
pub struct Database {
    reader: Reader<Vec<u8>>,
}

impl fmt::Debug for Database {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Database")
            .field("kind", &self.kind())
            .field("built", &self.built())
            .finish_non_exhaustive()
    }
}

impl Database {
    /// Reads and verifies a file. This takes a second or two for the largest, so it
    /// is nothing for a thread that has calls to attend to.
    ///
    /// # Errors
    /// The file cannot be read, is too large, or is damaged.
    pub fn read(path: &Path, limits: DatabaseLimits) -> Result<Self, DatabaseError> {
        let limit = limits.database_bytes;
        let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        let mut bytes = Vec::new();
        File::open(path)?.take(most).read_to_end(&mut bytes)?;
        if bytes.len() > limit {
            return Err(DatabaseError::TooLarge { limit });
        }
        Self::from_bytes(bytes)
    }

    /// Verifies a database that is in memory already.
    ///
    /// # Errors
    /// It is damaged.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, DatabaseError> {
        let damaged =
            |error: maxminddb::MaxMindDbError| DatabaseError::Damaged(shown(&error.to_string()));
        let reader = Reader::from_source(bytes).map_err(damaged)?;
        reader.verify().map_err(damaged)?;
        Ok(Self { reader })
    }

    /// What it calls itself, as `GeoLite2-Country`; control characters and all beyond
    /// 128 bytes are left out.
    pub fn kind(&self) -> String {
        shown(&self.reader.metadata().database_type)
    }

    /// When it was built, in seconds since 1970-01-01T00:00:00Z, as it says.
    pub fn built(&self) -> u64 {
        self.reader.metadata().build_epoch
    }

    /// Nodes of its search tree; about as many networks as it knows.
    pub fn nodes(&self) -> u32 {
        self.reader.metadata().node_count
    }

    /// One field of what it has about an address. None if it has none, if the field
    /// is of another type, or if it cannot be read.
    pub(crate) fn field<'d, T: Deserialize<'d>>(
        &'d self,
        address: IpAddr,
        path: &[PathElement<'_>],
    ) -> Option<T> {
        let found = self.reader.lookup(address).ok()?;
        found.decode_path(path).ok().flatten()
    }
}

/// Bytes of a text of the database, or about it, that are shown to people. 128.
const SHOWN_BYTES: usize = 128;

fn shown(text: &str) -> String {
    let text = text.get(..text.floor_char_boundary(SHOWN_BYTES));
    text.unwrap_or_default().replace(char::is_control, " ")
}
