//! From a core module to a component, and onto the disk in one step.

use std::fs;
use std::path::Path;

use wit_component::ComponentEncoder;

use crate::error::BuildError;

/// A core module with a component-type section as a component, validated. The name is
/// for the error.
///
/// # Errors
/// The module is no policy.
pub fn componentize(name: &Path, module: &[u8]) -> Result<Vec<u8>, BuildError> {
    ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|encoder| encoder.encode())
        .map_err(|error| BuildError::NotAPolicy {
            module: name.to_owned(),
            cause: format!("{error:#}"),
        })
}

/// The same for a file.
///
/// # Errors
/// It cannot be read, or is no policy.
pub fn componentize_file(module: &Path) -> Result<Vec<u8>, BuildError> {
    let bytes = fs::read(module).map_err(|cause| BuildError::File {
        action: "read",
        path: module.to_owned(),
        cause,
    })?;
    componentize(module, &bytes)
}

/// Replace a file in one step, so that a proxy that watches it never sees half of it.
/// A file that has these bytes already stays as it is.
///
/// # Errors
/// The system refuses.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), BuildError> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |cause| BuildError::File {
            action: "write",
            path,
            cause,
        }
    };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    fs::write(&beside, bytes).map_err(failed(&beside))?;
    fs::rename(&beside, path).map_err(failed(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_without_a_component_type_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("empty.wasm");
        fs::write(&path, b"\0asm\x01\0\0\0\x01").expect("written");
        assert!(componentize_file(&path).is_err());
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.wasm");
        for bytes in [&b"one"[..], b"two"] {
            write_whole(&path, bytes).expect("written");
            assert_eq!(fs::read(&path).expect("read"), bytes);
        }
        let entries = fs::read_dir(folder.path()).expect("a folder").count();
        assert_eq!(entries, 1, "nothing is left beside it");
    }
}
