//! Links between pages lead somewhere, and every page is in the book's summary.

use std::path::{Component, Path, PathBuf};

use crate::tidy::{Finding, Page};
use crate::workspace;

const SUMMARY: &str = "docs/SUMMARY.md";

/// Check every relative link of every page of text.
pub(crate) fn check(pages: &[Page]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut listed = Vec::new();
    for page in pages.iter().filter(|page| page.path.ends_with(".md")) {
        for (line, target) in links(&page.text) {
            let Some(path) = resolve(&page.path, &target) else {
                continue;
            };
            if !workspace::root().join(&path).exists() {
                findings
                    .push(page.finding(line, format!("link to `{target}`, which is not there")));
            }
            if page.path == SUMMARY {
                listed.push(path);
            }
        }
    }
    let book = pages
        .iter()
        .filter(|it| it.path.starts_with("docs/") && it.path.ends_with(".md"));
    for page in book.filter(|it| it.path != SUMMARY) {
        if !listed.iter().any(|it| it == Path::new(&page.path)) {
            findings.push(page.finding(
                1,
                format!("the page is not in {SUMMARY}, so the book lacks it"),
            ));
        }
    }
    findings
}

/// Targets of Markdown links with their lines, code blocks left out.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for part in line.split("](").skip(1) {
            if let Some((target, _)) = part.split_once(')') {
                found.push((index + 1, target.to_owned()));
            }
        }
    }
    found
}

/// The file that a link names, relative to the root; none for the web and for anchors.
fn resolve(page: &str, target: &str) -> Option<PathBuf> {
    let file = target.split(['#', ' ']).next().unwrap_or_default();
    if file.is_empty() || file.contains(':') {
        return None;
    }
    let mut path = PathBuf::new();
    let folder = Path::new(page).parent().unwrap_or(Path::new(""));
    for part in folder.join(file).components() {
        match part {
            Component::ParentDir => {
                path.pop();
            }
            Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_outside_code() {
        let text = "a [b](c.md) and [d](https://e)\n```\n[x](y.md)\n```\n";
        assert_eq!(
            links(text),
            [(1, "c.md".to_owned()), (1, "https://e".to_owned())]
        );
    }

    #[test]
    fn targets_are_relative_to_their_page() {
        assert_eq!(
            resolve("docs/operate/a.md", "../b.md#c"),
            Some(PathBuf::from("docs/b.md"))
        );
        assert_eq!(resolve("docs/a.md", "#c"), None);
        assert_eq!(resolve("docs/a.md", "https://e"), None);
    }
}
