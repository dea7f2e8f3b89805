//! Keys and signatures as files: `keygen`, `sign`, `verify`.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use plugin_build::Surface;
use plugin_signature::{
    KEY_BYTES, NewKeys, PublicKey, SIGNATURE_BYTES, SecretKey, Signed, Signer, signature_path,
    verify,
};
use secrecy::{ExposeSecret, SecretString};

use crate::build::COMPONENT_BYTES;
use crate::error::{KitError, read};

/// Files of new keys.
#[derive(Clone, Debug)]
pub struct KeyFiles {
    /// The secret key; nobody else can read it.
    pub secret: PathBuf,
    /// The public key.
    pub public: PathBuf,
    /// What operators write into their configuration.
    pub key: PublicKey,
}

/// Makes keys, as `PREFIX.key` and `PREFIX.pub`. A password locks the secret one.
///
/// # Errors
/// There are such files, or the system refuses.
pub fn generate(prefix: &Path, password: Option<&SecretString>) -> Result<KeyFiles, KitError> {
    let (secret, public) = (with_suffix(prefix, ".key"), with_suffix(prefix, ".pub"));
    for path in [&secret, &public] {
        if path.exists() {
            return Err(KitError::Unusable(format!(
                "{} is there already; keys are never overwritten",
                path.display()
            )));
        }
    }
    let keys = NewKeys::generate(password).map_err(|cause| KitError::Signing {
        path: secret.clone(),
        cause,
    })?;
    write_new(&secret, 0o600, keys.secret_file.expose_secret())?;
    write_new(&public, 0o644, &keys.public_file)?;
    Ok(KeyFiles {
        secret,
        public,
        key: keys.public,
    })
}

/// Signs a plugin; the signature lies beside it. Without a comment of the caller's it
/// says the file's name.
///
/// # Errors
/// The key does not open, or the file is no component.
pub fn sign(
    plugin: &Path,
    key: &Path,
    password: Option<&SecretString>,
    comment: Option<&str>,
) -> Result<(PathBuf, PublicKey), KitError> {
    let wasm = read(plugin, COMPONENT_BYTES)?;
    // What is signed is what somebody will run, so it is looked at first.
    Surface::of(&wasm)?;
    let failed = |cause| KitError::Signing {
        path: key.to_owned(),
        cause,
    };
    let secret = read(key, u64::try_from(KEY_BYTES).unwrap_or(u64::MAX))?;
    let secret = SecretString::from(String::from_utf8_lossy(&secret).into_owned());
    let secret = SecretKey::open(&secret, password).map_err(failed)?;
    let name = plugin.file_name().unwrap_or_default().to_string_lossy();
    let comment = comment.map_or_else(|| format!("file:{name}"), str::to_owned);
    let signature = secret.sign(&wasm, &comment).map_err(failed)?;
    let path = signature_path(plugin);
    plugin_build::write_whole(&path, signature.as_bytes())?;
    Ok((path, secret.public().clone()))
}

/// Checks a plugin's signature against keys.
///
/// # Errors
/// It has none, or none of these.
pub fn check(plugin: &Path, accepted: &[Signer]) -> Result<Signed, KitError> {
    let wasm = read(plugin, COMPONENT_BYTES)?;
    check_bytes(plugin, &wasm, accepted)
}

/// The same for bytes that were read already.
pub(crate) fn check_bytes(
    plugin: &Path,
    wasm: &[u8],
    accepted: &[Signer],
) -> Result<Signed, KitError> {
    let path = signature_path(plugin);
    let most = u64::try_from(SIGNATURE_BYTES).unwrap_or(u64::MAX);
    let signature = read(&path, most)?;
    verify(accepted, wasm, &signature).map_err(|cause| KitError::Signature { path, cause })
}

/// A public key: the text itself, or the file that it stands in.
///
/// # Errors
/// It is neither.
pub fn public_key(written: &str) -> Result<PublicKey, KitError> {
    let path = Path::new(written);
    let text = if path.is_file() {
        let bytes = read(path, u64::try_from(KEY_BYTES).unwrap_or(u64::MAX))?;
        String::from_utf8_lossy(&bytes).into_owned()
    } else {
        written.to_owned()
    };
    text.parse().map_err(|error| {
        KitError::Unusable(format!(
            "{written}: {error}; write the line that begins with `RW`, or name the `.pub` file"
        ))
    })
}

fn with_suffix(prefix: &Path, suffix: &str) -> PathBuf {
    let mut name = prefix.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn write_new(path: &Path, mode: u32, text: &str) -> Result<(), KitError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    let written = options
        .open(path)
        .and_then(|mut file: File| file.write_all(text.as_bytes()));
    written.map_err(KitError::file("write", path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    /// The smallest component.
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    fn signer(key: PublicKey) -> Signer {
        Signer {
            name: "me".into(),
            key,
        }
    }

    #[test]
    fn keys_sign_and_nobody_else_reads_the_secret_one() {
        let folder = tempfile::tempdir().unwrap();
        let keys = generate(&folder.path().join("mine"), None).unwrap();
        assert_eq!(
            std::fs::metadata(&keys.secret).unwrap().mode() & 0o777,
            0o600
        );
        let plugin = folder.path().join("a.wasm");
        std::fs::write(&plugin, EMPTY).unwrap();
        let (path, key) = sign(&plugin, &keys.secret, None, None).unwrap();
        assert_eq!((path, &key), (signature_path(&plugin), &keys.key));
        let me = [signer(public_key(&keys.public.to_string_lossy()).unwrap())];
        assert_eq!(check(&plugin, &me).unwrap().comment, "file:a.wasm");
        std::fs::write(&plugin, b"\0asm\x0d\0\x01\0\0\x01\x01a").unwrap();
        assert!(matches!(
            check(&plugin, &me),
            Err(KitError::Signature { .. })
        ));
    }

    #[test]
    fn keys_are_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let prefix = folder.path().join("mine");
        let keys = generate(&prefix, None).unwrap();
        let before = std::fs::read(&keys.secret).unwrap();
        assert!(generate(&prefix, None).is_err());
        std::fs::remove_file(&keys.public).unwrap();
        assert!(generate(&prefix, None).is_err());
        assert_eq!(std::fs::read(&keys.secret).unwrap(), before);
    }

    #[test]
    fn what_is_no_component_is_not_signed() {
        let folder = tempfile::tempdir().unwrap();
        let keys = generate(&folder.path().join("mine"), None).unwrap();
        let plugin = folder.path().join("a.wasm");
        std::fs::write(&plugin, b"#!/bin/sh\n").unwrap();
        assert!(sign(&plugin, &keys.secret, None, None).is_err());
        assert!(!signature_path(&plugin).exists());
    }

    #[test]
    fn an_unsigned_plugin_is_not_good() {
        let folder = tempfile::tempdir().unwrap();
        let keys = generate(&folder.path().join("mine"), None).unwrap();
        let plugin = folder.path().join("a.wasm");
        std::fs::write(&plugin, EMPTY).unwrap();
        let error = check(&plugin, &[signer(keys.key)]).unwrap_err().to_string();
        assert!(error.contains("a.wasm.minisig"), "{error}");
        assert!(public_key("nonsense").is_err());
    }
}
