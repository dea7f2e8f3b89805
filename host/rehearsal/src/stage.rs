//! One stage of a pipeline as it is told: verdict, effects, what it asked.

use policy::{Effect, HeaderEdit, Outcome, StageReport, Verdict};
use records::conceal::{conceal, conceal_in};
use serde::Serialize;

use crate::host_call::{CONCEALED, HostCall, cut, shown};
use crate::trace::StageTrace;

/// An effect in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EffectAccount {
    /// Its name, as in `wit/policy.wit`.
    pub effect: &'static str,
    /// What it says.
    pub value: String,
}

/// What one plugin was asked and answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StageAccount {
    /// The plugin.
    pub plugin: String,
    /// The verdict's name; `failed` if there was none.
    pub verdict: &'static str,
    /// What the verdict says beyond its name: status, realm, contacts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The plugin's reason.
    pub reason: String,
    /// Why there was no verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// What it wanted to happen, in order.
    pub effects: Vec<EffectAccount>,
    /// The pipeline's score after it.
    pub score: i32,
    /// What it read and asked, in order.
    pub calls: Vec<HostCall>,
    /// How many more calls there were.
    #[serde(skip_serializing_if = "is_zero")]
    pub calls_left_out: usize,
    /// How long it took, in microseconds of the machine that it ran on.
    pub micros: u64,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl StageAccount {
    /// From what the pipeline reports and what was watched. `score` is what it was before.
    pub(crate) fn new(report: &StageReport, watched: StageTrace, score: i32) -> Self {
        // An outcome that was refused had no effect.
        let outcome = watched.outcome.filter(|_| report.failure.is_none());
        let effects = outcome.as_ref().map_or(&[][..], |outcome| &outcome.effects);
        let added = effects.iter().fold(score, |sum, effect| match effect {
            Effect::Score { amount, .. } => sum.saturating_add(*amount),
            _ => sum,
        });
        Self {
            plugin: report.plugin.to_string(),
            verdict: report.verdict,
            detail: outcome.as_ref().and_then(detail),
            reason: cut(report.reason.clone()),
            failure: report.failure.clone(),
            effects: effects.iter().map(effect).collect(),
            score: added,
            calls: watched.calls,
            calls_left_out: watched.calls_left_out,
            micros: report.micros,
        }
    }

    /// Puts a `*` where a secret stands.
    pub(crate) fn conceal(&mut self, secrets: &[String]) {
        if secrets.is_empty() {
            return;
        }
        conceal_in(&mut self.reason, secrets);
        let texts = self.detail.iter_mut().chain(self.failure.as_mut());
        let effects = self.effects.iter_mut().map(|effect| &mut effect.value);
        let calls = self.calls.iter_mut().flat_map(|call| {
            let arguments = call.arguments.iter_mut().map(|it| &mut it.value);
            arguments.chain(std::iter::once(&mut call.answer))
        });
        for text in texts.chain(effects).chain(calls) {
            *text = conceal(text, secrets).into_owned();
        }
    }
}

fn detail(outcome: &Outcome) -> Option<String> {
    let text = match &outcome.verdict {
        Verdict::Next | Verdict::Drop => return None,
        Verdict::Reject(rejection) => {
            let mut text = format!("{} {}", rejection.status, rejection.phrase);
            if rejection.retry_after > 0 {
                text.push_str(&format!(" retry after {} s", rejection.retry_after));
            }
            text.trim_end().to_owned()
        }
        Verdict::Challenge(challenge) => {
            let status = if challenge.as_registrar { 401 } else { 407 };
            let stale = if challenge.stale { ", stale" } else { "" };
            format!("{status} realm {}{stale}", challenge.realm)
        }
        Verdict::Redirect(contacts) => format!("302 {}", contacts.join(", ")),
    };
    Some(cut(text))
}

fn effect(effect: &Effect) -> EffectAccount {
    let value = match effect {
        Effect::Header(edit) => match edit {
            HeaderEdit::Set { name, value } | HeaderEdit::Add { name, value } => {
                format!("{name}: {}", shown(value))
            }
            HeaderEdit::Remove { name } => name.clone(),
        },
        Effect::Annotate { key, value } => format!("{key}={value}"),
        Effect::Score { amount, reason } => format!("{amount:+} {reason}"),
        Effect::Identify(text)
        | Effect::Route(text)
        | Effect::SetRequestUri(text)
        | Effect::SetFrom(text)
        | Effect::SetTo(text) => text.clone(),
        Effect::LimitDuration(seconds) | Effect::TickAfter(seconds) => format!("{seconds} s"),
        Effect::Alert(alert) => {
            format!("{} {}: {}", alert.severity.name(), alert.key, alert.text)
        }
        Effect::RequireMedia(requirement) => requirement.name().to_owned(),
        Effect::Conceal(_) => CONCEALED.to_owned(),
        Effect::Other { name, argument } => format!("{name} {argument}"),
    };
    EffectAccount {
        effect: effect.name(),
        value: cut(value),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_stage_is_told_without_its_secrets() {
        let outcome = Outcome::reject(403, "code 4711 is wrong")
            .with(Effect::Conceal("4711".to_owned()))
            .with(Effect::Score {
                amount: 5,
                reason: "guess".to_owned(),
            });
        let report = StageReport {
            plugin: Arc::from("call-code"),
            version: policy::Version::default(),
            verdict: "reject",
            reason: outcome.reason.clone(),
            micros: 7,
            failure: None,
        };
        let watched = StageTrace {
            plugin: Arc::from("call-code"),
            calls: vec![HostCall::new("numbers.parse").with("dialled", "47110049")],
            outcome: Some(outcome),
            ..StageTrace::default()
        };
        let mut stage = StageAccount::new(&report, watched, 3);
        stage.conceal(&["4711".to_owned()]);
        assert_eq!(stage.score, 8);
        assert_eq!(stage.detail.as_deref(), Some("403"));
        assert_eq!(stage.reason, "code * is wrong");
        assert_eq!(stage.effects[0].value, "*");
        assert_eq!(stage.calls[0].arguments[0].value, "*0049");
    }
}
