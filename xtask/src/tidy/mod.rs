//! `cargo xtask tidy`: the rules of the house that no compiler knows. Each finding
//! names its file and line and says what would be right.

pub(crate) mod imports;
mod length;
mod limits;
mod links;
mod readmes;
mod source;
mod words;

use std::fmt;
use std::fs;

use anyhow::{Context, Result};
use walkdir::WalkDir;

use crate::failure::{self, Failure};
use crate::workspace;

/// Something that breaks a rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// Path relative to the root.
    pub(crate) file: String,
    /// Line, from 1.
    pub(crate) line: usize,
    /// What is wrong and what would be right.
    pub(crate) message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)
    }
}

/// One file of the repository.
pub(crate) struct Page {
    /// Path relative to the root, with `/` between its parts.
    pub(crate) path: String,
    /// Its text.
    pub(crate) text: String,
}

impl Page {
    /// A finding in this file.
    pub(crate) fn finding(&self, line: usize, message: impl Into<String>) -> Finding {
        Finding {
            file: self.path.clone(),
            line,
            message: message.into(),
        }
    }

    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }
}

/// Kinds of files that people write here.
const WRITTEN: [&str; 12] = [
    "rs", "toml", "md", "wit", "xml", "cfg", "lua", "sh", "yml", "yaml", "json", "csv",
];

/// Check every rule, print every finding.
pub(crate) fn run() -> Result<()> {
    eprintln!("==> tidy");
    let pages = pages()?;
    let mut findings = imports::check(&workspace::members()?);
    findings.extend(limits::check(&pages));
    findings.extend(links::check(&pages));
    findings.extend(readmes::check(&pages));
    for page in &pages {
        findings.extend(words::check(page));
        if page.is_rust() {
            findings.extend(source::check(page));
            findings.extend(length::check(page));
        }
    }
    findings.sort();
    findings.dedup();
    for finding in &findings {
        eprintln!("{finding}");
    }
    eprintln!("    {} files, {} findings", pages.len(), findings.len());
    if !findings.is_empty() {
        let words = findings.iter().take(failure::LINES);
        return Err(Failure {
            summary: format!("tidy found {} things to put right", findings.len()),
            words: words.map(ToString::to_string).collect(),
        }
        .into());
    }
    Ok(())
}

/// Every written file but what cargo and the version control keep.
fn pages() -> Result<Vec<Page>> {
    let root = workspace::root();
    let walk = WalkDir::new(&root)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| {
            let name = entry.file_name().to_string_lossy();
            entry.depth() == 0 || !(name == "target" || name == ".git" || name == "node_modules")
        });
    let mut pages = Vec::new();
    for entry in walk {
        let entry = entry.context("failed to list the repository")?;
        let known = entry
            .path()
            .extension()
            .is_some_and(|it| WRITTEN.iter().any(|known| it == *known));
        if !entry.file_type().is_file() || !known {
            continue;
        }
        let text = fs::read_to_string(entry.path())
            .with_context(|| format!("failed to read {}", entry.path().display()))?;
        let path = entry.path().strip_prefix(&root).unwrap_or(entry.path());
        pages.push(Page {
            path: path.to_string_lossy().replace('\\', "/"),
            text,
        });
    }
    Ok(pages)
}
