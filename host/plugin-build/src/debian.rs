//! Debian's packages, installed by apt-get as root or by sudo.

use std::io::{IsTerminal, stdin};
use std::path::Path;
use std::process::Command;

use crate::error::BuildError;
use crate::program;

/// Asked by Debian's packages before they start a service; 101 forbids it.
const POLICY: &str = "/usr/sbin/policy-rc.d";
const FORBID_SERVICES: &str =
    "printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d";

/// Whether this system has Debian's package tools.
pub fn has_apt() -> bool {
    program::find("apt-get").is_some()
}

/// Install Debian packages as root or by sudo.
///
/// # Errors
/// This user may not, or apt-get cannot.
pub fn install(packages: &[&str]) -> Result<(), BuildError> {
    let root = program::capture(Command::new("id").arg("-u")).is_ok_and(|it| it.trim() == "0");
    let sudo = program::find("sudo").is_some()
        && (program::succeeds(Command::new("sudo").args(["-n", "true"])) || stdin().is_terminal());
    if !root && !sudo {
        return Err(BuildError::Packages(format!(
            "cannot install packages as this user; run\n\n    sudo apt-get install -y {}\n\nand start again",
            packages.join(" ")
        )));
    }
    let privileged = |words: &[&str]| {
        let mut command = Command::new(if root { "env" } else { "sudo" });
        command.arg("DEBIAN_FRONTEND=noninteractive").args(words);
        eprintln!("    $ {}", program::line(&command));
        // sudo may ask for a password; the programs have nothing to ask.
        command.status().is_ok_and(|status| status.success())
    };
    let apt = |arguments: &[&str]| privileged(&[&["apt-get", "-qq"], arguments].concat());
    let mut arguments = vec!["install", "-y", "--no-install-recommends"];
    arguments.extend(packages);
    // Lists that failed to refresh may still know the packages.
    let _refreshed = apt(&["update"]);
    // Tests start servers themselves, so those that packages bring are not started.
    let quiet = !Path::new(POLICY).exists() && privileged(&["sh", "-c", FORBID_SERVICES]);
    let installed = apt(&arguments);
    if quiet {
        privileged(&["rm", "-f", POLICY]);
    }
    if installed {
        return Ok(());
    }
    Err(BuildError::Packages(format!(
        "apt-get could not install {}",
        packages.join(", ")
    )))
}
