//! The words that the four state machines share (RFC 3261 section 17).
//!
//! A machine is a pure function from a state and an input to the next state and a list
//! of actions. It owns no message, no address and no clock: the layer carries the
//! actions out. That is why every machine can be enumerated, printed as a table and
//! compared with the RFC's diagram line by line.

use crate::Timer;

/// Whether the transport of a transaction repeats what is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reliability {
    /// Datagrams.
    Unreliable,
    /// Streams.
    Reliable,
}

/// Trouble that the transaction user must hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nobody answered in time.
    Timeout,
    /// A message could not be sent.
    Transport,
    /// No ACK came for a final response.
    NoAck,
}

/// What the layer shall do, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send the message that the transaction user handed over, and keep it.
    Send,
    /// Send again what was sent last.
    Resend,
    /// Build the ACK for the response just received, send it and keep it.
    Acknowledge,
    /// Hand the received message to the transaction user.
    Deliver,
    /// Set a timer to its first interval.
    Set(Timer),
    /// Set a repeating timer to twice its last interval, under its ceiling.
    Backoff(Timer),
    /// Set a repeating timer to T2.
    Slow(Timer),
    /// Stop a timer.
    Stop(Timer),
    /// Tell the transaction user.
    Inform(Trouble),
}

/// The next state and what to do on the way, or `None` where a state ignores an input.
pub type Transition<State> = Option<(State, &'static [Action])>;

#[cfg(test)]
pub(crate) mod chart {
    //! Prints a machine as a table and as a DOT graph, for the snapshots.

    use std::collections::{BTreeMap, BTreeSet};
    use std::fmt::{Debug, Write};

    use super::{Action, Reliability, Transition};
    use crate::Timer;

    /// Everything there is to know about one machine.
    pub(crate) struct Chart<State: 'static, Input: 'static> {
        pub(crate) name: &'static str,
        pub(crate) states: &'static [State],
        pub(crate) inputs: &'static [Input],
        pub(crate) fired: fn(Timer) -> Input,
        pub(crate) start: fn(Reliability) -> (State, &'static [Action]),
        pub(crate) transition: fn(State, Input, Reliability) -> Transition<State>,
    }

    fn list(actions: &[Action]) -> String {
        if actions.is_empty() {
            return "-".to_owned();
        }
        actions
            .iter()
            .map(|action| match action {
                Action::Set(timer) => format!("set {timer:?}"),
                Action::Backoff(timer) => format!("double {timer:?}"),
                Action::Slow(timer) => format!("{timer:?} := T2"),
                Action::Stop(timer) => format!("stop {timer:?}"),
                Action::Inform(trouble) => format!("inform of {trouble:?}"),
                other => format!("{other:?}").to_lowercase(),
            })
            .collect::<Vec<_>>()
            .join(", ")
    }

    fn after(running: &BTreeSet<Timer>, actions: &[Action]) -> BTreeSet<Timer> {
        let mut running = running.clone();
        for action in actions {
            match action {
                Action::Set(timer) | Action::Backoff(timer) | Action::Slow(timer) => {
                    running.insert(*timer);
                }
                Action::Stop(timer) => {
                    running.remove(timer);
                }
                _ => {}
            }
        }
        running
    }

    impl<State: Copy + Debug + PartialEq, Input: Copy + Debug> Chart<State, Input> {
        /// One line for each state, input and kind of transport.
        pub(crate) fn table(&self) -> String {
            let mut out = String::new();
            for reliability in [Reliability::Unreliable, Reliability::Reliable] {
                let (state, actions) = (self.start)(reliability);
                let _ = writeln!(out, "{} over {reliability:?}", self.name);
                let _ = writeln!(out, "  start -> {state:?}: {}", list(actions));
                for &state in self.states {
                    for &input in self.inputs {
                        let row = match (self.transition)(state, input, reliability) {
                            None => "ignored".to_owned(),
                            Some((next, actions)) => format!("{next:?}: {}", list(actions)),
                        };
                        let state = format!("{state:?}");
                        let input = format!("{input:?}");
                        let _ = writeln!(out, "  {state:<10} + {input:<14} -> {row}");
                    }
                }
            }
            out
        }

        /// The timers that can be running in each state, found by walking every path. Fails
        /// if one can fire where nobody minds it, or if more run than a schedule holds.
        pub(crate) fn running_timers(&self) -> String {
            let mut out = String::new();
            for reliability in [Reliability::Unreliable, Reliability::Reliable] {
                let _ = writeln!(out, "{} over {reliability:?}", self.name);
                for (state, sets) in self.walk(reliability) {
                    let sets: Vec<_> = sets.iter().map(|set| format!("{set:?}")).collect();
                    let _ = writeln!(out, "  {state:<10} {}", sets.join(" or "));
                }
            }
            out
        }

        fn walk(&self, reliability: Reliability) -> BTreeMap<String, BTreeSet<BTreeSet<Timer>>> {
            let mut seen: BTreeMap<String, BTreeSet<BTreeSet<Timer>>> = BTreeMap::new();
            let (state, actions) = (self.start)(reliability);
            let mut open = vec![(state, after(&BTreeSet::new(), actions))];
            while let Some((state, running)) = open.pop() {
                let name = format!("{state:?}");
                if name == "Terminated" || !seen.entry(name).or_default().insert(running.clone()) {
                    continue;
                }
                assert!(running.iter().filter(|timer| timer.repeats()).count() <= 1);
                assert!(running.iter().filter(|timer| !timer.repeats()).count() <= 1);
                for &input in self.inputs {
                    if format!("{input:?}").starts_with("Fired") {
                        continue;
                    }
                    if let Some((next, actions)) = (self.transition)(state, input, reliability) {
                        open.push((next, after(&running, actions)));
                    }
                }
                for &timer in &running {
                    let mut rest = running.clone();
                    rest.remove(&timer);
                    let fired = (self.transition)(state, (self.fired)(timer), reliability);
                    let (next, actions) =
                        fired.unwrap_or_else(|| panic!("{state:?} ignores {timer}"));
                    open.push((next, after(&rest, actions)));
                }
            }
            seen
        }

        /// The graph over an unreliable transport; dashed where a reliable one differs.
        pub(crate) fn dot(&self) -> String {
            let mut out = format!("digraph \"{}\" {{\n", self.name);
            let (first, actions) = (self.start)(Reliability::Unreliable);
            let _ = writeln!(out, "  start [shape=point];");
            let _ = writeln!(out, "  start -> {first:?} [label=\"{}\"];", list(actions));
            for &state in self.states {
                for &input in self.inputs {
                    let datagram = (self.transition)(state, input, Reliability::Unreliable);
                    let stream = (self.transition)(state, input, Reliability::Reliable);
                    let style = if stream == datagram {
                        ""
                    } else {
                        ", style=dashed"
                    };
                    if let Some((next, actions)) = stream.filter(|_| stream != datagram) {
                        let _ = writeln!(
                            out,
                            "  {state:?} -> {next:?} [label=\"{input:?} / {}\"{style}];",
                            list(actions)
                        );
                    }
                    if let Some((next, actions)) = datagram {
                        let _ = writeln!(
                            out,
                            "  {state:?} -> {next:?} [label=\"{input:?} / {}\"];",
                            list(actions)
                        );
                    }
                }
            }
            out.push_str("}\n");
            out
        }
    }
}
