//! Databases, lists and groups. What is in the files is read later, as it may be
//! large.

use std::collections::BTreeSet;

use super::{Checks, named, path};
use crate::config::place::Part;

impl Checks<'_, '_, '_> {
    pub(super) fn lookups(&mut self) {
        self.geo();
        let (lists, numbers) = (&self.config.lists, &self.numbers.lists);
        self.unique(named(numbers, lists, "list", |list| &list.name));
        for (&number, list) in numbers.iter().zip(lists) {
            self.readable(&path("list", number, &["file"]), &list.file);
        }
        self.groups();
    }

    fn geo(&mut self) {
        let Some(geo) = &self.config.geo else {
            return;
        };
        let section = "geo".to_owned();
        if geo.files().next().is_none() {
            self.wrong_at(
                &[section],
                Part::Key,
                "names no database",
                "write at least one of `country`, `asn` and `city`, or remove the table",
            );
            return;
        }
        for (key, file) in geo.files() {
            self.readable(&[section.clone(), key.to_owned()], file);
        }
    }

    fn groups(&mut self) {
        for (group, members) in &self.config.groups {
            let at = |rest: &[String]| [&["groups".to_owned(), group.clone()], rest].concat();
            let mut seen = BTreeSet::new();
            for (index, member) in members.iter().enumerate() {
                let place = at(&[index.to_string()]);
                if member.is_empty() {
                    self.wrong(&place, "is empty", "write the identity of a member");
                } else if !seen.insert(member) {
                    self.wrong(
                        &place,
                        format!("`{member}` is in this group already"),
                        "name each member once",
                    );
                }
            }
            if group.is_empty() {
                self.wrong_at(&at(&[]), Part::Key, "is empty", "give it a name");
            }
        }
    }
}
