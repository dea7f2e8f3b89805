//! A compiler for `wasm32-unknown-unknown`, in the order of least trouble: the
//! target that is there, the target by rustup, Debian's own Rust, which builds the
//! standard library from its source package.

use std::path::Path;
use std::process::Command;

use crate::debian;
use crate::error::BuildError;
use crate::program;

/// The only target of guests.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// Debian's packages: a compiler, its library's source, and a linker that writes wasm.
const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld-19"];

/// Where those packages put their programs.
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_LINKER: &str = "wasm-ld-19";

/// What builds guests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestToolchain {
    /// The toolchain that builds everything else has the target.
    Installed,
    /// Debian's toolchain, with the standard library built beside the guest.
    Debian,
}

impl GuestToolchain {
    /// The first that works for a crate in `folder`; `say` is told which, and what was
    /// done for it.
    ///
    /// # Errors
    /// None is there and none can be installed; the message says what to type.
    pub fn find_or_install(folder: &Path, say: &mut dyn FnMut(&str)) -> Result<Self, BuildError> {
        if target_is_installed(folder) {
            say("the installed toolchain has wasm32-unknown-unknown");
            return Ok(Self::Installed);
        }
        let mut rustup = Command::new("rustup");
        rustup
            .args(["target", "add", TARGET])
            .current_dir(present(folder));
        if program::find("rustup").is_some()
            && program::succeeds(&mut rustup)
            && target_is_installed(folder)
        {
            say("added by `rustup target add wasm32-unknown-unknown`");
            return Ok(Self::Installed);
        }
        if debian_is_complete() {
            say("Debian's rustc-web, with its library built from rust-web-src");
            return Ok(Self::Debian);
        }
        if !debian::has_apt() {
            return Err(BuildError::NoCompiler(format!(
                "no compiler for {TARGET}: the installed toolchain lacks the target and rustup could \
                 not add it; install it with `rustup target add {TARGET}` and start again"
            )));
        }
        debian::install(&DEBIAN_PACKAGES)?;
        if !debian_is_complete() {
            return Err(BuildError::NoCompiler(format!(
                "Debian's {} are installed but incomplete",
                DEBIAN_PACKAGES.join(", ")
            )));
        }
        say("installed Debian's rustc-web, cargo-web, rust-web-src, lld-19");
        Ok(Self::Debian)
    }

    /// A cargo command in `folder` that builds for guests: `cargo VERB --target ...`.
    pub fn cargo(self, folder: &Path, verb: &str) -> Command {
        let mut command = program::cargo(folder);
        if self == Self::Debian {
            command = Command::new(DEBIAN_CARGO);
            command.current_dir(folder);
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
        command.args([verb, "--target", TARGET]);
        if self == Self::Debian {
            command.args(["-Z", "build-std=std,panic_abort"]);
        }
        command
    }
}

/// Whether the toolchain that runs us can build for the target.
fn target_is_installed(folder: &Path) -> bool {
    let mut rustc = Command::new("rustc");
    rustc
        .args(["--print", "target-libdir", "--target", TARGET])
        .current_dir(present(folder));
    program::capture(&mut rustc).is_ok_and(|folder| {
        std::fs::read_dir(folder.trim()).is_ok_and(|mut entries| {
            entries.any(|it| {
                it.is_ok_and(|file| file.file_name().to_string_lossy().starts_with("libstd-"))
            })
        })
    })
}

/// The folder to be in. That of a relative path to a file here is empty.
fn present(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    }
}

fn debian_is_complete() -> bool {
    let source = Path::new("/usr/lib/rustlib/src/rust/library/std/Cargo.toml");
    Path::new(DEBIAN_CARGO).is_file()
        && Path::new(DEBIAN_RUSTC).is_file()
        && source.is_file()
        && program::find(DEBIAN_LINKER).is_some()
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
        let installed = GuestToolchain::Installed.cargo(Path::new("."), "build");
        let debian = GuestToolchain::Debian.cargo(Path::new("."), "build");
        assert!(!arguments(&installed).contains(&"-Z".to_owned()));
        assert!(arguments(&debian).contains(&"build-std=std,panic_abort".to_owned()));
        assert_eq!(debian.get_program(), DEBIAN_CARGO);
    }
}
