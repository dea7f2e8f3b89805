//! Every limit of the code has its row in the book.
//!
//! A limit is a field of a structure whose name ends in `Limits` and that has a
//! `Default`, in `host/`. Its row is a table line of `docs/reference/limits.md` that
//! names the field, alone or as the end of a dotted config key.

use std::collections::BTreeSet;

use syn::visit::{self, Visit};

use crate::tidy::{Finding, Page};

const PAGE: &str = "docs/reference/limits.md";

/// Find the limits of the code that the book does not know.
pub(crate) fn check(pages: &[Page]) -> Vec<Finding> {
    let documented = pages
        .iter()
        .find(|page| page.path == PAGE)
        .map(|page| names(&page.text))
        .unwrap_or_default();
    let mut findings = Vec::new();
    for page in pages
        .iter()
        .filter(|page| page.path.starts_with("host/") && page.is_rust())
    {
        for limit in limits(&page.text) {
            if !documented.contains(&limit.field) {
                findings.push(page.finding(
                    limit.line,
                    format!(
                        "limit `{}` of `{}` has no row in {PAGE}",
                        limit.field, limit.owner
                    ),
                ));
            }
        }
    }
    findings
}

/// The names in code font in the table rows of a page, and their last parts.
fn names(page: &str) -> BTreeSet<String> {
    let rows = page
        .lines()
        .filter(|line| line.trim_start().starts_with('|'));
    let quoted = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    quoted
        .flat_map(|name| [name, name.rsplit(['.', ':']).next().unwrap_or(name)])
        .map(str::to_owned)
        .collect()
}

struct Limit {
    owner: String,
    field: String,
    line: usize,
}

/// The limits that one file declares.
fn limits(text: &str) -> Vec<Limit> {
    let Ok(file) = syn::parse_file(text) else {
        return Vec::new();
    };
    let mut found = Declarations::default();
    found.visit_file(&file);
    let Declarations {
        mut fields,
        with_default,
    } = found;
    fields.retain(|limit| with_default.contains(&limit.owner));
    fields
}

#[derive(Default)]
struct Declarations {
    fields: Vec<Limit>,
    with_default: BTreeSet<String>,
}

impl<'ast> Visit<'ast> for Declarations {
    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        let owner = item.ident.to_string();
        if owner.ends_with("Limits") {
            for name in item.fields.iter().filter_map(|field| field.ident.as_ref()) {
                self.fields.push(Limit {
                    owner: owner.clone(),
                    field: name.to_string(),
                    line: name.span().start().line,
                });
            }
            if derives_default(&item.attrs) {
                self.with_default.insert(owner);
            }
        }
        visit::visit_item_struct(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let is_default = item
            .trait_
            .as_ref()
            .and_then(|(_, path, _)| path.segments.last())
            .is_some_and(|it| it.ident == "Default");
        if let (true, syn::Type::Path(owner)) = (is_default, &*item.self_ty)
            && let Some(segment) = owner.path.segments.last()
        {
            self.with_default.insert(segment.ident.to_string());
        }
        visit::visit_item_impl(self, item);
    }
}

fn derives_default(attributes: &[syn::Attribute]) -> bool {
    attributes
        .iter()
        .filter(|it| it.path().is_ident("derive"))
        .any(|it| {
            let mut found = false;
            // Unknown syntax inside a derive is the compiler's to report.
            let _parsed = it.parse_nested_meta(|meta| {
                found |= meta
                    .path
                    .segments
                    .last()
                    .is_some_and(|part| part.ident == "Default");
                Ok(())
            });
            found
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "pub struct TableLimits { pub server: usize, pub client: usize }\n\
        impl Default for TableLimits { fn default() -> Self { Self { server: 1, client: 2 } } }\n\
        pub struct OtherLimits { pub unused: usize }\n";

    fn pages(doc: &str) -> Vec<Page> {
        vec![
            Page {
                path: "host/a/src/lib.rs".to_owned(),
                text: CODE.to_owned(),
            },
            Page {
                path: PAGE.to_owned(),
                text: doc.to_owned(),
            },
        ]
    }

    #[test]
    fn a_limit_without_a_row_is_found_with_its_line() {
        let findings = check(&pages(
            "| `limits.server` | 1 | why |\nThe `client` is only named in prose.\n",
        ));
        assert_eq!(findings.len(), 1);
        assert!(
            findings
                .iter()
                .all(|it| it.message.contains("`client`") && it.line == 1)
        );
    }

    #[test]
    fn rows_name_limits_alone_or_dotted() {
        assert!(check(&pages("| `server` | 1 |\n| `transactions.client` | 2 |\n")).is_empty());
    }
}
