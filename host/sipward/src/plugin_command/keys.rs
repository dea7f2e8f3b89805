//! `keygen` and `sign`. A password never stands in the arguments, which other users of
//! the machine can see.

use std::io::{IsTerminal, stdin};
use std::path::PathBuf;

use anyhow::Context;
use plugin_kit::signing;
use secrecy::SecretString;

/// Holds the password of a key where nobody can be asked.
const PASSWORD_VARIABLE: &str = "SIPWARD_SIGNING_PASSWORD";

/// New keys.
#[derive(Debug, clap::Args)]
pub(crate) struct KeygenArguments {
    /// Where the keys go: PREFIX.key and PREFIX.pub.
    prefix: PathBuf,
    /// Do not lock the secret key: whoever reads the file can sign.
    #[arg(long)]
    no_password: bool,
}

/// A signature.
#[derive(Debug, clap::Args)]
pub(crate) struct SignArguments {
    /// The component.
    plugin: PathBuf,
    /// The file of the secret key.
    #[arg(long)]
    key: PathBuf,
    /// One line that is signed too, such as a version; the file's name without it.
    #[arg(long)]
    comment: Option<String>,
}

pub(super) fn generate(arguments: &KeygenArguments) -> anyhow::Result<()> {
    let password = match (arguments.no_password, password()) {
        (true, _) => None,
        (false, Some(password)) => Some(password),
        (false, None) => Some(asked_twice()?),
    };
    let keys = signing::generate(&arguments.prefix, password.as_ref())?;
    println!("{}", keys.key);
    eprintln!(
        "{} is secret: keep it away from servers; {} is for everybody, and its second line \
         is the `public_key` of a [[signer]]",
        keys.secret.display(),
        keys.public.display()
    );
    Ok(())
}

pub(super) fn sign(arguments: &SignArguments) -> anyhow::Result<()> {
    let SignArguments {
        plugin,
        key,
        comment,
    } = arguments;
    let sign =
        |password: Option<&SecretString>| signing::sign(plugin, key, password, comment.as_deref());
    let given = password();
    let signed = match sign(given.as_ref()) {
        Err(plugin_kit::KitError::Signing {
            cause: plugin_signature::SigningError::Locked,
            ..
        }) if stdin().is_terminal() => sign(Some(&asked("Password of the key: ")?)),
        other => other,
    };
    let (path, key) = signed?;
    println!("{}: signed by {}", path.display(), key.id());
    Ok(())
}

fn password() -> Option<SecretString> {
    std::env::var(PASSWORD_VARIABLE)
        .ok()
        .map(SecretString::from)
}

fn asked(question: &str) -> anyhow::Result<SecretString> {
    let password = rpassword::prompt_password(question).context("failed to ask for a password")?;
    Ok(SecretString::from(password))
}

fn asked_twice() -> anyhow::Result<SecretString> {
    use secrecy::ExposeSecret;
    anyhow::ensure!(
        stdin().is_terminal(),
        "there is nobody to ask for a password; put it into {PASSWORD_VARIABLE}, or leave the key unlocked with --no-password"
    );
    let password = asked("Password for the new key: ")?;
    anyhow::ensure!(
        !password.expose_secret().is_empty(),
        "an empty password locks nothing; use --no-password"
    );
    let again = asked("Once more: ")?;
    anyhow::ensure!(
        password.expose_secret() == again.expose_secret(),
        "the two are not the same"
    );
    Ok(password)
}
