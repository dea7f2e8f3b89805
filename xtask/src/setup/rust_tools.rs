//! Tools that only `ci` needs, at pinned versions from crates.io.
//!
//! They are built without optimisation: that takes a quarter of the time, and both
//! finish their work here in a second or two.

use std::process::Command;

use anyhow::Result;

use super::say;
use crate::process;

/// A tool, how to ask whether it is there, and what to install.
struct Tool {
    name: &'static str,
    probe: [&'static str; 2],
    version: &'static str,
    arguments: &'static [&'static str],
}

const TOOLS: [Tool; 2] = [
    Tool {
        name: "cargo-deny",
        probe: ["cargo-deny", "--version"],
        version: "0.20.2",
        arguments: &[],
    },
    Tool {
        name: "mdbook",
        probe: ["mdbook", "--version"],
        version: "0.5.4",
        // Without the server and the file watcher.
        arguments: &["--no-default-features"],
    },
];

/// Find each tool, or install it with cargo.
pub(crate) fn ensure() -> Result<()> {
    for tool in &TOOLS {
        let [program, flag] = tool.probe;
        if process::succeeds(Command::new(program).arg(flag)) {
            say(tool.name, "found");
            continue;
        }
        let crate_and_version = format!("{}@{}", tool.name, tool.version);
        process::run(
            process::cargo()
                .args([
                    "install",
                    "--quiet",
                    "--locked",
                    "--debug",
                    &crate_and_version,
                ])
                .args(tool.arguments)
                .env("CARGO_PROFILE_DEV_DEBUG", "0"),
        )?;
        say(
            tool.name,
            &format!("installed {} by cargo install", tool.version),
        );
    }
    Ok(())
}
