//! The store on disk: read as a whole, replaced in one step.
//!
//! A writer holds a lock on the folder, writes a new file, flushes it, renames it
//! over the old one and flushes the folder. Whoever is killed in between leaves the
//! old store or the new one, and readers need no lock.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::NoRandomness;
use crate::book::Book;
use crate::key::StoreKey;
use crate::seal::{self, SealError};

/// Bytes of a store's file. 64 MiB: all accounts with the longest names that make
/// sense, and no device file.
pub const STORE_BYTES: u64 = 64 << 20;

/// Permissions of the file.
const MODE: u32 = 0o600;

/// Why the store cannot be read or changed. For the operator; names no secret.
#[derive(Debug, Error)]
pub enum StoreError {
    /// There is none. It is never taken for an empty one.
    #[error("there is no store {}; `sipward credential init` makes one", .0.display())]
    Missing(PathBuf),
    /// There is one already.
    #[error("there is a store {} already", .0.display())]
    Exists(PathBuf),
    /// Too large to be one.
    #[error("the store {} is larger than {STORE_BYTES} bytes", .0.display())]
    TooLarge(PathBuf),
    /// Its seal.
    #[error("failed to open the store {}: {cause}", .path.display())]
    Sealed {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: SealError,
    },
    /// The system.
    #[error("failed to {action} {}: {source}", .path.display())]
    System {
        /// What was done.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No randomness.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

/// A store: its file and the key to it.
#[derive(Clone, Debug)]
pub struct StoreFile {
    path: PathBuf,
    key: StoreKey,
}

impl StoreFile {
    /// Names the file; nothing is read yet.
    #[must_use]
    pub fn new(path: &Path, key: StoreKey) -> Self {
        Self {
            path: path.to_owned(),
            key,
        }
    }

    /// Makes a store without accounts.
    ///
    /// # Errors
    /// There is one, or it cannot be written.
    pub fn create(&self) -> Result<(), StoreError> {
        let _lock = self.lock()?;
        if fs::symlink_metadata(&self.path).is_ok() {
            return Err(StoreError::Exists(self.path.clone()));
        }
        self.write(&Book::new()?, None)
    }

    /// Reads all accounts.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn read(&self) -> Result<Book, StoreError> {
        self.read_with_owner().map(|(book, _)| book)
    }

    /// Changes accounts: reads them, lets `change` work on them, and writes them if
    /// it succeeds. Two changes at once wait for each other.
    ///
    /// # Errors
    /// The store's, or what `change` says; nothing has changed then.
    pub fn change<T, E: From<StoreError>>(
        &self,
        change: impl FnOnce(&mut Book) -> Result<T, E>,
    ) -> Result<T, E> {
        let _lock = self.lock()?;
        let (mut book, owner) = self.read_with_owner()?;
        let done = change(&mut book)?;
        self.write(&book, Some(owner))?;
        Ok(done)
    }

    /// Seals the store with another key. From then on only that opens it.
    ///
    /// # Errors
    /// See [`StoreError`]; nothing has changed then.
    pub fn rekey(&mut self, key: StoreKey) -> Result<(), StoreError> {
        let _lock = self.lock()?;
        let (book, owner) = self.read_with_owner()?;
        let old = std::mem::replace(&mut self.key, key);
        let written = self.write(&book, Some(owner));
        if written.is_err() {
            self.key = old;
        }
        written
    }

    fn read_with_owner(&self) -> Result<(Book, Owner), StoreError> {
        let file = File::open(&self.path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => StoreError::Missing(self.path.clone()),
            _ => self.system("read", source),
        })?;
        let about = file
            .metadata()
            .map_err(|source| self.system("read", source))?;
        if about.len() > STORE_BYTES {
            return Err(StoreError::TooLarge(self.path.clone()));
        }
        let mut sealed = Vec::new();
        file.take(STORE_BYTES)
            .read_to_end(&mut sealed)
            .map_err(|source| self.system("read", source))?;
        let book = seal::open(&self.key, &sealed)
            .and_then(|text| Book::from_text(&text).ok_or(SealError::Damaged))
            .map_err(|cause| self.sealed(cause))?;
        let owner = Owner {
            user: about.uid(),
            group: about.gid(),
        };
        Ok((book, owner))
    }

    fn write(&self, book: &Book, owner: Option<Owner>) -> Result<(), StoreError> {
        let text = book
            .to_text()
            .map_err(|source| self.system("write", source))?;
        let sealed = seal::seal(&self.key, &text).map_err(|cause| self.sealed(cause))?;
        if u64::try_from(sealed.len()).is_ok_and(|length| length > STORE_BYTES) {
            return Err(StoreError::TooLarge(self.path.clone()));
        }
        let new = self.new_path();
        replace(&self.path, &new, &sealed, owner).map_err(|source| {
            // What is left of it serves nobody, and the next writer removes it too.
            let _gone = fs::remove_file(&new);
            self.system("write", source)
        })
    }

    /// Held until it is dropped, also by the end of the process. It is the folder that
    /// is locked: a file for it would belong to whoever came first, and keep others
    /// out.
    fn lock(&self) -> Result<File, StoreError> {
        let folder = folder_of(&self.path);
        File::open(folder)
            .and_then(|file| file.lock().map(|()| file))
            .map_err(|source| StoreError::System {
                action: "lock the folder",
                path: folder.to_owned(),
                source,
            })
    }

    /// Where a new store is written before it takes the old one's place.
    fn new_path(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        PathBuf::from(name)
    }

    fn system(&self, action: &'static str, source: io::Error) -> StoreError {
        StoreError::System {
            action,
            path: self.path.clone(),
            source,
        }
    }

    fn sealed(&self, cause: SealError) -> StoreError {
        StoreError::Sealed {
            path: self.path.clone(),
            cause,
        }
    }
}

/// Whom a file belongs to.
#[derive(Clone, Copy)]
struct Owner {
    user: u32,
    group: u32,
}

fn replace(path: &Path, new: &Path, sealed: &[u8], owner: Option<Owner>) -> io::Result<()> {
    // The rest of a writer that was killed; nobody else writes, as we hold the lock.
    match fs::remove_file(new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(new)?;
    // An operator who is root must not take the store from the user who runs sipward.
    let about = file.metadata()?;
    if let Some(Owner { user, group }) = owner
        && (about.uid(), about.gid()) != (user, group)
    {
        fchown(&file, Some(user), Some(group))?;
    }
    file.write_all(sealed)?;
    file.sync_all()?;
    fs::rename(new, path)?;
    File::open(folder_of(path))?.sync_all()
}

fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}
