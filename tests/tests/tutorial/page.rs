//! Reads a page of the book as things to do.

use std::fmt::Write as _;
use std::path::Path;

/// Something that the page has its reader do, or see.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Write a file.
    File(String, String),
    /// Type commands.
    Commands(String),
    /// See this among what the commands before it printed.
    Seen(String),
}

/// What stands in the output between the commands of two steps.
const MARK: &str = "@@ step ";

/// The blocks of a page, in order. A block with neither a file's name before it nor
/// commands is for reading only.
pub(crate) fn steps(page: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut lines = page.lines();
    let mut before = String::new();
    while let Some(line) = lines.next() {
        let Some(language) = line.strip_prefix("```") else {
            if !line.trim().is_empty() {
                before = line.to_owned();
            }
            continue;
        };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let text = block.join("\n") + "\n";
        let file = before
            .strip_prefix('`')
            .and_then(|it| it.strip_suffix("`:"));
        let follows_commands = matches!(steps.last(), Some(Step::Commands(_)));
        match (file, language) {
            (Some(path), _) => steps.push(Step::File(path.to_owned(), text)),
            (None, "sh") => steps.push(Step::Commands(text)),
            (None, "text") if follows_commands => steps.push(Step::Seen(text)),
            (None, _) => {}
        }
        before.clear();
    }
    steps
}

/// All of it as one script for bash. Output is told apart by marks.
pub(crate) fn script(steps: &[Step], folder: &Path) -> String {
    let mut script = "set -e\n".to_owned();
    for (number, step) in steps.iter().enumerate() {
        let _ = writeln!(script, "echo '{MARK}{number}'");
        match step {
            Step::File(path, text) => {
                let path = folder.join(path);
                let _ = write!(
                    script,
                    "cat > '{}' <<'END OF FILE'\n{text}END OF FILE\n",
                    path.display()
                );
            }
            Step::Commands(text) => script.push_str(text),
            Step::Seen(_) => {}
        }
    }
    script
}

/// What each step printed.
pub(crate) fn printed(output: &str) -> Vec<String> {
    let mut parts = Vec::new();
    for line in output.lines() {
        if line.starts_with(MARK) {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push_str(line.trim_end_matches('\r'));
            part.push('\n');
        }
    }
    parts
}

/// Each block that has to be seen, with the number of the commands that print it.
pub(crate) fn expectations(steps: &[Step]) -> impl Iterator<Item = (usize, &str)> {
    steps
        .iter()
        .enumerate()
        .filter_map(|(number, step)| match step {
            Step::Seen(text) => Some((number.checked_sub(1)?, text.as_str())),
            _ => None,
        })
}

/// The first line that is not to be found in its place.
pub(crate) fn missing<'e>(printed: &str, expected: &'e str) -> Option<&'e str> {
    let mut lines = printed.lines();
    let wanted = expected.lines().filter(|line| !line.trim().is_empty());
    wanted
        .into_iter()
        .find(|line| !lines.any(|it| fits(it, line)))
}

/// Whether a line has the parts between `...`, in their order.
fn fits(line: &str, wanted: &str) -> bool {
    let mut rest = line;
    wanted
        .split("...")
        .all(|part| match rest.split_once(part.trim_end()) {
            Some((_, after)) => {
                rest = after;
                true
            }
            None => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# A page\n\n`a/b.rs`:\n\n```rust\nfn main() {}\n```\n\nThen:\n\n```sh\necho one\n```\n\n```text\none\n```\n\n```text\nnot looked at\n```\n";

    #[test]
    fn a_page_is_read_as_things_to_do() {
        let file = Step::File("a/b.rs".to_owned(), "fn main() {}\n".to_owned());
        let commands = Step::Commands("echo one\n".to_owned());
        let seen = Step::Seen("one\n".to_owned());
        let steps = steps(PAGE);
        assert_eq!(steps, [file, commands, seen]);
        assert_eq!(expectations(&steps).collect::<Vec<_>>(), [(1, "one\n")]);
        let script = script(&steps, Path::new("here"));
        assert!(
            script.contains("cat > 'here/a/b.rs' <<'END OF FILE'\nfn main() {}\nEND OF FILE\n")
        );
    }

    #[test]
    fn what_was_printed_is_held_against_the_page() {
        let parts = printed("noise\n@@ step 0\n@@ step 1\none\r\ntwo and three\n");
        assert_eq!(parts, ["", "one\ntwo and three\n"]);
        assert_eq!(missing(&parts[1], "one\ntwo...three\n"), None);
        assert_eq!(missing(&parts[1], "two...\none\n"), Some("one"));
        assert_eq!(missing(&parts[1], "three...two\n"), Some("three...two"));
    }
}
