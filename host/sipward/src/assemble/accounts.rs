//! Users and their secrets, read from files and the environment only.

use std::path::Path;

use secrecy::zeroize::Zeroizing;
use state::digest::{Accounts, AccountsBuilder, Algorithm};

use super::AssembleError;
use crate::config::Credential;

/// Bytes of a secret's file; passwords are shorter by far.
const SECRET_FILE_BYTES: u64 = 4096;

/// The accounts of a configuration.
///
/// # Errors
/// A secret is missing, unreadable or no secret; the error never shows it.
pub(crate) fn accounts(credentials: &[Credential]) -> Result<Accounts, AssembleError> {
    let mut builder = Accounts::builder();
    for credential in credentials {
        add(&mut builder, credential).map_err(|message| AssembleError::Credential {
            user: credential.user.clone(),
            message,
        })?;
    }
    Ok(builder.build())
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
