//! A compiler for `wasm32-unknown-unknown`, in the order of least trouble: the
//! target that is there, the target by rustup, Debian's own Rust, which builds the
//! standard library from its source package.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use super::{packages, say};
use crate::process;

/// The only target of guests.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// Debian's packages: a compiler, its library's source, and a linker that writes wasm.
const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld-19"];

/// Where those packages put their programs.
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_LINKER: &str = "wasm-ld-19";

/// What builds guests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GuestToolchain {
    /// The toolchain that builds everything else has the target.
    Installed,
    /// Debian's toolchain, with the standard library built beside the guest.
    Debian,
}

impl GuestToolchain {
    /// The first that works.
    pub(crate) fn find_or_install() -> Result<Self> {
        const WHAT: &str = "compiler for guests";
        if target_is_installed() {
            say(WHAT, "the installed toolchain has wasm32-unknown-unknown");
            return Ok(Self::Installed);
        }
        let mut rustup = Command::new("rustup");
        rustup.args(["target", "add", TARGET]);
        if process::find("rustup").is_some()
            && process::succeeds(&mut rustup)
            && target_is_installed()
        {
            say(WHAT, "added by `rustup target add wasm32-unknown-unknown`");
            return Ok(Self::Installed);
        }
        if debian_is_complete() {
            say(
                WHAT,
                "Debian's rustc-web, with its library built from rust-web-src",
            );
            return Ok(Self::Debian);
        }
        if !packages::has_apt() {
            bail!(
                "no compiler for {TARGET}: the installed toolchain lacks the target and rustup could \
                 not add it; install it with `rustup target add {TARGET}` and start again"
            );
        }
        packages::install(&DEBIAN_PACKAGES)?;
        if !debian_is_complete() {
            bail!(
                "Debian's {} are installed but incomplete",
                DEBIAN_PACKAGES.join(", ")
            );
        }
        say(
            WHAT,
            "installed Debian's rustc-web, cargo-web, rust-web-src, lld-19",
        );
        Ok(Self::Debian)
    }

    /// A cargo command that builds for guests: `cargo VERB --target ...`.
    pub(crate) fn cargo(self, verb: &str) -> Command {
        let mut command = process::cargo();
        if self == Self::Debian {
            command = Command::new(DEBIAN_CARGO);
            command.current_dir(crate::workspace::root());
            // The cargo that runs us points these at its own toolchain.
            for name in [
                "RUSTUP_TOOLCHAIN",
                "RUSTUP_HOME",
                "LD_LIBRARY_PATH",
                "CARGO",
                "RUSTDOC",
            ] {
                command.env_remove(name);
            }
            command
                .env("RUSTC", DEBIAN_RUSTC)
                .env("RUSTC_BOOTSTRAP", "1")
                .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", DEBIAN_LINKER);
        }
        command.args([verb, "--locked", "--target", TARGET]);
        if self == Self::Debian {
            command.args(["-Z", "build-std=std,panic_abort"]);
        }
        command
    }
}

/// Whether the toolchain that runs us can build for the target.
fn target_is_installed() -> bool {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", TARGET]);
    process::capture(&mut rustc).is_ok_and(|folder| {
        std::fs::read_dir(folder.trim()).is_ok_and(|mut entries| {
            entries.any(|it| {
                it.is_ok_and(|file| file.file_name().to_string_lossy().starts_with("libstd-"))
            })
        })
    })
}

fn debian_is_complete() -> bool {
    let source = Path::new("/usr/lib/rustlib/src/rust/library/std/Cargo.toml");
    Path::new(DEBIAN_CARGO).is_file()
        && Path::new(DEBIAN_RUSTC).is_file()
        && source.is_file()
        && process::find(DEBIAN_LINKER).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(command: &Command) -> Vec<String> {
        command
            .get_args()
            .map(|it| it.to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn only_debians_toolchain_builds_the_library() {
        let installed = GuestToolchain::Installed.cargo("build");
        let debian = GuestToolchain::Debian.cargo("build");
        assert!(!arguments(&installed).contains(&"-Z".to_owned()));
        assert!(arguments(&debian).contains(&"build-std=std,panic_abort".to_owned()));
        assert_eq!(debian.get_program(), DEBIAN_CARGO);
    }
}
