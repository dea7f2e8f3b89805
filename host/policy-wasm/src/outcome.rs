//! A guest's answer in the host's own types. Nothing is judged here; `policy`
//! checks the result.

use policy::{
    Alert, Challenge, Effect, HeaderEdit, MediaRequirement, Outcome, Rejection, Severity, Verdict,
};

use crate::bindings::outcomes as wit;
use crate::host::algorithm;

pub(crate) fn outcome(outcome: wit::Outcome) -> Outcome {
    Outcome {
        verdict: verdict(outcome.verdict),
        effects: outcome.effects.into_iter().map(effect).collect(),
        reason: outcome.reason,
    }
}

fn verdict(verdict: wit::Verdict) -> Verdict {
    match verdict {
        wit::Verdict::Next => Verdict::Next,
        wit::Verdict::Reject(rejection) => Verdict::Reject(Rejection {
            status: rejection.status,
            phrase: rejection.phrase,
            retry_after: rejection.retry_after,
        }),
        wit::Verdict::Challenge(challenge) => Verdict::Challenge(Challenge {
            realm: challenge.realm,
            algorithms: challenge.algorithms.into_iter().map(algorithm).collect(),
            as_registrar: challenge.as_registrar,
            stale: challenge.stale,
        }),
        wit::Verdict::Redirect(contacts) => Verdict::Redirect(contacts),
        wit::Verdict::Drop => Verdict::Drop,
    }
}

fn effect(effect: wit::Effect) -> Effect {
    match effect {
        wit::Effect::SetHeader(wit::HeaderValue { name, value }) => {
            Effect::Header(HeaderEdit::Set { name, value })
        }
        wit::Effect::AddHeader(wit::HeaderValue { name, value }) => {
            Effect::Header(HeaderEdit::Add { name, value })
        }
        wit::Effect::RemoveHeader(name) => Effect::Header(HeaderEdit::Remove { name }),
        wit::Effect::Annotate(wit::Annotation { key, value }) => Effect::Annotate { key, value },
        wit::Effect::Score(wit::Points { amount, reason }) => Effect::Score { amount, reason },
        wit::Effect::Identify(identity) => Effect::Identify(identity),
        wit::Effect::LimitDuration(seconds) => Effect::LimitDuration(seconds),
        wit::Effect::Route(peer) => Effect::Route(peer),
        wit::Effect::Alert(alert) => Effect::Alert(Alert {
            severity: match alert.severity {
                wit::Severity::Info => Severity::Info,
                wit::Severity::Warning => Severity::Warning,
                wit::Severity::Critical => Severity::Critical,
            },
            key: alert.key,
            text: alert.text,
        }),
        wit::Effect::RequireMedia(requirement) => Effect::RequireMedia(match requirement {
            wit::MediaRequirement::Any => MediaRequirement::Any,
            wit::MediaRequirement::Encrypted => MediaRequirement::Encrypted,
            wit::MediaRequirement::EncryptedBoth => MediaRequirement::EncryptedBoth,
        }),
        wit::Effect::TickAfter(seconds) => Effect::TickAfter(seconds),
        wit::Effect::SetRequestUri(uri) => Effect::SetRequestUri(uri),
        wit::Effect::SetFrom(address) => Effect::SetFrom(address),
        wit::Effect::SetTo(address) => Effect::SetTo(address),
        wit::Effect::Conceal(secret) => Effect::Conceal(secret),
        wit::Effect::Other((name, argument)) => Effect::Other { name, argument },
    }
}
