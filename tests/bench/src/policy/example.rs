//! `examples/secure-trunk`: its plugins with the settings that ship, its pipelines, and
//! what they look up.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use geo::{Database, Places};
use lists::{List, ListLimits};
use policy::Grants;
use policy_wasm::{GroupBook, LookupBook};
use serde::Deserialize;
use serde_json::{Value, json};
use sipward_bench::{messages, secure_trunk};

use crate::shelf::Guest;

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
        let folder = secure_trunk::folder();
        let file: File = serde_json::from_value(secure_trunk::config()?)?;
        let mut lists = BTreeMap::new();
        for list in &file.list {
            let read = List::read(&folder.join(&list.file), ListLimits::default());
            let read = read.with_context(|| format!("failed to read list {}", list.name))?;
            lists.insert(list.name.clone(), Arc::new(read));
        }
        let countries = Database::from_bytes(secure_trunk::countries())?;
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
    Ok(Guest {
        file: file.to_owned(),
        grants: grants.with_context(|| format!("plugin {}", entry.name))?,
        settings: entry.settings.unwrap_or_else(|| json!({})),
        name: entry.name,
    })
}
