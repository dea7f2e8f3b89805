//! The page that lists every interface, function and type, with the interface's own
//! words.

use std::fmt::Write as _;

use wit_parser::{Docs, Interface, Resolve, TypeDefKind, TypeId, TypeOwner};

use super::words;

const HEAD: &str = "\
# Interfaces, item by item

Made of `wit/policy.wit` by `cargo xtask reference`; [the policy interface](wit.md) says
how the parts belong together and what the host does with them.
";

/// The whole page.
pub(super) fn write(resolve: &Resolve) -> String {
    let mut page = HEAD.to_owned();
    let all = || resolve.interfaces.iter().map(|(_, interface)| interface);
    page.push_str("\n| interface | |\n|---|---|\n");
    for interface in all() {
        if let Some(name) = &interface.name {
            let first = first_sentence(&interface.docs);
            let _ = writeln!(page, "| [`{name}`](#{name}) | {first} |");
        }
    }
    for interface in all() {
        if let Some(name) = &interface.name {
            describe(&mut page, resolve, name, interface);
        }
    }
    page
}

fn describe(page: &mut String, resolve: &Resolve, name: &str, interface: &Interface) {
    let _ = writeln!(page, "\n## {name}\n\n{}", whole(&interface.docs));
    for function in interface.functions.values() {
        let _ = writeln!(
            page,
            "\n### {name}.{short}\n\n```wit\n{short}: {signature}\n```\n\n{docs}",
            short = words::name(function),
            signature = words::signature(resolve, function),
            docs = whole(&function.docs),
        );
    }
    for (ty, id) in &interface.types {
        define(page, resolve, name, ty, *id);
    }
}

fn define(page: &mut String, resolve: &Resolve, interface: &str, name: &str, id: TypeId) {
    let Some(definition) = resolve.types.get(id) else {
        return;
    };
    // What another interface defines is described there.
    if let TypeDefKind::Type(wit_parser::Type::Id(origin)) = &definition.kind
        && let Some(origin) = resolve.types.get(*origin)
        && let TypeOwner::Interface(owner) = origin.owner
        && let Some(owner) = resolve
            .interfaces
            .get(owner)
            .and_then(|it| it.name.as_deref())
        && owner != interface
    {
        let _ = writeln!(page, "\nUses [`{owner}.{name}`](#{owner}{name}).");
        return;
    }
    let kind = match &definition.kind {
        TypeDefKind::Type(_) => "type",
        other => other.as_str(),
    };
    let _ = writeln!(
        page,
        "\n### {interface}.{name}\n\n{kind}: {}",
        whole(&definition.docs)
    );
    let parts: Vec<(String, String)> = match &definition.kind {
        TypeDefKind::Record(record) => {
            let fields = record.fields.iter();
            let written = fields.map(|it| {
                let ty = words::used(resolve, &it.ty);
                (format!("{}: {ty}", it.name), one_line(&it.docs))
            });
            written.collect()
        }
        TypeDefKind::Variant(variant) => {
            let cases = variant.cases.iter();
            let written = cases.map(|it| {
                let case = words::case(resolve, &it.name, it.ty.as_ref());
                (case, one_line(&it.docs))
            });
            written.collect()
        }
        TypeDefKind::Enum(all) => {
            let cases = all.cases.iter();
            cases
                .map(|it| (it.name.clone(), one_line(&it.docs)))
                .collect()
        }
        TypeDefKind::Flags(all) => {
            let flags = all.flags.iter();
            flags
                .map(|it| (it.name.clone(), one_line(&it.docs)))
                .collect()
        }
        TypeDefKind::Resource => Vec::new(),
        _ => {
            let _ = writeln!(page, "\n```wit\n{}\n```", words::defined(resolve, id));
            Vec::new()
        }
    };
    if !parts.is_empty() {
        page.push_str("\n| | |\n|---|---|\n");
    }
    for (part, docs) in parts {
        let _ = writeln!(page, "| `{part}` | {docs} |");
    }
}

fn whole(docs: &Docs) -> &str {
    docs.contents.as_deref().unwrap_or_default().trim()
}

fn one_line(docs: &Docs) -> String {
    whole(docs)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}

fn first_sentence(docs: &Docs) -> String {
    let line = one_line(docs);
    match line.split_once(". ") {
        Some((first, _)) => format!("{first}."),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::super::understood;
    use super::*;

    #[test]
    fn every_item_is_described() {
        let wit = "package a:b@0.1.0;
            /// Time. As the host sees it.
            interface clock {
                /// A moment.
                record moment {
                    /// Since 1970,
                    /// or later.
                    ms: u64,
                }
                /// Now.
                now: func(zone: option<string>) -> moment;
            }";
        let page = write(&understood(wit).unwrap());
        for wanted in [
            "| [`clock`](#clock) | Time. |",
            "## clock\n\nTime. As the host sees it.\n",
            "### clock.now\n\n```wit\nnow: func(zone: option<string>) -> moment\n```\n\nNow.\n",
            "### clock.moment\n\nrecord: A moment.\n",
            "| `ms: u64` | Since 1970, or later. |",
        ] {
            assert!(page.contains(wanted), "{wanted}\n{page}");
        }
    }
}
