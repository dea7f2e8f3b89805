//! What the code that `#[policy]` generates calls. No part of the public API.

use alloc::borrow::ToOwned;
use alloc::string::ToString as _;
use alloc::vec::Vec;

pub use alloc::format;
pub use alloc::string::String;

pub use crate::abi::{answer::Answer, facts::ResponseCall};
use crate::bindings::outcomes;
use crate::bindings::types::{self, CallFacts};
pub use crate::bindings::{call_policy, lifecycle, request_policy, response_policy};
use crate::{Call, CallEvent, Outcome, Policy, SettingsError};
#[cfg(target_arch = "wasm32")]
use crate::{Request, Response};

/// The record of a call as the host hands it over.
pub type RawCall = CallFacts;
/// What happened to a call, as the host hands it over.
pub type RawCallEvent = types::CallEvent;
/// The record that goes back to the host.
pub type RawOutcome = outcomes::Outcome;

/// What a policy says of itself, before it is bound to a world's own record.
pub struct Description {
    /// `Policy::NAME`.
    pub name: String,
    /// `Policy::VERSION`.
    pub version: String,
    /// `Policy::DESCRIPTION`.
    pub description: String,
    /// `Policy::METHODS`.
    pub methods: Vec<String>,
    /// `Policy::CAPABILITIES`.
    pub capabilities: Vec<String>,
    /// JSON Schema of `Policy::Settings`.
    pub settings_schema: String,
}

/// Describes a policy.
pub fn describe<P: Policy>() -> Description {
    let schema = schemars::schema_for!(P::Settings);
    Description {
        name: P::NAME.to_owned(),
        version: P::VERSION.to_owned(),
        description: P::DESCRIPTION.to_owned(),
        methods: P::METHODS
            .iter()
            .map(|method| (*method).to_owned())
            .collect(),
        capabilities: P::CAPABILITIES
            .iter()
            .map(|capability| capability.name().to_owned())
            .collect(),
        settings_schema: schema.as_value().to_string(),
    }
}

/// Parses the settings and makes the policy.
pub fn configure<P: Policy>(settings: &str) -> Result<P, SettingsError> {
    #[cfg(all(target_arch = "wasm32", feature = "std"))]
    report_panics();
    let policy = P::configure(crate::lifecycle::parse_settings(settings)?)?;
    #[cfg(all(feature = "arena", target_arch = "wasm32"))]
    crate::arena::open();
    Ok(policy)
}

/// Ends the guest with a trap. Its own panics are sent to the host's log before.
#[cfg(target_arch = "wasm32")]
pub fn trap() -> ! {
    core::arch::wasm32::unreachable()
}

/// Sends the message of a panic to the host's log before the guest traps.
#[cfg(all(target_arch = "wasm32", feature = "std"))]
fn report_panics() {
    std::panic::set_hook(std::boxed::Box::new(|panic| {
        crate::log::error(&panic.to_string())
    }));
}

/// Asks the policy about a request. Without one, because `configure` failed or
/// was never called, nothing may pass.
///
/// # Safety
///
/// The host enters the hook with these parameters.
#[cfg(target_arch = "wasm32")]
#[expect(unsafe_code, reason = "the host hands over a place in memory")]
pub unsafe fn on_request<P: Policy>(
    policy: Option<&P>,
    facts: *mut u64,
    words: usize,
) -> *const Answer {
    let ask = |facts: &_, message: &_| match policy {
        Some(policy) => policy.on_request(&Request::new(facts, message)).into_raw(),
        None => not_configured(),
    };
    // SAFETY: they are what the host wrote, and it hands them over.
    unsafe { crate::abi::hook::answer_packed(facts, words, ask) }
}

/// Asks the policy about a response.
///
/// # Safety
///
/// The host enters the hook with these parameters.
#[cfg(target_arch = "wasm32")]
#[expect(unsafe_code, reason = "the host hands over a place in memory")]
pub unsafe fn on_response<P: Policy>(policy: Option<&P>, call: *mut ResponseCall) -> *const Answer {
    let ask = |facts: &_, message: &_| match policy {
        Some(policy) => policy
            .on_response(&Response::new(facts, message))
            .into_raw(),
        None => not_configured(),
    };
    // SAFETY: they are what the host wrote, and it hands them over.
    unsafe { crate::abi::hook::answer(call, ask) }
}

/// Tells the policy what happened to a call. Without one the call goes on: it was
/// admitted.
pub fn on_call_event<P: Policy>(
    policy: Option<&P>,
    facts: &RawCall,
    event: &RawCallEvent,
) -> RawOutcome {
    let outcome = match policy {
        Some(policy) => policy.on_call_event(&Call::new(facts), &CallEvent::new(event, facts)),
        None => Outcome::next().because("the plugin has no settings"),
    };
    outcome.into_raw()
}

#[cfg(target_arch = "wasm32")]
fn not_configured() -> RawOutcome {
    Outcome::reject(500)
        .because("the plugin has no settings")
        .into_raw()
}

/// Where the policy of a component is kept: `static POLICY`, with the functions
/// `policy` and `keep`.
#[cfg(feature = "std")]
#[macro_export]
#[doc(hidden)]
macro_rules! __keep_policy {
    ($policy:ty) => {
        ::std::thread_local! {
            static POLICY: ::core::cell::OnceCell<$policy> =
                const { ::core::cell::OnceCell::new() };
        }

        fn with_policy<T>(ask: impl FnOnce(Option<&$policy>) -> T) -> T {
            POLICY.with(|policy| ask(policy.get()))
        }

        fn keep_policy(policy: $policy) -> bool {
            POLICY.with(|slot| slot.set(policy).is_ok())
        }
    };
}

/// Where the policy of a component is kept, without a standard library.
#[cfg(not(feature = "std"))]
#[macro_export]
#[doc(hidden)]
macro_rules! __keep_policy {
    ($policy:ty) => {
        struct Kept(::core::cell::OnceCell<$policy>);

        // SAFETY: without the feature `atomics`, which the SDK refuses, there are no threads.
        unsafe impl Sync for Kept {}

        static POLICY: Kept = Kept(::core::cell::OnceCell::new());

        fn with_policy<T>(ask: impl FnOnce(Option<&$policy>) -> T) -> T {
            ask(POLICY.0.get())
        }

        fn keep_policy(policy: $policy) -> bool {
            POLICY.0.set(policy).is_ok()
        }
    };
}

pub use crate::__keep_policy as keep_policy;

/// Exports `on-request`. wit-bindgen adds what the component encoder has to know.
#[macro_export]
#[doc(hidden)]
macro_rules! __export_on_request {
    ($component:ident) => {
        $crate::glue::request_policy::export_request_policy!(
            $component with_types_in $crate::glue::request_policy
        );

        #[unsafe(export_name = "sipward:policy/packed-request-policy@0.1.0#on-request")]
        unsafe extern "C" fn on_request(
            facts: *mut u64,
            words: usize,
        ) -> *const $crate::glue::Answer {
            // SAFETY: the host enters here, with what it wrote for this call.
            with_policy(|policy| unsafe { $crate::glue::on_request(policy, facts, words) })
        }
    };
}

/// Exports `on-response`.
#[macro_export]
#[doc(hidden)]
macro_rules! __export_on_response {
    ($component:ident) => {
        $crate::glue::response_policy::export_response_policy!(
            $component with_types_in $crate::glue::response_policy
        );

        #[unsafe(export_name = "sipward:policy/response-policy@0.1.0#on-response")]
        unsafe extern "C" fn on_response(
            call: *mut $crate::glue::ResponseCall,
        ) -> *const $crate::glue::Answer {
            // SAFETY: the host enters here, with what it wrote for this call.
            with_policy(|policy| unsafe { $crate::glue::on_response(policy, call) })
        }
    };
}

pub use crate::__export_on_request as export_on_request;
pub use crate::__export_on_response as export_on_response;
