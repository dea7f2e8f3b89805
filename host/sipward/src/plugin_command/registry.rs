//! `push` and `pull`: plugins in OCI registries.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use plugin_kit::build;
use plugin_registry::{Credentials, Options, Reference, Registry, Source};
use plugin_signature::{SIGNATURE_BYTES, signature_path, verify};

use super::{Accepted, component_of, trial};

/// When everything is said to have been made, by the convention of reproducible builds.
const EPOCH_VARIABLE: &str = "SOURCE_DATE_EPOCH";

/// A push.
#[derive(Debug, clap::Args)]
pub(crate) struct PushArguments {
    /// The component, or the plugin's folder.
    plugin: PathBuf,
    /// Where it goes, such as registry.example.com/acme/night-calls:1.0.
    reference: String,
    #[command(flatten)]
    accepted: Accepted,
    #[command(flatten)]
    connection: Connection,
    /// Let the tag name this plugin, although it names another one.
    #[arg(long)]
    force: bool,
}

/// A pull.
#[derive(Debug, clap::Args)]
pub(crate) struct PullArguments {
    /// Where it is, by tag or by digest: `.../night-calls@sha256:...`.
    reference: String,
    /// Where the component goes, if not NAME.wasm in the present folder.
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    accepted: Accepted,
    #[command(flatten)]
    connection: Connection,
    /// Replace files that are there.
    #[arg(long)]
    force: bool,
}

/// How the registry is asked.
#[derive(Debug, clap::Args)]
struct Connection {
    /// PEM file with the authorities that may vouch for the registry; those of the system
    /// without it.
    #[arg(long)]
    ca: Option<PathBuf>,
    /// Do without encryption on the way to another machine.
    #[arg(long)]
    plain_http: bool,
    /// How long it may take, all in all.
    #[arg(long, default_value = "5m", value_parser = trial::duration)]
    timeout: Duration,
}

impl Connection {
    fn open(&self, reference: Reference) -> anyhow::Result<Registry> {
        let system = || transport::tls::system_bundle().map(Path::to_owned);
        let options = Options {
            plain_http: self.plain_http,
            authorities: self.ca.clone().or_else(system),
            component_bytes: build::COMPONENT_BYTES,
            time: self.timeout,
        };
        let credentials = Credentials::find(reference.host(), |name| std::env::var(name).ok())?;
        Ok(Registry::open(reference, credentials, &options)?)
    }
}

impl Accepted {
    /// Whether somebody in particular has to have signed.
    fn is_asked_for(&self) -> bool {
        !self.key.is_empty() || self.config.is_some()
    }
}

pub(super) fn push(arguments: &PushArguments) -> anyhow::Result<()> {
    let reference: Reference = arguments
        .reference
        .parse()
        .context(arguments.reference.clone())?;
    let path = component_of(&arguments.plugin)?;
    // Read once: what is verified is what goes.
    let component = read(&path, build::COMPONENT_BYTES)?
        .with_context(|| format!("{} is not there", path.display()))?;
    let signature = signature_of(&path)?;
    let beside = signature_path(&path);
    if arguments.accepted.is_asked_for() {
        let (signers, _) = arguments.accepted.read(&path)?;
        let signature = signature.as_deref().unwrap_or_default();
        verify(&signers, &component, signature.as_bytes())
            .with_context(|| beside.display().to_string())?;
    }
    if signature.is_none() {
        eprintln!("it is not signed: there is no {}", beside.display());
    }
    let title = path.file_name().unwrap_or_default().to_string_lossy();
    let mut registry = arguments.connection.open(reference.clone())?;
    let source = Source {
        title: &title,
        component: &component,
        signature: signature.as_deref(),
        created: created(&path)?,
    };
    let digest = registry.push(source, arguments.force)?;
    println!("{reference}@{digest}");
    Ok(())
}

pub(super) fn pull(arguments: &PullArguments) -> anyhow::Result<()> {
    let reference: Reference = arguments
        .reference
        .parse()
        .context(arguments.reference.clone())?;
    let path = match &arguments.out {
        Some(path) => path.clone(),
        None => PathBuf::from(format!("{}.wasm", reference.last_name())),
    };
    let signers = match arguments.accepted.is_asked_for() {
        true => Some(arguments.accepted.read(&path)?.0),
        false => None,
    };
    let fetched = arguments.connection.open(reference.clone())?.fetch()?;
    let accepted = match &signers {
        Some(signers) => fetched.accept(signers)?,
        None => fetched.accept_from_anybody(),
    };
    let kept = accepted.keep(&path, arguments.force)?;
    println!(
        "{}: {}/{}@{}",
        kept.component.display(),
        reference.host(),
        reference.name(),
        kept.digest
    );
    match (&kept.signed, &kept.signature) {
        (Some(signed), _) => println!(
            "{}: good, by `{}` ({}): {}",
            kept.component.display(),
            signed.signer.name,
            signed.signer.key.id(),
            signed.comment
        ),
        (None, Some(_)) => eprintln!(
            "its signature was not verified; name a key with --key, or a configuration with --config"
        ),
        (None, None) => eprintln!("it is not signed"),
    }
    Ok(())
}

/// A file of at most so many bytes; none if there is no such file.
fn read(path: &Path, limit: u64) -> anyhow::Result<Option<Vec<u8>>> {
    let failed = || format!("failed to read {}", path.display());
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened.with_context(failed)?,
    };
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .with_context(failed)?;
    anyhow::ensure!(
        u64::try_from(bytes.len()).is_ok_and(|it| it <= limit),
        "{} has more than {limit} bytes",
        path.display()
    );
    Ok(Some(bytes))
}

/// The text of the signature beside a component, if there is one.
fn signature_of(component: &Path) -> anyhow::Result<Option<String>> {
    let path = signature_path(component);
    let limit = u64::try_from(SIGNATURE_BYTES).unwrap_or(u64::MAX);
    let Some(bytes) = read(&path, limit)? else {
        return Ok(None);
    };
    let text = String::from_utf8(bytes);
    Ok(Some(text.with_context(|| {
        format!("{} is no signature", path.display())
    })?))
}

/// When the component was made. With the same answer the same plugin has the same digest.
fn created(component: &Path) -> anyhow::Result<SystemTime> {
    if let Ok(text) = std::env::var(EPOCH_VARIABLE) {
        let seconds = text.parse().ok().map(Duration::from_secs);
        return seconds
            .and_then(|it| SystemTime::UNIX_EPOCH.checked_add(it))
            .with_context(|| format!("{EPOCH_VARIABLE} is not a number of seconds"));
    }
    let made = fs::metadata(component).and_then(|it| it.modified());
    made.with_context(|| format!("failed to read {}", component.display()))
}
