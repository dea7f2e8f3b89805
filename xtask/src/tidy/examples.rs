//! What authors of policies see has an example: each public item of the SDK shows in a
//! block of its documentation how it is used. `cargo test` runs the blocks.
//!
//! Fields and cases are shown by what they belong to.

use syn::visit::{self, Visit};
use syn::{Attribute, Visibility};

use crate::tidy::{Finding, Page};

/// Where authors look.
const SOURCES: &str = "plugin-sdk/src/";

/// What only generated code sees: types of the interface and what the macro calls.
const INNER: [&str; 2] = ["plugin-sdk/src/bindings.rs", "plugin-sdk/src/glue.rs"];

/// Check the sources of the SDK.
pub(crate) fn check(pages: &[Page]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for page in pages {
        let is_source = page.is_rust() && page.path.starts_with(SOURCES);
        if !is_source || INNER.contains(&page.path.as_str()) {
            continue;
        }
        // A file that does not parse is the compiler's to report.
        if let Ok(file) = syn::parse_file(&page.text) {
            let mut items = Items {
                page,
                pages,
                findings: &mut findings,
            };
            items.visit_file(&file);
        }
    }
    findings
}

struct Items<'a> {
    page: &'a Page,
    pages: &'a [Page],
    findings: &'a mut Vec<Finding>,
}

impl Items<'_> {
    fn want(&mut self, visibility: &Visibility, attributes: &[Attribute], name: &syn::Ident) {
        if matches!(visibility, Visibility::Public(_)) {
            self.want_example(attributes, name);
        }
    }

    fn want_example(&mut self, attributes: &[Attribute], name: &syn::Ident) {
        if !is_hidden(attributes) && !shows(attributes) {
            let line = name.span().start().line;
            let message = format!("`{name}` is public and has no example; show how it is used");
            self.findings.push(self.page.finding(line, message));
        }
    }

    /// The file of a module that is declared in this one.
    fn file_of(&self, name: &str) -> Option<&Page> {
        let folder = self.page.path.rsplit_once('/').map_or("", |(it, _)| it);
        let file = format!("{folder}/{name}.rs");
        let inside = format!("{folder}/{name}/mod.rs");
        self.pages
            .iter()
            .find(|page| page.path == file || page.path == inside)
    }
}

impl<'ast> Visit<'ast> for Items<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.want(&item.vis, &item.attrs, &item.sig.ident);
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.want(&item.vis, &item.attrs, &item.ident);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.want(&item.vis, &item.attrs, &item.ident);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.want(&item.vis, &item.attrs, &item.ident);
        for part in &item.items {
            match part {
                syn::TraitItem::Fn(part) => self.want(&item.vis, &part.attrs, &part.sig.ident),
                syn::TraitItem::Const(part) => self.want(&item.vis, &part.attrs, &part.ident),
                syn::TraitItem::Type(part) => self.want(&item.vis, &part.attrs, &part.ident),
                _ => {}
            }
        }
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.want(&item.vis, &item.attrs, &item.ident);
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.want(&item.vis, &item.attrs, &item.ident);
    }

    fn visit_item_macro(&mut self, item: &'ast syn::ItemMacro) {
        let is_exported = item
            .attrs
            .iter()
            .any(|it| it.path().is_ident("macro_export"));
        if let Some(name) = item.ident.as_ref().filter(|_| is_exported) {
            self.want_example(&item.attrs, name);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if is_test(&item.attrs) || is_hidden(&item.attrs) {
            return;
        }
        let shown_inside = item.content.is_none()
            && self
                .file_of(&item.ident.to_string())
                .and_then(|page| syn::parse_file(&page.text).ok())
                .is_some_and(|file| shows(&file.attrs));
        if !shown_inside {
            self.want(&item.vis, &item.attrs, &item.ident);
        }
        visit::visit_item_mod(self, item);
    }

    /// Types of the interface are documented where they are handed on.
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let mut path = Vec::new();
        let mut tree = &item.tree;
        while let syn::UseTree::Path(part) = tree {
            path.push(&part.ident);
            tree = &part.tree;
        }
        if !path.iter().any(|part| *part == "bindings") {
            return;
        }
        match (tree, path.last()) {
            (syn::UseTree::Name(name), _) => self.want(&item.vis, &item.attrs, &name.ident),
            (_, Some(last)) => self.want(&item.vis, &item.attrs, last),
            (_, None) => {}
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if item.trait_.is_some() {
            return;
        }
        for part in &item.items {
            match part {
                syn::ImplItem::Fn(part) => self.want(&part.vis, &part.attrs, &part.sig.ident),
                syn::ImplItem::Const(part) => self.want(&part.vis, &part.attrs, &part.ident),
                _ => {}
            }
        }
    }
}

/// Whether a documentation holds a block of code, or a page that does.
fn shows(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::NameValue(doc) if doc.path.is_ident("doc") => match &doc.value {
            syn::Expr::Lit(text) => match &text.lit {
                syn::Lit::Str(text) => text.value().trim_start().starts_with("```"),
                _ => false,
            },
            // `include_str!`: a page is more than a block.
            syn::Expr::Macro(_) => true,
            _ => false,
        },
        _ => false,
    })
}

fn is_hidden(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) => {
            list.path.is_ident("doc") && list.tokens.to_string().contains("hidden")
        }
        _ => false,
    })
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<usize> {
        let page = |path: &str, text: &str| Page {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let inner = page(
            "plugin-sdk/src/inner.rs",
            "//! It is used so:\n//! ```\n//! ```\n",
        );
        let findings = check(&[page("plugin-sdk/src/lib.rs", text), inner]);
        findings.iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn what_is_public_has_an_example() {
        assert_eq!(found("/// Says it.\npub fn say() {}\n"), [2]);
        assert_eq!(
            found("/// ```\n/// say();\n/// ```\npub fn say() {}\n"),
            [] as [usize; 0]
        );
        assert_eq!(found("pub(crate) fn say() {}\n"), [] as [usize; 0]);
        assert_eq!(
            found("impl X {\n pub const A: u8 = 1;\n pub fn a() {}\n fn b() {}\n}\n"),
            [2, 3]
        );
        assert_eq!(found("impl T for X {\n fn a() {}\n}\n"), [] as [usize; 0]);
        assert_eq!(
            found("#[macro_export]\nmacro_rules! say { () => {} }\n"),
            [2]
        );
    }

    #[test]
    fn modules_and_what_is_handed_on() {
        assert_eq!(found("pub mod inner;\npub mod outer;\n"), [2]);
        assert_eq!(found("#[doc(hidden)]\npub mod outer;\n"), [] as [usize; 0]);
        assert_eq!(found("pub use crate::bindings::types::Zone;\n"), [1]);
        assert_eq!(found("pub use other::Zone;\n"), [] as [usize; 0]);
    }
}
