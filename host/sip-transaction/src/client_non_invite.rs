//! The non-INVITE client transaction (RFC 3261 section 17.1.2).
//!
//! ```text
//!                                   |Request from TU
//!                                   |send request
//!               Timer E             V
//!               send request  +-----------+
//!                   +---------|           |-------------------+
//!                   |         |  Trying   |  Timer F          |
//!                   +-------->|           |  or Transport Err.|
//!                             +-----------+  inform TU        |
//!                200-699         |  |                         |
//!                resp. to TU     |  |1xx                      |
//!                +---------------+  |resp. to TU              |
//!                |                  |                         |
//!                |   Timer E        V       Timer F           |
//!                |   send req +-----------+ or Transport Err. |
//!                |  +---------|           | inform TU         |
//!                |  |         |Proceeding |------------------>|
//!                |  +-------->|           |-----+             |
//!                |            +-----------+     |1xx          |
//!                |              |      ^        |resp to TU   |
//!                | 200-699      |      +--------+             |
//!                | resp. to TU  |                             |
//!                |              V                             |
//!                |            +-----------+                   |
//!                |            |           |                   |
//!                +----------->| Completed |                   |
//!                             |           |                   |
//!                             +-----------+                   |
//!                                |   Timer K                  |
//!                                |   -                        |
//!                                V                            |
//!                             +-----------+                   |
//!                             |Terminated |<------------------+
//!                             +-----------+
//! ```
//!
//! E is not set and K lasts for no time on a reliable transport.

use crate::Timer;
use crate::machine::{Action, Reliability, Transition, Trouble};

/// Where the transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The request is out, nothing came back.
    Trying,
    /// A provisional response came.
    Proceeding,
    /// A final response came; its repeats are absorbed.
    Completed,
    /// Gone.
    Terminated,
}

/// What can happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A 1xx response.
    Provisional,
    /// A 200-699 response.
    Final,
    /// Timer E, F or K fired.
    Fired(Timer),
    /// The request could not be sent.
    TransportError,
}

/// The first state and what it begins with.
#[must_use]
pub const fn start(reliability: Reliability) -> (State, &'static [Action]) {
    use Action::{Send, Set};
    match reliability {
        Reliability::Unreliable => (State::Trying, &[Send, Set(Timer::E), Set(Timer::F)]),
        Reliability::Reliable => (State::Trying, &[Send, Set(Timer::F)]),
    }
}

/// The whole machine.
#[must_use]
pub const fn transition(state: State, input: Input, reliability: Reliability) -> Transition<State> {
    use Action::{Backoff, Deliver, Inform, Resend, Set, Slow, Stop};
    use Input::{Final, Fired, Provisional, TransportError};
    use State::{Completed, Proceeding, Terminated, Trying};
    use Timer::{E, F, K};

    Some(match (state, input) {
        (Trying, Fired(E)) => (Trying, &[Resend, Backoff(E)]),
        (Proceeding, Fired(E)) => (Proceeding, &[Resend, Slow(E)]),
        (Trying | Proceeding, Fired(F)) => (Terminated, &[Inform(Trouble::Timeout)]),
        (Trying | Proceeding, Provisional) => (Proceeding, &[Deliver]),
        (Trying | Proceeding, Final) => match reliability {
            Reliability::Unreliable => (Completed, &[Stop(E), Stop(F), Deliver, Set(K)]),
            Reliability::Reliable => (Terminated, &[Stop(E), Stop(F), Deliver]),
        },
        (Trying | Proceeding, TransportError) => (Terminated, &[Inform(Trouble::Transport)]),
        (Completed, Fired(K)) => (Terminated, &[]),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::chart::Chart;

    const CHART: Chart<State, Input> = Chart {
        name: "non-INVITE client transaction",
        states: &[
            State::Trying,
            State::Proceeding,
            State::Completed,
            State::Terminated,
        ],
        inputs: &[
            Input::Provisional,
            Input::Final,
            Input::Fired(Timer::E),
            Input::Fired(Timer::F),
            Input::Fired(Timer::K),
            Input::TransportError,
        ],
        fired: Input::Fired,
        start,
        transition,
    };

    #[test]
    fn every_transition() {
        insta::assert_snapshot!("client_non_invite_table", CHART.table());
        insta::assert_snapshot!("client_non_invite_timers", CHART.running_timers());
        insta::assert_snapshot!("client_non_invite_dot", CHART.dot());
    }
}
