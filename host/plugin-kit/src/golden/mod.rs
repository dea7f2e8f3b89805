//! Golden messages: SIP as it comes, and what has to become of it.
//!
//! ```text
//! golden/settings.toml   the settings, as in [plugin.settings]
//! golden/NAME.sip        messages in their order, with how they came
//! golden/NAME.expected   what becomes of them
//! golden/lists/NAME.txt  lists that the plugin looks into
//! ```
//!
//! A file is a scene of its own: its state begins empty, and what one message leaves
//! there the next one finds.

mod case;
mod outcome;
mod run;

use std::path::{Path, PathBuf};

use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use crate::error::{KitError, read};
pub use case::{Case, Step};
pub(crate) use run::play;

/// Files of golden messages. 1,000: more would be a load test.
const FILES: usize = 1_000;
/// Bytes of one file. 1 MiB: hundreds of messages.
pub(crate) const FILE_BYTES: u64 = 1 << 20;

/// All golden messages of a plugin.
#[derive(Clone, Debug)]
pub struct Golden {
    /// Where they are.
    pub folder: PathBuf,
    /// What the plugin is configured with.
    pub settings: Value,
    /// In alphabetical order.
    pub cases: Vec<Case>,
}

/// What became of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The file's name without its ending.
    pub name: String,
    /// What is to become of its messages; none if nobody has said so yet.
    pub expected: Option<String>,
    /// What becomes of them.
    pub actual: String,
}

impl Golden {
    /// Reads a folder.
    ///
    /// # Errors
    /// A file cannot be read or understood, or there is none.
    pub fn read(folder: &Path) -> Result<Self, KitError> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
            .map_err(KitError::file("read the golden messages in", folder))?
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|it| it == "sip"))
            .collect();
        files.sort();
        if files.is_empty() || files.len() > FILES {
            return Err(KitError::Unusable(format!(
                "{} has {} files that end in .sip; write 1 to {FILES}",
                folder.display(),
                files.len()
            )));
        }
        Ok(Self {
            folder: folder.to_owned(),
            settings: settings(&folder.join("settings.toml"))?,
            cases: files
                .iter()
                .map(|it| Case::read(it))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Where the expectation of a file is.
    pub fn expected_path(&self, case: &str) -> PathBuf {
        self.folder.join(format!("{case}.expected"))
    }

    /// Judges every file with this component and compares.
    ///
    /// # Errors
    /// The host refuses the component, or an expectation cannot be read.
    pub fn judge(&self, component: &Path, wasm: Vec<u8>) -> Result<Vec<Verdict>, KitError> {
        let stage = crate::stage::Stage::new(false)?;
        let subject = stage.subject(component, wasm)?;
        let mut verdicts = Vec::new();
        for case in &self.cases {
            let path = self.expected_path(&case.name);
            let expected = match path.exists() {
                true => Some(String::from_utf8_lossy(&read(&path, FILE_BYTES)?).into_owned()),
                false => None,
            };
            verdicts.push(Verdict {
                name: case.name.clone(),
                expected,
                actual: play(&stage, &subject, self, case)?,
            });
        }
        Ok(verdicts)
    }

    /// Writes down what becomes of the messages as what is to become of them.
    ///
    /// # Errors
    /// The system refuses.
    pub fn bless(&self, verdicts: &[Verdict]) -> Result<(), KitError> {
        for verdict in verdicts.iter().filter(|it| !it.is_as_expected()) {
            let path = self.expected_path(&verdict.name);
            plugin_build::write_whole(&path, verdict.actual.as_bytes())?;
        }
        Ok(())
    }
}

impl Verdict {
    /// Whether it is what was expected. Line ends and white space at the end do not count.
    pub fn is_as_expected(&self) -> bool {
        let lines = |text: &str| -> Vec<String> {
            let lines = text.trim_end().lines();
            lines.map(|line| line.trim_end().to_owned()).collect()
        };
        let expected = self.expected.as_deref().map(lines);
        expected.is_some_and(|expected| expected == lines(&self.actual))
    }

    /// What differs, line by line: `-` was expected, `+` came.
    pub fn difference(&self) -> String {
        difference(self.expected.as_deref().unwrap_or_default(), &self.actual)
    }
}

/// Two texts line by line, with some lines around each change.
pub(crate) fn difference(old: &str, new: &str) -> String {
    let diff = TextDiff::from_lines(old, new);
    let mut text = String::new();
    for (number, group) in diff.grouped_ops(2).iter().enumerate() {
        if number > 0 {
            text.push_str("  ...\n");
        }
        for change in group
            .iter()
            .flat_map(|operation| diff.iter_changes(operation))
        {
            text.push_str(match change.tag() {
                ChangeTag::Delete => "- ",
                ChangeTag::Insert => "+ ",
                ChangeTag::Equal => "  ",
            });
            text.push_str(change.value().trim_end());
            text.push('\n');
        }
    }
    text
}

/// Settings as operators write them; empty without a file.
fn settings(path: &Path) -> Result<Value, KitError> {
    if !path.exists() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    let bytes = read(path, FILE_BYTES)?;
    let text = String::from_utf8_lossy(&bytes);
    toml_edit::de::from_str(&text).map_err(|error| KitError::Golden {
        path: path.to_owned(),
        line: error.span().map_or(1, |span| {
            let before = text.get(..span.start).unwrap_or_default();
            before.matches('\n').count() + 1
        }),
        problem: error.message().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(expected: Option<&str>, actual: &str) -> Verdict {
        Verdict {
            name: "calls".to_owned(),
            expected: expected.map(str::to_owned),
            actual: actual.to_owned(),
        }
    }

    #[test]
    fn white_space_at_ends_is_no_difference() {
        assert!(verdict(Some("a\r\nb \n\n"), "a\nb\n").is_as_expected());
        assert!(!verdict(Some("a\n b\n"), "a\nb\n").is_as_expected());
        assert!(!verdict(None, "").is_as_expected());
    }

    #[test]
    fn a_difference_shows_both_sides() {
        let shown = verdict(Some("one\ntwo\nthree\n"), "one\n2\nthree\n").difference();
        assert_eq!(shown, "  one\n- two\n+ 2\n  three\n");
    }

    #[test]
    fn settings_are_toml_and_a_mistake_has_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.toml");
        assert_eq!(settings(&path).unwrap(), serde_json::json!({}));
        std::fs::write(&path, "a = 1\n[b]\nc = [\"x\"]\n").unwrap();
        let expected = serde_json::json!({ "a": 1, "b": { "c": ["x"] } });
        assert_eq!(settings(&path).unwrap(), expected);
        std::fs::write(&path, "a = 1\nb = \n").unwrap();
        let error = settings(&path).unwrap_err().to_string();
        assert!(error.contains("settings.toml:2: "), "{error}");
    }

    #[test]
    fn a_folder_without_messages_is_no_test() {
        let folder = tempfile::tempdir().unwrap();
        let error = Golden::read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("0 files that end in .sip"), "{error}");
        assert!(Golden::read(&folder.path().join("none")).is_err());
    }
}
