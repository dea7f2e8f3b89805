//! Call flows through the proxy core, with virtual time and no network: RFC 3261 section
//! 16 from the endpoints' side of the wire.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod admission;
mod calls;
mod cancelling;
mod dialogs;
mod forking;
mod guise;
mod harness;
mod judging;
mod large;
mod limits;
mod media_room;
mod programs;
mod relay;
mod request;
mod routing;
mod validation;
