//! `[credentials]`: the encrypted store of accounts.

use std::path::PathBuf;

use serde::Deserialize;

/// The variable that holds the key when nothing else is written. One underscore less
/// than a variable that sets a key of the file.
pub const KEY_VARIABLE: &str = "SIPWARD_CREDENTIALS_KEY";

/// The store of accounts, besides those in `[[credential]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialStore {
    /// The store, written by `sipward credential`.
    pub file: PathBuf,
    /// File with the key to it: 64 hexadecimal digits, mode 600.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// Environment variable that holds the key; [`KEY_VARIABLE`] without either.
    #[serde(default)]
    pub key_env: Option<String>,
    /// Days after which a password expires: 1 to 3650.
    #[serde(default = "max_age_days")]
    pub max_age_days: u32,
    /// Days before that from which on it is warned about.
    #[serde(default = "warn_days")]
    pub warn_days: u32,
}

fn max_age_days() -> u32 {
    accounts::Ages::default().max_age_days
}

fn warn_days() -> u32 {
    accounts::Ages::default().warn_days
}

impl CredentialStore {
    /// The variable that holds the key, unless a file does.
    pub fn key_variable(&self) -> Option<&str> {
        match (&self.key_file, &self.key_env) {
            (Some(_), _) => None,
            (None, name) => Some(name.as_deref().unwrap_or(KEY_VARIABLE)),
        }
    }

    /// How long passwords last.
    pub fn ages(&self) -> accounts::Ages {
        accounts::Ages {
            max_age_days: self.max_age_days,
            warn_days: self.warn_days,
        }
    }
}
