//! One file of golden messages before a plugin.

use rehearsal::{Rehearsal, Standpoint, Trace, traced};

use super::outcome::{Repeated, shown};
use super::{Case, Golden};
use crate::error::KitError;
use crate::stage::{Stage, Subject, generous, lists_in};

/// Milliseconds that a plugin gets for a message here: a busy machine must not make a
/// well-behaved one late. `bench` says what it takes.
const DEADLINE_MS: u32 = 5_000;

/// Judges the messages in order, on empty state: what became of them.
pub(crate) fn play(
    stage: &Stage,
    subject: &Subject,
    golden: &Golden,
    case: &Case,
) -> Result<String, KitError> {
    let lookups = lists_in(&golden.folder.join("lists"))?;
    let (services, clock) = stage.services(lookups)?;
    let trace = Trace::new();
    let limits = generous(DEADLINE_MS);
    let services = traced(services, &trace);
    let plugin = stage.load(subject, &golden.settings, services, limits)?;
    let mut rehearsal = Rehearsal::of_plugin(&plugin, trace)
        .map_err(|(_, failure)| KitError::Host(failure.to_string()))?;
    let standpoint = Standpoint::default();
    let mut text = String::new();
    for (number, step) in (1..).zip(&case.steps) {
        clock.advance_to(step.now_ms);
        let mut repeated = Repeated::default();
        for time in 1..=step.times {
            let facts = standpoint.facts(&step.message, &step.how);
            repeated.note(time, shown(&rehearsal.judge(facts)));
        }
        text.push_str(&repeated.shown(number, step.times));
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    Ok(text)
}
