//! Compiled components on disk. They are machine code that will be run, so a
//! file counts only if this installation wrote it: each begins with a keyed
//! hash, and the key lies beside it, readable by its owner alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use crate::error::EngineError;

/// Files kept. 512: four versions of each of thirty plugins, with three settings each,
/// as each has its settings in its memory.
const FILES: usize = 512;
/// Bytes of all files kept. 1 GiB: two megabytes for each of them.
const CACHE_BYTES: u64 = 1 << 30;
/// Bytes of one file that are read. 256 MiB: four times the largest plugin.
const FILE_BYTES: u64 = 256 << 20;

const KEY_FILE: &str = "key";
const SUFFIX: &str = ".aot";
const TAG_BYTES: usize = 32;

/// A directory of compiled components.
#[derive(Debug)]
pub(crate) struct Cache {
    directory: PathBuf,
    key: [u8; 32],
}

impl Cache {
    /// Opens the directory, making it and its key where they are missing. A key
    /// that others could read or write is replaced, and what it vouched for
    /// with it.
    pub(crate) fn open(directory: &Path) -> Result<Self, EngineError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(failed("create", directory))?;
        let path = directory.join(KEY_FILE);
        let key = match read_key(&path) {
            Some(key) => key,
            None => make_key(directory, &path)?,
        };
        Ok(Self {
            directory: directory.to_owned(),
            key,
        })
    }

    /// The compiled code of that name, if it is there and ours.
    pub(crate) fn read(&self, name: &str) -> Option<Vec<u8>> {
        let path = self.path(name);
        let mut bytes = Vec::new();
        let file = File::open(&path).ok()?;
        // What is used stays longest. If that cannot be noted, it is compiled anew one day.
        let _ = file.set_modified(SystemTime::now());
        file.take(FILE_BYTES).read_to_end(&mut bytes).ok()?;
        let authentic = bytes
            .split_first_chunk::<TAG_BYTES>()
            // Comparing `Hash` values takes the same time whatever they are.
            .is_some_and(|(tag, code)| self.tag(name, code) == blake3::Hash::from_bytes(*tag));
        if !authentic {
            tracing::warn!(file = %path.display(), "a cached component is damaged or not ours; compiling anew");
            let _ = fs::remove_file(&path);
            return None;
        }
        bytes.drain(..TAG_BYTES);
        Some(bytes)
    }

    /// Keeps compiled code under that name. A failure costs time at the next
    /// start and nothing else, so it is only logged.
    pub(crate) fn write(&self, name: &str, code: &[u8]) {
        let tag = self.tag(name, code);
        if let Err(error) =
            write_private(&self.directory, &self.path(name), &[tag.as_bytes(), code])
        {
            tracing::warn!(directory = %self.directory.display(), %error, "failed to cache a compiled component");
        }
        self.prune();
    }

    fn tag(&self, name: &str, code: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(name.as_bytes());
        hasher.update(&[0]);
        hasher.update(code);
        hasher.finalize()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}{SUFFIX}"))
    }

    /// Removes the files that were not used for longest, beyond the limits.
    fn prune(&self) {
        let Ok(entries) = fs::read_dir(&self.directory) else {
            return;
        };
        let mut files: Vec<(SystemTime, u64, PathBuf)> = entries
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().ends_with(SUFFIX))
            .filter_map(|entry| {
                let metadata = entry.metadata().ok()?;
                Some((metadata.modified().ok()?, metadata.len(), entry.path()))
            })
            .collect();
        files.sort();
        let kept = kept(files.iter().rev().map(|(_, bytes, _)| *bytes));
        let excess = files.len().saturating_sub(kept);
        for (.., path) in files.into_iter().take(excess) {
            let _ = fs::remove_file(path);
        }
    }
}

/// How many files of these sizes are kept, counted from the first.
fn kept(sizes: impl Iterator<Item = u64>) -> usize {
    let mut sum = 0u64;
    sizes
        .take(FILES)
        .take_while(|bytes| {
            sum = sum.saturating_add(*bytes);
            sum <= CACHE_BYTES
        })
        .count()
}

fn read_key(path: &Path) -> Option<[u8; 32]> {
    let mut file = File::open(path).ok()?;
    let metadata = file.metadata().ok()?;
    if metadata.mode() & 0o077 != 0 || !metadata.is_file() {
        tracing::warn!(file = %path.display(), "the cache key can be read by others; making a new one");
        return None;
    }
    let mut key = [0; 32];
    file.read_exact(&mut key).ok()?;
    Some(key)
}

fn make_key(directory: &Path, path: &Path) -> Result<[u8; 32], EngineError> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| EngineError::Randomness(error.to_string()))?;
    write_private(directory, path, &[&key]).map_err(failed("write", path))?;
    Ok(key)
}

/// Writes a file that only its owner can read, in one step.
fn write_private(directory: &Path, path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let temporary = directory.join(format!(".{}-{count}.tmp", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| parts.iter().try_for_each(|part| file.write_all(part)))
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> EngineError {
    let path = path.to_owned();
    move |source| EngineError::Cache {
        action,
        path,
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_was_written_is_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::open(directory.path()).unwrap();
        cache.write("a", b"code");
        let again = Cache::open(directory.path()).unwrap();
        assert_eq!(again.read("a").as_deref(), Some(&b"code"[..]));
        assert_eq!(again.read("b"), None);
        let mode = fs::metadata(directory.path().join(KEY_FILE))
            .unwrap()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_changed_or_renamed_file_is_refused_and_removed() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::open(directory.path()).unwrap();
        cache.write("a", b"code");
        fs::copy(cache.path("a"), cache.path("b")).unwrap();
        assert_eq!(cache.read("b"), None);
        assert!(!cache.path("b").exists());
        let mut bytes = fs::read(cache.path("a")).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(cache.path("a"), bytes).unwrap();
        assert_eq!(cache.read("a"), None);
        fs::write(cache.path("c"), b"short").unwrap();
        assert_eq!(cache.read("c"), None);
    }

    #[test]
    fn a_key_that_others_can_read_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        Cache::open(directory.path()).unwrap().write("a", b"code");
        let key = directory.path().join(KEY_FILE);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(Cache::open(directory.path()).unwrap().read("a"), None);
        assert_eq!(fs::metadata(&key).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn the_files_that_nobody_uses_go_first() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::open(directory.path()).unwrap();
        for count in 0..=FILES {
            cache.write(&format!("{count:04}"), b"code");
            assert!(cache.read("0000").is_some(), "it is in use");
        }
        assert!(cache.read("0001").is_none());
        assert!(cache.read(&format!("{FILES:04}")).is_some());
        let left = fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(left, FILES + 1, "the files and the key");
    }

    #[test]
    fn large_files_leave_room_for_fewer() {
        assert_eq!(kept([4; FILES + 1].into_iter()), FILES);
        assert_eq!(kept([CACHE_BYTES - 4, 4, 1].into_iter()), 2);
        assert_eq!(kept([CACHE_BYTES + 1].into_iter()), 0);
    }
}
