//! `cargo xtask plugins`: every guest of the workspace as a component.
//!
//! Guests are the crates under `plugins/`, that of `examples/`, and under `tests/` the
//! hostile fixtures and those of released interfaces.
//! Cargo builds core modules; their component type is in a custom section, from
//! which `wit-component` makes a component and validates it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use wit_component::ComponentEncoder;

use crate::process;
use crate::setup::GuestToolchain;
use crate::workspace::{self, array, text};

/// Where guests are that misbehave on purpose.
const HOSTILE: &str = "tests/hostile";

/// Where guests of released interfaces are.
const COMPAT: &str = "tests/compat";

/// Build all guests and return where they are.
pub(crate) fn build(toolchain: &GuestToolchain) -> Result<Vec<PathBuf>> {
    eprintln!("==> plugins");
    let guests: Vec<_> = workspace::members()?.into_iter().filter(is_guest).collect();
    if guests.is_empty() {
        bail!("no guest found under plugins/, examples/ or tests/hostile*");
    }
    let modules = compile(*toolchain, &guests)?;
    let hostile: BTreeSet<String> = guests
        .iter()
        .filter(|guest| guest.folder.starts_with(HOSTILE))
        .flat_map(|guest| guest.dynamic_libraries.iter().map(|it| plugin_name(it)))
        .collect();
    let folder = workspace::plugin_folder();
    fs::create_dir_all(&folder)
        .with_context(|| format!("failed to create {}", folder.display()))?;
    let mut written = Vec::new();
    for (name, module) in &modules {
        let component = match componentize(module) {
            // A hostile module that is no component is what the host has to refuse.
            Err(_) if hostile.contains(name) => fs::read(module)?,
            result => result?,
        };
        let path = folder.join(format!("{name}.wasm"));
        write_whole(&path, &component)?;
        eprintln!(
            "    {name:<24} {:>7.1} KiB",
            component.len() as f64 / 1024.0
        );
        written.push(path);
    }
    Ok(written)
}

fn is_guest(member: &workspace::Member) -> bool {
    let places = ["plugins/", "examples/", HOSTILE, COMPAT];
    let is_place = places.iter().any(|place| member.folder.starts_with(place));
    is_place && !member.dynamic_libraries.is_empty()
}

/// Compile the guests; what comes back are plugin names and core modules.
fn compile(
    toolchain: GuestToolchain,
    guests: &[workspace::Member],
) -> Result<Vec<(String, PathBuf)>> {
    let mut command = toolchain.cargo("build");
    command.args([
        "--profile",
        "plugin",
        "--message-format",
        "json-render-diagnostics",
    ]);
    for guest in guests {
        command.args(["--package", &guest.name]);
    }
    command.args(["--lib", "--examples"]);
    let text = process::report(&mut command).context("guests do not build")?;
    let wanted: BTreeSet<&str> = guests
        .iter()
        .flat_map(|guest| guest.dynamic_libraries.iter().map(String::as_str))
        .collect();
    Ok(text
        .lines()
        .filter_map(|line| artifact(line, &wanted))
        .collect())
}

/// The plugin name and the module of one line of cargo's report, if it has them.
fn artifact(line: &str, wanted: &BTreeSet<&str>) -> Option<(String, PathBuf)> {
    let report: Value = serde_json::from_str(line).ok()?;
    let target = report.get("target")?;
    let name = text(target, "name");
    if text(&report, "reason") != "compiler-artifact" || !wanted.contains(name) {
        return None;
    }
    let module = array(&report, "filenames")
        .iter()
        .filter_map(Value::as_str)
        .find(|it| it.ends_with(".wasm"))?;
    Some((plugin_name(name), PathBuf::from(module)))
}

/// The name of a plugin, which is that of its crate.
fn plugin_name(target: &str) -> String {
    target.replace('_', "-")
}

fn componentize(module: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read(module).with_context(|| format!("failed to read {}", module.display()))?;
    ComponentEncoder::default()
        .validate(true)
        .module(&bytes)
        .and_then(|encoder| encoder.encode())
        .with_context(|| {
            format!(
                "{} is not a policy: no component can be made of it",
                module.display()
            )
        })
}

/// Replace a file in one step, so that a proxy that watches it never sees half of it.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let beside = path.with_extension("wasm.new");
    fs::write(&beside, bytes).with_context(|| format!("failed to write {}", beside.display()))?;
    fs::rename(&beside, path).with_context(|| format!("failed to write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_wanted_modules_are_taken_from_the_report() {
        let wanted = BTreeSet::from(["ip_acl"]);
        let line = r#"{"reason":"compiler-artifact","target":{"name":"ip_acl"},"filenames":["/x/libip_acl.rlib","/x/ip_acl.wasm"]}"#;
        assert_eq!(
            artifact(line, &wanted),
            Some(("ip-acl".to_owned(), PathBuf::from("/x/ip_acl.wasm")))
        );
        assert_eq!(artifact(&line.replace("ip_acl", "serde"), &wanted), None);
        assert_eq!(artifact("not json", &wanted), None);
    }

    #[test]
    fn a_module_without_a_component_type_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("empty.wasm");
        fs::write(&path, b"\0asm\x01\0\0\0\x01").expect("written");
        assert!(componentize(&path).is_err());
    }
}
