//! One instance in its own store, and what becomes of its calls.

use std::net::IpAddr;
use std::sync::Arc;

use policy::{Outcome, PolicyFailure};
use sip_message::Message;
use wasmtime::component::{self, ComponentNamedList, Lift, Lower, Resource, TypedFunc};
use wasmtime::{Store, Trap};

use crate::bindings::{call_policy, lifecycle, outcomes, response_policy, types};
use crate::blueprint::{Blueprint, RequestExport};
use crate::deadline::Deadline;
use crate::engine::Occupant;
use crate::facts::{PackedFacts, RequestRecord, Written};
use crate::host::{Consultation, HostState, LentMessage, Occasion};
use crate::limits::{PluginLimits, SETTINGS_ERROR_BYTES, TRAP_BYTES};
use crate::outcome::outcome;

/// A running guest. After a failed call it must be dropped.
pub(crate) struct Instance {
    store: Store<HostState>,
    component: component::Instance,
    lifecycle: lifecycle::Guest,
    request: Option<RequestHook>,
    response: Option<response_policy::Guest>,
    call: Option<call_policy::Guest>,
    limits: PluginLimits,
    counts_fuel: bool,
    /// Last, so that it is counted until the store has gone.
    _occupant: Occupant,
}

/// `on-request`, with facts that are lowered by hand.
enum RequestHook {
    Packed(Asked<(PackedFacts<'static>,)>),
    Typed(Asked<(RequestRecord<'static>, Resource<LentMessage>)>),
}

/// A hook.
type Asked<F> = TypedFunc<F, (outcomes::Outcome,)>;

/// Why `configure` did not succeed.
pub(crate) enum ConfigureError {
    Failed(PolicyFailure),
    Settings { key: String, message: String },
}

/// What a call of a hook gave.
pub(crate) struct Answer {
    pub(crate) outcome: Outcome,
    /// The realm for which the host verified credentials.
    pub(crate) verified_realm: Option<String>,
}

impl Instance {
    /// Makes an instance that is not configured yet.
    pub(crate) fn start(blueprint: &Blueprint) -> Result<Self, PolicyFailure> {
        let limits = blueprint.limits;
        let state = HostState::new(
            Arc::clone(&blueprint.services),
            Arc::clone(&blueprint.name),
            limits,
        );
        let mut store = Store::new(blueprint.pre.engine(), state);
        store.limiter(HostState::ceiling);
        // One call may hand over no more than all calls together.
        store.set_hostcall_fuel(limits.host_bytes);
        store.epoch_deadline_callback(|mut store| Ok(store.data_mut().deadline.passed()));
        let (deadline, ticks) = Deadline::begin(limits.configure_deadline_ms);
        store.data_mut().deadline = deadline;
        store.set_epoch_deadline(ticks);
        if blueprint.counts_fuel {
            refuel(&mut store);
        }
        let started = Self::instantiate(blueprint, store);
        started.map_err(
            |error| match failure(&error, &limits, limits.configure_deadline_ms) {
                PolicyFailure::Trap(text) => PolicyFailure::Instance(text),
                other => other,
            },
        )
    }

    fn instantiate(blueprint: &Blueprint, mut store: Store<HostState>) -> wasmtime::Result<Self> {
        let instance = blueprint.pre.instantiate(&mut store)?;
        let lifecycle = blueprint.lifecycle.load(&mut store, &instance)?;
        let request = match &blueprint.request {
            Some(RequestExport::Packed(index)) => Some(RequestHook::Packed(
                instance.get_typed_func(&mut store, index)?,
            )),
            Some(RequestExport::Typed(index)) => Some(RequestHook::Typed(
                instance.get_typed_func(&mut store, index)?,
            )),
            None => None,
        };
        let response = match &blueprint.response {
            Some(indices) => Some(indices.load(&mut store, &instance)?),
            None => None,
        };
        let call = match &blueprint.call {
            Some(indices) => Some(indices.load(&mut store, &instance)?),
            None => None,
        };
        Ok(Self {
            store,
            component: instance,
            lifecycle,
            request,
            response,
            call,
            limits: blueprint.limits,
            counts_fuel: blueprint.counts_fuel,
            _occupant: blueprint.occupancy.enter(),
        })
    }

    /// Makes an instance that is configured, be it by the memory it begins with.
    pub(crate) fn start_configured(blueprint: &Blueprint) -> Result<Self, PolicyFailure> {
        let mut instance = Self::start(blueprint)?;
        if blueprint.is_configured {
            return Ok(instance);
        }
        match instance.configure(&blueprint.settings) {
            Ok(()) => Ok(instance),
            Err(ConfigureError::Failed(failure)) => Err(failure),
            Err(ConfigureError::Settings { key, message }) => Err(PolicyFailure::Instance(
                format!("it now refuses its settings: `{key}`: {message}"),
            )),
        }
    }

    pub(crate) fn describe(&mut self) -> Result<lifecycle::Manifest, PolicyFailure> {
        self.begin(Occasion::Start, self.limits.configure_deadline_ms);
        self.lifecycle
            .call_describe(&mut self.store)
            .map_err(|error| self.starting_failure(&error))
    }

    pub(crate) fn configure(&mut self, settings: &str) -> Result<(), ConfigureError> {
        self.begin(Occasion::Start, self.limits.configure_deadline_ms);
        match self.lifecycle.call_configure(&mut self.store, settings) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(ConfigureError::Settings {
                key: one_line(&error.key, SETTINGS_ERROR_BYTES),
                message: one_line(&error.message, SETTINGS_ERROR_BYTES),
            }),
            Err(error) => Err(ConfigureError::Failed(self.starting_failure(&error))),
        }
    }

    /// What `configure` did whose answer may be another one every time.
    pub(crate) fn passing_answers(&self) -> Option<&'static str> {
        self.store.data().passing_answers()
    }

    /// From now on the functions may be called that show the memory. Each memory is
    /// made a page larger by the one that shows it.
    pub(crate) fn uncover(&mut self) {
        self.begin(Occasion::Start, self.limits.configure_deadline_ms);
        self.store.data_mut().widen(self.limits.instances);
        // The bytes are only looked at.
        self.store.set_hostcall_fuel(usize::MAX);
    }

    /// Calls a function that was added to show the memory.
    pub(crate) fn shown<R: Lift + 'static, T>(
        &mut self,
        interface: &str,
        function: &str,
        take: impl FnOnce(&Store<HostState>, R) -> T,
    ) -> wasmtime::Result<T> {
        let missing = || wasmtime::Error::msg(format!("{interface} has no {function}"));
        let outer = self
            .component
            .get_export_index(&mut self.store, None, interface)
            .ok_or_else(missing)?;
        let inner = self
            .component
            .get_export_index(&mut self.store, Some(&outer), function)
            .ok_or_else(missing)?;
        let function = self
            .component
            .get_typed_func::<(), (R,)>(&mut self.store, inner)?;
        let (shown,) = function.call(&mut self.store, ())?;
        Ok(take(&self.store, shown))
    }

    /// Calls the request hook for a request from this source.
    pub(crate) fn on_request(
        &mut self,
        facts: &Written,
        message: &Arc<Message>,
        source: IpAddr,
        consultation: &mut Consultation,
    ) -> Result<Answer, PolicyFailure> {
        let occasion = Occasion::Request(message, source);
        let ticket = self.begin(occasion, self.limits.deadline_ms);
        let Some(hook) = &self.request else {
            return Err(PolicyFailure::Missing("request hook".to_owned()));
        };
        self.store.data_mut().swap(consultation);
        let store = &mut self.store;
        let answer = match hook {
            RequestHook::Packed(hook) => ask(hook, store, (facts.packed(),)),
            RequestHook::Typed(hook) => {
                let message = Resource::new_borrow(ticket);
                ask(hook, store, (facts.record(), message))
            }
        };
        self.store.data_mut().swap(consultation);
        self.finish(answer.map(outcome))
    }

    /// Calls the response hook.
    pub(crate) fn on_response(
        &mut self,
        facts: types::ResponseFacts<'_>,
        message: &Arc<Message>,
    ) -> Result<Answer, PolicyFailure> {
        let ticket = self.begin(Occasion::Response(message), self.limits.deadline_ms);
        let Some(hook) = &self.response else {
            return Err(PolicyFailure::Missing("response hook".to_owned()));
        };
        let answer = hook.call_on_response(&mut self.store, facts, Resource::new_borrow(ticket));
        self.finish(answer.map(outcome))
    }

    /// Calls the call hook.
    pub(crate) fn on_call_event(
        &mut self,
        facts: types::CallFacts<'_>,
        event: types::CallEvent,
        consultation: &mut Consultation,
    ) -> Result<Answer, PolicyFailure> {
        self.begin(Occasion::CallEvent, self.limits.deadline_ms);
        let Some(hook) = &self.call else {
            return Err(PolicyFailure::Missing("call hook".to_owned()));
        };
        self.store.data_mut().swap(consultation);
        let answer = hook.call_on_call_event(&mut self.store, facts, event);
        self.store.data_mut().swap(consultation);
        self.finish(answer.map(outcome))
    }

    fn begin(&mut self, occasion: Occasion<'_>, deadline_ms: u32) -> u32 {
        let (deadline, ticks) = Deadline::begin(deadline_ms);
        self.store.data_mut().deadline = deadline;
        self.store.set_epoch_deadline(ticks);
        if self.counts_fuel {
            refuel(&mut self.store);
        }
        self.store.data_mut().begin_call(occasion)
    }

    fn finish(&mut self, answer: wasmtime::Result<Outcome>) -> Result<Answer, PolicyFailure> {
        let used = match self.counts_fuel {
            true => self.store.get_fuel().ok().map(|left| FUEL - left),
            false => None,
        };
        let verified_realm = self.store.data_mut().end_call(used);
        match answer {
            Ok(outcome) => Ok(Answer {
                outcome,
                verified_realm,
            }),
            Err(error) => Err(failure(&error, &self.limits, self.limits.deadline_ms)),
        }
    }

    fn starting_failure(&self, error: &wasmtime::Error) -> PolicyFailure {
        failure(error, &self.limits, self.limits.configure_deadline_ms)
    }
}

/// Facts are lent for the call alone, shorter than the hook's type says.
fn ask<F: ComponentNamedList + Lower>(
    hook: &Asked<F>,
    store: &mut Store<HostState>,
    asked: F,
) -> wasmtime::Result<outcomes::Outcome> {
    let (outcome,) = hook.call(store, asked)?;
    Ok(outcome)
}

/// What a call begins with where fuel is counted. It never runs out: deadlines bound calls.
const FUEL: u64 = u64::MAX;

fn refuel(store: &mut Store<HostState>) {
    // It fails only where the engine does not count.
    let _counted = store.set_fuel(FUEL);
}

/// Why a call failed, in the operator's words.
fn failure(error: &wasmtime::Error, limits: &PluginLimits, deadline_ms: u32) -> PolicyFailure {
    if let Some(failure) = error.downcast_ref::<PolicyFailure>() {
        return failure.clone();
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => PolicyFailure::Deadline {
            limit_ms: deadline_ms,
        },
        Some(Trap::StackOverflow) => PolicyFailure::Stack,
        Some(trap) => PolicyFailure::Trap(one_line(&trap.to_string(), TRAP_BYTES)),
        None => {
            let text = format!("{error:#}");
            // wasmtime has no public type for this one.
            if text.contains("fuel allocated for hostcalls") {
                return PolicyFailure::HostBytes {
                    limit: limits.host_bytes,
                };
            }
            PolicyFailure::Trap(one_line(&text, TRAP_BYTES))
        }
    }
}

/// What fits of a text, as one line.
pub(crate) fn one_line(text: &str, limit: usize) -> String {
    let fits = text.get(..text.floor_char_boundary(limit));
    policy::one_line(fits.unwrap_or_default().to_owned())
}
