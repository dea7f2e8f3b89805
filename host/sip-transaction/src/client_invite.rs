//! The INVITE client transaction (RFC 3261 section 17.1.1, RFC 6026 section 8.4).
//!
//! ```text
//!                                |INVITE from TU
//!              Timer A fires     |INVITE sent      Timer B fires
//!              Reset A,          V                 or Transport Err.
//!              INVITE sent +-----------+           inform TU
//!                +---------|           |--------------------------+
//!                |         |  Calling  |                          |
//!                +-------->|           |-----------+              |
//!   300-699                +-----------+ 2xx       |              |
//!   ACK sent                  |  |       2xx to TU |              |
//!   resp. to TU               |  |1xx              |              |
//!   +-------------------------+  |1xx to TU        |              |
//!   |                            |                 |              |
//!   |                1xx         V                 |              |
//!   |                1xx to TU +-----------+       |              |
//!   |                +---------|           |       |              |
//!   |                |         |Proceeding |       |              |
//!   |                +-------->|           |       |              |
//!   |                          +-----------+ 2xx   |              |
//!   |         300-699             |    |     2xx to TU            |
//!   |         ACK sent,  +--------+    +---------------+          |
//!   |         resp. to TU|                             |          |
//!   |                    V                             V          |
//!   |              +-----------+                   +----------+   |
//!   +------------->|           |Transport Err.     |          |   |
//!                  | Completed |Inform TU          | Accepted |   |
//!               +--|           |-------+           |          |-+ |
//!       300-699 |  +-----------+       |           +----------+ | |
//!       ACK sent|    ^  |              |               |  ^     | |
//!               |    |  |              |               |  |     | |
//!               +----+  |              |               |  +-----+ |
//!                       |Timer D fires |  Timer M fires|    2xx   |
//!                       |-             |             - |    2xx to TU
//!                       +--------+     |   +-----------+          |
//!                                V     V   V                      |
//!                              +------------+                     |
//!                              | Terminated |<--------------------+
//!                              +------------+
//! ```
//!
//! A is not set and D lasts for no time on a reliable transport; M runs on all. Nothing
//! ends Proceeding but a final response: the transaction user's Timer C guards it.

use crate::Timer;
use crate::machine::{Action, Reliability, Transition, Trouble};

/// Where the transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The INVITE is out, nothing came back.
    Calling,
    /// A provisional response came.
    Proceeding,
    /// A non-2xx final came and was acknowledged; its repeats are too.
    Completed,
    /// A 2xx came; further ones are passed on (RFC 6026).
    Accepted,
    /// Gone.
    Terminated,
}

/// What can happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A 1xx response.
    Provisional,
    /// A 2xx response.
    Success,
    /// A 300-699 response.
    Failure,
    /// Timer A, B, D or M fired.
    Fired(Timer),
    /// The request or the ACK could not be sent.
    TransportError,
}

/// The first state and what it begins with.
#[must_use]
pub const fn start(reliability: Reliability) -> (State, &'static [Action]) {
    use Action::{Send, Set};
    match reliability {
        Reliability::Unreliable => (State::Calling, &[Send, Set(Timer::A), Set(Timer::B)]),
        Reliability::Reliable => (State::Calling, &[Send, Set(Timer::B)]),
    }
}

/// The whole machine.
#[must_use]
pub const fn transition(state: State, input: Input, reliability: Reliability) -> Transition<State> {
    use Action::{Acknowledge, Backoff, Deliver, Inform, Resend, Set, Stop};
    use Input::{Failure, Fired, Provisional, Success, TransportError};
    use State::{Accepted, Calling, Completed, Proceeding, Terminated};
    use Timer::{A, B, D, M};

    Some(match (state, input) {
        (Calling, Fired(A)) => (Calling, &[Resend, Backoff(A)]),
        (Calling, Fired(B)) => (Terminated, &[Inform(Trouble::Timeout)]),
        (Calling, Provisional) => (Proceeding, &[Stop(A), Stop(B), Deliver]),
        (Proceeding, Provisional) => (Proceeding, &[Deliver]),

        (Calling | Proceeding, Success) => (Accepted, &[Stop(A), Stop(B), Deliver, Set(M)]),
        (Accepted, Success) => (Accepted, &[Deliver]),
        (Accepted, Fired(M)) => (Terminated, &[]),

        (Calling | Proceeding, Failure) => match reliability {
            Reliability::Unreliable => {
                (Completed, &[Stop(A), Stop(B), Acknowledge, Deliver, Set(D)])
            }
            // Timer D is zero: nothing can be repeated that the transport has not repeated.
            Reliability::Reliable => (Terminated, &[Stop(A), Stop(B), Acknowledge, Deliver]),
        },
        (Completed, Failure) => (Completed, &[Resend]),
        (Completed, Fired(D)) => (Terminated, &[]),

        (Calling | Completed, TransportError) => (Terminated, &[Inform(Trouble::Transport)]),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::chart::Chart;

    const CHART: Chart<State, Input> = Chart {
        name: "INVITE client transaction",
        states: &[
            State::Calling,
            State::Proceeding,
            State::Completed,
            State::Accepted,
            State::Terminated,
        ],
        inputs: &[
            Input::Provisional,
            Input::Success,
            Input::Failure,
            Input::Fired(Timer::A),
            Input::Fired(Timer::B),
            Input::Fired(Timer::D),
            Input::Fired(Timer::M),
            Input::TransportError,
        ],
        fired: Input::Fired,
        start,
        transition,
    };

    #[test]
    fn every_transition() {
        insta::assert_snapshot!("client_invite_table", CHART.table());
        insta::assert_snapshot!("client_invite_timers", CHART.running_timers());
        insta::assert_snapshot!("client_invite_dot", CHART.dot());
    }
}
