//! From crates to core modules, by cargo.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use crate::error::BuildError;
use crate::program;
use crate::toolchain::GuestToolchain;

/// The profile that guests are built with, as cargo's `--config` takes it: small and
/// fast, and without unwinding, for which a guest has no use. The workspace of this
/// repository states the same in its manifest.
pub const PROFILE: [&str; 7] = [
    "profile.plugin.inherits='release'",
    "profile.plugin.opt-level=3",
    "profile.plugin.lto='fat'",
    "profile.plugin.codegen-units=1",
    "profile.plugin.panic='abort'",
    "profile.plugin.strip='debuginfo'",
    "profile.plugin.debug=false",
];

/// What is to be compiled.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// What compiles it.
    pub toolchain: GuestToolchain,
    /// Where cargo runs: the crate or its workspace.
    pub folder: &'a Path,
    /// Packages, by name.
    pub packages: &'a [&'a str],
    /// Names of the targets that are guests.
    pub targets: &'a [&'a str],
    /// Whether the packages' examples are guests too.
    pub examples: bool,
    /// More arguments for cargo.
    pub arguments: &'a [&'a str],
}

/// A core module that cargo has built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// The plugin's name.
    pub name: String,
    /// The file.
    pub path: PathBuf,
}

/// Compile guests. Cargo's messages go to standard error.
///
/// # Errors
/// Cargo does not start, or the guests do not compile.
pub fn compile(order: Order<'_>) -> Result<Vec<Module>, BuildError> {
    let mut command = order.toolchain.cargo(order.folder, "build");
    command.args([
        "--profile",
        "plugin",
        "--message-format",
        "json-render-diagnostics",
    ]);
    command.args(order.arguments);
    for package in order.packages {
        command.args(["--package", package]);
    }
    command.arg("--lib");
    if order.examples {
        command.arg("--examples");
    }
    let line = program::line(&command);
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|cause| BuildError::Start {
            line: line.clone(),
            cause,
        })?;
    if !output.status.success() {
        return Err(BuildError::Failed {
            line,
            how: output.status.to_string(),
        });
    }
    let wanted: BTreeSet<&str> = order.targets.iter().copied().collect();
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text
        .lines()
        .filter_map(|line| artifact(line, &wanted))
        .collect())
}

/// The plugin name and the module of one line of cargo's report, if it has them.
fn artifact(line: &str, wanted: &BTreeSet<&str>) -> Option<Module> {
    let report: Value = serde_json::from_str(line).ok()?;
    let name = report.get("target")?.get("name")?.as_str()?;
    if report.get("reason")? != "compiler-artifact" || !wanted.contains(name) {
        return None;
    }
    let files = report.get("filenames")?.as_array()?;
    let module = files
        .iter()
        .filter_map(Value::as_str)
        .find(|it| it.ends_with(".wasm"))?;
    Some(Module {
        name: plugin_name(name),
        path: PathBuf::from(module),
    })
}

/// The name of a plugin, which is that of its crate.
pub fn plugin_name(target: &str) -> String {
    target.replace('_', "-")
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
            Some(Module {
                name: "ip-acl".to_owned(),
                path: PathBuf::from("/x/ip_acl.wasm")
            })
        );
        assert_eq!(artifact(&line.replace("ip_acl", "serde"), &wanted), None);
        assert_eq!(artifact("not json", &wanted), None);
    }
}
