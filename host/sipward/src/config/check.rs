//! What serde cannot know: names that must exist, files that must be readable,
//! sockets that would clash.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;

use policy::Capability;
use sip_message::Uri;

use super::error::ConfigError;
use super::hint;
use super::model::{
    ClientAuth, Config, Credential, Listener, Peer, Pipeline, Plugin, Transport, Zone,
};
use super::place::{KeyPath, Part, render};
use super::read::{Findings, Numbers};

/// Methods that have a name; others are written as the peer writes them.
const METHODS: [&str; 14] = [
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "REGISTER",
    "OPTIONS",
    "PRACK",
    "SUBSCRIBE",
    "NOTIFY",
    "PUBLISH",
    "INFO",
    "REFER",
    "MESSAGE",
    "UPDATE",
];

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

/// The entry or section that a rendered key belongs to: `listener[1]`, `server`.
fn entry_of(key: &str) -> &str {
    key.split('.').next().unwrap_or(key)
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
        }
        self.plugins();
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
        }
        self.credentials();
        self.ceilings();
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

    fn listeners(&mut self) {
        let (listeners, numbers) = (&self.config.listeners, &self.numbers.listeners);
        self.unique(named(numbers, listeners, "listener", |listener| {
            &listener.name
        }));
        if listeners.is_empty() && self.findings.errors.is_empty() {
            self.wrong_at(
                &["listener".to_owned()],
                Part::Key,
                "there is none",
                "add a `[[listener]]` with name, transport and bind",
            );
        }
        for (index, (&number, listener)) in numbers.iter().zip(listeners).enumerate() {
            self.listener_tls(number, listener);
            let clash = listeners.iter().take(index).find(|earlier| {
                (earlier.transport == Transport::Udp) == (listener.transport == Transport::Udp)
                    && overlaps(earlier.bind, listener.bind)
            });
            if let Some(earlier) = clash {
                let problem = format!(
                    "{} clashes with listener `{}` on {}",
                    listener.bind, earlier.name, earlier.bind
                );
                self.wrong(
                    &path("listener", number, &["bind"]),
                    problem,
                    "choose another port or address",
                );
            }
        }
    }

    fn listener_tls(&mut self, number: usize, listener: &Listener) {
        let tls = match (listener.transport, &listener.tls) {
            (Transport::Tls, Some(tls)) => tls,
            (Transport::Tls, None) => {
                let path = path("listener", number, &["transport"]);
                self.wrong(
                    &path,
                    "TLS needs a certificate",
                    "add `tls = { certificate = \"...\", key = \"...\" }`",
                );
                return;
            }
            (_, Some(_)) => {
                let path = path("listener", number, &["tls"]);
                self.wrong_at(
                    &path,
                    Part::Key,
                    "is for TLS only",
                    "write `transport = \"tls\"`, or remove it",
                );
                return;
            }
            (_, None) => return,
        };
        let at = |name: &str| path("listener", number, &["tls", name]);
        self.readable(&at("certificate"), &tls.certificate);
        self.readable(&at("key"), &tls.key);
        for (index, more) in tls.more.iter().enumerate() {
            let index = index.to_string();
            self.readable(
                &path("listener", number, &["tls", "more", &index, "certificate"]),
                &more.certificate,
            );
            self.readable(
                &path("listener", number, &["tls", "more", &index, "key"]),
                &more.key,
            );
        }
        match &tls.client_ca {
            Some(authorities) => self.readable(&at("client_ca"), authorities),
            None if tls.client_auth != ClientAuth::None => {
                self.wrong(
                    &at("client_auth"),
                    "needs authorities to check clients against",
                    "add `client_ca = \"...\"`",
                );
            }
            None => {}
        }
    }

    fn outbound_tls(&mut self) {
        let Some(tls) = &self.config.outbound_tls else {
            return;
        };
        let key = |name: &str| vec!["outbound_tls".to_owned(), name.to_owned()];
        for (name, file) in [
            ("ca", &tls.ca),
            ("certificate", &tls.certificate),
            ("key", &tls.key),
        ] {
            if let Some(file) = file {
                self.readable(&key(name), file);
            }
        }
        match (&tls.certificate, &tls.key) {
            (Some(_), None) => self.wrong(&key("certificate"), "has no key", "add `key = \"...\"`"),
            (None, Some(_)) => self.wrong(
                &key("key"),
                "has no certificate",
                "add `certificate = \"...\"`",
            ),
            _ => {}
        }
    }

    fn peer(&mut self, list: &str, number: usize, peer: &Peer, all: &[(&str, usize, &Peer)]) {
        for (index, target) in peer.targets.iter().enumerate() {
            if let Err(problem) = target_problem(target) {
                let path = path(list, number, &["targets", &index.to_string()]);
                self.wrong(
                    &path,
                    format!("`{target}`: {problem}"),
                    "write `sip:host:port;transport=tls`, with udp, tcp or tls",
                );
            }
        }
        for (index, source) in peer.sources.iter().enumerate() {
            let earlier = all
                .iter()
                .take_while(|(_, _, other)| !std::ptr::eq(*other, peer))
                .find(|(_, _, other)| {
                    other.sources.contains(source)
                        && other.certificate_names == peer.certificate_names
                });
            if let Some((_, _, other)) = earlier {
                let path = path(list, number, &["sources", &index.to_string()]);
                let problem = format!("{source} belongs to `{}` already", other.name);
                self.wrong(
                    &path,
                    problem,
                    "a source must tell peers apart: narrow one network, or use certificate_names",
                );
            }
        }
        let names: Vec<&str> = all
            .iter()
            .map(|(_, _, other)| other.name.as_str())
            .collect();
        if let Some(wanted) = peer
            .route_to
            .as_deref()
            .filter(|wanted| !names.contains(wanted))
            && self.is_whole("pbx")
            && self.is_whole("trunk")
        {
            let path = path(list, number, &["route_to"]);
            self.wrong(
                &path,
                format!("there is no peer `{wanted}`"),
                hint::among(wanted, names),
            );
        }
    }

    fn plugins(&mut self) {
        let (plugins, numbers) = (&self.config.plugins, &self.numbers.plugins);
        self.unique(named(numbers, plugins, "plugin", |plugin| &plugin.name));
        for (&number, plugin) in numbers.iter().zip(plugins) {
            self.plugin(number, plugin);
        }
    }

    fn plugin(&mut self, number: usize, plugin: &Plugin) {
        self.readable(&path("plugin", number, &["path"]), &plugin.path);
        for (index, name) in plugin.capabilities.iter().enumerate() {
            let known = Capability::ALL.map(Capability::name);
            if !known.contains(&name.as_str()) {
                let path = path("plugin", number, &["capabilities", &index.to_string()]);
                self.wrong(
                    &path,
                    format!("there is no capability `{name}`"),
                    hint::among(name, known),
                );
            }
        }
        let limits = &plugin.limits;
        let zeros = [
            ("deadline_ms", limits.deadline_ms == Some(0)),
            (
                "configure_deadline_ms",
                limits.configure_deadline_ms == Some(0),
            ),
            ("memory_mib", limits.memory_mib == Some(0)),
        ];
        for (name, _) in zeros.into_iter().filter(|(_, is_zero)| *is_zero) {
            self.wrong(
                &path("plugin", number, &["limits", name]),
                "is 0, so that every call would fail",
                "write at least 1",
            );
        }
    }

    fn pipeline(&mut self, number: usize, pipeline: &Pipeline, peers: &[&str]) {
        let plugins: Vec<&str> = self
            .config
            .plugins
            .iter()
            .map(|plugin| plugin.name.as_str())
            .collect();
        for (index, name) in pipeline.plugins.iter().enumerate() {
            if !plugins.contains(&name.as_str()) && self.is_whole("plugin") {
                let path = path("pipeline", number, &["plugins", &index.to_string()]);
                self.wrong(
                    &path,
                    format!("there is no plugin `{name}`"),
                    hint::among(name, plugins.iter().copied()),
                );
            }
        }
        for (index, name) in pipeline.peers.iter().enumerate() {
            if !peers.contains(&name.as_str()) && self.is_whole("pbx") && self.is_whole("trunk") {
                let path = path("pipeline", number, &["peers", &index.to_string()]);
                self.wrong(
                    &path,
                    format!("there is no peer `{name}`"),
                    hint::among(name, peers.iter().copied()),
                );
            }
        }
        for (index, method) in pipeline.methods.iter().enumerate() {
            // Methods are compared with regard to case: RFC 3261 section 7.1.
            if !METHODS.contains(&method.as_str())
                && METHODS.contains(&method.to_ascii_uppercase().as_str())
            {
                let path = path("pipeline", number, &["methods", &index.to_string()]);
                let remedy = format!("write `{}`", method.to_ascii_uppercase());
                self.wrong(
                    &path,
                    format!("`{method}` is no method, as case counts in them"),
                    remedy,
                );
            } else if !METHODS.contains(&method.as_str())
                && hint::nearest(method, METHODS).is_some()
            {
                let path = path("pipeline", number, &["methods", &index.to_string()]);
                self.wrong(
                    &path,
                    format!("`{method}` is no known method"),
                    hint::among(method, METHODS),
                );
            }
        }
    }

    fn credentials(&mut self) {
        let (credentials, numbers) = (&self.config.credentials, &self.numbers.credentials);
        let mut seen = BTreeMap::new();
        for (&number, credential) in numbers.iter().zip(credentials) {
            if seen
                .insert((&credential.realm, &credential.user), number)
                .is_some()
            {
                let problem = format!(
                    "`{}` is in realm `{}` already",
                    credential.user, credential.realm
                );
                self.wrong(
                    &path("credential", number, &["user"]),
                    problem,
                    "keep one of them",
                );
            }
            self.credential(number, credential);
        }
    }

    fn credential(&mut self, number: usize, credential: &Credential) {
        let Credential {
            password_file,
            password_env,
            ha1_file,
            ..
        } = credential;
        let given = [
            password_file.is_some(),
            password_env.is_some(),
            ha1_file.is_some(),
        ];
        if given.into_iter().filter(|given| *given).count() != 1 {
            let problem = "needs one source of its secret";
            let remedy = "write exactly one of `password_file`, `password_env` and `ha1_file`";
            self.wrong_at(&path("credential", number, &[]), Part::Key, problem, remedy);
        }
        for (name, file) in [("password_file", password_file), ("ha1_file", ha1_file)] {
            if let Some(file) = file {
                self.readable(&path("credential", number, &[name]), file);
            }
        }
        if let Some(name) = password_env
            && !self
                .environment
                .iter()
                .any(|(set, text)| set == name && !text.is_empty())
        {
            let path = path("credential", number, &["password_env"]);
            self.wrong(
                &path,
                format!("the environment variable {name} is not set"),
                "set it, or use `password_file`",
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

    /// What is allowed but hardly meant.
    fn warnings(&self, peers: &[(&str, usize, &Peer)]) -> Vec<ConfigError> {
        let mut notes = Findings {
            places: self.findings.places,
            errors: Vec::new(),
        };
        for (zone, name) in [(Zone::Inside, "inside"), (Zone::Outside, "outside")] {
            let judged = self
                .config
                .pipelines
                .iter()
                .any(|pipeline| pipeline.zone.is_none_or(|of| of == zone));
            let faced = self
                .config
                .listeners
                .iter()
                .any(|listener| listener.zone.is_none_or(|of| of == zone));
            if faced && !judged {
                let problem =
                    format!("none is for zone {name}: every request from there is refused");
                notes.note(
                    &["pipeline".to_owned()],
                    Part::Key,
                    problem,
                    format!("add a `[[pipeline]]` with `zone = \"{name}\"`"),
                );
            }
        }
        for (&number, pipeline) in self.numbers.pipelines.iter().zip(&self.config.pipelines) {
            if pipeline.plugins.is_empty() {
                let problem = "has no plugins: it refuses every request";
                notes.note(
                    &path("pipeline", number, &["plugins"]),
                    Part::Value,
                    problem,
                    "name at least one",
                );
            }
        }
        for (&number, plugin) in self.numbers.plugins.iter().zip(&self.config.plugins) {
            if !self
                .config
                .pipelines
                .iter()
                .any(|pipeline| pipeline.plugins.contains(&plugin.name))
            {
                let problem = format!("no pipeline uses `{}`", plugin.name);
                notes.note(
                    &path("plugin", number, &["name"]),
                    Part::Value,
                    problem,
                    "name it in a pipeline, or remove it",
                );
            }
        }
        for &(list, number, peer) in peers {
            if peer.sources.is_empty() && peer.certificate_names.is_empty() {
                let problem = format!(
                    "`{}` has neither sources nor certificate_names: no request is ever its own",
                    peer.name
                );
                notes.note(
                    &path(list, number, &["name"]),
                    Part::Value,
                    problem,
                    "add one of them if it sends requests",
                );
            }
        }
        notes.errors
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

/// Whether two sockets cannot both be had, or would share what comes in. Port 0
/// is any free one.
fn overlaps(one: SocketAddr, two: SocketAddr) -> bool {
    let (first, second) = (one.ip(), two.ip());
    one.port() == two.port()
        && one.port() != 0
        && (first == second
            || first.is_ipv4() == second.is_ipv4()
                && (first.is_unspecified() || second.is_unspecified()))
}

fn target_problem(text: &str) -> Result<(), String> {
    let uri = Uri::parse(text.as_bytes()).map_err(|error| error.to_string())?;
    let lower = text.to_ascii_lowercase();
    if !lower.starts_with("sip:") && !lower.starts_with("sips:") {
        return Err("it is no SIP URI".to_owned());
    }
    match uri.transport() {
        None => Ok(()),
        Some(name)
            if [b"udp".as_slice(), b"tcp", b"tls"]
                .iter()
                .any(|known| known.eq_ignore_ascii_case(name)) =>
        {
            Ok(())
        }
        Some(name) => Err(format!(
            "there is no transport `{}`",
            String::from_utf8_lossy(name)
        )),
    }
}
