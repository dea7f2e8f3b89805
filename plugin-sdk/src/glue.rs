//! What the code that `#[policy]` generates calls. No part of the public API.

use crate::bindings::outcomes;
use crate::bindings::types::{self, CallFacts, RequestFacts, ResponseFacts};
pub use crate::bindings::{call_policy, lifecycle, request_policy, response_policy};
use crate::request::MessageSource;
use crate::{Call, CallEvent, Outcome, Policy, Request, Response, SettingsError};

/// The record of a request as the host hands it over.
pub type RawRequest = RequestFacts;
/// The record of a response as the host hands it over.
pub type RawResponse = ResponseFacts;
/// The record of a call as the host hands it over.
pub type RawCall = CallFacts;
/// What happened to a call, as the host hands it over.
pub type RawCallEvent = types::CallEvent;
/// The record that goes back to the host.
pub type RawOutcome = outcomes::Outcome;
/// The message resource.
pub type RawMessage = crate::bindings::messages::Message;

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
    #[cfg(target_arch = "wasm32")]
    report_panics();
    let policy = P::configure(crate::lifecycle::parse_settings(settings)?)?;
    #[cfg(all(
        feature = "arena",
        target_arch = "wasm32",
        not(target_feature = "atomics")
    ))]
    crate::arena::open();
    Ok(policy)
}

/// Sends the message of a panic to the host's log before the guest traps.
#[cfg(target_arch = "wasm32")]
fn report_panics() {
    std::panic::set_hook(Box::new(|panic| crate::log::error(&panic.to_string())));
}

/// Asks the policy about a request. Without one, because `configure` failed or
/// was never called, nothing may pass.
pub fn on_request<P: Policy>(
    policy: Option<&P>,
    facts: &RawRequest,
    message: MessageSource<'_>,
) -> RawOutcome {
    match policy {
        Some(policy) => policy.on_request(&Request::new(facts, message)).into_raw(),
        None => not_configured(),
    }
}

/// Asks the policy about a response.
pub fn on_response<P: Policy>(
    policy: Option<&P>,
    facts: &RawResponse,
    message: MessageSource<'_>,
) -> RawOutcome {
    match policy {
        Some(policy) => policy
            .on_response(&Response::new(facts, message))
            .into_raw(),
        None => not_configured(),
    }
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

fn not_configured() -> RawOutcome {
    Outcome::reject(500)
        .because("the plugin has no settings")
        .into_raw()
}
