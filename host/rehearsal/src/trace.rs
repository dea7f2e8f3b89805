//! What plugins did while they were asked, stage by stage.

use std::sync::Arc;

use parking_lot::Mutex;
use policy::{Outcome, PolicyFailure};
use policy_wasm::{Observer, Reading};

use crate::host_call::{CONCEALED, HostCall, shown};

/// Host calls of one stage that are kept. 1,000: a plugin that is at work needs some ten,
/// and one that runs wild shall not fill the memory.
pub(crate) const TRACED_CALLS: usize = 1_000;

/// Headers whose values are credentials.
const SECRET_HEADERS: [&str; 2] = ["authorization", "proxy-authorization"];

/// One hook that was called.
#[derive(Clone, Debug, Default)]
pub struct StageTrace {
    /// The plugin.
    pub plugin: Arc<str>,
    /// What it asked, in order.
    pub calls: Vec<HostCall>,
    /// How many more calls there were than are kept.
    pub calls_left_out: usize,
    /// What it answered; none if it failed.
    pub outcome: Option<Outcome>,
}

/// Watches plugins. Clones write into the same trace.
#[derive(Clone, Debug, Default)]
pub struct Trace(Arc<Mutex<Watched>>);

#[derive(Debug, Default)]
struct Watched {
    stages: Vec<StageTrace>,
    /// A hook is being called: the last stage.
    asking: bool,
}

impl Trace {
    /// A trace of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was done since the last time, in order.
    pub fn take(&self) -> Vec<StageTrace> {
        let mut watched = self.0.lock();
        watched.asking = false;
        std::mem::take(&mut watched.stages)
    }

    pub(crate) fn note(&self, call: HostCall) {
        let mut watched = self.0.lock();
        if !watched.asking {
            return;
        }
        if let Some(stage) = watched.stages.last_mut() {
            if stage.calls.len() < TRACED_CALLS {
                stage.calls.push(call);
            } else {
                stage.calls_left_out += 1;
            }
        }
    }
}

impl Observer for Trace {
    fn starting(&self, _plugin: &Arc<str>) {
        self.0.lock().asking = false;
    }

    fn asked(&self, plugin: &Arc<str>) {
        let mut watched = self.0.lock();
        watched.asking = true;
        watched.stages.push(StageTrace {
            plugin: Arc::clone(plugin),
            ..StageTrace::default()
        });
    }

    fn read(&self, reading: Reading<'_>) {
        self.note(match reading {
            Reading::Header(message, name) => {
                let value = message.header_named(name.as_bytes());
                let answer = value.map_or("none".to_owned(), |value| header(name, value));
                HostCall::new("message.header")
                    .with("name", name)
                    .answered(answer)
            }
            Reading::Headers(message, name) => {
                let values = message.values_named(name.as_bytes());
                let values: Vec<String> = values.map(|value| header(name, value)).collect();
                HostCall::new("message.headers")
                    .with("name", name)
                    .answered(format!("{}: {}", values.len(), values.join(", ")))
            }
            Reading::Present(message, name) => {
                let is_there = message.header_named(name.as_bytes()).is_some();
                HostCall::new("message.present")
                    .with("name", name)
                    .answered(if is_there { "yes" } else { "no" })
            }
            Reading::HeaderNames(message) => HostCall::new("message.header-names")
                .answered(format!("{} names", message.headers().count())),
            Reading::Body(message) => {
                HostCall::new("message.body").answered(format!("{} bytes", message.body().len()))
            }
            Reading::Raw(message) => {
                HostCall::new("message.raw").answered(format!("{} bytes", message.bytes().len()))
            }
            Reading::Tls(session) => {
                let answer = session.map(|it| format!("{} {}", it.version, it.cipher));
                HostCall::new("identity.tls").answered(answer.as_deref().unwrap_or("none"))
            }
            Reading::Verified(users) => {
                HostCall::new("identity.verified").answered(format!("{users} users"))
            }
        });
    }

    fn answered(&self, plugin: &Arc<str>, answer: Result<&Outcome, &PolicyFailure>) {
        let mut watched = self.0.lock();
        if !std::mem::take(&mut watched.asking) {
            // No instance could be made, so its hook was never called.
            watched.stages.push(StageTrace {
                plugin: Arc::clone(plugin),
                ..StageTrace::default()
            });
        }
        if let Some(stage) = watched.stages.last_mut() {
            stage.outcome = answer.ok().cloned();
        }
    }
}

fn header(name: &str, value: &[u8]) -> String {
    if SECRET_HEADERS
        .iter()
        .any(|it| name.eq_ignore_ascii_case(it))
    {
        return CONCEALED.to_owned();
    }
    shown(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_have_a_ceiling_and_what_is_beyond_is_counted() {
        let trace = Trace::new();
        trace.note(HostCall::new("clock.now-ms"));
        assert!(trace.take().is_empty(), "nobody was asked");
        trace.asked(&"one".into());
        for _ in 0..TRACED_CALLS + 3 {
            trace.note(HostCall::new("clock.now-ms"));
        }
        trace.answered(&"one".into(), Ok(&Outcome::next("fine")));
        trace.note(HostCall::new("clock.now-ms"));
        let [stage] = &trace.take()[..] else {
            panic!("one stage")
        };
        assert_eq!(stage.calls.len(), TRACED_CALLS);
        assert_eq!(stage.calls_left_out, 3);
        assert_eq!(stage.outcome, Some(Outcome::next("fine")));
    }

    #[test]
    fn what_is_asked_while_an_instance_starts_is_no_part_of_a_decision() {
        let trace = Trace::new();
        trace.starting(&"one".into());
        trace.note(HostCall::new("lists.find"));
        trace.asked(&"one".into());
        trace.note(HostCall::new("counters.add"));
        trace.answered(&"one".into(), Err(&PolicyFailure::Stack));
        trace.starting(&"two".into());
        trace.answered(&"two".into(), Err(&PolicyFailure::Stack));
        let stages = trace.take();
        assert_eq!(stages.len(), 2);
        assert_eq!(stages[0].calls, [HostCall::new("counters.add")]);
        assert_eq!((&*stages[1].plugin, stages[1].calls.len()), ("two", 0));
        assert!(trace.take().is_empty());
    }

    #[test]
    fn credentials_in_headers_are_concealed() {
        assert_eq!(header("Proxy-Authorization", b"Digest nonce"), "*");
        assert_eq!(header("User-Agent", b"phone"), "phone");
    }
}
