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
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::{Harness, Passing, json};
    /// let harness = Harness::<Passing>::new(json!(null));
    /// harness.set_now_ms(1_700_000_000_000);
    /// assert_eq!(harness.inside(sipward_plugin_sdk::clock::now_ms), 1_700_000_000_000);
    /// ```
    pub fn set_now_ms(&self, now_ms: u64) {
        self.change(|world| world.now_ms = now_ms);
    }

    /// Adds a user that [`crate::credentials::verify`] knows.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::{Harness, Passing, json};
    /// let harness = Harness::<Passing>::new(json!(null)).with_user("alice", "secret");
    /// # let _ = harness;
    /// ```
    #[must_use]
    pub fn with_user(self, user: &str, password: &str) -> Self {
        self.change(|world| world.users.insert(user.to_owned(), password.to_owned()));
        self
    }

    /// Adds a PIN that [`crate::credentials::check_code`] knows.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::{Harness, Passing, json};
    /// use sipward_plugin_sdk::credentials::{CodeVerification, check_code};
    /// let harness = Harness::<Passing>::new(json!(null)).with_code("alice", "7391");
    /// assert_eq!(harness.inside(|| check_code("alice", "7391")), CodeVerification::Ok);
    /// ```
    #[must_use]
    pub fn with_code(self, account: &str, code: &str) -> Self {
        self.add_code(account, code, false);
        self
    }

    /// Adds a one-time code: it is right once, and replayed then.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::{Harness, Passing, json};
    /// use sipward_plugin_sdk::credentials::{CodeVerification, check_code};
    /// let harness = Harness::<Passing>::new(json!(null)).with_one_time_code("alice", "739155");
    /// assert_eq!(harness.inside(|| check_code("alice", "739155")), CodeVerification::Ok);
    /// assert_eq!(harness.inside(|| check_code("alice", "739155")), CodeVerification::Replayed);
    /// ```
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
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::{Harness, Passing, json};
    /// let harness = Harness::<Passing>::new(json!(null)).with_group("sales", ["alice", "bob"]);
    /// assert_eq!(harness.inside(|| sipward_plugin_sdk::identity::groups("bob")), ["sales"]);
    /// ```
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
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::{Harness, Passing, json};
    /// let harness = Harness::<Passing>::new(json!(null))
    ///     .with_tls("TLSv1.2", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
    /// # let _ = harness;
    /// ```
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
    /// ```
    /// # use sipward_plugin_sdk::testing::{Harness, Passing, json};
    /// use sipward_plugin_sdk::geo::{Place, locate};
    /// let harness = Harness::<Passing>::new(json!(null))
    ///     .with_place("192.0.2.0/24", Place::in_country("DE"));
    /// let place = harness.inside(|| locate("192.0.2.7".parse().unwrap()));
    /// assert_eq!(place.unwrap().country, "DE");
    /// ```
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
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::{Harness, Passing, json};
    /// let harness = Harness::<Passing>::new(json!(null)).with_list("prices", [("+49", "2")]);
    /// let entry = harness.inside(|| sipward_plugin_sdk::lists::longest_prefix("prices", "+4930"));
    /// assert_eq!(entry.unwrap().unwrap().value, "2");
    /// ```
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
    /// ```
    /// # use sipward_plugin_sdk::testing::{Harness, Passing, json};
    /// let harness = Harness::<Passing>::new(json!(null)).with_list("barred", [("alice", "")]);
    /// harness.set_list("barred", []);
    /// assert_eq!(harness.inside(|| sipward_plugin_sdk::lists::find("barred", "alice")), Ok(None));
    /// ```
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
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::{Harness, Passing, json};
    /// use sipward_plugin_sdk::counters::{CounterError, Window};
    /// let harness = Harness::<Passing>::new(json!(null));
    /// harness.set_counters_full(true);
    /// let counted = harness.inside(|| Window::new("guesses", 1_000).add(b"alice", 1));
    /// assert_eq!(counted, Err(CounterError::Full));
    /// ```
    pub fn set_counters_full(&self, full: bool) {
        self.change(|world| world.counters_full = full);
    }

    /// Makes the table of leases full, or ends that.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::{Harness, Passing, json};
    /// use sipward_plugin_sdk::leases::{Lease, LeaseError};
    /// let harness = Harness::<Passing>::new(json!(null));
    /// harness.set_leases_full(true);
    /// let held = harness.inside(|| Lease::new("calls").hold(b"alice", 1, 2));
    /// assert_eq!(held, Err(LeaseError::Full));
    /// ```
    pub fn set_leases_full(&self, full: bool) {
        self.change(|world| world.leases.full = full);
    }

    /// Makes the key-value store fail, or ends that.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::{Harness, Passing, json};
    /// use sipward_plugin_sdk::keyvalue::{self, KvError};
    /// let harness = Harness::<Passing>::new(json!(null));
    /// harness.set_keyvalue_fails(true);
    /// assert_eq!(harness.inside(|| keyvalue::get("last/alice")), Err(KvError::Failed));
    /// ```
    pub fn set_keyvalue_fails(&self, fails: bool) {
        self.change(|world| world.keyvalue_fails = fails);
    }

    /// The lines logged so far, and forgets them.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::{Harness, Passing, json};
    /// let harness = Harness::<Passing>::new(json!(null));
    /// harness.inside(|| sipward_plugin_sdk::info!("ready"));
    /// assert_eq!(harness.take_logs().len(), 1);
    /// assert!(harness.take_logs().is_empty());
    /// ```
    #[must_use]
    pub fn take_logs(&self) -> Vec<(Level, String)> {
        self.change(|world| std::mem::take(&mut world.logs))
    }

    /// How often the policy called the host since this was last asked.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::{Harness, Passing, json};
    /// let harness = Harness::<Passing>::new(json!(null));
    /// harness.inside(sipward_plugin_sdk::clock::now_ms);
    /// assert_eq!(harness.take_host_calls(), 1);
    /// ```
    #[must_use]
    pub fn take_host_calls(&self) -> usize {
        self.change(|world| std::mem::take(&mut world.host_calls))
    }
}
