//! Nothing that a released interface had is removed or changed, and nothing is added
//! where plugins, not hosts, would have to have it.

use std::collections::{BTreeMap, BTreeSet};

use wit_parser::{Interface, Resolve, TypeDefKind, WorldItem};

use super::words;

/// Everything that an interface has: its path, and how it is written.
type Items = BTreeMap<String, String>;

/// What a plugin of the released interface would miss in the present one.
pub(super) fn broken(released: &Resolve, present: &Resolve) -> Vec<String> {
    let (old, new) = (items(released), items(present));
    let mut broken = Vec::new();
    for (path, was) in &old {
        match new.get(path) {
            None => broken.push(format!("`{path}` is gone")),
            Some(is) if is != was => {
                broken.push(format!("`{path}` was `{was}` and is `{is}`"));
            }
            Some(_) => {}
        }
    }
    // A plugin that was compiled before does not have the function.
    let exported = exported(released);
    for path in new.keys().filter(|path| !old.contains_key(*path)) {
        let mut parts = path.split('.');
        let interface = parts.next().unwrap_or_default();
        let is_export = path.starts_with("world ") && path.contains(" exports ");
        let is_function = new.get(path).is_some_and(|it| it.starts_with("func("));
        if is_export && old.keys().any(|it| it.starts_with(&world_of(path))) {
            broken.push(format!("`{path}` is new, in a world that has plugins"));
        } else if is_function && exported.contains(interface) {
            broken.push(format!(
                "`{path}` is new, in an interface that plugins export"
            ));
        }
    }
    broken
}

/// `world x ` of `world x exports y`.
fn world_of(path: &str) -> String {
    path.split_once(" exports ")
        .map_or_else(String::new, |(world, _)| format!("{world} "))
}

fn named(resolve: &Resolve) -> impl Iterator<Item = (&str, &Interface)> {
    let all = resolve.interfaces.iter();
    all.filter_map(|(_, it)| Some((it.name.as_deref()?, it)))
}

fn items(resolve: &Resolve) -> Items {
    let mut items = Items::new();
    for (_, package) in resolve.packages.iter() {
        let version = package.name.version.as_ref();
        let line = version.map_or_else(String::new, |it| format!("{}.{}", it.major, it.minor));
        let name = format!("{}:{}", package.name.namespace, package.name.name);
        items.insert("package".to_owned(), format!("{name}@{line}"));
    }
    for (name, interface) in named(resolve) {
        items.insert(name.to_owned(), "interface".to_owned());
        for (ty, id) in &interface.types {
            let is_resource = resolve
                .types
                .get(*id)
                .is_some_and(|it| it.kind == TypeDefKind::Resource);
            let written = match is_resource {
                true => "resource".to_owned(),
                false => words::defined(resolve, *id),
            };
            items.insert(format!("{name}.{ty}"), written);
        }
        for function in interface.functions.values() {
            let path = format!("{name}.{}", words::name(function));
            items.insert(path, words::signature(resolve, function));
        }
    }
    for (_, world) in resolve.worlds.iter() {
        for (verb, parts) in [("imports", &world.imports), ("exports", &world.exports)] {
            for part in interfaces(resolve, parts.values()) {
                items.insert(
                    format!("world {} {verb} {part}", world.name),
                    verb.to_owned(),
                );
            }
        }
    }
    items
}

fn interfaces<'r>(
    resolve: &'r Resolve,
    parts: impl Iterator<Item = &'r WorldItem>,
) -> impl Iterator<Item = &'r str> {
    parts.filter_map(|part| match part {
        WorldItem::Interface { id, .. } => resolve.interfaces.get(*id)?.name.as_deref(),
        _ => None,
    })
}

/// Interfaces that plugins have and hosts call.
fn exported(resolve: &Resolve) -> BTreeSet<&str> {
    let worlds = resolve.worlds.iter();
    worlds
        .flat_map(|(_, world)| interfaces(resolve, world.exports.values()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::understood;
    use super::*;

    const RELEASED: &str = "package a:b@0.1.0;
        interface types { record r { x: u8 } enum e { one } }
        interface clock { use types.{r}; now: func() -> u64; at: func(r: r) -> result<_, string>; }
        interface hook { ask: func(n: list<u8>) -> bool; }
        world host { import clock; }
        world plugin { include host; export hook; }";

    fn broken_by(change: impl Fn(&str) -> String) -> Vec<String> {
        broken(
            &understood(RELEASED).unwrap(),
            &understood(&change(RELEASED)).unwrap(),
        )
    }

    fn replaced(from: &'static str, to: &'static str) -> Vec<String> {
        assert!(RELEASED.contains(from));
        broken_by(|text| text.replace(from, to))
    }

    #[test]
    fn what_hosts_offer_may_grow() {
        let nothing: [String; 0] = [];
        assert_eq!(broken_by(str::to_owned), nothing);
        assert_eq!(replaced("@0.1.0", "@0.1.7"), nothing);
        assert_eq!(
            replaced(
                "now: func() -> u64;",
                "now: func() -> u64; zone: func() -> string;"
            ),
            nothing
        );
        assert_eq!(
            replaced("enum e { one }", "enum e { one } enum f { two }"),
            nothing
        );
        assert_eq!(
            replaced(
                "world host { import clock; }",
                "interface dice { roll: func() -> u8; } world host { import clock; import dice; }"
            ),
            nothing
        );
        assert_eq!(
            replaced(
                "world plugin {",
                "interface later { tell: func(); } world other { include host; export later; } world plugin {"
            ),
            nothing
        );
    }

    #[test]
    fn nothing_is_taken_away_or_changed() {
        for (from, to, said) in [
            ("now: func() -> u64;", "", "`clock.now` is gone"),
            ("-> u64", "-> s64", "`clock.now` was"),
            ("x: u8", "x: u8, y: u8", "`types.r` was `record { x: u8 }`"),
            ("{ one }", "{ one, two }", "`types.e` was"),
            ("result<_, string>", "result<u8, string>", "`clock.at` was"),
            ("@0.1.0", "@0.2.0", "`package` was"),
            (
                "world host { import clock; }",
                "world host { import types; }",
                "`world host imports clock` is gone",
            ),
        ] {
            let broken = replaced(from, to);
            assert!(
                broken.iter().any(|it| it.starts_with(said)),
                "{from}: {broken:?}"
            );
        }
    }

    #[test]
    fn nothing_is_added_where_plugins_would_have_to_have_it() {
        let broken = replaced("-> bool;", "-> bool; more: func();");
        assert_eq!(
            broken,
            ["`hook.more` is new, in an interface that plugins export"]
        );
        let broken = replaced("export hook;", "export hook; export clock;");
        assert_eq!(
            broken,
            ["`world plugin exports clock` is new, in a world that has plugins"]
        );
    }
}
