//! What a test puts around the policy: users, places, lists, faults.

use std::collections::BTreeMap;

use crate::bindings::identity::TlsSession;
use crate::geo::Place;
use crate::log::Level;
use crate::testing::Harness;
use crate::testing::world::credentials::Code;
use crate::{Network, Policy};

impl<P: Policy> Harness<P> {
    /// Sets the clock, in milliseconds since 1970. Calls hear nothing of it; see
    /// [`Harness::advance`].
    pub fn set_now_ms(&self, now_ms: u64) {
        self.change(|world| world.now_ms = now_ms);
    }

    /// Adds a user that [`crate::credentials::verify`] knows.
    #[must_use]
    pub fn with_user(self, user: &str, password: &str) -> Self {
        self.change(|world| world.users.insert(user.to_owned(), password.to_owned()));
        self
    }

    /// Adds a PIN that [`crate::credentials::check_code`] knows.
    #[must_use]
    pub fn with_code(self, account: &str, code: &str) -> Self {
        self.add_code(account, code, false);
        self
    }

    /// Adds a one-time code: it is right once, and replayed then.
    #[must_use]
    pub fn with_one_time_code(self, account: &str, code: &str) -> Self {
        self.add_code(account, code, true);
        self
    }

    fn add_code(&self, account: &str, code: &str, once: bool) {
        let code = Code {
            code: code.to_owned(),
            once,
            used: false,
        };
        self.change(|world| {
            let codes = world.codes.entry(account.to_owned());
            codes.or_default().push(code);
        });
    }

    /// Adds identities to a group, as [`crate::identity::groups`] tells.
    #[must_use]
    pub fn with_group<'m>(self, group: &str, members: impl IntoIterator<Item = &'m str>) -> Self {
        let members = members.into_iter().map(str::to_owned);
        self.change(|world| {
            let group = world.groups.entry(group.to_owned());
            group.or_default().extend(members);
        });
        self
    }

    /// Sets the TLS session of all requests that come over TLS or secure WebSocket,
    /// TLS 1.3 with `TLS_AES_256_GCM_SHA384` otherwise;
    /// [`Request::tls`](crate::testing::Request::tls) is for one of them.
    #[must_use]
    pub fn with_tls(self, version: &str, cipher: &str) -> Self {
        let session = TlsSession {
            version: version.to_owned(),
            cipher: cipher.to_owned(),
        };
        self.change(|world| world.tls = session);
        self
    }

    /// Says where the addresses of a network are; of several networks the longest
    /// counts. Without any there is no database.
    ///
    /// # Panics
    /// If it is no network in CIDR notation.
    #[must_use]
    pub fn with_place(self, network: &str, place: Place) -> Self {
        let network: Network = match network.parse() {
            Ok(network) => network,
            Err(error) => panic!("{error}"),
        };
        self.change(|world| {
            world.places.retain(|(other, _)| *other != network);
            world.places.push((network, place));
        });
        self
    }

    /// Adds a list of the operator.
    #[must_use]
    pub fn with_list<'e>(
        self,
        name: &str,
        entries: impl IntoIterator<Item = (&'e str, &'e str)>,
    ) -> Self {
        self.set_list(name, entries);
        self
    }

    /// Replaces a list, as its file changes. Of equal keys the last one counts.
    ///
    /// # Panics
    /// If a key is empty: no line of a file makes one.
    pub fn set_list<'e>(&self, name: &str, entries: impl IntoIterator<Item = (&'e str, &'e str)>) {
        let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        let entries: BTreeMap<_, _> = entries.into_iter().map(owned).collect();
        assert!(!entries.contains_key(""), "a key of {name} is empty");
        self.change(|world| world.lists.insert(name.to_owned(), entries));
    }

    /// Makes the counter table full, or ends that.
    pub fn set_counters_full(&self, full: bool) {
        self.change(|world| world.counters_full = full);
    }

    /// Makes the table of leases full, or ends that.
    pub fn set_leases_full(&self, full: bool) {
        self.change(|world| world.leases.full = full);
    }

    /// Makes the key-value store fail, or ends that.
    pub fn set_keyvalue_fails(&self, fails: bool) {
        self.change(|world| world.keyvalue_fails = fails);
    }

    /// The lines logged so far, and forgets them.
    #[must_use]
    pub fn take_logs(&self) -> Vec<(Level, String)> {
        self.change(|world| std::mem::take(&mut world.logs))
    }

    /// How often the policy called the host since this was last asked.
    #[must_use]
    pub fn take_host_calls(&self) -> usize {
        self.change(|world| std::mem::take(&mut world.host_calls))
    }
}
