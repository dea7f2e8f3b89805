//! RFC 3261 section 17: the transaction layer as pure state machines, with the Accepted
//! state of RFC 6026.
//!
//! This room knows no socket, clock, thread or randomness. Work goes in by
//! [`TransactionLayer::handle_message`], [`request`](TransactionLayer::request),
//! [`respond`](TransactionLayer::respond),
//! [`handle_timeout`](TransactionLayer::handle_timeout) and
//! [`handle_transport_error`](TransactionLayer::handle_transport_error), each with the
//! time. After each of them take out everything: [`TransactionLayer::poll_transmit`] until
//! it gives nothing, [`poll_event`](TransactionLayer::poll_event) until it gives nothing,
//! then wait until [`poll_timeout`](TransactionLayer::poll_timeout). Bytes leave in the
//! order in which they were caused, so a 180 is never overtaken by its 200.
//!
//! The four machines, one file each, are pure functions from state and input to state and
//! actions: [`client_invite`], [`client_non_invite`], [`server_invite`],
//! [`server_non_invite`]. The layer matches messages to transactions, carries actions out
//! and runs the timers.

mod address;
mod client;
pub mod client_invite;
pub mod client_non_invite;
mod event;
mod key;
mod layer;
pub mod machine;
mod moment;
mod route;
mod schedule;
mod server;
pub mod server_invite;
pub mod server_non_invite;
mod slab;
mod stateless;
#[cfg(test)]
mod tests;
mod timer;

pub use address::{ConnectionId, Destination, Flow, ListenerId, Transmit, Transport};
pub use event::{Event, Figures, Gone, Refused, TableLimits, TransactionId};
pub use layer::TransactionLayer;
pub use moment::Moment;
pub use route::{response_destination, via_stamp};
pub use timer::{Timer, Timers};
