//! Real programs on loopback: the `sipward` binary, and sipp as PBX and trunk.
//!
//! Everything is bounded in number and time, and ends when it is dropped.

pub mod admin;
pub mod desk;
pub mod digest;
pub mod media;
pub mod process;
mod proxy;
mod sipp;
pub mod wire;

use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

pub use proxy::Proxy;
pub use sipp::{Calls, Figures, Sipp, Trunk};

/// Where PBX calls come from.
pub const PBX: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// Where the trunk is.
pub const TRUNK: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// The password of the user `pbx`.
pub const PASSWORD: &str = "correct-horse-battery";
/// A number that the shipped test configuration allows.
pub const NUMBER: &str = "+4930123456";

/// Plugins that a stage has at hand.
const PLUGINS: [&str; 5] = [
    "ip-acl",
    "rate-limit",
    "digest-auth",
    "destination-limits",
    "media-guard",
];

/// A folder with a configuration, and the ports it uses.
#[derive(Debug)]
pub struct Stage {
    folder: PathBuf,
    /// The same folder, unless that one stays.
    scratch: TempDir,
    /// Port of the proxy for PBXs.
    pub inside: u16,
    /// Port of the proxy for trunks.
    pub outside: u16,
    /// Port of the trunk.
    pub trunk: u16,
}

impl Stage {
    /// A new folder with copies of all plugins.
    ///
    /// # Panics
    /// The plugins are not built, or the system gives no folder or port.
    #[must_use]
    pub fn new() -> Self {
        let scratch = tempfile::tempdir().expect("a folder");
        Self::prepare(scratch.path().to_owned(), scratch)
    }

    /// In a folder of the target folder, in place of what was in it; it stays for whoever
    /// wants to look.
    ///
    /// # Panics
    /// As [`Stage::new`].
    #[must_use]
    pub fn that_stays(name: &str) -> Self {
        let folder = target().join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder).expect("the old folder goes");
        }
        std::fs::create_dir_all(&folder).expect("a folder");
        Self::prepare(folder, tempfile::tempdir().expect("a folder"))
    }

    fn prepare(folder: PathBuf, scratch: TempDir) -> Self {
        let stage = Self {
            folder,
            scratch,
            inside: free_port(PBX),
            outside: free_port(PBX),
            trunk: free_port(TRUNK),
        };
        std::fs::create_dir(stage.path("plugins")).expect("a folder for plugins");
        stage.bring(&PLUGINS);
        std::fs::write(stage.path("password"), PASSWORD).expect("a password file");
        stage
    }

    /// Have more plugins at hand.
    ///
    /// # Panics
    /// One is not built.
    pub fn bring(&self, plugins: &[&str]) {
        for name in plugins {
            let built = plugin_folder().join(format!("{name}.wasm"));
            std::fs::copy(&built, self.plugin(name)).unwrap_or_else(|error| {
                panic!("{}: {error}; run `cargo xtask plugins`", built.display())
            });
        }
    }

    /// A file of the stage.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The configuration file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.path("sipward.toml")
    }

    /// The file of a plugin.
    #[must_use]
    pub fn plugin(&self, name: &str) -> PathBuf {
        self.path("plugins").join(format!("{name}.wasm"))
    }

    /// Write the four-plugin configuration. Prefixes in `denied` are refused;
    /// `extra` is appended.
    ///
    /// # Panics
    /// The file cannot be written.
    pub fn configure(&self, denied: &[&str], extra: &str) {
        let text = self.filled(include_str!("four-plugins.toml"), denied);
        self.write(&format!("{text}\n{extra}"));
    }

    /// A configuration with the stage's folder and ports, and the prefixes that are
    /// refused. `@SOCKETS@` is a folder for sockets, whose paths have at most 107 bytes.
    #[must_use]
    pub fn filled(&self, template: &str, denied: &[&str]) -> String {
        let denied: Vec<String> = denied.iter().map(|it| format!("{it:?}")).collect();
        template
            .replace("@FOLDER@", &self.folder.to_string_lossy())
            .replace("@CACHE@", &compiled_folder().to_string_lossy())
            .replace("@SOCKETS@", &self.scratch.path().to_string_lossy())
            .replace("@INSIDE@", &self.inside.to_string())
            .replace("@OUTSIDE@", &self.outside.to_string())
            .replace("@TRUNK@", &self.trunk.to_string())
            .replace("@DENIED@", &denied.join(", "))
    }

    /// Write a whole configuration, in one step as the file may be watched.
    ///
    /// # Panics
    /// The file cannot be written.
    pub fn write(&self, text: &str) {
        let beside = self.path("sipward.toml.new");
        std::fs::write(&beside, text).expect("a configuration");
        std::fs::rename(&beside, self.config()).expect("a configuration in its place");
    }
}

impl Default for Stage {
    fn default() -> Self {
        Self::new()
    }
}

/// The same plugin with other bytes: a custom section of no meaning at the end.
///
/// # Panics
/// The mark has more than a hundred bytes.
#[must_use]
pub fn marked(wasm: &[u8], mark: &str) -> Vec<u8> {
    let name = b"republished";
    assert!(mark.len() <= 100, "a short mark");
    let bytes = |length: usize| u8::try_from(length).expect("a short section");
    let mut marked = wasm.to_vec();
    marked.extend([0, bytes(1 + name.len() + mark.len()), bytes(name.len())]);
    marked.extend(name);
    marked.extend(mark.as_bytes());
    marked
}

/// A UDP port that was free a moment ago.
///
/// # Panics
/// The system has none.
#[must_use]
pub fn free_port(address: Ipv4Addr) -> u16 {
    let socket = UdpSocket::bind((address, 0)).expect("a free port");
    socket.local_addr().expect("its address").port()
}

/// The workspace's root.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Where `cargo xtask plugins` puts components.
#[must_use]
pub fn plugin_folder() -> PathBuf {
    std::env::var_os("SIPWARD_PLUGINS").map_or_else(|| target().join("plugins"), PathBuf::from)
}

/// Where compiled plugins are kept. Compiling takes seconds, so the tests of all programs
/// share what was compiled.
#[must_use]
pub fn compiled_folder() -> PathBuf {
    plugin_folder().with_file_name("compiled-plugins")
}

/// The target folder that this program was built in.
fn target() -> PathBuf {
    let folder = built();
    folder.parent().expect("target/profile").to_owned()
}

/// The folder with the programs of the same build.
fn built() -> PathBuf {
    let program = std::env::current_exe().expect("the path of this program");
    let folder = program.parent().expect("a folder");
    // Programs of tests are one below.
    let folder = if folder.ends_with("deps") {
        folder.parent().expect("target/profile/deps")
    } else {
        folder
    };
    folder.to_owned()
}

/// The built `sipward`.
///
/// # Panics
/// It was not built.
#[must_use]
pub fn binary() -> PathBuf {
    let binary = built().join("sipward");
    assert!(
        binary.is_file(),
        "{} is missing; run `cargo build -p sipward`",
        binary.display()
    );
    binary
}
