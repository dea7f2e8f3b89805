//! Alerts: from a plugin or the host itself to the log, to webhooks and to commands.
//!
//! - [`sieve`]: what is told and what is held back, pure, with the time as an argument;
//! - [`desk`]: the way in, which never blocks, and the thread behind it;
//! - [`template`]: the text that a webhook gets; [`command`]: programs that are run.
//!
//! Alerts are told at most once and are not kept over a restart: what happened is in the
//! call records, and an alert that comes an hour late wakes somebody for nothing.

pub mod command;
pub mod desk;
pub mod sieve;
pub mod template;
mod webhook;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use policy::Severity;
use serde::Serialize;

pub use self::command::CommandConfig;
pub use self::desk::{AlertChange, AlertDesk, AlertError, AlertFigures, AlertService};
pub use self::sieve::SieveConfig;
pub use self::template::{Template, TemplateError};
pub use self::webhook::{AlertWebhookConfig, WebhookError};

/// Name that stands for a plugin's when the host itself raises an alert.
pub const HOST: &str = "sipward";

/// Something that the operator shall be told. Texts are concealed already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alarm {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// How loud.
    #[serde(serialize_with = "severity_name")]
    pub severity: Severity,
    /// Who raised it: a plugin, or [`HOST`].
    pub plugin: String,
    /// What it is about; alarms of one plugin with the same key are not repeated for a
    /// while. Empty: the text is the key.
    pub key: String,
    /// What happened.
    pub text: String,
    /// The Call-ID, if it is about a call.
    pub call_id: String,
    /// Name or address of the peer, if it is about one.
    pub peer: String,
    /// The caller's identity, if it is known.
    pub identity: String,
}

fn severity_name<S: serde::Serializer>(
    severity: &Severity,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(severity.name())
}

impl Alarm {
    /// An alarm of the host about itself, which is always critical: something that the
    /// operator relies on does not work.
    pub fn of_host(key: &str, text: String) -> Self {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            at_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            severity: Severity::Critical,
            plugin: HOST.to_owned(),
            key: key.to_owned(),
            text,
            call_id: String::new(),
            peer: String::new(),
            identity: String::new(),
        }
    }
}

/// An alarm that is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    /// What is told.
    #[serde(flatten)]
    pub alarm: Alarm,
    /// How many of its key were held back since it was last told.
    pub held_back: u64,
}

/// Who is told, and how often.
#[derive(Clone, Debug)]
pub struct AlertConfig {
    /// Whether alerts are lines of the log.
    pub log: bool,
    /// How often.
    pub sieve: SieveConfig,
    /// Webhooks.
    pub webhooks: Vec<AlertWebhookConfig>,
    /// Commands.
    pub commands: Vec<CommandConfig>,
}

impl Default for AlertConfig {
    fn default() -> Self {
        Self {
            log: true,
            sieve: SieveConfig::default(),
            webhooks: Vec::new(),
            commands: Vec::new(),
        }
    }
}

/// Alerts that wait for one receiver. The sieve lets through far fewer; when a receiver
/// is this far behind, the next one is lost to it and counted.
pub const RECEIVER_WAITING: usize = 256;

/// Pauses between attempts to tell a webhook: after the last, the alert is given up and
/// counted. Two minutes: what is told later is in the log and in the records.
pub(crate) const RETRIES: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(30),
    Duration::from_secs(60),
];
