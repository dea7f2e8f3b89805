//! What the host checks of an outcome that a test would not notice otherwise.

use std::ops::RangeInclusive;

use crate::{Capability, Effect, Outcome, Verdict};

/// Seconds after which a tick may be asked for, as in the host.
const TICK_SECONDS: RangeInclusive<u32> = 1..=86_400;

/// Effects need the capabilities that the policy names, and stay within bounds.
///
/// # Panics
/// If the host would call the outcome a failure of the policy.
pub(super) fn outcome(outcome: &Outcome, capabilities: &[Capability]) {
    for effect in outcome.effects() {
        let needed = match effect {
            Effect::SetHeader(_)
            | Effect::AddHeader(_)
            | Effect::RemoveHeader(_)
            | Effect::SetRequestUri(_)
            | Effect::SetFrom(_)
            | Effect::SetTo(_) => Some(Capability::EditHeaders),
            Effect::Route(_) => Some(Capability::Route),
            _ => None,
        };
        if let Some(needed) = needed.filter(|needed| !capabilities.contains(needed)) {
            let needed = needed.name();
            panic!("{effect:?} needs `{needed}`, which the policy does not name in CAPABILITIES");
        }
        match effect {
            Effect::TickAfter(seconds) if !TICK_SECONDS.contains(seconds) => {
                panic!("a tick after {seconds} seconds; 1 to 86,400 are possible");
            }
            Effect::Conceal(secret) if !Outcome::SECRET_BYTES.contains(&secret.len()) => {
                panic!("a secret of {} bytes; 4 to 64 are possible", secret.len());
            }
            _ => {}
        }
    }
}

/// Only some verdicts and effects mean anything for a call.
///
/// # Panics
/// If the host would call the outcome a failure of the policy.
pub(super) fn call_outcome(outcome: &Outcome) {
    assert!(
        matches!(outcome.verdict(), Verdict::Next | Verdict::Reject(_)),
        "{:?} means nothing for a call event",
        outcome.verdict()
    );
    for effect in outcome.effects() {
        let means_something = matches!(
            effect,
            Effect::Alert(_) | Effect::TickAfter(_) | Effect::LimitDuration(_) | Effect::Conceal(_)
        );
        assert!(means_something, "{effect:?} means nothing for a call event");
    }
}

/// Only some verdicts and effects mean anything for a response.
///
/// # Panics
/// If the host would call the outcome a failure of the policy.
pub(super) fn response_outcome(outcome: &Outcome, status: u16) {
    match outcome.verdict() {
        Verdict::Next => {}
        Verdict::Reject(_) if status >= 300 => {}
        Verdict::Reject(_) => panic!("only a final response of 300 to 699 can be replaced"),
        verdict => panic!("{verdict:?} means nothing for a response"),
    }
    for effect in outcome.effects() {
        let means_something = matches!(
            effect,
            Effect::SetHeader(_)
                | Effect::AddHeader(_)
                | Effect::RemoveHeader(_)
                | Effect::Alert(_)
        );
        assert!(means_something, "{effect:?} means nothing for a response");
    }
}
