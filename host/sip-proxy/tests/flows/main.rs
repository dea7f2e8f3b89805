//! Call flows through the proxy core, with virtual time and no network: RFC 3261 section
//! 16 from the endpoints' side of the wire.

mod admission;
mod calls;
mod cancelling;
mod dialogs;
mod forking;
mod harness;
mod limits;
mod routing;
mod validation;
