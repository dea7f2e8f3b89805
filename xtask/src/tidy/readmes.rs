//! Every policy that ships has a README that says what it is against, what can be set,
//! how, and where its limits are; and each of its settings stands there.

use crate::tidy::{Finding, Page};

/// Sections of a README, in this order.
const SECTIONS: [&str; 4] = ["## Threat", "## Settings", "## Examples", "## Limits"];

/// Check the README of each policy.
pub(crate) fn check(pages: &[Page]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for settings in pages {
        let Some(folder) = settings.path.strip_suffix("/src/settings.rs") else {
            continue;
        };
        if !folder.starts_with("plugins/") {
            continue;
        }
        let path = format!("{folder}/README.md");
        match pages.iter().find(|page| page.path == path) {
            Some(readme) => {
                findings.extend(sections(readme));
                findings.extend(unsaid(settings, readme));
            }
            None => findings.push(settings.finding(1, format!("{path} is not there"))),
        }
    }
    findings
}

/// Sections that are missing or in another order.
fn sections(readme: &Page) -> Vec<Finding> {
    let mut from = 0;
    let mut findings = Vec::new();
    for section in SECTIONS {
        let at = readme
            .text
            .lines()
            .enumerate()
            .skip(from)
            .find(|(_, line)| *line == section);
        match at {
            Some((line, _)) => from = line + 1,
            None => findings.push(readme.finding(
                from.max(1),
                format!("`{section}` is missing, or stands before the section above it"),
            )),
        }
    }
    findings
}

/// Settings that the README does not mention.
fn unsaid(settings: &Page, readme: &Page) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in settings.text.lines().enumerate() {
        let field = line
            .strip_prefix("    pub ")
            .and_then(|rest| rest.split_once(':'));
        let Some((name, _)) = field.filter(|(name, _)| is_name(name)) else {
            continue;
        };
        if !mentions(&readme.text, name) {
            findings.push(settings.finding(
                index + 1,
                format!("`{name}` is not in {}; say what it means", readme.path),
            ));
        }
    }
    findings
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Whether the name stands there as a whole word.
fn mentions(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let part =
            |byte: Option<u8>| byte.is_some_and(|it| it.is_ascii_alphanumeric() || it == b'_');
        let before = at.checked_sub(1).and_then(|it| text.as_bytes().get(it));
        let after = text.as_bytes().get(at + name.len());
        !part(before.copied()) && !part(after.copied())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(readme: &str) -> Vec<String> {
        let page = |path: &str, text: &str| Page {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let settings =
            "/// One.\npub struct Settings {\n    /// Two.\n    pub end_after: u32,\n}\n";
        let pages = [
            page("plugins/a/src/settings.rs", settings),
            page("plugins/a/README.md", readme),
            page("host/a/src/settings.rs", settings),
        ];
        check(&pages).into_iter().map(|it| it.message).collect()
    }

    #[test]
    fn a_whole_readme_passes() {
        let whole = "# a\n## Threat\n## Settings\n`end_after`\n## Examples\n## Limits\n";
        assert_eq!(messages(whole), Vec::<String>::new());
    }

    #[test]
    fn what_is_missing_or_misplaced_is_named() {
        let missing = messages("# a\n## Settings\n`the_end_after`\n## Threat\n## Examples\n");
        assert_eq!(missing.len(), 3, "{missing:?}");
        assert!(missing[0].starts_with("`## Settings`"), "{missing:?}");
        assert!(missing[1].starts_with("`## Limits`"), "{missing:?}");
        assert!(missing[2].starts_with("`end_after` is not in plugins/a/README.md"));
    }
}
