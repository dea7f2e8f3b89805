//! The key that opens the store: 256 bits, as 64 hexadecimal digits in a file of
//! its own or in the environment.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;
use zeroize::Zeroizing;

use crate::NoRandomness;
use crate::secret::Secret;

/// Bytes of a key.
const KEY_BYTES: usize = 32;

/// Bytes of a key's file that are read: the digits, a line end and some blanks.
const FILE_BYTES: u64 = 256;

/// Why there is no key. For the operator; never shows any of it.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The variable is not there.
    #[error("the environment variable {0} is not set")]
    NotSet(String),
    /// The file cannot be read.
    #[error("failed to read the key file {}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others than its owner can read or change it.
    #[error(
        "the key file {} has mode {:03o}: others than its owner can reach it; \
         run `chmod 600` on it", .path.display(), .mode & 0o777
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A folder or a device.
    #[error("the key file {} is no file", .0.display())]
    NoFile(PathBuf),
    /// Not 64 hexadecimal digits.
    #[error("{0} must hold 64 hexadecimal digits, as `openssl rand -hex 32` makes them")]
    Malformed(String),
    /// A new key cannot be written.
    #[error("failed to write the key file {}: {source}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No randomness.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

/// A key; wiped when dropped.
#[derive(Clone)]
pub struct StoreKey(Secret);

impl StoreKey {
    /// Reads a key's file, which only its owner may reach.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn from_file(path: &Path) -> Result<Self, KeyError> {
        let failed = |source| KeyError::Read {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(failed)?;
        // Of the opened file, so that nobody can put another in its place.
        let about = file.metadata().map_err(failed)?;
        if !about.is_file() {
            return Err(KeyError::NoFile(path.to_owned()));
        }
        if about.mode() & 0o077 != 0 {
            return Err(KeyError::Exposed {
                path: path.to_owned(),
                mode: about.mode(),
            });
        }
        let mut text = Zeroizing::new(String::with_capacity(FILE_BYTES as usize));
        file.take(FILE_BYTES)
            .read_to_string(&mut text)
            .map_err(failed)?;
        Self::from_text(&text, &format!("the key file {}", path.display()))
    }

    /// Reads a variable of the environment.
    ///
    /// # Errors
    /// It is not set, or holds no key.
    pub fn from_environment(name: &str) -> Result<Self, KeyError> {
        let text = std::env::var(name).map_err(|_| KeyError::NotSet(name.to_owned()))?;
        Self::from_text(
            &Zeroizing::new(text),
            &format!("the environment variable {name}"),
        )
    }

    /// Makes a key and writes it to a new file of mode 600.
    ///
    /// # Errors
    /// There is a file of that name, or it cannot be written.
    pub fn create_file(path: &Path) -> Result<Self, KeyError> {
        let key = Self(Secret::random(KEY_BYTES)?);
        let mut text = key.0.to_hex();
        text.push('\n');
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.sync_all()
            })
            .map_err(|source| KeyError::Write {
                path: path.to_owned(),
                source,
            })?;
        Ok(key)
    }

    /// From 64 hexadecimal digits, with blanks around; `origin` is named in the error.
    ///
    /// # Errors
    /// They are none.
    pub fn from_text(text: &str, origin: &str) -> Result<Self, KeyError> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        hex::decode_to_slice(text.trim(), &mut *bytes)
            .map_err(|_| KeyError::Malformed(origin.to_owned()))?;
        Ok(Self(Secret::copy_of(&*bytes)))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("StoreKey")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_key_file_is_made_once_and_only_its_owner_may_reach_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let made = StoreKey::create_file(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let read = StoreKey::from_file(&path).unwrap();
        assert!(made.0 == read.0);
        assert!(matches!(
            StoreKey::create_file(&path),
            Err(KeyError::Write { .. })
        ));
        for mode in [0o640, 0o604, 0o620, 0o602, 0o610, 0o601] {
            set_mode(&path, mode);
            let error = StoreKey::from_file(&path).unwrap_err();
            assert!(matches!(error, KeyError::Exposed { .. }), "{error}");
            assert!(error.to_string().contains(&format!("{mode:o}")), "{error}");
        }
        set_mode(&path, 0o400);
        StoreKey::from_file(&path).unwrap();
        assert!(matches!(
            StoreKey::from_file(folder.path()),
            Err(KeyError::NoFile(_))
        ));
    }

    #[test]
    fn a_key_has_64_digits() {
        let digits = "0123456789abcdef".repeat(4);
        StoreKey::from_text(&format!(" {digits}\n"), "x").unwrap();
        for wrong in ["", &digits[1..], &format!("{digits}0"), &"g".repeat(64)] {
            let error = StoreKey::from_text(wrong, "x").unwrap_err();
            assert_eq!(
                error.to_string(),
                "x must hold 64 hexadecimal digits, as `openssl rand -hex 32` makes them"
            );
        }
        assert_eq!(
            format!("{:?}", StoreKey::from_text(&digits, "x").unwrap()),
            "StoreKey"
        );
        let name = "SIPWARD_NO_SUCH_KEY";
        assert!(matches!(
            StoreKey::from_environment(name),
            Err(KeyError::NotSet(unset)) if unset == name
        ));
    }
}
