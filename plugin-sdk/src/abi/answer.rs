//! An outcome as the host reads it.
//!
//! Texts stay where the policy put them. The outcome is kept until the next call begins:
//! by then the host has read it, and need not enter the guest once more to have it freed.

#![cfg_attr(
    not(test),
    expect(
        dead_code,
        reason = "hosts read these; native tests of policies read outcomes as they are"
    )
)]

use alloc::vec::Vec;

use crate::bindings::outcomes;
use crate::{DigestAlgorithm, MediaRequirement, Severity};

/// A `list` or `string` that somebody else owns.
#[repr(C)]
pub(super) struct View<T> {
    pub(super) start: *const T,
    pub(super) len: usize,
}

/// A text that somebody else owns.
pub(super) type Text = View<u8>;

/// `outcome`.
#[doc(hidden)]
#[repr(C)]
pub struct Answer {
    pub(super) verdict: Verdict,
    pub(super) effects: View<Effect>,
    pub(super) reason: Text,
}

/// `verdict`.
#[repr(C, u8)]
pub(super) enum Verdict {
    Next,
    Reject(Rejection),
    Challenge(Challenge),
    Redirect(View<Text>),
    Drop,
}

/// `rejection`.
#[repr(C)]
pub(super) struct Rejection {
    pub(super) status: u16,
    pub(super) phrase: Text,
    pub(super) retry_after: u32,
}

/// `challenge`.
#[repr(C)]
pub(super) struct Challenge {
    pub(super) realm: Text,
    pub(super) algorithms: View<DigestAlgorithm>,
    pub(super) as_registrar: bool,
    pub(super) stale: bool,
}

/// `effect`.
#[repr(C, u8)]
pub(super) enum Effect {
    SetHeader([Text; 2]),
    AddHeader([Text; 2]),
    RemoveHeader(Text),
    Annotate([Text; 2]),
    Score(Points),
    Identify(Text),
    LimitDuration(u32),
    Route(Text),
    Alert(Alert),
    RequireMedia(MediaRequirement),
    TickAfter(u32),
    SetRequestUri(Text),
    SetFrom(Text),
    SetTo(Text),
    Conceal(Text),
    Other([Text; 2]),
}

/// `points`.
#[repr(C)]
pub(super) struct Points {
    pub(super) amount: i32,
    pub(super) reason: Text,
}

/// `alert`.
#[repr(C)]
pub(super) struct Alert {
    pub(super) severity: Severity,
    pub(super) key: Text,
    pub(super) text: Text,
}

/// An outcome, and what refers to it.
pub(super) struct Kept {
    answer: Answer,
    /// What the views point into: heap memory, which stays where it is when this moves.
    _outcome: outcomes::Outcome,
    _effects: Vec<Effect>,
    _contacts: Vec<Text>,
}

impl Kept {
    #[inline]
    pub(super) fn new(outcome: outcomes::Outcome) -> Self {
        let mut contacts = Vec::new();
        let verdict = verdict(&outcome.verdict, &mut contacts);
        let effects: Vec<Effect> = outcome.effects.iter().map(effect).collect();
        Self {
            answer: Answer {
                verdict,
                effects: view(&effects),
                reason: text(&outcome.reason),
            },
            _outcome: outcome,
            _effects: effects,
            _contacts: contacts,
        }
    }

    pub(super) const fn answer(&self) -> &Answer {
        &self.answer
    }
}

#[inline]
const fn view<T>(items: &[T]) -> View<T> {
    View {
        start: items.as_ptr(),
        len: items.len(),
    }
}

#[inline]
const fn text(text: &str) -> Text {
    view(text.as_bytes())
}

fn verdict(verdict: &outcomes::Verdict, contacts: &mut Vec<Text>) -> Verdict {
    match verdict {
        outcomes::Verdict::Next => Verdict::Next,
        outcomes::Verdict::Reject(outcomes::Rejection {
            status,
            phrase,
            retry_after,
        }) => Verdict::Reject(Rejection {
            status: *status,
            phrase: text(phrase),
            retry_after: *retry_after,
        }),
        outcomes::Verdict::Challenge(outcomes::Challenge {
            realm,
            algorithms,
            as_registrar,
            stale,
        }) => Verdict::Challenge(Challenge {
            realm: text(realm),
            algorithms: view(algorithms),
            as_registrar: *as_registrar,
            stale: *stale,
        }),
        outcomes::Verdict::Redirect(uris) => {
            contacts.extend(uris.iter().map(|uri| text(uri)));
            Verdict::Redirect(view(contacts))
        }
        outcomes::Verdict::Drop => Verdict::Drop,
    }
}

fn effect(effect: &outcomes::Effect) -> Effect {
    use outcomes::Effect as Raw;
    match effect {
        Raw::SetHeader(line) => Effect::SetHeader(header(line)),
        Raw::AddHeader(line) => Effect::AddHeader(header(line)),
        Raw::RemoveHeader(name) => Effect::RemoveHeader(text(name)),
        Raw::Annotate(outcomes::Annotation { key, value }) => {
            Effect::Annotate([text(key), text(value)])
        }
        Raw::Score(outcomes::Points { amount, reason }) => Effect::Score(Points {
            amount: *amount,
            reason: text(reason),
        }),
        Raw::Identify(identity) => Effect::Identify(text(identity)),
        Raw::LimitDuration(seconds) => Effect::LimitDuration(*seconds),
        Raw::Route(name) => Effect::Route(text(name)),
        Raw::Alert(outcomes::Alert {
            severity,
            key,
            text: said,
        }) => Effect::Alert(Alert {
            severity: *severity,
            key: text(key),
            text: text(said),
        }),
        Raw::RequireMedia(requirement) => Effect::RequireMedia(*requirement),
        Raw::TickAfter(seconds) => Effect::TickAfter(*seconds),
        Raw::SetRequestUri(uri) => Effect::SetRequestUri(text(uri)),
        Raw::SetFrom(address) => Effect::SetFrom(text(address)),
        Raw::SetTo(address) => Effect::SetTo(text(address)),
        Raw::Conceal(secret) => Effect::Conceal(text(secret)),
        Raw::Other((name, value)) => Effect::Other([text(name), text(value)]),
    }
}

fn header(outcomes::HeaderValue { name, value }: &outcomes::HeaderValue) -> [Text; 2] {
    [text(name), view(value)]
}
