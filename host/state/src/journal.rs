//! The journal: an append-only file of checksummed records.
//!
//! ```text
//! file    header record*
//! header  "SIPWJRN1" generation(u64) salt(16)   check(8)
//! record  check(8) length(u32) sequence(u64) payload(length)
//! ```
//!
//! Numbers are little-endian. A check is the start of a BLAKE3 hash, keyed by the
//! header for records, over everything that follows it. So a record of another
//! file, of another place in this file, or inside a stored value is never taken
//! for one.
//!
//! A record is one `write(2)`: once that has returned, the kernel has it, and the
//! end of the process cannot lose it. What a crash may leave is a torn last
//! record, which was never acknowledged and is cut off. Anything wrong before a
//! good record is damage, and an error.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use crate::{
    error::StateError,
    limits::Durability,
    record::{PAYLOAD_BYTES, Record},
};

const MAGIC: &[u8; 8] = b"SIPWJRN1";
const HEADER: usize = 8 + 8 + 16 + 8;
const CHECK: usize = 8;
const FRAME: usize = CHECK + 4 + 8;

/// Only the service may read what it stores.
pub(crate) const FILE_MODE: u32 = 0o600;

/// Bytes that the append buffer may keep between records.
const BUFFER_BYTES: usize = 64 << 10;

/// Why a record was not appended.
#[derive(Debug)]
pub(crate) enum AppendError {
    /// The file has reached its bound; a checkpoint makes room.
    Full,
    /// The write failed and nothing of it is left.
    Failed(io::Error),
}

/// A journal that is being written.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    key: [u8; 32],
    generation: u64,
    sequence: u64,
    length: u64,
    buffer: Vec<u8>,
    durability: Durability,
    broken: bool,
}

/// What replaying a file gave.
#[derive(Debug)]
pub(crate) struct Replayed {
    key: [u8; 32],
    generation: u64,
    sequence: u64,
    /// Bytes up to the end of the last good record.
    pub(crate) length: u64,
    /// Bytes of a torn record after that.
    pub(crate) torn: u64,
}

/// Path of a generation's journal.
pub(crate) fn path_of(directory: &Path, generation: u64) -> PathBuf {
    directory.join(format!("journal.{generation:010}"))
}

/// The generation in a journal's file name.
pub(crate) fn generation_of(file_name: &str) -> Option<u64> {
    let digits = file_name.strip_prefix("journal.")?;
    (digits.len() >= 10 && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| digits.parse().ok())
        .flatten()
}

impl Journal {
    /// Makes an empty journal. It appears under its name only when its header
    /// is on disk.
    pub(crate) fn create(
        directory: &Path,
        generation: u64,
        durability: Durability,
    ) -> Result<Self, StateError> {
        let path = path_of(directory, generation);
        let draft = path.with_extension("new");
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(|error| StateError::System {
            action: "obtain randomness for a journal",
            detail: error.to_string(),
        })?;
        let header = header(generation, &salt);
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(FILE_MODE)
            .open(&draft)
            .map_err(StateError::io("create journal", &draft))?;
        file.write_all(&header)
            .and_then(|()| file.sync_all())
            .map_err(StateError::io("write journal", &draft))?;
        std::fs::rename(&draft, &path).map_err(StateError::io("rename journal to", &path))?;
        sync_directory(directory)?;
        Ok(Self {
            file,
            key: record_key(&header),
            generation,
            sequence: 0,
            length: HEADER as u64,
            buffer: Vec::new(),
            durability,
            broken: false,
        })
    }

    /// Goes on with a journal that was replayed, without its torn end.
    pub(crate) fn resume(
        directory: &Path,
        replayed: &Replayed,
        durability: Durability,
    ) -> Result<Self, StateError> {
        let path = path_of(directory, replayed.generation);
        let mut file = OpenOptions::new()
            .write(true)
            .open(&path)
            .map_err(StateError::io("open journal", &path))?;
        file.set_len(replayed.length)
            .and_then(|()| io::Seek::seek(&mut file, io::SeekFrom::Start(replayed.length)))
            .map_err(StateError::io("cut the torn end off journal", &path))?;
        Ok(Self {
            file,
            key: replayed.key,
            generation: replayed.generation,
            sequence: replayed.sequence,
            length: replayed.length,
            buffer: Vec::new(),
            durability,
            broken: false,
        })
    }

    /// Appends one record, if the file stays within so many bytes.
    pub(crate) fn append(
        &mut self,
        record: &Record<'_>,
        bound_bytes: u64,
    ) -> Result<(), AppendError> {
        if self.broken {
            // A checkpoint begins a new file.
            return Err(AppendError::Full);
        }
        self.buffer.clear();
        self.buffer.resize(FRAME, 0);
        record.encode_into(&mut self.buffer);
        let payload = self.buffer.len() - FRAME;
        let added = self.buffer.len() as u64;
        if payload > PAYLOAD_BYTES || self.length.saturating_add(added) > bound_bytes {
            return Err(AppendError::Full);
        }
        seal(&mut self.buffer, &self.key, self.sequence);
        self.write_buffer().map_err(AppendError::Failed)?;
        self.length += added;
        self.sequence += 1;
        self.buffer.shrink_to(BUFFER_BYTES);
        Ok(())
    }

    /// Writes the buffer whole, or leaves the file as it was.
    fn write_buffer(&mut self) -> io::Result<()> {
        let written = self
            .file
            .write_all(&self.buffer)
            .and_then(|()| match self.durability {
                Durability::Process => Ok(()),
                Durability::Disk => self.file.sync_data(),
            });
        if written.is_err() {
            let restored = self.file.set_len(self.length).and_then(|()| {
                io::Seek::seek(&mut self.file, io::SeekFrom::Start(self.length)).map(|_| ())
            });
            self.broken = restored.is_err();
        }
        written
    }

    /// Bytes in the file.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// The generation of the file.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }
}

/// Reads a journal and hands over its records in order.
pub(crate) fn replay(
    directory: &Path,
    generation: u64,
    mut apply: impl FnMut(&Record<'_>),
) -> Result<Replayed, StateError> {
    let path = path_of(directory, generation);
    let bytes = std::fs::read(&path).map_err(StateError::io("read journal", &path))?;
    let damaged = |detail: String| StateError::Damaged {
        file: path.clone(),
        detail,
    };
    let head = bytes
        .get(..HEADER)
        .filter(|head| is_header(head, generation))
        .ok_or_else(|| damaged(format!("it does not begin as journal {generation}")))?;
    let key = record_key(head);
    let (mut offset, mut sequence) = (HEADER, 0);
    while let Some((payload, length)) = record_at(&bytes, offset, &key, Some(sequence)) {
        let record = Record::decode(payload).ok_or_else(|| {
            damaged(format!(
                "the record at byte {offset} is of no kind that this version knows"
            ))
        })?;
        apply(&record);
        offset += length;
        sequence += 1;
    }
    // Nothing good may follow a bad record, or it was no torn end.
    if let Some(next) =
        (offset + 1..bytes.len()).find(|&at| record_at(&bytes, at, &key, None).is_some())
    {
        return Err(damaged(format!(
            "bytes {offset} to {next} are no record, but good ones follow"
        )));
    }
    if record_at(&bytes, offset, &key, None).is_some() {
        return Err(damaged(format!("records before byte {offset} are gone")));
    }
    Ok(Replayed {
        key,
        generation,
        sequence,
        length: offset as u64,
        torn: (bytes.len() - offset) as u64,
    })
}

/// Payload and whole length of the good record at an offset.
fn record_at<'a>(
    bytes: &'a [u8],
    offset: usize,
    key: &[u8; 32],
    sequence: Option<u64>,
) -> Option<(&'a [u8], usize)> {
    let (check, rest) = bytes.get(offset..)?.split_first_chunk::<CHECK>()?;
    let (length, after) = rest.split_first_chunk::<4>()?;
    let (found, after) = after.split_first_chunk::<8>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    if length == 0 || length > PAYLOAD_BYTES {
        return None;
    }
    let payload = after.get(..length)?;
    if sequence.is_some_and(|expected| expected != u64::from_le_bytes(*found)) {
        return None;
    }
    let checked = rest.get(..FRAME - CHECK + length)?;
    (check_of(key, checked) == *check).then_some((payload, FRAME + length))
}

/// Fills in the frame before the payload.
fn seal(buffer: &mut [u8], key: &[u8; 32], sequence: u64) {
    let payload = u32::try_from(buffer.len().saturating_sub(FRAME)).unwrap_or(u32::MAX);
    if let Some((check, rest)) = buffer.split_first_chunk_mut::<CHECK>() {
        if let Some((length, after)) = rest.split_first_chunk_mut::<4>() {
            *length = payload.to_le_bytes();
            if let Some((place, _)) = after.split_first_chunk_mut::<8>() {
                *place = sequence.to_le_bytes();
            }
        }
        *check = check_of(key, rest);
    }
}

fn check_of(key: &[u8; 32], bytes: &[u8]) -> [u8; CHECK] {
    first_eight(&blake3::keyed_hash(key, bytes))
}

fn first_eight(hash: &blake3::Hash) -> [u8; CHECK] {
    hash.as_bytes()
        .first_chunk::<CHECK>()
        .copied()
        .unwrap_or_default()
}

fn header(generation: u64, salt: &[u8; 16]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&generation.to_le_bytes());
    bytes.extend_from_slice(salt);
    let check = first_eight(&blake3::hash(&bytes));
    bytes.extend_from_slice(&check);
    bytes
}

fn is_header(bytes: &[u8], generation: u64) -> bool {
    let Some((body, check)) = bytes.split_last_chunk::<CHECK>() else {
        return false;
    };
    body.starts_with(MAGIC)
        && body.get(8..16) == Some(&generation.to_le_bytes())
        && first_eight(&blake3::hash(body)) == *check
}

fn record_key(header: &[u8]) -> [u8; 32] {
    blake3::derive_key("sipward state journal records v1", header)
}

/// Makes renames in a directory last.
pub(crate) fn sync_directory(directory: &Path) -> Result<(), StateError> {
    File::open(directory)
        .and_then(|handle| handle.sync_all())
        .map_err(StateError::io("flush directory", directory))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;

    fn record(data: &[u8]) -> Record<'_> {
        let key = Key::value("scope", "key").unwrap();
        Record::Value {
            key,
            expires_ms: 0,
            data,
        }
    }

    fn written(directory: &Path, values: &[&[u8]]) -> PathBuf {
        let mut journal = Journal::create(directory, 3, Durability::Process).unwrap();
        for value in values {
            journal.append(&record(value), u64::MAX).unwrap();
        }
        path_of(directory, 3)
    }

    fn values(directory: &Path) -> Result<(Vec<Vec<u8>>, Replayed), StateError> {
        let mut seen = Vec::new();
        let replayed = replay(directory, 3, |record| match record {
            Record::Value { data, .. } => seen.push(data.to_vec()),
            other => panic!("unexpected {other:?}"),
        })?;
        Ok((seen, replayed))
    }

    #[test]
    fn replays_in_order_and_resumes() {
        let directory = tempfile::tempdir().unwrap();
        written(directory.path(), &[b"one", b"two"]);
        let (seen, replayed) = values(directory.path()).unwrap();
        assert_eq!(seen, [b"one".to_vec(), b"two".to_vec()]);
        let mut journal = Journal::resume(directory.path(), &replayed, Durability::Disk).unwrap();
        journal.append(&record(b"three"), u64::MAX).unwrap();
        assert_eq!(values(directory.path()).unwrap().0.len(), 3);
    }

    #[test]
    fn a_torn_end_of_any_length_is_cut_off() {
        let directory = tempfile::tempdir().unwrap();
        let path = written(directory.path(), &[b"one", b"two"]);
        let whole = std::fs::read(&path).unwrap();
        let second = HEADER + (whole.len() - HEADER) / 2;
        for length in second..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let (seen, replayed) = values(directory.path()).unwrap();
            assert_eq!(seen, [b"one".to_vec()]);
            assert_eq!(replayed.length, second as u64);
            assert_eq!(replayed.torn, (length - second) as u64);
        }
        let (_, replayed) = values(directory.path()).unwrap();
        let mut journal =
            Journal::resume(directory.path(), &replayed, Durability::Process).unwrap();
        journal.append(&record(b"again"), u64::MAX).unwrap();
        assert_eq!(values(directory.path()).unwrap().0[1], b"again");
    }

    #[test]
    fn every_flipped_byte_before_the_last_record_is_damage() {
        let directory = tempfile::tempdir().unwrap();
        let path = written(directory.path(), &[b"one", b"two", b"six"]);
        let whole = std::fs::read(&path).unwrap();
        let last = whole.len() - (whole.len() - HEADER) / 3;
        for at in 0..last {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x40;
            std::fs::write(&path, &bytes).unwrap();
            let error = values(directory.path()).unwrap_err().to_string();
            assert!(error.contains("journal.0000000003 is damaged"), "{error}");
            assert!(error.contains("restore the state directory"), "{error}");
        }
    }

    #[test]
    fn a_missing_middle_is_damage() {
        let directory = tempfile::tempdir().unwrap();
        let path = written(directory.path(), &[b"one", b"two", b"six"]);
        let whole = std::fs::read(&path).unwrap();
        let size = (whole.len() - HEADER) / 3;
        let mut bytes = whole[..HEADER + size].to_vec();
        bytes.extend_from_slice(&whole[HEADER + 2 * size..]);
        std::fs::write(&path, &bytes).unwrap();
        assert!(matches!(
            values(directory.path()),
            Err(StateError::Damaged { .. })
        ));
    }

    #[test]
    fn the_bound_on_both_sides() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(directory.path(), 0, Durability::Process).unwrap();
        let mut twin = Vec::new();
        record(b"x").encode_into(&mut twin);
        let size = (HEADER + FRAME + twin.len()) as u64;
        assert!(matches!(
            journal.append(&record(b"x"), size - 1),
            Err(AppendError::Full)
        ));
        assert!(journal.append(&record(b"x"), size).is_ok());
        assert_eq!(journal.length(), size);
    }

    #[test]
    fn names_and_generations() {
        let name = path_of(Path::new("d"), 42);
        assert_eq!(name, Path::new("d/journal.0000000042"));
        assert_eq!(generation_of("journal.0000000042"), Some(42));
        assert_eq!(generation_of("journal.42"), None);
        assert_eq!(generation_of("journal.0000000042.new"), None);
    }
}
