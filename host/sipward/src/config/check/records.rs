//! `[records]` and `[alerts]`: places to write to, receivers, and figures that make
//! sense.

use super::Checks;
use crate::config::hint;
use crate::config::place::{KeyPath, Part};
use crate::config::records::{AlertCommand, Endpoint, HeaderLine, Records};

/// Records in one POST: a megabyte or two.
const BATCH_MAX: usize = 1_000;
/// Programs of one kind at once; each is a thread and a process.
const CONCURRENT_MAX: usize = 16;
/// Longest time for one delivery.
const TIMEOUT_MAX: u64 = 600;

fn keys(steps: &[&str]) -> KeyPath {
    steps.iter().map(|&step| step.to_owned()).collect()
}

impl Checks<'_, '_, '_> {
    pub(super) fn records(&mut self) {
        let Some(records) = &self.config.records else {
            return;
        };
        if !records.enabled {
            return;
        }
        let state_dir = self.config.server.state_dir.as_deref();
        let stateless = state_dir.is_none();
        if records.sqlite.enabled && stateless && records.sqlite.path.is_none() {
            self.wrong_at(
                &keys(&["records"]),
                Part::Key,
                "there is no place for the records",
                "set `server.state_dir` or `records.sqlite.path`, or write `sqlite.enabled = false`",
            );
        }
        if records.durable && !records.sqlite.enabled && records.lines.is_none() {
            self.wrong(
                &keys(&["records", "durable"]),
                "nothing is written to a disk of this machine",
                "switch `records.sqlite` on, or add `[records.lines]`",
            );
        }
        self.record_figures(records);
        self.recorded_methods(records);
        if let Some(webhook) = &records.webhook {
            self.endpoint(&["records", "webhook"], webhook.endpoint());
            if stateless && webhook.spool_path.is_none() {
                self.wrong_at(
                    &keys(&["records", "webhook"]),
                    Part::Key,
                    "there is no place for records that wait for the receiver",
                    "set `server.state_dir` or `spool_path`",
                );
            }
        }
    }

    fn record_figures(&mut self, records: &Records) {
        let lines = records.lines.as_ref();
        let webhook = records.webhook.as_ref();
        let figures: [(&[&str], bool); 6] = [
            (&["queue"], records.queue == 0),
            (
                &["sqlite", "keep_records"],
                records.sqlite.keep_records == 0,
            ),
            (
                &["lines", "file_mib"],
                lines.is_some_and(|it| it.file_mib == 0),
            ),
            (&["lines", "files"], lines.is_some_and(|it| it.files == 0)),
            (
                &["webhook", "batch"],
                webhook.is_some_and(|it| it.batch == 0),
            ),
            (
                &["webhook", "spool"],
                webhook.is_some_and(|it| it.spool == 0),
            ),
        ];
        for (steps, _) in figures.into_iter().filter(|(_, is_zero)| *is_zero) {
            let path = [&["records"], steps].concat();
            self.wrong(
                &keys(&path),
                "is 0",
                "write at least 1, or remove it for the default",
            );
        }
        if let Some(webhook) = webhook.filter(|it| it.batch > BATCH_MAX) {
            let problem = format!("is {}", webhook.batch);
            let remedy = format!("write at most {BATCH_MAX}");
            self.wrong(&keys(&["records", "webhook", "batch"]), problem, remedy);
        }
    }

    fn recorded_methods(&mut self, records: &Records) {
        if records.methods.is_empty() {
            let remedy = "name at least one, or write `enabled = false`";
            self.wrong(&keys(&["records", "methods"]), "names no method", remedy);
        }
        for (index, method) in records.methods.iter().enumerate() {
            if !super::plugins::METHODS.contains(&method.as_str()) {
                let path = keys(&["records", "methods", &index.to_string()]);
                let remedy = hint::among(method, super::plugins::METHODS);
                self.wrong(&path, format!("`{method}` is no known method"), remedy);
            }
        }
    }

    pub(super) fn alerts(&mut self) {
        let alerts = &self.config.alerts;
        for (name, is_zero) in [
            ("per_minute", alerts.per_minute == 0),
            ("burst", alerts.burst == 0),
        ] {
            if is_zero {
                let remedy = "write at least 1, or remove it for the default";
                self.wrong(
                    &keys(&["alerts", name]),
                    "is 0, so that nothing is told",
                    remedy,
                );
            }
        }
        let numbers = &self.numbers.alert_webhooks;
        for (number, webhook) in numbers.iter().zip(&alerts.webhooks) {
            let number = number.to_string();
            let at = ["alerts", "webhook", &number];
            self.endpoint(&at, webhook.endpoint());
            let template = webhook.template.as_deref();
            if let Some(Err(error)) = template.map(records::alert::Template::parse) {
                let path = keys(&[&at[..], &["template"]].concat());
                let fields = records::alert::template::FIELDS;
                let remedy = format!(
                    "write JSON with fields in double braces, such as {{\"text\": \"{{{{text}}}}\"}}; known are {}",
                    hint::list(fields)
                );
                self.wrong(&path, error.to_string(), remedy);
            }
        }
        let numbers = &self.numbers.alert_commands;
        for (number, command) in numbers.iter().zip(&alerts.commands) {
            self.alert_command(*number, command);
        }
    }

    fn alert_command(&mut self, number: usize, command: &AlertCommand) {
        let number = number.to_string();
        let key = |name: &str| keys(&["alerts", "command", &number, name]);
        self.readable(&key("program"), &command.program);
        if !(1..=TIMEOUT_MAX).contains(&command.timeout_seconds) {
            let remedy = format!("write 1 to {TIMEOUT_MAX} seconds");
            let problem = format!("is {}", command.timeout_seconds);
            self.wrong(&key("timeout_seconds"), problem, remedy);
        }
        if !(1..=CONCURRENT_MAX).contains(&command.concurrent) {
            let problem = format!("is {}", command.concurrent);
            let remedy = format!("write 1 to {CONCURRENT_MAX}");
            self.wrong(&key("concurrent"), problem, remedy);
        }
    }

    fn endpoint(&mut self, at: &[&str], endpoint: Endpoint<'_>) {
        let given = [
            endpoint.url.is_some(),
            endpoint.url_file.is_some(),
            endpoint.url_env.is_some(),
        ];
        self.one_source(&keys(at), given, "`url`, `url_file` and `url_env`");
        self.secret_source(
            at,
            "url_file",
            endpoint.url_file,
            "url_env",
            endpoint.url_env,
        );
        let key = |name: &str| keys(&[at, &[name]].concat());
        if endpoint.url.as_deref().is_some_and(|url| !is_http(url)) {
            let remedy = "write an address that begins with `https://` or `http://`";
            self.wrong(&key("url"), "is no HTTP address", remedy);
        }
        if let Some(ca) = endpoint.ca {
            self.readable(&key("ca"), ca);
        }
        if !(1..=TIMEOUT_MAX).contains(&endpoint.timeout_seconds) {
            let problem = format!("is {}", endpoint.timeout_seconds);
            let remedy = format!("write 1 to {TIMEOUT_MAX} seconds");
            self.wrong(&key("timeout_seconds"), problem, remedy);
        }
        for (index, line) in endpoint.headers.iter().enumerate() {
            let number = index.to_string();
            self.header_line(&[at, &["headers", &number]].concat(), line);
        }
    }

    fn header_line(&mut self, at: &[&str], line: &HeaderLine) {
        let given = [
            line.value.is_some(),
            line.value_file.is_some(),
            line.value_env.is_some(),
        ];
        self.one_source(&keys(at), given, "`value`, `value_file` and `value_env`");
        self.secret_source(
            at,
            "value_file",
            &line.value_file,
            "value_env",
            &line.value_env,
        );
    }

    fn one_source(&mut self, at: &KeyPath, given: [bool; 3], names: &str) {
        match given.into_iter().filter(|given| *given).count() {
            1 => {}
            0 => self.wrong_at(
                at,
                Part::Key,
                format!("has none of {names}"),
                "add one of them",
            ),
            _ => {
                let problem = format!("has more than one of {names}");
                self.wrong_at(at, Part::Key, problem, "keep one of them");
            }
        }
    }

    fn secret_source(
        &mut self,
        at: &[&str],
        file_key: &str,
        file: &Option<std::path::PathBuf>,
        env_key: &str,
        env: &Option<String>,
    ) {
        if let Some(file) = file {
            self.readable(&keys(&[at, &[file_key]].concat()), file);
        }
        if let Some(name) = env
            && !self
                .environment
                .iter()
                .any(|(set, text)| set == name && !text.is_empty())
        {
            let path = keys(&[at, &[env_key]].concat());
            let problem = format!("the environment variable {name} is not set");
            self.wrong(&path, problem, format!("set it, or use `{file_key}`"));
        }
    }
}

fn is_http(url: &str) -> bool {
    let lower = url.get(..8).unwrap_or(url).to_ascii_lowercase();
    lower.starts_with("https://") || lower.starts_with("http://")
}
