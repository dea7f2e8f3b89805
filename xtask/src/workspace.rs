//! Where things are, and what `cargo metadata` says about the workspace.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process;

/// The root of the repository that this tool was built from.
pub(crate) fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

/// The folder cargo builds into.
pub(crate) fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(chosen) => root().join(chosen),
        None => root().join("target"),
    }
}

/// Where built plugins are put, one `NAME.wasm` each.
pub(crate) fn plugin_folder() -> PathBuf {
    target().join("plugins")
}

/// How programs of this workspace are built.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// As for tests.
    Development,
    /// As for operators.
    Release,
}

/// Build programs of this workspace.
///
/// Cargo chooses the features of dependencies for all that is selected at once. So the
/// whole workspace is selected whatever is built, and for development one test with it,
/// as that brings in what only tests depend on: what `cargo xtask test` needs too is
/// then compiled once.
pub(crate) fn build(profile: Profile, programs: &[&str]) -> Result<()> {
    eprintln!("==> build");
    let mut command = process::cargo();
    command.args(["build", "--locked", "--workspace"]);
    command.args(match profile {
        Profile::Development => &["--test", "simulation"][..],
        Profile::Release => &["--release"],
    });
    for name in programs {
        command.args(["--bin", name]);
    }
    process::run(&mut command)
}

/// A program of this workspace at the root of the repository, told where the plugins are.
pub(crate) fn program(profile: Profile, name: &str) -> Command {
    let folder = match profile {
        Profile::Development => "debug",
        Profile::Release => "release",
    };
    let mut command = Command::new(target().join(folder).join(name));
    command
        .current_dir(root())
        .env("SIPWARD_PLUGINS", plugin_folder());
    command
}

/// One crate of the workspace.
pub(crate) struct Member {
    /// Package name.
    pub(crate) name: String,
    /// Folder, relative to the root, with `/` between its parts.
    pub(crate) folder: String,
    /// What it depends on, with the kind of the edge.
    pub(crate) dependencies: Vec<Dependency>,
    /// Names of targets that build a `cdylib`.
    pub(crate) dynamic_libraries: Vec<String>,
}

/// An edge from one crate to another.
pub(crate) struct Dependency {
    /// Package name of the other crate.
    pub(crate) name: String,
    /// Whether it lives in this repository.
    pub(crate) local: bool,
    /// Whether only tests see it.
    pub(crate) development: bool,
}

/// The members of the workspace, as cargo sees them.
pub(crate) fn members() -> Result<Vec<Member>> {
    let mut command = process::cargo();
    command.args(["metadata", "--no-deps", "--format-version", "1"]);
    let text = process::capture(&mut command)?;
    let metadata: Value = serde_json::from_str(&text).context("cargo metadata is not JSON")?;
    Ok(array(&metadata, "packages").iter().map(member).collect())
}

fn member(package: &Value) -> Member {
    let manifest = text(package, "manifest_path");
    let folder = Path::new(manifest).parent().map_or_else(String::new, |it| {
        it.strip_prefix(root())
            .unwrap_or(it)
            .to_string_lossy()
            .replace('\\', "/")
    });
    Member {
        name: text(package, "name").to_owned(),
        folder,
        dependencies: array(package, "dependencies")
            .iter()
            .map(|it| Dependency {
                name: text(it, "name").to_owned(),
                local: it.get("path").is_some_and(Value::is_string),
                development: text(it, "kind") == "dev",
            })
            .collect(),
        dynamic_libraries: array(package, "targets")
            .iter()
            .filter(|it| array(it, "crate_types").iter().any(|kind| kind == "cdylib"))
            .map(|it| text(it, "name").to_owned())
            .collect(),
    }
}

/// The elements of an array member, or nothing.
pub(crate) fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The text of a string member, or nothing.
pub(crate) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}
