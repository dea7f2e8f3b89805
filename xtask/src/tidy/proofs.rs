//! What the page on hostile plugins claims is shown by tests, and they are there.

use crate::tidy::{Finding, Page};

/// The page. The last cell of a row of three or more names tests.
const PAGE: &str = "docs/author/threats.md";

/// The head of the tables that name tests.
const SHOWN_BY: &str = "shown by";

/// Check that each test that is named exists.
pub(crate) fn check(pages: &[Page]) -> Vec<Finding> {
    let Some(page) = pages.iter().find(|page| page.path == PAGE) else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    let mut names_tests = false;
    for (index, line) in page.text.lines().enumerate() {
        let Some(row) = line.strip_prefix('|') else {
            names_tests = false;
            continue;
        };
        let cell = row
            .trim_end_matches('|')
            .rsplit('|')
            .next()
            .unwrap_or_default();
        names_tests |= cell.trim() == SHOWN_BY;
        if !names_tests {
            continue;
        }
        for name in cell.split('`').skip(1).step_by(2) {
            if !is_test(pages, name) {
                let message = format!("there is no test `{name}`; name one that shows it");
                findings.push(page.finding(index + 1, message));
            }
        }
    }
    findings
}

fn is_test(pages: &[Page], name: &str) -> bool {
    let function = format!("fn {name}(");
    pages
        .iter()
        .any(|page| page.is_rust() && page.text.contains(&function))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_is_named_exists() {
        let page = |path: &str, text: &str| Page {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let text = "| a | `b` |\n|---|---|\n\n| attempt | ends | shown by |\n|---|---|---|\n\
                    | loops | `deadline` | `it_ends`, `it_is_late` |\n";
        let findings = check(&[page(PAGE, text), page("tests/a.rs", "fn it_ends() {}")]);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].line == 6 && findings[0].message.contains("it_is_late"));
    }
}
