//! The configuration: a TOML file, and environment variables over it.
//!
//! A variable `SIPWARD_SERVER__LOG_LEVEL` sets `log_level` in `[server]`: two
//! underscores go one table deeper. Only variables with two underscores count, so
//! that secrets and `SIPWARD_CONFIG` may carry the prefix; lists of tables are set
//! in the file alone.
//!
//! Every mistake is reported at once, each with its place, its key and what would
//! be right. Secrets are never in the file, only the names of files and variables
//! that hold them, and they are not read here.
//!
//! - `model`, `accounts`, `candidate`, `lookups`, `media`, `plugin`, `records`, `signatures`:
//!   what may be written;
//! - `place`, `read`, `hint`: where it stands, reading it, what was meant;
//! - `check`: what serde cannot know.

mod accounts;
mod candidate;
mod check;
mod error;
mod hint;
mod lookups;
mod media;
mod model;
mod place;
mod plugin;
mod read;
mod records;
mod signatures;
#[cfg(test)]
mod tests;

use std::io::Read;
use std::path::{Path, PathBuf};

use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

pub use accounts::{CredentialStore, KEY_VARIABLE};
pub(crate) use candidate::share;
pub use candidate::{Breaker, Candidate, CandidateMode, RollbackBand};
pub use error::{ConfigError, ConfigErrors, Source};
pub use lookups::{Geo, Groups, ListFile};
pub use media::{
    Addresses, Backend, Media, MediaInterface, MediaLimits, MediaMode, MediaTimeouts, PeerMedia,
    Ports,
};
pub use model::*;
pub use plugin::{Isolation, OnFailure, Plugin, PluginLimits};
pub(crate) use records::Endpoint;
pub use records::{
    AlertCommand, AlertWebhook, Alerts, HeaderLine, LineRecords, RecordWebhook, Records, Severity,
    SqliteRecords,
};
pub use signatures::{Signatures, Signer};

use check::Checks;
use place::{KeyPath, Places};
use read::Findings;

/// What a variable must begin with.
const PREFIX: &str = "SIPWARD_";

/// Goes one table deeper in a variable's name.
const DEEPER: &str = "__";

/// Bytes of a configuration. Thousands of trunks fit; a device file does not.
const FILE_BYTES: u64 = 4 << 20;

/// A configuration that can be used.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration, with paths relative to the file's folder made absolute.
    pub config: Config,
    /// What is allowed but hardly meant, each with its place.
    pub warnings: Vec<ConfigError>,
}

/// Read, merge and check a configuration with this process's environment.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(file: &Path) -> Result<Loaded, ConfigErrors> {
    load_with(file, process_environment())
}

/// This process's variables, without those that are no text.
fn process_environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// As [`load`], with an environment of one's own.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load_with(
    file: &Path,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Loaded, ConfigErrors> {
    let environment: Vec<(String, String)> = environment.into_iter().collect();
    let (places, root) = merge(file, &environment)?;
    let mut findings = Findings {
        places: &places,
        errors: Vec::new(),
    };
    let read = read::config(root, &mut findings);
    let mut warnings = Vec::new();
    let mut result = None;
    if let Some((mut config, numbers)) = read {
        resolve_paths(&mut config, file);
        let mut checks = Checks::new(&config, &numbers, &mut findings, &environment);
        warnings = checks.run();
        result = Some(config);
    }
    let mut errors = findings.errors;
    match result {
        Some(config) if errors.is_empty() => Ok(Loaded { config, warnings }),
        _ => {
            errors.sort_by_key(|error| match &error.source {
                Source::File { line, column, .. } => (*line, *column),
                Source::Environment(_) => (usize::MAX, 0),
            });
            Err(ConfigErrors(errors))
        }
    }
}

/// The admin socket of a configuration, which need not be right otherwise.
///
/// # Errors
/// The file cannot be read, or `[server]` is wrong.
pub fn admin_socket_of(file: &Path) -> Result<PathBuf, ConfigErrors> {
    let environment: Vec<(String, String)> = process_environment().collect();
    let (places, mut root) = merge(file, &environment)?;
    let mut findings = Findings {
        places: &places,
        errors: Vec::new(),
    };
    let server: Option<Server> = section(&mut root, "server", &mut findings);
    match server {
        Some(server) if findings.errors.is_empty() => Ok(beside(file, &server.admin_socket)),
        _ => Err(ConfigErrors(findings.errors)),
    }
}

/// The database of call records of a configuration, which need not be right otherwise;
/// none if there is none.
///
/// # Errors
/// The file cannot be read, or `[server]` or `[records]` is wrong.
pub fn record_database_of(file: &Path) -> Result<Option<PathBuf>, ConfigErrors> {
    let environment: Vec<(String, String)> = process_environment().collect();
    let (places, mut root) = merge(file, &environment)?;
    let mut findings = Findings {
        places: &places,
        errors: Vec::new(),
    };
    let server: Option<Server> = section(&mut root, "server", &mut findings);
    let records: Option<Records> = section(&mut root, "records", &mut findings);
    if !findings.errors.is_empty() {
        return Err(ConfigErrors(findings.errors));
    }
    let state_dir = server.and_then(|server| server.state_dir);
    let database = records
        .unwrap_or_default()
        .sqlite_path(state_dir.as_deref());
    Ok(database.map(|database| beside(file, &database)))
}

/// One table of the root, or as it is without being written.
fn section<T: serde::de::DeserializeOwned + Default>(
    root: &mut Dict,
    name: &str,
    findings: &mut Findings<'_>,
) -> Option<T> {
    match root.remove(name) {
        Some(table) => read::entry(table, &[name.to_owned()], findings),
        None => Some(T::default()),
    }
}

/// The store of accounts that a configuration names, which need not be right
/// otherwise.
///
/// # Errors
/// The file cannot be read, or `[credentials]` is missing or wrong.
pub fn credential_store_of(file: &Path) -> Result<CredentialStore, ConfigErrors> {
    let environment: Vec<(String, String)> = process_environment().collect();
    let (places, mut root) = merge(file, &environment)?;
    let mut findings = Findings {
        places: &places,
        errors: Vec::new(),
    };
    let path = vec!["credentials".to_owned()];
    let store = root.remove("credentials").and_then(|store| {
        let store: Option<CredentialStore> = read::entry(store, &path, &mut findings);
        store
    });
    match store {
        Some(mut store) if findings.errors.is_empty() => {
            resolve_store(&mut store, file);
            Ok(store)
        }
        _ => {
            if findings.errors.is_empty() {
                let remedy = "add `[credentials]` with `file = ...` and `key_file = ...`";
                findings.note(
                    &path,
                    place::Part::Key,
                    "names no store of accounts",
                    remedy,
                );
            }
            Err(ConfigErrors(findings.errors))
        }
    }
}

/// File and environment as one tree of values.
fn merge(file: &Path, environment: &[(String, String)]) -> Result<(Places, Dict), ConfigErrors> {
    let alone = |source: Source, problem: String, remedy: &str| {
        ConfigErrors(vec![ConfigError {
            source,
            key: String::new(),
            problem,
            remedy: remedy.to_owned(),
        }])
    };
    let start = || Source::File {
        file: file.to_owned(),
        line: 1,
        column: 1,
    };
    let text = read_text(file).map_err(|problem| {
        alone(
            start(),
            problem,
            "name a readable TOML file with --config or SIPWARD_CONFIG",
        )
    })?;
    let variables = Variables::of(environment);
    let paths = variables
        .0
        .iter()
        .map(|(path, name, _)| (path.clone(), name.clone()))
        .collect();
    let places = Places::parse(file, &text, paths)
        .map_err(|(source, problem)| alone(source, problem, "correct the TOML syntax there"))?;
    let merged = Figment::new().merge(Toml::string(&text)).merge(variables);
    let root = merged
        .extract::<Dict>()
        .map_err(|error| alone(start(), error.to_string(), "correct the value"))?;
    Ok((places, root))
}

fn read_text(file: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("failed to read it: {error}");
    let mut text = String::new();
    let length = std::fs::File::open(file)
        .and_then(|opened| opened.take(FILE_BYTES + 1).read_to_string(&mut text))
        .map_err(failed)?;
    if u64::try_from(length).is_ok_and(|length| length > FILE_BYTES) {
        return Err(format!("it is larger than {FILE_BYTES} bytes"));
    }
    Ok(text)
}

/// Variables that set keys: path, name, text.
struct Variables(Vec<(KeyPath, String, String)>);

impl Variables {
    fn of(environment: &[(String, String)]) -> Self {
        let mut found: Vec<_> = environment
            .iter()
            .filter_map(|(name, text)| {
                let rest = name.strip_prefix(PREFIX)?;
                let path: KeyPath = rest.split(DEEPER).map(str::to_ascii_lowercase).collect();
                (path.len() > 1).then(|| (path, name.clone(), text.clone()))
            })
            .collect();
        found.sort();
        Self(found)
    }
}

impl Provider for Variables {
    fn metadata(&self) -> Metadata {
        Metadata::named("environment")
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let mut root = Dict::new();
        for (path, _, text) in &self.0 {
            // As figment reads variables: numbers, booleans and lists look as in
            // TOML, and anything else is text.
            let value: Value = text.parse().unwrap_or_else(|never| match never {});
            set(&mut root, path, value);
        }
        Ok(Profile::Default.collect(root))
    }
}

fn set(table: &mut Dict, path: &[String], value: Value) {
    match path {
        [] => {}
        [last] => {
            table.insert(last.clone(), value);
        }
        [first, rest @ ..] => {
            let inner = table
                .entry(first.clone())
                .or_insert_with(|| Value::from(Dict::new()));
            if let Value::Dict(_, inner) = inner {
                set(inner, rest, value);
            }
        }
    }
}

/// A path as seen from the folder of the configuration.
fn beside(file: &Path, path: &Path) -> PathBuf {
    let folder = file.parent().unwrap_or(Path::new(""));
    let folder = std::path::absolute(if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    });
    folder.map_or_else(|_| path.to_owned(), |folder| folder.join(path))
}

fn resolve_store(store: &mut CredentialStore, file: &Path) {
    store.file = beside(file, &store.file);
    store
        .key_file
        .iter_mut()
        .for_each(|key| *key = beside(file, key));
}

fn resolve_paths(config: &mut Config, file: &Path) {
    if let Some(store) = &mut config.credential_store {
        resolve_store(store, file);
    }
    let resolve = |path: &mut PathBuf| *path = beside(file, path);
    let server = &mut config.server;
    resolve(&mut server.admin_socket);
    server.state_dir.iter_mut().for_each(resolve);
    server.cache_dir.iter_mut().for_each(resolve);
    if let Some(tls) = &mut config.outbound_tls {
        [&mut tls.ca, &mut tls.certificate, &mut tls.key]
            .into_iter()
            .flatten()
            .for_each(resolve);
    }
    for tls in config
        .listeners
        .iter_mut()
        .filter_map(|listener| listener.tls.as_mut())
    {
        resolve(&mut tls.certificate);
        resolve(&mut tls.key);
        tls.client_ca.iter_mut().for_each(resolve);
        for more in &mut tls.more {
            resolve(&mut more.certificate);
            resolve(&mut more.key);
        }
    }
    for plugin in &mut config.plugins {
        resolve(&mut plugin.path);
        let candidate = plugin.candidate.as_mut();
        let path = candidate.and_then(|candidate| candidate.path.as_mut());
        path.into_iter().for_each(resolve);
    }
    if let Some(geo) = &mut config.geo {
        [&mut geo.country, &mut geo.asn, &mut geo.city]
            .into_iter()
            .flatten()
            .for_each(resolve);
    }
    config
        .lists
        .iter_mut()
        .for_each(|list| resolve(&mut list.file));
    for credential in &mut config.credentials {
        [&mut credential.password_file, &mut credential.ha1_file]
            .into_iter()
            .flatten()
            .for_each(resolve);
    }
    if let Some(records) = &mut config.records {
        records.paths().for_each(resolve);
    }
    config.alerts.paths().for_each(resolve);
}

/// The file of a plugin, and that of its candidate.
fn config_files_of(plugin: &Plugin) -> impl Iterator<Item = PathBuf> {
    let candidate = plugin.candidate.as_ref();
    let other = candidate.and_then(|candidate| candidate.path.clone());
    let files = std::iter::once(plugin.path.clone()).chain(other);
    files.flat_map(|file| [plugin_signature::signature_path(&file), file])
}

impl Config {
    /// SIP workers: what is written, or one per core.
    pub fn workers(&self) -> usize {
        match self.server.workers {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            workers => workers,
        }
    }

    /// All files that this configuration is made of, besides the one that it is
    /// in: what to watch.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = self.plugins.iter().flat_map(config_files_of).collect();
        for tls in self
            .listeners
            .iter()
            .filter_map(|listener| listener.tls.as_ref())
        {
            files.extend([tls.certificate.clone(), tls.key.clone()]);
            files.extend(tls.client_ca.clone());
            files.extend(
                tls.more
                    .iter()
                    .flat_map(|more| [more.certificate.clone(), more.key.clone()]),
            );
        }
        if let Some(tls) = &self.outbound_tls {
            files.extend(
                [&tls.ca, &tls.certificate, &tls.key]
                    .into_iter()
                    .flatten()
                    .cloned(),
            );
        }
        let geo = self.geo.iter().flat_map(Geo::files);
        files.extend(geo.map(|(_, file)| file.clone()));
        files.extend(self.lists.iter().map(|list| list.file.clone()));
        for credential in &self.credentials {
            files.extend(
                [&credential.password_file, &credential.ha1_file]
                    .into_iter()
                    .flatten()
                    .cloned(),
            );
        }
        files.extend(self.records.iter().flat_map(Records::files));
        files.extend(self.alerts.files());
        if let Some(store) = &self.credential_store {
            files.push(store.file.clone());
            files.extend(store.key_file.clone());
        }
        files.sort();
        files.dedup();
        files
    }
}
