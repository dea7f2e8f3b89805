//! Two versions of a policy and their answers to the same question: whether they differ,
//! and how an operator is told.

use crate::failure::PolicyFailure;
use crate::outcome::{Alert, Effect, Outcome, Verdict};

/// Two answers that differ, each in a few words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// What the version in use answered.
    pub live: String,
    /// What the other one would have.
    pub candidate: String,
}

/// How two answers differ; none if they mean the same. Texts that are for people alone
/// (reasons, phrases, texts of alerts) may be different.
pub fn divergence(
    live: Result<&Outcome, &PolicyFailure>,
    candidate: Result<&Outcome, &PolicyFailure>,
) -> Option<Divergence> {
    let (mut one, mut other) = (label(live), label(candidate));
    if one == other && is_same_verdict(live, candidate) {
        let (Ok(live), Ok(candidate)) = (live, candidate) else {
            return None;
        };
        let lost = unmatched(&live.effects, &candidate.effects);
        let gained = unmatched(&candidate.effects, &live.effects);
        if lost.is_empty() && gained.is_empty() {
            return None;
        }
        append(&mut one, &lost);
        append(&mut other, &gained);
    }
    Some(Divergence {
        live: one,
        candidate: other,
    })
}

fn label(answer: Result<&Outcome, &PolicyFailure>) -> String {
    match answer {
        Ok(outcome) => match &outcome.verdict {
            Verdict::Reject(rejection) => format!("reject {}", rejection.status),
            verdict => verdict.name().to_owned(),
        },
        Err(failure) => format!("failed: {}", failure.kind()),
    }
}

fn is_same_verdict(
    one: Result<&Outcome, &PolicyFailure>,
    other: Result<&Outcome, &PolicyFailure>,
) -> bool {
    let (Ok(one), Ok(other)) = (one, other) else {
        return true;
    };
    match (&one.verdict, &other.verdict) {
        (Verdict::Reject(one), Verdict::Reject(other)) => one.retry_after == other.retry_after,
        (one, other) => one == other,
    }
}

/// Names of the effects that the others lack, each once.
fn unmatched(effects: &[Effect], others: &[Effect]) -> Vec<&'static str> {
    let mut left: Vec<&Effect> = others.iter().collect();
    let mut names: Vec<&'static str> = Vec::new();
    for effect in effects {
        match left.iter().position(|other| is_same(effect, other)) {
            Some(place) => {
                left.swap_remove(place);
            }
            None if names.contains(&effect.name()) => {}
            None => names.push(effect.name()),
        }
    }
    names
}

fn is_same(one: &Effect, other: &Effect) -> bool {
    let about = |alert: &Alert| (alert.severity, alert.key.clone());
    match (one, other) {
        (Effect::Score { amount: one, .. }, Effect::Score { amount: other, .. }) => one == other,
        (Effect::Alert(one), Effect::Alert(other)) => about(one) == about(other),
        (one, other) => one == other,
    }
}

fn append(label: &mut String, names: &[&str]) {
    if names.is_empty() {
        label.push_str(" without them");
    } else {
        label.push_str(" with ");
        label.push_str(&names.join(", "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(one: &Outcome, other: &Outcome) -> Option<(String, String)> {
        divergence(Ok(one), Ok(other)).map(|it| (it.live, it.candidate))
    }

    fn words(one: &str, other: &str) -> Option<(String, String)> {
        Some((one.to_owned(), other.to_owned()))
    }

    fn score(amount: i32, reason: &str) -> Effect {
        Effect::Score {
            amount,
            reason: reason.to_owned(),
        }
    }

    #[test]
    fn what_only_people_read_makes_no_difference() {
        let one = Outcome::next("a").with(score(3, "x"));
        let other = Outcome::next("b").with(score(3, "y"));
        assert_eq!(compared(&one, &other), None);
        let failure = PolicyFailure::Trap("here".to_owned());
        let elsewhere = PolicyFailure::Trap("there".to_owned());
        assert_eq!(divergence(Err(&failure), Err(&elsewhere)), None);
    }

    #[test]
    fn a_verdict_a_status_or_a_failure_is_told() {
        let next = Outcome::next("");
        let refused = Outcome::reject(403, "");
        assert_eq!(compared(&next, &refused), words("next", "reject 403"));
        assert_eq!(
            compared(&Outcome::reject(603, ""), &refused),
            words("reject 603", "reject 403")
        );
        let late = PolicyFailure::Deadline { limit_ms: 5 };
        let told = divergence(Ok(&next), Err(&late)).unwrap();
        assert_eq!(told.candidate, "failed: deadline");
    }

    #[test]
    fn effects_count_as_often_as_they_are_there_and_in_any_order() {
        let route = || Effect::Route("b".to_owned());
        let one = Outcome::next("").with(score(1, "")).with(route());
        let turned = Outcome::next("").with(route()).with(score(1, ""));
        assert_eq!(compared(&one, &turned), None);
        let more = turned.clone().with(score(1, ""));
        assert_eq!(
            compared(&one, &more),
            words("next without them", "next with score")
        );
        let other = Outcome::next("").with(score(2, "")).with(route());
        assert_eq!(
            compared(&one, &other),
            words("next with score", "next with score")
        );
    }
}
