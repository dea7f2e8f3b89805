//! Where records and alerts go, with the secrets that this takes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ::records::RecordConfig;
use ::records::alert::{AlertConfig, AlertWebhookConfig, CommandConfig, SieveConfig, Template};
use ::records::lines::LinesConfig;
use ::records::post::Target;
use ::records::service::SqliteConfig;
use ::records::spool::WebhookConfig;
use secrecy::SecretString;

use super::AssembleError;
use super::accounts::read;
use crate::config::{Config, Endpoint, Records, Severity};

/// Milliseconds, mebibytes and days, in what they are counted.
const MILLIS: u64 = 1_000;
const MIB: u64 = 1 << 20;
const DAY: Duration = Duration::from_secs(86_400);

/// What is kept of calls; none if nothing is.
///
/// # Errors
/// A secret cannot be read, or a key means nothing.
pub(crate) fn records(config: &Config) -> Result<Option<RecordConfig>, AssembleError> {
    let state_dir = config.server.state_dir.as_deref();
    let defaults = Records::default();
    let Some(records) = config
        .records
        .as_ref()
        .or_else(|| state_dir.map(|_| &defaults))
        .filter(|records| records.enabled)
    else {
        return Ok(None);
    };
    let sqlite = records.sqlite_path(state_dir).map(|path| SqliteConfig {
        path,
        keep: (records.sqlite.keep_days > 0).then(|| DAY * records.sqlite.keep_days),
        keep_records: records.sqlite.keep_records,
    });
    let lines = records.lines.as_ref().map(|lines| LinesConfig {
        path: lines.path.clone(),
        file_bytes: lines.file_mib.saturating_mul(MIB),
        files: lines.files,
    });
    let webhook = records.webhook.as_ref().map(|webhook| {
        let key = "records.webhook";
        let beside = || state_dir.map(|folder| folder.join("records-webhook.sqlite"));
        let spool = webhook.spool_path.clone().or_else(beside);
        Ok::<_, AssembleError>(WebhookConfig {
            target: target(key, webhook.endpoint())?,
            spool: spool.ok_or_else(|| {
                AssembleError::value(key, "set `server.state_dir` or `spool_path`")
            })?,
            spool_max: webhook.spool,
            batch: webhook.batch,
        })
    });
    let config = RecordConfig {
        queue: records.queue,
        sqlite,
        lines,
        webhook: webhook.transpose()?,
    };
    let nowhere = config.sqlite.is_none() && config.lines.is_none() && config.webhook.is_none();
    Ok((!nowhere).then_some(config))
}

/// Who is told of what.
///
/// # Errors
/// A secret cannot be read, or a template is none.
pub(crate) fn alerts(config: &Config) -> Result<AlertConfig, AssembleError> {
    let alerts = &config.alerts;
    let mut webhooks = Vec::new();
    for (number, webhook) in alerts.webhooks.iter().enumerate() {
        let key = format!("alerts.webhook[{number}]");
        let template = webhook.template.as_deref().map(Template::parse);
        webhooks.push(AlertWebhookConfig {
            target: target(&key, webhook.endpoint())?,
            template: template.transpose().map_err(|error| {
                AssembleError::value(format!("{key}.template"), error.to_string())
            })?,
            severity: severity(webhook.severity),
        });
    }
    let commands = alerts.commands.iter().map(|command| CommandConfig {
        program: command.program.clone(),
        arguments: command.arguments.clone(),
        severity: severity(command.severity),
        timeout: Duration::from_secs(command.timeout_seconds),
        concurrent: command.concurrent,
    });
    Ok(AlertConfig {
        log: alerts.log,
        sieve: SieveConfig {
            repeat_ms: alerts.repeat_seconds.saturating_mul(MILLIS),
            per_minute: alerts.per_minute,
            burst: alerts.burst,
        },
        webhooks,
        commands: commands.collect(),
    })
}

const fn severity(severity: Severity) -> policy::Severity {
    match severity {
        Severity::Info => policy::Severity::Info,
        Severity::Warning => policy::Severity::Warning,
        Severity::Critical => policy::Severity::Critical,
    }
}

fn target(key: &str, endpoint: Endpoint<'_>) -> Result<Target, AssembleError> {
    let url = secret(
        key,
        "url",
        endpoint.url,
        endpoint.url_file,
        endpoint.url_env,
    )?;
    let mut headers = Vec::new();
    for line in endpoint.headers {
        let value = secret(key, "value", &line.value, &line.value_file, &line.value_env)?;
        headers.push((line.name.clone(), value));
    }
    let system = || transport::tls::system_bundle().map(Path::to_owned);
    Ok(Target {
        url,
        headers,
        authorities: endpoint.ca.clone().or_else(system),
        timeout: Duration::from_secs(endpoint.timeout_seconds),
    })
}

/// A text that stands in the file, in another file or in the environment. An error never
/// shows it.
fn secret(
    key: &str,
    name: &str,
    text: &Option<String>,
    file: &Option<PathBuf>,
    variable: &Option<String>,
) -> Result<SecretString, AssembleError> {
    let wrong = |message: String| AssembleError::value(format!("{key}.{name}"), message);
    let text = match (text, file, variable) {
        (Some(text), None, None) => return Ok(text.as_str().into()),
        (None, Some(file), None) => {
            let text = read(file).map_err(wrong)?;
            text.lines().next().unwrap_or_default().trim().into()
        }
        (None, None, Some(name)) => std::env::var(name)
            .map_err(|_| wrong(format!("the environment variable {name} is not set")))?
            .into(),
        _ => {
            let message =
                format!("exactly one of `{name}`, `{name}_file` and `{name}_env` is needed");
            return Err(wrong(message));
        }
    };
    Ok(text)
}
