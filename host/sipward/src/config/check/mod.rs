//! What serde cannot know: names that must exist, files that must be readable,
//! sockets that would clash.

mod candidates;
mod listeners;
mod lookups;
mod media;
mod media_warnings;
mod peers;
mod plugins;
mod records;
mod signatures;
mod store;
mod warnings;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::error::ConfigError;
use super::model::Config;
use super::place::{KeyPath, Part, render};
use super::read::{Findings, Numbers};

/// All checks of one configuration.
pub(super) struct Checks<'a, 'f, 'p> {
    config: &'a Config,
    numbers: &'a Numbers,
    findings: &'f mut Findings<'p>,
    environment: &'a [(String, String)],
    /// Entries that could not be read rightly. What else is wrong with them may
    /// only follow from that, so nothing more is said.
    unread: BTreeSet<String>,
}

/// The entry or section that a rendered key belongs to: `listener[1]`, `server`,
/// `alerts.webhook[0]`.
fn entry_of(key: &str) -> &str {
    let receiver = match key.find(']') {
        Some(end) if key.starts_with("alerts.") => key.get(..=end),
        _ => key.split('.').next(),
    };
    receiver.unwrap_or(key)
}

/// `[list, number, rest...]`.
fn path(list: &str, number: usize, rest: &[&str]) -> KeyPath {
    let mut path = vec![list.to_owned(), number.to_string()];
    path.extend(rest.iter().map(|&step| step.to_owned()));
    path
}

impl<'a, 'f, 'p> Checks<'a, 'f, 'p> {
    /// Checks of what could be read; `findings` has what could not.
    pub(super) fn new(
        config: &'a Config,
        numbers: &'a Numbers,
        findings: &'f mut Findings<'p>,
        environment: &'a [(String, String)],
    ) -> Self {
        let unread = findings
            .errors
            .iter()
            .map(|error| entry_of(&error.key).to_owned())
            .collect();
        Self {
            config,
            numbers,
            findings,
            environment,
            unread,
        }
    }

    /// Note all mistakes; return the warnings.
    pub(super) fn run(&mut self) -> Vec<ConfigError> {
        let (config, numbers) = (self.config, self.numbers);
        self.server();
        self.listeners();
        self.outbound_tls();
        self.media();
        let pbxs = numbers
            .pbxs
            .iter()
            .map(|&number| ("pbx", number))
            .zip(&config.pbxs);
        let trunks = numbers
            .trunks
            .iter()
            .map(|&number| ("trunk", number))
            .zip(&config.trunks);
        let peers: Vec<_> = pbxs
            .chain(trunks)
            .map(|((list, number), peer)| (list, number, peer))
            .collect();
        self.unique(
            peers
                .iter()
                .map(|(list, number, peer)| (path(list, *number, &["name"]), peer.name.clone())),
        );
        for &(list, number, peer) in &peers {
            self.peer(list, number, peer, &peers);
            self.peer_media(list, number, peer);
        }
        self.plugins();
        self.signers();
        let peer_names: Vec<&str> = peers
            .iter()
            .map(|(_, _, peer)| peer.name.as_str())
            .collect();
        self.unique(named(
            &numbers.pipelines,
            &config.pipelines,
            "pipeline",
            |pipeline| &pipeline.name,
        ));
        for (&number, pipeline) in numbers.pipelines.iter().zip(&config.pipelines) {
            self.pipeline(number, pipeline, &peer_names);
            self.signers_of(number, pipeline);
        }
        self.credentials();
        self.credential_store();
        self.lookups();
        self.ceilings();
        self.records();
        self.alerts();
        self.warnings(&peers)
    }

    fn wrong(&mut self, path: &[String], problem: impl Into<String>, remedy: impl Into<String>) {
        self.wrong_at(path, Part::Value, problem, remedy);
    }

    fn wrong_at(
        &mut self,
        path: &[String],
        part: Part,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        if !self.unread.contains(entry_of(&render(path))) {
            self.findings.note(path, part, problem, remedy);
        }
    }

    /// Whether every entry of a list could be read, so that a name that is not
    /// there is a mistake of its own.
    fn is_whole(&self, list: &str) -> bool {
        !self
            .unread
            .iter()
            .any(|entry| entry.split('[').next() == Some(list))
    }

    fn unique(&mut self, entries: impl IntoIterator<Item = (KeyPath, String)>) {
        let mut seen: BTreeMap<String, KeyPath> = BTreeMap::new();
        for (path, name) in entries {
            if name.is_empty() {
                self.wrong(&path, "is empty", "give it a name");
                continue;
            }
            match seen.get(&name) {
                Some(first) => {
                    let first = self.findings.places.find(first, Part::Value);
                    self.wrong(
                        &path,
                        format!("`{name}` is taken already, at {first}"),
                        "give each its own name",
                    );
                }
                None => {
                    seen.insert(name, path);
                }
            }
        }
    }

    fn readable(&mut self, path: &[String], file: &Path) {
        let opened = std::fs::File::open(file).and_then(|opened| opened.metadata());
        let problem = match opened {
            Ok(about) if about.is_file() => return,
            Ok(_) => "it is no file".to_owned(),
            Err(error) => error.to_string(),
        };
        let problem = format!("failed to read {}: {problem}", file.display());
        self.wrong(
            path,
            problem,
            "name a file that this user can read; paths start at this file's folder",
        );
    }

    fn server(&mut self) {
        let server = &self.config.server;
        let key = |name: &str| vec!["server".to_owned(), name.to_owned()];
        if let Err(error) = tracing_subscriber::EnvFilter::try_new(&server.log_level) {
            let remedy = "write `error`, `warn`, `info`, `debug`, `trace`, or `sipward=debug,info`";
            self.wrong(
                &key("log_level"),
                format!("`{}`: {error}", server.log_level),
                remedy,
            );
        }
        if server.nonce_seconds == 0 {
            self.wrong(
                &key("nonce_seconds"),
                "is 0, so that no nonce would ever be good",
                "write at least 1",
            );
        }
    }

    fn ceilings(&mut self) {
        let (timers, limits) = (&self.config.timers, &self.config.limits);
        let figures = [
            ("timers", "t1_ms", timers.t1_ms == Some(0)),
            ("timers", "t2_ms", timers.t2_ms == Some(0)),
            ("timers", "t4_ms", timers.t4_ms == Some(0)),
            (
                "timers",
                "timer_c_seconds",
                timers.timer_c_seconds == Some(0),
            ),
            ("timers", "consult_ms", timers.consult_ms == Some(0)),
            (
                "limits",
                "server_transactions",
                limits.server_transactions == Some(0),
            ),
            (
                "limits",
                "client_transactions",
                limits.client_transactions == Some(0),
            ),
            ("limits", "calls", limits.calls == Some(0)),
            (
                "limits",
                "call_age_seconds",
                limits.call_age_seconds == Some(0),
            ),
            ("limits", "connections", limits.connections == Some(0)),
            (
                "limits",
                "connections_per_peer",
                limits.connections_per_peer == Some(0),
            ),
            ("limits", "message_bytes", limits.message_bytes == Some(0)),
            ("limits", "header_count", limits.header_count == Some(0)),
        ];
        for (section, name, _) in figures.into_iter().filter(|(_, _, is_zero)| *is_zero) {
            self.wrong(
                &[section.to_owned(), name.to_owned()],
                "is 0",
                "write at least 1, or remove it for the default",
            );
        }
        if let (Some(t1), Some(t2)) = (timers.t1_ms, timers.t2_ms)
            && t1 > t2
        {
            let problem = format!("is below t1_ms, which is {t1}");
            self.wrong(
                &["timers".to_owned(), "t2_ms".to_owned()],
                problem,
                "T2 is the ceiling of a pause that starts at T1",
            );
        }
    }
}

fn named<'e, T>(
    numbers: &'e [usize],
    entries: &'e [T],
    list: &'e str,
    name: impl Fn(&T) -> &String + 'e,
) -> impl Iterator<Item = (KeyPath, String)> + 'e {
    numbers
        .iter()
        .zip(entries)
        .map(move |(&number, entry)| (path(list, number, &["name"]), name(entry).clone()))
}
