//! `sipward plugin diff`: what an operator gets who replaces one version by another.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::error::{KitError, read};
use crate::golden::{Golden, difference, play};
use crate::inspect::{Inspection, of_bytes};
use crate::schema;
use crate::stage::Stage;

/// What differs between two versions.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Name and version of the old one.
    pub old: String,
    /// Name and version of the new one.
    pub new: String,
    /// Whether the files are the same.
    pub identical: bool,
    /// Capabilities that only the new one asks for: an upgrade is refused until they are
    /// granted.
    pub capabilities_added: Vec<&'static str>,
    /// Capabilities that only the old one asks for.
    pub capabilities_removed: Vec<&'static str>,
    /// Hooks, methods and imports that differ, a line for each.
    pub surface: Vec<String>,
    /// Keys of the settings that differ, a line for each.
    pub settings: Vec<String>,
    /// Golden messages that were judged.
    pub judged: usize,
    /// Files of golden messages of which something else becomes.
    pub outcomes: Vec<OutcomeDifference>,
}

/// A file of golden messages of which something else becomes.
#[derive(Clone, Debug, Serialize)]
pub struct OutcomeDifference {
    /// The file's name without its ending.
    pub name: String,
    /// Line by line, `-` the old version and `+` the new.
    pub difference: String,
}

/// Compares two components, with golden messages if there are any.
///
/// # Errors
/// One of them is no plugin.
pub fn compare(old: &Path, new: &Path, golden: Option<&Golden>) -> Result<Comparison, KitError> {
    let stage = Stage::new(false)?;
    let look = |path: &Path| {
        let file = read(path, crate::build::COMPONENT_BYTES)?;
        of_bytes(&stage, path, &file, &[], &[])
    };
    let ((before, old), (after, new)) = (look(old)?, look(new)?);
    let mut outcomes = Vec::new();
    let mut judged = 0;
    for case in golden.iter().flat_map(|golden| &golden.cases) {
        let Some(golden) = golden else { continue };
        judged += case.steps.len();
        // Settings that a version refuses are an outcome too.
        let told = |subject| {
            play(&stage, subject, golden, case).unwrap_or_else(|error| match error {
                KitError::Load { cause, .. } => format!("not loaded: {cause}\n"),
                other => format!("not judged: {other}\n"),
            })
        };
        let (was, is) = (told(&old), told(&new));
        if was != is {
            outcomes.push(OutcomeDifference {
                name: case.name.clone(),
                difference: difference(&was, &is),
            });
        }
    }
    let (asked, asks) = (old.manifest.capabilities, new.manifest.capabilities);
    let names = |grants: policy::Grants| grants.iter().map(|it| it.name()).collect();
    Ok(Comparison {
        old: format!("{} {}", before.name, before.version),
        new: format!("{} {}", after.name, after.version),
        identical: before.sha256 == after.sha256,
        capabilities_added: names(asks.without(asked)),
        capabilities_removed: names(asked.without(asks)),
        surface: surface(&before, &after),
        settings: schema::difference(&old.manifest.settings_schema, &new.manifest.settings_schema),
        judged,
        outcomes,
    })
}

fn surface(old: &Inspection, new: &Inspection) -> Vec<String> {
    let mut lines = Vec::new();
    for (what, old, new) in [
        ("WIT", &old.wit, &new.wit),
        ("hook", &old.hooks, &new.hooks),
        ("method", &old.methods, &new.methods),
        ("import", &old.imports, &new.imports),
    ] {
        let gone = old.iter().filter(|it| !new.contains(it));
        lines.extend(gone.map(|it| format!("- {what} {it}")));
        let come = new.iter().filter(|it| !old.contains(it));
        lines.extend(come.map(|it| format!("+ {what} {it}")));
    }
    lines
}

impl Comparison {
    /// Whether an operator would notice nothing.
    pub const fn is_empty(&self) -> bool {
        self.capabilities_added.is_empty()
            && self.capabilities_removed.is_empty()
            && self.surface.is_empty()
            && self.settings.is_empty()
            && self.outcomes.is_empty()
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{} -> {}", self.old, self.new)?;
        if self.identical {
            return write!(formatter, "the same bytes");
        }
        writeln!(formatter, "capabilities")?;
        for added in &self.capabilities_added {
            writeln!(formatter, "  + {added}: refused until it is granted")?;
        }
        for removed in &self.capabilities_removed {
            writeln!(formatter, "  - {removed}")?;
        }
        if self.capabilities_added.is_empty() && self.capabilities_removed.is_empty() {
            writeln!(formatter, "  as before")?;
        }
        for (what, lines) in [("interface", &self.surface), ("settings", &self.settings)] {
            writeln!(formatter, "{what}")?;
            for line in lines {
                writeln!(formatter, "  {line}")?;
            }
            if lines.is_empty() {
                writeln!(formatter, "  as before")?;
            }
        }
        write!(formatter, "outcomes of {} golden messages", self.judged)?;
        if self.outcomes.is_empty() {
            return write!(formatter, "\n  as before");
        }
        for outcome in &self.outcomes {
            write!(formatter, "\n  {}", outcome.name)?;
            for line in outcome.difference.lines() {
                write!(formatter, "\n    {line}")?;
            }
        }
        Ok(())
    }
}
