//! The INVITE server transaction (RFC 3261 section 17.2.1, RFC 6026 sections 7.1 and 8.5).
//!
//! ```text
//!                                 |INVITE
//!                                 |pass INV to TU
//!              INVITE             V
//!              send response +------------+
//!                  +---------|            |---------+ 101-199 from TU
//!                  |         | Proceeding |         | send response
//!                  +-------->|            |<--------+
//!                            |            |---------+ Transport Err.
//!                            |            |         | Inform TU
//!                            |            |<--------+
//!                            +------------+
//!          300-699 from TU   |            |   2xx from TU
//!          send response     |            |   send response
//!              +-------------+            +--------------+
//!              |                                         |
//!              V            Timer G fires                V
//!        +-----------+      send response           +-----------+
//!   +----|           |--------+                 +---|           |---+
//!   |    | Completed |        |                 |   | Accepted  |   |
//!   +--->|           |<-------+                 +-->|           |<--+
//! INVITE +-----------+                    INVITE    +-----------+  2xx from TU
//! send     |  |  ^  | Transport Err.      -           |  |  ^     send response;
//! response |  |  +--+ Inform TU                       |  |  |     Transport Err.
//!          |  |                                       |  +--+     Inform TU
//!    ACK   |  | Timer H fires            Timer L fires|  ACK
//!    -     |  | Inform TU                -            |  ACK to TU
//!          V  |                                       |
//!  +-----------+                                      |
//!  | Confirmed |--+                                   |
//!  +-----------+  | Timer I fires                     |
//!                 | -                                 |
//!                 V                                   |
//!            +------------+                           |
//!            | Terminated |<--------------------------+
//!            +------------+
//! ```
//!
//! G is not set and I lasts for no time on a reliable transport; H and L run on all. The
//! transaction user sends 100 (Trying). A transport error ends no state (RFC 6026 section
//! 7.1), so that repeated INVITEs do not look like new calls.

use crate::Timer;
use crate::machine::{Action, Reliability, Transition, Trouble};

/// Where the transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The transaction user has the INVITE and gave no final response.
    Proceeding,
    /// A non-2xx final is out and wants an ACK.
    Completed,
    /// The ACK came; its repeats are absorbed.
    Confirmed,
    /// A 2xx is out; repeated INVITEs are absorbed (RFC 6026).
    Accepted,
    /// Gone.
    Terminated,
}

/// What can happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// The INVITE again.
    Invite,
    /// An ACK.
    Ack,
    /// The transaction user gives a 1xx.
    Provisional,
    /// The transaction user gives a 2xx.
    Success,
    /// The transaction user gives a 300-699.
    Failure,
    /// Timer G, H, I or L fired.
    Fired(Timer),
    /// A response could not be sent.
    TransportError,
}

/// The first state and what it begins with.
#[must_use]
pub const fn start(_reliability: Reliability) -> (State, &'static [Action]) {
    (State::Proceeding, &[Action::Deliver])
}

/// The whole machine.
#[must_use]
pub const fn transition(state: State, input: Input, reliability: Reliability) -> Transition<State> {
    use Action::{Backoff, Deliver, Inform, Resend, Send, Set, Stop};
    use Input::{Ack, Failure, Fired, Invite, Provisional, Success, TransportError};
    use Reliability::{Reliable, Unreliable};
    use State::{Accepted, Completed, Confirmed, Proceeding, Terminated};
    use Timer::{G, H, I, L};

    Some(match (state, input) {
        (Proceeding, Invite) => (Proceeding, &[Resend]),
        (Proceeding, Provisional) => (Proceeding, &[Send]),
        (Proceeding, Success) => (Accepted, &[Send, Set(L)]),
        (Proceeding, Failure) => match reliability {
            Unreliable => (Completed, &[Send, Set(G), Set(H)]),
            Reliable => (Completed, &[Send, Set(H)]),
        },

        (Completed, Invite) => (Completed, &[Resend]),
        (Completed, Fired(G)) => (Completed, &[Resend, Backoff(G)]),
        (Completed, Fired(H)) => (Terminated, &[Inform(Trouble::NoAck)]),
        (Completed, Ack) => match reliability {
            Unreliable => (Confirmed, &[Stop(G), Stop(H), Set(I)]),
            Reliable => (Terminated, &[Stop(H)]),
        },
        (Confirmed, Fired(I)) => (Terminated, &[]),

        (Accepted, Success) => (Accepted, &[Send]),
        (Accepted, Ack) => (Accepted, &[Deliver]),
        (Accepted, Fired(L)) => (Terminated, &[]),

        (Proceeding | Completed | Accepted, TransportError) => {
            (state, &[Inform(Trouble::Transport)])
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::chart::Chart;

    const CHART: Chart<State, Input> = Chart {
        name: "INVITE server transaction",
        states: &[
            State::Proceeding,
            State::Completed,
            State::Confirmed,
            State::Accepted,
            State::Terminated,
        ],
        inputs: &[
            Input::Invite,
            Input::Ack,
            Input::Provisional,
            Input::Success,
            Input::Failure,
            Input::Fired(Timer::G),
            Input::Fired(Timer::H),
            Input::Fired(Timer::I),
            Input::Fired(Timer::L),
            Input::TransportError,
        ],
        fired: Input::Fired,
        start,
        transition,
    };

    #[test]
    fn every_transition() {
        insta::assert_snapshot!("server_invite_table", CHART.table());
        insta::assert_snapshot!("server_invite_timers", CHART.running_timers());
        insta::assert_snapshot!("server_invite_dot", CHART.dot());
    }
}
