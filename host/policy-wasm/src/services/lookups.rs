//! What the operator's files know: places of addresses, numbering plans, lists and
//! groups. Read-only to plugins, replaced as a whole by a reload.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use geo::{Place, Places};
use lists::List;
use numbers::{Number, NumberError};

/// When a plugin asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    /// In `describe` or `configure`. The configuration that is being tried counts, so
    /// that a plugin can say that a list which its settings name does not exist.
    Starting,
    /// In a hook.
    Deciding,
}

/// Where addresses are.
pub trait Geo: Send + Sync {
    /// What is known of an address; none if there is no database at all.
    fn locate(&self, address: IpAddr, asking: Asking) -> Option<Place>;
}

/// Telephone numbers.
pub trait Numbers: Send + Sync {
    /// Understands what was dialled in a region.
    ///
    /// # Errors
    /// See [`NumberError`].
    fn parse(&self, dialled: &str, region: &str) -> Result<Number, NumberError>;
}

/// There is no list of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSuchList;

/// The operator's lists.
pub trait Lists: Send + Sync {
    /// The value of a key.
    ///
    /// # Errors
    /// There is no such list.
    fn find(&self, list: &str, key: &str, asking: Asking) -> Result<Option<String>, NoSuchList>;

    /// Key and value of the entry with the longest key that the text begins with.
    ///
    /// # Errors
    /// There is no such list.
    fn longest_prefix(
        &self,
        list: &str,
        text: &str,
        asking: Asking,
    ) -> Result<Option<(String, String)>, NoSuchList>;
}

/// Which groups identities are in.
pub trait Groups: Send + Sync {
    /// The groups of an identity, in alphabetical order.
    fn groups(&self, identity: &str) -> Vec<String>;
}

/// The members of groups, turned round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupBook(BTreeMap<String, Vec<String>>);

impl GroupBook {
    /// From the members of each group.
    pub fn new<G, I>(groups: G) -> Self
    where
        G: IntoIterator<Item = (String, I)>,
        I: IntoIterator<Item = String>,
    {
        let mut book: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (group, members) in groups {
            for member in members {
                book.entry(member).or_default().push(group.clone());
            }
        }
        for groups in book.values_mut() {
            groups.sort_unstable();
            groups.dedup();
        }
        Self(book)
    }

    /// An identity is in these groups too.
    pub fn add(&mut self, identity: &str, groups: &[String]) {
        let known = self.0.entry(identity.to_owned()).or_default();
        known.extend_from_slice(groups);
        known.sort_unstable();
        known.dedup();
    }

    /// The groups of an identity, in alphabetical order.
    pub fn of(&self, identity: &str) -> &[String] {
        self.0.get(identity).map_or(&[], Vec::as_slice)
    }
}

/// Everything of one configuration that can be looked up.
#[derive(Clone, Debug, Default)]
pub struct LookupBook {
    /// The databases of places.
    pub places: Places,
    /// The lists by name.
    pub lists: BTreeMap<String, Arc<List>>,
    /// The groups.
    pub groups: GroupBook,
}

/// The book in use, and the one that is being tried. All clones of the services that
/// were made with it see a replacement at once.
#[derive(Default)]
pub struct Lookups {
    current: ArcSwap<LookupBook>,
    tried: ArcSwapOption<LookupBook>,
}

impl fmt::Debug for Lookups {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Lookups")
            .field("current", &self.current.load())
            .finish_non_exhaustive()
    }
}

impl Lookups {
    /// Looks things up in this book until it is replaced.
    pub fn new(book: LookupBook) -> Self {
        Self {
            current: ArcSwap::from_pointee(book),
            tried: ArcSwapOption::empty(),
        }
    }

    /// The book in use.
    pub fn current(&self) -> Arc<LookupBook> {
        self.current.load_full()
    }

    /// Lets plugins that start see this book until the trial is dropped. Hooks keep
    /// the one in use.
    pub fn trial(&self, book: Arc<LookupBook>) -> Trial<'_> {
        self.tried.store(Some(book));
        Trial(self)
    }

    /// From now on everybody sees this book.
    pub fn replace(&self, book: Arc<LookupBook>) {
        self.current.store(book);
    }

    fn with<T>(&self, asking: Asking, look: impl FnOnce(&LookupBook) -> T) -> T {
        if asking == Asking::Starting
            && let Some(tried) = self.tried.load().as_deref()
        {
            return look(tried);
        }
        look(&self.current.load())
    }

    fn in_list<T>(
        &self,
        list: &str,
        asking: Asking,
        look: impl FnOnce(&List) -> T,
    ) -> Result<T, NoSuchList> {
        self.with(asking, |book| {
            book.lists
                .get(list)
                .map(|list| look(list))
                .ok_or(NoSuchList)
        })
    }
}

/// A book is being tried; dropping this ends it.
#[derive(Debug)]
pub struct Trial<'l>(&'l Lookups);

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        self.0.tried.store(None);
    }
}

impl Geo for Lookups {
    fn locate(&self, address: IpAddr, asking: Asking) -> Option<Place> {
        self.with(asking, |LookupBook { places, .. }| {
            (!places.is_empty()).then(|| places.locate(address))
        })
    }
}

impl Lists for Lookups {
    fn find(&self, list: &str, key: &str, asking: Asking) -> Result<Option<String>, NoSuchList> {
        self.in_list(list, asking, |list| list.find(key).map(str::to_owned))
    }

    fn longest_prefix(
        &self,
        list: &str,
        text: &str,
        asking: Asking,
    ) -> Result<Option<(String, String)>, NoSuchList> {
        self.in_list(list, asking, |list| {
            let entry = list.longest_prefix(text)?;
            Some((entry.key.to_owned(), entry.value.to_owned()))
        })
    }
}

impl Groups for Lookups {
    fn groups(&self, identity: &str) -> Vec<String> {
        self.with(Asking::Deciding, |book| book.groups.of(identity).to_vec())
    }
}

#[cfg(test)]
mod tests {
    use lists::ListLimits;

    use super::*;

    fn book(list: &str, text: &str, groups: &[(&str, &[&str])]) -> LookupBook {
        let parsed = List::parse(text.as_bytes(), ListLimits::default()).unwrap();
        let members = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let groups = groups
            .iter()
            .map(|&(name, names)| -> (String, Vec<String>) { (name.to_owned(), members(names)) });
        LookupBook {
            lists: BTreeMap::from([(list.to_owned(), Arc::new(parsed))]),
            groups: GroupBook::new(groups),
            places: Places::default(),
        }
    }

    #[test]
    fn groups_are_alphabetical_and_named_once() {
        let groups: &[(&str, &[&str])] = &[("sales", &["alice", "bob"]), ("desk", &["bob", "bob"])];
        let lookups = Lookups::new(book("none", "", groups));
        assert_eq!(lookups.groups("bob"), ["desk", "sales"]);
        assert_eq!(lookups.groups("alice"), ["sales"]);
        assert!(lookups.groups("Bob").is_empty() && lookups.groups("").is_empty());
        let mut more = book("none", "", groups);
        more.groups.add("bob", &["board".into(), "desk".into()]);
        more.groups.add("carol", &["board".into()]);
        lookups.replace(Arc::new(more));
        assert_eq!(lookups.groups("bob"), ["board", "desk", "sales"]);
        assert_eq!(lookups.groups("carol"), ["board"]);
    }

    #[test]
    fn a_trial_is_seen_by_those_who_start_and_ends_with_its_guard() {
        let lookups = Lookups::new(book("old", "a=1", &[]));
        let trial = lookups.trial(Arc::new(book("new", "a=2", &[])));
        let found = |list, asking| lookups.find(list, "a", asking);
        assert_eq!(found("new", Asking::Starting), Ok(Some("2".to_owned())));
        assert_eq!(found("old", Asking::Starting), Err(NoSuchList));
        assert_eq!(found("new", Asking::Deciding), Err(NoSuchList));
        assert_eq!(found("old", Asking::Deciding), Ok(Some("1".to_owned())));
        drop(trial);
        assert_eq!(found("new", Asking::Starting), Err(NoSuchList));
        assert_eq!(found("old", Asking::Starting), Ok(Some("1".to_owned())));
    }

    #[test]
    fn a_replacement_is_seen_at_once() {
        let lookups = Lookups::default();
        assert_eq!(lookups.locate([1, 1, 1, 1].into(), Asking::Deciding), None);
        assert_eq!(
            lookups.find("prices", "a", Asking::Deciding),
            Err(NoSuchList)
        );
        lookups.replace(Arc::new(book("prices", "a=1\nab=2", &[])));
        let entry = lookups.longest_prefix("prices", "abc", Asking::Deciding);
        assert_eq!(entry, Ok(Some(("ab".to_owned(), "2".to_owned()))));
        assert_eq!(
            lookups.longest_prefix("prices", "b", Asking::Deciding),
            Ok(None)
        );
    }
}
