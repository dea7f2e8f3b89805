//! `[records]` and `[alerts]`: what is kept of calls, and who is told.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Call records. Without the section they are kept as it says by default, if there is a
/// `server.state_dir`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Records {
    /// Whether records are kept at all.
    pub enabled: bool,
    /// Whether the end of a call is acknowledged only once its record is on the disk.
    pub durable: bool,
    /// Records that may wait for the disk.
    pub queue: usize,
    /// Methods whose requests are recorded.
    pub methods: Vec<String>,
    /// Whether a request that is asked for credentials has a record of its own.
    pub challenges: bool,
    /// The database.
    pub sqlite: SqliteRecords,
    /// JSON lines.
    pub lines: Option<LineRecords>,
    /// A webhook.
    pub webhook: Option<RecordWebhook>,
}

impl Default for Records {
    fn default() -> Self {
        Self {
            enabled: true,
            durable: false,
            queue: records::service::QUEUE,
            methods: vec!["INVITE".to_owned()],
            challenges: true,
            sqlite: SqliteRecords::default(),
            lines: None,
            webhook: None,
        }
    }
}

/// Records in SQLite.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SqliteRecords {
    /// Whether they are written there.
    pub enabled: bool,
    /// The file; `records.sqlite` in `server.state_dir` without it.
    pub path: Option<PathBuf>,
    /// Days after which a record is deleted; 0 for never.
    pub keep_days: u32,
    /// Records kept; the oldest go first.
    pub keep_records: u64,
}

impl Default for SqliteRecords {
    /// A quarter of a year, as a bill can be disputed. Two million records are two
    /// gigabytes, or a call every four seconds.
    fn default() -> Self {
        Self {
            enabled: true,
            path: None,
            keep_days: 90,
            keep_records: 2_000_000,
        }
    }
}

/// Records as JSON lines.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineRecords {
    /// The file.
    pub path: PathBuf,
    /// Mebibytes after which it is renamed and a new one begun.
    #[serde(default = "file_mib")]
    pub file_mib: u64,
    /// Files kept.
    #[serde(default = "files")]
    pub files: usize,
}

const fn file_mib() -> u64 {
    64
}

const fn files() -> usize {
    8
}

/// Records by HTTP.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordWebhook {
    /// Where to.
    #[serde(default)]
    pub url: Option<String>,
    /// File whose first line says where to.
    #[serde(default)]
    pub url_file: Option<PathBuf>,
    /// Environment variable that says where to.
    #[serde(default)]
    pub url_env: Option<String>,
    /// Further header lines.
    #[serde(default)]
    pub headers: Vec<HeaderLine>,
    /// Authorities that may vouch for the server; the system's without it.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Longest time for one POST.
    #[serde(default = "webhook_seconds")]
    pub timeout_seconds: u64,
    /// Records in one POST.
    #[serde(default = "batch")]
    pub batch: usize,
    /// Records that may wait for the receiver.
    #[serde(default = "spool")]
    pub spool: u64,
    /// The file in which they wait; `records-webhook.sqlite` in `server.state_dir`
    /// without it.
    #[serde(default)]
    pub spool_path: Option<PathBuf>,
}

const fn webhook_seconds() -> u64 {
    10
}

const fn batch() -> usize {
    100
}

/// A hundred megabytes.
const fn spool() -> u64 {
    100_000
}

/// A header line with a value that may be secret. Exactly one of the sources is given.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderLine {
    /// Its name.
    pub name: String,
    /// Its value, if that is no secret.
    #[serde(default)]
    pub value: Option<String>,
    /// File whose first line is the value.
    #[serde(default)]
    pub value_file: Option<PathBuf>,
    /// Environment variable that holds the value.
    #[serde(default)]
    pub value_env: Option<String>,
}

/// Alerts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Alerts {
    /// Whether they are lines of the log.
    pub log: bool,
    /// Seconds in which the same alert is told once.
    pub repeat_seconds: u64,
    /// Alerts of one severity in a minute, in the long run.
    pub per_minute: u32,
    /// Alerts of one severity at once.
    pub burst: u32,
    /// Receivers by HTTP.
    #[serde(rename = "webhook")]
    pub webhooks: Vec<AlertWebhook>,
    /// Programs.
    #[serde(rename = "command")]
    pub commands: Vec<AlertCommand>,
}

impl Default for Alerts {
    fn default() -> Self {
        let sieve = records::alert::SieveConfig::default();
        Self {
            log: true,
            repeat_seconds: sieve.repeat_ms / 1_000,
            per_minute: sieve.per_minute,
            burst: sieve.burst,
            webhooks: Vec::new(),
            commands: Vec::new(),
        }
    }
}

/// How loud an alert must be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// All are told.
    #[default]
    Info,
    /// Those that should be looked at.
    Warning,
    /// Those that need somebody now.
    Critical,
}

/// A receiver of alerts by HTTP.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertWebhook {
    /// Where to.
    #[serde(default)]
    pub url: Option<String>,
    /// File whose first line says where to.
    #[serde(default)]
    pub url_file: Option<PathBuf>,
    /// Environment variable that says where to.
    #[serde(default)]
    pub url_env: Option<String>,
    /// Further header lines.
    #[serde(default)]
    pub headers: Vec<HeaderLine>,
    /// Authorities that may vouch for the server; the system's without it.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Longest time for one POST.
    #[serde(default = "webhook_seconds")]
    pub timeout_seconds: u64,
    /// The body with `{{fields}}`; the alert as JSON without it.
    #[serde(default)]
    pub template: Option<String>,
    /// Quieter alerts are not told.
    #[serde(default)]
    pub severity: Severity,
}

/// A program that is run for an alert.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertCommand {
    /// Its path.
    pub program: PathBuf,
    /// Its arguments.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// Quieter alerts are not told.
    #[serde(default)]
    pub severity: Severity,
    /// Longest time that it may run.
    #[serde(default = "command_seconds")]
    pub timeout_seconds: u64,
    /// How many may run at once.
    #[serde(default = "concurrent")]
    pub concurrent: usize,
}

const fn command_seconds() -> u64 {
    10
}

const fn concurrent() -> usize {
    2
}

/// Where a webhook goes and how, whoever it is for.
#[derive(Clone, Copy)]
pub(crate) struct Endpoint<'c> {
    pub(crate) url: &'c Option<String>,
    pub(crate) url_file: &'c Option<PathBuf>,
    pub(crate) url_env: &'c Option<String>,
    pub(crate) headers: &'c [HeaderLine],
    pub(crate) ca: &'c Option<PathBuf>,
    pub(crate) timeout_seconds: u64,
}

impl RecordWebhook {
    pub(crate) fn endpoint(&self) -> Endpoint<'_> {
        Endpoint {
            url: &self.url,
            url_file: &self.url_file,
            url_env: &self.url_env,
            headers: &self.headers,
            ca: &self.ca,
            timeout_seconds: self.timeout_seconds,
        }
    }
}

impl AlertWebhook {
    pub(crate) fn endpoint(&self) -> Endpoint<'_> {
        Endpoint {
            url: &self.url,
            url_file: &self.url_file,
            url_env: &self.url_env,
            headers: &self.headers,
            ca: &self.ca,
            timeout_seconds: self.timeout_seconds,
        }
    }
}

impl Endpoint<'_> {
    fn files(&self) -> Vec<PathBuf> {
        let headers = self
            .headers
            .iter()
            .filter_map(|line| line.value_file.clone());
        let own = [self.url_file, self.ca].into_iter().flatten().cloned();
        own.chain(headers).collect()
    }
}

impl Records {
    /// The database, if there is one.
    pub(crate) fn sqlite_path(&self, state_dir: Option<&Path>) -> Option<PathBuf> {
        if !self.enabled || !self.sqlite.enabled {
            return None;
        }
        let beside = || state_dir.map(|folder| folder.join("records.sqlite"));
        self.sqlite.path.clone().or_else(beside)
    }

    /// Paths that start at the configuration's folder.
    pub(super) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let lines = self.lines.as_mut().map(|lines| &mut lines.path);
        let webhook = self.webhook.as_mut().map(|webhook| {
            let own = [
                &mut webhook.url_file,
                &mut webhook.ca,
                &mut webhook.spool_path,
            ];
            own.into_iter()
                .flatten()
                .chain(header_paths(&mut webhook.headers))
        });
        let sqlite = self.sqlite.path.as_mut();
        sqlite
            .into_iter()
            .chain(lines)
            .chain(webhook.into_iter().flatten())
    }

    /// Files that it is made of.
    pub(super) fn files(&self) -> impl Iterator<Item = PathBuf> {
        let webhook = self.webhook.as_ref();
        webhook
            .into_iter()
            .flat_map(|webhook| webhook.endpoint().files())
    }
}

impl Alerts {
    /// Paths that start at the configuration's folder.
    pub(super) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let webhooks = self.webhooks.iter_mut().flat_map(|webhook| {
            let own = [&mut webhook.url_file, &mut webhook.ca];
            own.into_iter()
                .flatten()
                .chain(header_paths(&mut webhook.headers))
        });
        webhooks.chain(self.commands.iter_mut().map(|command| &mut command.program))
    }

    /// Files that it is made of.
    pub(super) fn files(&self) -> impl Iterator<Item = PathBuf> {
        self.webhooks
            .iter()
            .flat_map(|webhook| webhook.endpoint().files())
    }
}

fn header_paths(headers: &mut [HeaderLine]) -> impl Iterator<Item = &mut PathBuf> {
    headers
        .iter_mut()
        .filter_map(|line| line.value_file.as_mut())
}

// An address or a value may be a secret: `Debug` shows neither.

impl fmt::Debug for RecordWebhook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("RecordWebhook");
        shown
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for AlertWebhook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("AlertWebhook");
        shown.field("severity", &self.severity);
        shown
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for HeaderLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("HeaderLine");
        shown.field("name", &self.name).finish_non_exhaustive()
    }
}
