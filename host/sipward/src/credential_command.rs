//! `sipward credential`: the accounts in the encrypted store.
//!
//! A new secret goes to standard output, once; everything else that is said about a
//! change goes to standard error. No secret is ever taken from the arguments, which
//! other users of the machine can see.

mod report;

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use accounts::{
    Book, BookError, Digits, Enrolment, NewPassword, PASSWORD_BYTES, StoreError, StoreFile,
    StoreKey,
};
use anyhow::Context;
use clap::Subcommand;
use secrecy::zeroize::Zeroizing;

use crate::assemble::key_of;
use crate::config::{self, CredentialStore};

/// Bytes of standard input: a password, a PIN and their line ends.
const INPUT_BYTES: u64 = 4_096;

/// What can be done with accounts.
#[derive(Debug, clap::Args)]
pub(crate) struct CredentialArguments {
    /// The configuration file, whose `[credentials]` names the store.
    #[arg(
        long,
        short,
        global = true,
        default_value = "/etc/sipward/sipward.toml",
        env = "SIPWARD_CONFIG"
    )]
    config: PathBuf,
    #[command(subcommand)]
    action: CredentialAction,
}

#[derive(Debug, Subcommand)]
enum CredentialAction {
    /// Make an empty store, and its key file if that is not there.
    Init,
    /// Add an account. A generated password is printed, and never again.
    Add {
        /// User name.
        user: String,
        /// Where the password is good; may be given again.
        #[arg(long, required = true)]
        realm: Vec<String>,
        /// A group it is in; may be given again.
        #[arg(long)]
        group: Vec<String>,
        /// Days that its passwords last, if not as many as others'.
        #[arg(long)]
        max_age_days: Option<u32>,
        #[command(flatten)]
        secrets: Secrets,
    },
    /// Give an account a new password, or with --pin or --totp a new code instead.
    Rotate {
        /// User name.
        user: String,
        /// Where the password is good from now on; may be given again.
        #[arg(long, conflicts_with_all = ["pin", "pin_stdin", "totp"])]
        realm: Vec<String>,
        #[command(flatten)]
        secrets: Secrets,
        /// Take PIN and one-time codes away.
        #[arg(long, conflicts_with_all = ["pin", "pin_stdin", "totp", "realm", "password_stdin"])]
        no_codes: bool,
    },
    /// Put an account into these groups and no others.
    Groups {
        /// User name.
        user: String,
        /// A group; may be given again, or not at all.
        #[arg(long)]
        group: Vec<String>,
    },
    /// Refuse everything of an account until it is enabled.
    Disable {
        /// User name.
        user: String,
    },
    /// Open a disabled account again.
    Enable {
        /// User name.
        user: String,
    },
    /// Forget an account.
    Remove {
        /// User name.
        user: String,
    },
    /// Seal the store with the key of another file, made if it is not there. Then
    /// name that file in the configuration.
    Rekey {
        /// The new key file.
        new_key_file: PathBuf,
    },
    /// Show all accounts.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show the accounts whose password has expired or will soon. Exit code 0 if there
    /// are none, 3 if some expire soon, 4 if some have expired, 1 if it cannot be told.
    Check {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Where secrets come from.
#[derive(Debug, clap::Args)]
struct Secrets {
    /// Take the password from the first line of standard input.
    #[arg(long)]
    password_stdin: bool,
    /// Make a PIN of six digits and print it.
    #[arg(long)]
    pin: bool,
    /// Take the PIN from the next line of standard input.
    #[arg(long, conflicts_with = "pin")]
    pin_stdin: bool,
    /// Make a secret for one-time codes and print its otpauth: URI.
    #[arg(long)]
    totp: bool,
    /// Digits of a one-time code: 6 or 8.
    #[arg(long, requires = "totp", default_value_t = 6, value_parser = clap::value_parser!(u8).range(6..=8))]
    totp_digits: u8,
}

impl CredentialArguments {
    /// Do what was asked.
    pub(crate) fn carry_out(self) -> ExitCode {
        match self.done() {
            Ok(code) => code,
            Err(error) => {
                eprintln!("{error:#}");
                ExitCode::FAILURE
            }
        }
    }

    fn done(self) -> anyhow::Result<ExitCode> {
        let store = config::credential_store_of(&self.config)?;
        match self.action {
            CredentialAction::Init => init(&store)?,
            CredentialAction::List { json } => report::list(&open(&store)?.read()?, &store, json)?,
            CredentialAction::Check { json } => {
                return report::check(&open(&store)?.read()?, &store, json);
            }
            CredentialAction::Rekey { new_key_file } => rekey(&store, &new_key_file)?,
            change => {
                // Read before the store is locked: whoever types may take his time.
                let input = Input::read(&change)?;
                let told = open(&store)?.change(|book| change.apply(book, &input))?;
                for secret in told.secrets {
                    println!("{}", *secret);
                }
                eprintln!(
                    "{}; a running sipward takes it up by itself, or by `sipward reload` with \
                     `server.watch = false`",
                    told.done
                );
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn now_ms() -> anyhow::Result<u64> {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("the clock is set before 1970")?;
    Ok(u64::try_from(since.as_millis())?)
}

fn open(store: &CredentialStore) -> anyhow::Result<StoreFile> {
    Ok(StoreFile::new(&store.file, key_of(store)?))
}

fn init(store: &CredentialStore) -> anyhow::Result<()> {
    let made = match &store.key_file {
        Some(file) if !file.exists() => {
            StoreKey::create_file(file)?;
            format!(
                " and its key {}; keep a copy of it elsewhere",
                file.display()
            )
        }
        _ => String::new(),
    };
    open(store)?.create()?;
    eprintln!("made the store {}{made}", store.file.display());
    Ok(())
}

fn rekey(store: &CredentialStore, file: &std::path::Path) -> anyhow::Result<()> {
    let mut opened = open(store)?;
    let key = if file.exists() {
        StoreKey::from_file(file)?
    } else {
        StoreKey::create_file(file)?
    };
    opened.rekey(key)?;
    eprintln!(
        "{} opens with {} from now on: name it as `key_file`, and reload",
        store.file.display(),
        file.display()
    );
    Ok(())
}

/// Secrets from standard input.
#[derive(Default)]
struct Input {
    password: Option<Zeroizing<String>>,
    pin: Option<Zeroizing<String>>,
}

impl Input {
    fn read(action: &CredentialAction) -> anyhow::Result<Self> {
        let (CredentialAction::Add { secrets, .. } | CredentialAction::Rotate { secrets, .. }) =
            action
        else {
            return Ok(Self::default());
        };
        if !secrets.password_stdin && !secrets.pin_stdin {
            return Ok(Self::default());
        }
        let mut text = Zeroizing::new(String::with_capacity(INPUT_BYTES as usize));
        std::io::stdin()
            .take(INPUT_BYTES)
            .read_to_string(&mut text)
            .context("failed to read standard input as text")?;
        let mut lines = text.lines();
        let mut next = |wanted: bool, what: &str| {
            if !wanted {
                return Ok(None);
            }
            let line = lines.next().filter(|line| !line.is_empty());
            let line = line.with_context(|| format!("standard input has no {what}"))?;
            anyhow::Ok(Some(Zeroizing::new(line.to_owned())))
        };
        Ok(Self {
            password: next(secrets.password_stdin, "line with the password")?,
            pin: next(secrets.pin_stdin, "line with the PIN")?,
        })
    }

    fn password(&self) -> NewPassword<'_> {
        match &self.password {
            Some(text) => NewPassword::Chosen(text),
            None => NewPassword::Generated,
        }
    }
}

/// What a change has to say.
struct Told {
    done: String,
    secrets: Vec<Zeroizing<String>>,
}

impl Told {
    fn new(done: String) -> Self {
        Self {
            done,
            secrets: Vec::new(),
        }
    }

    fn secret(&mut self, name: &str, secret: Option<Zeroizing<String>>) {
        if let Some(secret) = secret {
            self.secrets
                .push(Zeroizing::new(format!("{name}: {}", *secret)));
        }
    }
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Book(#[from] BookError),
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

impl CredentialAction {
    fn apply(&self, book: &mut Book, input: &Input) -> Result<Told, Refused> {
        match self {
            Self::Add {
                user,
                realm,
                group,
                max_age_days,
                secrets,
            } => {
                let enrolment = Enrolment {
                    user,
                    realms: &texts(realm),
                    groups: &texts(group),
                    max_age_days: *max_age_days,
                };
                let mut told = Told::new(format!("added `{user}`"));
                let password = book.add(enrolment, input.password(), now_ms()?)?;
                told.secret("password", password);
                secrets.set_codes(user, book, input, &mut told)?;
                Ok(told)
            }
            Self::Rotate {
                user,
                realm,
                secrets,
                no_codes,
            } => {
                let codes = secrets.pin || secrets.pin_stdin || secrets.totp;
                let mut told = Told::new(format!("changed `{user}`"));
                if *no_codes {
                    book.clear_codes(user)?;
                } else if !codes || secrets.password_stdin {
                    let realms = texts(realm);
                    let password = book.rotate(user, &realms, input.password(), now_ms()?)?;
                    told.secret("password", password);
                }
                secrets.set_codes(user, book, input, &mut told)?;
                Ok(told)
            }
            Self::Groups { user, group } => {
                book.set_groups(user, &texts(group))?;
                Ok(Told::new(format!("changed the groups of `{user}`")))
            }
            Self::Disable { user } => {
                book.set_disabled(user, true)?;
                Ok(Told::new(format!("disabled `{user}`")))
            }
            Self::Enable { user } => {
                book.set_disabled(user, false)?;
                Ok(Told::new(format!("enabled `{user}`")))
            }
            Self::Remove { user } => {
                book.remove(user)?;
                Ok(Told::new(format!("removed `{user}`")))
            }
            Self::Init | Self::Rekey { .. } | Self::List { .. } | Self::Check { .. } => {
                Ok(Told::new("nothing changed".to_owned()))
            }
        }
    }
}

impl Secrets {
    fn set_codes(
        &self,
        user: &str,
        book: &mut Book,
        input: &Input,
        told: &mut Told,
    ) -> Result<(), Refused> {
        if self.pin || self.pin_stdin {
            let chosen = input.pin.as_ref().map(|pin| pin.as_str());
            told.secret("pin", book.set_pin(user, chosen)?);
        }
        if self.totp {
            let digits = Digits::try_from(self.totp_digits)
                .map_err(|problem| anyhow::anyhow!("--totp-digits: {problem}"))?;
            told.secret("totp", Some(book.set_totp(user, digits, now_ms()?)?));
        }
        Ok(())
    }
}

fn texts(list: &[String]) -> Vec<&str> {
    list.iter().map(String::as_str).collect()
}

const _: () = assert!(INPUT_BYTES as usize > PASSWORD_BYTES * 2);
