//! What an instance finds when it looks outwards: one file per host interface,
//! and the budget of a call that they all draw from.

use std::cell::Cell;
use std::net::IpAddr;
use std::sync::Arc;

use policy::{Capability, Grants, PolicyFailure};
use sip_message::Message;
use wasmtime::component::{HasSelf, Linker};

use crate::bindings;
use crate::deadline::Deadline;
use crate::limits::PluginLimits;
use crate::services::{Asking, HostServices, Reading, Spending};

mod ceiling;
mod clock;
mod consultation;
mod counters;
mod credentials;
mod geo;
mod identity;
mod keyvalue;
mod leases;
mod lists;
mod log;
mod messages;
mod numbers;
mod random;

use ceiling::Ceiling;
pub(crate) use consultation::Consultation;
pub(crate) use credentials::algorithm;
#[expect(unreachable_pub, reason = "`bindgen!` re-exports it within this crate")]
pub use messages::LentMessage;

/// Data of one store.
pub(crate) struct HostState {
    services: Arc<HostServices>,
    plugin: Arc<str>,
    limits: PluginLimits,
    phase: Phase,
    /// The message of the call that runs, lent to the guest as a resource.
    message: Option<Arc<Message>>,
    /// Whether the guest has asked for it.
    is_message_given: bool,
    /// Where the request came from; none for a response.
    source: Option<IpAddr>,
    /// Counts calls; the representation of the lent message.
    ticket: u32,
    /// Charged by functions that look into the guest's memory meanwhile.
    host_calls: Cell<u32>,
    host_bytes: Cell<usize>,
    log_lines: u32,
    /// The time of the call, once somebody has asked for it.
    now_ms: Cell<Option<u64>>,
    verified_realm: Option<String>,
    /// What `configure` was told that will be otherwise the next time.
    passing_answers: Option<&'static str>,
    /// What the plugins that are asked share.
    consultation: Consultation,
    ceiling: Ceiling,
    /// Of the call that runs.
    pub(crate) deadline: Deadline,
}

/// What memories grow by.
const PAGE_BYTES: usize = 64 << 10;

/// Why an instance is called.
#[derive(Clone, Copy)]
pub(crate) enum Occasion<'a> {
    /// `describe` or `configure`.
    Start,
    /// A request from this address.
    Request(&'a Arc<Message>, IpAddr),
    /// A response.
    Response(&'a Arc<Message>),
    /// Something happened to a call.
    CallEvent,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// `describe` and `configure`: state is out of reach, because instances are
    /// made at any time, for trials too.
    Starting,
    /// A hook.
    Deciding,
}

impl HostState {
    pub(crate) fn new(services: Arc<HostServices>, plugin: Arc<str>, limits: PluginLimits) -> Self {
        Self {
            services,
            plugin,
            phase: Phase::Starting,
            message: None,
            is_message_given: false,
            source: None,
            ticket: 0,
            host_calls: Cell::new(0),
            host_bytes: Cell::new(0),
            log_lines: 0,
            now_ms: Cell::new(None),
            verified_realm: None,
            passing_answers: None,
            consultation: Consultation::default(),
            ceiling: Ceiling::new(&limits),
            deadline: Deadline::default(),
            limits,
        }
    }

    /// Fills the budget and lends the message, if the call is about one.
    pub(crate) fn begin_call(&mut self, occasion: Occasion<'_>) -> u32 {
        if let Some(observer) = &self.services.observer {
            match occasion {
                Occasion::Start => observer.starting(&self.plugin),
                _ => observer.asked(&self.plugin),
            }
        }
        (self.phase, self.message, self.source) = match occasion {
            Occasion::Start => (Phase::Starting, None, None),
            Occasion::Request(message, source) => {
                (Phase::Deciding, Some(Arc::clone(message)), Some(source))
            }
            Occasion::Response(message) => (Phase::Deciding, Some(Arc::clone(message)), None),
            Occasion::CallEvent => (Phase::Deciding, None, None),
        };
        self.is_message_given = false;
        self.ticket = self.ticket.wrapping_add(1);
        self.host_calls = Cell::new(0);
        self.host_bytes = Cell::new(0);
        self.log_lines = 0;
        self.now_ms = Cell::new(None);
        self.verified_realm = None;
        self.ticket
    }

    /// Takes the message back and returns the realm that was verified.
    pub(crate) fn end_call(&mut self, fuel: Option<u64>) -> Option<String> {
        if let Some(observer) = &self.services.observer {
            let memory_bytes = self.ceiling.memory();
            observer.spent(&self.plugin, Spending { fuel, memory_bytes });
        }
        self.message = None;
        self.verified_realm.take()
    }

    /// The instance may take a page more for each of so many memories.
    pub(crate) fn widen(&mut self, memories: usize) {
        self.ceiling.widen(memories.saturating_mul(PAGE_BYTES));
    }

    /// What `configure` was told that will be otherwise the next time.
    pub(crate) fn passing_answers(&self) -> Option<&'static str> {
        self.passing_answers
    }

    /// Notes that the guest is told something that holds for now only.
    fn tell_passing(&mut self, what: &'static str) {
        if self.phase == Phase::Starting {
            self.passing_answers = Some(what);
        }
    }

    /// Lends or takes back what the plugins share.
    pub(crate) fn swap(&mut self, consultation: &mut Consultation) {
        std::mem::swap(&mut self.consultation, consultation);
    }

    pub(crate) fn ceiling(&mut self) -> &mut dyn wasmtime::ResourceLimiter {
        &mut self.ceiling
    }

    /// Counts a host call and the bytes it was given.
    fn charge_call(&self, bytes: usize) -> wasmtime::Result<()> {
        let calls = self.host_calls.get();
        if calls >= self.limits.host_calls {
            return Err(wasmtime::Error::new(PolicyFailure::HostCalls {
                limit: self.limits.host_calls,
            }));
        }
        self.host_calls.set(calls + 1);
        self.charge_bytes(bytes)
    }

    /// The same of a function that is about state: that belongs to decisions.
    fn charge_decision(&self, interface: &str, bytes: usize) -> wasmtime::Result<()> {
        if self.phase != Phase::Deciding {
            return Err(wasmtime::Error::new(PolicyFailure::Trap(format!(
                "{interface} cannot be used in describe or configure"
            ))));
        }
        self.charge_call(bytes)
    }

    /// Counts bytes handed over, before they are copied.
    fn charge_bytes(&self, bytes: usize) -> wasmtime::Result<()> {
        let sum = self.host_bytes.get().saturating_add(bytes);
        self.host_bytes.set(sum);
        if sum > self.limits.host_bytes {
            return Err(wasmtime::Error::new(PolicyFailure::HostBytes {
                limit: self.limits.host_bytes,
            }));
        }
        Ok(())
    }

    /// Tells who watches.
    fn note(&self, reading: Reading<'_>) {
        if let Some(observer) = &self.services.observer {
            observer.read(reading);
        }
    }

    /// The time of the call: the same for all that it asks.
    fn now_ms(&self) -> u64 {
        let now_ms = self
            .now_ms
            .get()
            .unwrap_or_else(|| self.services.clock.now_ms());
        self.now_ms.set(Some(now_ms));
        now_ms
    }

    /// What a look-up is for.
    fn asking(&self) -> Asking {
        match self.phase {
            Phase::Starting => Asking::Starting,
            Phase::Deciding => Asking::Deciding,
        }
    }
}

/// A linker that offers what was granted and nothing else.
pub(crate) fn linker(
    engine: &wasmtime::Engine,
    grants: Grants,
) -> wasmtime::Result<Linker<HostState>> {
    type Data = HasSelf<HostState>;
    let mut linker = Linker::new(engine);
    let host: fn(&mut HostState) -> &mut HostState = |state| state;
    bindings::types::add_to_linker::<_, Data>(&mut linker, host)?;
    bindings::outcomes::add_to_linker::<_, Data>(&mut linker, host)?;
    messages::add_to_linker(&mut linker)?;
    bindings::clock::add_to_linker::<_, Data>(&mut linker, host)?;
    bindings::log::add_to_linker::<_, Data>(&mut linker, host)?;
    bindings::random::add_to_linker::<_, Data>(&mut linker, host)?;
    numbers::add_to_linker(&mut linker)?;
    bindings::identity::add_to_linker::<_, Data>(&mut linker, host)?;
    if grants.contains(Capability::Geo) {
        bindings::geo::add_to_linker::<_, Data>(&mut linker, host)?;
    }
    if grants.contains(Capability::Lists) {
        lists::add_to_linker(&mut linker)?;
    }
    if grants.contains(Capability::Counters) {
        counters::add_to_linker(&mut linker)?;
    }
    if grants.contains(Capability::Keyvalue) {
        keyvalue::add_to_linker(&mut linker)?;
    }
    if grants.contains(Capability::Leases) {
        leases::add_to_linker(&mut linker)?;
    }
    if grants.contains(Capability::Credentials) {
        bindings::credentials::add_to_linker::<_, Data>(&mut linker, host)?;
    }
    Ok(linker)
}

impl bindings::types::Host for HostState {}
impl bindings::outcomes::Host for HostState {}
