//! From the network onto the disk. Nothing lies under its name before it is whole, has
//! been verified, and is safe from a power cut.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use plugin_signature::{Signed, Signer, signature_path, verify};
use tempfile::NamedTempFile;

use crate::digest::Digest;
use crate::error::RegistryError;
use crate::registry::Fetched;

/// Whoever the proxy runs as reads it.
const MODE: u32 = 0o644;

/// What may be kept.
#[derive(Debug)]
pub struct Accepted {
    fetched: Fetched,
    signed: Option<Signed>,
}

/// What was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The component.
    pub component: PathBuf,
    /// Its signature, if it has one.
    pub signature: Option<PathBuf>,
    /// The digest of the artifact.
    pub digest: Digest,
    /// Who signed; none if nobody's keys were asked for.
    pub signed: Option<Signed>,
}

impl Fetched {
    /// Holds the signature against keys.
    ///
    /// # Errors
    /// It is not signed, or by nobody of them.
    pub fn accept(self, signers: &[Signer]) -> Result<Accepted, RegistryError> {
        let signature = self.signature.as_deref().ok_or(RegistryError::Unsigned)?;
        let signed = verify(signers, &self.component, signature.as_bytes())
            .map_err(RegistryError::Signature)?;
        Ok(Accepted {
            signed: Some(signed),
            fetched: self,
        })
    }

    /// Takes it from anybody: whoever loads it asks whose it is.
    pub fn accept_from_anybody(self) -> Accepted {
        Accepted {
            fetched: self,
            signed: None,
        }
    }
}

impl Accepted {
    /// Writes the component to `path` and the signature beside it. What is there already
    /// stays, unless it is to be replaced.
    ///
    /// # Errors
    /// There is such a file, or the system refuses.
    pub fn keep(self, path: &Path, replacing: bool) -> Result<Kept, RegistryError> {
        let Self { fetched, signed } = self;
        let beside = signature_path(path);
        for file in [path, &beside] {
            // A link that leads nowhere is there too.
            if !replacing && fs::symlink_metadata(file).is_ok() {
                return Err(RegistryError::Exists {
                    path: file.to_owned(),
                });
            }
        }
        let component = written(path, &fetched.component)?;
        let signature = match &fetched.signature {
            Some(text) => Some(written(&beside, text.as_bytes())?),
            None => None,
        };
        let is_signed = signature.is_some();
        match signature {
            Some(signature) => named(signature, &beside, replacing)?,
            // The signature of what is replaced is not one of what comes.
            None if replacing => removed(&beside)?,
            None => {}
        }
        if let Err(error) = named(component, path, replacing) {
            if is_signed && !replacing {
                removed(&beside)?;
            }
            return Err(error);
        }
        let folder = folder_of(path);
        File::open(folder)
            .and_then(|it| it.sync_all())
            .map_err(RegistryError::file("write", folder))?;
        Ok(Kept {
            component: path.to_owned(),
            signature: is_signed.then_some(beside),
            digest: fetched.digest,
            signed,
        })
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// A file without a name of its own yet, in the folder where it will get one.
fn written(path: &Path, bytes: &[u8]) -> Result<NamedTempFile, RegistryError> {
    let write = || {
        let mut file = NamedTempFile::new_in(folder_of(path))?;
        file.write_all(bytes)?;
        file.as_file()
            .set_permissions(Permissions::from_mode(MODE))?;
        file.as_file().sync_all()?;
        Ok(file)
    };
    write().map_err(RegistryError::file("write", path))
}

fn named(file: NamedTempFile, path: &Path, replacing: bool) -> Result<(), RegistryError> {
    let named = if replacing {
        file.persist(path)
    } else {
        file.persist_noclobber(path)
    };
    match named {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(RegistryError::Exists {
                path: path.to_owned(),
            })
        }
        Err(error) => Err(RegistryError::file("write", path)(error.error)),
    }
}

fn removed(path: &Path) -> Result<(), RegistryError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(RegistryError::file("remove", path)(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use plugin_signature::{NewKeys, SecretKey};

    use super::*;

    const BYTES: &[u8] = b"\0asm\x0d\0\x01\0";

    fn key() -> SecretKey {
        let keys = NewKeys::generate(None).unwrap();
        SecretKey::open(&keys.secret_file, None).unwrap()
    }

    fn signer(key: &SecretKey) -> Signer {
        Signer {
            name: "me".into(),
            key: key.public().clone(),
        }
    }

    fn fetched(signature: Option<&str>) -> Fetched {
        Fetched {
            component: BYTES.to_vec(),
            signature: signature.map(str::to_owned),
            digest: Digest::of(b"the manifest"),
        }
    }

    fn files(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|it| it.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn only_what_is_signed_by_these_is_accepted() {
        let (mine, other) = (key(), key());
        let good = mine.sign(BYTES, "1.0").unwrap();
        let accepted = fetched(Some(&good)).accept(&[signer(&mine)]).unwrap();
        assert_eq!(accepted.signed.unwrap().comment, "1.0");
        for (signature, signers) in [
            (Some(good.as_str()), vec![signer(&other)]),
            (Some(&good[..good.len() / 2]), vec![signer(&mine)]),
            (
                Some(&mine.sign(b"other", "1.0").unwrap()),
                vec![signer(&mine)],
            ),
            (Some(&good), vec![]),
            (None, vec![signer(&mine)]),
        ] {
            assert!(fetched(signature).accept(&signers).is_err());
        }
        let error = fetched(None).accept(&[signer(&mine)]).unwrap_err();
        assert!(matches!(error, RegistryError::Unsigned));
    }

    #[test]
    fn both_files_are_there_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wasm");
        let kept = fetched(Some("text"))
            .accept_from_anybody()
            .keep(&path, false)
            .unwrap();
        assert_eq!(files(folder.path()), ["a.wasm", "a.wasm.minisig"]);
        assert_eq!(fs::read(&kept.component).unwrap(), BYTES);
        assert_eq!(fs::read(kept.signature.unwrap()).unwrap(), b"text");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, MODE);
    }

    #[test]
    fn what_is_there_stays_unless_it_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wasm");
        for taken in [path.clone(), signature_path(&path)] {
            fs::write(&taken, "old").unwrap();
            let error = fetched(Some("text"))
                .accept_from_anybody()
                .keep(&path, false)
                .unwrap_err();
            assert!(matches!(error, RegistryError::Exists { path } if path == taken));
            assert_eq!(fs::read(&taken).unwrap(), b"old");
            assert_eq!(files(folder.path()).len(), 1);
            fs::remove_file(&taken).unwrap();
        }
        let keep = |signature| {
            let accepted = fetched(signature).accept_from_anybody();
            accepted.keep(&path, true).unwrap()
        };
        keep(Some("text"));
        keep(Some("other"));
        assert_eq!(fs::read(signature_path(&path)).unwrap(), b"other");
        assert_eq!(keep(None).signature, None);
        assert_eq!(files(folder.path()), ["a.wasm"]);
    }

    #[test]
    fn a_link_is_replaced_and_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (target, path) = (folder.path().join("target"), folder.path().join("a.wasm"));
        std::os::unix::fs::symlink(&target, &path).unwrap();
        let error = fetched(None).accept_from_anybody().keep(&path, false);
        assert!(matches!(error, Err(RegistryError::Exists { .. })));
        fetched(None)
            .accept_from_anybody()
            .keep(&path, true)
            .unwrap();
        assert!(!target.exists());
        assert_eq!(fs::read(&path).unwrap(), BYTES);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none").join("a.wasm");
        let error = fetched(None).accept_from_anybody().keep(&path, false);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("none/a.wasm"), "{error}");
    }
}
