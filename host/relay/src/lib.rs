//! RTP and SRTP relayed from socket to socket, on threads of their own.
//!
//! Orders come in from the SIP workers ([`RelayHandle::command`]), events go out to
//! them. Each session belongs to one worker, chosen by its number, and only that thread
//! touches its sockets, keys and counters: a packet meets no lock and no allocation.
//!
//! ```text
//!   SIP worker --- command: sockets are bound here ---> mailbox --+
//!                                                                 v
//!   party A  <-->  socket A  <-->  gate, keys, counters  <-->  socket B  <-->  party B
//!                                  (one media worker)
//!                                          |
//!   SIP worker <------------------------ event
//! ```
//!
//! What each packet goes through, in this order ([`media`] has the rules, [`srtp`] the
//! keys): size, kind (RFC 7983), source, direction, payload type, authentication or, in
//! the clear, synchronization source, rate, statistics, protection for the other side.
//! Only a packet that passed everything counts as heard: it alone confirms a source or
//! puts a timeout off.

mod backend;
mod config;
mod directory;
mod dtls;
mod end;
mod engine;
mod epoll;
mod mailbox;
mod relay;
mod retired;
mod ring;
mod session;
mod shield;
mod slots;
mod socket;
mod stream;
mod tally;
mod totals;
mod uring;
mod worker;

pub use config::{BackendChoice, DtlsClient, RelayConfig, RelayError, RelayLimits};
pub use relay::{Relay, RelayHandle};
pub use totals::Totals;
