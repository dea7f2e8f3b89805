//! Users and their secrets, read from files, the environment and the encrypted store
//! only.

use std::path::Path;

use accounts::{Ages, CodeTable, KeyError, Members, StoreFile, StoreKey, Summary};
use secrecy::zeroize::Zeroizing;
use state::digest::{Accounts, AccountsBuilder, Algorithm};

use super::AssembleError;
use crate::config::{Config, Credential, CredentialStore, KEY_VARIABLE};

/// Bytes of a secret's file; passwords are shorter by far.
const SECRET_FILE_BYTES: u64 = 4096;

/// Everybody who may authenticate, and what else is known of them.
pub(crate) struct Roster {
    /// For digest verification.
    pub(crate) digest: Accounts,
    /// What dialled codes are checked against.
    pub(crate) codes: CodeTable,
    /// The accounts of the store, for warnings.
    pub(crate) summaries: Vec<Summary>,
    /// Which groups the store names them in.
    pub(crate) members: Members,
    /// How long their passwords last.
    pub(crate) ages: Ages,
}

/// The accounts of a configuration, and those in its store.
///
/// # Errors
/// A secret is missing, unreadable or no secret; the error never shows it.
pub(crate) fn roster(config: &Config, now_ms: u64) -> Result<Roster, AssembleError> {
    let mut builder = inline(&config.credentials)?;
    let Some(store) = &config.credential_store else {
        return Ok(Roster {
            digest: builder.build(),
            codes: CodeTable::default(),
            summaries: Vec::new(),
            members: Members::default(),
            ages: Ages::default(),
        });
    };
    let failed = |error: &dyn std::error::Error| AssembleError::Store(error.to_string());
    let key = key_of(store).map_err(|error| failed(&error))?;
    let book = StoreFile::new(&store.file, key)
        .read()
        .map_err(|error| failed(&error))?;
    let ages = store.ages();
    book.enrol(&ages, &mut builder)
        .map_err(|error| AssembleError::Store(format!("{error}: once in the store")))?;
    Ok(Roster {
        digest: builder.build(),
        codes: book.codes(&ages),
        summaries: book.summaries(&ages, now_ms),
        members: book.members(),
        ages,
    })
}

/// The key to a store.
///
/// # Errors
/// See [`KeyError`].
pub(crate) fn key_of(store: &CredentialStore) -> Result<StoreKey, KeyError> {
    match (&store.key_file, store.key_variable()) {
        (Some(file), _) => StoreKey::from_file(file),
        (None, name) => StoreKey::from_environment(name.unwrap_or(KEY_VARIABLE)),
    }
}

fn inline(credentials: &[Credential]) -> Result<AccountsBuilder, AssembleError> {
    let mut builder = Accounts::builder();
    for credential in credentials {
        add(&mut builder, credential).map_err(|message| AssembleError::Credential {
            user: credential.user.clone(),
            message,
        })?;
    }
    Ok(builder)
}

fn add(builder: &mut AccountsBuilder, credential: &Credential) -> Result<(), String> {
    let Credential {
        user,
        realm,
        password_file,
        password_env,
        ha1_file,
    } = credential;
    match (password_file, password_env, ha1_file) {
        (Some(path), None, None) => {
            let text = read(path)?;
            password(
                builder,
                user,
                realm,
                text.lines().next().unwrap_or_default(),
            )
        }
        (None, Some(name), None) => {
            let text = std::env::var(name)
                .map_err(|_| format!("the environment variable {name} is not set"))?;
            password(builder, user, realm, &Zeroizing::new(text))
        }
        (None, None, Some(path)) => hashes(builder, user, realm, path),
        _ => Err(
            "exactly one of `password_file`, `password_env` and `ha1_file` is needed".to_owned(),
        ),
    }
}

fn password(
    builder: &mut AccountsBuilder,
    user: &str,
    realm: &str,
    text: &str,
) -> Result<(), String> {
    if text.is_empty() {
        return Err("the password is empty".to_owned());
    }
    builder
        .password(user, realm, text.as_bytes())
        .map(drop)
        .map_err(|error| error.to_string())
}

fn hashes(
    builder: &mut AccountsBuilder,
    user: &str,
    realm: &str,
    path: &Path,
) -> Result<(), String> {
    let text = read(path)?;
    let mut found = 0_usize;
    for line in text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (algorithm, digits) = line.split_once(':').ok_or_else(|| {
            format!(
                "{}: a line is not `algorithm:hexadecimal digits`",
                path.display()
            )
        })?;
        let algorithm = Algorithm::from_token(algorithm.trim().as_bytes()).ok_or_else(|| {
            format!(
                "{}: `{algorithm}` is none of MD5, SHA-256, SHA-512-256",
                path.display()
            )
        })?;
        builder
            .ha1(user, realm, algorithm, digits.trim().as_bytes())
            .map_err(|error| format!("{}: {error}", path.display()))?;
        found += 1;
    }
    if found == 0 {
        return Err(format!(
            "{}: no line `algorithm:hexadecimal digits`",
            path.display()
        ));
    }
    Ok(())
}

/// A file that holds a secret.
pub(super) fn read(path: &Path) -> Result<Zeroizing<String>, String> {
    use std::io::Read;
    let mut text = Zeroizing::new(String::new());
    std::fs::File::open(path)
        .and_then(|file| file.take(SECRET_FILE_BYTES).read_to_string(&mut text))
        .map_err(|error| format!("failed to read {}: {error}", path.display()))?;
    Ok(text)
}
