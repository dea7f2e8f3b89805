//! `examples/secure-trunk`: its plugins with the settings that ship, its pipelines, and
//! what they look up.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use geo::{Database, Places};
use lists::{List, ListLimits};
use policy::Grants;
use policy_wasm::{GroupBook, LookupBook};
use serde::Deserialize;
use serde_json::{Value, json};
use sipward_bench::messages;

use crate::shelf::Guest;

#[expect(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "shared with tests, which may panic; what is written here is sound"
)]
#[path = "../../../../host/geo/tests/suite/mmdb.rs"]
mod mmdb;

/// Where somebody at home is. As deep in its tree as in a database of the whole world,
/// but always in the processor's cache.
const PLACES: [(&str, &str); 1] = [("81.0.0.0/24", "DE")];

/// A number that somebody at home calls.
pub(crate) const LANDLINE: &str = "sip:03023125000@sip.example.com";

/// The INVITE of somebody at home, with further header lines.
pub(crate) fn home_invite(headers: &str) -> Bytes {
    let from = "\"Alice Adams\" <sip:alice@sip.example.com>";
    messages::encrypted_invite(from, LANDLINE, headers)
}

/// The INVITE of the office, as its PBX sends it on to the trunk.
pub(crate) fn office_invite() -> Bytes {
    let from = "\"Example\" <sip:+4930123411@sip.example.com>";
    messages::encrypted_invite(from, LANDLINE, "")
}

/// The INVITE of the carrier to one of the office's numbers.
pub(crate) fn carrier_invite() -> Bytes {
    let from = "<sip:+4989123456@carrier.example.net>";
    messages::encrypted_invite(from, "sip:+4930123411@sip.example.com", "")
}

/// The parts of the file that are of interest here.
#[derive(Deserialize)]
struct File {
    plugin: Vec<PluginEntry>,
    pipeline: Vec<PipelineEntry>,
    list: Vec<ListEntry>,
    groups: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
struct PluginEntry {
    name: String,
    path: PathBuf,
    #[serde(default)]
    capabilities: Vec<String>,
    settings: Option<Value>,
}

#[derive(Deserialize)]
struct PipelineEntry {
    name: String,
    plugins: Vec<String>,
}

#[derive(Deserialize)]
struct ListEntry {
    name: String,
    file: PathBuf,
}

/// The example.
pub(crate) struct Example {
    guests: Vec<Guest>,
    pipelines: Vec<PipelineEntry>,
}

impl Example {
    /// The example, and what its plugins look up.
    pub(crate) fn read() -> Result<(Self, LookupBook)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/secure-trunk");
        let path = folder.join("sipward.toml");
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("failed to read {}", path.display()))?;
        let file: File = toml_edit::de::from_str(&text)
            .with_context(|| format!("failed to read {}", path.display()))?;
        let mut lists = BTreeMap::new();
        for list in &file.list {
            let read = List::read(&folder.join(&list.file), ListLimits::default());
            let read = read.with_context(|| format!("failed to read list {}", list.name))?;
            lists.insert(list.name.clone(), Arc::new(read));
        }
        let countries = Database::from_bytes(mmdb::countries(&PLACES))?;
        let book = LookupBook {
            places: Places {
                country: Some(Arc::new(countries)),
                ..Places::default()
            },
            lists,
            groups: GroupBook::new(file.groups),
        };
        let guests = file.plugin.into_iter().map(guest);
        let example = Self {
            guests: guests.collect::<Result<_>>()?,
            pipelines: file.pipeline,
        };
        Ok((example, book))
    }

    /// The plugins of a pipeline, in order.
    pub(crate) fn pipeline(&self, name: &str) -> Result<Vec<&Guest>> {
        let found = self.pipelines.iter().find(|it| it.name == name);
        let pipeline = found.with_context(|| format!("the example has no pipeline {name}"))?;
        pipeline
            .plugins
            .iter()
            .map(|name| {
                let guest = self.guests.iter().find(|guest| guest.name == *name);
                guest.with_context(|| format!("the example has no plugin {name}"))
            })
            .collect()
    }
}

fn guest(entry: PluginEntry) -> Result<Guest> {
    let Some(file) = entry.path.file_name().and_then(|file| file.to_str()) else {
        bail!("plugin {} has no file", entry.name);
    };
    let grants = Grants::from_names(entry.capabilities.iter().map(String::as_str));
    let mut settings = entry.settings.unwrap_or_else(|| json!({}));
    out_of_reach(&mut settings);
    Ok(Guest {
        file: file.to_owned(),
        grants: grants.with_context(|| format!("plugin {}", entry.name))?,
        settings,
        name: entry.name,
    })
}

/// Keys of amounts that thousands of calls a second of one caller exceed, and their
/// highest values. The work is the same below them.
const AMOUNTS: [(&str, f64); 9] = [
    ("per_second", 1e6),
    ("burst", 1e6),
    ("calls", 1e6),
    ("calls_per_second", 1e4),
    ("calls_per_hour", 1e6),
    ("minutes_per_day", 1e8),
    ("minutes_per_month", 1e8),
    ("cost_per_day", 1e8),
    ("cost_per_month", 1e8),
];

/// Puts what counts calls out of reach; all else stays as it ships.
fn out_of_reach(settings: &mut Value) {
    for place in ["rules", "limits"] {
        let entries = settings.get_mut(place).and_then(Value::as_array_mut);
        for entry in entries.into_iter().flatten() {
            raise(entry);
        }
    }
    if let Some(signs) = settings.get_mut("signs").and_then(Value::as_object_mut) {
        // By default ten calls a minute, and eight to the same number, have points.
        signs.insert("rate".to_owned(), json!({ "calls_per_minute": 100_000 }));
        signs.insert("repeated".to_owned(), json!({ "calls": 100_000 }));
    }
}

fn raise(entry: &mut Value) {
    for (key, highest) in AMOUNTS {
        if let Some(value) = entry.get_mut(key) {
            // Most are whole numbers in the settings.
            *value = match value.is_f64() {
                true => json!(highest),
                false => json!(highest as u64),
            };
        }
    }
}
