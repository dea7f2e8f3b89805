//! What authors get of the SDK: examples and strategies that work, the oldest compiler
//! that it names, and a package that builds by itself. That a guest needs no standard
//! library is a test of the SDK.

use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process;
use crate::workspace::{self, array, text};

/// The SDK and what it brings along, in the order of publication.
const PACKAGES: [&str; 3] = [
    "sipward-numbers",
    "sipward-plugin-sdk-macros",
    "sipward-plugin-sdk",
];

/// Check all of it.
pub(crate) fn check() -> Result<()> {
    properties()?;
    oldest_compiler()?;
    package()
}

/// Strategies for property tests stand behind a feature; their examples are tests.
fn properties() -> Result<()> {
    let sdk = ["test", "--locked", "--package", "sipward-plugin-sdk"];
    let features = ["--features", "proptest"];
    process::run(process::cargo().args(sdk).args(features).arg("--lib"))?;
    process::run(process::cargo().args(sdk).args(features).arg("--doc"))
}

/// What `rust-version` promises is true. Dependencies are those of our lock file.
fn oldest_compiler() -> Result<()> {
    let wanted = rust_version()?;
    let present = process::capture(Command::new("rustc").arg("--version"))?;
    if is_of(&present, &wanted) {
        eprintln!("    every step ran with Rust {wanted}, the oldest that is promised");
        return Ok(());
    }
    let toolchain = format!("{wanted}.0");
    let mut command = Command::new("rustup");
    command.current_dir(workspace::root());
    command.args(["run", &toolchain, "cargo", "check", "--locked"]);
    command.args(["--package", "sipward-plugin-sdk", "--all-features"]);
    // What other compilers made is of no use, and would be made again afterwards.
    command.env("CARGO_TARGET_DIR", workspace::target().join("oldest"));
    process::run(&mut command).with_context(|| {
        format!(
            "Rust {wanted} is promised; `rustup toolchain install {toolchain}` if it is not there"
        )
    })
}

/// `rust-version` of the SDK.
fn rust_version() -> Result<String> {
    let mut command = process::cargo();
    command.args(["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&process::capture(&mut command)?)
        .context("cargo metadata is not JSON")?;
    let packages = array(&metadata, "packages").iter();
    let sdk = packages
        .filter(|package| text(package, "name") == "sipward-plugin-sdk")
        .map(|package| text(package, "rust_version").to_owned())
        .next();
    match sdk {
        Some(version) if !version.is_empty() => Ok(version),
        _ => bail!("the SDK names no rust-version"),
    }
}

/// Whether `rustc 1.95.0 (...)` is of the line `1.95`.
fn is_of(compiler: &str, line: &str) -> bool {
    let version = compiler.split(' ').nth(1).unwrap_or_default();
    version
        .strip_prefix(line)
        .is_some_and(|rest| rest.starts_with('.'))
}

/// Packages hold all that they need, and build from what they hold.
fn package() -> Result<()> {
    let mut command = process::cargo();
    command.args(["package", "--locked", "--allow-dirty"]);
    for name in PACKAGES {
        command.args(["--package", name]);
    }
    process::run(&mut command)?;
    let file = workspace::target().join("package/sipward-plugin-sdk-0.1.0.crate");
    let listed = process::capture(Command::new("tar").arg("-tzf").arg(&file))?;
    for wanted in ["wit/policy.wit", "LICENSE", "README.md", "docs/cookbook.md"] {
        if !listed.lines().any(|line| line.ends_with(wanted)) {
            bail!("the package of the SDK has no {wanted}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compiler_is_of_its_line() {
        assert!(is_of("rustc 1.95.0 (59807616e 2026-04-14)", "1.95"));
        assert!(!is_of(
            "rustc 1.97.0-nightly (e50aa6fba 2026-05-19)",
            "1.95"
        ));
        assert!(!is_of("rustc 1.950.0", "1.95"));
    }
}
