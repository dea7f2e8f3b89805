//! Answers with every verdict and every effect.

use crate::sipward::policy::outcomes::{
    Alert, Annotation, Challenge, DigestAlgorithm, Effect, HeaderValue, MediaRequirement, Outcome,
    Points, Rejection, Severity, Verdict,
};
use crate::sipward::policy::types::CallEvent;
use crate::{Text, because};

/// Refuses with a status.
pub(crate) fn rejection(status: u16) -> Verdict {
    Verdict::Reject(Rejection {
        status,
        phrase: "As It Was".to_owned(),
        retry_after: 7,
    })
}

/// What was wished for.
pub(crate) fn outcome(wish: &str) -> Outcome {
    let verdict = match wish {
        "reject" => rejection(603),
        "challenge" => Verdict::Challenge(Challenge {
            realm: "example.com".to_owned(),
            algorithms: vec![DigestAlgorithm::Sha256, DigestAlgorithm::Md5],
            as_registrar: false,
            stale: false,
        }),
        "redirect" => Verdict::Redirect(vec!["sip:elsewhere@example.com".to_owned()]),
        "drop" => Verdict::Drop,
        _ => Verdict::Next,
    };
    let effects = match wish {
        "effects" => effects(),
        "other" => vec![Effect::Other(("unheard-of".to_owned(), String::new()))],
        _ => Vec::new(),
    };
    Outcome {
        verdict,
        effects,
        reason: wish.to_owned(),
    }
}

fn effects() -> Vec<Effect> {
    let header = |name: &str| HeaderValue {
        name: name.to_owned(),
        value: b"0.1.0".to_vec(),
    };
    vec![
        Effect::SetHeader(header("X-Set")),
        Effect::AddHeader(header("X-Added")),
        Effect::RemoveHeader("User-Agent".to_owned()),
        Effect::Annotate(Annotation {
            key: "compat".to_owned(),
            value: "yes".to_owned(),
        }),
        Effect::Score(Points {
            amount: 3,
            reason: "is old".to_owned(),
        }),
        Effect::Identify("alice".to_owned()),
        Effect::LimitDuration(600),
        Effect::Route("carrier".to_owned()),
        Effect::Alert(Alert {
            severity: Severity::Info,
            key: "compat".to_owned(),
            text: "an old plugin decides".to_owned(),
        }),
        Effect::RequireMedia(MediaRequirement::Encrypted),
        Effect::TickAfter(60),
        Effect::SetRequestUri("sip:bob@example.net".to_owned()),
        Effect::SetFrom("<sip:100@example.net>".to_owned()),
        Effect::SetTo("<sip:200@example.net>".to_owned()),
        Effect::Conceal("7391".to_owned()),
    ]
}

/// What it says to an event of a call.
pub(crate) fn answer(event: &CallEvent, uri: &str, text: Text<'_>) -> Outcome {
    let (verdict, effects, reason) = match event {
        CallEvent::Started => (
            Verdict::Next,
            vec![Effect::TickAfter(60)],
            "started".to_owned(),
        ),
        CallEvent::Answered => (
            Verdict::Next,
            vec![Effect::LimitDuration(600)],
            "answered".to_owned(),
        ),
        CallEvent::Tick(seconds) => (rejection(480), Vec::new(), format!("tick {seconds}")),
        CallEvent::ForeignMedia(media) => (
            Verdict::Next,
            Vec::new(),
            format!("foreign {}", text.at(media.cause)),
        ),
        CallEvent::Ended(end) => (
            Verdict::Next,
            Vec::new(),
            format!("ended {} {}", text.at(end.cause), end.status),
        ),
    };
    Outcome {
        verdict,
        effects,
        ..because(format!("{reason} of {uri}"))
    }
}
