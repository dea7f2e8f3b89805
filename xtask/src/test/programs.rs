//! The programs of tests that cargo builds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Options;
use crate::process;
use crate::workspace::{self, array, text};

/// One program of tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    /// The package it belongs to.
    pub(crate) package: String,
    /// What it is: a library's tests, a binary's, or those of a file of tests.
    pub(crate) kind: Kind,
    /// The name of the target.
    pub(crate) target: String,
    /// Where it is.
    pub(crate) file: PathBuf,
    /// Where cargo would start it: the folder of its package.
    pub(crate) folder: PathBuf,
}

/// What a program of tests was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A library, macros and guests included.
    Library,
    /// A binary or an example.
    Binary,
    /// A file in `tests/`.
    Tests,
    /// The examples in the documentation of all libraries. Cargo runs them.
    Documentation,
}

impl Program {
    /// Its name for people.
    pub(crate) fn label(&self) -> String {
        match self.kind {
            Kind::Library => self.package.clone(),
            Kind::Binary => format!("{} (binary {})", self.package, self.target),
            Kind::Tests => format!("{} {}", self.package, self.target),
            Kind::Documentation => "examples in documentation".to_owned(),
        }
    }

    /// The names of its tests.
    pub(crate) fn tests(&self) -> Result<Vec<String>> {
        let mut list = Command::new(&self.file);
        list.current_dir(&self.folder)
            .args(["--list", "--format", "terse"]);
        let said = process::capture(&mut list)?;
        let names = said.lines().filter_map(|line| line.strip_suffix(": test"));
        Ok(names.map(str::to_owned).collect())
    }
}

/// Build what is missing and list every program of tests.
pub(crate) fn find(options: &Options) -> Result<Vec<Program>> {
    let mut command = process::cargo();
    command
        .args(["test", "--no-run", "--locked", "--quiet"])
        .args(["--message-format", "json-render-diagnostics"])
        .args(options.selection());
    let report = process::report(&mut command)?;
    let packages: BTreeMap<PathBuf, String> = workspace::members()?
        .into_iter()
        .map(|member| (workspace::root().join(member.folder), member.name))
        .collect();
    let mut programs: Vec<Program> = report
        .lines()
        .filter_map(|line| program(line, &packages))
        .collect();
    programs.sort_by_key(|it| (it.package.clone(), it.kind, it.target.clone()));
    if programs.is_empty() {
        bail!("cargo has built no program of tests");
    }
    if let Some(documentation) = documentation(&programs, options)? {
        programs.push(documentation);
    }
    Ok(programs)
}

/// The program of one line of cargo's report, if it is about one.
fn program(line: &str, packages: &BTreeMap<PathBuf, String>) -> Option<Program> {
    let report: Value = serde_json::from_str(line).ok()?;
    let file = report.get("executable")?.as_str()?;
    let is_test = report.get("profile")?.get("test")?.as_bool()?;
    if text(&report, "reason") != "compiler-artifact" || !is_test {
        return None;
    }
    let target = report.get("target")?;
    let is = |kind: &str| array(target, "kind").iter().any(|it| it == kind);
    let kind = match () {
        () if is("test") || is("bench") => Kind::Tests,
        () if is("bin") || is("example") => Kind::Binary,
        () => Kind::Library,
    };
    let folder = Path::new(text(&report, "manifest_path")).parent()?;
    Some(Program {
        package: packages.get(folder)?.clone(),
        kind,
        target: text(target, "name").to_owned(),
        file: PathBuf::from(file),
        folder: folder.to_owned(),
    })
}

/// Examples in documentation are compiled by cargo while it runs them.
fn documentation(programs: &[Program], options: &Options) -> Result<Option<Program>> {
    let has_library = programs.iter().any(|it| it.kind == Kind::Library);
    if !has_library {
        return Ok(None);
    }
    let cargo =
        std::env::var_os("CARGO").map_or_else(|| process::find("cargo"), |it| Some(it.into()));
    Ok(Some(Program {
        package: options.packages.join(" "),
        kind: Kind::Documentation,
        target: "documentation".to_owned(),
        file: cargo.context("there is no cargo")?,
        folder: workspace::root(),
    }))
}

/// The arguments with which cargo runs the examples in documentation.
pub(crate) fn documentation_arguments(options: &Options) -> Vec<&str> {
    let mut arguments = vec!["test", "--doc", "--locked", "--no-fail-fast"];
    arguments.extend(["--color", "never"]);
    arguments.extend(options.selection());
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"reason":"compiler-artifact","manifest_path":"/x/tests/Cargo.toml",
        "target":{"kind":["test"],"name":"abuse"},"profile":{"test":true},"executable":"/t/abuse-1"}"#;

    fn packages() -> BTreeMap<PathBuf, String> {
        BTreeMap::from([(PathBuf::from("/x/tests"), "sipward-tests".to_owned())])
    }

    #[test]
    fn programs_are_read_from_cargos_report() {
        let found = program(LINE, &packages()).expect("a program");
        assert_eq!(found.label(), "sipward-tests abuse");
        assert_eq!(found.file, Path::new("/t/abuse-1"));
        assert_eq!(found.folder, Path::new("/x/tests"));
        let library = LINE.replace("\"test\"]", "\"proc-macro\"]");
        let library = program(&library, &packages()).expect("a program");
        assert_eq!(
            (library.kind, library.label()),
            (Kind::Library, "sipward-tests".to_owned())
        );
    }

    #[test]
    fn what_is_no_program_of_tests_is_left_out() {
        for (from, to) in [
            ("\"test\":true", "\"test\":false"),
            ("\"/t/abuse-1\"", "null"),
            ("compiler-artifact", "build-script-executed"),
            ("/x/tests/", "/elsewhere/"),
        ] {
            assert_eq!(program(&LINE.replace(from, to), &packages()), None, "{to}");
        }
    }
}
