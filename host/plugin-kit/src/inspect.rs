//! `sipward plugin inspect`: what a plugin is, what it asks for, and who signed it.

use std::fmt;
use std::path::{Path, PathBuf};

use plugin_build::Surface;
use plugin_signature::{Signer, signature_path};
use policy::Grants;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::KitError;
use crate::schema;
use crate::signing::check_bytes;
use crate::stage::{Stage, Subject};

/// All that a component says of itself, and what lies beside it says of it.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// The file.
    pub path: PathBuf,
    /// Name in its manifest.
    pub name: String,
    /// Version in its manifest.
    pub version: String,
    /// One line on what it does.
    pub description: String,
    /// SHA-256 of the file, as `sha256sum` shows it.
    pub sha256: String,
    /// Size of the file.
    pub bytes: usize,
    /// Versions of `sipward:policy` that it was built against.
    pub wit: Vec<String>,
    /// Hooks: `request`, `response`, `call`.
    pub hooks: Vec<String>,
    /// Methods that it wants to see; empty for all.
    pub methods: Vec<String>,
    /// What it imports.
    pub imports: Vec<String>,
    /// Capabilities that it asks for.
    pub asks: Vec<&'static str>,
    /// What it was granted, where it is configured.
    pub granted: Vec<Granted>,
    /// Its signature.
    pub signature: SignatureState,
    /// JSON Schema of its settings.
    pub settings: Value,
}

/// One entry of a configuration that uses the plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Granted {
    /// Name of the `[[plugin]]`.
    pub entry: String,
    /// What it is granted.
    pub capabilities: Vec<String>,
    /// What it asks for and is not granted: the host would refuse it.
    pub missing: Vec<&'static str>,
    /// What it is granted and does not ask for.
    pub spare: Vec<&'static str>,
}

/// What is known of a signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum SignatureState {
    /// There is none.
    Unsigned,
    /// There is one, and no key to check it with.
    Unchecked,
    /// It is good.
    Good {
        /// Who signed.
        signer: String,
        /// Number of the key.
        key: String,
        /// The comment that was signed too.
        comment: String,
    },
    /// It is not.
    Bad {
        /// Why.
        problem: String,
    },
}

/// A `[[plugin]]` that uses the file that is looked into.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its capabilities.
    pub capabilities: Vec<String>,
}

/// Looks into a component. `accepted` are keys to check its signature with; `entries`
/// are those of a configuration that use it.
///
/// # Errors
/// It is no component, or the host refuses it.
pub fn inspect(
    path: &Path,
    accepted: &[Signer],
    entries: &[Entry],
) -> Result<Inspection, KitError> {
    let file = crate::error::read(path, crate::build::COMPONENT_BYTES)?;
    let stage = Stage::new(false)?;
    let (inspection, _) = of_bytes(&stage, path, &file, accepted, entries)?;
    Ok(inspection)
}

/// The same for bytes that were read already, with what can be asked.
pub(crate) fn of_bytes(
    stage: &Stage,
    path: &Path,
    file: &[u8],
    accepted: &[Signer],
    entries: &[Entry],
) -> Result<(Inspection, Subject), KitError> {
    let component = match Surface::of(file) {
        Ok(_) => file.to_vec(),
        Err(_) => plugin_build::componentize(path, file)?,
    };
    let surface = Surface::of(&component)?;
    let subject = stage.subject(path, component)?;
    let manifest = &subject.manifest;
    let asks = manifest.capabilities;
    let granted = entries.iter().map(|entry| granted(entry, asks));
    let inspection = Inspection {
        path: path.to_owned(),
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        description: manifest.description.clone(),
        sha256: hex::encode(Sha256::digest(file)),
        bytes: file.len(),
        wit: surface.wit_versions(),
        hooks: surface.hooks(),
        methods: manifest.methods.clone(),
        imports: surface.imports,
        asks: names(asks),
        granted: granted.collect(),
        signature: signature(path, file, accepted),
        settings: schema::readable(&manifest.settings_schema),
    };
    Ok((inspection, subject))
}

fn names(grants: Grants) -> Vec<&'static str> {
    grants.iter().map(|capability| capability.name()).collect()
}

fn granted(entry: &Entry, asks: Grants) -> Granted {
    // Names that are none were refused when the configuration was read.
    let given = Grants::from_names(&entry.capabilities).unwrap_or(Grants::NONE);
    Granted {
        entry: entry.name.clone(),
        capabilities: entry.capabilities.clone(),
        missing: names(asks.without(given)),
        spare: names(given.without(asks)),
    }
}

fn signature(path: &Path, file: &[u8], accepted: &[Signer]) -> SignatureState {
    if !signature_path(path).exists() {
        return SignatureState::Unsigned;
    }
    if accepted.is_empty() {
        return SignatureState::Unchecked;
    }
    match check_bytes(path, file, accepted) {
        Ok(signed) => SignatureState::Good {
            signer: signed.signer.name.to_string(),
            key: signed.signer.key.id(),
            comment: signed.comment,
        },
        Err(error) => SignatureState::Bad {
            problem: error.to_string(),
        },
    }
}

/// Words on one line, or what stands for none.
fn listed<T: AsRef<str>>(words: &[T], none: &str) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words.as_slice() {
        [] => none.to_owned(),
        words => words.join(", "),
    }
}

impl fmt::Display for Inspection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |key: &str, value: &str| writeln!(formatter, "{key:<13} {value}");
        line("plugin", &format!("{} {}", self.name, self.version))?;
        line("description", &self.description)?;
        line("file", &self.path.display().to_string())?;
        line("size", &format!("{} bytes", self.bytes))?;
        line("sha256", &self.sha256)?;
        line("signature", &self.signature.to_string())?;
        line("WIT", &format!("sipward:policy {}", listed(&self.wit, "-")))?;
        line("hooks", &listed(&self.hooks, "none"))?;
        line("methods", &listed(&self.methods, "all"))?;
        line("asks for", &listed(&self.asks, "nothing"))?;
        for granted in &self.granted {
            line(
                &format!("granted to `{}`", granted.entry),
                &granted.to_string(),
            )?;
        }
        line("imports", &listed(&self.imports, "nothing"))?;
        let schema = serde_json::to_string_pretty(&self.settings).map_err(|_| fmt::Error)?;
        write!(formatter, "settings\n{schema}")
    }
}

impl fmt::Display for Granted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&listed(&self.capabilities, "nothing"))?;
        if !self.missing.is_empty() {
            write!(formatter, "; MISSING {}", listed(&self.missing, ""))?;
        }
        if !self.spare.is_empty() {
            write!(formatter, "; not asked for: {}", listed(&self.spare, ""))?;
        }
        Ok(())
    }
}

impl fmt::Display for SignatureState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned => formatter.write_str("none"),
            Self::Unchecked => {
                formatter.write_str("there is one; name a key with --key or --config to check it")
            }
            Self::Good {
                signer,
                key,
                comment,
            } => write!(formatter, "good, by `{signer}` ({key}): {comment}"),
            Self::Bad { problem } => write!(formatter, "BAD: {problem}"),
        }
    }
}
