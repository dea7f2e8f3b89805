//! What a host knows besides its plugins: places, lists, groups and users.

use std::collections::BTreeMap;
use std::sync::Arc;

use accounts::{Ages, Book, CodeTable};
use geo::{Database, Places};
use lists::{List, ListLimits};
use policy_wasm::{GroupBook, LookupBook};
use state::digest::Accounts;

use crate::door::REALM;
use crate::mmdb::{Value as Field, countries, database};

/// Where networks are; of cities the middle in degrees.
type Cities = &'static [(&'static str, &'static str, f64, f64)];

#[derive(Default)]
pub(crate) struct Props {
    places: Places,
    lists: BTreeMap<String, Arc<List>>,
    groups: Vec<(String, Vec<String>)>,
    users: Vec<(&'static str, &'static str)>,
    book: Option<Book>,
}

impl Props {
    /// A database of countries.
    pub(crate) fn countries(mut self, entries: &[(&'static str, &'static str)]) -> Self {
        self.places.country = Some(read(countries(entries)));
        self
    }

    /// A database of who announces what.
    pub(crate) fn systems(mut self, entries: &[(&'static str, u32, &'static str)]) -> Self {
        let entries = entries.iter().map(|&(network, number, name)| {
            let fields = vec![
                ("autonomous_system_number", Field::Number(number)),
                ("autonomous_system_organization", Field::Text(name)),
            ];
            (network, Field::Map(fields))
        });
        self.places.asn = Some(read(database("Test-ASN", 24, entries.collect())));
        self
    }

    /// A database of cities, which has their countries too.
    pub(crate) fn cities(mut self, entries: Cities) -> Self {
        let entries = entries.iter().map(|&(network, code, latitude, longitude)| {
            let middle = vec![
                ("latitude", Field::Double(latitude)),
                ("longitude", Field::Double(longitude)),
            ];
            let country = vec![("iso_code", Field::Text(code))];
            let fields = vec![
                ("country", Field::Map(country)),
                ("location", Field::Map(middle)),
            ];
            (network, Field::Map(fields))
        });
        self.places.city = Some(read(database("Test-City", 32, entries.collect())));
        self
    }

    /// A list, as it would stand in its file.
    pub(crate) fn list(mut self, name: &str, text: &str) -> Self {
        let list = List::parse(text.as_bytes(), ListLimits::default()).expect("a sound list");
        self.lists.insert(name.to_owned(), Arc::new(list));
        self
    }

    pub(crate) fn group(mut self, name: &str, members: &[&str]) -> Self {
        let members = members.iter().map(|&member| member.to_owned());
        self.groups.push((name.to_owned(), members.collect()));
        self
    }

    /// Somebody with a password in the realm of all tests.
    pub(crate) fn user(mut self, name: &'static str, password: &'static str) -> Self {
        self.users.push((name, password));
        self
    }

    /// What the account store has: PINs and secrets of one-time codes.
    pub(crate) fn store(mut self, book: Book) -> Self {
        self.book = Some(book);
        self
    }

    pub(crate) fn codes(&self) -> CodeTable {
        let book = self.book.as_ref();
        book.map(|book| book.codes(&Ages::default()))
            .unwrap_or_default()
    }

    pub(crate) fn password(&self, user: &str) -> Option<&'static str> {
        let found = self.users.iter().find(|(name, _)| *name == user);
        found.map(|(_, password)| *password)
    }

    pub(crate) fn book(&self) -> LookupBook {
        LookupBook {
            places: self.places.clone(),
            lists: self.lists.clone(),
            groups: GroupBook::new(self.groups.clone()),
        }
    }

    pub(crate) fn accounts(&self) -> Accounts {
        let mut accounts = Accounts::builder();
        for (user, password) in &self.users {
            accounts
                .password(user, REALM, password.as_bytes())
                .expect("a good name");
        }
        accounts.build()
    }
}

fn read(bytes: Vec<u8>) -> Arc<Database> {
    Arc::new(Database::from_bytes(bytes).expect("a sound database"))
}
