//! `cargo xtask plugins`: every guest of the workspace as a component.
//!
//! Guests are the crates under `plugins/`, that of `examples/`, and under `tests/` the
//! hostile fixtures and those of released interfaces.
//! They are built as authors build theirs: by `plugin-build`.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use plugin_build::{Module, Order, plugin_name};

use crate::setup::GuestToolchain;
use crate::workspace;

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
    for Module { name, path: module } in &modules {
        let component = match plugin_build::componentize_file(module) {
            // A hostile module that is no component is what the host has to refuse.
            Err(_) if hostile.contains(name) => fs::read(module)?,
            result => result?,
        };
        let path = folder.join(format!("{name}.wasm"));
        plugin_build::write_whole(&path, &component)?;
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

/// Compile the guests.
fn compile(toolchain: GuestToolchain, guests: &[workspace::Member]) -> Result<Vec<Module>> {
    let packages: Vec<&str> = guests.iter().map(|guest| guest.name.as_str()).collect();
    let targets: Vec<&str> = guests
        .iter()
        .flat_map(|guest| guest.dynamic_libraries.iter().map(String::as_str))
        .collect();
    Ok(plugin_build::compile(Order {
        toolchain,
        folder: &workspace::root(),
        packages: &packages,
        targets: &targets,
        examples: true,
        arguments: &["--locked"],
    })?)
}
