//! Databases, lists and groups: read once, and used again by the next configuration
//! if the file is the same.

use std::collections::{BTreeMap, HashMap};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use accounts::Members;
use geo::{Database, DatabaseLimits, Places};
use lists::{List, ListLimits};
use policy_wasm::{GroupBook, LookupBook};

use super::AssembleError;
use crate::config::Config;

/// What a file looked like when it was read; a file that looks the same is the same.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Look {
    device: u64,
    inode: u64,
    bytes: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

impl Look {
    fn of(file: &Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
            bytes: file.size(),
            written: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }
}

/// Files by path, as they were read.
type Kept<T> = HashMap<PathBuf, (Look, Arc<T>)>;

/// The files that the running configuration has read.
#[derive(Default)]
pub(crate) struct LookupShelf {
    databases: Kept<Database>,
    lists: Kept<List>,
}

impl LookupShelf {
    /// Read what is new and put the book together, with the groups of the account
    /// store among those of the configuration. The shelf that comes with it
    /// replaces this one when the configuration is installed.
    ///
    /// # Errors
    /// A file cannot be read or something in it is wrong; nothing has changed.
    pub(crate) fn book(
        &self,
        config: &Config,
        members: &Members,
    ) -> Result<(LookupBook, Self), AssembleError> {
        let mut shelf = Self::default();
        let mut places = Places::default();
        for (key, file) in config.geo.iter().flat_map(crate::config::Geo::files) {
            let database = shelf.database(self, key, file)?;
            match key {
                "country" => places.country = Some(database),
                "asn" => places.asn = Some(database),
                _ => places.city = Some(database),
            }
        }
        let mut lists = BTreeMap::new();
        for list in &config.lists {
            let read = shelf.list(self, &list.name, &list.file)?;
            lists.insert(list.name.clone(), read);
        }
        let mut groups = GroupBook::new(config.groups.clone());
        for (user, named) in members.iter() {
            groups.add(user, named);
        }
        let book = LookupBook {
            places,
            lists,
            groups,
        };
        Ok((book, shelf))
    }

    fn database(
        &mut self,
        old: &Self,
        key: &str,
        file: &Path,
    ) -> Result<Arc<Database>, AssembleError> {
        let read = |path: &Path| {
            Database::read(path, DatabaseLimits::default()).map_err(|error| error.to_string())
        };
        kept(&mut self.databases, &old.databases, file, read)
            .map_err(|message| wrong(format!("geo.{key}"), file, &message))
    }

    fn list(&mut self, old: &Self, name: &str, file: &Path) -> Result<Arc<List>, AssembleError> {
        let read = |path: &Path| {
            List::read(path, ListLimits::default()).map_err(|error| error.to_string())
        };
        kept(&mut self.lists, &old.lists, file, read)
            .map_err(|message| wrong(format!("list `{name}`"), file, &message))
    }
}

fn wrong(key: String, file: &Path, message: &str) -> AssembleError {
    AssembleError::value(key, format!("{}: {message}", file.display()))
}

/// A file from one of the shelves, or read now.
fn kept<T>(
    new: &mut Kept<T>,
    old: &Kept<T>,
    file: &Path,
    read: impl FnOnce(&Path) -> Result<T, String>,
) -> Result<Arc<T>, String> {
    // Looked at before it is read: if it changes in between, it is read once more.
    let about = std::fs::metadata(file).map_err(|error| format!("failed to read it: {error}"))?;
    let look = Look::of(&about);
    let known = new.get(file).or_else(|| old.get(file));
    let value = match known {
        Some((known, value)) if *known == look => Arc::clone(value),
        _ => Arc::new(read(file)?),
    };
    new.insert(file.to_owned(), (look, Arc::clone(&value)));
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use accounts::{Book, Enrolment, NewPassword};

    use super::*;
    use crate::config::load_with;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn write(&self, name: &str, text: &str) -> PathBuf {
            let beside = self.0.path().join("beside");
            let path = self.0.path().join(name);
            std::fs::write(&beside, text).unwrap();
            std::fs::rename(beside, &path).unwrap();
            path
        }

        fn config(&self, text: &str) -> Config {
            let acl =
                "[[listener]]\nname = \"a\"\ntransport = \"udp\"\nbind = \"127.0.0.1:5060\"\n";
            let file = self.write("sipward.toml", &format!("{acl}{text}"));
            load_with(&file, []).unwrap().config
        }
    }

    const LISTS: &str = "[[list]]\nname = \"one\"\nfile = \"one\"\n\
        [[list]]\nname = \"two\"\nfile = \"two\"\n\
        [[list]]\nname = \"again\"\nfile = \"one\"\n\
        [groups]\nsales = [\"bob\"]\ndesk = [\"bob\"]\n";

    #[test]
    fn a_file_is_read_once_and_again_when_it_has_changed() {
        let folder = Folder(tempfile::tempdir().unwrap());
        folder.write("one", "a = 1\n");
        folder.write("two", "b = 1\n");
        let config = folder.config(LISTS);
        let (first, shelf) = LookupShelf::default()
            .book(&config, &Members::default())
            .unwrap();
        assert_eq!(first.groups.of("bob"), ["desk", "sales"]);
        assert!(Arc::ptr_eq(&first.lists["one"], &first.lists["again"]));
        folder.write("two", "b = 2\n");
        let (second, shelf) = shelf.book(&config, &Members::default()).unwrap();
        assert!(Arc::ptr_eq(&first.lists["one"], &second.lists["one"]));
        assert_eq!(first.lists["two"].find("b"), Some("1"));
        assert_eq!(second.lists["two"].find("b"), Some("2"));

        folder.write("one", "a = 2\na = 3\n");
        let error = shelf
            .book(&config, &Members::default())
            .err()
            .unwrap()
            .to_string();
        assert!(error.starts_with("list `one`: "), "{error}");
        assert!(
            error.ends_with("one: line 2: its key stands in line 1 already"),
            "{error}"
        );
        std::fs::remove_file(folder.0.path().join("one")).unwrap();
        let error = shelf
            .book(&config, &Members::default())
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("failed to read it"), "{error}");
    }

    #[test]
    fn groups_of_the_store_stand_beside_those_of_the_configuration() {
        let folder = Folder(tempfile::tempdir().unwrap());
        let config = folder.config("[groups]\nsales = [\"bob\"]\n");
        let mut store = Book::new().unwrap();
        for (user, groups) in [("bob", ["board"].as_slice()), ("eve", &["desk"])] {
            let enrolment = Enrolment {
                user,
                realms: &["pbx"],
                groups,
                max_age_days: None,
            };
            store.add(enrolment, NewPassword::Generated, 1).unwrap();
        }
        let (book, _) = LookupShelf::default()
            .book(&config, &store.members())
            .unwrap();
        assert_eq!(book.groups.of("bob"), ["board", "sales"]);
        assert_eq!(book.groups.of("eve"), ["desk"]);
    }

    #[test]
    fn a_database_that_is_none_is_refused_by_its_key() {
        let folder = Folder(tempfile::tempdir().unwrap());
        folder.write("city", "no database\n");
        let config = folder.config("[geo]\ncity = \"city\"\n");
        let error = LookupShelf::default()
            .book(&config, &Members::default())
            .err()
            .unwrap()
            .to_string();
        assert!(error.starts_with("geo.city: "), "{error}");
        assert!(error.contains("no sound MaxMind DB"), "{error}");
    }
}
