//! `cargo xtask languages`: the policies of `examples/` that are not written in Rust,
//! as components beside the plugins.
//!
//! Each is copied into `target/languages` and built there by its own `build.sh`, which
//! installs the tools that its files pin.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use walkdir::WalkDir;

use crate::{process, workspace};

/// Folders of `examples/`, and the names of their components among the plugins.
const EXAMPLES: [(&str, &str); 2] = [
    ("policy-js", "night-guard-js"),
    ("policy-python", "night-guard-python"),
];

/// What every one makes.
const COMPONENT: &str = "night-guard.wasm";
/// What the component in a folder was built from.
const BUILT: &str = ".built";

/// Build all of them that changed.
pub(crate) fn build() -> Result<()> {
    eprintln!("==> languages");
    for (example, plugin) in EXAMPLES {
        make(example, plugin).with_context(|| format!("examples/{example} does not build"))?;
    }
    Ok(())
}

fn make(example: &str, plugin: &str) -> Result<()> {
    let source = workspace::root().join("examples").join(example);
    let folder = workspace::target().join("languages").join(example);
    let inputs = copy(&source, &folder)?;
    let component = folder.join(COMPONENT);
    let stamp = folder.join(BUILT);
    if !component.is_file() || !holds(&stamp, &inputs) {
        process::run(Command::new("sh").arg(folder.join("build.sh")))?;
        fs::write(stamp, &inputs)?;
    }
    let bytes =
        fs::read(&component).with_context(|| format!("failed to read {}", component.display()))?;
    let plugins = workspace::plugin_folder();
    fs::create_dir_all(&plugins)?;
    write(&plugins.join(format!("{plugin}.wasm")), &bytes)?;
    let kib = bytes.len() as f64 / 1024.0;
    eprintln!("    {plugin:<24} {kib:>7.1} KiB");
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
        write(&to, &bytes)?;
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

fn holds(path: &Path, contents: &[u8]) -> bool {
    fs::read(path).is_ok_and(|old| old == contents)
}

/// Write a file that does not hold this yet: builds look at how old files are.
fn write(path: &Path, contents: &[u8]) -> Result<()> {
    if holds(path, contents) {
        return Ok(());
    }
    fs::write(path, contents).with_context(|| format!("failed to write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_is_no_source() {
        for made in [
            "a/node_modules",
            "a/.venv",
            "a/night-guard.wasm",
            "a/.built",
        ] {
            assert!(!is_source(Path::new(made)), "{made}");
        }
        for source in ["a/wit/world.wit", "a/package.json", "a/night_guard.py"] {
            assert!(is_source(Path::new(source)), "{source}");
        }
    }

    #[test]
    fn every_example_is_copied_with_the_interface_of_the_host() {
        let root = workspace::root();
        let interface = fs::read(root.join("wit/policy.wit")).expect("the interface");
        for (example, _) in EXAMPLES {
            let source = root.join("examples").join(example);
            let folder = workspace::target().join("xtask/copied").join(example);
            let first = copy(&source, &folder).expect("copied");
            assert_eq!(copy(&source, &folder).expect("copied"), first);
            for name in ["README.md", "build.sh", "wit/world.wit"] {
                assert!(folder.join(name).is_file(), "{name}");
            }
            let copied = fs::read(folder.join("wit/deps/policy.wit"));
            assert_eq!(copied.expect("the interface"), interface);
        }
    }
}
