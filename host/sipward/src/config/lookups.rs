//! `[geo]`, `[[list]]` and `[groups]`: what plugins can look up.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

/// Databases in the MaxMind DB format. One file may be named more than once.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Geo {
    /// Countries of addresses.
    pub country: Option<PathBuf>,
    /// Autonomous systems of addresses.
    pub asn: Option<PathBuf>,
    /// Coordinates, and countries where `country` knows none.
    pub city: Option<PathBuf>,
}

impl Geo {
    /// The files with their keys.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &PathBuf)> {
        [
            ("country", &self.country),
            ("asn", &self.asn),
            ("city", &self.city),
        ]
        .into_iter()
        .filter_map(|(key, file)| Some((key, file.as_ref()?)))
    }
}

/// A file of `key = value` lines.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListFile {
    /// Unique name, by which plugins ask.
    pub name: String,
    /// The file.
    pub file: PathBuf,
}

/// Groups, each with the identities that are in it.
pub type Groups = BTreeMap<String, Vec<String>>;
