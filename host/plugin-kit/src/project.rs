//! The folder that an author works in.

use std::path::{Path, PathBuf};
use std::process::Command;

use plugin_build::program;
use serde::Deserialize;
use serde_json::Value;

use crate::error::{KitError, read};

/// Says how a plugin in another language is built and tested.
const PROJECT_FILE: &str = "sipward-plugin.toml";
/// Bytes of that file. 64 KiB: it has some lines.
const PROJECT_BYTES: u64 = 64 << 10;

/// What a new plugin is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Language {
    /// Rust, with the SDK.
    #[default]
    Rust,
    /// JavaScript, by componentize-js.
    JavaScript,
    /// Python, by componentize-py.
    Python,
}

/// A plugin's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// The folder.
    pub folder: PathBuf,
    /// The plugin's name.
    pub name: String,
    pub(crate) kind: Kind,
}

/// How it is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A crate; its library has this name.
    Crate { library: String },
    /// By commands of its own.
    Commands(Commands),
}

/// What stands in the project file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Commands {
    name: String,
    /// The component that `build` makes, from this folder.
    pub(crate) component: PathBuf,
    /// Commands, each a program and its arguments.
    pub(crate) build: Vec<Vec<String>>,
    #[serde(default)]
    pub(crate) test: Vec<Vec<String>>,
}

impl Project {
    /// The plugin in this folder.
    ///
    /// # Errors
    /// There is none.
    pub fn find(folder: &Path) -> Result<Self, KitError> {
        let file = folder.join(PROJECT_FILE);
        if file.is_file() {
            return Self::by_commands(folder, &file);
        }
        if folder.join("Cargo.toml").is_file() {
            return Self::by_cargo(folder);
        }
        Err(KitError::Unusable(format!(
            "there is no plugin in {}: neither a Cargo.toml nor a {PROJECT_FILE}; begin one with `sipward plugin new NAME`",
            folder.display()
        )))
    }

    /// Where `build` puts the component.
    pub fn component(&self) -> PathBuf {
        match &self.kind {
            Kind::Crate { .. } => self.folder.join(format!("{}.wasm", self.name)),
            Kind::Commands(commands) => self.folder.join(&commands.component),
        }
    }

    /// Where the golden messages are.
    pub fn golden(&self) -> PathBuf {
        self.folder.join("golden")
    }

    /// Runs its native tests. `arguments` go to cargo.
    ///
    /// # Errors
    /// They fail, or do not compile.
    pub fn test(&self, arguments: &[String]) -> Result<(), KitError> {
        match &self.kind {
            Kind::Crate { .. } => {
                let mut command = program::cargo(&self.folder);
                command.args(["test", "--package", &self.name]);
                Ok(program::run(command.args(arguments))?)
            }
            Kind::Commands(commands) => run_all(&self.folder, &commands.test),
        }
    }

    fn by_commands(folder: &Path, file: &Path) -> Result<Self, KitError> {
        let bytes = read(file, PROJECT_BYTES)?;
        let wrong = |problem: String| KitError::Unusable(format!("{}: {problem}", file.display()));
        let text = String::from_utf8(bytes).map_err(|error| wrong(error.to_string()))?;
        let commands: Commands =
            toml_edit::de::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let mut all = commands.build.iter().chain(&commands.test);
        if all.any(Vec::is_empty) {
            return Err(wrong(
                "a command is empty; write [\"program\", \"argument\"]".to_owned(),
            ));
        }
        Ok(Self {
            folder: folder.to_owned(),
            name: commands.name.clone(),
            kind: Kind::Commands(commands),
        })
    }

    fn by_cargo(folder: &Path) -> Result<Self, KitError> {
        let mut command = program::cargo(folder);
        command.args(["metadata", "--no-deps", "--format-version", "1"]);
        let metadata = program::capture(&mut command)?;
        let metadata: Value = serde_json::from_str(&metadata)
            .map_err(|error| KitError::Unusable(format!("cargo metadata: {error}")))?;
        let manifest = folder.join("Cargo.toml");
        let manifest = manifest
            .canonicalize()
            .map_err(KitError::file("find", &manifest))?;
        let here = |package: &&Value| {
            text(package, "manifest_path").is_some_and(|path| Path::new(path) == manifest)
        };
        let package = list(&metadata, "packages").iter().find(here);
        let found = package.and_then(|package| {
            let guest = |target: &&Value| {
                let mut kinds = list(target, "crate_types").iter();
                kinds.any(|kind| kind == "cdylib")
            };
            let target = list(package, "targets").iter().find(guest)?;
            Some((text(package, "name")?, text(target, "name")?))
        });
        let Some((name, library)) = found else {
            return Err(KitError::Unusable(format!(
                "{} has no library with `crate-type = [\"cdylib\", \"rlib\"]`, which is what a plugin is built from",
                manifest.display()
            )));
        };
        Ok(Self {
            folder: folder.to_owned(),
            name: name.to_owned(),
            kind: Kind::Crate {
                library: library.to_owned(),
            },
        })
    }
}

/// Runs the commands of a project in its folder, one after the other.
pub(crate) fn run_all(folder: &Path, commands: &[Vec<String>]) -> Result<(), KitError> {
    for words in commands {
        let Some((program, arguments)) = words.split_first() else {
            continue;
        };
        let mut command = Command::new(program);
        command.args(arguments).current_dir(folder);
        program::run(&mut command)?;
    }
    Ok(())
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(text: &str) -> Result<Project, KitError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(PROJECT_FILE), text).unwrap();
        Project::find(folder.path())
    }

    #[test]
    fn another_language_says_how_it_is_built() {
        let found = project(
            "name = \"night-guard\"\ncomponent = \"night-guard.wasm\"\n\
             build = [[\"npm\", \"run\", \"build\"]]\n",
        )
        .unwrap();
        assert_eq!(found.name, "night-guard");
        assert!(found.component().ends_with("night-guard.wasm"));
        for wrong in [
            "name = \"x\"\n",
            "name = \"x\"\ncomponent = \"x.wasm\"\nbuild = [[]]\n",
            "name = \"x\"\ncomponent = \"x.wasm\"\nbuild = []\nbuilt = 1\n",
        ] {
            let error = project(wrong).unwrap_err().to_string();
            assert!(error.contains(PROJECT_FILE), "{error}");
        }
    }

    #[test]
    fn an_empty_folder_has_no_plugin() {
        let folder = tempfile::tempdir().unwrap();
        let error = Project::find(folder.path()).unwrap_err().to_string();
        assert!(error.contains("sipward plugin new"), "{error}");
    }
}
