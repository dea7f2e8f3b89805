//! Words that do not belong in a repository: paths of one machine, and notes on
//! what is still to be done (those are issues).

use crate::tidy::{Finding, Page};

/// Roots of folders that exist on one machine only. Written in two parts, so that
/// this file passes its own check.
const MACHINE_ROOTS: [&str; 6] = [
    concat!("/wo", "rk/"),
    concat!("/fa", "rm/"),
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/Use", "rs/"),
    concat!("/tm", "p/"),
];

/// Notes to oneself.
const NOTES: [&str; 4] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("to", "do!("),
    concat!("unimpl", "emented!("),
];

/// Check one file of any kind.
pub(crate) fn check(page: &Page) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in page.text.lines().enumerate() {
        if let Some(path) = MACHINE_ROOTS.iter().find(|root| starts_a_path(line, root)) {
            findings.push(page.finding(index + 1, format!("`{path}` is a path of one machine")));
        }
        if let Some(note) = NOTES.iter().find(|note| line.contains(*note)) {
            findings.push(page.finding(index + 1, format!("`{note}`: finish it or file an issue")));
        }
    }
    findings
}

/// Whether the root stands where an absolute path begins, not inside a longer path.
fn starts_a_path(line: &str, root: &str) -> bool {
    line.match_indices(root).any(|(at, _)| {
        let before = line.get(..at).and_then(|it| it.chars().next_back());
        before.is_none_or(|it| !(it.is_alphanumeric() || matches!(it, '.' | '_' | '-' | '}' | '/')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> usize {
        check(&Page {
            path: "a.md".to_owned(),
            text: text.to_owned(),
        })
        .len()
    }

    #[test]
    fn absolute_paths_are_found_and_relative_ones_are_not() {
        assert_eq!(count(concat!("see /wo", "rk/main\n")), 1);
        assert_eq!(count(concat!("\"/tm", "p/x\"\n")), 1);
        assert_eq!(
            count(concat!("see our/wo", "rk/main and ./wo", "rk/x\n")),
            0
        );
    }

    #[test]
    fn notes_are_found() {
        assert_eq!(count(concat!("a\n// TO", "DO: b\n")), 1);
        assert_eq!(count("nothing left to do\n"), 0);
    }
}
