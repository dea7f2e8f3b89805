//! The binary's rooms: configuration, assembly, shards, control and what an
//! operator sees.
//!
//! - [`command_line`], `credential_command`, `plugin_command`: what is typed; [`admin`]: how a running proxy is asked;
//! - [`config`]: the file; `assemble`: from the file to parts that run;
//! - `control`: start, reload, drain, stop; `candidates`, `shadow`: versions on trial; `worker`: one thread; `shards`, `shard`:
//!   the calls, on whichever thread has something for them;
//! - `rehearse`: `explain` and `replay`, which judge without a network;
//! - [`status`], `media_figures`, `decision_log`, `ledger`, `records`, `record_search`,
//!   [`telemetry`]: what is told; `outlet`: what waits for a record.

pub mod admin;
mod assemble;
mod candidates;
mod challenge;
pub mod command_line;
pub mod config;
mod control;
mod credential_command;
mod credentials;
mod decision_log;
mod followed;
mod ledger;
mod media_figures;
mod outlet;
mod plugin_command;
mod record_search;
mod records;
mod rehearse;
mod shadow;
mod shard;
mod shards;
pub mod snapshot;
pub mod status;
pub mod telemetry;
mod watch;
mod worker;

pub use assemble::{AssembleError, NotAccepted};
pub use worker::StartError;
