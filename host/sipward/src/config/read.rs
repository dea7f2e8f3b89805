//! From merged values to the model, with every mistake on the way.
//!
//! serde stops at the first mistake. So each entry of a list is read on its own,
//! and a wrong key is noted, taken out, and the entry read again.

use std::collections::BTreeSet;

use figment::error::{Actual, Error, Kind};
use figment::value::{Dict, Value};
use serde::de::DeserializeOwned;

use super::error::{ConfigError, Source};
use super::hint;
use super::model::Config;
use super::place::{KeyPath, Part, Places, render};

/// Mistakes in one entry after which it is left alone.
const MISTAKES_PER_ENTRY: usize = 32;

/// Mistakes, and where things stand.
pub(super) struct Findings<'a> {
    pub(super) places: &'a Places,
    pub(super) errors: Vec<ConfigError>,
}

impl Findings<'_> {
    /// Note a mistake.
    pub(super) fn note(
        &mut self,
        path: &[String],
        part: Part,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.errors.push(ConfigError {
            source: self.places.find(path, part),
            key: render(path),
            problem: problem.into(),
            remedy: remedy.into(),
        });
    }

    fn not_a_list(&mut self, steps: &[&str]) {
        let path: KeyPath = steps.iter().map(|&step| step.to_owned()).collect();
        let name = steps.join(".");
        let Some(variable) = self.places.variable_below(&path) else {
            self.note(
                &path,
                Part::Key,
                "not a list of tables",
                format!("write `[[{name}]]` for each entry"),
            );
            return;
        };
        self.errors.push(ConfigError {
            source: Source::Environment(variable.to_owned()),
            key: name,
            problem: "lists of tables are set in the file alone".to_owned(),
            remedy: "remove the variable".to_owned(),
        });
    }
}

/// Lists of tables at the root.
const LISTS: [&str; 8] = [
    "listener",
    "pbx",
    "trunk",
    "plugin",
    "signer",
    "pipeline",
    "credential",
    "list",
];

/// The model as far as it can be read, and for each list the numbers that its
/// entries have in the file.
pub(super) fn config(mut root: Dict, findings: &mut Findings<'_>) -> Option<(Config, Numbers)> {
    let mut lists: Vec<Vec<(usize, Value)>> = Vec::new();
    for name in LISTS {
        lists.push(match root.remove(name) {
            None => Vec::new(),
            Some(Value::Array(_, entries)) => entries.into_iter().enumerate().collect(),
            Some(_) => {
                findings.not_a_list(&[name]);
                Vec::new()
            }
        });
    }
    let interfaces = nested(&mut root, INTERFACES, findings);
    let webhooks = nested(&mut root, ALERT_WEBHOOKS, findings);
    let commands = nested(&mut root, ALERT_COMMANDS, findings);
    let mut config: Config = entry(Value::from(root), &[], findings)?;
    let mut numbers = Numbers::default();
    let mut lists = LISTS.into_iter().zip(lists);
    let mut next = || lists.next().unwrap_or_default();
    (config.listeners, numbers.listeners) = list_of(next(), findings);
    (config.pbxs, numbers.pbxs) = list_of(next(), findings);
    (config.trunks, numbers.trunks) = list_of(next(), findings);
    (config.plugins, numbers.plugins) = list_of(next(), findings);
    (config.signers, numbers.signers) = list_of(next(), findings);
    (config.pipelines, numbers.pipelines) = list_of(next(), findings);
    (config.credentials, numbers.credentials) = list_of(next(), findings);
    (config.lists, numbers.lists) = list_of(next(), findings);
    if let Some(media) = &mut config.media {
        (media.interfaces, numbers.interfaces) = list(&INTERFACES, interfaces, findings);
    }
    let alerts = &mut config.alerts;
    (alerts.webhooks, numbers.alert_webhooks) = list(&ALERT_WEBHOOKS, webhooks, findings);
    (alerts.commands, numbers.alert_commands) = list(&ALERT_COMMANDS, commands, findings);
    Some((config, numbers))
}

/// Where lists of tables stand that are not at the root.
const INTERFACES: [&str; 2] = ["media", "interface"];
const ALERT_WEBHOOKS: [&str; 2] = ["alerts", "webhook"];
const ALERT_COMMANDS: [&str; 2] = ["alerts", "command"];

/// Take a list out of its section, so that a mistake in one entry leaves the others.
fn nested(root: &mut Dict, steps: [&str; 2], findings: &mut Findings<'_>) -> Vec<(usize, Value)> {
    let [section, name] = steps;
    let Some(Value::Dict(_, section)) = root.get_mut(section) else {
        return Vec::new();
    };
    match section.remove(name) {
        None => Vec::new(),
        Some(Value::Array(_, entries)) => entries.into_iter().enumerate().collect(),
        Some(_) => {
            findings.not_a_list(&steps);
            Vec::new()
        }
    }
}

/// Numbers of entries in the file, for those that could be read.
#[derive(Default)]
pub(super) struct Numbers {
    pub(super) listeners: Vec<usize>,
    pub(super) pbxs: Vec<usize>,
    pub(super) trunks: Vec<usize>,
    pub(super) plugins: Vec<usize>,
    pub(super) signers: Vec<usize>,
    pub(super) pipelines: Vec<usize>,
    pub(super) credentials: Vec<usize>,
    pub(super) lists: Vec<usize>,
    pub(super) interfaces: Vec<usize>,
    pub(super) alert_webhooks: Vec<usize>,
    pub(super) alert_commands: Vec<usize>,
}

fn list_of<T: DeserializeOwned>(
    (name, entries): (&str, Vec<(usize, Value)>),
    findings: &mut Findings<'_>,
) -> (Vec<T>, Vec<usize>) {
    list(&[name], entries, findings)
}

fn list<T: DeserializeOwned>(
    steps: &[&str],
    entries: Vec<(usize, Value)>,
    findings: &mut Findings<'_>,
) -> (Vec<T>, Vec<usize>) {
    entries
        .into_iter()
        .filter_map(|(number, value)| {
            let mut path: KeyPath = steps.iter().map(|&step| step.to_owned()).collect();
            path.push(number.to_string());
            entry(value, &path, findings).map(|entry| (entry, number))
        })
        .unzip()
}

/// One table. `None` if it lacks something that it needs.
pub(super) fn entry<T: DeserializeOwned>(
    mut value: Value,
    at: &[String],
    findings: &mut Findings<'_>,
) -> Option<T> {
    let mut removed: BTreeSet<KeyPath> = BTreeSet::new();
    for _ in 0..MISTAKES_PER_ENTRY {
        let error = match T::deserialize(&value) {
            Ok(read) => return Some(read),
            Err(error) => error,
        };
        let mut inner = error.path.clone();
        if let Kind::MissingField(name) = &error.kind {
            inner.push(name.to_string());
            if !removed.contains(&inner) {
                note(&error, &[at, &inner].concat(), None, findings);
            }
            // A table inside that lacks something goes as a whole; this one cannot.
            inner.pop();
            if inner.is_empty() || !remove(&mut value, &inner) {
                return None;
            }
        } else {
            note(
                &error,
                &[at, &inner].concat(),
                text_at(&value, &inner),
                findings,
            );
            // A wrong entry of a list takes the list with it.
            while inner
                .last()
                .is_some_and(|step| step.parse::<usize>().is_ok())
            {
                inner.pop();
            }
            if inner.is_empty() || !remove(&mut value, &inner) {
                return None;
            }
        }
        removed.insert(inner);
    }
    None
}

fn remove(value: &mut Value, path: &[String]) -> bool {
    let Value::Dict(_, dict) = value else {
        return false;
    };
    match path {
        [] => false,
        [last] => dict.remove(last).is_some(),
        [first, rest @ ..] => dict.get_mut(first).is_some_and(|value| remove(value, rest)),
    }
}

/// The text at a path.
fn text_at<'v>(value: &'v Value, path: &[String]) -> Option<&'v str> {
    match (value, path) {
        (Value::String(_, text), []) => Some(text),
        (Value::Dict(_, dict), [first, rest @ ..]) => text_at(dict.get(first)?, rest),
        (Value::Array(_, entries), [first, rest @ ..]) => {
            text_at(entries.get(first.parse::<usize>().ok()?)?, rest)
        }
        _ => None,
    }
}

/// `written`: the text that is wrong, if it is one.
fn note(error: &Error, path: &[String], written: Option<&str>, findings: &mut Findings<'_>) {
    let word = path.last().map_or("", String::as_str);
    let expected = hint::example(path).map(|example| format!("write {example}"));
    match &error.kind {
        Kind::UnknownField(name, known) => {
            findings.note(
                path,
                Part::Key,
                "unknown key",
                unknown_key(name, known, path),
            );
        }
        Kind::MissingField(name) => {
            let remedy = match hint::example(path) {
                Some(example) => format!("add `{name} = ...` with {example}"),
                None => format!("add `{name} = ...`"),
            };
            findings.note(path, Part::Key, "missing key", remedy);
        }
        Kind::UnknownVariant(found, known) => {
            let remedy = hint::among(found, known.iter().copied());
            findings.note(
                path,
                Part::Value,
                format!("`{found}` is none of {}", hint::list(known.iter().copied())),
                remedy,
            );
        }
        Kind::InvalidType(actual, wanted) | Kind::InvalidValue(actual, wanted) => {
            let remedy = expected.unwrap_or_else(|| format!("write {}", plain(wanted)));
            findings.note(
                path,
                Part::Value,
                format!("is {}", found(actual, path)),
                remedy,
            );
        }
        Kind::InvalidLength(length, wanted) => {
            findings.note(
                path,
                Part::Value,
                format!("has {length} entries"),
                format!("write {wanted}"),
            );
        }
        Kind::Message(message) => {
            let mut remedy = expected.unwrap_or_default();
            if path
                .iter()
                .any(|step| step == "sources" || step == "networks")
            {
                remedy.push_str("; a single address ends with /32 or /128");
            }
            let problem = match written.filter(|_| !is_private(path)) {
                Some(written) => format!("{written:?}: {message}"),
                None => message.clone(),
            };
            findings.note(path, Part::Value, problem, remedy);
        }
        other => findings.note(
            path,
            Part::Value,
            format!("cannot be `{word}`: {other}"),
            expected.unwrap_or_default(),
        ),
    }
}

fn unknown_key(name: &str, known: &[&str], path: &[String]) -> String {
    let is_secret = is_private(path)
        && matches!(
            name,
            "password" | "ha1" | "secret" | "md5" | "sha256" | "key"
        );
    if is_secret && path.first().is_some_and(|section| section == "credentials") {
        return "secrets do not belong into this file: use `key_file` or `key_env`".to_owned();
    }
    if is_secret {
        return "secrets do not belong into this file: use `password_file`, `password_env` or `ha1_file`".to_owned();
    }
    hint::among(name, known.iter().copied())
}

fn is_private(path: &[String]) -> bool {
    path.first()
        .is_some_and(|list| list == "credential" || list == "credentials")
}

/// What was found. Texts among the credentials are not shown, as they could be
/// secrets under a wrong key.
fn found(actual: &Actual, path: &[String]) -> String {
    match actual {
        Actual::Str(_) if is_private(path) => "a text".to_owned(),
        Actual::Str(text) => format!("the text {text:?}"),
        Actual::Bool(value) => format!("{value}"),
        Actual::Unsigned(_) | Actual::Signed(_) | Actual::Float(_) if is_private(path) => {
            "a number".to_owned()
        }
        Actual::Unsigned(number) => format!("the number {number}"),
        Actual::Signed(number) => format!("the number {number}"),
        Actual::Float(number) => format!("the number {number}"),
        Actual::Seq => "a list".to_owned(),
        Actual::Map => "a table".to_owned(),
        other => other.to_string(),
    }
}

/// serde's words for types, in the operator's.
fn plain(wanted: &str) -> String {
    match wanted {
        "usize" | "u64" => "a whole number".to_owned(),
        "u16" => "a whole number below 65536".to_owned(),
        "u32" => "a whole number below 4294967296".to_owned(),
        "a string" | "path string" => "a text in quotes".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list in brackets".to_owned(),
        "a map" => "a table".to_owned(),
        other if other.starts_with("struct ") => "a table".to_owned(),
        other => other.to_owned(),
    }
}
