//! The room on real sockets of the loopback interface.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod authority;
mod datagrams;
mod encrypted;
mod harness;
mod outbound;
mod streams;
