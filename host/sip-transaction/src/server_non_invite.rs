//! The non-INVITE server transaction (RFC 3261 section 17.2.2).
//!
//! ```text
//!                                  |Request received
//!                                  |pass to TU
//!                                  V
//!                            +-----------+
//!                            |           |
//!                            | Trying    |-------------+
//!                            |           |             |
//!                            +-----------+             |200-699 from TU
//!                                  |                   |send response
//!                                  |1xx from TU        |
//!                                  |send response      |
//!                                  |                   |
//!               Request            V      1xx from TU  |
//!               send response+-----------+send response|
//!                   +--------|           |--------+    |
//!                   |        | Proceeding|        |    |
//!                   +------->|           |<-------+    |
//!            +<--------------|           |             |
//!            |Trnsprt Err    +-----------+             |
//!            |Inform TU            |                   |
//!            |                     |                   |
//!            |                     |200-699 from TU    |
//!            |                     |send response      |
//!            |  Request            V                   |
//!            |  send response+-----------+             |
//!            |      +--------|           |             |
//!            |      |        | Completed |<------------+
//!            |      +------->|           |
//!            +<--------------|           |
//!            |Trnsprt Err    +-----------+
//!            |Inform TU            |
//!            |                     |Timer J fires
//!            |                     |-
//!            |                     V
//!            |               +-----------+
//!            +-------------->| Terminated|
//!                            +-----------+
//! ```
//!
//! J lasts for no time on a reliable transport.

use crate::Timer;
use crate::machine::{Action, Reliability, Transition, Trouble};

/// Where the transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The transaction user has the request and said nothing.
    Trying,
    /// A provisional response is out.
    Proceeding,
    /// The final response is out; repeated requests get it again.
    Completed,
    /// Gone.
    Terminated,
}

/// What can happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// The request again.
    Request,
    /// The transaction user gives a 1xx.
    Provisional,
    /// The transaction user gives a 200-699.
    Final,
    /// Timer J fired.
    Fired(Timer),
    /// A response could not be sent.
    TransportError,
}

/// The first state and what it begins with.
#[must_use]
pub const fn start(_reliability: Reliability) -> (State, &'static [Action]) {
    (State::Trying, &[Action::Deliver])
}

/// The whole machine.
#[must_use]
pub const fn transition(state: State, input: Input, reliability: Reliability) -> Transition<State> {
    use Action::{Inform, Resend, Send, Set};
    use Input::{Final, Fired, Provisional, Request, TransportError};
    use State::{Completed, Proceeding, Terminated, Trying};
    use Timer::J;

    Some(match (state, input) {
        (Trying | Proceeding, Provisional) => (Proceeding, &[Send]),
        (Trying | Proceeding, Final) => match reliability {
            Reliability::Unreliable => (Completed, &[Send, Set(J)]),
            Reliability::Reliable => (Terminated, &[Send]),
        },
        (Proceeding | Completed, Request) => (state, &[Resend]),
        (Completed, Fired(J)) => (Terminated, &[]),
        (Proceeding | Completed, TransportError) => (Terminated, &[Inform(Trouble::Transport)]),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::chart::Chart;

    const CHART: Chart<State, Input> = Chart {
        name: "non-INVITE server transaction",
        states: &[
            State::Trying,
            State::Proceeding,
            State::Completed,
            State::Terminated,
        ],
        inputs: &[
            Input::Request,
            Input::Provisional,
            Input::Final,
            Input::Fired(Timer::J),
            Input::TransportError,
        ],
        fired: Input::Fired,
        start,
        transition,
    };

    #[test]
    fn every_transition() {
        insta::assert_snapshot!("server_non_invite_table", CHART.table());
        insta::assert_snapshot!("server_non_invite_timers", CHART.running_timers());
        insta::assert_snapshot!("server_non_invite_dot", CHART.dot());
    }
}
