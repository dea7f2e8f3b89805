//! What became of a message, as text that stays the same from run to run.

use rehearsal::{Judged, StageAccount};

/// The outcome without its time, several lines.
pub(super) fn shown(judged: &Judged) -> String {
    match judged.stages.first() {
        Some(stage) => of_stage(stage),
        None => "not asked: its METHODS leave this one out\n".to_owned(),
    }
}

fn of_stage(stage: &StageAccount) -> String {
    let mut text = stage.verdict.to_owned();
    if let Some(detail) = &stage.detail {
        text.push(' ');
        text.push_str(detail);
    }
    text.push('\n');
    let mut line = |key: &str, value: &str| {
        text.push_str(&format!("  {key}: {value}"));
        // An empty value leaves no space at the end of its line.
        text.truncate(text.trim_end().len());
        text.push('\n');
    };
    if let Some(failure) = &stage.failure {
        line("failure", failure);
    }
    if !stage.reason.is_empty() {
        line("reason", &stage.reason);
    }
    for effect in &stage.effects {
        line(effect.effect, &effect.value);
    }
    text
}

/// Outcomes of one message that comes several times, equal neighbours together.
#[derive(Default)]
pub(super) struct Repeated {
    /// First and last time, and the outcome.
    runs: Vec<(u32, u32, String)>,
}

impl Repeated {
    pub(super) fn note(&mut self, time: u32, outcome: String) {
        match self.runs.last_mut() {
            Some((_, last, same)) if *same == outcome => *last = time,
            _ => self.runs.push((time, time, outcome)),
        }
    }

    /// All of them under the number of their message.
    pub(super) fn shown(&self, message: usize, times: u32) -> String {
        let mut text = String::new();
        for (first, last, outcome) in &self.runs {
            let which = match (times, first == last) {
                (1, _) => String::new(),
                (_, true) => format!(", time {first}"),
                (_, false) => format!(", times {first} to {last}"),
            };
            text.push_str(&format!("message {message}{which}: {outcome}\n"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_neighbours_stand_together() {
        let mut repeated = Repeated::default();
        for (time, outcome) in [
            (1, "next\n"),
            (2, "next\n"),
            (3, "reject 503\n"),
            (4, "next\n"),
        ] {
            repeated.note(time, outcome.to_owned());
        }
        assert_eq!(
            repeated.shown(2, 4),
            "message 2, times 1 to 2: next\n\nmessage 2, time 3: reject 503\n\nmessage 2, time 4: next\n\n"
        );
        let mut once = Repeated::default();
        once.note(1, "next\n".to_owned());
        assert_eq!(once.shown(1, 1), "message 1: next\n\n");
    }
}
