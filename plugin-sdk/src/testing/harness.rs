//! A policy with a host around it.

use std::cell::RefCell;
use std::time::Duration;

use crate::log::Level;
use crate::testing::world::{self, World};
use crate::testing::{Request, Response};
use crate::{Outcome, Policy, SettingsError, glue};

/// A configured policy and its virtual host.
///
/// Time stands still unless [`Harness::advance`] moves it. Counters, values and
/// users belong to the harness: two harnesses never see each other's.
pub struct Harness<P> {
    policy: P,
    world: RefCell<Option<World>>,
}

impl<P: Policy> Harness<P> {
    /// Configures the policy as the host does.
    ///
    /// # Panics
    /// If the settings are refused; see [`Harness::try_new`].
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "`new(json!(..))` reads better"
    )]
    pub fn new(settings: serde_json::Value) -> Self {
        match Self::try_new(&settings) {
            Ok(harness) => harness,
            Err(error) => panic!("settings refused: {error}"),
        }
    }

    /// Configures the policy as the host does.
    ///
    /// # Errors
    /// What the operator would be told about the settings.
    pub fn try_new(settings: &serde_json::Value) -> Result<Self, SettingsError> {
        let mut world = Some(World::new(P::CAPABILITIES));
        let policy = world::enter(&mut world, || glue::configure::<P>(&settings.to_string()))?;
        Ok(Self {
            policy,
            world: RefCell::new(world),
        })
    }

    /// The JSON Schema of the settings, as the manifest holds it.
    #[must_use]
    pub fn settings_schema() -> serde_json::Value {
        schemars::schema_for!(P::Settings).to_value()
    }

    /// Asks the policy about a request. A method that `METHODS` does not name is
    /// let through without asking, as the host does.
    pub fn call(&self, request: &Request) -> Outcome {
        if !P::METHODS.is_empty() && !P::METHODS.contains(&request.method_name()) {
            return Outcome::next();
        }
        let (facts, message) = request.build();
        let mut world = self.world.borrow_mut();
        world::enter(&mut world, || {
            self.policy
                .on_request(&crate::Request::new(&facts, &message))
        })
    }

    /// Asks the policy about a response.
    pub fn answer(&self, response: &Response) -> Outcome {
        let (facts, message) = response.build();
        let mut world = self.world.borrow_mut();
        world::enter(&mut world, || {
            self.policy
                .on_response(&crate::Response::new(&facts, &message))
        })
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.change(|world| world.now_ms = world.now_ms.saturating_add(by));
    }

    /// Sets the clock, in milliseconds since 1970.
    pub fn set_now_ms(&self, now_ms: u64) {
        self.change(|world| world.now_ms = now_ms);
    }

    /// Adds a user that [`crate::credentials::verify`] knows.
    #[must_use]
    pub fn with_user(self, user: &str, password: &str) -> Self {
        self.change(|world| world.users.insert(user.to_owned(), password.to_owned()));
        self
    }

    /// Restarts the virtual host: volatile counters are forgotten.
    pub fn restart(&self) {
        self.change(World::restart);
    }

    /// Makes the counter table full, or ends that.
    pub fn set_counters_full(&self, full: bool) {
        self.change(|world| world.counters_full = full);
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

    fn change<T>(&self, action: impl FnOnce(&mut World) -> T) -> T {
        match self.world.borrow_mut().as_mut() {
            Some(world) => action(world),
            None => unreachable!("the world is lent during calls only"),
        }
    }
}
