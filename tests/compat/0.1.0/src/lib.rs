//! A policy against `sipward:policy@0.1.0` as it was released: all three hooks, every
//! function that a host offers, every verdict and every effect. It is built from its own
//! copy of the interface, and every later host loads it and answers it alike.
//!
//! What it does is chosen by the user part of the Request-URI.

// The names of its exports mean something to linkers of other targets.
#![cfg(target_arch = "wasm32")]
#![expect(
    missing_docs,
    reason = "wit-bindgen documents what the interface has, not the modules it adds"
)]

mod asking;
mod deciding;

wit_bindgen::generate!({
    path: "wit",
    world: "full-plugin",
    generate_unused_types: true,
});

use exports::sipward::policy::call_policy::Guest as CallPolicy;
use exports::sipward::policy::lifecycle::{Guest as Lifecycle, Manifest, SettingsError};
use exports::sipward::policy::request_policy::Guest as RequestPolicy;
use exports::sipward::policy::response_policy::Guest as ResponsePolicy;
use sipward::policy::messages::Message;
use sipward::policy::outcomes::{Outcome, Verdict};
use sipward::policy::types::{CallEvent, CallFacts, RequestFacts, ResponseFacts, Span};

/// The component.
struct Released;

impl Lifecycle for Released {
    fn describe() -> Manifest {
        let capabilities = [
            "counters",
            "keyvalue",
            "credentials",
            "leases",
            "geo",
            "lists",
            "edit-headers",
            "route",
        ];
        Manifest {
            name: "compat-0-1-0".to_owned(),
            version: "0.1.0".to_owned(),
            description: "Asks for everything".to_owned(),
            methods: Vec::new(),
            capabilities: capabilities.map(str::to_owned).to_vec(),
            settings_schema: r#"{"type":"object"}"#.to_owned(),
        }
    }

    fn configure(settings: String) -> Result<(), SettingsError> {
        match settings.trim() {
            "{}" | "null" => Ok(()),
            _ => Err(SettingsError {
                key: "anything".to_owned(),
                message: "there is nothing to set".to_owned(),
            }),
        }
    }
}

impl RequestPolicy for Released {
    fn on_request(facts: RequestFacts, message: &Message) -> Outcome {
        let text = Text(&facts.text);
        let user = facts.request_uri.user.map(|user| text.at(user));
        match user.unwrap_or_default().as_str() {
            "facts" => because(asking::facts(&facts, message)),
            "state" => because(asking::state()),
            "lookups" => because(asking::lookups(&facts, message)),
            wish => deciding::outcome(wish),
        }
    }
}

impl ResponsePolicy for Released {
    fn on_response(facts: ResponseFacts, message: &Message) -> Outcome {
        let phrase = Text(&facts.text).at(facts.phrase);
        let server = message.header("Server").unwrap_or_default();
        let server = String::from_utf8_lossy(&server).into_owned();
        let outcome = because(format!("{} {phrase} by {server}", facts.status));
        match facts.status {
            404 => Outcome {
                verdict: deciding::rejection(480),
                ..outcome
            },
            _ => outcome,
        }
    }
}

impl CallPolicy for Released {
    fn on_call_event(facts: CallFacts, event: CallEvent) -> Outcome {
        let text = Text(&facts.text);
        deciding::answer(&event, &text.at(facts.request_uri), text)
    }
}

/// No objection, and a line for the operator.
fn because(reason: String) -> Outcome {
    Outcome {
        verdict: Verdict::Next,
        effects: Vec::new(),
        reason,
    }
}

/// The buffer that spans point into.
#[derive(Clone, Copy)]
struct Text<'a>(&'a [u8]);

impl Text<'_> {
    fn at(self, span: Span) -> String {
        let start = (span >> 32) as usize;
        let end = start.saturating_add((span & 0xffff_ffff) as usize);
        let bytes = self.0.get(start..end).unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    }
}

export!(Released);
