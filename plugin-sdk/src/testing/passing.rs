//! A policy that is there for its host alone.

use crate::testing::Harness;
use crate::testing::world::leases::Holder;
use crate::{Capability, Policy, SettingsError};

/// A policy that lets everything pass and names every capability: for tests of
/// functions that ask the host.
///
/// ```
/// use sipward_plugin_sdk::testing::{Harness, Passing, json};
/// use sipward_plugin_sdk::{geo, geo::Place};
///
/// fn is_german(address: &str) -> bool {
///     let place = geo::locate(address.parse().unwrap());
///     place.is_ok_and(|place| place.country == "DE")
/// }
///
/// let harness = Harness::<Passing>::new(json!(null))
///     .with_place("192.0.2.0/24", Place::in_country("DE"));
/// assert!(harness.inside(|| is_german("192.0.2.1")));
/// ```
pub struct Passing;

impl Policy for Passing {
    type Settings = ();

    const NAME: &'static str = "passing";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str = "Lets everything pass";
    const CAPABILITIES: &'static [Capability] = &[
        Capability::Counters,
        Capability::KeyValue,
        Capability::Credentials,
        Capability::Leases,
        Capability::Geo,
        Capability::Lists,
        Capability::EditHeaders,
        Capability::Route,
    ];

    fn configure((): ()) -> Result<Self, SettingsError> {
        Ok(Self)
    }
}

impl<P: Policy> Harness<P> {
    /// Runs a function with the virtual host around it, as if an INVITE were asked
    /// about: what it holds is given back afterwards.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::{Harness, Passing, json};
    /// use sipward_plugin_sdk::numbers;
    /// let harness = Harness::<Passing>::new(json!(null));
    /// let number = harness.inside(|| numbers::parse("030 123456", "DE")).unwrap();
    /// assert_eq!(number.e164, "+4930123456");
    /// ```
    ///
    /// # Panics
    /// If the function asks for what the policy does not name in its capabilities.
    pub fn inside<T>(&self, action: impl FnOnce() -> T) -> T {
        self.change(|world| world.leases.holder = Holder::Request);
        let result = self.enter(action);
        self.change(|world| {
            world.leases.holder = Holder::Nobody;
            world.leases.release(Holder::Request);
        });
        result
    }
}

/// Runs a function inside a virtual host that is as empty as a new one: see
/// [`Harness::inside`].
///
/// ```
/// use sipward_plugin_sdk::{keyvalue, testing};
/// assert_eq!(testing::inside(|| keyvalue::get("last/alice")), Ok(None));
/// ```
pub fn inside<T>(action: impl FnOnce() -> T) -> T {
    Harness::<Passing>::new(serde_json::Value::Null).inside(action)
}
