//! The policy interface: `wit/policy.wit`, the promise that it is kept for plugins that
//! were compiled against a released version of it, and the page that lists all of it.

mod page;
mod promise;
mod words;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use wit_parser::{Resolve, UnresolvedPackageGroup};

use crate::tidy::Finding;
use crate::workspace;

/// The interface.
const PRESENT: &str = "wit/policy.wit";

/// Where each released interface stands beside the component that was written to it.
const RELEASED: &str = "tests/compat";

/// The page that is made of the interface.
const PAGE: &str = "docs/reference/interfaces.md";

/// Write the page anew.
pub(crate) fn write_page() -> Result<()> {
    let path = workspace::root().join(PAGE);
    let text = page::write(&read(&workspace::root().join(PRESENT))?);
    fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
    eprintln!("    {PAGE} is written");
    Ok(())
}

/// Hold the interface against every released one, and the page against the interface.
pub(crate) fn check() -> Result<Vec<Finding>> {
    let finding = |file: &str, message: String| Finding {
        file: file.to_owned(),
        line: 1,
        message,
    };
    let root = workspace::root();
    let present = read(&root.join(PRESENT))?;
    let mut findings = Vec::new();
    for (name, released) in released(&root)? {
        let broken = promise::broken(&released, &present);
        findings.extend(broken.into_iter().map(|what| {
            finding(
                PRESENT,
                format!(
                    "{what}; plugins of {name} would no longer load: see docs/reference/wit.md"
                ),
            )
        }));
    }
    let page = fs::read_to_string(root.join(PAGE)).unwrap_or_default();
    if page != page::write(&present) {
        let message = format!("is not what {PRESENT} says; write it with `cargo xtask reference`");
        findings.push(finding(PAGE, message));
    }
    Ok(findings)
}

/// Each released interface with its version.
fn released(root: &Path) -> Result<Vec<(String, Resolve)>> {
    let folder = root.join(RELEASED);
    let entries =
        fs::read_dir(&folder).with_context(|| format!("failed to list {}", folder.display()))?;
    let mut all = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("failed to list {}", folder.display()))?;
        let wit = entry.path().join("wit/policy.wit");
        if wit.is_file() {
            let name = entry.file_name().to_string_lossy().into_owned();
            all.push((name, read(&wit)?));
        }
    }
    anyhow::ensure!(!all.is_empty(), "no released interface in {RELEASED}");
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(all)
}

fn read(path: &Path) -> Result<Resolve> {
    let text =
        fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))?;
    understood(&text).with_context(|| format!("{} is no WIT", path.display()))
}

fn understood(text: &str) -> Result<Resolve> {
    let group = UnresolvedPackageGroup::parse("policy.wit", text)
        .map_err(|(_, error)| anyhow::anyhow!("{error}"))?;
    let mut resolve = Resolve::default();
    resolve.push_group(group)?;
    Ok(resolve)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is true of the repository itself.
    #[test]
    fn no_plugin_of_a_released_version_is_broken() {
        let findings = check().unwrap();
        let broken: Vec<_> = findings.iter().filter(|it| it.file == PRESENT).collect();
        assert!(broken.is_empty(), "{broken:?}");
    }
}
