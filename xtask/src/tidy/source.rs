//! Rules on the shape of Rust sources: a header on each file, names that say
//! something, no lint switched off without a reason, and rsip in one file only.

use syn::visit::{self, Visit};

use crate::tidy::{Finding, Page};

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 7] = [
    "utils", "util", "common", "manager", "helpers", "helper", "misc",
];

/// The one file that names rsip, and the folders where it is an oracle.
const RSIP_HOME: &str = "host/sip-message/src/typed.rs";
const RSIP_ORACLES: [&str; 2] = ["tests/", "host/sip-message/tests/"];

/// Check one file of Rust.
pub(crate) fn check(page: &Page) -> Vec<Finding> {
    let mut findings = Vec::new();
    let first = page
        .text
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    if !first.starts_with("//!") {
        findings.push(page.finding(1, "the file begins with its purpose in a `//!` line"));
    }
    for part in page.path.trim_end_matches(".rs").split('/') {
        if let Some(message) = empty_name(part) {
            findings.push(page.finding(1, message));
        }
    }
    if let Ok(file) = syn::parse_file(&page.text) {
        let mut visitor = Visitor {
            page,
            findings: &mut findings,
        };
        visitor.visit_file(&file);
    }
    let knows_rsip =
        page.path == RSIP_HOME || RSIP_ORACLES.iter().any(|it| page.path.starts_with(it));
    if !knows_rsip && let Ok(tokens) = page.text.parse::<proc_macro2::TokenStream>() {
        names_of_rsip(page, tokens, &mut findings);
    }
    findings
}

fn empty_name(name: &str) -> Option<String> {
    EMPTY_NAMES
        .contains(&name)
        .then(|| format!("`{name}` says nothing; name the module for what happens in it"))
}

/// Find the name as code; comments and texts may explain.
fn names_of_rsip(page: &Page, tokens: proc_macro2::TokenStream, findings: &mut Vec<Finding>) {
    for token in tokens {
        match token {
            proc_macro2::TokenTree::Ident(name) if name == "rsip" => findings.push(page.finding(
                name.span().start().line,
                format!("`rsip` is named in {RSIP_HOME} only"),
            )),
            proc_macro2::TokenTree::Group(group) => names_of_rsip(page, group.stream(), findings),
            _ => {}
        }
    }
}

struct Visitor<'a> {
    page: &'a Page,
    findings: &'a mut Vec<Finding>,
}

impl<'ast> Visit<'ast> for Visitor<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if let Some(message) = empty_name(&item.ident.to_string()) {
            self.findings
                .push(self.page.finding(item.ident.span().start().line, message));
        }
        visit::visit_item_mod(self, item);
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        let switches_off =
            attribute.path().is_ident("allow") || attribute.path().is_ident("expect");
        if switches_off {
            let line = attribute.pound_token.span.start().line;
            if !has_reason(attribute) {
                self.findings.push(
                    self.page
                        .finding(line, "a lint is switched off with a `reason = \"...\"`"),
                );
            } else if attribute.path().is_ident("allow") {
                self.findings.push(
                    self.page
                        .finding(line, "`#[expect(...)]` instead of `#[allow(...)]`"),
                );
            }
        }
        visit::visit_attribute(self, attribute);
    }
}

fn has_reason(attribute: &syn::Attribute) -> bool {
    let syn::Meta::List(list) = &attribute.meta else {
        return false;
    };
    list.tokens
        .clone()
        .into_iter()
        .any(|token| matches!(token, proc_macro2::TokenTree::Ident(name) if name == "reason"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(path: &str, text: &str) -> Vec<Finding> {
        check(&Page {
            path: path.to_owned(),
            text: text.to_owned(),
        })
    }

    #[test]
    fn a_file_begins_with_its_purpose() {
        assert!(messages("host/a/src/b.rs", "//! What.\n").is_empty());
        assert_eq!(messages("host/a/src/b.rs", "use a::b;\n").len(), 1);
    }

    #[test]
    fn modules_have_telling_names() {
        assert_eq!(messages("host/a/src/utils.rs", "//! What.\n").len(), 1);
        assert_eq!(
            messages("host/a/src/b.rs", "//! What.\nmod helpers {}\n").len(),
            1
        );
    }

    #[test]
    fn lints_are_switched_off_with_a_reason() {
        let code = |attribute: &str| format!("//! What.\n#[{attribute}]\nfn f() {{}}\n");
        assert_eq!(messages("a.rs", &code("allow(dead_code)")).len(), 1);
        assert_eq!(
            messages("a.rs", &code("allow(dead_code, reason = \"r\")")).len(),
            1
        );
        assert_eq!(messages("a.rs", &code("expect(dead_code)")).len(), 1);
        assert!(messages("a.rs", &code("expect(dead_code, reason = \"r\")")).is_empty());
    }

    #[test]
    fn rsip_is_code_in_one_file_only() {
        let code = "//! Unlike rsip.\nuse rsip::Method;\n";
        assert_eq!(messages("host/sip-proxy/src/lib.rs", code).len(), 1);
        assert!(messages(RSIP_HOME, code).is_empty());
        assert!(messages("tests/bench/src/a.rs", code).is_empty());
        assert!(messages("host/a/src/b.rs", "//! Unlike rsip.\n").is_empty());
    }
}
