//! A folder outside this workspace in which an author works with `sipward plugin`.
//!
//! What is built there goes into the target folder of this workspace and has its versions
//! and profiles, so that most of what a plugin depends on is compiled already.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use super::{binary, plugin_folder, root};

/// Authors have machines of their own. Here they have this one too, and calls come first.
const NICE: [&str; 3] = ["nice", "-n", "19"];

/// An author's folder.
#[derive(Debug)]
pub struct Desk(TempDir);

/// All that a command printed.
#[must_use]
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

impl Desk {
    /// An empty folder, but for cargo's profiles.
    ///
    /// # Panics
    /// The system gives no folder.
    #[must_use]
    pub fn new() -> Self {
        let desk = Self(tempfile::tempdir().expect("a folder"));
        let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("the workspace");
        let manifest: Value = toml_edit::de::from_str(&manifest).expect("TOML");
        let profiles = serde_json::json!({ "profile": manifest["profile"] });
        let profiles = toml_edit::ser::to_string(&profiles).expect("TOML");
        std::fs::create_dir(desk.path(".cargo")).expect("a folder");
        std::fs::write(desk.path(".cargo/config.toml"), profiles).expect("a file");
        desk
    }

    /// A file of the desk.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `sipward plugin` in a folder of the desk.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn plugin(&self, folder: &str, arguments: &[&str]) -> Output {
        let target = plugin_folder();
        let [nice, options @ ..] = NICE;
        Command::new(nice)
            .args(options)
            .arg(binary())
            .arg("plugin")
            .args(arguments)
            .current_dir(self.path(folder))
            .env(
                "CARGO_TARGET_DIR",
                target.parent().expect("the target folder"),
            )
            .env("CARGO_NET_OFFLINE", "true")
            .env_remove("SIPWARD_SIGNING_PASSWORD")
            .output()
            .expect("sipward runs")
    }

    /// The same; it must succeed. What it said.
    ///
    /// # Panics
    /// It does not succeed.
    pub fn done(&self, folder: &str, arguments: &[&str]) -> String {
        let output = self.plugin(folder, arguments);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The same; it must not. All that it said.
    ///
    /// # Panics
    /// It succeeds.
    pub fn refused(&self, folder: &str, arguments: &[&str]) -> String {
        let output = self.plugin(folder, arguments);
        assert!(!output.status.success(), "{arguments:?}: {}", said(&output));
        said(&output)
    }

    /// What a command prints as JSON.
    ///
    /// # Panics
    /// It does not succeed, or prints something else.
    #[must_use]
    pub fn json(&self, folder: &str, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.done(folder, arguments)).expect("JSON")
    }

    /// A new plugin that resolves to the versions of this workspace.
    ///
    /// # Panics
    /// It cannot be made.
    pub fn begin(&self, name: &str) {
        let sdk = root().join("plugin-sdk");
        let told = self.done("", &["new", name, "--sdk", &sdk.to_string_lossy()]);
        assert_eq!(told.trim(), format!("./{name}"));
        let lock = self.path(name).join("Cargo.lock");
        std::fs::copy(root().join("Cargo.lock"), lock).expect("a copy");
    }
}

impl Default for Desk {
    fn default() -> Self {
        Self::new()
    }
}

/// Write something else in a file, wherever it stands.
///
/// # Panics
/// It stands nowhere.
pub fn edit(file: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(file).expect("a file");
    assert!(text.contains(from), "{}: no {from}", file.display());
    std::fs::write(file, text.replace(from, to)).expect("a file");
}
