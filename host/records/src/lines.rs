//! Records as JSON lines, for tools that read files: one object a line, finished
//! records alone. The file is renamed when it is full, and the oldest is removed.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::record::CallRecord;

/// Bytes looked at from the end for the last line that is whole; a record has some
/// kilobytes at most.
const TAIL_BYTES: u64 = 1 << 20;

/// Where and how much.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinesConfig {
    /// The file that is written; older ones have `.1`, `.2` and so on after its name.
    pub path: PathBuf,
    /// Bytes after which a file is full. It may end one batch later.
    pub file_bytes: u64,
    /// Files kept, the one that is written among them; at least 1.
    pub files: usize,
}

/// The file, opened when it is written to for the first time: until then somebody else,
/// who had the same configuration, may be writing.
#[derive(Debug)]
pub struct Lines {
    config: LinesConfig,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    length: u64,
}

impl Lines {
    /// Checks that the file can be written; it is made if need be, and only its owner
    /// may read it.
    ///
    /// # Errors
    /// The file or its folder.
    pub fn new(config: LinesConfig) -> io::Result<Self> {
        if let Some(folder) = config.path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        open(&config.path)?;
        Ok(Self { config, open: None })
    }

    /// Write records, and return when they are on the disk. Before the first of them, a
    /// last line that was cut off by the death of its writer is removed: it was never
    /// committed.
    ///
    /// # Errors
    /// None of them counts as written; what did reach the file is taken back.
    pub fn write<'r>(
        &mut self,
        records: impl IntoIterator<Item = &'r CallRecord>,
    ) -> io::Result<()> {
        let mut text = Vec::new();
        for record in records {
            serde_json::to_writer(&mut text, record)?;
            text.push(b'\n');
        }
        if text.is_empty() {
            return Ok(());
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => Open::at(&self.config.path)?,
        };
        if open.length >= self.config.file_bytes {
            drop(open);
            open = self.turn()?;
        }
        let written = open
            .file
            .write_all(&text)
            .and_then(|()| open.file.sync_data());
        match written {
            Ok(()) => open.length += text.len() as u64,
            // What cannot be taken back either is written twice, with one id.
            Err(_) => drop(open.file.set_len(open.length)),
        }
        self.open = Some(open);
        written
    }

    /// Gives each file the next number, and begins anew.
    fn turn(&self) -> io::Result<Open> {
        let path = &self.config.path;
        for number in (1..self.config.files).rev() {
            let newer = match number {
                1 => path.clone(),
                _ => numbered(path, number - 1),
            };
            match std::fs::rename(newer, numbered(path, number)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let file = open(path)?;
        if self.config.files <= 1 {
            file.set_len(0)?;
        }
        Ok(Open { file, length: 0 })
    }
}

impl Open {
    fn at(path: &Path) -> io::Result<Self> {
        let mut file = open(path)?;
        let length = whole_lines(&mut file)?;
        Ok(Self { file, length })
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).create(true).append(true).mode(0o600);
    options.open(path)
}

fn numbered(path: &Path, number: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

/// Cuts the file after its last line end, and returns its length.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let from = length.saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut tail)?;
    let whole = match tail.iter().rposition(|byte| *byte == b'\n') {
        Some(at) => from + at as u64 + 1,
        None => from,
    };
    if whole < length {
        file.set_len(whole)?;
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u64) -> CallRecord {
        CallRecord {
            id: number.to_string(),
            ..CallRecord::default()
        }
    }

    fn ids(path: &Path) -> Vec<u64> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let read = |line| serde_json::from_str::<CallRecord>(line).unwrap();
        text.lines()
            .map(|line| read(line).id.parse().unwrap())
            .collect()
    }

    fn config(folder: &Path, files: usize) -> LinesConfig {
        let one = serde_json::to_string(&record(1)).unwrap().len() as u64 + 1;
        LinesConfig {
            path: folder.join("records.jsonl"),
            file_bytes: 2 * one,
            files,
        }
    }

    #[test]
    fn files_turn_when_they_are_full_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path(), 3);
        let mut lines = Lines::new(config.clone()).unwrap();
        for number in 1..=2 {
            lines.write(&[record(number)]).unwrap();
        }
        assert!(!numbered(&config.path, 1).exists(), "exactly full");
        for number in 3..=7 {
            lines.write(&[record(number)]).unwrap();
        }
        assert_eq!(ids(&config.path), [7]);
        assert_eq!(ids(&numbered(&config.path, 1)), [5, 6]);
        assert_eq!(ids(&numbered(&config.path, 2)), [3, 4]);
        assert!(!numbered(&config.path, 3).exists());
        let mut again = Lines::new(config.clone()).unwrap();
        again.write(&[record(8)]).unwrap();
        again.write(&[record(9)]).unwrap();
        assert_eq!(
            ids(&config.path),
            [9],
            "the length is known after a restart"
        );
    }

    #[test]
    fn one_file_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path(), 1);
        let mut lines = Lines::new(config.clone()).unwrap();
        for number in 1..=3 {
            lines.write(&[record(number)]).unwrap();
        }
        assert_eq!(ids(&config.path), [3]);
    }

    #[test]
    fn a_line_that_was_cut_off_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path(), 2);
        let whole = serde_json::to_string(&record(1)).unwrap();
        std::fs::write(&config.path, format!("{whole}\n{{\"id\":\"2")).unwrap();
        let mut lines = Lines::new(config.clone()).unwrap();
        lines.write(&[record(3)]).unwrap();
        assert_eq!(ids(&config.path), [1, 3]);
        std::fs::write(&config.path, "{\"id").unwrap();
        let mut lines = Lines::new(config.clone()).unwrap();
        lines.write(&[record(4)]).unwrap();
        assert_eq!(ids(&config.path), [4]);
    }
}
