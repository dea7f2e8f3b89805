//! Whose plugin it is: ed25519 signatures in the format of minisign.
//!
//! A signature lies beside its plugin, as `NAME.wasm.minisig`. It covers the bytes of the
//! plugin (by BLAKE2b) and a comment. Nothing here reads a plugin's file: whoever
//! verifies hands over the very bytes that are used afterwards.

mod key;
mod making;
mod verify;

use std::path::{Path, PathBuf};

pub use key::{KeyError, PublicKey};
pub use making::{NewKeys, SecretKey, SigningError};
pub use verify::{SignatureError, Signed, Signer, verify};

/// Bytes of a signature's file. 8 KiB: four lines; the two comments have room.
pub const SIGNATURE_BYTES: usize = 8 << 10;
/// Bytes of a file with a key. 8 KiB: two lines.
pub const KEY_BYTES: usize = 8 << 10;

/// Where the signature of a plugin's file is.
pub fn signature_path(plugin: &Path) -> PathBuf {
    let mut name = plugin.as_os_str().to_owned();
    name.push(".minisig");
    PathBuf::from(name)
}
