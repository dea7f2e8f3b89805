//! Files stay under 500 lines and functions under 70, so that each fits a head.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::tidy::{Finding, Page};

/// Lines of a file, at most.
const FILE_LINES: usize = 500;

/// Lines of a function from its signature to its last brace, at most. Lines of a
/// table that it ends in (`vec![..]` or `[..]`) are data and do not count.
const FUNCTION_LINES: usize = 70;

/// Measure one file of Rust.
pub(crate) fn check(page: &Page) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lines = page.text.lines().count();
    if lines > FILE_LINES {
        findings.push(page.finding(
            FILE_LINES + 1,
            format!("{lines} lines; split the file by what happens in it, so that it has at most {FILE_LINES}"),
        ));
    }
    // A file that does not parse is the compiler's to report.
    if let Ok(file) = syn::parse_file(&page.text) {
        let mut functions = Functions {
            page,
            findings: &mut findings,
        };
        functions.visit_file(&file);
    }
    findings
}

struct Functions<'a> {
    page: &'a Page,
    findings: &'a mut Vec<Finding>,
}

impl Functions<'_> {
    fn measure(&mut self, signature: &syn::Signature, body: &syn::Block) {
        let first = signature.span().start().line;
        let whole = body.span().end().line + 1 - first;
        let lines = whole - body.stmts.last().map_or(0, lines_of_table);
        if lines > FUNCTION_LINES {
            let name = &signature.ident;
            self.findings.push(self.page.finding(
                first,
                format!("`{name}` has {lines} lines; a function has at most {FUNCTION_LINES}"),
            ));
        }
    }
}

/// Lines of the table that a function's last statement is; 0 if it is none.
fn lines_of_table(last: &syn::Stmt) -> usize {
    let table = match last {
        syn::Stmt::Expr(syn::Expr::Array(table), None) => table.span(),
        syn::Stmt::Expr(syn::Expr::Macro(table), None) if table.mac.path.is_ident("vec") => {
            table.span()
        }
        syn::Stmt::Macro(table) if table.semi_token.is_none() && table.mac.path.is_ident("vec") => {
            table.span()
        }
        _ => return 0,
    };
    (table.end().line - table.start().line).saturating_sub(1)
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.measure(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.measure(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.measure(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(lines: usize) -> Page {
        let body = "    let _ = 0;\n".repeat(lines - 2);
        Page {
            path: "a.rs".to_owned(),
            text: format!("fn long() {{\n{body}}}\n"),
        }
    }

    #[test]
    fn functions_on_both_sides_of_the_limit() {
        assert!(check(&function(FUNCTION_LINES)).is_empty());
        assert_eq!(check(&function(FUNCTION_LINES + 1)).len(), 1);
    }

    #[test]
    fn files_on_both_sides_of_the_limit() {
        let page = |lines: usize| Page {
            path: "a.rs".to_owned(),
            text: "// a\n".repeat(lines),
        };
        assert!(check(&page(FILE_LINES)).is_empty());
        assert_eq!(check(&page(FILE_LINES + 1)).len(), 1);
    }

    #[test]
    fn a_table_at_the_end_is_data() {
        let rows = "        0,\n".repeat(FUNCTION_LINES);
        let page = |end: &str| Page {
            path: "a.rs".to_owned(),
            text: format!("fn rows() {{\n    vec![\n{rows}    ]{end}\n}}\n"),
        };
        assert!(check(&page("")).is_empty());
        assert_eq!(check(&page(";")).len(), 1);
    }

    #[test]
    fn methods_are_measured_too() {
        let inner = function(FUNCTION_LINES + 1).text;
        let page = Page {
            path: "a.rs".to_owned(),
            text: format!("impl A {{\n{inner}}}\n"),
        };
        assert_eq!(check(&page).len(), 1);
    }
}
