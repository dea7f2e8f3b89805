//! A policy with a host around it.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use crate::testing::call::{CallHandle, CallStep, End, Event, OpenCall};
use crate::testing::checks;
use crate::testing::world::leases::Holder;
use crate::testing::world::{self, RequestContext, World};
use crate::testing::{Request, Response};
use crate::{Call, CallEvent, Outcome, Policy, SettingsError, glue};

/// A configured policy and its virtual host.
///
/// Time stands still unless [`Harness::advance`] moves it. State, look-ups and calls
/// belong to the harness: two harnesses never see each other's.
///
/// ```
/// use sipward_plugin_sdk::testing::{Harness, Passing, Request, json};
/// let harness = Harness::<Passing>::new(json!(null)).with_user("alice", "secret");
/// assert!(harness.call(&Request::invite("sip:bob@example.com")).is_next());
/// ```
pub struct Harness<P> {
    /// None before it is configured.
    policy: RefCell<Option<Rc<P>>>,
    world: RefCell<Option<World>>,
    calls: RefCell<Calls>,
}

/// The calls of a harness.
#[derive(Default)]
struct Calls {
    begun: u64,
    open: Vec<OpenCall>,
    steps: Vec<CallStep>,
}

impl Calls {
    fn find(&mut self, number: u64) -> &mut OpenCall {
        match self.open.iter_mut().find(|call| call.number == number) {
            Some(call) => call,
            None => panic!("call {number} is over"),
        }
    }

    fn forget(&mut self, number: u64) {
        self.open.retain(|call| call.number != number);
    }
}

impl<P: Policy> Harness<P> {
    /// Configures the policy as the host does.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::{Harness, Passing, json};
    /// let harness = Harness::<Passing>::new(json!(null));
    /// # let _ = harness;
    /// ```
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
    /// ```
    /// use sipward_plugin_sdk::testing::{Harness, Passing, json};
    /// assert!(Harness::<Passing>::try_new(&json!({ "opne": 8 })).is_err());
    /// ```
    ///
    /// # Errors
    /// What the operator would be told about the settings.
    pub fn try_new(settings: &serde_json::Value) -> Result<Self, SettingsError> {
        Self::unconfigured().try_configured(settings)
    }

    /// A host without the policy, for policies that look around in `configure`: give
    /// it lists, places and groups, then [`Harness::configured`].
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::{Harness, Passing, json};
    /// let harness = Harness::<Passing>::unconfigured()
    ///     .with_list("prices", [("+49", "2")])
    ///     .configured(json!(null));
    /// # let _ = harness;
    /// ```
    #[must_use]
    pub fn unconfigured() -> Self {
        Self {
            policy: RefCell::new(None),
            world: RefCell::new(Some(World::new(P::CAPABILITIES))),
            calls: RefCell::default(),
        }
    }

    /// Configures the policy in the host that was prepared.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::{Harness, Passing, json};
    /// let harness = Harness::<Passing>::unconfigured().configured(json!(null));
    /// # let _ = harness;
    /// ```
    ///
    /// # Panics
    /// If the settings are refused.
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "`configured(json!(..))` reads better"
    )]
    pub fn configured(self, settings: serde_json::Value) -> Self {
        match self.try_configured(&settings) {
            Ok(harness) => harness,
            Err(error) => panic!("settings refused: {error}"),
        }
    }

    /// Configures the policy in the host that was prepared.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::{Harness, Passing, json};
    /// let refused = Harness::<Passing>::unconfigured().try_configured(&json!(7));
    /// assert!(refused.is_err());
    /// ```
    ///
    /// # Errors
    /// What the operator would be told about the settings.
    pub fn try_configured(self, settings: &serde_json::Value) -> Result<Self, SettingsError> {
        self.reload(settings)?;
        Ok(self)
    }

    /// Configures the policy anew, as a reload does: state, users and calls stay.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::{Harness, Passing, json};
    /// let harness = Harness::<Passing>::new(json!(null));
    /// assert!(harness.reload(&json!({ "opne": 8 })).is_err());
    /// ```
    ///
    /// # Errors
    /// What the operator would be told about the settings; the old ones stay in force.
    pub fn reload(&self, settings: &serde_json::Value) -> Result<(), SettingsError> {
        self.change(|world| world.configuring = true);
        let configured = world::enter(&mut self.world.borrow_mut(), || {
            glue::configure::<P>(&settings.to_string())
        });
        self.change(|world| world.configuring = false);
        *self.policy.borrow_mut() = Some(Rc::new(configured?));
        Ok(())
    }

    /// The JSON Schema of the settings, as the manifest holds it.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::{Harness, Passing};
    /// assert_eq!(Harness::<Passing>::settings_schema()["type"], "null");
    /// ```
    #[must_use]
    pub fn settings_schema() -> serde_json::Value {
        schemars::schema_for!(P::Settings).to_value()
    }

    /// Asks the policy about a request, and follows nothing that it may begin: what it
    /// held is given back, as if a later plugin of the pipeline had refused. A method
    /// that `METHODS` does not name is let through without asking, as the host does.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::{Harness, Passing, Request, json};
    /// let harness = Harness::<Passing>::new(json!(null));
    /// assert!(harness.call(&Request::register("sip:example.com")).is_next());
    /// ```
    ///
    /// # Panics
    /// If the host would call the outcome a failure of the policy.
    pub fn call(&self, request: &Request) -> Outcome {
        let outcome = self.judge(request);
        self.change(|world| world.leases.release(Holder::Request));
        outcome
    }

    /// Asks the policy about an INVITE outside a dialog and follows the call if it is
    /// admitted: what the request held is kept, and the policy hears that it started.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::{Harness, Passing, Request, json};
    /// let harness = Harness::<Passing>::new(json!(null));
    /// let (outcome, call) = harness.begin(&Request::invite("sip:bob@example.com"));
    /// assert!(outcome.is_next() && !call.unwrap().is_over());
    /// ```
    ///
    /// # Panics
    /// If the request begins no call, or the host would call an outcome a failure of
    /// the policy.
    pub fn begin(&self, request: &Request) -> (Outcome, Option<CallHandle<'_, P>>) {
        assert!(
            request.begins_call(),
            "only an INVITE outside a dialog begins a call"
        );
        let outcome = self.judge(request);
        if !outcome.is_next() {
            self.change(|world| world.leases.release(Holder::Request));
            return (outcome, None);
        }
        let now_ms = self.change(|world| world.now_ms);
        let number = {
            let calls = &mut *self.calls.borrow_mut();
            calls.begun += 1;
            let call = request.open_call(calls.begun, &outcome, now_ms);
            calls.open.push(call);
            calls.begun
        };
        self.change(|world| world.leases.keep(number));
        let _answer = self.tell(number, &Event::Started);
        let handle = CallHandle {
            harness: self,
            number,
        };
        (outcome, Some(handle))
    }

    /// Asks the policy about a response.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::{Harness, Passing, Response, json};
    /// let harness = Harness::<Passing>::new(json!(null));
    /// assert!(harness.answer(&Response::new(486, "Busy Here")).is_next());
    /// ```
    ///
    /// # Panics
    /// If the host would call the outcome a failure of the policy.
    pub fn answer(&self, response: &Response) -> Outcome {
        let (facts, message) = response.build();
        let outcome = self.ask(Holder::Nobody, RequestContext::default(), |policy| {
            policy.on_response(&crate::Response::new(&facts, &message))
        });
        checks::response_outcome(&outcome, facts.status);
        outcome
    }

    /// Moves the clock forward. Calls get the ticks that the policy asked for, and end
    /// when their time is up, each at its own moment; gives what happened, in order.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::{Harness, Passing, json};
    /// let harness = Harness::<Passing>::new(json!(null));
    /// harness.advance(std::time::Duration::from_secs(60));
    /// assert_eq!(harness.inside(sipward_plugin_sdk::clock::now_ms), 60_000);
    /// ```
    pub fn advance(&self, by: Duration) -> Vec<CallStep> {
        let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        let until = self.change(|world| world.now_ms).saturating_add(by);
        let seen = self.calls.borrow().steps.len();
        while let Some((at_ms, number, event)) = self.next_due(until) {
            self.change(|world| world.now_ms = world.now_ms.max(at_ms));
            let _answer = self.tell(number, &event);
        }
        self.change(|world| world.now_ms = until);
        self.calls
            .borrow()
            .steps
            .iter()
            .skip(seen)
            .cloned()
            .collect()
    }

    /// The names and keys of which calls hold anything: empty when all is given back.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::{Harness, Passing, json};
    /// let harness = Harness::<Passing>::new(json!(null));
    /// assert!(harness.leases().is_empty(), "nothing is held for ever");
    /// ```
    #[must_use]
    pub fn leases(&self) -> Vec<(String, Vec<u8>)> {
        self.change(|world| world.leases.names())
    }

    /// What all calls hold of a lease under a key.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::{Harness, Passing, json};
    /// let harness = Harness::<Passing>::new(json!(null));
    /// assert_eq!(harness.held("calls", "alice"), 0);
    /// ```
    #[must_use]
    pub fn held(&self, lease: &str, key: impl AsRef<[u8]>) -> u64 {
        self.change(|world| world.leases.held(lease, key.as_ref()))
    }

    /// Restarts the virtual host: volatile counters are forgotten, and calls are gone
    /// with all that they held, without another event.
    ///
    /// ```
    /// # use sipward_plugin_sdk::testing::{Harness, Passing, json};
    /// use sipward_plugin_sdk::counters::Window;
    /// const GUESSES: Window = Window::new("guesses", 60_000);
    /// let harness = Harness::<Passing>::new(json!(null));
    /// harness.inside(|| GUESSES.add(b"alice", 1)).unwrap();
    /// harness.restart();
    /// assert_eq!(harness.inside(|| GUESSES.count(b"alice")), Ok(0));
    /// ```
    pub fn restart(&self) {
        self.calls.borrow_mut().open.clear();
        self.change(World::restart);
    }

    pub(super) fn answer_call(&self, number: u64, peer: Option<&str>) -> Outcome {
        let now_ms = self.change(|world| world.now_ms);
        {
            let calls = &mut *self.calls.borrow_mut();
            let call = calls.find(number);
            assert!(
                call.answered_ms.is_none(),
                "call {number} was answered before"
            );
            call.answered_ms = Some(now_ms);
            call.callee = peer.map(str::to_owned);
        }
        self.tell(number, &Event::Answered)
    }

    pub(super) fn follows(&self, number: u64) -> bool {
        let calls = self.calls.borrow();
        calls.open.iter().any(|call| call.number == number)
    }

    pub(super) fn steps_of(&self, number: u64) -> Vec<CallStep> {
        let calls = self.calls.borrow();
        let own = calls.steps.iter().filter(|step| step.call == number);
        own.cloned().collect()
    }

    /// Tells the policy what happened to a call, and does what it says.
    pub(super) fn tell(&self, number: u64, event: &Event) -> Outcome {
        let now_ms = self.change(|world| world.now_ms);
        if let Event::Tick(seconds) = event {
            self.calls.borrow_mut().find(number).ticks.remove(seconds);
        }
        let (facts, raw) = self.calls.borrow_mut().find(number).build(event, now_ms);
        let is_over = matches!(event, Event::Ended(_));
        let holder = match is_over {
            true => Holder::Nobody,
            false => Holder::Call(number),
        };
        if is_over {
            self.change(|world| world.leases.release(Holder::Call(number)));
        }
        let asked = P::METHODS.is_empty() || P::METHODS.contains(&"INVITE");
        let outcome = match asked {
            true => self.ask(holder, RequestContext::default(), |policy| {
                policy.on_call_event(&Call::new(&facts), &CallEvent::new(&raw, &facts))
            }),
            false => Outcome::next(),
        };
        checks::call_outcome(&outcome);
        self.calls.borrow_mut().steps.push(CallStep {
            call: number,
            at_ms: now_ms,
            event: event.happened(),
            outcome: outcome.clone(),
        });
        match is_over {
            true => self.calls.borrow_mut().forget(number),
            false => self.obey(number, &outcome, now_ms),
        }
        outcome
    }

    /// Does to a call what the policy said.
    fn obey(&self, number: u64, outcome: &Outcome, now_ms: u64) {
        let end = self.calls.borrow_mut().find(number).obey(outcome, now_ms);
        if let Some(cause) = end {
            let _answer = self.tell(number, &Event::Ended(End::new(cause)));
        }
    }

    fn judge(&self, request: &Request) -> Outcome {
        if !P::METHODS.is_empty() && !P::METHODS.contains(&request.method_name()) {
            return Outcome::next();
        }
        let holder = match request.begins_call() {
            true => Holder::Request,
            false => Holder::Nobody,
        };
        let (facts, message) = request.build();
        let context = request.context(self.change(|world| world.tls.clone()));
        self.ask(holder, context, |policy| {
            policy.on_request(&crate::Request::new(&facts, &message))
        })
    }

    /// Calls a hook with the virtual host around it.
    fn ask(
        &self,
        holder: Holder,
        context: RequestContext,
        hook: impl FnOnce(&P) -> Outcome,
    ) -> Outcome {
        self.change(|world| {
            world.leases.holder = holder;
            world.request = context;
        });
        let Some(policy) = self.policy.borrow().clone() else {
            panic!("the policy has no settings: call `configured`");
        };
        let outcome = world::enter(&mut self.world.borrow_mut(), || hook(&policy));
        self.change(|world| {
            world.leases.holder = Holder::Nobody;
            world.request = RequestContext::default();
        });
        checks::outcome(&outcome, P::CAPABILITIES);
        outcome
    }

    /// What time brings next, if it is not later than `until`.
    fn next_due(&self, until: u64) -> Option<(u64, u64, Event)> {
        let calls = self.calls.borrow();
        let due = calls.open.iter().filter_map(|call| {
            let (at_ms, event) = call.due()?;
            (at_ms <= until).then_some((at_ms, call.number, event))
        });
        due.min_by_key(|(at_ms, number, _)| (*at_ms, *number))
    }

    /// Runs something with the virtual host around it.
    pub(super) fn enter<T>(&self, action: impl FnOnce() -> T) -> T {
        world::enter(&mut self.world.borrow_mut(), action)
    }

    pub(super) fn change<T>(&self, action: impl FnOnce(&mut World) -> T) -> T {
        match self.world.borrow_mut().as_mut() {
            Some(world) => action(world),
            None => unreachable!("the world is lent during calls only"),
        }
    }
}
