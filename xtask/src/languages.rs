//! `cargo xtask languages`: the policies of `examples/` that are not written in Rust,
//! as components beside the plugins.
//!
//! Each is copied into `target/languages` and built there with the tools that its own
//! files pin, by the commands that its README tells authors to use.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use walkdir::WalkDir;

use crate::{process, workspace};

/// A policy in another language.
struct Recipe {
    /// Its folder in `examples/`.
    example: &'static str,
    /// The name of its component among the plugins.
    plugin: &'static str,
    /// The file that pins its tools.
    pins: &'static str,
    /// What installs the tools and what builds, in a folder.
    install: fn(&Path) -> Result<()>,
    build: fn(&Path) -> Result<()>,
}

const RECIPES: [Recipe; 2] = [
    Recipe {
        example: "policy-js",
        plugin: "night-guard-js",
        pins: "package-lock.json",
        install: |folder| npm(folder, &["ci", "--ignore-scripts", "--no-audit", "--no-fund"]),
        build: |folder| npm(folder, &["run", "--silent", "build"]),
    },
    Recipe {
        example: "policy-python",
        plugin: "night-guard-python",
        pins: "requirements.txt",
        install: virtual_environment,
        build: componentize_python,
    },
];

/// What every recipe makes.
const COMPONENT: &str = "night-guard.wasm";
/// What the tools in a folder were installed from.
const INSTALLED: &str = ".installed";
/// What the component in a folder was built from.
const BUILT: &str = ".built";

/// Build all of them that changed.
pub(crate) fn build() -> Result<()> {
    eprintln!("==> languages");
    for recipe in &RECIPES {
        make(recipe).with_context(|| format!("examples/{} does not build", recipe.example))?;
    }
    Ok(())
}

fn make(recipe: &Recipe) -> Result<()> {
    let source = workspace::root().join("examples").join(recipe.example);
    let folder = workspace::target().join("languages").join(recipe.example);
    let inputs = copy(&source, &folder)?;
    let pins = fs::read(folder.join(recipe.pins))?;
    if !is_stamp(&folder.join(INSTALLED), &pins) {
        (recipe.install)(&folder)?;
        fs::write(folder.join(INSTALLED), &pins)?;
    }
    let component = folder.join(COMPONENT);
    if !component.is_file() || !is_stamp(&folder.join(BUILT), &inputs) {
        (recipe.build)(&folder)?;
        fs::write(folder.join(BUILT), &inputs)?;
    }
    let plugins = workspace::plugin_folder();
    fs::create_dir_all(&plugins)?;
    let bytes = fs::read(&component)
        .with_context(|| format!("failed to read {}", component.display()))?;
    let path = plugins.join(format!("{}.wasm", recipe.plugin));
    if fs::read(&path).ok().as_deref() != Some(&*bytes) {
        fs::write(&path, &bytes).with_context(|| format!("failed to write {}", path.display()))?;
    }
    let kib = bytes.len() as f64 / 1024.0;
    eprintln!("    {:<24} {kib:>7.1} KiB", recipe.plugin);
    Ok(())
}

/// Copy the sources, links followed, and return names and contents of all.
fn copy(source: &Path, folder: &Path) -> Result<Vec<u8>> {
    let mut inputs = Vec::new();
    let walk = WalkDir::new(source).follow_links(true).sort_by_file_name();
    for entry in walk.into_iter().filter_entry(|it| is_source(it.path())) {
        let entry = entry?;
        let to = folder.join(entry.path().strip_prefix(source)?);
        if entry.file_type().is_dir() {
            fs::create_dir_all(&to)?;
            continue;
        }
        let bytes = fs::read(entry.path())?;
        inputs.extend(to.to_string_lossy().bytes().chain([0]));
        inputs.extend(&bytes);
        fs::write(&to, bytes).with_context(|| format!("failed to write {}", to.display()))?;
    }
    if inputs.is_empty() {
        bail!("{} has no files", source.display());
    }
    Ok(inputs)
}

/// Whether a file belongs to the source: authors build in the same folder.
fn is_source(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let made = ["node_modules", "__pycache__"].contains(&&*name);
    !made && !name.starts_with('.') && !name.ends_with(".wasm")
}

fn is_stamp(path: &Path, contents: &[u8]) -> bool {
    fs::read(path).is_ok_and(|old| old == contents)
}

fn npm(folder: &Path, arguments: &[&str]) -> Result<()> {
    process::run(Command::new("npm").args(arguments).current_dir(folder))
}

/// Programs of the virtual environment.
fn python_programs(folder: &Path) -> PathBuf {
    folder.join(".venv/bin")
}

fn virtual_environment(folder: &Path) -> Result<()> {
    let mut python = Command::new("python3");
    process::run(python.args(["-m", "venv", ".venv"]).current_dir(folder))?;
    let mut pip = Command::new(python_programs(folder).join("pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check"]);
    pip.args(["--only-binary", ":all:", "--require-hashes"]);
    process::run(pip.args(["-r", "requirements.txt"]).current_dir(folder))
}

fn componentize_python(folder: &Path) -> Result<()> {
    let mut tool = Command::new(python_programs(folder).join("componentize-py"));
    tool.args(["--wit-path", "wit", "--world", "night-guard"]);
    tool.args(["componentize", "--stub-wasi", "night_guard"]);
    process::run(tool.args(["--output", COMPONENT]).current_dir(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_is_no_source() {
        for made in ["a/node_modules", "a/.venv", "a/night-guard.wasm", "a/.built"] {
            assert!(!is_source(Path::new(made)), "{made}");
        }
        for source in ["a/wit/world.wit", "a/package.json", "a/night_guard.py"] {
            assert!(is_source(Path::new(source)), "{source}");
        }
    }

    #[test]
    fn every_recipe_has_its_files_and_the_interface_of_the_host() {
        let root = workspace::root();
        let interface = fs::read(root.join("wit/policy.wit")).expect("the interface");
        for recipe in &RECIPES {
            let source = root.join("examples").join(recipe.example);
            let folder = tempfile::tempdir().expect("a temporary folder");
            let first = copy(&source, folder.path()).expect("copied");
            assert_eq!(copy(&source, folder.path()).expect("copied"), first);
            for name in [recipe.pins, "README.md", "wit/world.wit"] {
                assert!(folder.path().join(name).is_file(), "{name}");
            }
            let copied = fs::read(folder.path().join("wit/deps/policy.wit"));
            assert_eq!(copied.expect("the interface"), interface);
        }
    }
}
